"""One genre a song or none: which songs are of the known ones, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from genrelab.types import UserError
from tests.parts import part
from tests.task.contract import tracks

SONGS = ("rock", "rap", "blues", "rap", "", "blues:0.6|rap:0.4")


def refused(unknown: list[str], *genres: str) -> str:
    with pytest.raises(UserError) as caught:
        part("task/open_set", unknown=unknown).labels(tracks(*genres))
    return str(caught.value)


@pytest.mark.parametrize("unknown", [["rap"], "rap"])
def test_unknown_genres_are_no_class(unknown: list[str] | str) -> None:
    labels = part("task/open_set", unknown=unknown).labels(tracks(*SONGS))
    assert labels.genres == ("blues", "rock")
    assert labels.truth.tolist() == [1, 2, 0, 2, 2, 0]
    assert labels.known.tolist() == [True, False, True, False, False, True]
    np.testing.assert_array_equal(labels.target, [[0, 1], [0, 0], [1, 0], [0, 0], [0, 0], [1, 0]])


def test_songs_of_no_genre_are_enough() -> None:
    labels = part("task/open_set").labels(tracks(*SONGS))
    assert labels.genres == ("blues", "rap", "rock")
    assert labels.known.tolist() == [True, True, True, True, False, True]
    np.testing.assert_allclose(labels.target[5], [0.6, 0.4, 0])


def test_it_learns_as_task_single_does() -> None:
    known = part("task/open_set", unknown=["rap"]).labels(tracks("rock", "rap", "blues"))
    alone = part("task/single").labels(tracks("rock", "blues"))
    assert known.genres == alone.genres
    np.testing.assert_array_equal(known.target[known.known], alone.target)


def test_what_cannot_be_held_out_is_refused_by_name() -> None:
    assert refused(["polka"], "rock", "rap", "blues") == (
        "task.unknown: the data have no genre 'polka'; there are blues, rap, rock"
    )
    assert refused(["rap", "polka"], "rock", "rap", "", "blues").startswith(
        "task.unknown: the data have no genre 'polka'"
    )


def test_nothing_unknown_is_refused_with_what_to_do() -> None:
    said = refused([], "rock", "rap", "blues")
    assert said.startswith("task=open_set needs songs of none of the genres: ")
    assert "task.unknown=[blues]" in said
    assert "data.unknown=FOLDER" in said


def test_too_few_genres_to_learn_are_refused() -> None:
    assert refused(["rap", "rock"], "rock", "rap", "blues") == (
        "task.unknown leaves 1 of 3 genres to learn, expected at least 2"
    )
    assert part("task/open_set", unknown=["rap"]).labels(tracks("rock", "rap", "blues")).genres == ("blues", "rock")
