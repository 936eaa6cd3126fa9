"""Intervals: that they cover as often as they claim, hold their point, and resample what they should."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from genrelab.evaluate import METRICS, Predictions, bootstrap, confusion, difference, from_confusion, song_groups


def clustered(rng, groups_per_genre, n_genres=2, songs=8):
    """Answers whose chance to be right is the group's own (a Beta(3, 2) with mean 0.6): (truth, decided, groups)."""
    chance = rng.beta(3, 2, n_genres * groups_per_genre)
    truth = np.repeat(np.arange(n_genres), groups_per_genre * songs)
    right = rng.random(len(truth)) < np.repeat(chance, songs)
    return truth, np.where(right, truth, (truth + 1) % n_genres), np.repeat(np.arange(len(chance)), songs)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_95_percent_cover_the_truth_95_times_in_100(metric):
    n_runs = 400
    covered = alone = 0
    for seed in range(n_runs):
        truth, decided, groups = clustered(np.random.default_rng(seed), 20)
        by_group = bootstrap(truth, decided, groups, 2, n_boot=400, seed=seed)[metric]
        by_song = bootstrap(truth, decided, np.arange(len(truth)), 2, n_boot=400, seed=seed)[metric]
        covered += by_group.lo <= 0.6 <= by_group.hi
        alone += by_song.lo <= 0.6 <= by_song.hi
    assert covered / n_runs == pytest.approx(0.95, abs=0.03)
    assert alone / n_runs < 0.87  # what taking songs for independent would have claimed


def test_the_spread_is_that_of_the_group_figures():
    """With groups of one size the variance of the accuracy is known: within each genre s^2 / n, s^2 over n - 1."""
    truth, decided, groups = clustered(np.random.default_rng(3), 6, songs=10)
    per_group = (truth == decided).reshape(12, 10).mean(1)
    variance = (per_group[:6].var(ddof=1) / 6 + per_group[6:].var(ddof=1) / 6) / 4
    got = bootstrap(truth, decided, groups, 2, n_boot=20_000, seed=0)["accuracy"]
    assert (got.hi - got.lo) / (2 * 1.96) == pytest.approx(np.sqrt(variance), rel=0.04)


@st.composite
def samples(draw):
    k = draw(st.integers(2, 4))
    n = draw(st.integers(1, 30))
    rows = st.lists(st.integers(0, k - 1), min_size=n, max_size=n)
    decided = draw(st.lists(st.integers(0, k), min_size=n, max_size=n))
    groups = draw(st.lists(st.sampled_from("abcdef"), min_size=n, max_size=n))
    return np.array(draw(rows)), np.array(decided), np.array(groups), k


@settings(deadline=None, max_examples=100)
@given(samples(), st.booleans())
def test_every_interval_holds_its_point(case, nested):
    truth, decided, groups, k = case
    if nested:
        groups = np.char.add(groups, truth.astype(str))
    point = from_confusion(confusion(truth, decided, k))
    for name, interval in bootstrap(truth, decided, groups, k, n_boot=50, seed=0).items():
        n_groups = [len(set(groups[truth == genre])) for genre in set(truth)]
        assert interval.n_groups_min == min(n_groups)
        apart = all(len(set(truth[groups == g])) == 1 for g in set(groups))  # every group within one genre
        if (apart and max(n_groups) == 1) or len(set(groups)) == 1:
            assert np.isnan([interval.lo, interval.hi]).all()
        else:
            assert 0 <= interval.lo <= point[name] <= interval.hi <= 1


def test_one_group_says_nothing_and_is_unreliable():
    for interval in bootstrap([0, 1, 1], [0, 1, 0], ["a", "a", "a"], 2, n_boot=20, seed=0).values():
        assert np.isnan([interval.lo, interval.hi]).all()
        assert (interval.n_groups_min, interval.reliable) == (1, False)


