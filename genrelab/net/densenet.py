"""A small densely connected net: every layer is given all that the layers before it made."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrelab.net.base import Net
from genrelab.net.layers import Bands, stem
from genrelab.norm import FirstBatchNorm


class Densenet(Net):
    """Dense blocks (Huang et al. 2017) behind a strided stem; the mean over time in a few frequency bands.

    Every layer adds `growth` channels. Between blocks a 1x1 convolution halves the channels and a mean the picture.
    Normalised by frozen first-batch statistics where the paper has batch normalisation.
    """

    smallest = (8, 8)

    def __init__(
        self,
        n_bins: int,
        n_frames: int,
        stem_channels: int,
        growth: int,
        blocks: int,
        layers: int,
        bands: int,
        dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.check(n_bins, n_frames)
        self.dim = dim
        parts: list[nn.Module] = [stem(n_bins, n_frames, stem_channels), nn.MaxPool2d(3, 2, 1)]
        c = stem_channels
        for k in range(blocks):
            if k:
                parts += [_first(c), nn.Conv2d(c, c // 2, 1, bias=False), nn.AvgPool2d(2, ceil_mode=True)]
                c //= 2
            for _ in range(layers):
                parts.append(_Layer(c, growth))
                c += growth
        self.body = nn.Sequential(*parts, _first(c))
        self.head = nn.Sequential(Bands(bands), nn.Dropout(dropout), nn.Linear(bands * c, dim), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        return self.head(self.body(x[:, None].contiguous()))


def _first(channels: int) -> nn.Sequential:
    """What stands before each convolution."""
    return nn.Sequential(FirstBatchNorm(channels), nn.ReLU())


class _Layer(nn.Module):
    """(N, C, F, T) -> (N, C + growth, F, T): what it was given, and what it makes of it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.new = nn.Sequential(_first(channels), nn.Conv2d(channels, growth, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.new(x)], 1)
