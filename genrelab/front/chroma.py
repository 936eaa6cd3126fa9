"""Pitch classes: a note is the same class in every octave."""

from __future__ import annotations

from torch import Tensor

from genrelab.front.cqt import Cqt


class Chroma(Cqt):
    """Constant-Q power summed over octaves: 12 classes, or 24 that tell quarter tones apart; class 0 is f_min's note.

    Folded from constant Q rather than from one long transform, because a semitone is as clear in the bass as above:
    a full-scale sine has power 1 in its class and 1/4 a semitone beside it (24: a quarter tone), in any octave.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_s: float,
        n_bins: int,
        n_octaves: int,
        f_min: float,
        amplitude: str,
        floor_db: float,
    ) -> None:
        if n_bins not in (12, 24):
            raise ValueError(f"front.n_bins={n_bins}: front=chroma has 12 or 24 classes")
        super().__init__(sample_rate, hop_s, n_octaves * n_bins, n_bins, f_min, amplitude, floor_db)
        # what the classes are summed from, octave after octave
        self.pitch_hz = [f_min * 2 ** (k / n_bins) for k in range(n_octaves * n_bins)]
        self.n_bins, self.bin_hz = n_bins, None

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, n_bins); ValueError for a wave of less than context_s."""
        return super().power(wave).unflatten(2, (-1, self.n_bins)).sum(2)
