"""Tests by swapping: what scipy and statsmodels have computed, is computed here too."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from genrelab.evaluate import permuted
from genrelab.evaluate.permuted import N_SWAPS, holm, sign_flip, swapped
from genrelab.evaluate.tested import Decided, Pair, Ranked


def runs(rng, n=60, k=3, per_group=1, metric="accuracy", skill=(0.6, 0.8)):
    truth = np.sort(rng.integers(0, k, n))
    said = np.stack([np.where(rng.random(n) < s, truth, (truth + 1) % k) for s in skill])
    return Decided((np.arange(n) // per_group).astype(str), truth, said, k, metric)


def p_of(block):
    names = np.unique(block.groups)
    points = float(block.figures(np.ones((1, len(names))))[0] @ [1, -1])
    return swapped([block], [Pair(0, 0, 1)], names, points, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(8))
def test_single_songs_and_accuracy_are_mcnemars_exact_test(seed):
    block = runs(np.random.default_rng(seed), n=(20, 60, 200)[seed % 3])
    a, b = block.decided == block.truth
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    p, exact, n_differing = p_of(block)
    assert exact
    assert n_differing == (a != b).sum()
    assert p == pytest.approx(mcnemar(table, exact=True).pvalue)
    assert p == pytest.approx(binomtest(int((a & ~b).sum()), int((a != b).sum())).pvalue)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_few_groups_are_scipys_exact_permutation_test(metric):
    """scipy's `samples` permutations of the groups' numbers are all swaps of two runs within groups."""
    block = runs(np.random.default_rng(3), n=42, per_group=6, metric=metric)
    n_groups = len(np.unique(block.groups))

    def statistic(x, y):
        said = [
            np.where(np.repeat(side < n_groups, 6), block.decided[0], block.decided[1])
            for side in (np.asarray(x), np.asarray(y))
        ]
        mixed = Decided(block.groups, block.truth, np.stack(said), block.n_classes, metric)
        return float(mixed.figures(np.ones((1, n_groups)))[0] @ [1, -1])

    order = np.unique(block.groups, return_index=True)[1]
    assert list(order // 6) == list(range(n_groups))  # names are in the order of the songs
    found = permutation_test(
        (np.arange(n_groups), np.arange(n_groups) + n_groups), statistic, permutation_type="samples", n_resamples=np.inf
    )
    p, exact, _ = p_of(block)
    assert exact
    assert p == pytest.approx(found.pvalue)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_in_several_pairs_a_group_changes_sides_at_once(metric):
    """All 64 ways of six groups, of which the second block holds four; its other groups have no part in it."""
    rng = np.random.default_rng(5)
    one = runs(rng, n=36, per_group=6, metric=metric, skill=(0.5, 0.8, 0.4, 0.7))
    rows = np.isin(one.groups, ["1", "2", "4", "5"])
    two = Decided(one.groups[rows], one.truth[rows], runs(rng, n=36, skill=(0.5, 0.9)).decided[:, rows], 3, metric)
    pairs = [Pair(0, 0, 1), Pair(0, 2, 3), Pair(1, 0, 1)]
    kept = np.array(list(product([True, False], repeat=6)))
    here = [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [1, 2, 4, 5]
    told = np.mean(
        [(one, two)[p.block].swapped(p.a, p.b, kept[:, own]) for p, own in zip(pairs, here, strict=True)], axis=0
    )
    p, exact, _ = swapped([one, two], pairs, np.unique(one.groups), float(told[0]), np.random.default_rng(0))
    assert exact
    assert p == pytest.approx(np.mean(np.abs(told) >= abs(told[0]) - 1e-9))


def test_many_groups_of_many_sizes_are_drawn_and_never_give_nothing():
    rng = np.random.default_rng(0)
    gains = rng.normal(0, 1, 40)
    p, exact = sign_flip(gains, rng)
    scipys = permutation_test(
        (gains,), np.sum, permutation_type="samples", n_resamples=20_000, vectorized=True, rng=np.random.default_rng(1)
    )
    assert not exact
    assert p == pytest.approx(scipys.pvalue, abs=0.02)
    assert sign_flip(np.linspace(1, 2, 60), rng) == (1 / (1 + N_SWAPS), False)


def test_all_outcomes_are_counted_where_groups_are_alike():
    """20 gains of one size and 3 of another: 2^23 signs, 84 sums."""
    gains = np.array([1.0] * 15 + [-1.0] * 5 + [2.5, 2.5, -2.5])
    p, exact = sign_flip(gains, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    drawn = rng.choice([-1, 1], (200_000, len(gains))) @ np.abs(gains)
    assert exact
    assert p == pytest.approx((np.abs(drawn) >= abs(gains.sum()) - 1e-9).mean(), abs=0.005)


def test_runs_that_are_right_on_the_same_songs_have_no_difference():
    assert sign_flip(np.zeros(5), np.random.default_rng(0)) == (1.0, True)
    block = runs(np.random.default_rng(0))
    same = Decided(block.groups, block.truth, block.decided[[0, 0]], 3, "macro_f1")
    assert p_of(same)[0] == 1.0


def test_one_song_more_is_no_evidence_however_it_weighs():
    p, exact = sign_flip([0.3], np.random.default_rng(0))
    assert (p, exact) == (1.0, True)
    assert sign_flip([0.3, 0.2, 0.4, 0.1], np.random.default_rng(0)) == (pytest.approx(2 / 16), True)


def ranked(rng, metric, n=80, k=4, noise=(1.0, 1.0)):
    truth = rng.random((n, k)) < 0.4
    score = np.stack([truth + rng.normal(0, s, (n, k)) for s in noise])
    return Ranked((np.arange(n) // 2).astype(str), truth, 1 / (1 + np.exp(-score)), np.full((2, n, k), 0.6), metric)


@pytest.mark.parametrize("metric", ["map", "roc_auc", "lrap", "macro_f1"])
def test_songs_of_several_genres_change_sides_too(metric, monkeypatch):
    monkeypatch.setattr(permuted, "N_SWAPS", 300)
    far = ranked(np.random.default_rng(0), metric, noise=(0.4, 2.5))
    assert p_of(far)[0] < 0.01
    near = [p_of(ranked(np.random.default_rng(s), metric))[0] for s in range(40)]
    assert 0.3 < np.mean(near) < 0.7
    assert np.mean(np.array(near) <= 0.05) <= 0.175


@pytest.mark.parametrize("n_comparisons", [1, 8, 20, 60])
def test_however_slow_a_ranking_is_the_least_p_of_many_comparisons_can_be_below_a_twentieth(n_comparisons, monkeypatch):
    monkeypatch.setattr(permuted, "WORK", 1)
    far = ranked(np.random.default_rng(0), "map", n=30, noise=(0.1, 9.0))
    names, points = np.unique(far.groups), float(far.figures(np.ones((1, 15)))[0] @ [1, -1])
    p, exact, _ = swapped([far], [Pair(0, 0, 1)], names, points, np.random.default_rng(0), n_comparisons)
    assert not exact
    assert p == 1 / (1 + max(200, 25 * n_comparisons))
    assert n_comparisons * p < 0.05


def test_scores_of_another_scale_are_no_difference():
    """Ranked by each run's own scores: a run that halves all its scores is the same run."""
    block = ranked(np.random.default_rng(0), "map")
    halved = Ranked(
        block.groups, block.truth, np.stack([block.chances[0], block.chances[0] / 2]), block.thresholds, "map"
    )
    assert p_of(halved) == (1.0, False, 40)


def test_holm_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 40):
        p = rng.beta(0.3, 1, n)
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    with_gap = holm([0.04, np.nan, 0.01])
    np.testing.assert_allclose(with_gap[[0, 2]], multipletests([0.04, 0.01], method="holm")[1])
    assert np.isnan(with_gap[1])
    assert len(holm([])) == 0


def test_ten_comparisons_on_2000_groups_take_a_moment():
    rng = np.random.default_rng(0)
    gains = rng.normal(0, 1, (10, 2000))
    start = time.perf_counter()
    for row in gains:
        sign_flip(row, rng)
    assert time.perf_counter() - start < 10
