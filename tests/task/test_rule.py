"""How a run decides: what its rule keeps, what it says and in which order, and that a file gives it back exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from genrelab.evaluate.answers import Answers
from genrelab.evaluate.rejection import SCORES
from genrelab.task.rule import Rule
from genrelab.types import NO_TAG, Decision
from tests.parts import part

GENRES = ("blues", "disco", "metal")
D = 6


def answers(n: int, seed: int, several: bool = False, heat: float = 1.0, apart: float = 3.0) -> Answers:
    """n songs of 1 to 5 slices, whose embeddings lie around their genre's corner; `heat` multiplies the scores."""
    random = np.random.default_rng(seed)
    k = len(GENRES)
    truth = np.arange(n) % k
    target = np.eye(k)[truth]
    if several:
        target = np.maximum(target, random.random((n, k)) < 0.3)
    n_slices = random.integers(1, 6, n)
    song = heat * (2 * target - 1 + random.standard_normal((n, k)))
    slices = np.repeat(song, n_slices, 0) + random.standard_normal((n_slices.sum(), k))
    embedding = apart * np.eye(k, D)[truth] + random.standard_normal((n, D))
    return Answers(np.arange(n), truth, target, n_slices, song, slices, embedding, -embedding, song, several)


def strangers(said: Answers, n: int) -> Answers:
    """The first n songs are of none of the genres, and far from them."""
    truth, target, embedding = said.truth.copy(), said.target.copy(), said.embedding.copy()
    truth[:n], target[:n] = len(GENRES), 0
    embedding[:n] -= 50
    return replace(said, truth=truth, target=target, embedding=embedding, texture=-embedding)


def fitted(score: str = "mahalanobis", keep: float = 0.9, several: bool = False, n_val: int = 100) -> Rule:
    task = part("task/multi" if several else "task/single", score=score, keep=keep)
    return task.rule(answers(90, 1, several), answers(n_val, 2, several))


def alone(scores: list[float], several: bool = False, embedding: NDArray | None = None) -> Answers:
    """One song with these scores."""
    x = np.array([scores])
    z = np.zeros((1, D)) if embedding is None else embedding[None]
    return Answers(np.zeros(1), np.zeros(1, int), np.zeros_like(x), np.ones(1, int), x, x, z, -z, x, several)


def logit(p: list[float]) -> list[float]:
    return np.log(np.divide(p, np.subtract(1, p))).tolist()


def decided(rule: Rule, said: Answers) -> Decision:
    (decision,) = rule.decide(said, GENRES)
    return decision


