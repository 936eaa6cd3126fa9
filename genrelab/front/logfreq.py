"""Logarithmic frequency: the short-time Fourier transform through triangles that are equal in pitch."""

from __future__ import annotations

import torch
from torch import Tensor

from genrelab.front.base import hop_samples
from genrelab.front.cqt import hann
from genrelab.front.filters import Filters
from genrelab.front.fixed import Fixed


class Logfreq(Fixed):
    """Power on a log-frequency axis: one window for all pitches, triangles from the centre below to the centre above.

    A triangle is at least a row of the transform wide on each side, so that none is empty: bass bins that are closer
    than rows interpolate between rows. Each is scaled so that a full-scale sine at its centre has power 1.
    """

    window: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int,
        hop_s: float,
        n_bins: int,
        f_min: float,
        f_max: float,
        amplitude: str,
        floor_db: float,
    ) -> None:
        super().__init__(amplitude, floor_db)
        row_hz = sample_rate / n_fft
        if not 2 * row_hz <= f_min < f_max <= sample_rate / 2:
            raise ValueError(
                f"front.f_min={f_min:g}, front.f_max={f_max:g}: not within two rows of front.n_fft={n_fft} and half "
                f"the sample rate, {2 * row_hz:.3g} .. {sample_rate / 2:g} Hz"
            )
        self.n_bins = n_bins
        self.hop, self.n_fft = hop_samples(hop_s, sample_rate), n_fft
        self.hop_s = self.hop / sample_rate  # the nearest whole number of samples
        self.context_s = (n_fft / 2 / sample_rate, n_fft / 2 / sample_rate)
        ratio = (f_max / f_min) ** (1 / n_bins)
        centre = f_min * ratio ** torch.arange(n_bins, dtype=torch.float64)
        low, high = torch.minimum(centre / ratio, centre - row_hz), torch.maximum(centre * ratio, centre + row_hz)
        rows = torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None] * row_hz
        rising, falling = (rows / low).log() / (centre / low).log(), (high / rows).log() / (high / centre).log()
        bank = torch.minimum(rising, falling).clamp_min(0)
        bank /= (bank * hann((rows - centre) / row_hz).square()).sum(0)  # what a sine at the centre would read
        self.bin_hz = centre.float()
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.filters = Filters(bank.float())

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, n_bins); ValueError for fewer than n_fft / 2 + 1 samples."""
        self.check(wave, self.n_fft // 2 + 1)
        return self.filters(wave, self.window, self.hop)
