"""What a user types: words that are wrong end in one line, words that are odd work as typed, help costs nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from genrelab import cli
from genrelab.words import groups
from tests.conftest import TINY, Said, Songs, Trained, finished, runs_of, write_manifest

Call = Callable[..., Said]
HEAVY = ("torch", "mlflow", "pytorch_lightning", "pandas")
ODD = "Ünï [x] #1 'q', a=b ~c $d 20% {e} \"f\" (g)"

LIGHT = f"""
import sys
from genrelab.cli import main
try:
    code = main(sys.argv[1:])
finally:
    print("loaded:", *[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["--cfg", "job"], ["tag", "--help"], ["nope"], ["epoch=3"]]
)
def test_words_alone_load_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    said = finished(*words, python=("-c", LIGHT), cwd=tmp_path)
    assert said.err.splitlines()[-1] == "loaded:"
    assert said.code == (2 if words[0] in ("nope", "epoch=3") else 0)
    assert not list(tmp_path.iterdir())  # nothing is written for a question


def test_help_lists_every_verb_and_every_group_with_its_choices(call: Call) -> None:
    said = call("--help")
    lines = said.out.splitlines()
    for verb in cli.verbs():
        assert any(line.split()[:1] == [verb] for line in lines), verb
    for group, choices in ((g, c) for g, c in groups().items() if c):
        (line,) = [line for line in lines if line.split()[:1] == [group]]
        assert line.split(maxsplit=1)[1] == ", ".join(choices)
    assert said.code == 0
    assert not said.err


@pytest.mark.parametrize("verb", sorted(cli.verbs()))
def test_every_verb_has_help(call: Call, verb: str) -> None:
    said = call(verb, "--help")
    assert said.code == 0
    assert f"python -m genrelab {verb}" in said.out


def test_the_configuration_is_shown_whole(call: Call, tmp_path: Path) -> None:
    said = call("--cfg", "job", "front=stft", "agg=vote", f"store={tmp_path / 'store'}")
    assert said.code == 0
    assert "genrelab.front.stft.Stft" in said.out
    assert "genrelab.agg.vote.Vote" in said.out
    assert not (tmp_path / "store").exists()


# What a user may get wrong -> words that the answer must hold: what was given, and what to do.
WRONG: dict[str, tuple[list[str], list[str]]] = {
    "no such choice": (["front=nope"], ["front=nope", "mel", "stft"]),
    "nearly a choice": (["front=mell"], ["front=mell", "did you mean front=mel?"]),
    "no choice": (["front="], ["front=", "mel"]),
    "a number as a choice": (["front=3"], ["front=3", "mel"]),
    "no such key": (["epoch=3"], ["epoch=3", "trainer.max_epochs"]),
    "no such key of a part": (["front.bins=3"], ["front.bins=3", "front.n_bins"]),
    "a group twice": (["+front=mel", "+front=mel"], ["front"]),
    "a group added": (["+front=mel"], ["front"]),
    "a group removed": (["~front"], ["~front", "mel"]),
    "a word for a number": (["trainer.max_epochs=abc"], ["trainer.max_epochs=abc", "a number"]),
    "a word for a number of a part": (["net.dropout=much"], ["net.dropout=much", "a number"]),
    "a number for a yes": (["trainer.balance=3"], ["trainer.balance=3", "true or false"]),
    "a word for the seed": (["seed=abc"], ["seed=abc", "a whole number"]),
    "half a seed": (["seed=1.5"], ["seed=1.5", "a whole number"]),
    "no epochs": (["trainer.max_epochs=0"], ["trainer.max_epochs=0", "at least 1"]),
    "no batch": (["trainer.batch_songs=0"], ["trainer.batch_songs=0", "at least 1"]),
    "no such figure": (["trainer.monitor=val/nope"], ["trainer.monitor=val/nope", "val/loss"]),
    "no such precision": (["trainer.precision=nope"], ["nope", "bf16-mixed"]),
    "no such accelerator": (["trainer.accelerator=nope"], ["nope"]),
    "an argument that a part does not take": (["+norm.x=3"], ["TrainNorm", "'x'"]),
    "half a cell": (["agg.hidden=3.5"], ["hidden_size", "int"]),
    "bins that do not divide": (["front=stft", "front.n_bins=100"], ["front.n_bins=100", "1024"]),
    "an empty slice": (["slice.length_s=0"], ["slice.length_s=0", "above 0"]),
    "slices longer than the songs": (["slice.length_s=100"], ["shorter than a slice", "high"]),
    "slices too small for the net": (["slice.n_frames=7"], ["net=cnn", "128 x 7"]),
    "too few folds": (["split.n_folds=2"], ["split.n_folds=2", "at least 3"]),
    "a list without -m": (["front=stft,mel"], ["-m"]),
    "a list with a wrong choice": (["-m", "front=nope,mel"], ["front=nope", "mel"]),
    "a list with a wrong seed": (["-m", "seed=abc,1"], ["seed=abc,1", "a whole number"]),
    "unbalanced quotes": (["front='mel"], ["front='mel", "key=value"]),
    "unbalanced brackets": (["front=[mel"], ["front=[mel", "key=value"]),
    "a bracket too many": (["front=mel)"], ["front=mel)", "key=value"]),
    "no key": (["=3"], ["=3", "key=value"]),
    "no store": (["store="], ["store=", "store=DIR"]),
    "no such flag": (["--nope"], ["--nope", "--help"]),
    "a flag without its value": (["--cfg"], ["--cfg", "--help"]),
    "no such run": (["resume=nope"], ["resume=nope"]),
}


