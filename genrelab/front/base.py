"""What every front-end is: a wave becomes a picture."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator

import torch
from torch import Tensor, nn

BLOCK_FRAMES = 64  # frames transformed at a time: their spectra stay in the processor's cache


class Front(nn.Module):
    """Wave to picture, (B, samples) -> (B, F, frames); frame t is centred on second t * hop_s.

    A picture is absolute (dB against a full-scale sine), never normalised: `norm` is part of the model.
    """

    n_bins: int  # F
    hop_s: float  # seconds from frame to frame
    bin_hz: Tensor | None  # (F,) centre frequencies; None where bins are not frequencies
    learned: bool = False  # True: trained with the net, so it runs inside the model and its pictures are never stored
    context_s: tuple[float, float]  # how much wave a frame needs left and right of its centre
    scale: tuple[float, float]  # the values that stand for the darkest and the brightest point
    unit: str = "dB"

    def forward(self, wave: Tensor) -> Tensor:
        raise NotImplementedError

    def version(self) -> str:
        """A digest of this front-end's code, so that stored pictures never outlive the code that made them."""
        sources = [inspect.getsource(inspect.getmodule(c) or c) for c in type(self).__mro__ if issubclass(c, Front)]
        return hashlib.blake2b("".join(sources).encode(), digest_size=8).hexdigest()

    def check(self, wave: Tensor, n_min: int) -> None:
        """Raises ValueError where the wave is not (B, samples) or has fewer than n_min samples."""
        name = type(self).__name__.lower()
        if wave.dim() != 2:
            raise ValueError(f"front={name} takes (songs, samples), got a tensor of shape {tuple(wave.shape)}")
        if wave.shape[1] < n_min:
            raise ValueError(f"front={name} needs at least {n_min} samples, got {wave.shape[1]}: the wave is too short")


def hop_samples(hop_s: float, sample_rate: int) -> int:
    """The whole number of samples nearest to hop_s. Raises ValueError below one."""
    hop = round(hop_s * sample_rate)
    if hop < 1:
        raise ValueError(f"front.hop_s={hop_s:g}: expected at least one sample, {1 / sample_rate:.1g} s")
    return hop


def power_blocks(wave: Tensor, window: Tensor, hop: int) -> Iterator[Tensor]:
    """Power spectra of a wave (B, samples) in blocks: yields (B, frames of the block, n_fft // 2 + 1).

    Centred frames, reflected borders; a full-scale sine at the centre of a row has power 1.
    """
    n_fft = window.numel()
    padded = nn.functional.pad(wave[:, None], (n_fft // 2, n_fft // 2), mode="reflect")[:, 0]
    scaled = window * (2 / window.sum())
    for block in padded.unfold(1, n_fft, hop).split(BLOCK_FRAMES, dim=1):
        spectrum = torch.fft.rfft(block * scaled)
        yield spectrum.real.square() + spectrum.imag.square()


def to_db(power: Tensor, floor_db: float) -> Tensor:
    """10 log10 of a power, not below floor_db."""
    return 10 * power.clamp_min(10 ** (floor_db / 10)).log10()
