"""Songs and scores that tasks are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from genrelab.types import Scores, Track

OWNER = torch.tensor([0, 0, 0, 1])  # a song of three slices and one of one


def scores(dtype: torch.dtype = torch.float32) -> Scores:
    """Of two songs and three genres."""
    random = torch.Generator().manual_seed(0)
    song, slices = torch.randn(2, 3, generator=random), torch.randn(4, 3, generator=random)
    return Scores(song.to(dtype), slices.to(dtype), OWNER, torch.zeros(4, 8))


def tracks(*genres: str) -> list[Track]:
    """A song each: `rap`, `rap|rock`, `rap:0.6|rock:0.4`, or nothing for a song of no genre."""
    made = []
    for i, text in enumerate(genres):
        parts = [p.partition(":") for p in text.split("|") if p]
        weights = tuple(float(w) for _, _, w in parts) if ":" in text else None
        made.append(Track(f"song {i}", Path(f"/{i}.wav"), tuple(g for g, _, _ in parts), weights))
    return made


def cross_entropy(log_scores: torch.Tensor, target: torch.Tensor, smoothing: float) -> float:
    """By hand: a share `smoothing` of each target is spread evenly over all genres."""
    x, t = log_scores.double().numpy(), target.double().numpy()
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    t = t * (1 - smoothing) + smoothing / t.shape[1]
    return float(-(t * log_p).sum(1).mean())
