"""Differences of runs: what they are, how sure, and how often chance is taken for one."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, t, ttest_ind, ttest_rel
from statsmodels.stats.multitest import multipletests

from genrelab.evaluate import multilabel
from genrelab.evaluate.intervals import Predictions, difference
from genrelab.evaluate.paired import Compared, among, compare, reached
from genrelab.evaluate.tested import Decided, Pair, Ranked
from tests.evaluate.simulated import World

N_NULL = 1000


def one(block, *, arms=(0, 1), pairs=((0, 1),), n_boot=2000):
    return compare([block], [list(arms)], [[Pair(0, a, b) for a, b in pairs]], n_boot=n_boot, seed=0)[0]


def world(seed=0, **more):
    (block,), (arms,) = World(**more).drawn(np.random.default_rng(seed))
    return block, arms


def test_in_1000_comparisons_of_equals_5_in_100_are_called_different():
    """The permutation test of one comparison; and Holm over four, of which it may call none 95 times in 100.

    Of 12,000 such comparisons 4.9 % were called different, and in 4.4 % of 3,000 families any.
    """
    low, high = (binom.ppf(q, N_NULL, 0.05) / N_NULL for q in (0.025, 0.975))
    equals = World(genres=4, groups=15, songs=5, arms=5, better=0.0)
    alone = family = apart = 0
    for r in range(N_NULL):
        found = equals.compared(np.random.default_rng((12, r)), n_boot=100)
        alone += found[0].p <= 0.05
        family += any(c.p_holm <= 0.05 for c in found)
        apart += any(c.told_apart for c in found)
    assert low <= alone / N_NULL <= high
    assert family / N_NULL <= high
    assert apart <= family


def test_a_difference_that_there_is_is_called_so():
    world_ = World(genres=4, groups=20, arms=5, better=0.15)
    found = [world_.compared(np.random.default_rng((5, r)), n_boot=200) for r in range(40)]
    assert np.mean([c.told_apart for own in found for c in own]) > 0.8


def test_over_seeds_chance_is_rarely_taken_for_a_difference():
    """Trained models differ truly here, their arms do not: swapping groups answers for the models."""
    equal = World(genres=2, groups=15, arms=4, seeds=3, pool=40, luck=0.5, better=0.0)
    found = [equal.compared(np.random.default_rng((6, r)), n_boot=150)[0] for r in range(300)]
    assert np.mean([c.p <= 0.05 for c in found]) <= 0.08
    assert np.mean([c.p_songs <= 0.05 for c in found]) > 0.2


def test_the_error_is_that_of_the_bootstrap_and_the_interval_students():
    block, _ = world(genres=3, groups=8)
    c = one(block)
    n = len(block.truth)
    a, b = (Predictions([f"{i}" for i in range(n)], block.truth, d, block.groups, 3) for d in block.decided)
    known = difference(a, b, "balanced_accuracy", n_boot=20_000, seed=1)
    assert c.points == pytest.approx(known.points)
    assert c.se == pytest.approx((known.hi - known.lo) / (2 * 1.96), rel=0.06)
    assert c.df == 3 * 8 - 3
    half = t.ppf(0.975, c.df) * c.se
    assert (c.lo, c.hi) == pytest.approx((c.points - half, c.points + half))
    assert c.detectable == pytest.approx((t.ppf(0.975, c.df) + t.ppf(0.8, c.df)) * c.se)
    assert (c.n_songs, c.n_groups, c.n_groups_min, c.n_strata, c.reliable, c.seeds) == (n, 24, 8, 3, True, False)


def test_the_smallest_difference_is_found_four_times_in_five():
    asked = World(genres=4, groups=15, better=0.0)
    size = np.median([asked.compared(np.random.default_rng((7, r)), n_boot=300)[0].detectable for r in range(30)])
    there = replace(asked, better=float(size))
    found = [there.compared(np.random.default_rng((8, r)), n_boot=300)[0] for r in range(300)]
    assert np.mean([c.lo > 0 for c in found]) == pytest.approx(0.8, abs=0.08)


def test_the_other_way_round_is_the_negative():
    block, _ = world()
    a, b = one(block), one(block, pairs=((1, 0),))
    assert (b.points, b.lo, b.hi) == pytest.approx((-a.points, -a.hi, -a.lo))
    assert (b.p, b.detectable) == pytest.approx((a.p, a.detectable))


def test_a_run_is_no_better_than_itself():
    block, _ = world()
    c = one(Decided(block.groups, block.truth, block.decided[[0, 0]], block.n_classes, block.metric))
    assert (c.points, c.lo, c.hi, c.p, c.n_differing, c.told_apart) == (0.0, 0.0, 0.0, 1.0, 0, False)


def test_where_no_genre_has_two_groups_nothing_can_be_said():
    truth = np.array([0, 0, 1, 1])
    c = one(Decided(np.array(["a", "a", "b", "b"]), truth, np.array([[0, 0, 1, 1], [0, 1, 1, 1]]), 2, "accuracy"))
    assert c.points == 0.25
    assert np.isnan([c.lo, c.hi, c.se, c.detectable]).all()
    assert (c.p, c.coverage, c.reliable, c.told_apart) == (1.0, None, False, False)


def test_few_groups_are_never_told_apart_however_they_differ():
    """Four groups have 16 ways to change sides, so p is an eighth at least."""
    truth = np.repeat([0, 1], 20)
    groups = np.repeat(["a", "b", "c", "d"], 10)
    c = one(Decided(groups, truth, np.stack([truth, 1 - truth]), 2, "accuracy"))
    assert (c.points, c.exact, c.p) == (1.0, True, 0.125)
    assert not c.told_apart


def test_comparisons_are_judged_together():
    blocks, arms = World(arms=6, better=0.05).drawn(np.random.default_rng(2))
    found = compare(blocks, arms, [[Pair(0, 0, i)] for i in range(1, 6)], n_boot=300, seed=0)
    np.testing.assert_allclose([c.p_holm for c in found], multipletests([c.p for c in found], method="holm")[1])
    again = among(found[:2])
    np.testing.assert_allclose([c.p_holm for c in again], multipletests([c.p for c in found[:2]], method="holm")[1])


def test_the_luck_of_seeds_is_found():
    """Of 60 runs of two equal arms, whose skill varies by .4 beside 1.7 of what makes songs hard."""
    luck = World(genres=2, groups=60, seeds=30, luck=0.4, better=0.0, reached=0.5)
    blocks, arms = luck.drawn(np.random.default_rng(0))
    c = compare(blocks, arms, [[Pair(0, 2 * s, 2 * s + 1) for s in range(30)]], n_boot=300, seed=0)[0]
    expected = 0.4 / (math.sqrt(1 + 1 + 0.25 + 0.64 + 0.16) * math.sqrt(2 * math.pi))  # by the slope at one half
    assert c.seed_sd == pytest.approx(expected, rel=0.25)
    assert c.lo < c.songs_lo < c.songs_hi < c.hi
    assert c.n_pairs == 30


def test_runs_without_luck_have_none():
    blocks, arms = World(genres=2, groups=60, seeds=10, better=0.1).drawn(np.random.default_rng(1))
    c = compare(blocks, arms, [[Pair(0, 2 * s, 2 * s + 1) for s in range(10)]], n_boot=300, seed=0)[0]
    assert c.seed_sd < 0.02
    assert c.hi - c.lo < 1.3 * (c.songs_hi - c.songs_lo)


def reaching(shares: list[list[int]], groups: int = 6) -> list[Decided]:
    """A block a row of these, of runs that are right on so many of ten songs of every group: only luck tells them."""
    groups_of, truth = np.repeat(np.arange(groups).astype(str), 10), np.zeros(10 * groups, int)
    of_song = np.tile(np.arange(10), groups)
    return [
        Decided(groups_of, truth, np.stack([np.where(of_song < s, 0, 1) for s in own]), 1, "accuracy") for own in shares
    ]


def test_where_groups_do_not_differ_seeds_are_compared_by_students_test():
    a, b = [5, 7, 6], [2, 3, 5]
    c = compare(reaching([a + b]), [[0] * 3 + [1] * 3], [[Pair(0, i, 3 + i) for i in range(3)]], n_boot=50, seed=0)[0]
    known = ttest_ind(a, b)
    ends = known.confidence_interval(0.95)
    assert (c.points, c.df, c.p) == pytest.approx((4 / 15, 4, known.pvalue))
    assert (c.lo, c.hi) == pytest.approx((ends.low / 10, ends.high / 10))
    assert c.seed_sd == pytest.approx(np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2) / 10)
    assert (c.songs_lo, c.songs_hi) == pytest.approx((c.points, c.points))
    own = reached(reaching([a + b]), [[0] * 3 + [1] * 3], n_boot=50, seed=0)
    half = t.ppf(0.975, 4) * c.seed_sd / np.sqrt(3)
    assert own[0] == pytest.approx((0.6, 0.6 - half, 0.6 + half))
    assert own[1] == pytest.approx((1 / 3, 1 / 3 - half, 1 / 3 + half))


def test_seeds_with_a_split_each_are_compared_in_pairs():
    """What a split makes easier for both arms is not luck."""
    a, b = [5, 9, 6], [2, 7, 5]
    blocks, pairs = reaching([[x, y] for x, y in zip(a, b, strict=True)]), [Pair(i, 0, 1) for i in range(3)]
    c = compare(blocks, [[0, 1]] * 3, [pairs], n_boot=50, seed=0)[0]
    known = ttest_rel(a, b)
    ends = known.confidence_interval(0.95)
    assert (c.points, c.df, c.p) == pytest.approx((0.2, 2, known.pvalue))
    assert (c.lo, c.hi) == pytest.approx((ends.low / 10, ends.high / 10))


@pytest.mark.parametrize("luck", [0.1, 0.3, 1.0])
def test_the_errors_of_groups_and_of_seeds_add_up(luck):
    """And the degrees of freedom lie where Satterthwaite's always do: from the smaller ones to the sum of both."""
    blocks, arms = World(genres=2, groups=12, seeds=4, luck=luck).drawn(np.random.default_rng(1))
    c = compare(blocks, arms, [[Pair(0, 2 * s, 2 * s + 1) for s in range(4)]], n_boot=500, seed=0)[0]
    of_groups, of_seeds = 2 * 12 - 2, 2 * 4 - 2
    groups_se = (c.songs_hi - c.songs_lo) / 2 / t.ppf(0.975, of_groups)
    assert c.se**2 == pytest.approx(groups_se**2 + 8 / 16 * c.seed_sd**2)
    assert min(of_groups, of_seeds) <= c.df <= of_groups + of_seeds
    assert (c.lo, c.hi) == pytest.approx((c.points - t.ppf(0.975, c.df) * c.se, c.points + t.ppf(0.975, c.df) * c.se))
    assert c.p == pytest.approx(2 * t.sf(abs(c.points) / c.se, c.df))


