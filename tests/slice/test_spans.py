"""The spans of many songs in one array: each song's are given back as they came."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genrelab.slice.base import Spans, on_grid

HOP_S, T = 0.02, 128


def song(n_slices: int, first: int = 0) -> Tensor:
    """Slices of 128 frames one after another, on the frame grid."""
    starts = (first + T * torch.arange(n_slices, dtype=torch.float64)) * HOP_S
    return torch.stack([starts, starts + T * HOP_S], 1)


@settings(deadline=None, max_examples=50)
@given(counts=st.lists(st.integers(0, 4), max_size=12))
def test_every_song_has_its_own_spans(counts: list[int]) -> None:
    songs = [song(n, first=7 * i) for i, n in enumerate(counts)]
    spans = Spans(songs)
    assert len(spans) == len(songs)
    assert spans.values.shape == (sum(counts), 2)
    for i, own in enumerate(songs):
        assert torch.equal(spans[i], own)
        assert torch.equal(spans[i - len(songs)], own)  # from the end
    assert [len(own) for own in spans] == counts
    assert all(torch.equal(a, b) for a, b in zip(spans[1:3], songs[1:3], strict=True))
    for beyond in (len(songs), -len(songs) - 1):
        with pytest.raises(IndexError):
            spans[beyond]


def test_thousands_of_songs_stay_in_their_order() -> None:
    counts = np.arange(2345) % 3
    spans = Spans(song(int(n), first=i) for i, n in enumerate(counts))
    assert len(spans) == 2345
    for i in (0, 998, 999, 1000, 1001, 1999, 2000, 2344):
        assert torch.equal(spans[i], song(int(counts[i]), first=i))


def test_first_frames_are_those_of_all_songs_where_all_are_exact_cuts() -> None:
    spans = Spans([song(2), song(0), song(1, first=20)])
    assert spans.grid(HOP_S, T).tolist() == [0, 128, 20]
    assert spans.grid(HOP_S, T).tolist() == on_grid(spans.values, HOP_S, T).tolist()
    assert spans.grid(HOP_S, T - 1) is None  # each length has an answer of its own
    assert spans.grid(HOP_S, T).tolist() == [0, 128, 20]
    assert Spans([song(2), song(1) + HOP_S / 2]).grid(HOP_S, T) is None
