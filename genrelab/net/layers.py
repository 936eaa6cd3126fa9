"""What the convolutional nets are built from."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d

from genrelab.norm import FirstBatchNorm


def conv(c_in: int, c_out: int, kernel: tuple[int, int], stride: tuple[int, int] = (1, 1)) -> nn.Sequential:
    """A convolution that keeps the picture's size, its stride aside, and a normalisation of its channels."""
    pad = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(nn.Conv2d(c_in, c_out, kernel, stride, pad, bias=False), FirstBatchNorm(c_out))


def stem(n_bins: int, n_frames: int, channels: int) -> nn.Sequential:
    """The first look at a picture. Its stride, 4 bins and 2 frames, is what makes a net cheap; small ones keep more."""
    stride = (min(4, n_bins // 8), min(2, n_frames // 8))
    return nn.Sequential(conv(1, channels, (7, 5), stride), nn.ReLU())


class Bands(nn.Module):
    """The mean over time in each of a few frequency bands: (N, C, F, T) -> (N, C * bands)."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.bands = bands

    def forward(self, maps: Tensor) -> Tensor:
        return adaptive_avg_pool1d(maps.mean(3), self.bands).flatten(1)