def lenient(rule: Rule) -> Rule:
    return replace(rule, threshold=-np.inf)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("keep", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("score", [s for s in SCORES if s != "vote_share"])
def test_the_threshold_keeps_its_share_of_the_validation_songs(score: str, keep: float, several: bool) -> None:
    kept = fitted(score, keep, several).accepts(answers(100, 2, several))
    assert kept.sum() == 100 * keep


def test_a_score_of_few_values_keeps_at_least_its_share() -> None:
    """Many songs have a vote share of 1."""
    kept = fitted("vote_share", 0.1).accepts(answers(100, 2))
    assert kept.mean() >= 0.1
    assert kept.mean() == (answers(100, 2).vote_share == 1).mean()


def test_strangers_are_unlike_what_is_known() -> None:
    """By embeddings: of songs far from all genres none is kept; the known ones are kept as on validation."""
    said = strangers(answers(400, 5), 100)
    for score in ("mahalanobis", "knn", "texture"):
        kept = fitted(score, 0.9).accepts(said)
        assert not kept[:100].any()
        assert kept[100:].mean() == pytest.approx(0.9, abs=0.08)


@pytest.mark.parametrize("score", SCORES)
def test_songs_of_none_of_the_genres_do_not_count(score: str) -> None:
    """Neither in what is remembered, nor in the threshold, nor in the temperature."""
    train, val = strangers(answers(120, 1), 30), strangers(answers(140, 2), 40)
    options = {"score": score, "keep": 0.9, "neighbours": 3}
    mixed, pure = Rule.fitted(train, val, **options), Rule.fitted(train.of_known, val.of_known, **options)
    assert mixed.threshold == pure.threshold
    assert mixed.temperature == pure.temperature
    for name, value in pure.known.state().items():
        np.testing.assert_array_equal(mixed.known.state()[name], value)
    assert len(pure.known.embeddings.means) == len(GENRES)


def test_few_validation_songs_fit_no_temperature() -> None:
    """With 49 the probabilities are those of the scores, with 50 they are calibrated."""
    few, enough, said = fitted(n_val=49), fitted(n_val=50), answers(20, 3)
    assert few.temperature is None
    assert enough.temperature is not None
    np.testing.assert_array_equal(few.probabilities(said), said.probabilities())
    assert np.abs(enough.probabilities(said) - said.probabilities()).max() > 0.01
    mixed = Rule.fitted(
        answers(90, 1), strangers(answers(60, 2), 20), score="knn", keep=0.9, neighbours=3
    )  # 40 of a known genre
    assert mixed.temperature is None


@pytest.mark.parametrize("several", [False, True])
def test_the_temperature_undoes_overconfidence(several: bool) -> None:
    """Scores that are four times as hot get a temperature four times as high, and the same probabilities."""
    task = part("task/multi" if several else "task/single")
    mild, hot = (task.rule(answers(90, 1, several, h), answers(200, 2, several, h)) for h in (1.0, 4.0))
    assert hot.temperature == pytest.approx(4 * mild.temperature, rel=1e-3)
    np.testing.assert_allclose(
        hot.probabilities(answers(30, 3, several, 4.0)), mild.probabilities(answers(30, 3, several)), atol=1e-3
    )


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("n_val", [20, 100])
def test_a_file_gives_the_rule_back_exactly(tmp_path: Path, score: str, several: bool, n_val: int) -> None:
    """To the last bit: the song that lies on the threshold is decided alike before and after."""
    rule, said = fitted(score, 0.9, several, n_val), answers(n_val, 2, several)
    path = tmp_path / "not there yet" / "rule.npz"
    rule.save(path)
    again = Rule.load(path)
    assert [p.name for p in path.parent.iterdir()] == ["rule.npz"]
    for name in ("score", "keep", "temperature", "threshold"):
        assert getattr(again, name) == getattr(rule, name), name
        assert type(getattr(again, name)) is type(getattr(rule, name)), name
    assert (again.thresholds is None) == (not several)
    if several:
        np.testing.assert_array_equal(again.thresholds, rule.thresholds)
    for name, value in rule.knownness(said).items():
        np.testing.assert_array_equal(again.knownness(said)[name], value, err_msg=name)
    assert again.decide(said, GENRES) == rule.decide(said, GENRES)


def test_the_likeliest_genre_is_said_first() -> None:
    rule = replace(lenient(fitted()), temperature=None)
    decision = decided(rule, alone(np.log([0.2, 0.7, 0.1]).tolist()))
    assert [g for g, _ in decision.genres] == ["disco", "blues", "metal"]
    assert [p for _, p in decision.genres] == pytest.approx([0.7, 0.2, 0.1])
    assert (decision.label, decision.said, decision.n_said, decision.no_tag) == ("disco", "disco", 1, None)
    cooler = decided(replace(rule, temperature=2.0), alone(np.log([0.2, 0.7, 0.1]).tolist()))
    root = np.sqrt([0.7, 0.2, 0.1])
    assert [p for _, p in cooler.genres] == pytest.approx(root / root.sum())


def test_a_song_unlike_the_known_ones_gets_no_tag_and_keeps_its_ranking() -> None:
    far = alone(np.log([0.2, 0.7, 0.1]).tolist(), embedding=np.full(D, 80.0))
    decision = decided(fitted(), far)
    assert decision.label == NO_TAG
    assert decision.no_tag == "unlike the songs that the run knows"
    assert decision.said == "disco"
    assert decided(fitted(), alone([0.2, 0.7, 0.1], embedding=3 * np.eye(D)[1])).label == "disco"


@pytest.mark.parametrize(
    ("p", "label", "order"),
    [
        ([0.3, 0.5, 0.9], "metal|blues", ["metal", "blues", "disco"]),  # what is said comes before what is likelier
        ([0.9, 0.7, 0.95], "metal|blues|disco", ["metal", "blues", "disco"]),
        ([0.1, 0.61, 0.79], "disco", ["disco", "metal", "blues"]),
        ([0.1, 0.59, 0.79], NO_TAG, ["metal", "disco", "blues"]),
    ],
)
def test_several_genres_are_those_above_their_own_thresholds(p: list[float], label: str, order: list[str]) -> None:
    rule = replace(lenient(fitted(several=True)), temperature=None, thresholds=np.array([0.2, 0.6, 0.8]))
    decision = decided(rule, alone(logit(p), several=True))
    assert [g for g, _ in decision.genres] == order
    assert dict(decision.genres) == pytest.approx(dict(zip(GENRES, p, strict=True)))
    assert decision.label == label
    assert decision.no_tag == ("no genre reaches its threshold" if label == NO_TAG else None)
    assert decision.n_said == (0 if label == NO_TAG else label.count("|") + 1)


def test_on_its_threshold_a_genre_is_not_said() -> None:
    said = alone(logit([0.1, 0.6, 0.8]), several=True)
    rule = replace(lenient(fitted(several=True)), thresholds=said.probabilities()[0])
    assert decided(rule, said).label == NO_TAG
    assert decided(replace(rule, thresholds=rule.thresholds - [0, 1e-9, 0]), said).label == "disco"


def test_thresholds_are_of_the_probabilities_before_the_temperature() -> None:
    """A temperature changes what is printed, never what is said."""
    rule, said = lenient(fitted(several=True)), answers(40, 7, several=True)
    hot = replace(rule, temperature=9.0)
    for a, b in zip(rule.decide(said, GENRES), hot.decide(said, GENRES), strict=True):
        assert a.label == b.label
        assert dict(a.genres) != dict(b.genres)


def test_a_song_of_several_that_is_unlike_the_known_ones_says_so_first() -> None:
    rule = fitted(several=True)
    far = decided(rule, alone([-9.0, -9.0, -9.0], several=True, embedding=np.full(D, 80.0)))
    assert (far.label, far.no_tag) == (NO_TAG, "unlike the songs that the run knows")


def test_thresholds_of_several_genres_are_the_best_on_validation() -> None:
    """No other threshold has a higher F1, by scikit-learn and all thresholds that there are."""
    rule, val = fitted(several=True), answers(100, 2, several=True)
    assert fitted().thresholds is None
    p, there = val.probabilities(), val.target > 0
    for k in range(len(GENRES)):
        best = max(f1_score(there[:, k], p[:, k] > cut) for cut in [0, *p[:, k]])
        assert f1_score(there[:, k], p[:, k] > rule.thresholds[k]) == pytest.approx(best)
