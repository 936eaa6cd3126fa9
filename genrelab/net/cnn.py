"""A small convolutional net made for two cores: the picture shrinks before it is looked at closely."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d

from genrelab.net.base import Net
from genrelab.norm import FirstBatchNorm


class Cnn(Net):
    """A strided stem and three 3x3 convolutions; mean and maximum over time in each of a few frequency bands.

    About .2 M parameters. The stem's stride (4 bins, 2 frames) is what makes it cheap; the bands keep bass and treble
    apart to the end, because the same shape means another thing there.
    """

    smallest = (8, 8)

    def __init__(
        self, n_bins: int, n_frames: int, channels: Sequence[int], bands: int, dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.check(n_bins, n_frames)
        self.dim = dim
        stride = (min(4, n_bins // 8), min(2, n_frames // 8))
        steps = [stride, *[(2, 2) if k < 2 else (1, 1) for k in range(len(channels) - 1)]]
        layers: list[nn.Module] = []
        rows, c_in = n_bins, 1
        for k, (c_out, step) in enumerate(zip(channels, steps, strict=True)):
            kernel = (7, 5) if k == 0 else (3, 3)
            pad = (kernel[0] // 2, kernel[1] // 2)
            layers += [nn.Conv2d(c_in, c_out, kernel, step, pad, bias=False), FirstBatchNorm(c_out), nn.ReLU()]
            rows, c_in = -(-rows // step[0]), c_out
        self.body = nn.Sequential(*layers)
        self.bands = min(bands, rows)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * self.bands * c_in, dim), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        maps = self.body(x[:, None].contiguous())
        over_time = torch.cat([maps.mean(3), maps.amax(3)], 1)  # (N, 2 C, rows)
        return self.head(adaptive_avg_pool1d(over_time, self.bands).flatten(1))
