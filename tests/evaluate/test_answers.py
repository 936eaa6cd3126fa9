"""What a model said of songs: taken apart, put together and counted by hand."""

from dataclasses import fields

import numpy as np
import pytest
from scipy.special import expit, softmax

from genrelab.evaluate import metrics, multilabel
from genrelab.evaluate.answers import Answers

K, D = 3, 2
NAMES = [f.name for f in fields(Answers) if f.name != "several"]


def made(truth, n_slices, *, several=False, seed=0, first=0):
    """Answers of songs; truth K is a song of none of the genres."""
    rng = np.random.default_rng(seed)
    truth, n_slices = np.asarray(truth), np.asarray(n_slices)
    n, target = len(truth), np.vstack([np.eye(K), np.zeros(K)])[truth]
    if several:
        target[:, 0] = 1 * (truth < K)  # all of the genres have genre 0 as well
    return Answers(
        index=first + np.arange(n),
        truth=truth,
        target=target,
        n_slices=n_slices,
        song=rng.normal(size=(n, K)),
        slice=rng.normal(size=(n_slices.sum(), K)),
        embedding=rng.normal(size=(n, D)),
        texture=rng.normal(size=(n, 4)),
        logits=rng.normal(size=(n, K)),
        several=several,
    )


def same(a, b):
    assert a.several == b.several
    for name in NAMES:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_parts_are_joined_one_after_another_and_taken_apart_again():
    one, two = made([0, 1], [2, 3]), made([3, 2, 1], [1, 4, 2], seed=1, first=2)
    both = Answers.joined([one, two])
    assert both.index.tolist() == [0, 1, 2, 3, 4]
    assert both.owner.tolist() == [0, 0, 1, 1, 1, 2, 3, 3, 3, 3, 4, 4]
    np.testing.assert_array_equal(both.slice, np.vstack([one.slice, two.slice]))
    same(both.of(np.arange(5) < 2), one)
    same(both.of(np.arange(5) >= 2), two)
    assert Answers.joined([made([0], [1], several=True)]).several


def test_some_songs_keep_their_own_slices():
    said = made([0, 1, 2], [2, 1, 3])
    some = said.of(np.array([True, False, True]))
    assert some.index.tolist() == [0, 2]
    assert some.n_slices.tolist() == [2, 3]
    np.testing.assert_array_equal(some.slice, said.slice[[0, 1, 3, 4, 5]])
    np.testing.assert_array_equal(some.embedding, said.embedding[[0, 2]])


def test_songs_of_none_of_the_genres_are_told_and_left_out():
    said = made([0, 3, 2, 3], [1, 2, 1, 1])
    assert said.known.tolist() == [True, False, True, False]
    same(said.of_known, said.of(said.known))
    assert said.of_known.truth.tolist() == [0, 2]
    known = made([0, 2], [1, 1])
    assert known.of_known is known


def test_the_share_of_the_commonest_vote_by_hand():
    said = made([0, 1], [4, 3])
    votes = np.eye(K)[[0, 0, 2, 1, 1, 1, 1]]
    of_votes = Answers(**{n: getattr(said, n) for n in NAMES if n != "slice"}, slice=votes, several=False)
    assert of_votes.vote_share.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(("several", "link"), [(False, lambda x: softmax(x, -1)), (True, expit)])
def test_probabilities_are_of_the_kind_of_the_task(several, link):
    said = made([0, 1, 2], [2, 1, 3], several=several)
    np.testing.assert_allclose(said.probabilities(), link(said.song))
    np.testing.assert_allclose(said.probabilities(2.5), link(said.song / 2.5))
    np.testing.assert_allclose(said.slice_probabilities(), link(said.slice))
    evidence = said.evidence(2.5)
    np.testing.assert_array_equal(evidence.probabilities, said.probabilities(2.5))
    np.testing.assert_array_equal(evidence.logits, said.logits)
    np.testing.assert_array_equal(evidence.embedding, said.embedding)
    np.testing.assert_array_equal(evidence.vote_share, said.vote_share)


def test_figures_of_one_genre_a_song_are_those_of_the_metrics_without_strangers():
    said = made([0, 1, 2, 3, 1, 0], [2, 1, 3, 2, 1, 2])
    known = [0, 1, 2, 4, 5]
    rows = [0, 1, 2, 3, 4, 5, 8, 9, 10]  # the fourth song's two slices are left out
    found = said.figures("val")
    song = metrics.scores(said.truth[known], softmax(said.song[known], 1))
    slices = metrics.scores(np.repeat(said.truth, said.n_slices)[rows], softmax(said.slice[rows], 1))
    assert found == {f"val/song/{k}": v for k, v in song.items()} | {f"val/slice/{k}": v for k, v in slices.items()}
    assert {*song} == {"accuracy", "balanced_accuracy", "macro_f1", "log_loss"}


def test_figures_of_several_genres_are_those_of_multilabel():
    said = made([0, 1, 2, 1, 0, 2], [2, 1, 3, 2, 1, 2], several=True)
    target = said.target > 0
    for given, used in ((None, np.full(K, 0.5)), (np.array([0.3, 0.6, 0.7]), np.array([0.3, 0.6, 0.7]))):
        found = said.figures("test", given)
        song = multilabel.scores(target, expit(said.song), used)
        slices = multilabel.scores(np.repeat(target, said.n_slices, 0), expit(said.slice), used)
        expected = {f"test/song/{k}": v for k, v in song.items()} | {f"test/slice/{k}": v for k, v in slices.items()}
        assert found == pytest.approx(expected, nan_ok=True)
        assert len(found) == 8
