"""What is said of strangers: the table's numbers, the picture's bars and dots."""

import numpy as np
import pytest

from genrelab.evaluate.open_set import METRICS, figures
from genrelab.evaluate.rejection import SCORES
from genrelab.report.open_set import foreign_table, open_set_picture, open_set_table
from tests.report.reading import WIDTHS, lies_well, line_of, printed, words

N, STRANGERS = 120, 40
KNOWN = np.arange(N + STRANGERS) < N


def found(seed=0):
    """Figures of every score, each better than the one before."""
    rng = np.random.default_rng(seed)
    truth = np.where(KNOWN, np.arange(len(KNOWN)) % 3, 3)
    rows = {}
    for i, name in enumerate(SCORES):
        score = rng.normal(KNOWN * (0.3 + 0.5 * i), 1)
        decided = np.where(score > 0, truth % 3, 3)
        rows[name] = figures(score, KNOWN, KNOWN, truth, decided, np.arange(len(KNOWN)), 50, 0)
    return rows


@WIDTHS
def test_the_table_holds_every_score_with_its_intervals(width):
    rows = {
        "max_softmax": dict(zip(METRICS, [(0.712, 0.6, 0.8), (0.5, 0.4, 1.0), (0.1, 0.05, 0.2), (1.0, 1.0, 1.0)])),  # noqa: B905
        "knn": {"auroc": (0.9, 0.8, 0.95), "fpr95": (float("nan"),) * 3},
    }
    lines = printed(open_set_table(rows, "knn", "24 known songs and 8 of none of the genres"), width)
    assert lines[0] == "open set: 24 known songs and 8 of none of the genres; * decides, %"
    assert lines[1].split() == ["score", "AUROC", "FPR@95", "OSCR", "open", "macro-F1"]
    if width == 120:
        expected = "max softmax 71.2 [60.0, 80.0] 50.0 [40.0, 100.0] 10.0 [5.0, 20.0] 100.0 [100.0, 100.0]"
        assert words(lines, "max softmax") == expected
        assert words(lines, "k nearest *") == "k nearest * 90.0 [80.0, 95.0] – – –"
    else:  # a value stands over its interval
        assert words(lines, "max softmax") == "max softmax 71.2 50.0 10.0 100.0"
        below = lines[lines.index(line_of(lines, "max softmax")) + 1]
        assert " ".join(below.split()) == "[60.0, 80.0] [40.0, 100.0] [5.0, 20.0] [100.0, 100.0]"
        assert words(lines, "k nearest *") == "k nearest * 90.0 – – –"


@WIDTHS
def test_made_sounds_are_counted_each_by_itself(width):
    lines = printed(foreign_table({"white noise": (20, 20), "silence": (1, 1), "speech": (17, 20)}), width)
    assert lines[-3].split() == ["white", "noise", "silence", "speech"]
    assert " ".join(lines[-1].split()) == "20 of 20 1 of 1 17 of 20"


def drawn(score, threshold, chosen="energy", rows=None):
    return open_set_picture(np.asarray(score, float), KNOWN, threshold, rows or found(), chosen, "a run: 160 songs")


def test_the_bars_are_shares_of_known_and_of_unknown_songs():
    score = np.random.default_rng(0).normal(KNOWN * 2.0, 1)
    left, _ = drawn(score, 0.25).axes
    assert [t.get_text() for t in left.get_legend().get_texts()] == ["known genres (120)", "none of them (40)"]
    for bars in left.containers:
        assert sum(bar.get_height() for bar in bars) == pytest.approx(1)
    for bar in left.containers[1][1:]:  # the first holds what lies further below as well
        counted = np.mean((score[~KNOWN] >= bar.get_x()) & (score[~KNOWN] < bar.get_x() + bar.get_width()))
        assert bar.get_height() == pytest.approx(counted)
    assert [line.get_xdata()[0] for line in left.get_lines()] == [0.25]
    assert left.get_xlabel() == "energy score"


def test_dots_are_the_areas_with_their_intervals_the_best_above_and_the_runs_own_in_its_colour():
    rows = found()
    _, right = drawn(np.random.default_rng(0).normal(KNOWN * 2.0, 1), 0.25, "max_logit", rows).axes
    order = sorted(rows, key=lambda s: rows[s]["auroc"][0])
    names = [t.get_text() for t in right.get_yticklabels()]
    assert names == [{"knn": "k nearest"}.get(s, s.replace("_", " ")) for s in order]
    lines = right.get_lines()[: 2 * len(order)]
    for y, (name, bar, dot) in enumerate(zip(order, lines[::2], lines[1::2], strict=True)):
        point, lo, hi = rows[name]["auroc"]
        assert [*dot.get_xdata(), *dot.get_ydata()] == [point, y]
        np.testing.assert_array_equal(bar.get_xdata(), [lo, hi])
    own = [name for name, dot in zip(order, lines[1::2], strict=True) if dot.get_color() == "#1f5f99"]
    assert own == ["max_logit"]


@pytest.mark.parametrize("threshold", [-9.0, 0.0, 2.0, 99.0])
def test_words_lie_well_wherever_the_threshold_is(threshold):
    lies_well(drawn(np.random.default_rng(0).normal(KNOWN * 2.0, 1), threshold))


@pytest.mark.parametrize("score", [np.full(160, 1.0), KNOWN * 1.0, -np.exp(9 * np.random.default_rng(0).random(160))])
def test_words_lie_well_whatever_the_score(score):
    figure = drawn(score, float(np.quantile(score[KNOWN], 0.05)))
    lies_well(figure)
    for bars in figure.axes[0].containers:
        assert sum(bar.get_height() for bar in bars) == pytest.approx(1)