def test_a_genre_with_one_group_adds_no_variance():
    truth = np.array([0] * 10 + [1] * 10)
    groups = np.array([f"a{i}" for i in range(10)] + ["b"] * 10)
    decided = np.where(np.arange(20) % 2, truth, 1 - truth)
    got = bootstrap(truth, decided, groups, 2, n_boot=2000, seed=0)
    assert got["balanced_accuracy"].lo >= 0.25  # genre 1 stays at a half in every draw
    assert got["balanced_accuracy"].hi <= 0.75
    assert got["accuracy"].hi > got["accuracy"].lo
    assert not got["accuracy"].reliable


def test_two_groups_in_a_genre_are_an_interval():
    truth, groups = np.array([0, 0, 1, 1]), np.array(["a", "b", "c", "d"])
    got = bootstrap(truth, np.array([0, 1, 1, 0]), groups, 2, n_boot=200, seed=0)["accuracy"]
    assert (got.lo, got.hi, got.n_groups_min) == (0, 1, 2)


def test_five_groups_a_genre_are_reliable():
    truth, decided, groups = clustered(np.random.default_rng(0), 5)
    assert bootstrap(truth, decided, groups, 2, n_boot=20, seed=0)["accuracy"].reliable
    assert not bootstrap(truth[8:], decided[8:], groups[8:], 2, n_boot=20, seed=0)["accuracy"].reliable


def test_slices_follow_their_song_so_that_more_of_them_change_nothing():
    truth, decided, groups = clustered(np.random.default_rng(5), 10)
    one = bootstrap(truth, decided, groups, 2, n_boot=500, seed=1)
    many = bootstrap(*(np.repeat(x, 50) for x in (truth, decided, groups)), 2, n_boot=500, seed=1)
    weighted = bootstrap(truth, decided, groups, 2, n_boot=500, seed=1, weights=np.full(len(truth), 50))
    for name in METRICS:
        assert (one[name].lo, one[name].hi) == pytest.approx((many[name].lo, many[name].hi))
        assert many[name] == weighted[name]


def test_the_seed_decides_and_the_order_of_rows_does_not():
    truth, decided, groups = clustered(np.random.default_rng(6), 10)
    mixed = np.random.default_rng(7).permutation(len(truth))
    first = bootstrap(truth, decided, groups, 2, n_boot=200, seed=1)
    assert first == bootstrap(truth[mixed], decided[mixed], groups[mixed], 2, n_boot=200, seed=1)
    assert first != bootstrap(truth, decided, groups, 2, n_boot=200, seed=2)


def test_100_000_slices_take_seconds():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 10, 100_000)
    decided = np.where(rng.random(100_000) < 0.5, truth, rng.integers(0, 11, 100_000))
    start = time.perf_counter()
    for groups in (np.arange(100_000), rng.integers(0, 2000, 100_000)):  # nested in genres, and not
        got = bootstrap(truth, decided, groups, 10, n_boot=1000, seed=0)["accuracy"]
        assert got.hi - got.lo == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 100_000), rel=0.15)
    assert time.perf_counter() - start < 10


def test_a_song_without_a_group_is_its_own():
    got = song_groups(["A", None, "A", "", float("nan")], ["1", "A", "3", "4", "5"])
    assert got[0] == got[2]
    assert len(set(got)) == 4  # a song whose id is another's artist stays apart
    for missing in (None, float("nan"), pd.NA, ""):
        with pytest.raises(ValueError, match="song_groups"):
            bootstrap([0, 1], [0, 1], ["a", missing], 2, n_boot=10, seed=0)


def predictions(truth, decided, groups, ids=None, k=2):
    return Predictions(ids or [f"song {i}" for i in range(len(truth))], truth, decided, groups, k)


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_predictions_differ_by_exactly_nothing(metric):
    truth, decided, groups = clustered(np.random.default_rng(8), 10)
    a = predictions(truth, decided, groups)
    mixed = np.random.default_rng(9).permutation(len(truth))
    b = predictions(truth[mixed], decided[mixed], groups[mixed], [a.ids[i] for i in mixed])
    got = difference(a, b, metric, n_boot=300, seed=0)
    assert (got.points, got.lo, got.hi) == (0.0, 0.0, 0.0)
    assert (got.paired, got.n, got.n_other, got.reliable) == (True, 160, 160, True)


