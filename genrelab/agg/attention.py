"""The net learns which slices to listen to."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from genrelab.agg.base import Agg


class Attention(Agg):
    """Gated attention pooling (Ilse, Tomczak & Welling 2018): a weighted mean of the embeddings decides."""

    order_free: ClassVar[bool] = True

    def __init__(self, dim: int, n_genres: int, several: bool, hidden: int, dropout: float) -> None:
        super().__init__(dim, n_genres, several)
        self.content, self.gate = nn.Linear(dim, hidden), nn.Linear(dim, hidden)
        self.weight = nn.Linear(hidden, 1)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, n_genres))

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        z = z.masked_fill(~mask[..., None], 0)
        weight = self.weight(self.content(z).tanh() * self.gate(z).sigmoid())[..., 0]  # (B, S)
        share = weight.float().masked_fill(~mask, -torch.inf).softmax(1)
        return self.head((share[..., None] * z.float()).sum(1))
