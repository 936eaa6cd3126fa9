"""Waves for learned front-ends: every sample in its place, silence where the song has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genrelab.slice.wave import cut_waves

HOP, LEFT, RIGHT, T = 10, 23, 7, 5
HOP_S = 0.1
SIZES = {"hop": HOP, "left": LEFT, "right": RIGHT, "n_frames": T}


def ramp(n: int) -> np.ndarray:
    """Sample i is i + 1: nothing in the song is 0."""
    return np.arange(1, n + 1, dtype=np.int16)


def test_on_the_grid_frame_j_hears_its_context() -> None:
    x, places = cut_waves([ramp(203)], [torch.tensor([[0.0, 0.5], [1.2, 1.7]])], HOP_S, **SIZES)
    assert places is None
    assert x.shape == (2, LEFT + (T - 1) * HOP + 1 + RIGHT)
    for k, first in enumerate((0, 12)):
        for j in range(T):
            centre = (first + j) * HOP
            assert x[k, LEFT + j * HOP] == centre + 1
    assert (x[0, :LEFT] == 0).all()  # before the song there is silence
    assert x[1, 0] == 120 - LEFT + 1


def test_behind_the_song_there_is_silence() -> None:
    x, _ = cut_waves([ramp(45)], [torch.tensor([[0.0, 0.5]])], HOP_S, **SIZES)
    assert x[0, LEFT : LEFT + 45].tolist() == list(range(1, 46))
    assert (x[0, LEFT + 45 :] == 0).all()


def test_songs_of_a_batch_keep_to_themselves() -> None:
    spans = [torch.tensor([[0.0, 0.5]]), torch.zeros(0, 2), torch.tensor([[0.2, 0.7], [0.0, 0.5]])]
    x, _ = cut_waves([ramp(90), ramp(10), -ramp(99)], spans, HOP_S, **SIZES)
    assert (x[0] >= 0).all()
    assert (x[1:] <= 0).all()
    assert x[1, LEFT] == -21


@pytest.mark.parametrize("length_s", [0.33, 0.5, 1.27])
def test_off_the_grid_places_are_seconds_in_frames(length_s: float) -> None:
    spans = torch.tensor([[0.0, length_s], [0.314, 0.314 + length_s], [2.0 - length_s, 2.0]], dtype=torch.float64)
    wave = ramp(200)
    x, places = cut_waves([wave], [spans], HOP_S, **SIZES)
    assert places is not None
    frames = (x.shape[1] - LEFT - RIGHT - 1) // HOP + 1
    for row, (begin, end, own), span in zip(x, places, spans, strict=True):
        heard = row[LEFT : LEFT + int(own - 1) * HOP + 1 : HOP]
        first = round((float(heard[0]) - 1) / HOP) if heard[0] else None
        assert first is not None
        assert (first + begin) * HOP_S == pytest.approx(float(span[0]))
        assert (first + end) * HOP_S == pytest.approx(float(span[1]))
        assert own <= frames
        assert begin <= max(1, length_s / HOP_S / T) + 1  # no more is heard before a span than its frames look back
        assert first + own - 1 <= len(wave) // HOP  # no frame is taken for the song's that lies behind it


def test_no_slice_at_all() -> None:
    x, places = cut_waves([ramp(30)], [torch.zeros(0, 2)], HOP_S, **SIZES)
    assert len(x) == 0
    assert places is None
