"""Every slice looks at every other one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genrelab.agg.base import Agg, masked_mean


class Transformer(Agg):
    """An encoder (Vaswani et al. 2017, its norms first) over the slices and their places; their mean decides."""

    def __init__(
        self, dim: int, n_genres: int, several: bool, hidden: int, n_heads: int, n_layers: int, dropout: float
    ) -> None:
        super().__init__(dim, n_genres, several)
        if hidden % n_heads or hidden % 2:
            raise ValueError(f"agg.hidden={hidden}: expected an even number that agg.n_heads={n_heads} divides")
        self.first = nn.Linear(dim, hidden)
        layer = nn.TransformerEncoderLayer(hidden, n_heads, 2 * hidden, dropout, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, nn.LayerNorm(hidden), enable_nested_tensor=False)
        self.head = nn.Linear(hidden, n_genres)

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        x = self.first(z.masked_fill(~mask[..., None], 0))
        x = self.encoder(x + places(x.shape[1], x.shape[2]).to(x), src_key_padding_mask=~mask)
        return self.head(masked_mean(x.float(), mask))


def places(n: int, dim: int) -> Tensor:
    """(n, dim): sines and cosines of each place, their periods from 2 pi to 10,000 times that."""
    rate = torch.exp(-math.log(10000.0) * torch.arange(0, dim, 2) / dim)
    angle = torch.arange(n)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)