def test_paired_is_narrower_where_the_same_songs_are_hard():
    truth, decided, groups = clustered(np.random.default_rng(10), 15)
    better = decided.copy()
    wrong = np.flatnonzero(decided != truth)[::5]
    better[wrong] = truth[wrong]
    a, b = predictions(truth, better, groups), predictions(truth, decided, groups)
    other = predictions(truth, decided, groups, [f"other {i}" for i in range(len(truth))])
    paired = difference(a, b, "accuracy", n_boot=1000, seed=0)
    apart = difference(a, other, "accuracy", n_boot=1000, seed=0)
    assert paired.points == pytest.approx(len(wrong) / len(truth)) == pytest.approx(apart.points)
    assert (paired.paired, apart.paired) == (True, False)
    assert 0 < paired.lo <= paired.points <= paired.hi
    assert apart.lo < 0 < apart.hi
    assert apart.hi - apart.lo > 2 * (paired.hi - paired.lo)
    back = difference(b, a, "accuracy", n_boot=1000, seed=0)
    assert (back.points, back.lo, back.hi) == pytest.approx((-paired.points, -paired.hi, -paired.lo))


def test_pairs_grouped_in_two_ways_hold_together_what_either_does():
    truth, decided, groups = clustered(np.random.default_rng(11), 10)
    by_group = predictions(truth, decided, groups)
    rng = np.random.default_rng(12)
    other = predictions(truth, np.where(rng.random(160) < 0.5, truth, 1 - truth), groups)
    by_song = Predictions(other.ids, other.truth, other.decided, np.arange(160), 2)
    got = difference(by_group, by_song, "accuracy", n_boot=300, seed=0)
    assert got == difference(by_group, other, "accuracy", n_boot=300, seed=0)
    assert got.n_groups_min == 10


def test_what_cannot_be_compared_is_refused():
    truth, decided, groups = clustered(np.random.default_rng(0), 3)
    a = predictions(truth, decided, groups)
    with pytest.raises(ValueError, match="other true genres"):
        difference(a, predictions(1 - truth, decided, groups), "accuracy", n_boot=10, seed=0)
    with pytest.raises(ValueError, match="expected one of accuracy"):
        difference(a, a, "f1", n_boot=10, seed=0)
    with pytest.raises(ValueError, match="occurs twice"):
        predictions(truth[:2], decided[:2], groups[:2], ["x", "x"])
    for n_truth, n_decided, n_groups in ((1, 2, 2), (2, 1, 2), (2, 2, 1), (0, 0, 0)):
        with pytest.raises(ValueError, match="expected as many, at least 1"):
            predictions(truth[:n_truth], decided[:n_decided], groups[:n_groups], ["x", "y"][: max(n_truth, n_decided)])
    with pytest.raises(ValueError, match="expected as many"):
        bootstrap(truth, decided, groups[1:], 2, n_boot=10, seed=0)


def test_too_few_groups_have_a_difference_and_no_interval():
    a = predictions(np.array([0, 1]), np.array([0, 1]), np.array(["a", "b"]))
    b = predictions(np.array([0, 1]), np.array([0, 0]), np.array(["a", "b"]))
    got = difference(a, b, "accuracy", n_boot=10, seed=0)
    assert got.points == 0.5
    assert np.isnan([got.lo, got.hi]).all()
    assert not got.reliable


def crossed(rng: np.random.Generator, n_artists: int, n_studios: int, spread: float) -> tuple[Predictions, Predictions]:
    """Two runs on the same songs of two genres, whose artists go from studio to studio; run a has the songs grouped by
    artist and run b by studio. Artists and studios move what either run gets right; in truth the runs are alike."""
    n = 4 * n_artists
    truth = np.arange(n) % 2
    artist = np.array([f"{t} artist {i % n_artists}" for i, t in enumerate(truth)])
    studio = rng.integers(n_studios, size=n)
    moved = [dict(zip(np.unique(g), rng.normal(0, spread, len(np.unique(g))), strict=True)) for g in (artist, studio)]
    made = []
    for sign, groups in ((1, artist), (-1, studio.astype(str))):
        lean = sign * np.array([moved[0][a] + moved[1][s] for a, s in zip(artist, studio, strict=True)])
        right = rng.random(n) < 1 / (1 + np.exp(-(0.8 + lean)))
        made.append(Predictions([str(i) for i in range(n)], truth, np.where(right, truth, 1 - truth), groups, 2))
    return made[0], made[1]


