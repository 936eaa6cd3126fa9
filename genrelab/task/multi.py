"""Several genres a song."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from torch import Tensor

from genrelab.evaluate import multilabel
from genrelab.task.asymmetric import asymmetric_loss
from genrelab.task.base import Task
from genrelab.types import Track


class Multi(Task):
    """Binary cross entropy of each genre; the asymmetric loss (Ridnik et al. 2021) where a gamma or the clip is not 0.

    A genre of a track is there or not, whatever its weight. Each genre has its threshold, chosen on validation.
    """

    several: ClassVar[bool] = True
    measure: ClassVar[str] = "map"
    metrics: ClassVar[tuple[str, ...]] = multilabel.METRICS

    def __init__(
        self,
        slice_weight: float,
        gamma_pos: float,
        gamma_neg: float,
        clip: float,
        score: str,
        keep: float,
        neighbours: int,
    ) -> None:
        super().__init__(slice_weight, score, keep, neighbours)
        self.gamma_pos, self.gamma_neg, self.clip = gamma_pos, gamma_neg, clip

    def fill(self, row: np.ndarray, track: Track, number: dict[str, int]) -> None:
        row[[number[g] for g in track.genres]] = 1

    def entropy(self, scores: Tensor, target: Tensor) -> Tensor:
        return asymmetric_loss(scores, target, self.gamma_pos, self.gamma_neg, self.clip)
