"""Pairs of genres: as scikit-learn tells them apart, and what is said where it cannot be told."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from genrelab.evaluate.confusable import Pair, pairs

GENRES = ["ambient", "bebop", "cumbia", "dub"]


def drawn(songs=30, apart=1.0, seed=0):
    """(truth, probabilities): the first two genres are answered alike, the others `apart` from everything."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(4), songs)
    x = rng.normal(size=(len(truth), 4))
    x[truth < 2, :2] += apart
    x[np.arange(len(truth)), truth] += np.where(truth >= 2, apart, 0)
    return truth, softmax(x, 1)


def test_each_pair_is_scikit_learns():
    truth, p = drawn()
    found = pairs(truth, p, np.arange(120), GENRES, n_boot=50, seed=0)
    assert len(found) == 6
    for pair in found:
        a, b = GENRES.index(pair.a), GENRES.index(pair.b)
        rows = np.isin(truth, [a, b])
        assert pair.auroc == pytest.approx(roc_auc_score(truth[rows] == a, p[rows, a] / p[rows, b]))
        said = p.argmax(1)
        assert pair.a_as_b == np.mean(said[truth == a] == b)
        assert pair.b_as_a == np.mean(said[truth == b] == a)
        assert pair.lo <= pair.auroc <= pair.hi
    assert [x.auroc for x in found] == sorted(x.auroc for x in found)


def test_what_is_answered_alike_is_not_separable_and_what_is_not_is():
    truth, p = drawn(songs=40, apart=4.0)
    alike, *others = pairs(truth, p, np.arange(160), GENRES, n_boot=400, seed=0)
    assert (alike.a, alike.b) == ("ambient", "bebop")
    assert alike.lo < 0.5 < alike.hi
    assert alike.verdict == "not separable with 80 songs"
    assert len(others) == 5
    assert {x.verdict for x in others} == {"told apart"}


def test_random_scores_are_told_apart_one_time_in_forty():
    """The interval is two-sided: above chance lie 2.5 % of pairs that nothing tells apart."""
    told = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        truth = np.repeat([0, 1], 40)
        (pair,) = pairs(truth, softmax(rng.normal(size=(80, 2)), 1), np.arange(80), GENRES[:2], n_boot=200, seed=seed)
        told += pair.separable
    assert told / 400 == pytest.approx(0.025, abs=0.02)


def test_songs_and_groups_are_counted():
    truth = np.array([0] * 5 + [1] * 3 + [3] * 2)
    groups = list("aabcdeefgg")
    rng = np.random.default_rng(0)
    found = pairs(truth, rng.dirichlet(np.ones(4), 10), groups, GENRES, n_boot=20, seed=0)
    counts = {(x.a, x.b): (x.n_a, x.n_b, x.n_groups) for x in found}
    assert counts == {("ambient", "bebop"): (5, 3, 2), ("ambient", "dub"): (5, 2, 1), ("bebop", "dub"): (3, 2, 1)}


def test_songs_of_one_artist_are_one_witness():
    """Two artists a genre, however many songs: perfectly apart, and yet an interval of four voices only."""
    truth, p = drawn(songs=30, apart=1.0)
    by_song = pairs(truth, p, np.arange(120), GENRES, n_boot=300, seed=0)[-1]
    by_artist = pairs(truth, p, truth * 2 + np.arange(120) % 2, GENRES, n_boot=300, seed=0)[-1]
    assert by_artist.auroc == by_song.auroc
    assert by_artist.n_groups == 2
    assert by_song.n_groups == 30


def test_one_group_a_genre_tells_nothing():
    (pair,) = pairs([0, 0, 1, 1], np.eye(2)[[0, 0, 1, 1]], ["a", "a", "b", "b"], GENRES[:2], n_boot=20, seed=0)
    assert pair.auroc == 1
    assert np.isnan([pair.lo, pair.hi]).all()
    assert pair.verdict == "not known: a group each"


def test_certainty_of_a_third_genre_leaves_the_two_comparable():
    p = np.array([[0.0, 0.0, 1.0], [1e-9, 0.0, 1.0], [0.0, 1e-9, 1.0], [0.0, 0.0, 1.0]])
    (pair,) = pairs([0, 0, 1, 1], p, np.arange(4), GENRES[:3], n_boot=20, seed=0)
    assert pair.auroc == pytest.approx(0.875)  # of four comparisons one is a tie


def test_the_verdict_hangs_on_the_lower_end():
    def said(lo):
        return Pair("a", "b", 0.6, lo, 0.7, 0, 0, 7, 8, 5).verdict

    assert said(0.51) == "told apart"
    assert said(0.5) == said(0.4) == "not separable with 15 songs"
    assert said(float("nan")) == "not known: a group each"
