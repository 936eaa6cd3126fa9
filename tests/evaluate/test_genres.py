"""The figures of each genre: as scikit-learn has them, with an interval over groups."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from genrelab.evaluate.genres import by_genre

GENRES = ["ambient", "bebop", "cumbia"]
OPTIONS = {"n_boot": 300, "seed": 0}


def drawn(n: int = 240, seed: int = 0):
    """truth (n,), probabilities (n, 3), groups of four songs of one genre."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(3, size=n // 4), 4)
    p = rng.dirichlet(np.ones(3), n)
    p[np.arange(n), truth] += 0.4
    return truth, p / p.sum(1, keepdims=True), np.repeat(np.arange(n // 4), 4)


def one_hot(k):
    return np.eye(3, dtype=bool)[k]


def test_they_are_scikit_learns():
    truth, p, groups = drawn()
    found = by_genre(one_hot(truth), one_hot(p.argmax(1)), p, groups, GENRES, **OPTIONS)
    precision, recall, f1, n = precision_recall_fscore_support(truth, p.argmax(1))
    for k, genre in enumerate(found):
        assert (genre.name, genre.n, genre.n_groups) == (GENRES[k], n[k], n[k] // 4)
        assert (genre.recall, genre.precision, genre.f1) == pytest.approx((recall[k], precision[k], f1[k]))
        assert genre.average_precision == pytest.approx(average_precision_score(truth == k, p[:, k]))
        assert genre.lo < genre.recall < genre.hi


def test_songs_of_a_group_are_not_independent():
    truth, p, groups = drawn()
    said = one_hot(np.repeat(p.argmax(1)[::4], 4))  # a group's songs are all right or all wrong
    own = by_genre(one_hot(truth), said, p, groups, GENRES, **OPTIONS)
    alone = by_genre(one_hot(truth), said, p, np.arange(len(truth)), GENRES, **OPTIONS)
    for a, b in zip(own, alone, strict=True):
        assert a.hi - a.lo > 1.5 * (b.hi - b.lo)


def test_what_cannot_be_said_is_nan():
    truth = np.array([0, 0, 1, 1])
    said = one_hot(np.array([0, 0, 0, 1]))
    ambient, bebop, cumbia = by_genre(one_hot(truth), said, said.astype(float), [0, 0, 1, 2], GENRES, **OPTIONS)
    assert (ambient.recall, ambient.precision) == (1, pytest.approx(2 / 3))
    assert math.isnan(ambient.lo) and math.isnan(ambient.hi)  # one group
    assert (bebop.recall, bebop.lo, bebop.hi) == (0.5, 0, 1)
    assert all(math.isnan(v) for v in (cumbia.recall, cumbia.precision, cumbia.f1, cumbia.average_precision))


def test_a_song_may_have_several():
    truth = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0]], bool)
    said = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], bool)
    found = by_genre(truth, said, said.astype(float), [0, 1, 2], GENRES, **OPTIONS)
    assert [(g.recall, g.f1) for g in found] == [(1, 1), (0.5, 0.5), (0, 0)]


def test_shapes_that_do_not_fit_are_refused():
    truth = one_hot(np.array([0, 1]))
    with pytest.raises(ValueError, match="expected"):
        by_genre(truth, truth[:1], truth.astype(float), [0, 1], GENRES, **OPTIONS)
    with pytest.raises(ValueError, match="expected"):
        by_genre(truth, truth, truth.astype(float), [0, 1], GENRES[:2], **OPTIONS)
