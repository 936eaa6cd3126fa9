"""A bank of filters over the rows of a Fourier transform, most of whose weights are nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrelab.front.base import spectra

GROUP = 16  # filters weighed at a time: of the rows, only those that one of them hears


class Filters(nn.Module):
    """Weighs power spectra by a bank (rows, F) of triangles, in groups of neighbours: an eighth of the product."""

    bank: Tensor

    def __init__(self, bank: Tensor) -> None:
        super().__init__()
        self.register_buffer("bank", bank, persistent=False)
        self.ranges: list[tuple[int, int]] = []
        for n, group in enumerate(bank.split(GROUP, dim=1)):
            heard = torch.nonzero(group.any(1))[:, 0]
            first, last = (int(heard[0]), int(heard[-1])) if len(heard) else (0, 0)
            self.ranges.append((2 * first, 2 * last + 2))
            # a row twice: for the square of its real and of its imaginary part, as they lie in memory
            weights = group[first : last + 1].repeat_interleave(2, 0)
            self.register_buffer(f"group{n}", weights.contiguous(), persistent=False)

    def forward(self, wave: Tensor, window: Tensor, hop: int) -> Tensor:
        """A wave (B, samples) -> (B, 1 + samples // hop, F); a full-scale sine at a row's centre has power 1 there."""
        found = []
        for spectrum in spectra(wave, window, hop):
            squares = torch.view_as_real(spectrum).flatten(2).square()
            groups = [squares[..., a:b] @ self.get_buffer(f"group{n}") for n, (a, b) in enumerate(self.ranges)]
            found.append(torch.cat(groups, -1))
        return torch.cat(found, 1)
