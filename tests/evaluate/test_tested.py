"""Figures of runs where groups are weighted or change sides: those of the songs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from genrelab.evaluate import multilabel
from genrelab.evaluate.metrics import METRICS
from genrelab.evaluate.tested import Decided, Ranked

K, N = 3, 36
GROUPS = np.repeat([f"g{i:02d}" for i in range(12)], 3)


def decided(metric, seed=0):
    rng = np.random.default_rng(seed)
    return Decided(GROUPS, rng.integers(0, K, N), rng.integers(0, K + 1, (4, N)), K, metric)


def ranked(metric, seed=0):
    rng = np.random.default_rng(seed)
    return Ranked(GROUPS, rng.random((N, K)) < 0.4, rng.random((4, N, K)), rng.random((4, N, K)), metric)


def sklearns(truth, said, metric):
    if metric == "accuracy":
        return sk.accuracy_score(truth, said)
    if metric == "balanced_accuracy":
        return sk.recall_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0)
    labels = [k for k in range(K) if k in truth or k in said]  # no tag is no genre
    return sk.f1_score(truth, said, labels=labels, average="macro", zero_division=0)


@pytest.mark.parametrize("metric", METRICS)
def test_weights_are_songs_counted_so_often(metric):
    block = decided(metric)
    weights = np.random.default_rng(1).integers(0, 3, (5, 12))
    found = block.figures(weights)
    assert found.shape == (5, 4)
    for w, row in zip(weights, found, strict=True):
        rows = np.repeat(np.arange(N), np.repeat(w, 3))
        for m in range(4):
            assert row[m] == pytest.approx(sklearns(block.truth[rows], block.decided[m, rows], metric))


@pytest.mark.parametrize("metric", multilabel.METRICS)
def test_weights_of_songs_with_several_genres(metric):
    block = ranked(metric)
    weights = np.random.default_rng(1).integers(0, 3, (5, 12))
    for w, row in zip(weights, block.figures(weights), strict=True):
        rows = np.repeat(np.arange(N), np.repeat(w, 3))
        for m in range(4):
            own = multilabel.scores(block.truth[rows], block.chances[m, rows], block.thresholds[m, rows])
            assert row[m] == pytest.approx(own[metric])


@pytest.mark.parametrize("block", [*map(decided, METRICS), *map(ranked, multilabel.METRICS)], ids=lambda b: b.metric)
def test_groups_that_all_stay_or_all_change_give_the_difference_or_its_negative(block):
    one, two = block.figures(np.ones((1, 12)))[0][[1, 3]]
    kept = np.array([np.ones(12, bool), np.zeros(12, bool)])
    np.testing.assert_allclose(block.swapped(1, 3, kept), [one - two, two - one])


@pytest.mark.parametrize("metric", METRICS)
def test_what_changes_sides_is_the_answers_of_a_group(metric):
    block = decided(metric)
    kept = np.random.default_rng(2).random((20, 12)) < 0.5
    for keep, found in zip(kept, block.swapped(0, 2, kept), strict=True):
        stay = np.repeat(keep, 3)
        a, b = (np.where(stay, block.decided[i], block.decided[j]) for i, j in ((0, 2), (2, 0)))
        assert found == pytest.approx(sklearns(block.truth, a, metric) - sklearns(block.truth, b, metric))


@pytest.mark.parametrize("block", [decided("accuracy"), decided("balanced_accuracy"), ranked("lrap")])
def test_what_songs_add_is_the_difference_however_they_change_sides(block):
    gains = block.gains(0, 1)
    kept = np.random.default_rng(2).random((20, 12)) < 0.5
    signs = np.where(kept[:, block.of_group], 1, -1)
    np.testing.assert_allclose(signs @ gains, block.swapped(0, 1, kept))


@pytest.mark.parametrize("block", [decided("macro_f1"), ranked("map")])
def test_a_metric_that_is_no_sum_has_no_gains(block):
    assert block.gains(0, 1) is None
