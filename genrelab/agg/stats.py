"""The distribution of a song's slices."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from genrelab.agg.base import Agg, head, masked_mean


class Stats(Agg):
    """Mean and standard deviation of the embeddings, and two dense layers."""

    order_free: ClassVar[bool] = True

    def __init__(self, dim: int, n_genres: int, several: bool, hidden: int, dropout: float) -> None:
        super().__init__(dim, n_genres, several)
        self.head = head(2 * dim, hidden, n_genres, dropout)

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        z = z.float().masked_fill(~mask[..., None], 0)
        mean = masked_mean(z, mask)
        variance = masked_mean((z - mean[:, None]).square(), mask)
        return self.head(torch.cat([mean, (variance + 1e-6).sqrt()], 1))  # the root's slope at 0 is endless
