"""What every aggregator is: the slices of a song become its decision."""

from __future__ import annotations

from torch import Tensor, nn


class Agg(nn.Module):
    """Embeddings (B, S, D), mask (B, S), slice scores (B, S, K) -> song log-scores (B, K).

    `mask` is True on real slices; what lies elsewhere never changes a result. A vote is a function of the slice scores
    alone and trains on them alone (`trained = False`); a trained aggregator also trains on the song's scores.
    """

    trained: bool = True

    def __init__(self, dim: int, n_genres: int) -> None:
        super().__init__()
        self.dim, self.n_genres = dim, n_genres

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:
        raise NotImplementedError


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real slices: (B, S, K), (B, S) -> (B, K)."""
    weight = mask[..., None].to(x.dtype)
    return (x.masked_fill(~mask[..., None], 0) * weight).sum(1) / weight.sum(1).clamp_min(1)
