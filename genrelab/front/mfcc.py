"""Mel-frequency cepstral coefficients: the outline of the mel spectrum, from coarse to fine."""

from __future__ import annotations

from torch import Tensor

from genrelab.front.mel import Mel


class Mfcc(Mel):
    """The first n_bins coefficients of an orthonormal DCT-II over the mel spectrum (Davis & Mermelstein 1980).

    `amplitude` is that of the n_mels powers before the transform; coefficient 0 is their mean times sqrt(n_mels).
    """

    dct: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int,
        hop_s: float,
        n_mels: int,
        n_bins: int,
        f_min: float,
        f_max: float,
        amplitude: str,
        floor_db: float,
    ) -> None:
        super().__init__(sample_rate, n_fft, hop_s, n_mels, f_min, f_max, amplitude, floor_db)
        from torchaudio.functional import create_dct

        if not 1 <= n_bins <= n_mels:
            raise ValueError(f"front.n_bins={n_bins}: expected 1 .. {n_mels}, the number of front.n_mels")
        self.n_bins, self.bin_hz = n_bins, None
        self.unit = "MFCC"
        low, high = self.scale
        swing = (n_mels / 5) ** 0.5 * (high - low)  # above every other coefficient of values in the scale
        self.scale = (min(n_mels**0.5 * low, -swing), max(n_mels**0.5 * high, swing))
        self.register_buffer("dct", create_dct(n_bins, n_mels, "ortho"), persistent=False)

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, n_mels), the powers that `scaled` turns into coefficients."""
        return super().power(wave)

    def scaled(self, power: Tensor) -> Tensor:
        """(B, frames, n_mels) of power -> (B, frames, n_bins)."""
        return super().scaled(power) @ self.dct
