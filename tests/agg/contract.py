"""Songs that aggregators are shown: noise, and slices of known probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from genrelab.agg.base import Agg
from tests.parts import names, part

AGGS = names("agg")
D, K = 16, 4
VOTES = ("confidence", "logits", "mean", "vote")  # what a song's slices say, put together without learning
ORDER_FREE = (*VOTES, "attention", "stats")

Song = tuple[Tensor, Tensor, Tensor]  # z (1, S, D), mask (1, S), slice scores (1, S, K)


def made(name: str, n_genres: int = K, several: bool = False, **options: Any) -> Agg:
    torch.manual_seed(0)
    return part(f"agg/{name}", **options)(dim=D, n_genres=n_genres, several=several).eval()


def song(n_slices: int, seed: int = 0, n_genres: int = K) -> Song:
    """Noise."""
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(1, n_slices, D, generator=random)
    return z, torch.ones(1, n_slices, dtype=torch.bool), 3 * torch.randn(1, n_slices, n_genres, generator=random)


def scored(rows: Sequence[Sequence[float]] | Tensor, several: bool = False) -> Song:
    """Slices with these probabilities."""
    p = torch.as_tensor(rows)
    scores = p.logit() if several else p.log()
    return torch.zeros(1, len(p), D), torch.ones(1, len(p), dtype=torch.bool), scores[None]


def together(songs: Sequence[Song], n_slices: int, elsewhere: float | None = None, seed: int = 0) -> Song:
    """Songs in one batch of n_slices each; what is no slice is loud noise, or `elsewhere`."""
    random = torch.Generator().manual_seed(seed)
    n, n_genres = len(songs), songs[0][2].shape[2]
    z, scores = (50 * torch.randn(n, n_slices, size, generator=random) for size in (D, n_genres))
    if elsewhere is not None:
        z, scores = torch.full_like(z, elsewhere), torch.full_like(scores, elsewhere)
    mask = torch.zeros(n, n_slices, dtype=torch.bool)
    for i, (own_z, own_mask, own_scores) in enumerate(songs):
        own = own_mask.shape[1]
        z[i, :own], mask[i, :own], scores[i, :own] = own_z[0], own_mask[0], own_scores[0]
    return z, mask, scores
