"""A small convolutional net made for two cores: the picture shrinks before it is looked at closely."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrelab.net.base import Net


class Cnn(Net):
    """A strided stem and three 3x3 convolutions with GroupNorm; mean and maximum over time and frequency.

    About .2 M parameters. A large stride in the stem is what makes it cheap: three quarters of the work of an image
    network is done at a resolution that a genre does not need.
    """

    smallest = (8, 8)

    def __init__(self, n_bins: int, n_frames: int, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.check(n_bins, n_frames)
        self.dim = dim
        stride = (min(4, max(1, n_bins // 8)), min(4, max(1, n_frames // 8)))
        w = width

        def block(c_in: int, c_out: int, kernel: int | tuple[int, int], step: int | tuple[int, int]) -> nn.Sequential:
            pad = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
            return nn.Sequential(
                nn.Conv2d(c_in, c_out, kernel, step, pad, bias=False), nn.GroupNorm(8, c_out), nn.ReLU(inplace=True)
            )

        self.body = nn.Sequential(
            block(1, w, (2 * stride[0] - 1, 2 * stride[1] - 1), stride),
            block(w, 2 * w, 3, 2),
            block(2 * w, 3 * w, 3, 2),
            block(3 * w, 4 * w, 3, 1),
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(8 * w, dim), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        maps = self.body(x[:, None])
        return self.head(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))
