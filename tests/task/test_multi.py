"""Several genres a song: its labels, and binary cross entropy as torch has it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.parts import part
from tests.task.contract import OWNER, scores, tracks

TARGET = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_loss(weight: float) -> None:
    """Every genre of every song counts alike, and in training every genre of every slice."""
    task, said = part("task/multi", slice_weight=weight), scores()
    of_slices = float(binary_cross_entropy_with_logits(said.slice, TARGET[[0, 0, 0, 1]]))
    of_songs = float(binary_cross_entropy_with_logits(said.song, TARGET))
    assert OWNER.tolist() == [0, 0, 0, 1]
    assert float(task.loss(said, TARGET, trained=False)) == pytest.approx(of_slices, rel=1e-6)
    assert float(task.loss(said, TARGET, trained=True)) == pytest.approx(of_songs + weight * of_slices, rel=1e-6)


def test_one_yes_and_one_no_by_hand() -> None:
    task = part("task/multi")
    found = task.entropy(torch.tensor([[0.0, np.log(3)]]), torch.tensor([[1.0, 0.0]]))  # p: 1/2 and 3/4
    assert float(found) == pytest.approx((np.log(2) + np.log(4)) / 2, rel=1e-6)


@pytest.mark.parametrize("word", ["gamma_pos", "gamma_neg", "clip"])
def test_each_word_reaches_the_loss(word: str) -> None:
    plain, said = part("task/multi"), scores()
    other = part("task/multi", **{word: 0.2})
    assert float(other.loss(said, TARGET, trained=True)) < float(plain.loss(said, TARGET, trained=True)) - 1e-3


def test_a_genre_is_there_or_not_whatever_its_weight() -> None:
    labels = part("task/multi").labels(tracks("rap:0.9|rock:0.1", "polka", "rock|polka|rap", "blues|rap"))
    assert labels.genres == ("blues", "polka", "rap", "rock")  # of all, not of the main ones alone
    np.testing.assert_array_equal(labels.target, [[0, 0, 1, 1], [0, 1, 0, 0], [0, 1, 1, 1], [1, 0, 1, 0]])
    assert labels.truth.tolist() == [2, 1, 3, 0]  # the heaviest, else the first


def test_songs_of_none_of_the_genres_have_no_target() -> None:
    labels = part("task/multi").placed(tracks("rap|rock", "polka", ""), ("rap", "rock"))
    assert labels.known.tolist() == [True, False, False]
    np.testing.assert_array_equal(labels.target, [[1, 1], [0, 0], [0, 0]])


def test_what_runs_are_ordered_by_is_a_figure_of_several_genres() -> None:
    task = part("task/multi")
    assert task.several
    assert task.measure == "map"
    assert task.measure in task.metrics
    assert not part("task/single").several
    assert part("task/single").measure in part("task/single").metrics
