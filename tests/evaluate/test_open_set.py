"""Figures of a classifier that meets strangers, against scikit-learn and against brute force over thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from genrelab.evaluate.open_set import METRICS, auroc, figures, fpr_at, open_macro_f1, oscr

SCORES = st.lists(st.integers(0, 6).map(lambda x: x / 7), min_size=1, max_size=14)


@settings(deadline=None, max_examples=100)
@given(SCORES, SCORES)
def test_auroc_is_scikit_learns(known, unknown):
    truth = [1] * len(known) + [0] * len(unknown)
    assert auroc(known, unknown) == pytest.approx(sk.roc_auc_score(truth, known + unknown))


@settings(deadline=None, max_examples=100)
@given(SCORES, SCORES, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_the_rate_of_unknown_kept_is_the_least_at_which_enough_known_are(known, unknown, tpr):
    k, u = np.array(known), np.array(unknown)
    rates = [(u >= t).mean() for t in {*known} if (k >= t).mean() >= tpr - 1e-12]
    assert fpr_at(known, unknown, tpr) == pytest.approx(min(rates))


def test_the_rate_of_unknown_kept_by_hand():
    known = np.arange(20) / 20
    assert fpr_at(known, [0.02, 0.04, 0.05, 0.5]) == 0.5  # 19 of 20 lie at .05 and above
    assert fpr_at(known, [-1.0, -2.0]) == 0
    assert fpr_at(known, [0.02, 0.04], tpr=1.0) == 1
    assert fpr_at([1.0, 1.0], [1.0]) == 1  # ties are kept


def integrated(known, right, unknown):
    """The curve of the right and kept over the unknown and kept, threshold after threshold, by the trapezium rule."""
    k, r, u = np.asarray(known), np.asarray(right), np.asarray(unknown)
    limits = sorted({*known, *unknown, np.inf}, reverse=True)
    x = [(u >= t).mean() for t in limits]
    y = [((k >= t) & r).mean() for t in limits]
    return np.trapezoid(y, x)


@settings(deadline=None, max_examples=150)
@given(SCORES, SCORES, st.data())
def test_oscr_is_the_integrated_curve(known, unknown, data):
    right = data.draw(st.lists(st.booleans(), min_size=len(known), max_size=len(known)))
    assert oscr(known, right, unknown) == pytest.approx(integrated(known, right, unknown), abs=1e-12)


def test_oscr_is_auroc_where_all_are_right_and_accuracy_where_all_are_told_apart():
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(1, 1, 40), rng.normal(0, 1, 30)
    assert oscr(known, np.ones(40, bool), unknown) == pytest.approx(auroc(known, unknown))
    assert oscr(known, np.arange(40) < 30, unknown - 99) == pytest.approx(0.75)
    assert oscr(known, np.zeros(40, bool), unknown) == 0


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_open_macro_f1_is_scikit_learns_with_no_tag_as_a_class(rows):
    truth, decided = np.array(rows).T
    assert open_macro_f1(truth, decided, 3) == pytest.approx(
        sk.f1_score(truth, decided, average="macro", zero_division=0)
    )


def drawn(seed, n_known=90, n_unknown=40, apart=1.5):
    """(score, right, is_known, truth, decided, groups) of three genres, 3 the strangers; one song in three is wrong."""
    rng = np.random.default_rng(seed)
    n = n_known + n_unknown
    is_known = np.arange(n) < n_known
    truth = np.where(is_known, np.arange(n) % 3, 3)
    score = rng.normal(apart * is_known, 1)
    right = is_known & (rng.random(n) < 0.67)
    first = np.where(right, truth, (truth + 1) % 3)
    decided = np.where(score >= 0.5, first, 3)
    return score, right, is_known, truth, decided, np.array([f"{t}-{i // 6}" for i, t in enumerate(truth)])


def test_all_figures_are_those_of_the_single_functions_within_their_intervals():
    score, right, known, truth, decided, groups = drawn(0)
    found = figures(score, right, known, truth, decided, groups, n_boot=300, seed=0)
    assert tuple(found) == METRICS
    alone = {
        "auroc": auroc(score[known], score[~known]),
        "fpr95": fpr_at(score[known], score[~known]),
        "oscr": oscr(score[known], right[known], score[~known]),
        "open_macro_f1": open_macro_f1(truth, decided, 3),
    }
    for metric, (point, lo, hi) in found.items():
        assert point == pytest.approx(alone[metric]), metric
        assert 0 <= lo < point < hi <= 1, metric


def test_an_interval_is_as_wide_as_the_figure_scatters():
    """The figure of 300 test sets, songs independent, against the mean width of the interval of one."""
    args = [drawn(seed)[:5] for seed in range(300)]
    for metric in ("auroc", "oscr", "open_macro_f1"):
        points = [figures(*a, np.arange(130), n_boot=1, seed=0)[metric][0] for a in args]
        ends = [figures(*a, np.arange(130), n_boot=200, seed=0)[metric][1:] for a in args[:15]]
        widths = [(hi - lo) / (2 * 1.96) for lo, hi in ends]
        assert np.mean(widths) == pytest.approx(np.std(points), rel=0.2), metric


def test_a_stranger_that_is_called_right_is_not():
    score, right, known, truth, decided, groups = drawn(1)
    found = figures(score, right | ~known, known, truth, decided, groups, n_boot=20, seed=0)
    assert found == figures(score, right, known, truth, decided, groups, n_boot=20, seed=0)


def test_without_strangers_or_without_known_songs_nothing_is_said():
    score, right, known, truth, decided, groups = drawn(2)
    for rows in (known, ~known):
        own = (x[rows] for x in (score, right, known, truth, decided, groups))
        found = figures(*own, n_boot=20, seed=0)
        assert tuple(found) == METRICS
        assert all(np.isnan(v).all() for v in found.values())
    assert np.isnan([auroc([], [1.0]), auroc([1.0], []), fpr_at([1.0], []), oscr([], [], [1.0])]).all()


def test_a_resample_without_strangers_counts_for_nothing():
    """One group holds songs of every kind, so that groups are drawn over all: some draws hold no stranger."""
    score, right, known = np.array([1.0, 0.9, 0.8, 0.7, 0.0]), np.array([1, 1, 1, 1, 0], bool), np.arange(5) < 4
    truth = np.array([0, 0, 1, 1, 2])
    found = figures(score, right, known, truth, truth, ["a", "b", "a", "c", "d"], n_boot=100, seed=0)
    assert found["auroc"] == found["oscr"] == (1.0, 1.0, 1.0)


def test_one_group_a_side_has_points_and_no_intervals():
    score, right, known, truth, decided, _ = drawn(3, n_known=30, n_unknown=10)
    found = figures(score, right, known, truth, decided, truth, n_boot=20, seed=0)
    for point, lo, hi in found.values():
        assert np.isfinite(point)
        assert np.isnan([lo, hi]).all()
