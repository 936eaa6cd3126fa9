"""A net along time alone, made for the learned bins of `front=raw`, which have no order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genrelab.net.base import Net
from genrelab.norm import FirstBatchNorm


class Samplecnn(Net):
    """Convolutions of length 3 over time with the bins as channels, each followed by the maximum of 3 frames.

    After SampleCNN (Lee et al. 2017), which goes on so from the very samples; here the filters of the front-end stand
    for its first layers. Where one frame is left nothing more is pooled. Then mean and maximum over time. Any number
    of bins: their order means nothing to it.
    """

    smallest = (1, 3)

    def __init__(self, n_bins: int, n_frames: int, channels: Sequence[int], dim: int, dropout: float) -> None:
        super().__init__()
        self.check(n_bins, n_frames)
        self.dim = dim
        layers: list[nn.Module] = []
        c_in, frames = n_bins, n_frames
        for c_out in channels:
            layers += [nn.Conv1d(c_in, c_out, 3, padding=1, bias=False), FirstBatchNorm(c_out), nn.ReLU()]
            if frames > 1:
                layers.append(nn.MaxPool1d(3, ceil_mode=True))  # what is left at the end is heard, too
                frames = -(-frames // 3)
            c_in = c_out
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * c_in, dim), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        steps = self.body(x)
        return self.head(torch.cat([steps.mean(2), steps.amax(2)], 1))
