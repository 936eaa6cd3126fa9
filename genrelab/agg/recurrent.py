"""Recurrent nets over the slices in their order."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from genrelab.agg.base import Agg


class Recurrent(Agg):
    """A bidirectional net reads a song's slices in order; its two last states decide."""

    layer: ClassVar[type[nn.RNNBase]]

    def __init__(self, dim: int, n_genres: int, several: bool, hidden: int, dropout: float) -> None:
        super().__init__(dim, n_genres, several)
        made: Any = self.layer  # its own subclass knows which net it is
        self.net = made(dim, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * hidden, n_genres))

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        lengths = mask.sum(1).cpu()
        # a recurrent step gains nothing from half precision on a processor, and loses its packed kernel
        with torch.autocast(z.device.type, enabled=False):
            packed = pack_padded_sequence(z.float(), lengths, batch_first=True, enforce_sorted=False)
            state = self.net(packed)[1]
            last = state[0] if isinstance(state, tuple) else state  # (2, B, hidden)
            return self.head(torch.cat([last[0], last[1]], 1))


class Gru(Recurrent):
    """Gated recurrent units (Cho et al. 2014)."""

    layer = nn.GRU


class Lstm(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997)."""

    layer = nn.LSTM
