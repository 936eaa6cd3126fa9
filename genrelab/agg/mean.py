"""The mean of the slices' probabilities."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from genrelab.agg.base import Agg, masked_mean


class Mean(Agg):
    """Soft vote: the mean probability over the slices."""

    trained: ClassVar[bool] = False
    order_free: ClassVar[bool] = True

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        return self.log_scores(masked_mean(self.probabilities(slice_scores), mask))
