"""Bars: the windows that music has by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genrelab.slice.beats import AtBeats
from genrelab.types import Beats


@dataclass
class Bars(AtBeats):
    """Slices of n_bars successive bars, from downbeat to downbeat; a piece is a bar.

    A bar without the song's metre (the median number of beats, the smaller one where two share the middle) is dropped,
    and so is what lies before the first downbeat and after the last. A song whose downbeats are not known falls back.
    """

    n_bars: int

    def __post_init__(self) -> None:
        if self.n_bars < 1:
            raise ValueError(f"slice.n_bars={self.n_bars}: expected at least 1")
        super().__post_init__()

    @property
    def n_pieces(self) -> int:
        return self.n_bars

    def pieces(self, beats: Beats) -> tuple[Tensor, Tensor]:
        down = np.flatnonzero(beats.beat_in_bar == 1) if beats.beat_in_bar is not None else np.zeros(0, dtype=np.int64)
        n_beats = np.diff(down)
        metre = np.sort(n_beats)[(len(n_beats) - 1) // 2] if len(n_beats) else 0
        return torch.as_tensor(beats.times_s[down], dtype=torch.float64), torch.as_tensor(n_beats == metre)
