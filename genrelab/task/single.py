"""One genre a song."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn.functional import cross_entropy

from genrelab.task.base import Task
from genrelab.types import Track


class Single(Task):
    """Cross entropy. A track with weights is learned as they say (soft labels) and tested on the heaviest genre; one
    with several genres and no weights is of the first."""

    def __init__(self, slice_weight: float, label_smoothing: float, score: str, keep: float, neighbours: int) -> None:
        super().__init__(slice_weight, score, keep, neighbours)
        self.label_smoothing = label_smoothing

    def fill(self, row: np.ndarray, track: Track, number: dict[str, int]) -> None:
        if track.weights is None:
            row[number[str(track.genre)]] = 1
            return
        for genre, weight in zip(track.genres, track.weights, strict=True):
            if genre in number:  # what is nobody's main genre is no class
                row[number[genre]] = weight
        row /= row.sum()

    def entropy(self, scores: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(scores, target, label_smoothing=self.label_smoothing)