def test_what_nothing_scatters_has_a_p_of_one_or_none():
    same = compare(reaching([[6] * 4]), [[0, 0, 1, 1]], [[Pair(0, 0, 2), Pair(0, 1, 3)]], n_boot=50, seed=0)[0]
    assert (same.points, same.p, same.told_apart) == (0, 1, False)
    other = compare(reaching([[6, 6, 3, 3]]), [[0, 0, 1, 1]], [[Pair(0, 0, 2), Pair(0, 1, 3)]], n_boot=50, seed=0)[0]
    assert other.points == pytest.approx(0.3)
    assert other.se == pytest.approx(0, abs=1e-12)
    assert other.p < 1e-9 or math.isnan(other.p)


def test_a_genre_of_one_group_is_the_one_with_the_fewest():
    truth = np.repeat([0, 1], [12, 3])
    groups = np.array([*(f"a{i // 2}" for i in range(12)), "b", "b", "b"])
    c = one(Decided(groups, truth, np.stack([truth, np.where(np.arange(15) % 4, truth, 1 - truth)]), 2, "accuracy"))
    assert (c.n_groups_min, c.n_groups, c.n_strata, c.reliable) == (1, 7, 2, False)


def test_groups_tested_under_several_seeds_are_drawn_once():
    """The same runs tested under two names of a split: no more is known than from one."""
    block, _ = world(genres=2, groups=20)
    other = Decided(block.groups, block.truth, block.decided, 2, block.metric)
    once = one(block)
    twice = compare([block, other], [[0, 1], [0, 1]], [[Pair(0, 0, 1), Pair(1, 0, 1)]], n_boot=2000, seed=0)[0]
    assert twice.points == pytest.approx(once.points)
    assert (twice.songs_lo, twice.songs_hi) == pytest.approx((once.lo, once.hi))
    renamed = Decided(np.char.add(block.groups, "'"), block.truth, block.decided, 2, block.metric)
    apart = compare([block, renamed], [[0, 1], [0, 1]], [[Pair(0, 0, 1), Pair(1, 0, 1)]], n_boot=2000, seed=0)[0]
    ratio = (apart.songs_hi - apart.songs_lo) / (once.hi - once.lo)
    assert ratio == pytest.approx(math.sqrt(0.5), abs=0.05)


