"""How far a probability can be believed: known temperatures, hand-made bins, areas as a mean over orders."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, softmax

from genrelab.evaluate import bootstrap
from genrelab.evaluate.calibration import (
    BOUNDS,
    MIN_SONGS,
    apply,
    aurc,
    aurc_interval,
    ece,
    excess_aurc,
    fit_temperature,
    reliability,
    risk_coverage,
)


def drawn(several, n=20_000, k=4):
    """Log-scores (n, k) and targets (n, k) drawn from the probabilities that they say."""
    rng = np.random.default_rng(0)
    x = 1.5 * rng.normal(size=(n, k))
    if several:
        return x, (rng.random((n, k)) < expit(x)).astype(float)
    first = (softmax(x, 1).cumsum(1) < rng.random((n, 1))).sum(1)
    return log_softmax(x, 1), np.eye(k)[first]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("factor", [0.2, 1.0, 3.0])
def test_scores_that_were_multiplied_want_the_factor_as_temperature(several, factor):
    x, target = drawn(several)
    found = fit_temperature(factor * x, target, several)
    assert found == pytest.approx(factor, rel=0.03)
    np.testing.assert_allclose(apply(factor * x, factor, several), expit(x) if several else softmax(x, 1))


@pytest.mark.parametrize("several", [False, True])
def test_no_other_temperature_makes_the_targets_likelier(several):
    x, target = drawn(several, n=200)

    def loss(temperature):
        p = apply(2 * x, temperature, several).clip(1e-12, 1 - 1e-12)
        return -np.log(np.where(target > 0, p, 1 - p) if several else (p * target).sum(1)).mean()

    found = fit_temperature(2 * x, target, several)
    assert loss(found) <= min(loss(t) for t in np.geomspace(*BOUNDS, 400)) + 1e-9


def test_a_temperature_stays_within_bounds_and_moves_no_decision():
    x, target = drawn(several=False, n=300)
    right, wrong = np.where(target > 0, 1.0, 0.0), np.where(np.roll(target, 1, 1) > 0, 1.0, 0.0)
    for scores, end in ((right, BOUNDS[0]), (wrong, BOUNDS[1])):  # always right: surer yet; always wrong: know nothing
        assert fit_temperature(scores, target, False) == pytest.approx(end, rel=1e-3)
    np.testing.assert_array_equal(apply(x, 7.0, False).argmax(1), x.argmax(1))


def test_fewer_than_fifty_songs_fit_no_temperature():
    assert MIN_SONGS == 50
    x, target = drawn(several=False, n=50)
    assert fit_temperature(x[:49], target[:49], False) is None
    assert fit_temperature(x, target, False) is not None


def test_bins_by_hand_with_their_edges():
    said, was, count = reliability([0.0, 0.1, 0.25, 0.5, 0.75, 0.75001, 1.0], [0, 1, 0, 1, 1, 0, 1], 4)
    assert count.tolist() == [3, 1, 1, 2]  # an edge belongs to the bin below it, 0 to the first
    np.testing.assert_allclose(said, [0.35 / 3, 0.5, 0.75, 1.75001 / 2])
    np.testing.assert_allclose(was, [1 / 3, 1, 1, 1 / 2])
    empty = reliability([1.0], [True], 3)
    assert [x.tolist() for x in empty] == [[0, 0, 1], [0, 0, 1], [0, 0, 1]]


def test_the_calibration_error_by_hand():
    ten = np.arange(10)
    assert ece(np.full(10, 0.7), ten < 7) == pytest.approx(0, abs=1e-12)  # seven of ten at .7
    assert ece(np.full(10, 0.9), ten < 7) == pytest.approx(0.2)  # too sure
    assert ece(np.full(10, 0.4), ten < 7) == pytest.approx(0.3)  # not sure enough
    both = np.r_[np.full(10, 0.9), np.full(30, 0.5)], np.r_[ten < 7, np.arange(30) < 9]
    assert ece(*both) == pytest.approx(0.25 * 0.2 + 0.75 * 0.2)  # errors of two bins do not cancel
    assert ece([0.0, 1.0], [False, True]) == 0
    assert ece([0.0, 1.0], [True, False]) == 1


def test_risk_and_coverage_by_hand():
    coverage, risk = risk_coverage([0.6, 0.9, 0.8, 0.6, 0.7], [False, True, False, True, True])
    np.testing.assert_allclose(coverage, [0.2, 0.4, 0.6, 1.0])  # the two of .6 come together
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 2 / 5])
    assert aurc([0.9, 0.8, 0.7, 0.6], [True, False, True, False]) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def area(wrong):
    return np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1))


def in_order(confidence, right):
    """The area of every order of the answers in which confidence falls."""
    n = len(right)
    orders = [o for o in permutations(range(n)) if all(confidence[a] >= confidence[b] for a, b in pairwise(o))]
    return [area(1 - np.asarray(right, float)[list(o)]) for o in orders]


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6))
def test_the_area_is_the_mean_risk_over_all_orders_of_equals(answers):
    confidence, right = zip(*answers, strict=True)
    assert aurc(confidence, right) == pytest.approx(np.mean(in_order(confidence, right)))
    if len(set(confidence)) == 1:
        assert aurc(confidence, right) == pytest.approx(1 - np.mean(right))  # nothing is known: the share of errors


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=12))
def test_the_best_order_has_no_excess_and_no_other_has_less(answers):
    confidence, right = np.array(answers).T
    assert excess_aurc(right * 10 + confidence, right) == pytest.approx(0, abs=1e-12)
    assert excess_aurc(confidence, right) >= -1e-12
    assert excess_aurc(-right, right) >= excess_aurc(confidence, right) - 1e-12


def test_the_excess_by_hand():
    best = (0 + 0 + 1 / 3) / 3
    assert excess_aurc([0.9, 0.8, 0.7], [False, True, True]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3 - best)


def test_an_interval_holds_its_point_and_narrows_with_songs():
    rng = np.random.default_rng(3)
    widths = []
    for n in (40, 640):
        confidence = rng.random(n)
        right = rng.random(n) < confidence
        lo, hi = aurc_interval(confidence, right, np.arange(n), n_boot=400, seed=0)
        assert 0 <= lo < aurc(confidence, right) < hi <= 1
        widths.append(hi - lo)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.35)  # sixteen times the songs
    assert np.isnan(aurc_interval([0.5, 0.6], [True, False], ["one", "one"], n_boot=20, seed=0)).all()


def test_where_nothing_is_known_the_interval_is_that_of_the_errors():
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(30), 4)
    right = rng.random(120) < np.repeat(rng.beta(3, 2, 30), 4)
    truth = np.arange(120) % 2
    lo, hi = aurc_interval(np.full(120, 0.5), right, groups, n_boot=4000, seed=1)
    other = bootstrap(truth, np.where(right, truth, 1 - truth), groups, 2, n_boot=4000, seed=2)["accuracy"]
    assert (lo, hi) == pytest.approx((1 - other.hi, 1 - other.lo), abs=0.012)
