"""Where a song is cut, and how a cut of any length becomes T frames."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from genrelab.types import Beats


class Slicer(Protocol):
    """Says where to cut a song, in seconds; every cut becomes n_frames frames."""

    n_frames: int
    max_per_song: int | None  # how many slices of a song one training step takes
    jitter: bool  # shift training cuts by a random part of a hop
    min_s: float  # the shortest song that gives a slice

    def spans(self, duration_s: float, beats: Beats | None) -> Tensor: ...  # (S, 2)


def on_grid(spans: Tensor, hop_s: float, n_frames: int) -> Tensor | None:
    """First frames (S,) of spans (S, 2) that are n_frames long and begin on a frame; None if any is not."""
    starts = (spans[:, 0] / hop_s).round()
    exact = torch.stack([starts, starts + n_frames], 1) * hop_s
    return starts.long() if torch.allclose(spans, exact, rtol=0, atol=1e-6) else None


def cut(picture: Tensor, spans: Tensor, hop_s: float, n_frames: int) -> Tensor:
    """Cuts a picture (F, frames) at spans (S, 2) in seconds -> (S, F, n_frames).

    On the frame grid this is exact indexing. Elsewhere frames are interpolated linearly; where a span shrinks, the
    interpolating triangle widens by the same ratio, so that nothing folds over.
    """
    starts = on_grid(spans, hop_s, n_frames)
    if starts is not None:
        return picture[:, starts[:, None] + torch.arange(n_frames)].transpose(0, 1)
    frames = torch.arange(picture.shape[1], dtype=torch.float64)
    out = []
    for begin, end in spans.to(torch.float64) / hop_s:
        step = (end - begin) / n_frames
        at = begin + torch.arange(n_frames, dtype=torch.float64) * step
        first, last = int((at[0] - step).floor().clamp_min(0)), int((at[-1] + step).ceil()) + 2
        weights = (1 - (frames[first:last] - at[:, None]).abs() / step.clamp_min(1)).clamp_min(0)
        weights = weights / weights.sum(1, keepdim=True)
        out.append(picture[:, first:last] @ weights.T.to(picture.dtype))
    return torch.stack(out) if out else picture.new_zeros(0, picture.shape[0], n_frames)
