"""Normalising: what the net sees, which is part of the model and never of the stored picture, and channels within."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

EPS = 1e-5


class Norm(nn.Module):
    """Slices (N, F, T) -> the same shape, of about zero mean and unit variance; `song` (N,) is each slice's song."""

    def fit(self, slices: Iterable[Tensor]) -> None:
        """Takes statistics of the training songs' slices (n, F, T) where the method has any."""

    def forward(self, x: Tensor, song: Tensor) -> Tensor:
        raise NotImplementedError


class NoNorm(Norm):
    """No statistics: the front-end's own scale is mapped to 0..1, as the grey values of a picture file are."""

    def __init__(self, n_bins: int, scale: tuple[float, float]) -> None:  # noqa: ARG002
        super().__init__()
        self.low, self.span = scale[0], scale[1] - scale[0]

    def forward(self, x: Tensor, song: Tensor) -> Tensor:  # noqa: ARG002
        return (x - self.low) / self.span


class SliceNorm(Norm):
    """Each slice less its own mean, over its own standard deviation: loudness is gone, the spectrum's shape stays."""

    def __init__(self, n_bins: int, scale: tuple[float, float]) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, x: Tensor, song: Tensor) -> Tensor:  # noqa: ARG002
        return (x - x.mean((1, 2), keepdim=True)) / (x.std((1, 2), keepdim=True) + EPS)


class SongNorm(Norm):
    """Each bin less its mean over the song's slices, over the song's standard deviation: a fixed equaliser is gone."""

    def __init__(self, n_bins: int, scale: tuple[float, float]) -> None:  # noqa: ARG002
        super().__init__()

    def forward(self, x: Tensor, song: Tensor) -> Tensor:
        n = int(song.max()) + 1
        count = torch.bincount(song, minlength=n).to(x.dtype)[:, None]
        mean = x.new_zeros(n, x.shape[1]).index_add_(0, song, x.mean(2)) / count
        x = x - mean[song, :, None]
        variance = x.new_zeros(n).index_add_(0, song, x.square().mean((1, 2))) / count[:, 0]
        return x / (variance.sqrt() + EPS)[song, None, None]


class TrainNorm(Norm):
    """Each bin by its mean and standard deviation over the training songs; both live in the checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, n_bins: int, scale: tuple[float, float]) -> None:  # noqa: ARG002
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_bins))
        self.register_buffer("std", torch.ones(n_bins))

    def fit(self, slices: Iterable[Tensor]) -> None:
        count, total, square = 0, torch.zeros_like(self.mean).double(), torch.zeros_like(self.mean).double()
        for part in slices:
            x = part.double()
            count += x.shape[0] * x.shape[2]
            total += x.sum((0, 2))
            square += x.square().sum((0, 2))
        mean = total / count
        self.mean.copy_(mean)
        std = (square / count - mean.square()).clamp_min(0).sqrt()
        # a bin that never moves (above a codec's cut-off) is divided by a tenth of what the others move, not by nothing
        self.std.copy_(std.clamp_min(max(float(std.mean()) / 10, EPS)))

    def forward(self, x: Tensor, song: Tensor) -> Tensor:  # noqa: ARG002
        return (x - self.mean[:, None]) / self.std[:, None]


class FirstBatchNorm(nn.Module):
    """Normalises channels by the statistics of the first batch seen in training, then frozen; learned scale and bias.

    The "actnorm" of Kingma & Dhariwal (2018, Glow, section 3.1). It trains as well as batch normalisation here and far
    better than group normalisation, and one process and two agree: a batch never changes another's result.
    """

    mean: Tensor
    variance: Tensor
    ready: Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(n_channels)), nn.Parameter(torch.zeros(n_channels))
        self.register_buffer("mean", torch.zeros(n_channels))
        self.register_buffer("variance", torch.ones(n_channels))
        self.register_buffer("ready", torch.tensor(False))
        self.asked = False  # whether `ready` was seen to be true: to look costs a wait for the device

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        if self.training and not self.asked and not self.ready:
            with torch.no_grad():
                variance, mean = torch.var_mean(x.float(), dim=(0, *range(2, x.dim())), correction=0)
                self.mean.copy_(mean)
                self.variance.copy_(variance)
                self.ready.fill_(True)
        self.asked = self.asked or self.training
        return batch_norm(x, self.mean, self.variance, self.weight, self.bias)
