"""A small residual net: every block adds to what it was given."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genrelab.net.base import Net
from genrelab.net.layers import Bands, conv, stem


class Resnet(Net):
    """Stages of basic blocks (He et al. 2016) behind a strided stem; the mean over time in a few frequency bands.

    Each stage begins with a stride of 2. Normalised by frozen first-batch statistics where the paper has batch
    normalisation, so that a slice never changes another's embedding.
    """

    smallest = (8, 8)

    def __init__(
        self,
        n_bins: int,
        n_frames: int,
        stem_channels: int,
        channels: Sequence[int],
        blocks: int,
        bands: int,
        dim: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.check(n_bins, n_frames)
        self.dim = dim
        layers: list[nn.Module] = [stem(n_bins, n_frames, stem_channels)]
        c_in = stem_channels
        for c_out in channels:
            for k in range(blocks):
                layers.append(_Block(c_in, c_out, 2 if k == 0 else 1))
                c_in = c_out
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(Bands(bands), nn.Dropout(dropout), nn.Linear(bands * c_in, dim), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        return self.head(self.body(x[:, None].contiguous()))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a way around them, which is a 1x1 convolution where the sizes differ."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv(c_in, c_out, (3, 3), (stride, stride)), nn.ReLU(), conv(c_out, c_out, (3, 3)))
        same = c_in == c_out and stride == 1
        self.around = nn.Identity() if same else conv(c_in, c_out, (1, 1), (stride, stride))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.convs(x) + self.around(x))
