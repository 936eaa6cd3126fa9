"""`tag`: what a finished run says of a user's own songs, and how it says what it cannot hear."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import softmax

from genrelab import compose
from genrelab.audio import noises
from genrelab.commands.tag import _table
from genrelab.task.rule import Rule
from genrelab.types import UserError
from tests.conftest import GENRES, RATE, TINY, Said, Songs, Trained, runs_of, wave, write_manifest

Call = Callable[..., Said]
TONES = ("high", "low")  # the genres that are music


def asked(call: Call, store: Path, *words: object, code: int = 0) -> list[dict[str, Any]]:
    """The answers in JSON, which is all of standard output."""
    said = call("tag", *words, "--json", f"store={store}")
    assert said.code == code, said.err
    return json.loads(said.out)


def test_genres_are_ranked_and_their_probabilities_sum_to_1(call: Call, trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "my song.flac"
    soundfile.write(path, wave("noise", 99, 99, 9.0), RATE)
    (answer,) = asked(call, trained.store, path)
    chances = [g["probability"] for g in answer["genres"]]
    assert {g["genre"] for g in answer["genres"]} == set(GENRES)
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) == pytest.approx(1, abs=3e-4)
    assert answer["label"] == answer["genres"][0]["genre"]
    assert answer["no_tag"] is None
    assert answer["n_slices"] == 3
    assert answer["path"] == str(path)
    assert answer["run"] == trained.id
    assert answer["error"] is None
    said = call("tag", path, f"store={trained.store}")
    row = next(line for line in said.out.splitlines() if "my song.flac" in line)
    assert f"{answer['label']} {100 * chances[0]:.0f} %" in row
    assert trained.id[:8] in said.err


def test_songs_of_the_data_get_the_runs_own_answers(call: Call, trained: Trained) -> None:
    """The run's probabilities, and `no tag` for what lies below its threshold and for nothing else."""
    predictions = pd.read_parquet(trained.folder / "predictions.parquet").set_index("id")
    rule = Rule.load(trained.folder / compose.RULE)
    answers = asked(call, trained.store, *[trained.songs.folder / f"{song}.wav" for song in predictions.index])
    for (song, own), answer in zip(predictions.iterrows(), answers, strict=True):
        said = {g["genre"]: g["probability"] for g in answer["genres"]}
        for genre in GENRES:
            assert said[genre] == pytest.approx(own[f"p/{genre}"], abs=1e-4)
        assert answer["n_slices"] == own["n_slices"]
        known = own[f"known/{rule.score}"]
        if abs(known - rule.threshold) > 1e-3 * abs(rule.threshold):  # the song that is the threshold may lie beside it
            assert answer["label"] == (own["decision"] if known > rule.threshold else "no tag"), song
        assert (answer["no_tag"] is None) == (answer["label"] != "no tag")
    assert {a["no_tag"] for a in answers} == {None, "unlike the songs that the run knows"}


def test_too_few_validation_songs_leave_probabilities_uncalibrated(call: Call, trained: Trained) -> None:
    said = call("tag", trained.songs.folder / "low" / "0-0.wav", f"store={trained.store}")
    assert "probabilities are uncalibrated: it had too few validation songs" in said.err


