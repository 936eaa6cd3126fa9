"""A recurrent net over the slices in their order."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from genrelab.agg.base import Agg


class Gru(Agg):
    """A bidirectional GRU (Cho et al. 2014) reads a song's slices in order; its two last states decide."""

    def __init__(self, dim: int, n_genres: int, hidden: int, dropout: float) -> None:
        super().__init__(dim, n_genres)
        self.gru = nn.GRU(dim, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * hidden, n_genres))

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        lengths = mask.sum(1).cpu()
        # a recurrent step gains nothing from half precision on a processor, and loses its packed kernel
        with torch.autocast(z.device.type, enabled=False):
            packed = pack_padded_sequence(z.float(), lengths, batch_first=True, enforce_sorted=False)
            last = self.gru(packed)[1]  # (2, B, hidden)
            return self.head(torch.cat([last[0], last[1]], 1)).log_softmax(-1)
