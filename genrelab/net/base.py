"""What every net is: a slice becomes an embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm


class Net(nn.Module):
    """Slices (N, F, T) -> embeddings (N, dim). Completed with the n_bins and n_frames of the parts before it."""

    dim: int  # D
    smallest: tuple[int, int] = (1, 1)  # the smallest (F, T) that it takes

    def check(self, n_bins: int, n_frames: int) -> None:
        """Raises ValueError where the slices are too small for this net."""
        if n_bins < self.smallest[0] or n_frames < self.smallest[1]:
            f, t = self.smallest
            raise ValueError(
                f"net={type(self).__name__.lower()} takes slices of at least {f} bins x {t} frames,"
                f" got {n_bins} x {n_frames}"
            )

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError


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

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape."""
        if self.training and not self.ready:
            with torch.no_grad():
                variance, mean = torch.var_mean(x.float(), dim=(0, *range(2, x.dim())), correction=0)
                self.mean.copy_(mean)
                self.variance.copy_(variance)
                self.ready.fill_(True)
        return batch_norm(x, self.mean, self.variance, self.weight, self.bias)