def test_a_part_over_all_else_is_surer_than_one_pair():
    """Four runs, of which the first two share a part, and the others another."""
    rng = np.random.default_rng(4)
    (block,), _ = World(arms=4, groups=25, better=0.0).drawn(rng)
    pair, both = one(block, arms=range(4), pairs=((0, 2),)), one(block, arms=range(4), pairs=((0, 2), (1, 3)))
    figures = block.figures(np.ones((1, len(np.unique(block.groups)))))[0]
    assert both.points == pytest.approx(figures[:2].mean() - figures[2:].mean())
    assert both.se < pair.se


@pytest.mark.parametrize("metric", multilabel.METRICS)
def test_songs_of_several_genres_are_compared_by_groups_of_all(metric):
    """Thirty groups of two songs, of which twenty hold the first genre, and seven the second."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 2)
    truth = np.stack([groups < 20, groups >= 23, np.ones(60, bool)], 1)
    chances = np.clip(truth + rng.normal(0, [[[0.4]], [[0.9]]], (2, 60, 3)), 0, 1)
    half = np.full((2, 60, 3), 0.5)
    c = one(Ranked(groups, truth, chances, half, metric))
    known = multilabel.difference(truth, *chances, groups, metric, n_boot=2000, seed=0)
    assert c.points == pytest.approx(known.points)
    assert c.se == pytest.approx((known.hi - known.lo) / (2 * 1.96), rel=0.1)
    assert (c.n_songs, c.n_groups, c.n_groups_min, c.n_strata, c.df) == (60, 30, 7, 1, 29)


def test_groups_that_hold_several_genres_are_one_stratum():
    block, _ = world(genres=2, groups=12)
    mixed = Decided(np.arange(len(block.truth)) % 20, block.truth, block.decided, 2, block.metric)
    c = one(mixed)
    assert (c.n_strata, c.df, c.n_groups) == (1, 19, 20)


def test_what_an_arm_reaches_is_the_mean_of_its_runs():
    blocks, arms = World(genres=2, groups=30, seeds=3, luck=0.3).drawn(np.random.default_rng(3))
    found = reached(blocks, arms, n_boot=500, seed=0)
    figures = blocks[0].figures(np.ones((1, 60)))[0]
    for arm in (0, 1):
        at, lo, hi = found[arm]
        assert at == pytest.approx(figures[arm::2].mean())
        assert 0 <= lo < at < hi <= 1


def test_12_runs_of_1000_songs_are_compared_in_a_moment():
    blocks, arms = World(genres=10, groups=50, songs=2, arms=12).drawn(np.random.default_rng(0))
    start = time.perf_counter()
    found = compare(blocks, arms, [[Pair(0, 0, i)] for i in range(1, 12)], n_boot=2000, seed=0)
    assert time.perf_counter() - start < 10  # about one second alone
    assert all(isinstance(c, Compared) and c.lo < c.hi for c in found)