@pytest.fixture(scope="module")
def tonal(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with a run that knows low and high tones and no noise, and the run's folder.

    Of each recording it had several windows, so that the validation songs are enough to calibrate it.
    """
    from genrelab.cli import main

    folder = tmp_path_factory.mktemp("tonal")
    rows = []
    for path in sorted(p for g in TONES for p in (songs.folder / g).glob("*.wav")):
        rows += [[str(path), path.parent.name, f"{path.parent.name} {path.stem} {k}", 0.4 * k, 2.6] for k in range(8)]
    table = write_manifest(folder / "tonal.csv", rows, ("path", "genre", "id", "start_s", "duration_s"))
    words = ["data=manifest", f"data.path={table}", "split=song", "split.n_folds=3", *TINY, "trainer.max_epochs=3"]
    words.append("task.neighbours=10")  # the nearest ones are windows of the same recording
    assert main([*words, f"store={folder / 'store'}"]) == 0
    (run,) = runs_of(folder / "store")
    return folder / "store", Path(run.info.artifact_uri.removeprefix("file://"))


def test_its_kind_of_music_gets_a_genre_and_what_is_no_music_gets_no_tag(
    call: Call, tonal: tuple[Path, Path], tmp_path: Path
) -> None:
    """White, pink and babble noise; a level just above what counts as silence; no noise detector knows of them."""
    meant = {}
    for genre in TONES:
        for artist in (1, 4, 6):
            meant[tmp_path / f"{genre} {artist}.wav"] = genre
            soundfile.write(tmp_path / f"{genre} {artist}.wav", wave(genre, artist, 1)[RATE // 5 :][: 3 * RATE], RATE)
    for kind in ("white", "pink", "babble"):
        for n in range(3):
            meant[tmp_path / f"{kind} {n}.wav"] = "no tag"
            soundfile.write(tmp_path / f"{kind} {n}.wav", noises.clip(kind, n, 6.0, RATE), RATE)
    meant[tmp_path / "faint.wav"] = "no tag"
    faint = np.random.default_rng(0).uniform(-1, 1, 6 * RATE) * 10 ** (-75 / 20)
    soundfile.write(tmp_path / "faint.wav", faint, RATE, subtype="FLOAT")
    answers = asked(call, tonal[0], *meant)
    assert {Path(a["path"]).name: a["label"] for a in answers} == {p.name: label for p, label in meant.items()}
    assert [a["path"] for a in answers] == [str(p) for p in meant]
    for answer in answers:
        assert answer["no_tag"] == ("unlike the songs that the run knows" if answer["label"] == "no tag" else None)
        assert len(answer["genres"]) == len(TONES)  # what it would have said
    said = call("tag", tmp_path / "faint.wav", f"store={tonal[0]}")
    assert "no tag (unlike the songs" in said.out
    for genre in answers[-1]["genres"]:
        assert f"{genre['genre']} {100 * genre['probability']:.0f} %" in said.out


def test_calibrated_probabilities_are_those_over_the_temperature(call: Call, tonal: tuple[Path, Path]) -> None:
    store, folder = tonal
    temperature = Rule.load(folder / compose.RULE).temperature
    assert temperature is not None
    songs = pd.read_csv(store.parent / "tonal.csv").set_index("id")
    own = pd.read_parquet(folder / "predictions.parquet").set_index("id")
    p = own[[f"p/{g}" for g in sorted(TONES)]]
    song = p.max(axis=1).idxmin()  # the least sure
    file = store.parent / "window.wav"
    start = round(songs.loc[song, "start_s"] * RATE)
    wave_, _ = soundfile.read(songs.loc[song, "path"], start=start, frames=round(2.6 * RATE))
    soundfile.write(file, wave_, RATE, subtype="PCM_16")
    (answer,) = asked(call, store, file)
    said = {g["genre"]: g["probability"] for g in answer["genres"]}
    meant = softmax(np.log(p.loc[song].to_numpy(float)) / temperature)
    assert [said[g] for g in sorted(TONES)] == pytest.approx(meant, abs=2e-3)
    assert meant.max() - p.loc[song].max() > 0.01  # else nothing was shown
    err = call("tag", file, f"store={store}").err
    assert "probabilities are calibrated" in err


def test_silence_has_no_tag(call: Call, trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.zeros(6 * RATE), RATE)
    (answer,) = asked(call, trained.store, path)
    assert (answer["label"], answer["no_tag"], answer["genres"]) == ("no tag", "silent", [])
    assert "no tag (silent)" in call("tag", path, f"store={trained.store}").out


def test_of_k_folds_the_one_that_is_best_on_validation_is_asked(
    call: Call, songs: Songs, folded: tuple[Path, Any, list[Any]]
) -> None:
    store, run, folds = folded
    best = max(folds, key=lambda f: f.data.metrics["val/song/balanced_accuracy"])
    own = pd.read_parquet(Path(best.info.artifact_uri.removeprefix("file://")) / "predictions.parquet").iloc[-1]
    for words in ([], ["--run", "last"], ["--run", run.info.run_id]):
        (answer,) = asked(call, store, songs.folder / f"{own['id']}.wav", *words)
        assert answer["run"] == best.info.run_id
        for genre in answer["genres"]:
            assert genre["probability"] == pytest.approx(own[f"p/{genre['genre']}"], abs=1e-4)


def test_the_table_names_every_genre_that_is_said_and_then_the_next() -> None:
    from rich.console import Console

    chances = [("rap", 0.9), ("rock", 0.8), ("jazz", 0.2), ("folk", 0.1), ("pop", 0.0)]
    answer = {
        "path": "both.wav",
        "label": "rap|rock",
        "no_tag": None,
        "genres": [{"genre": g, "probability": p} for g, p in chances],
        "n_slices": 1,
        "error": None,
    }
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(_table([answer, answer | {"path": "none.wav", "label": "no tag", "no_tag": "strange"}]))
    both, none = (" ".join(line.split()) for line in console.export_text().splitlines() if ".wav" in line)
    assert both == "both.wav rap 90 %, rock 80 % jazz 20 %, folk 10 %"
    assert none == "none.wav no tag (strange) rap 90 %, rock 80 %, jazz 20 %"


def test_what_cannot_be_heard_is_named_and_the_others_are_answered(
    call: Call, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "text.mp3").write_text("these are words")
    (tmp_path / "empty.wav").touch()
    soundfile.write(tmp_path / "short.wav", wave("low", 0, 0, 2.0), RATE)
    soundfile.write(tmp_path / "whole.wav", wave("low", 0, 0), RATE)
    names = ("text.mp3", "empty.wav", "short.wav", "whole.wav")
    answers = dict(zip(names, asked(call, trained.store, *[tmp_path / n for n in names], code=1), strict=True))
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
    answers = asked(call, trained.store, tmp_path)
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


def test_a_rule_of_another_version_is_said_in_a_line(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    np.savez(folder / compose.RULE, score=np.array("knn"))
    with pytest.raises(UserError, match=r"rule\.npz is of another genrelab or damaged: train it again"):
        compose.restore(folder)
