"""The slices that are sure of themselves count more."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from genrelab.agg.base import Agg


class Confidence(Agg):
    """The mean of the slices' probabilities, weighted by confidence: 1 less the entropy over its largest value.

    Where a song may have several genres, confidence is the mean of |2 p - 1| over the genres. `top_k` keeps the surest
    slices alone, a whole number of them, or a share below 1, at least one, and all that are as sure as the last of
    these; null keeps all.
    """

    trained: ClassVar[bool] = False
    order_free: ClassVar[bool] = True

    def __init__(self, dim: int, n_genres: int, several: bool, top_k: float | None) -> None:
        super().__init__(dim, n_genres, several)
        if top_k is not None and (top_k <= 0 or (top_k >= 1 and top_k != int(top_k))):
            raise ValueError(f"agg.top_k={top_k}: expected a whole number of slices, a share below 1, or null for all")
        self.top_k = top_k

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        p = self.probabilities(slice_scores).masked_fill(~mask[..., None], 0)
        if self.several:
            sure = (2 * p - 1).abs().mean(-1)
        else:
            sure = 1 + torch.special.xlogy(p, p).sum(-1) / math.log(max(2, self.n_genres))
        sure = sure.clamp_min(1e-6).masked_fill(~mask, 0)  # a song whose slices know nothing still has a mean
        if self.top_k is not None:
            n = mask.sum(1, keepdim=True)
            # .3 of 100 slices are 30, though .3 is a little more than that in the machine
            n_kept = torch.full_like(n, int(self.top_k)) if self.top_k >= 1 else (n * self.top_k - 1e-4).ceil().long()
            least = sure.sort(1, descending=True).values.gather(1, n_kept.minimum(n).clamp_min(1) - 1)
            sure = sure.masked_fill(sure < least, 0)  # equals stay together: their order is no reason
        weight = (sure / sure.sum(1, keepdim=True))[..., None]
        return self.log_scores((weight * p).sum(1))
