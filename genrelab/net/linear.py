"""The floor: what a net has to beat to be worth its cost."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrelab.net.base import Net

EPS = 1e-5  # of a variance: a bin that never moves has a gradient, too


class Linear(Net):
    """Mean and standard deviation over time of each bin, and one linear layer.

    It hears how loud each bin is and how much it moves, and nothing of when or in what order: the average spectrum.
    """

    smallest = (1, 1)

    def __init__(self, n_bins: int, n_frames: int, dim: int) -> None:
        super().__init__()
        self.check(n_bins, n_frames)
        self.dim = dim
        self.layer = nn.Linear(2 * n_bins, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        variance, mean = torch.var_mean(x, dim=2, correction=0)
        return self.layer(torch.cat([mean, (variance + EPS).sqrt()], 1))
