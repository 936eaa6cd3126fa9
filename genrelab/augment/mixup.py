"""Mixup (Zhang et al. 2018): two songs at once, of both their genres in the same shares."""

from __future__ import annotations

import torch
from torch import Tensor

from genrelab.types import UserError


class Mixup:
    """Every song of a batch is mixed with another, in shares of Beta(alpha, alpha); the larger share is its own."""

    def __init__(self, alpha: float) -> None:
        if not alpha > 0:
            raise UserError(f"augment.mixup.alpha={alpha}: expected more than 0")
        self.alpha = alpha

    def __call__(self, x: Tensor, n_slices: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Slices (N, F, T) of B songs, n_slices (B,) of each in turn, targets (B, K) -> mixed slices and targets."""
        n = len(n_slices)
        alpha = torch.full((n,), float(self.alpha))
        own = torch.distributions.Beta(alpha, alpha).sample().to(x.device)
        return mixed(x, n_slices, target, torch.randperm(n).to(x.device), torch.maximum(own, 1 - own))


def mixed(x: Tensor, n_slices: Tensor, target: Tensor, other: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Song i keeps own[i] of itself and takes the rest from song other[i], slice by slice; one with fewer slices begins
    anew."""
    n_slices = n_slices.to(x.device)
    first = torch.cumsum(n_slices, 0) - n_slices
    song = torch.repeat_interleave(torch.arange(len(n_slices), device=x.device), n_slices)
    place = torch.arange(len(song), device=x.device) - first[song]
    there = first[other[song]] + place % n_slices[other[song]]
    slices, songs = own[song, None, None].to(x.dtype), own[:, None].to(target.dtype)
    return x * slices + x[there] * (1 - slices), target * songs + target[other] * (1 - songs)
