"""What a picture is made of, whatever it shows: how far it changes from bin to bin and from frame to frame.

A net trained to tell genres apart throws away what all genres share, so that noise may land where music does. Texture
keeps just that. Its figures are logarithms: a sound with too little of something is as far from music as one with too
much.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d

BANDS = 8  # of frequency, each with figures of its own
LAGS = (1, 2)  # bins
FLOOR = 1e-3  # of a squared step, where a picture's deviation is about 1: what is smoother counts as flat


def texture(pictures: Tensor) -> Tensor:
    """Normalised pictures (N, F, T) -> (N, figures), in each of a few bands of frequency.

    The level; the logarithm of the mean squared step (a variogram, Matheron 1963) from a frame to the next, from a bin
    to the next and to the one after it, and the latter two in the mean spectrum too.
    """
    x = pictures.float()
    spectrum = x.mean(2)
    steps = [(x[:, :, 1:] - x[:, :, :-1]).square().mean(2)] if x.shape[2] > 1 else []
    for lag in (n for n in LAGS if n < x.shape[1]):
        steps.append((x[:, lag:] - x[:, :-lag]).square().mean(2))
        steps.append((spectrum[:, lag:] - spectrum[:, :-lag]).square())
    return torch.cat([_bands(spectrum), *((_bands(s) + FLOOR).log() for s in steps)], 1)


def _bands(x: Tensor) -> Tensor:
    """(N, F) -> (N, BANDS) means, or (N, F) where there are fewer bins."""
    return adaptive_avg_pool1d(x[:, None], min(BANDS, x.shape[1]))[:, 0]
