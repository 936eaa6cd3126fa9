"""Pictures have low frequencies first on a page, whatever the front-end has, and pitch classes have their names."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genrelab.panels import panel, pitches, upwards
from tests.parts import SAMPLE_RATE, part

TONE = 0.02 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
TONE = TONE.astype(np.float32)


@pytest.mark.parametrize("front", ["mel", "carfac", "cqt"])
def test_frequencies_rise_and_the_tone_lies_at_its_own(front: str) -> None:
    made = part(f"front/{front}")
    drawn = made(torch.from_numpy(TONE)[None])[0].numpy()
    shown = panel(front, made, drawn, "a note")
    assert shown.bin_hz is not None
    assert (np.diff(shown.bin_hz) > 0).all()
    at = int(shown.values[:, 25].argmax())
    assert shown.bin_hz[at] == pytest.approx(440, rel=0.1)
    np.testing.assert_array_equal(upwards(made, drawn), shown.values)
    assert (shown.name, shown.note, shown.bin_names) == (front, "a note", ())


def test_a_falling_front_end_is_turned_over() -> None:
    values = np.arange(6).reshape(3, 2)
    falling, rising, none = (SimpleNamespace(bin_hz=hz) for hz in (torch.tensor([9, 5, 1]), torch.arange(3), None))
    np.testing.assert_array_equal(upwards(falling, values), values[::-1])
    np.testing.assert_array_equal(upwards(rising, values), values)
    np.testing.assert_array_equal(upwards(none, values), values)


def test_pitch_classes_begin_where_the_front_end_does() -> None:
    assert pitches(part("front/chroma"))[:4] == ("C", "C♯", "D", "D♯")
    assert pitches(part("front/chroma", f_min=55.0))[:2] == ("A", "A♯")
    assert pitches(part("front/chroma", n_bins=24))[:3] == ("C", "C+", "C♯")
    assert pitches(part("front/mfcc")) == ()
    assert panel("mfcc", part("front/mfcc"), np.zeros((20, 3))).bin_hz is None
