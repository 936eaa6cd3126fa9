"""What every front-end is: a wave becomes a picture."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator

import torch
from torch import Tensor, nn

BLOCK_FRAMES = 128  # frames transformed at a time: their spectra stay in the processor's cache


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
        found: dict[str, str] = {}
        for c in type(self).__mro__:
            if issubclass(c, Front):
                _sources(inspect.getmodule(c) or c, found)
        text = "".join(found[name] for name in sorted(found))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def check(self, wave: Tensor, n_min: int) -> None:
        """Raises ValueError where the wave is not (B, samples) or has fewer than n_min samples."""
        name = type(self).__name__.lower()
        if wave.dim() != 2:
            raise ValueError(f"front={name} takes (songs, samples), got a tensor of shape {tuple(wave.shape)}")
        if wave.shape[1] < n_min:
            raise ValueError(f"front={name} needs at least {n_min} samples, got {wave.shape[1]}: the wave is too short")


class Learned(Front):
    """A front-end that is trained with the net: it runs inside the model, on each slice's wave with its context.

    Layers take no padding of their own, so that a slice's picture is the cut of the song's: `inner` is all there is.
    """

    learned = True
    hop: int  # samples from frame to frame
    left: int  # samples that a frame hears before its centre
    right: int  # samples that it hears after it

    def inner(self, wave: Tensor) -> Tensor:
        """(N, left + (frames - 1) * hop + 1 + right samples) -> (N, F, frames); frame 0 is centred on sample `left`."""
        raise NotImplementedError

    def filters(self) -> tuple[Tensor, Tensor]:
        """Centre frequency and half-power bandwidth of every learned filter: (n,) Hz and (n,) Hz, in no order."""
        raise NotImplementedError

    def forward(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, F, 1 + samples // hop): silence before and after the wave."""
        self.check(wave, self.left + self.right + 1)
        frames = 1 + wave.shape[1] // self.hop
        after = (frames - 1) * self.hop + 1 + self.right - wave.shape[1]
        return self.inner(nn.functional.pad(wave, (self.left, max(0, after))))


def _sources(module: object, found: dict[str, str]) -> None:
    """The source of a module and of those beside it that it takes names from."""
    name, room = getattr(module, "__name__", ""), __name__.rpartition(".")[0]
    if name in found:
        return
    found[name] = inspect.getsource(module)  # type: ignore[arg-type]
    for value in list(vars(module).values()):
        home = inspect.getmodule(value) if inspect.isfunction(value) or inspect.isclass(value) else value
        if inspect.ismodule(home) and home.__name__.startswith(room + "."):
            _sources(home, found)


def hop_samples(hop_s: float, sample_rate: int) -> int:
    """The whole number of samples nearest to hop_s. Raises ValueError below one."""
    hop = round(hop_s * sample_rate)
    if hop < 1:
        raise ValueError(f"front.hop_s={hop_s:g}: expected at least one sample, {1 / sample_rate:.1g} s")
    return hop


def spectra(wave: Tensor, window: Tensor, hop: int) -> Iterator[Tensor]:
    """Spectra of a wave (B, samples) in blocks: yields (B, frames of the block, n_fft // 2 + 1), complex.

    Centred frames, reflected borders; a full-scale sine at the centre of a row has magnitude 1.
    """
    n_fft = window.numel()
    half = n_fft // 2
    before, after = wave[:, 1 : half + 1].flip(1), wave[:, -half - 1 : -1].flip(1)
    padded = torch.cat([before, wave, after], 1)  # as nn.functional.pad's "reflect", in a third of its time
    scaled = window * (2 / window.sum())
    for block in padded.unfold(1, n_fft, hop).split(BLOCK_FRAMES, dim=1):
        yield torch.fft.rfft(block * scaled)


def power_blocks(wave: Tensor, window: Tensor, hop: int) -> Iterator[Tensor]:
    """Power spectra of a wave, as `spectra` has them."""
    for spectrum in spectra(wave, window, hop):
        yield spectrum.real.square() + spectrum.imag.square()
