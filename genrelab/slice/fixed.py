"""Windows of one length, one hop apart."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from genrelab.types import Beats


class Fixed:
    """Slices of length_s seconds every hop_s seconds; the rest at the end, shorter than a slice, is dropped."""

    needs_beats: ClassVar[bool] = False

    def __init__(self, length_s: float, hop_s: float, n_frames: int, max_per_song: int | None, jitter: bool) -> None:
        if min(length_s, hop_s) <= 0 or n_frames < 1:
            raise ValueError(
                f"slice.length_s={length_s}, slice.hop_s={hop_s}, slice.n_frames={n_frames}: all must be above 0"
            )
        self.length_s, self.hop_s, self.n_frames = length_s, hop_s, n_frames
        self.max_per_song, self.jitter, self.min_s = max_per_song, jitter, length_s

    def spans(self, duration_s: float, beats: Beats | None = None) -> Tensor:  # noqa: ARG002
        """Spans (S, 2) in seconds within a song; S is 0 where the song is shorter than a slice."""
        n = (
            max(0, int((duration_s - self.length_s) / self.hop_s + 1e-6) + 1)
            if duration_s + 1e-6 >= self.length_s
            else 0
        )
        starts = torch.arange(n, dtype=torch.float64) * self.hop_s
        return torch.stack([starts, starts + self.length_s], 1)

    def follows(self, beats: Beats | None, duration_s: float) -> bool:  # noqa: ARG002
        """Never: beats do not matter here."""
        return False
