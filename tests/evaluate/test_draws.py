"""Every interval over groups is that of the figure of the songs that were drawn, each as often as it was drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as sk

from genrelab.evaluate import intervals, multilabel, open_set, probe
from genrelab.evaluate.calibration import aurc, aurc_interval
from genrelab.evaluate.confusable import pairs
from genrelab.evaluate.genres import by_genre
from genrelab.evaluate.hierarchy import Tree, figures
from genrelab.evaluate.label_noise import ceiling
from genrelab.evaluate.weighted import group_weights, percentile_interval

N_BOOT, SEED, K, N_GROUPS = 60, 3, 3, 5  # groups a genre
Figure = Callable[[NDArray], float]

random = np.random.default_rng(0)
SIZES = random.integers(1, 5, K * N_GROUPS)
GROUPS = np.repeat([f"g{i:02}" for i in range(K * N_GROUPS)], SIZES)
TRUTH = np.repeat(np.repeat(np.arange(K), N_GROUPS), SIZES)
N = len(TRUTH)
P = random.dirichlet(np.ones(K), N)
P[np.arange(N), TRUTH] += 0.4
P /= P.sum(1, keepdims=True)
SAID = P.argmax(1)
HALF = np.full(K, 0.5)
SEVERAL = random.random((N, K)) < 0.5
SEVERAL[np.arange(N), TRUTH] = True
TREE = Tree.of({"loud": ["a", "b"], "soft": ["c"]}, "abc")


def same(found: tuple[float, float], figure: Figure, rows: NDArray, strata: NDArray | None) -> None:
    """found: the interval of a figure of these rows; strata: what groups are drawn within."""
    n_groups = N_GROUPS if strata is not None else len(np.unique(GROUPS[rows]))
    weights = group_weights(GROUPS[rows], strata, N_BOOT, SEED)
    times = np.rint(weights * (n_groups - 1) / n_groups).astype(int)  # of n groups n - 1 are drawn
    expected = percentile_interval([figure(rows[np.repeat(np.arange(len(rows)), t)]) for t in times], figure(rows))
    assert found == pytest.approx(expected)
    assert found[0] < found[1]


ALL = np.arange(N)


@pytest.mark.parametrize("metric", open_set.METRICS)
def test_open_set(metric: str) -> None:
    """Genre 2 is that of the strangers."""
    known, right = TRUTH < 2, SAID == TRUTH
    score = (P.max(1) + 0.2 * known).round(1)  # with equals
    decided = np.where(score > 0.8, SAID, 2)
    found = open_set.figures(score, right, known, TRUTH, decided, GROUPS, N_BOOT, SEED)[metric]

    def figure(rows: NDArray) -> float:
        k = known[rows]
        inside, outside = score[rows][k], score[rows][~k]
        if metric == "auroc":
            return open_set.auroc(inside, outside)
        if metric == "fpr95":
            return open_set.fpr_at(inside, outside)
        if metric == "oscr":
            return open_set.oscr(inside, right[rows][k], outside)
        return open_set.open_macro_f1(TRUTH[rows], decided[rows], 2)

    assert found[0] == pytest.approx(figure(ALL))
    same(found[1:], figure, ALL, TRUTH)


@pytest.mark.parametrize("metric", multilabel.METRICS)
def test_several_genres(metric: str) -> None:
    found = multilabel.bootstrap(SEVERAL, P, HALF, GROUPS, N_BOOT, SEED)[metric]
    same(found, lambda rows: multilabel.scores(SEVERAL[rows], P[rows], HALF)[metric], ALL, None)


@pytest.mark.parametrize("metric", multilabel.METRICS)
def test_several_genres_in_two_runs(metric: str) -> None:
    """One draw of groups serves both."""
    other = np.roll(P, 1, axis=1)
    got = multilabel.difference(SEVERAL, P, other, GROUPS, metric, n_boot=N_BOOT, seed=SEED)

    def figure(rows: NDArray) -> float:
        one, two = (multilabel.scores(SEVERAL[rows], p[rows], HALF)[metric] for p in (P, other))
        return one - two

    same((got.lo, got.hi), figure, ALL, None)


def test_all_on_top() -> None:
    truth = SEVERAL & (P > 0.2)
    truth[np.arange(N), TRUTH] = True

    def figure(rows: NDArray) -> float:
        lowest = np.where(truth[rows], P[rows], 2).min(1)
        return float(np.mean(lowest > np.where(truth[rows], -1, P[rows]).max(1)))

    at, *found = multilabel.all_on_top(truth, P, GROUPS, N_BOOT, SEED)
    assert at == figure(ALL)
    same(tuple(found), figure, ALL, None)


@pytest.mark.parametrize("metric", ["hierarchical_f1", "parent_accuracy", "cost_weighted_error"])
def test_a_tree_of_genres(metric: str) -> None:
    found = figures(TREE, TRUTH, SAID, GROUPS, N_BOOT, SEED)[metric]
    same(found[1:], lambda rows: figures(TREE, TRUTH[rows], SAID[rows], GROUPS[rows], 1, 0)[metric][0], ALL, TRUTH)


def test_a_genre_by_itself() -> None:
    for k, genre in enumerate(by_genre(np.eye(K)[TRUTH], np.eye(K)[SAID], P, GROUPS, "abc", n_boot=N_BOOT, seed=SEED)):
        same((genre.lo, genre.hi), lambda rows, k=k: float(np.mean(SAID[rows] == k)), np.flatnonzero(k == TRUTH), None)


def test_two_genres_that_are_told_apart_or_not() -> None:
    for pair in pairs(TRUTH, P, GROUPS, "abc", N_BOOT, SEED):
        a, b = "abc".index(pair.a), "abc".index(pair.b)
        rows = np.flatnonzero(np.isin(TRUTH, [a, b]))
        same(
            (pair.lo, pair.hi),
            lambda r, a=a, b=b: float(sk.roc_auc_score(TRUTH[r] == a, P[r, a] / P[r, b])),
            rows,
            TRUTH[rows],
        )


def test_risk_and_coverage_of_two_groups() -> None:
    """Of two groups one is drawn and counts twice; answers that are there twice are equally sure."""
    confidence, half = P.max(1).round(1), ALL % 2 == 0
    found = aurc_interval(confidence, SAID == TRUTH, half, n_boot=N_BOOT, seed=SEED)
    of_each = [aurc(np.tile(confidence[own], 2), np.tile((SAID == TRUTH)[own], 2)) for own in (half, ~half)]
    assert found == pytest.approx((min(of_each), max(of_each)))
    assert found[0] < aurc(confidence, SAID == TRUTH) < found[1]


def test_labels_that_are_right() -> None:
    """Which genre a song is meant as is told by all songs; how many are right, by those that were drawn."""
    usual = [P[k == TRUTH, k].mean() for k in range(K)]
    over = [[k for k in range(K) if p[k] >= usual[k] - 1e-9] for p in P]
    meant = np.array([max(own, key=p.__getitem__) if own else -1 for own, p in zip(over, P, strict=True)])

    def figure(rows: NDArray) -> float:
        right = 0.0
        for k in set(TRUTH[rows]):
            told = meant[rows][(TRUTH[rows] == k) & (meant[rows] >= 0)]
            right += np.sum(TRUTH[rows] == k) * (np.mean(told == k) if len(told) else 1)
        return right / len(rows)

    found = ceiling(TRUTH, P, GROUPS, N_BOOT, SEED)
    assert found.ceiling == pytest.approx(figure(ALL))
    same((found.lo, found.hi), figure, ALL, TRUTH)


def test_what_a_cue_costs_where_a_draw_may_lose_a_genre() -> None:
    """A genre that nobody drawn has is left out of the mean over genres. One cue: the band of one figure."""
    across = np.array([f"g{i}" for i in ALL % 4])
    across[TRUTH == 2] = "g0"  # with it the last genre is lost
    after = np.roll(P, 1, axis=0)
    (fall,) = probe.falls(probe.Asked(np.eye(K)[TRUTH] > 0, across, P), {"x": after[None]}, n_boot=N_BOOT, seed=SEED)

    def figure(rows: NDArray) -> float:
        there = np.unique(TRUTH[rows])
        before, now = (
            sk.recall_score(TRUTH[rows], p[rows].argmax(1), labels=there, average="macro", zero_division=0)
            for p in (P, after)
        )
        return float(before - now)

    times = np.rint(group_weights(across, None, N_BOOT, SEED) * 3 / 4).astype(int)
    drawn = [figure(np.repeat(ALL, t)) for t in times]
    assert any(2 not in TRUTH[np.repeat(ALL, t)] for t in times)
    lo, hi = probe.simultaneous([figure(ALL)], np.array(drawn)[:, None])
    assert (fall.fall, fall.lo, fall.hi) == pytest.approx((figure(ALL), lo[0], hi[0]))


def test_slices_that_weigh_more_than_others() -> None:
    """A song with three slices counts as three: weights are rows counted so often."""
    times = random.integers(1, 4, N)
    more = np.repeat(ALL, times)
    one = intervals.bootstrap(TRUTH, SAID, GROUPS, K, n_boot=N_BOOT, seed=SEED, weights=times)
    other = intervals.bootstrap(TRUTH[more], SAID[more], GROUPS[more], K, n_boot=N_BOOT, seed=SEED)
    for metric, interval in one.items():
        assert (interval.lo, interval.hi) == pytest.approx((other[metric].lo, other[metric].hi))
        assert interval.n_groups_min == other[metric].n_groups_min == N_GROUPS
