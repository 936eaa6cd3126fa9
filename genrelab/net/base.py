"""What every net is: a slice becomes an embedding."""

from __future__ import annotations

from torch import Tensor, nn


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
