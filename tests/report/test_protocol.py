"""What a card says of a run in words: the protocol, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genrelab.report.protocol import Facts, checks, lead, protocol

CONFIG: dict[str, Any] = {
    "choices": {"front": "mel", "slice": "fixed", "norm": "train", "net": "cnn", "agg": "gru", "data": "manifest"},
    "task": {"_target_": "genrelab.task.single.Single", "keep": 0.95, "score": "texture"},
    "trainer": {"mode": "min", "monitor": "val/loss", "n_boot": 2000},
    "sample_rate": 22050,
    "limit_songs": None,
    "seed": 3,
    "net": {},
}
FACTS = Facts(
    config=CONFIG,
    data="tapes",
    genres=("dub", "funk"),
    front="128 bins",
    songs={"train": 600, "val": 200, "test": 200},
    n_slices=1600,
    n_strangers=0,
    n_unusable=0,
    n_off_beat=0,
    by="artist",
    n_folds=0,
    groups={"dub": 12, "funk": 9},
    crossed={"artist": 0},
    audit="clean",
    slices_s=(2.56, 2.56),
    epochs=12,
    kept=8,
    temperature=1.3,
    ece=(0.12, 0.04),
    score="texture",
    threshold=-7.04,
    verdict="better than tempo by 18.7 points [13.0, 24.4]",
)


def config(**choices: str) -> dict[str, Any]:
    return CONFIG | {"choices": CONFIG["choices"] | choices}


def test_the_protocol_says_which_songs_what_is_apart_what_decides_and_what_is_averaged() -> None:
    said = " ".join(protocol(FACTS))
    for words in (
        "1,000 songs of tapes in 2 genres: dub, funk.",
        "No artist lies on two sides: 600 songs train, 200 validate, 200 test.",
        "22,050 Hz mono and drawn by mel (128 bins)",
        "slices of 2.56 s (slice=fixed), normalised by the mean and deviation of the training songs",
        "Of 12 epochs the weights are those of epoch 9, with the lowest val/loss",
        "test songs chose nothing",
        "highest probability is the answer",
        "below \N{MINUS SIGN}7.04, which 95 % of the validation songs pass",
        "mean over the 2 genres",
        "Per slice counts each of 1,600 slices as if it were a song; it does not say how many songs are right",
        "from 2,000 resamples of whole artists",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_folds": 5}, "5 folds by artist: every song is tested once, by a model that no song of its artist"),
        ({"n_folds": 5}, "200 songs of tapes"),  # those that were tested are all
        ({"n_folds": 5, "score": ""}, "below a threshold of each fold"),
        ({"by": "slice"}, "shows the leak and nothing else"),
        ({"by": "slice"}, "200 songs of tapes"),  # each lies on every side
        ({"by": "slice"}, "resamples of whole songs"),
        ({"by": "official"}, "The sides were given (official): 600 songs train"),
        ({"n_strangers": 7}, "7 songs of none of them are in the test alone"),
        ({"n_unusable": 4}, "4 tracks could not be used"),
        ({"n_off_beat": 3}, "3 songs were cut in fixed windows"),
        ({"slices_s": (1.2, 2.5)}, "slices of 1.2 to 2.5 s"),
        ({"epochs": 0, "kept": 0}, "Nothing had to be learned"),
        ({"config": CONFIG | {"limit_songs": 60}}, "Only a part of the data was used (limit_songs=60)"),
        ({"config": config(augment="spec")}, "Training songs were changed on the way (augment=spec)"),
        ({"config": config(net="frozen") | {"net": {"run": "abc"}}}, "The net is that of the run abc, frozen"),
        ({"genres": [f"g{i}" for i in range(40)]}, "g23 and 16 more"),
    ],
)
def test_what_is_not_usual_is_said(changed: dict[str, Any], words: str) -> None:
    assert words in " ".join(protocol(replace(FACTS, **changed)))


def test_songs_of_several_genres_have_their_own_rule() -> None:
    task = CONFIG["task"] | {"_target_": "genrelab.task.multi.Multi"}
    said = " ".join(protocol(replace(FACTS, config=CONFIG | {"task": task})))
    assert "every genre whose probability is above that genre's own threshold" in said
    assert "Mean average precision" in said and "alanced accuracy" not in said


def test_a_good_run_has_no_cross() -> None:
    kinds = {said.split(":")[0].split(" by ")[0]: kind for kind, said in checks(FACTS)}
    assert "bad" not in kinds.values()
    assert kinds == {
        "Leak audit": "good",
        "Split": "good",
        "At least 9 artists of every genre in the test.": "good",
        "Better than tempo": "good",
        "Probabilities are calibrated": "good",
        "One training with one seed (3)": "warn",
    }


@pytest.mark.parametrize(
    ("changed", "kind", "words"),
    [
        ({"audit": "leaks", "crossed": {"artist": 4, "album": 0}}, "bad", "On two sides of the split: 4 artists."),
        ({"audit": "leaks"}, "bad", "On two sides of the split: the same sound."),
        ({"audit": "unaudited", "by": "song"}, "warn", "Leak audit: not possible."),
        ({"by": "slice", "audit": "leaks"}, "bad", "every test song was also trained on"),
        ({"by": "song", "crossed": {"artist": 4}}, "warn", "artists may be on two sides (4 artists)"),
        ({"crossed": {"artist": 0, "studio": 3}}, "warn", "Split by artist, yet on two sides: 3 studios."),
        ({"groups": {"dub": 12, "funk": 4}}, "bad", "Unreliable: fewer than 5 artists of a genre to test on (funk 4)"),
        ({"verdict": "worse than tempo by 2.0 points [1.0, 3.0]"}, "bad", "Worse than tempo"),
        ({"verdict": "not shown to be better than tempo: +1.0 points"}, "warn", "Not shown to be better than tempo"),
        ({"verdict": ""}, "warn", "Not compared with tempo"),
        ({"temperature": None, "ece": (0.3, None)}, "warn", "not calibrated"),
        ({"ece": (0.3, 0.2)}, "warn", "off by 20.0 points"),
        ({"n_folds": 5, "ece": (0.02, None)}, "good", "off by 2.0 points"),
        ({"config": config(debug="fast")}, "bad", "debug=fast: a quick check"),
        ({"config": config(data="synth")}, "warn", "not of real recordings"),
    ],
)
def test_what_stands_against_it_is_said(changed: dict[str, Any], kind: str, words: str) -> None:
    found = [k for k, said in checks(replace(FACTS, **changed)) if words in said]
    assert found == [kind]


def test_the_first_sentence_has_figure_interval_songs_and_rival() -> None:
    figure, rest, kind = lead(FACTS, 0.797, 0.752, 0.841)
    assert figure == "79.7 %"
    assert rest == (
        " balanced accuracy per song [75.2, 84.1], on 200 test songs by artists that it never heard; better than tempo "
        "by 18.7 points [13.0, 24.4]."
    )
    assert kind == "good"


@pytest.mark.parametrize(
    ("changed", "kind", "words"),
    [
        ({"audit": "leaks"}, "bad", "The split leaks: do not believe it."),
        ({"by": "slice"}, "bad", "whose other slices it was trained on"),
        ({"groups": {"dub": 2, "funk": 9}}, "", "Unreliable: few groups."),
        ({"verdict": ""}, "", "never heard."),
        ({"verdict": "worse than tempo by 2.0 points"}, "bad", "worse than tempo"),
        ({"config": config(debug="fast")}, "", "better than tempo"),
    ],
)
def test_the_first_sentence_warns(changed: dict[str, Any], kind: str, words: str) -> None:
    _, rest, said = lead(replace(FACTS, **changed), 0.7, float("nan"), float("nan"))
    assert words in rest and "nan" not in rest
    assert said == kind