def one_line(said: Said, *parts: str) -> None:
    assert said.code == 2, said
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("genrelab")
    assert not said.out
    for part in parts:
        assert part in said.err, said.err


@pytest.fixture(scope="module")
def heard(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that knows the songs' pictures and no run."""
    store = tmp_path_factory.mktemp("heard") / "store"
    shutil.copytree(trained.store / "cache", store / "cache")
    return store


def remarks(said: Said) -> Said:
    """Without the remarks on the split and the run that precede a mistake which only shows in training."""
    known = ("split by ", "few groups ", "run ")
    lines = [line for line in said.err.splitlines() if not line.startswith(known)]
    return Said(said.code, said.out, "\n".join(lines))


@pytest.mark.parametrize("what", WRONG)
def test_wrong_words_end_in_one_line(call: Call, songs: Songs, heard: Path, what: str) -> None:
    words, parts = WRONG[what]
    said = call(*songs.words, *TINY, f"store={heard}", *words)
    one_line(remarks(said), *parts)
    left = [r.info.run_name for r in runs_of(heard) if r.info.status not in ("FAILED", "KILLED")]
    assert not left


def test_wrong_verbs_end_in_one_line(call: Call, trained: Trained, songs: Songs, tmp_path: Path) -> None:
    store, song = f"store={trained.store}", next((songs.folder / "low").iterdir())
    one_line(call("nope"), "'nope'", "tag", "ui")
    one_line(call("tag"), "songs", "--help")
    one_line(call("tag", "--nope", song), "--nope", "--help")
    one_line(call("tag", "missing.mp3", store), "missing.mp3", "no such file")
    one_line(call("tag", "--run", "nope", song, store), "'nope'", trained.id[:8])
    one_line(call("tag", song, f"store={tmp_path}"), str(tmp_path), "train one first")
    one_line(call("tag", song, "store="), "store=DIR")
    one_line(call("resume=nope", store), "'nope'", trained.id[:8])
    one_line(call("resume=nope", f"store={tmp_path}"), str(tmp_path))
    one_line(call(f"resume={trained.id}", "front=stft", store), "front=stft")
    one_line(call("-m", "--cfg", "job", store), "Only one of", "--multirun", "--cfg")


def test_wrong_data_ends_in_one_line(call: Call, songs: Songs, tmp_path: Path) -> None:
    store = f"store={tmp_path / 'store'}"
    missing = tmp_path / "missing.csv"
    no_genre = write_manifest(tmp_path / "a.csv", [["x.wav", "y"]], ("path", "label"))
    one_genre = write_manifest(
        tmp_path / "b.csv", [[str(p), "low"] for p in (songs.folder / "low").iterdir()], ("path", "genre")
    )
    one_line(call("data=manifest", store), "data.path=FILE.csv")
    one_line(call("data=manifest", f"data.path={missing}", store), str(missing), "does not exist")
    one_line(
        call("data=manifest", f"data.path={no_genre}", store), str(no_genre), "genre", "label", "data.columns.genre="
    )
    one_line(call("data=manifest", f"data.path={one_genre}", store), "low", "at least 2")
    one_line(call("data=folder", store), "data.path=DIR")
    one_line(call("data=folder", f"data.path={songs.manifest}", store), str(songs.manifest), "data=manifest")
    one_line(call("data=folder", f"data.path={songs.folder}", "split=artist", store), "split=artist", "split=auto")
    one_line(call("data=manifest", "data.pth=x", store), "data.pth=x", "data.path")
    assert not runs_of(tmp_path / "store")


def test_odd_names_work_as_typed(call: Call, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another working directory, relative, for data and store, and asked again by tag."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(songs.folder, ODD)
    store = f"store=stores/{ODD}"
    for words in (["data=folder", f"data.path={ODD}"], ["data=manifest", f"data.path={ODD}/manifest.csv"]):
        said = call(*words, *TINY, "trainer.max_epochs=1", store)
        assert said.code == 0, said.err
    said = call("tag", f"{ODD}/low/0-0.wav", store, "--run", "last")
    assert said.code == 0, said.err
    assert "0-0.wav" in said.out
    runs = runs_of(tmp_path / "stores" / ODD)
    assert [r.info.status for r in runs] == ["FINISHED"] * 2
    assert [r.data.tags["split"] for r in runs] == ["song", "artist"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([ODD, "stores"])


def test_the_store_may_stand_in_the_environment(
    call: Call, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENRELAB_STORE", str(trained.store))
    monkeypatch.chdir(tmp_path)
    assert call("tag", trained.songs.folder / "low" / "0-0.wav").code == 0
    assert "--run" in call("tag", "--help").out
    assert not list(tmp_path.iterdir())
