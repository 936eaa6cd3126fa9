"""`eval`: a finished run on another collection, under the names of its own genres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import soundfile

from tests.conftest import GENRES, RATE, Said, Trained, runs_of, wave, write_manifest

Call = Callable[..., Said]
THEIRS = {"high": "treble", "low": "bass", "noise": "noise"}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of songs that no run has heard, under other names; a fourth genre is like low tones."""
    folder = tmp_path_factory.mktemp("other")
    rows = []
    for genre in (*GENRES, "polka"):
        for artist in range(3):
            for song in range(2):
                path = folder / f"{genre} {artist} {song}.wav"
                soundfile.write(path, wave("low" if genre == "polka" else genre, artist, song + 50), RATE)
                rows.append([path.name, THEIRS.get(genre, genre), f"{genre} {artist}"])
    return write_manifest(folder / "abroad.csv", rows)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text("treble: high\nbass: low\n")
    return path


def evaluated(call: Call, store: Path, *words: object) -> tuple[Said, Any, pd.DataFrame]:
    """What it printed, the new run in the tracker and its predictions."""
    before = {r.info.run_id for r in runs_of(store)}
    said = call("eval", *words, f"store={store}")
    assert said.code == 0, said.err
    (child,) = [r for r in runs_of(store) if r.info.run_id not in before]
    folder = Path(child.info.artifact_uri.removeprefix("file://"))
    assert (folder / "pictures" / "confusion.png").is_file()
    assert (folder / "slices.parquet").is_file()
    return said, child, pd.read_parquet(folder / "predictions.parquet")


def refused(said: Said, *parts: str) -> None:
    assert said.code == 2, said
    assert len(said.err.splitlines()) == 1, said.err
    for part in parts:
        assert part in said.err, said.err


def test_another_collection_under_the_runs_names(call: Call, trained: Trained, other: Path, mapping: Path) -> None:
    words = ("last", "data=manifest", f"data.path={other}", f"data.map={mapping}")
    said, child, songs = evaluated(call, trained.store, *words)
    assert child.data.tags["mlflow.parentRunId"] == trained.id
    assert (child.data.tags["kind"], child.data.tags["data"]) == ("eval", "abroad")
    assert child.info.status == "FINISHED"
    assert len(songs) == 18
    assert set(songs["split"]) == {"test"}
    names = {theirs: ours for ours, theirs in THEIRS.items()}
    assert set(songs["truth"]) == set(names.values())
    assert all(song.split("/")[-1].startswith(truth) for song, truth in zip(songs["id"], songs["truth"], strict=True))
    recall = (songs["decision"] == songs["truth"]).groupby(songs["truth"]).mean().mean()
    metrics = child.data.metrics
    assert metrics["test/song/balanced_accuracy"] == pytest.approx(recall)
    own = pd.read_parquet(trained.folder / "predictions.parquet").query("split == 'test'")
    there = (own["decision"] == own["truth"]).groupby(own["truth"]).mean().mean()
    assert metrics["eval/difference"] == pytest.approx(recall - there)
    assert metrics["eval/difference_lo"] <= recall - there <= metrics["eval/difference_hi"]
    assert metrics["eval/refused/known"] == pytest.approx((songs["answer"] == "no tag").mean())
    text = " ".join(said.out.split())
    assert "left out, genres that the run lacks: 6 songs (polka 6)" in text
    assert f"on its own test songs {100 * there:.1f}" in text
    assert "groups (artist): high 3, low 3, noise 3" in text
    assert "unpaired" in text


def test_the_run_says_the_same_as_tag_does(call: Call, trained: Trained, other: Path, mapping: Path) -> None:
    import json

    words = ("last", "data=manifest", f"data.path={other}", f"data.map={mapping}")
    _, _, songs = evaluated(call, trained.store, *words)
    files = {s: other.parent / f"{s.split('/')[-1].removesuffix('.wav')}.wav" for s in songs["id"]}
    said = call("tag", *files.values(), "--run", trained.id, "--json", f"store={trained.store}")
    for (_, row), answer in zip(songs.iterrows(), json.loads(said.out), strict=True):
        assert answer["label"] == row["answer"] or abs(row["known/texture"]) < 1
        for genre in answer["genres"]:
            assert genre["probability"] == pytest.approx(row[f"p/{genre['genre']}"], abs=1e-3)


def test_unknown_genres_count_as_no_tag_where_asked(call: Call, trained: Trained, other: Path, mapping: Path) -> None:
    words = ("last", "--unknown", "data=manifest", f"data.path={other}", f"data.map={mapping}")
    said, child, songs = evaluated(call, trained.store, *words)
    assert len(songs) == 24
    strange = songs[songs["labels"] == "polka"]
    assert set(strange["truth"]) == {"no tag"}
    assert child.data.metrics["eval/refused/other"] == pytest.approx((strange["answer"] == "no tag").mean())
    known = songs[songs["truth"] != "no tag"]
    recall = (known["decision"] == known["truth"]).groupby(known["truth"]).mean().mean()
    assert child.data.metrics["test/song/balanced_accuracy"] == pytest.approx(recall)
    assert "left out" not in said.out


def test_songs_that_the_run_has_learned_from_are_left_out(call: Call, trained: Trained) -> None:
    said, _, songs = evaluated(call, trained.store, trained.id, *trained.songs.words)
    sides = pd.read_csv(trained.folder / "split.csv").set_index("id")["side"]
    assert set(songs["id"]) == set(sides.index[sides == "test"])
    n = int((sides != "test").sum())
    assert f"learned from them: {n} of {trained.songs.n} songs" in " ".join(said.out.split())
    own = pd.read_parquet(trained.folder / "predictions.parquet").query("split == 'test'").set_index("id")
    assert songs.set_index("id")["decision"].to_dict() == own["decision"].to_dict()


def test_words_that_are_not_about_the_songs_are_refused(call: Call, trained: Trained, other: Path) -> None:
    data = ("data=manifest", f"data.path={other}")
    at = f"store={trained.store}"
    refused(call("eval", "last", *data, "front=stft", at), "front=stft", "comes from the run")
    refused(call("eval", "last", *data, "slice.hop_s=1", at), "slice.hop_s=1")
    refused(call("eval", "last", at), "data=manifest")
    refused(call("eval", "last", "data=nope", at), "data=nope")
    refused(call("eval", "nope", *data, at), "nope")
    refused(call("data=manifest", f"data.path={other}", "data.map=x.yaml", at), "data.map")  # training takes none


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("treble: hihg\n", "the run's genres are high, low, noise"),
        ("trebel: high\n", "did you mean treble?"),
        ("- high\n", "expected a line a genre"),
        ("treble: [high]\n", "expected a line a genre"),
        ("treble: {", "is no yaml"),
        ("noise: null\n", "give data.map=FILE.yaml"),
    ],
)
def test_maps_that_do_not_fit(call: Call, trained: Trained, other: Path, tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(text)
    words = ("data=manifest", f"data.path={other}", f"data.map={path}", f"store={trained.store}")
    refused(call("eval", "last", *words), part)
    refused(call("eval", "last", *words[:2], f"data.map={path}.not", words[3]), "is no file")
