"""Descriptions: what stands there is what the figures say, and a user's names stay letters."""

from __future__ import annotations

from types import SimpleNamespace

from genrelab.report import notes

TAGS = {"data": "a*b_c <i>", "data_digest": "d1", "split": "artist", "split_digest": "s1", "leak_audit": "leaks"}
TAGS |= {"front": "mel", "net": "cnn", "measure": "balanced_accuracy"}
TEST = "test/song/balanced_accuracy"
FIGURES = {TEST: 0.5, f"{TEST}_lo": 0.4, f"{TEST}_hi": 0.625, "val/song/balanced_accuracy": 0.55}
FIGURES |= {f"songs/{side}": n for side, n in (("train", 30), ("val", 9), ("test", 12))}
RIVALS = {"majority": "majority", "tempo": "tempo", "mfcc": "MFCC statistics"}


def test_a_run_beside_the_best_trivial_baseline() -> None:
    reached = {"majority": 0.2, "tempo": 0.25, "mfcc": 0.45}
    more = {f"baseline/{k}/balanced_accuracy": v for k, v in reached.items()}
    more |= {"baseline/gain": 0.05, "baseline/gain_lo": -0.1, "baseline/gain_hi": 0.2}
    said = notes.of_run(TAGS, FIGURES | more, "python -m genrelab front=mel", RIVALS, "#/card").split("\n\n")
    assert said[0] == (
        "**Test: balanced accuracy per song 50.0 %**, 95 % interval [40.0, 62.5] %. The best trivial baseline, MFCC "
        "statistics, reaches 45.0 %. The run less that: +5.0 points [-10.0, 20.0] points. Validation, by which runs "
        "are chosen: 55.0 %."
    )
    assert said[1] == (
        "Data **a\\*b\\_c \\<i\\>** (`d1`), split by **artist** (`s1`): 30 training, 9 validation and 12 test songs. "
        "Leak audit: leaks."
    )
    assert said[2] == "Front-end `mel`, net `cnn`."
    assert said[3].endswith("(#/card)")
    assert said[-1] == "    python -m genrelab front=mel"


def test_a_run_without_baselines_or_card_says_nothing_of_them() -> None:
    said = notes.of_run(TAGS, FIGURES, "python", RIVALS)
    assert "baseline" not in said
    assert "card" not in said


def test_few_groups_are_said_and_an_interval_that_is_not_there_too() -> None:
    figures = FIGURES | {f"{TEST}_lo": float("nan"), f"{TEST}_hi": float("nan")}
    said = notes.of_run(TAGS, figures, "python", RIVALS, reliable=False)
    assert "50.0 %**, 95 % interval unknown. Unreliable: a genre has fewer than 5 groups in the test." in said
    assert "Unreliable" not in notes.of_run(TAGS, FIGURES, "python", RIVALS)


def test_of_folds_every_song_is_tested() -> None:
    figures = {k: v for k, v in FIGURES.items() if not k.startswith("songs/")} | {"folds": 5}
    said = notes.of_run(TAGS | {"split": "kfold", "split_by": "album"}, figures, "python", RIVALS)
    assert "split by **album** (`s1`): 5 folds, each song tested once" in said


def test_a_data_set() -> None:
    tracks = [SimpleNamespace(genres=g, artist=a) for g, a in ((["r_b"], "x"), (["r_b", "pop"], "x"), (["pop"], None))]
    said = notes.of_data("set", tracks, ["pop", "r_b"], "d1", "map")
    assert said.startswith("Data set **set**: 3 songs of 2 genres, 1 artists.\n")
    assert "pop 2, r\\_b 2." in said
    assert "`test/song/map`: mean average precision per song" in said
    for cost in ("parameters", "train_s", "peak_rss_mb"):
        assert f"`cost/{cost}`" in said
    many = notes.of_data("set", tracks, [f"g{i}" for i in range(40)], "d1")
    assert "g29 0 and 10 more." in many


def test_a_sweep_is_repeated_as_a_sweep() -> None:
    command = "python -m genrelab -m front=mel,stft"
    assert notes.of_sweep(command).endswith(f"\n\n    {command}")
