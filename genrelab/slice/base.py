"""Where a song is cut, and how a cut of any length becomes T frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from genrelab.types import Beats


class Spans(Sequence[Tensor]):
    """The spans of many songs, (S, 2) seconds each, in one array: a tensor a song would weigh more than it holds."""

    def __init__(self, songs: Iterable[Tensor]) -> None:
        parts, counts = [torch.zeros(0, 2)], [0]
        waiting: list[Tensor] = []
        for spans in songs:
            waiting.append(spans)
            counts.append(len(spans))
            if len(waiting) == 1000:
                parts.append(torch.cat(waiting))
                waiting = []
        self.values = torch.cat([*parts, *waiting])
        self.first = np.cumsum(counts)
        self._grids: dict[tuple[float, int], np.ndarray | None] = {}

    def grid(self, hop_s: float, n_frames: int) -> np.ndarray | None:
        """The first frame of every span, packed; None where they are not all exact cuts (see `on_grid`)."""
        if (hop_s, n_frames) not in self._grids:
            starts = on_grid(self.values, hop_s, n_frames)
            self._grids[hop_s, n_frames] = None if starts is None else starts.numpy()
        return self._grids[hop_s, n_frames]

    def __len__(self) -> int:
        return len(self.first) - 1

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        i = range(len(self))[i]
        return self.values[self.first[i] : self.first[i + 1]]


class Slicer(Protocol):
    """Says where to cut a song, in seconds; every cut becomes n_frames frames."""

    n_frames: int
    max_per_song: int | None  # how many slices of a song one training step takes
    jitter: bool  # shift training cuts by a random part of a hop
    min_s: float  # a song of this length or longer gives a slice, whatever its beats
    needs_beats: bool  # whether `spans` looks at the beats

    def spans(self, duration_s: float, beats: Beats | None) -> Tensor: ...  # (S, 2)

    def follows(self, beats: Beats | None, duration_s: float) -> bool: ...  # whether `spans` cuts at these beats


def on_grid(spans: Tensor, hop_s: float, n_frames: int) -> Tensor | None:
    """First frames (S,) of spans (S, 2) that are n_frames long and begin on a frame; None if any is not."""
    starts = (spans[:, 0] / hop_s).round()
    exact = torch.stack([starts, starts + n_frames], 1) * hop_s
    return starts.long() if torch.allclose(spans, exact, rtol=0, atol=1e-6) else None


def cut(picture: Tensor, spans: Tensor, hop_s: float, n_frames: int) -> Tensor:
    """Cuts a picture (F, frames) at spans (S, 2) in seconds -> (S, F, n_frames).

    On the frame grid this is exact indexing, elsewhere as `resample` has it; beyond the picture its last frame stays.
    """
    starts = on_grid(spans, hop_s, n_frames)
    if starts is not None:
        at = (starts[:, None] + torch.arange(n_frames)).clamp(0, picture.shape[1] - 1)
        return picture[:, at].transpose(0, 1)
    index, weight = taps(spans / hop_s, n_frames)
    return _mix(picture.T, index.clamp(0, picture.shape[1] - 1), weight)


def resample(pictures: Tensor, spans: Tensor, n_frames: int, own: Tensor | None = None) -> Tensor:
    """Cuts each of N pictures (N, F, frames) at its span (N, 2) in frames -> (N, F, n_frames).

    Frame j is the picture at begin + j * (end - begin) / n_frames: linear between frames where a span is stretched, and
    smoothed where it shrinks, so that little folds over. Differentiable in the pictures. own (N,): how many frames of
    each picture are the song's, None for all; beyond the first and the last of them, these stay.
    """
    n, _, frames = pictures.shape
    index, weight = taps(spans, n_frames)
    last = torch.full((n,), frames - 1) if own is None else own.to("cpu", torch.long) - 1
    index = torch.minimum(index.clamp_min(0), last[:, None, None]) + frames * torch.arange(n)[:, None, None]
    return _mix(pictures.transpose(1, 2).flatten(0, 1), index, weight)


def taps(spans: Tensor, n_frames: int) -> tuple[Tensor, Tensor]:
    """Spans (S, 2) in frames -> the frames that each frame of the cuts is made of and their weights, (S, n_frames, K).

    A frame is the value, at its place, of the straight line that fits its neighbours best under a triangle as wide as
    two frames of the cut, and as two of the picture at least (local linear regression: Fan & Gijbels 1996, section 3).
    The line is what keeps a ramp a ramp: a plain mean under a triangle of a broken number of frames is off its centre.
    No weight is negative, their sum is 1; at a width of two frames of the picture this is linear interpolation.
    """
    begin, end = spans.to("cpu", torch.float64).unbind(1)
    step = (end - begin)[:, None, None] / n_frames
    at = begin[:, None, None] + torch.arange(n_frames)[:, None] * step
    width = step.clamp_min(1)
    n_taps = int((2 * width).ceil().max()) if len(spans) else 1
    frames = (at - width).floor() + 1 + torch.arange(n_taps)
    away = frames - at
    weight = (1 - away.abs() / width).clamp_min(0)
    tilt = (weight * away).sum(2, keepdim=True) / (weight * away.square()).sum(2, keepdim=True).clamp_min(1e-12)
    weight = weight * (1 - tilt * away)
    return frames.long(), weight / weight.sum(2, keepdim=True)


def _mix(rows: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Rows (R, F), index and weight (S, T, K) -> weighted sums (S, F, T)."""
    index, weight = index.to(rows.device), weight.to(rows)
    mixed = nn.functional.embedding_bag(index.flatten(0, 1), rows, per_sample_weights=weight.flatten(0, 1), mode="sum")
    return mixed.unflatten(0, index.shape[:2]).transpose(1, 2)
