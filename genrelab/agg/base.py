"""What every aggregator is: the slices of a song become its decision."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Agg(nn.Module):
    """Embeddings (B, S, D), mask (B, S), slice scores (B, S, K) -> song scores (B, K).

    The song's probabilities are the scores' softmax, or their sigmoids where `several` genres may be true. `mask` is
    True on real slices; what lies elsewhere never changes a result. A vote is a function of the slice scores alone and
    trains on them alone (`trained = False`); a trained aggregator also trains on the song's scores.
    """

    trained: ClassVar[bool] = True
    order_free: ClassVar[bool] = False  # whether the slices may come in any order

    def __init__(self, dim: int, n_genres: int, several: bool) -> None:
        super().__init__()
        self.dim, self.n_genres, self.several = dim, n_genres, several

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:
        raise NotImplementedError

    def probabilities(self, scores: Tensor) -> Tensor:
        """Scores (..., K) -> probabilities, in full precision."""
        return scores.float().sigmoid() if self.several else scores.float().softmax(-1)

    def log_scores(self, p: Tensor) -> Tensor:
        """Probabilities (..., K) -> scores that `probabilities` would give them from."""
        return p.clamp(1e-6, 1 - 1e-6).logit() if self.several else p.clamp_min(1e-12).log()


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real slices: (B, S, K), (B, S) -> (B, K)."""
    weight = mask[..., None].to(x.dtype)
    return x.masked_fill(~mask[..., None], 0).sum(1) / weight.sum(1).clamp_min(1)


def head(n_in: int, hidden: int, n_genres: int, dropout: float) -> nn.Sequential:
    """What ends a trained aggregator: (B, n_in) -> (B, K)."""
    return nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_genres))
