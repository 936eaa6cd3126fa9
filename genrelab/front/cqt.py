"""Constant Q: every bin hears the same number of periods, so that bass notes are told apart and treble stays quick."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genrelab.front.base import hop_samples
from genrelab.front.fixed import Fixed

REACH = 16  # a kernel's band ends 16 / its length from its centre: 1.3e-4 of white noise is lost (test)
MAIN_LOBE = 4  # a band cut shorter than this would no longer be the kernel's
MARGIN = 1.25  # in time a kernel that ends in frequency outlasts its window a little
GROUP = 8  # chunks transformed at a time, which bounds the memory of a long song


class Cqt(Fixed):
    """Constant-Q power (Brown 1991): Hann windows of Q periods at f_min * 2^(k / bins_per_octave).

    A full-scale sine at a bin's centre has power 1. Kernels are multiplied in the frequency domain (Brown & Puckette
    1992), and the band of each is folded to the frame rate: a short inverse transform then gives exactly the samples
    t * hop of the convolution, whatever the hop. Q is librosa's: 1 over the half difference of two bins' frequencies
    to their half sum, taken from the bin below to the bin above.
    """

    kernels: Tensor

    def __init__(
        self,
        sample_rate: int,
        hop_s: float,
        n_bins: int,
        bins_per_octave: int,
        f_min: float,
        amplitude: str,
        floor_db: float,
    ) -> None:
        super().__init__(amplitude, floor_db)
        if bins_per_octave < 3 or f_min <= 0:
            raise ValueError(
                f"front.bins_per_octave={bins_per_octave}, front.f_min={f_min:g}: expected at least 3 bins above 0 Hz"
            )
        self.n_bins = n_bins
        self.hop = hop_samples(hop_s, sample_rate)
        self.hop_s = self.hop / sample_rate  # the nearest whole number of samples
        ratio = 2 ** (2 / bins_per_octave)
        q = (ratio + 1) / (ratio - 1)
        hz = f_min * 2 ** (torch.arange(n_bins, dtype=torch.float64) / bins_per_octave)
        top = self.hop // 2 / self.hop_s  # of whole blocks, each as wide as the frame rate
        n_fit = math.floor(bins_per_octave * math.log2(top / (1 + MAIN_LOBE / q) / f_min)) + 1
        if n_bins > n_fit:
            raise ValueError(f"{n_bins} bins from front.f_min={f_min:g}: only {max(0, n_fit)} fit below {top:.0f} Hz")
        self.bin_hz = hz.float()
        half_s = MARGIN / 2 * q / f_min
        self.context_s = (half_s, half_s)
        self.margin = math.ceil(half_s / self.hop_s)  # frames at each end of a chunk that lack context
        self.chunk = 1 << (12 * self.margin - 1).bit_length()  # frames: at most a sixth of them are margins
        bands = [self._kernel(float(f), q, top) for f in hz]
        self.first = [first for first, _ in bands]  # the first block of each band
        self.n_blocks = [len(kernel) for _, kernel in bands]
        self.register_buffer("kernels", torch.cat([kernel for _, kernel in bands]), persistent=False)

    def _kernel(self, hz: float, q: float, top: float) -> tuple[int, Tensor]:
        """The first block of a bin's band, and its spectrum there: (blocks, 2 * chunk), each value twice."""
        width = hz / q  # 1 over the window's length
        reach = min(REACH, q, (top - hz) / width)
        first, end = math.floor((hz - reach * width) * self.hop_s), math.ceil((hz + reach * width) * self.hop_s)
        rows = torch.arange(first * self.chunk, end * self.chunk, dtype=torch.float64) / (self.chunk * self.hop_s)
        x = (rows - hz).abs() / width
        taper = (2 * x / reach - 1).clamp(0, 1)  # a smooth end of the band keeps the kernel short in time
        spectrum = 2 / self.hop * hann(x) * (0.5 + 0.5 * (math.pi * taper).cos())
        return first, spectrum.float().reshape(-1, self.chunk).repeat_interleave(2, 1)

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, n_bins); ValueError for a wave of less than context_s."""
        pad, step = self.margin * self.hop, self.chunk - 2 * self.margin
        self.check(wave, pad + 1)
        n_frames = 1 + wave.shape[1] // self.hop
        n_chunks = -(-n_frames // step)
        missing = (n_chunks * step - n_frames + 1) * self.hop  # of the last chunk, which is filled with silence
        padded = torch.nn.functional.pad(wave[:, None], (pad, pad), mode="reflect")[:, 0]
        padded = torch.nn.functional.pad(padded, (0, missing))
        chunks = padded.unfold(1, self.chunk * self.hop, step * self.hop)[:, :n_chunks].flatten(0, 1)
        found = torch.cat([self._chunks(group) for group in chunks.split(GROUP)])
        return found.reshape(len(wave), n_chunks * step, -1)[:, :n_frames]

    def _chunks(self, wave: Tensor) -> Tensor:
        """(C, chunk * hop) -> (C, chunk - 2 * margin, n_bins)."""
        spectrum = torch.view_as_real(torch.fft.rfft(wave))[:, : self.hop // 2 * self.chunk]
        blocks = spectrum.reshape(len(wave), -1, 2 * self.chunk)  # real and imaginary parts side by side
        bands = zip(self.first, self.kernels.split(self.n_blocks), strict=True)
        folded = torch.stack([(blocks[:, a : a + len(k)] * k).sum(1) for a, k in bands], 1)
        frames = torch.fft.ifft(torch.view_as_complex(folded.reshape(*folded.shape[:2], self.chunk, 2)))
        frames = frames[..., self.margin : self.chunk - self.margin].transpose(1, 2)
        return frames.real.square() + frames.imag.square()


def hann(x: Tensor) -> Tensor:
    """Transform of a Hann window at x / its length, 1 at 0."""
    return torch.sinc(x) + 0.5 * (torch.sinc(x - 1) + torch.sinc(x + 1))
