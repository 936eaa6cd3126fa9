"""The slice net of an earlier run, which learns nothing more."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from genrelab.net.base import Net


class Frozen(Net):
    """The net of `run` with its weights: no gradients, no dropout. `net` is that run's own part, filled in from it."""

    def __init__(self, n_bins: int, n_frames: int, run: str | None, net: Callable[..., Net] | None) -> None:
        super().__init__()
        if run is None or net is None:
            raise ValueError("net=frozen takes the slice net of an earlier run: give net.run=RUN (an id, a name, last)")
        self.inner = net(n_bins=n_bins, n_frames=n_frames)
        self.dim, self.smallest = self.inner.dim, self.inner.smallest
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> Frozen:  # noqa: ARG002
        """Stays as it answers in a test."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        return self.inner(x)
