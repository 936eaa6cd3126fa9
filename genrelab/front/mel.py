"""Mel frequency: the short-time Fourier transform through triangles that widen with pitch."""

from __future__ import annotations

import torch
from torch import Tensor

from genrelab.front.base import hop_samples
from genrelab.front.filters import Filters
from genrelab.front.fixed import Fixed


class Mel(Fixed):
    """Mel power in dB, by the scale and area norm of Slaney's Auditory Toolbox (1998); the filters are torchaudio's."""

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
        from torchaudio.functional import melscale_fbanks

        if not 0 <= f_min < f_max <= sample_rate / 2:
            raise ValueError(f"front.f_min={f_min:g}, front.f_max={f_max:g}: not within 0 .. {sample_rate / 2:g} Hz")
        self.n_bins = n_bins
        self.hop, self.n_fft = hop_samples(hop_s, sample_rate), n_fft
        self.hop_s = self.hop / sample_rate  # the nearest whole number of samples
        self.context_s = (n_fft / 2 / sample_rate, n_fft / 2 / sample_rate)
        bank = melscale_fbanks(n_fft // 2 + 1, f_min, f_max, n_bins, sample_rate, norm="slaney", mel_scale="slaney")
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.filters = Filters(bank)
        row_hz = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1)
        self.bin_hz = (bank * row_hz[:, None]).sum(0) / bank.sum(0).clamp_min(1e-12)

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, n_bins); ValueError for fewer than n_fft / 2 + 1 samples."""
        self.check(wave, self.n_fft // 2 + 1)
        return self.filters(wave, self.window, self.hop)
