"""Weighted rankings against scikit-learn, and bootstrap weights against the intervals of the metrics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from genrelab.evaluate.intervals import bootstrap
from genrelab.evaluate.weighted import auroc, average_precision, group_weights, percentile_interval, tied_sums


@st.composite
def rankings(draw):
    """(positive, score with ties, weights of 3 resamples, some 0): both sides have weight in the first."""
    n = draw(st.integers(2, 30))
    positive = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    positive[:2] = [True, False]
    score = np.array(draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))) / 7
    weights = np.array(draw(st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=3, max_size=3)))
    weights[0, :2] = 1
    return positive, score, weights


@settings(deadline=None, max_examples=150)
@given(rankings())
def test_as_scikit_learn_computes_them(case):
    positive, score, weights = case
    area, precision = auroc(positive, score, weights), average_precision(positive, score, weights)
    assert area.shape == precision.shape == (3,)
    for w, a, p in zip(weights, area, precision, strict=True):
        if w[positive].sum():
            assert p == pytest.approx(sk.average_precision_score(positive, score, sample_weight=w))
        else:
            assert np.isnan(p)
        if w[positive].sum() and w[~positive].sum():
            assert a == pytest.approx(sk.roc_auc_score(positive, score, sample_weight=w))
        else:
            assert np.isnan(a)


def test_only_the_order_counts_and_turning_it_round_turns_the_area():
    rng = np.random.default_rng(0)
    positive, score, weights = rng.random(50) < 0.4, rng.normal(size=50).round(1), rng.random((4, 50))
    for figure in (auroc, average_precision):
        np.testing.assert_allclose(
            figure(positive, score, weights), figure(positive, np.exp(3 * score), 7 * weights), rtol=1e-12
        )
    np.testing.assert_allclose(auroc(positive, -score, weights), 1 - auroc(positive, score, weights))
    np.testing.assert_allclose(auroc(~positive, score, weights), 1 - auroc(positive, score, weights))


def test_perfect_constant_and_nothing():
    positive, ones = np.array([True, True, False, False, False]), np.ones((2, 5))
    assert auroc(positive, positive * 1.0, ones).tolist() == [1, 1]
    assert average_precision(positive, positive * 1.0, ones).tolist() == [1, 1]
    assert auroc(positive, np.full(5, 3.0), ones).tolist() == [0.5, 0.5]
    assert average_precision(positive, np.full(5, 3.0), ones).tolist() == pytest.approx([0.4, 0.4])
    for figure in (auroc, average_precision):
        assert np.isnan(figure([], [], np.ones((2, 0)))).tolist() == [True, True]
    assert np.isnan(auroc([True], [1.0], np.ones((1, 1)))).all()
    assert average_precision([True], [1.0], np.ones((1, 1))).tolist() == [1]


def test_what_has_no_score_ranks_lowest():
    assert auroc([True, False], [np.nan, -9.0], np.ones((1, 2))) == 0
    assert auroc([True, False], [-9.0, np.nan], np.ones((1, 2))) == 1
    assert auroc([True, False], [-np.inf, np.nan], np.ones((1, 2))) == 0.5


def test_shapes_that_do_not_fit_are_named():
    for positive, weights in (([True], np.ones((1, 2))), ([True, False], np.ones(2)), ([True, False], np.ones((1, 3)))):
        with pytest.raises(ValueError, match=r"expected \(n,\), \(n,\) and \(W, n\)"):
            auroc(positive, [0.1, 0.2], weights)


def test_sums_of_ties():
    values, sums = tied_sums([5, 2, 5, 7], [[1, 2, 3, 4], [0, 0, 1, 0]])
    assert values.tolist() == [2, 5, 7]
    assert sums.tolist() == [[2, 4, 4], [0, 1, 0]]


def test_weights_move_whole_groups_and_keep_the_size_of_a_stratum():
    groups = np.array(["a", "a", "b", "c", "d", "d", "e"])
    strata = np.array([0, 0, 0, 0, 1, 1, 2])
    w = group_weights(groups, strata, 500, 0)
    assert w.shape == (500, 7)
    np.testing.assert_array_equal(w[:, 0], w[:, 1])
    np.testing.assert_allclose(w[:, [0, 2, 3]].sum(1), 3)  # three groups, two drawn, each weighing 1.5
    assert set(np.unique(w[:, :4])) == {0, 1.5, 3}
    assert (w[:, 4:] == 1).all()  # strata of one group
    assert w[:, 0].mean() == pytest.approx(1, abs=0.15)


def test_a_group_in_two_strata_leaves_no_strata():
    groups, strata = np.array(["a", "a", "b", "c"]), np.array([0, 1, 0, 1])
    np.testing.assert_array_equal(group_weights(groups, strata, 50, 3), group_weights(groups, None, 50, 3))
    np.testing.assert_allclose(group_weights(groups, strata, 50, 3)[:, 1:].sum(1), 3)
    assert np.isnan(group_weights(groups[2:], strata[2:], 50, 3)).all()  # with strata, each has one group here


def test_where_nothing_varies_nothing_is_said():
    for strata in (None, [0, 0]):
        w = group_weights(["a", "a"], strata, 10, 0)
        assert np.isnan(w).all()
        assert np.isnan(percentile_interval(auroc([True, False], [1, 0], w), 1.0)).all()
    assert np.isnan(group_weights(["a", "b"], [0, 1], 10, 0)).all()


def test_the_seed_decides_and_the_order_of_rows_does_not():
    groups = np.random.default_rng(0).integers(0, 9, 40)
    mixed = np.random.default_rng(1).permutation(40)
    w = group_weights(groups, groups % 3, 20, 5)
    np.testing.assert_array_equal(w[:, mixed], group_weights(groups[mixed], groups[mixed] % 3, 20, 5))
    assert (w != group_weights(groups, groups % 3, 20, 6)).any()


def test_missing_groups_and_rows_are_refused():
    with pytest.raises(ValueError, match="song_groups"):
        group_weights(["a", None], None, 5, 0)
    with pytest.raises(ValueError, match="expected as many"):
        group_weights(["a", "b"], [0], 5, 0)


def test_the_spread_is_that_of_the_metrics_bootstrap():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(24), 5)
    truth = groups % 2
    right = rng.random(120) < np.repeat(rng.beta(3, 2, 24), 5)
    w = group_weights(groups, truth, 8000, 0)
    lo, hi = percentile_interval((w * right).sum(1) / w.sum(1), float(right.mean()))
    other = bootstrap(truth, np.where(right, truth, 1 - truth), groups, 2, n_boot=8000, seed=1)["accuracy"]
    assert (lo, hi) == pytest.approx((other.lo, other.hi), abs=0.012)


def test_the_spread_of_the_area_is_delongs():
    """DeLong et al. 1988: the variance of the area from the mean ranks of each row, for rows that are independent."""
    rng = np.random.default_rng(4)
    positive = np.arange(200) < 90
    score = rng.normal(positive * 1.0, 1.0)
    above = score[positive][:, None] > score[~positive][None]
    variance = above.mean(1).var(ddof=1) / 90 + above.mean(0).var(ddof=1) / 110
    drawn = auroc(positive, score, group_weights(np.arange(200), positive.astype(int), 6000, 0))
    assert drawn.std() == pytest.approx(np.sqrt(variance), rel=0.05)
    assert drawn.mean() == pytest.approx(above.mean(), abs=0.003)


def test_an_interval_holds_its_point():
    figures = np.linspace(0, 1, 101)
    assert percentile_interval(figures, 0.5) == pytest.approx((0.025, 0.975))
    assert percentile_interval(figures, 2.0)[1] == 2.0
    assert percentile_interval([*figures, np.nan], -1.0)[0] == -1.0
    assert np.isnan(percentile_interval(figures, float("nan"))).all()
    assert np.isnan(percentile_interval([np.nan], 0.5)).all()
