"""The picture of calibration: what is drawn is the figures."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex

from genrelab.evaluate.calibration import aurc, ece, reliability, risk_coverage
from genrelab.report import style
from genrelab.report.reliability import N_BINS, reliability_chart, reliability_picture, risk_chart
from tests.report.reading import lies_well


def believed(power, n=200, seed=0):
    """Confidence and whether it was right: exactly as often as it says where the power is 1."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(4, 1.5, n)
    return chance**power, rng.random(n) < chance


def test_both_curves_are_the_bins_and_say_their_error():
    before, after = believed(0.3), believed(1.0)
    left, _ = reliability_picture(before, after, after, "a run").axes
    shown = {c.get_label(): c for c in left.collections}
    assert list(shown) == [
        f"uncalibrated, ECE {100 * ece(*before):.1f} %",
        f"calibrated, ECE {100 * ece(*after):.1f} %",
    ]
    assert [t.get_text() for t in left.get_legend().get_texts()] == list(shown)
    for dots, said in zip(shown.values(), (before, after), strict=True):
        confidence, accuracy, count = reliability(*said, N_BINS)
        there = count > 0
        np.testing.assert_allclose(dots.get_offsets(), np.column_stack([confidence, accuracy])[there])
        assert (np.argsort(dots.get_sizes(), kind="stable") == np.argsort(count[there], kind="stable")).all()
    assert to_hex(shown[list(shown)[1]].get_facecolor()[0]) == style.SIDE_COLOURS["val"]


def test_without_a_temperature_there_is_one_curve():
    before = believed(0.3)
    left, _ = reliability_picture(before, None, before, "a run").axes
    assert [t.get_text() for t in left.get_legend().get_texts()] == [f"uncalibrated, ECE {100 * ece(*before):.1f} %"]


def test_risk_over_coverage_is_drawn_with_its_area_and_where_all_are_answered():
    songs = believed(1.0)
    _, right = reliability_picture(songs, None, songs, "a run").axes
    (curve, all_answered) = right.get_lines()
    np.testing.assert_allclose(curve.get_xydata(), np.column_stack(risk_coverage(*songs)))
    assert curve.get_ydata()[-1] == pytest.approx(all_answered.get_ydata()[0]) == pytest.approx(1 - songs[1].mean())
    said = [t.get_text() for t in right.texts]
    assert said == [f"all answered: {100 * (1 - songs[1].mean()):.1f} %", f"AURC {aurc(*songs):.3f}"]


@pytest.mark.parametrize("power", [0.1, 1.0, 8.0])  # too sure, as it is, not sure enough
@pytest.mark.parametrize("right", ["some", "all", "none"])
def test_words_lie_well(power, right):
    confidence, was = believed(power)
    was = {"some": was, "all": np.ones_like(was), "none": np.zeros_like(was)}[right]
    title = "mel-cnn-transformer-a-long-data-set-s0: 1234 test songs"
    lies_well(reliability_picture((confidence, was), (confidence, was), (confidence, was), title))


def test_the_charts_of_a_page_show_the_same_bins_and_risk():
    before, after = believed(0.3), believed(1.0)
    made = reliability_chart(before, after)
    for said, colour in ((before, "q"), (after, "a")):
        n = int((reliability(*said, N_BINS)[2] > 0).sum())
        assert made.count(f'<circle class="dot {colour}"') == n
        assert f"ECE {100 * ece(*said):.1f} %" in made
    alone = reliability_chart(before, None)
    assert "dot q" not in alone and "calibrated" not in alone.replace("uncalibrated", "")
    risk = risk_chart(after)
    (way,) = re.findall(r'class="line a" d="([^"]*)"', risk)
    assert way.count("L") + 1 == len(risk_coverage(*after)[0])
    assert f"AURC {aurc(*after):.3f}" in risk and f"all answered: {100 * (1 - after[1].mean()):.1f} %" in risk


def test_a_run_without_fault_has_a_chart_too():
    confidence, _ = believed(1.0)
    assert "nan" not in risk_chart((confidence, np.ones(len(confidence), bool)))
