"""The mean of the slices' scores."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from genrelab.agg.base import Agg, masked_mean


class Logits(Agg):
    """The mean score over the slices: probabilities are multiplied where `mean` adds them, so one slice can veto."""

    trained: ClassVar[bool] = False
    order_free: ClassVar[bool] = True

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        return masked_mean(slice_scores.float(), mask)
