"""The network that the discussion began with."""

from __future__ import annotations

from torch import Tensor, nn

from genrelab.net.base import Net


class Seed(Net):
    """Four blocks of 2x2 convolution, ELU and 2x2 maximum (64, 128, 256, 512 channels), dense 1024, dropout .5.

    34,250,950 parameters for 128x128 slices and six genres, the slice head's 6,150 included.
    """

    smallest = (16, 16)

    def __init__(self, n_bins: int, n_frames: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.check(n_bins, n_frames)
        self.dim = dim
        blocks: list[nn.Module] = []
        c_in = 1
        for c_out in (64, 128, 256, 512):
            # "same" padding of an even kernel: one row and column at the end. ELU rises, so after the maximum it gives
            # what it gave before it, at a quarter of the work
            blocks += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(c_in, c_out, 2), nn.MaxPool2d(2), nn.ELU(inplace=True)]
            c_in = c_out
        self.body = nn.Sequential(*blocks)
        for layer in self.body:
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(512 * (n_bins // 16) * (n_frames // 16), dim),
            nn.ELU(inplace=True),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, T) -> (N, dim)."""
        return self.dense(self.body(x[:, None].contiguous()))
