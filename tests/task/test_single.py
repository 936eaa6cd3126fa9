"""One genre a song: the labels that it reads, and the loss by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genrelab.task.base import MOST_GENRES
from genrelab.types import UserError
from tests.parts import part
from tests.task.contract import OWNER, cross_entropy, scores, tracks

TARGET = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
SOFT = torch.tensor([[0.1, 0.3, 0.6], [1.0, 0.0, 0.0]])


@pytest.mark.parametrize("target", [TARGET, SOFT], ids=["hard", "soft"])
@pytest.mark.parametrize("smoothing", [0.0, 0.05])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_loss(smoothing: float, weight: float, target: torch.Tensor) -> None:
    task, said = part("task/single", slice_weight=weight, label_smoothing=smoothing), scores()
    of_slices = cross_entropy(said.slice, target[OWNER], smoothing)
    of_songs = cross_entropy(said.song, target, smoothing)
    assert float(task.loss(said, target, trained=False)) == pytest.approx(of_slices, rel=1e-5)
    assert float(task.loss(said, target, trained=True)) == pytest.approx(of_songs + weight * of_slices, rel=1e-5)


def test_a_vote_trains_on_its_slices_alone() -> None:
    said = scores()
    said.song.requires_grad_()
    said.slice.requires_grad_()
    task = part("task/single")
    task.loss(said, TARGET, trained=False).backward()
    assert said.song.grad is None
    assert (said.slice.grad.abs().sum(1) > 0).all()
    task.loss(said, TARGET, trained=True).backward()
    assert (said.song.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize("name", ["single", "multi"])
def test_the_loss_is_taken_in_full_precision(name: str) -> None:
    task, half = part(f"task/{name}"), scores(torch.bfloat16)
    found = task.loss(half, TARGET, trained=True)
    whole = type(half)(half.song.float(), half.slice.float(), half.owner, half.embedding)
    assert found.dtype == torch.float32
    assert float(found) == float(task.loss(whole, TARGET, trained=True))


def test_labels() -> None:
    """Genres by name; a song of several with no weights is of the first."""
    labels = part("task/single").labels(tracks("rock", "blues", "rap|blues", "blues"))
    assert labels.genres == ("blues", "rap", "rock")
    assert labels.truth.tolist() == [2, 0, 1, 0]
    assert labels.truth.dtype == np.int64
    assert labels.target.dtype == np.float32
    np.testing.assert_array_equal(labels.target, np.eye(3)[[2, 0, 1, 0]])
    assert labels.known.all()


@pytest.mark.parametrize("name", ["single", "multi"])
def test_titles_are_no_genres(name: str) -> None:
    task = part(f"task/{name}")
    assert len(task.genres(tracks(*(f"g{i}" for i in range(MOST_GENRES))))) == MOST_GENRES
    with pytest.raises(UserError, match=rf"^{MOST_GENRES + 1} songs have {MOST_GENRES + 1} genres \(first: g0\)"):
        task.genres(tracks(*(f"g{i}" for i in range(MOST_GENRES + 1))))


def test_soft_labels_are_learned_as_they_weigh_and_tested_on_the_heaviest() -> None:
    labels = part("task/single").labels(tracks("rap:0.25|rock:0.75", "rap", "rock:0.5|rap:0.5"))
    assert labels.genres == ("rap", "rock")
    assert labels.truth.tolist() == [1, 0, 1]  # of equals the first
    np.testing.assert_allclose(labels.target, [[0.25, 0.75], [1, 0], [0.5, 0.5]])


def test_what_is_nobodys_main_genre_is_no_class() -> None:
    """The rest of such a song's weights are brought to a sum of 1."""
    labels = part("task/single").labels(tracks("rap:0.3|rock:0.5|polka:0.2", "rap", "rock|polka"))
    assert labels.genres == ("rap", "rock")
    np.testing.assert_allclose(labels.target, [[0.375, 0.625], [1, 0], [0, 1]])


def test_songs_of_none_of_the_genres_are_placed_outside() -> None:
    labels = part("task/single").placed(
        tracks("rap", "polka", "", "polka:0.6|rap:0.4", "rap:0.6|polka:0.4"), ("rap", "rock")
    )
    assert labels.truth.tolist() == [0, 2, 2, 2, 0]
    assert labels.known.tolist() == [True, False, False, False, True]
    np.testing.assert_array_equal(labels.target, [[1, 0], [0, 0], [0, 0], [0, 0], [1, 0]])


@pytest.mark.parametrize("name", ["single", "multi"])
def test_songs_without_a_genre_are_refused_by_name(name: str) -> None:
    with pytest.raises(UserError) as caught:
        part(f"task/{name}").labels(tracks("rap", "", "rock", ""))
    assert str(caught.value) == ("2 songs have no genre (first: song 1): songs of data.unknown want task=open_set")


@pytest.mark.parametrize("name", ["single", "multi", "open_set"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"score": "charm"}, r"task\.score=charm: there is no such score; there are max_softmax, .*vote_share"),
        ({"keep": 0}, r"task\.keep=0: expected a share"),
        ({"keep": 1.01}, r"task\.keep=1\.01: expected a share"),
        ({"neighbours": 0}, r"task\.neighbours=0: expected a whole number"),
    ],
)
def test_words_that_make_no_rule_are_refused_by_name(name: str, words: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        part(f"task/{name}", **words)
    part(f"task/{name}", keep=1, neighbours=1)  # these do
