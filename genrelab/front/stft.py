"""Linear frequency: the short-time Fourier transform, pooled to equal bins."""

from __future__ import annotations

import torch
from torch import Tensor

from genrelab.front.base import hop_samples, power_blocks
from genrelab.front.fixed import Fixed


class Stft(Fixed):
    """Power of a Hann-windowed Fourier transform, n_fft / 2 rows pooled to n_bins equal ones, in dB.

    The row at the Nyquist frequency is left out, so that the rows divide evenly: n_fft=256 with 128 bins is 128 of 129.
    """

    window: Tensor

    def __init__(
        self, sample_rate: int, n_fft: int, hop_s: float, n_bins: int, amplitude: str, floor_db: float
    ) -> None:
        super().__init__(amplitude, floor_db)
        rows = n_fft // 2
        if rows % n_bins:
            raise ValueError(f"front.n_bins={n_bins} does not divide the {rows} rows of front.n_fft={n_fft}")
        self.n_bins = n_bins
        self.hop, self.rows = hop_samples(hop_s, sample_rate), rows
        self.hop_s = self.hop / sample_rate  # the nearest whole number of samples
        self.context_s = (n_fft / 2 / sample_rate, n_fft / 2 / sample_rate)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        row_hz = torch.arange(rows) * sample_rate / n_fft
        self.bin_hz = row_hz.reshape(n_bins, -1).mean(1)

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, n_bins); ValueError for fewer than n_fft / 2 + 1 samples."""
        self.check(wave, self.rows + 1)
        return torch.cat(
            [
                p[..., : self.rows].reshape(*p.shape[:2], self.n_bins, -1).mean(-1)
                for p in power_blocks(wave, self.window, self.hop)
            ],
            1,
        )