def test_groupings_that_cross_have_an_interval_that_holds_the_truth():
    held = []
    for seed in range(200):
        a, b = crossed(np.random.default_rng(seed), 40, 24, 0.7)
        d = difference(a, b, "accuracy", n_boot=300, seed=seed)
        assert d.reliable and d.lo <= d.points <= d.hi
        held.append(d.lo <= 0 <= d.hi)
    assert 0.9 <= np.mean(held) <= 0.995


def test_the_error_where_groupings_cross_is_that_of_econometrics():
    """statsmodels' covariance that is robust to two ways of clustering (Cameron, Gelbach & Miller 2011)."""
    import statsmodels.api as sm

    rng = np.random.default_rng(0)
    n, ids = 400, [str(i) for i in range(400)]
    artist, studio, truth = rng.integers(0, 20, n), rng.integers(0, 12, n), rng.integers(0, 2, n)
    lean = rng.normal(0, 1, 20)[artist] + rng.normal(0, 1, 12)[studio]
    decided = [np.where(sign * lean + rng.normal(0, 1, n) > -0.5, truth, 1 - truth) for sign in (1, -1)]
    a, b = (Predictions(ids, truth, d, g, 2) for d, g in zip(decided, (artist, studio), strict=True))
    got = difference(a, b, "accuracy", n_boot=20_000, seed=0)
    gained = (decided[0] == truth) * 1.0 - (decided[1] == truth)
    model = sm.OLS(gained, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": np.stack([artist, studio], 1)})
    half = t.ppf(0.975, 12 - 1) * model.bse[0]
    assert got.points == pytest.approx(gained.mean())
    assert (got.hi - got.lo) / 2 == pytest.approx(half, rel=0.04)
    assert (got.hi + got.lo) / 2 == pytest.approx(got.points)
    assert got.n_groups_min == min(len(set(studio[truth == k])) for k in (0, 1))


def test_where_groupings_cross_the_interval_stays_within_what_can_be():
    truth = np.zeros(12, int)
    artist, studio = np.arange(12) % 3, np.arange(12) // 4
    right, wrong = np.zeros(12, int), np.where(np.arange(12) % 5 < 3, 1, 0)
    ids = [str(i) for i in range(12)]
    a, b = Predictions(ids, truth, right, artist, 2), Predictions(ids, truth, wrong, studio, 2)
    assert difference(a, b, "accuracy", n_boot=500, seed=0).hi == 1
    assert difference(b, a, "accuracy", n_boot=500, seed=0).lo == -1


def test_runs_on_other_songs_of_one_group_have_no_interval():
    ids = [str(i) for i in range(8)]
    a = Predictions(ids[:4], np.zeros(4, int), np.array([0, 0, 0, 1]), np.arange(4), 2)
    b = Predictions(ids[4:], np.zeros(4, int), np.array([0, 1, 1, 1]), np.zeros(4), 2)
    for one, other in ((a, b), (b, a)):
        got = difference(one, other, "accuracy", n_boot=20, seed=0)
        assert abs(got.points) == 0.5
        assert (got.paired, got.n_groups_min) == (False, 1)
        assert np.isnan([got.lo, got.hi]).all()


def test_crossing_is_wider_than_either_grouping_alone():
    a, b = crossed(np.random.default_rng(1), 40, 24, 1.5)
    both = difference(a, b, "accuracy", n_boot=2000, seed=0)
    for groups in (a.groups, b.groups):
        d = difference(replace(a, groups=groups), replace(b, groups=groups), "accuracy", n_boot=2000, seed=0)
        assert both.hi - both.lo > 0.95 * (d.hi - d.lo)
