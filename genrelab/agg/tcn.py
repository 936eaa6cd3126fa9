"""Convolutions over the slices in their order, each layer reaching twice as far."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrelab.agg.base import Agg, masked_mean


class Tcn(Agg):
    """A temporal convolutional net (Bai, Kolter & Koltun 2018): residual layers of dilation 1, 2, 4 ...

    Not causal, since the whole song is there. Mean and maximum over its slices decide.
    """

    def __init__(self, dim: int, n_genres: int, several: bool, hidden: int, n_layers: int, dropout: float) -> None:
        super().__init__(dim, n_genres, several)
        self.first = nn.Linear(dim, hidden)
        self.layers = nn.ModuleList(nn.Conv1d(hidden, hidden, 3, padding=2**i, dilation=2**i) for i in range(n_layers))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, n_genres)

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        real = mask[:, None]
        x = self.first(z.masked_fill(~mask[..., None], 0)).transpose(1, 2)  # (B, hidden, S)
        for layer in self.layers:
            x = x.masked_fill(~real, 0)  # beyond the song there is silence for every layer
            x = x + self.dropout(torch.relu(layer(x)))
        x = x.transpose(1, 2).float()
        most = x.masked_fill(~mask[..., None], -torch.inf).amax(1)
        return self.head(torch.cat([masked_mean(x, mask), most], 1))
