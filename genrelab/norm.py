"""Normalising what the net sees: part of the model, never of the stored picture."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

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
        # a bin that never moves (above a codec's cut-off) is divided by 1 dB, not by nothing
        self.std.copy_((square / count - mean.square()).clamp_min(0).sqrt().clamp_min(1.0))

    def forward(self, x: Tensor, song: Tensor) -> Tensor:  # noqa: ARG002
        return (x - self.mean[:, None]) / self.std[:, None]
