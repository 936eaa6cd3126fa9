"""Pitch classes: the contract, triads, octaves and quarter tones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.front.contract import check_front, inner, tone
from tests.parts import SAMPLE_RATE, part

C, E, G = 0, 4, 7


def note(semitones_above_c4: float, level: float = 1.0) -> Tensor:
    return tone(261.6256 * 2 ** (semitones_above_c4 / 12), SAMPLE_RATE, 1.5, level)


def heard(n_bins: int, wave: Tensor) -> Tensor:
    """Mean power of every class."""
    front = part("front/chroma", n_bins=n_bins, amplitude="power")
    return inner(front, front(wave))[0].mean(1)


@pytest.mark.parametrize("n_bins", [12, 24])
def test_contract(n_bins: int) -> None:
    check_front(part("front/chroma", n_bins=n_bins), SAMPLE_RATE)


@pytest.mark.parametrize(("root", "inversion"), [(0, 0), (0, 1), (5, 0), (-12, 2)])
def test_a_major_triad(root: int, inversion: int) -> None:
    """C major, an inversion, F major, and C major far apart: the loudest three classes are the chord's."""
    steps = [0, 4, 7]
    steps = [s + 12 * (i < inversion) for i, s in enumerate(steps)]
    chord = sum((note(root + s, 0.3) for s in steps), torch.zeros(1))
    expected = {(root + s) % 12 for s in (C, E, G)}
    assert set(heard(12, chord).topk(3).indices.tolist()) == expected


@pytest.mark.parametrize("octave", [-3, -2, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("pitch", [0, 9])
def test_a_note_is_the_same_class_in_every_octave(pitch: int, octave: int) -> None:
    power = heard(12, note(pitch + 12 * octave))
    assert int(power.argmax()) == pitch
    assert float(power[pitch]) == pytest.approx(1, abs=0.01)
    beside = power[[(pitch - 1) % 12, (pitch + 1) % 12]]
    at_the_end = {(0, -3), (0, 3)}  # no octave below the first bin: B above C7 is there, B below C1 is not
    if (pitch, octave) not in at_the_end:
        assert torch.allclose(beside, torch.tensor(0.25), atol=0.04)
    others = [k for k in range(12) if (k - pitch + 1) % 12 > 2]
    assert power[others].max() < 0.01


@pytest.mark.parametrize("octave", [-2, 0, 2])
def test_24_classes_tell_a_quarter_tone_apart(octave: int) -> None:
    """A quarter tone above A is a class of its own, 6 dB over A and B flat; of 12 classes it lies in two alike."""
    quarter = note(9.5 + 12 * octave)
    fine, coarse = heard(24, quarter), heard(12, quarter)
    assert int(fine.argmax()) == 19
    assert fine[19] > 3 * max(fine[18], fine[20])
    assert float(coarse[9] / coarse[10]) == pytest.approx(1, abs=0.1)


def test_other_numbers_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"front\.n_bins=36: front=chroma has 12 or 24 classes"):
        part("front/chroma", n_bins=36)
