"""One genre a song."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import cross_entropy

from genrelab.types import Decision, Scores


class Single:
    """Cross entropy on the song's scores where the aggregator is trained, plus slice_weight times that of the slices.

    A vote trains on its slices alone, whatever the weight.
    """

    def __init__(self, slice_weight: float, label_smoothing: float) -> None:
        self.slice_weight, self.label_smoothing = slice_weight, label_smoothing

    def loss(self, scores: Scores, truth: Tensor, trained: bool) -> Tensor:
        """Scores of B songs with N slices, truth (B,) -> the loss, a scalar; every slice of the batch counts alike."""
        smooth = self.label_smoothing
        slices = cross_entropy(scores.slice.float(), truth[scores.owner], label_smoothing=smooth)
        if not trained:
            return slices
        return cross_entropy(scores.song.float(), truth, label_smoothing=smooth) + self.slice_weight * slices

    def probabilities(self, log_scores: Tensor) -> Tensor:
        """(..., K) -> (..., K), each row summing to 1."""
        return log_scores.float().softmax(-1)

    def decide(self, probabilities: Sequence[float], genres: Sequence[str]) -> Decision:
        """All genres with their probabilities, the likeliest first."""
        ranked = sorted(zip(genres, map(float, probabilities), strict=True), key=lambda g: -g[1])
        return Decision(tuple(ranked))
