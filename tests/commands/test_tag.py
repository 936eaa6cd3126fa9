"""`tag`: what a finished run says of a user's own songs, and how it says what it cannot hear."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.conftest import GENRES, RATE, TINY, Said, Trained, runs_of, wave, write_manifest

Call = Callable[..., Said]


def asked(call: Call, trained: Trained, *words: object, code: int = 0) -> list[dict[str, Any]]:
    """The answers in JSON, which is all of standard output."""
    said = call("tag", *words, "--json", f"store={trained.store}")
    assert said.code == code, said.err
    return json.loads(said.out)


def test_genres_are_ranked_and_their_probabilities_sum_to_1(call: Call, trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "my song.flac"
    soundfile.write(path, wave("noise", 99, 99, 9.0), RATE)
    (answer,) = asked(call, trained, path)
    chances = [g["probability"] for g in answer["genres"]]
    assert {g["genre"] for g in answer["genres"]} == set(GENRES)
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, abs=3e-4)
    assert answer["label"] == answer["genres"][0]["genre"]
    assert answer["n_slices"] == 3
    assert answer["path"] == str(path)
    assert answer["run"] == trained.id
    assert answer["error"] is None
    said = call("tag", path, f"store={trained.store}")
    row = next(line for line in said.out.splitlines() if "my song.flac" in line)
    assert f"{answer['label']} {100 * chances[0]:.0f} %" in row
    assert trained.id[:8] in said.err


def test_a_song_of_the_data_gets_the_runs_own_answer(call: Call, trained: Trained) -> None:
    predictions = pd.read_parquet(trained.folder / "predictions.parquet").set_index("id")
    chosen = [*predictions.index[:2], *predictions.index[-2:]]
    answers = asked(call, trained, *[trained.songs.folder / f"{song}.wav" for song in chosen])
    for song, answer in zip(chosen, answers, strict=True):
        said = {g["genre"]: g["probability"] for g in answer["genres"]}
        for genre in GENRES:
            assert said[genre] == pytest.approx(predictions.loc[song, f"p/{genre}"], abs=1e-4)
        assert answer["n_slices"] == predictions.loc[song, "n_slices"]


def test_silence_has_no_tag(call: Call, trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(6 * RATE), RATE)
    (answer,) = asked(call, trained, path)
    assert (answer["label"], answer["no_tag"], answer["genres"]) == ("no tag", "silent", [])
    assert "no tag (silent)" in call("tag", path, f"store={trained.store}").out


def test_what_cannot_be_heard_is_named_and_the_others_are_answered(
    call: Call, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "text.mp3").write_text("these are words")
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "short.wav", wave("low", 0, 0, 2.0), RATE)
    soundfile.write(tmp_path / "whole.wav", wave("low", 0, 0), RATE)
    names = ("text.mp3", "empty.wav", "short.wav", "whole.wav")
    answers = dict(zip(names, asked(call, trained, *[tmp_path / n for n in names], code=1), strict=True))
    assert answers["text.mp3"]["error"].startswith("not audio")
    assert answers["empty.wav"]["error"].startswith("empty")
    assert answers["short.wav"]["error"].startswith("shorter than a slice: 2.00 s of 2.56 s")
    assert answers["whole.wav"]["error"] is None
    assert len(answers["whole.wav"]["genres"]) == len(GENRES)
    said = call("tag", *[tmp_path / n for n in names], f"store={trained.store}")
    assert said.code == 1
    for name in names:
        assert name in said.out
    assert "Traceback" not in said.err


def test_a_folder_is_every_song_below_it(call: Call, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "cover.jpg").touch()
    for name in ("a/1.wav", "a/b/2.wav"):
        soundfile.write(tmp_path / name, wave("high", 1, 1), RATE)
    answers = asked(call, trained, tmp_path)
    assert [Path(a["path"]).relative_to(tmp_path).as_posix() for a in answers] == ["a/1.wav", "a/b/2.wav"]
    (tmp_path / "none").mkdir()
    said = call("tag", tmp_path / "none", f"store={trained.store}")
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "no audio file" in said.err


@pytest.fixture
def two(trained: Trained, call: Call, tmp_path: Path) -> Path:
    """A store with runs on two data sets."""
    store = tmp_path / "store"
    rows = [[str(p), g] for g in GENRES for p in (trained.songs.folder / g).iterdir()]
    for name in ("one", "two"):
        table = write_manifest(tmp_path / f"{name}.csv", rows, ("path", "genre"))
        words = ["data=manifest", f"data.path={table}", *TINY, "trainer.max_epochs=1", f"store={store}"]
        shutil.copytree(trained.store / "cache", store / "cache", dirs_exist_ok=True)
        assert call(*words).code == 0
    return store


def test_of_two_data_sets_one_must_be_named(call: Call, trained: Trained, two: Path) -> None:
    song = trained.songs.folder / "low" / "0-0.wav"
    runs = runs_of(two)
    said = call("tag", song, f"store={two}")
    assert said.code == 2
    (line,) = said.err.splitlines()
    for run, name in zip(runs, ("one", "two"), strict=True):
        assert f"--run {run.info.run_id[:8]} ({run.info.run_name} on {name})" in line
    said = call("tag", song, "--json", "--run", runs[0].info.run_id[:8], f"store={two}")
    assert said.code == 0
    assert json.loads(said.out)[0]["run"] == runs[0].info.run_id
    said = call("tag", song, "--json", "--run", "last", f"store={two}")
    assert json.loads(said.out)[0]["run"] == runs[1].info.run_id
