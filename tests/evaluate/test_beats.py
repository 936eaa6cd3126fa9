"""Figures of beat grids: cases by hand, a matching by brute force, properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from genrelab.evaluate.beats import f_measure, tempo_accuracy, tempo_bpm

TIMES = st.lists(st.integers(0, 300), max_size=12).map(lambda ticks: np.array(ticks) / 100)  # crowded: windows overlap


def brute(reference, estimated, window_s):
    """The most pairs that there can be, by an assignment solver."""
    if not len(reference) or not len(estimated):
        return 0.0
    near = np.abs(reference[:, None] - estimated[None]) <= window_s
    return 2 * near[linear_sum_assignment(-near.astype(int))].sum() / (len(reference) + len(estimated))


@pytest.mark.parametrize(
    ("reference", "estimated", "expected"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
        ([1, 2, 3, 4], [1.069, 2.069, 3.069, 4.069], 1.0),
        ([1, 2, 3, 4], [1.071, 2.071, 3.071, 4.071], 0.0),
        ([1, 2, 3, 4], [1, 3], 2 / 3),  # half the tempo: all right, half of them there
        ([1, 2, 3, 4], [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5], 2 / 3),
        ([1, 2, 3, 4], [1.5, 2.5, 3.5], 0.0),
        ([1.0], [0.95, 1.0, 1.05], 0.5),  # one beat is found once
        ([1.0, 1.06], [1.05, 1.12], 1.0),  # the nearest pair first would leave one over
        ([], [1, 2], 0.0),
        ([1, 2], [], 0.0),
        ([], [], 0.0),
    ],
)
def test_f_measure_by_hand(reference, estimated, expected):
    assert f_measure(reference, estimated) == pytest.approx(expected)


def test_what_lies_exactly_a_window_away_is_a_hit():
    assert f_measure([1.0, 3.0], [1.5, 2.5], window_s=0.5) == 1
    assert f_measure([1.0], [1.5], window_s=0.499) == 0


@settings(deadline=None, max_examples=300)
@given(TIMES, TIMES)
def test_no_pairing_has_more_hits(reference, estimated):
    window_s = 0.0701  # away from ties on the grid of 10 ms
    assert f_measure(reference, estimated, window_s) == pytest.approx(brute(reference, estimated, window_s))


@settings(deadline=None, max_examples=100)
@given(TIMES, TIMES, st.integers(1, 20), st.randoms())
def test_f_measure_knows_no_order_no_side_and_grows_with_the_window(reference, estimated, tenths, random):
    f = f_measure(reference, estimated, tenths / 100 + 0.0001)
    mixed = reference.copy()
    random.shuffle(mixed)
    assert f == f_measure(estimated, mixed, tenths / 100 + 0.0001)
    assert 0 <= f_measure(reference, estimated, 0.0001) <= f <= 1


def test_times_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        f_measure([1, float("nan")], [1])


def test_tempo_is_the_median_distance():
    assert tempo_bpm([0, 0.5, 1.0, 1.5, 3.5]) == pytest.approx(120)  # a gap does not count
    assert tempo_bpm([1.0]) == tempo_bpm([]) == tempo_bpm([2.0, 2.0]) == 0


@pytest.mark.parametrize(
    ("estimated", "one", "two"),
    [
        (120, 1, 1),
        (124.7, 1, 1),
        (115.3, 1, 1),
        (125, 0, 0),
        (240, 0, 1),
        (60, 0, 1),
        (40, 0, 1),
        (360, 0, 1),
        (62.5, 0, 0),
        (180, 0, 0),
        (30, 0, 0),
        (0, 0, 0),
    ],
)
def test_tempo_accuracy_by_hand(estimated, one, two):
    assert tempo_accuracy(120, estimated) == (one, two)


def test_four_percent_off_is_near_enough():
    assert tempo_accuracy([100, 100, 100, 100], [104, 96, 208, 192]) == (0.5, 1)
    assert tempo_accuracy([100, 100], [104.01, 207.9]) == (0, 0.5)


def test_tempo_accuracy_is_a_share():
    assert tempo_accuracy([100, 100, 100, 100], [100, 200, 150, 50]) == (0.25, 0.75)


@pytest.mark.parametrize(("reference", "estimated"), [([], []), ([100], [100, 100]), ([0], [100])])
def test_tempi_that_cannot_be_compared_are_refused(reference, estimated):
    with pytest.raises(ValueError, match="expected"):
        tempo_accuracy(reference, estimated)
