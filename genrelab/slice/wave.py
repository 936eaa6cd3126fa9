"""The waves that a learned front-end hears: each slice's samples with the context that its frames need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genrelab.slice.base import on_grid


def cut_waves(
    waves: Sequence[np.ndarray],
    spans: Sequence[Tensor],
    hop_s: float,
    *,
    hop: int,
    left: int,
    right: int,
    n_frames: int,
) -> tuple[Tensor, Tensor | None]:
    """Cuts songs' waves (samples,) at their spans (S, 2) in seconds, `left` and `right` samples of context around.

    Returns x (N, samples), silence where a song has none, and None where every span lies on the frame grid: then the
    frames of x are the slice's. Elsewhere (N, 3): where each span begins and ends in the frames of x, and how many of
    these are the song's.
    """
    together = torch.cat(list(spans)).to(torch.float64)
    owner = np.repeat(np.arange(len(spans)), [len(s) for s in spans])
    starts, places = on_grid(together, hop_s, n_frames), None
    if starts is None:
        begin, end = (together / hop_s).T
        step = (end - begin) / n_frames
        reach = step.clamp_min(1)
        final = torch.tensor([len(w) // hop for w in waves])[torch.from_numpy(owner)]
        starts = (begin - reach).floor().clamp_min(0).long()
        own = torch.minimum((end + reach).ceil().long(), final) - starts + 1
        n_frames = int(own.max())
        places = torch.stack([begin - starts, end - starts, own], 1)
    length = left + (n_frames - 1) * hop + 1 + right
    x = np.zeros((len(together), length), waves[0].dtype if len(waves) else np.float32)
    for k, (i, first) in enumerate(zip(owner.tolist(), (starts * hop - left).tolist(), strict=True)):
        part = waves[i][max(0, first) : max(0, first + length)]
        at = max(0, -first)
        x[k, at : at + len(part)] = part
    return torch.from_numpy(x).float(), places
