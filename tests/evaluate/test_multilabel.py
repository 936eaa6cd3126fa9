"""Figures of songs with several genres: scikit-learn's, thresholds by brute force."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from genrelab.evaluate.multilabel import METRICS, all_on_top, bootstrap, difference, scores, thresholds


@st.composite
def answers(draw, n_genres=3):
    """(truth (n, K) bool, probabilities (n, K) with ties)."""
    n = draw(st.integers(2, 12))
    cells = n * n_genres
    truth = np.array(draw(st.lists(st.booleans(), min_size=cells, max_size=cells))).reshape(n, n_genres)
    p = np.array(draw(st.lists(st.integers(1, 8), min_size=cells, max_size=cells))).reshape(n, n_genres) / 8
    return truth, p


def drawn(n=80, k=4, seed=0, noise=0.35):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, k)) < 0.4
    truth[np.arange(n), np.arange(n) % k] = True
    return truth, np.clip(0.2 + 0.6 * truth + noise * rng.normal(size=(n, k)), 0, 1)


@settings(deadline=None, max_examples=150)
@given(answers())
def test_as_scikit_learn_computes_them(case):
    truth, p = case
    cut = np.array([0.5, 0.25, 0.8])
    found = scores(truth, p, cut)
    assert tuple(found) == METRICS
    there = truth.any(0)  # genres that nobody has are left out
    varied = there & ~truth.all(0)
    expected = {
        "map": sk.average_precision_score(truth[:, there], p[:, there], average="macro") if there.any() else np.nan,
        "roc_auc": sk.roc_auc_score(truth[:, varied], p[:, varied], average="macro") if varied.any() else np.nan,
        "lrap": sk.label_ranking_average_precision_score(truth, p),
        "macro_f1": np.mean([sk.f1_score(truth[:, k], p[:, k] > cut[k]) for k in np.flatnonzero(there)])
        if there.any()
        else np.nan,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, nan_ok=True), name


def test_perfect_and_upside_down():
    truth, _ = drawn()
    half = np.full(4, 0.5)
    assert scores(truth, truth * 1.0, half) == dict.fromkeys(METRICS, 1.0)
    worst = scores(truth, 1.0 - truth, half)
    assert (worst["roc_auc"], worst["macro_f1"]) == (0, 0)


def test_thresholds_of_each_song_are_those_of_its_row():
    truth, p = drawn()
    cut = np.where(np.arange(80)[:, None] < 40, 0.3, 0.6) * np.ones(4)
    said = p > cut
    expected = np.mean([sk.f1_score(truth[:, k], said[:, k]) for k in range(4)])
    assert scores(truth, p, cut)["macro_f1"] == pytest.approx(expected)


def f1(truth, said):
    return 2 * (truth & said).sum() / max(1, truth.sum() + said.sum())


@settings(deadline=None, max_examples=150)
@given(answers(n_genres=2))
def test_no_other_threshold_has_a_higher_f1_and_of_equals_it_is_the_highest(case):
    truth, p = case
    found = thresholds(truth, p)
    for k in range(2):
        own, there = truth[:, k], np.unique(p[:, k])
        if not own.any():
            assert found[k] == 0.5
            continue
        between = [-1.0, *((a + b) / 2 for a, b in pairwise(there)), 2.0]
        best = max(f1(own, p[:, k] > cut) for cut in between)
        assert f1(own, p[:, k] > found[k]) == pytest.approx(best)
        assert all(f1(own, p[:, k] > cut) < best - 1e-12 for cut in between if cut > found[k])


def test_a_threshold_lies_half_way_to_the_next_song():
    truth = np.array([[1, 0], [1, 0], [0, 0], [0, 0]])
    p = np.array([[0.9, 0.1], [0.6, 0.1], [0.2, 0.1], [0.1, 0.1]])
    np.testing.assert_allclose(thresholds(truth, p), [0.4, 0.5])


def test_intervals_hold_their_points_and_are_narrow_where_nothing_differs():
    truth, p = drawn()
    groups = np.arange(80) // 4
    found, points = bootstrap(truth, p, np.full(4, 0.5), groups, 300, 0), scores(truth, p, np.full(4, 0.5))
    for name in METRICS:
        lo, hi = found[name]
        assert 0 < lo < points[name] < hi < 1
    perfect = bootstrap(truth, truth * 1.0, np.full(4, 0.5), groups, 50, 0)
    for name in METRICS:
        assert perfect[name] == pytest.approx((1, 1))
    assert np.isnan(list(bootstrap(truth, p, np.full(4, 0.5), np.zeros(80), 20, 0).values())).all()


def test_the_spread_of_lrap_is_that_of_its_songs():
    truth, p = drawn(n=200)
    own = [sk.label_ranking_average_precision_score(truth[i : i + 1], p[i : i + 1]) for i in range(200)]
    lo, hi = bootstrap(truth, p, np.full(4, 0.5), np.arange(200), 4000, 0)["lrap"]
    assert (hi - lo) / (2 * 1.96) == pytest.approx(np.std(own, ddof=1) / np.sqrt(200), rel=0.06)


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_answers_differ_by_exactly_nothing(metric):
    truth, p = drawn()
    got = difference(truth, p, p.copy(), np.arange(80) // 4, metric, n_boot=100, seed=0)
    assert (got.metric, got.points, got.lo, got.hi) == (metric, 0, 0, 0)
    assert (got.paired, got.n, got.n_other, got.n_groups_min, got.reliable) == (True, 80, 80, 20, True)


@pytest.mark.parametrize("metric", METRICS)
def test_a_difference_is_of_the_figures_and_turns_round(metric):
    truth, p = drawn()
    worse = drawn(noise=1.0)[1]
    groups, half = np.arange(80), np.full(4, 0.5)
    one = difference(truth, p, worse, groups, metric, n_boot=300, seed=0)
    back = difference(truth, worse, p, groups, metric, n_boot=300, seed=0)
    assert one.points == pytest.approx(scores(truth, p, half)[metric] - scores(truth, worse, half)[metric])
    assert 0 < one.lo < one.points < one.hi
    assert (back.points, back.lo, back.hi) == pytest.approx((-one.points, -one.hi, -one.lo))


def test_other_shapes_are_refused():
    for truth, p in (([True], [0.5]), ([[True]], [[0.5, 0.5]])):
        with pytest.raises(ValueError, match=r"expected \(n, K\) both"):
            scores(truth, p, [0.5])


def test_all_on_top_by_hand():
    truth = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1]], bool)
    p = np.array([[0.9, 0.5, 0.4], [0.9, 0.3, 0.4], [0.2, 0.1, 0.1], [0.3, 0.3, 0.9], [0.1, 0.2, 0.3]])
    at, lo, hi = all_on_top(truth, p, np.arange(5), n_boot=200, seed=0)
    assert at == 3 / 5  # the second ranks a wrong one second, the fourth has an equal
    assert 0 <= lo < at < hi <= 1


def test_all_on_top_is_a_coverage_error_of_no_more_than_its_genres():
    from sklearn.metrics import coverage_error

    rng = np.random.default_rng(0)
    truth, p = rng.random((200, 5)) < 0.4, rng.random((200, 5))
    truth[np.arange(200), rng.integers(5, size=200)] = True
    covered = [coverage_error(t[None], q[None]) == t.sum() for t, q in zip(truth, p, strict=True)]
    assert all_on_top(truth, p, np.arange(200), n_boot=10, seed=0)[0] == np.mean(covered)
