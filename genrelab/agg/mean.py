"""The mean of the slices' probabilities."""

from __future__ import annotations

from torch import Tensor

from genrelab.agg.base import Agg, masked_mean


class Mean(Agg):
    """Soft vote: the log of the mean probability over the slices."""

    trained = False

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        return masked_mean(slice_scores.float().softmax(-1), mask).clamp_min(1e-12).log()
