"""`tag` on folders: a table as CSV, pages, and genres written as tags into copies or the files themselves."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from genrelab.commands import tag
from genrelab.data.sources.tags import read_tags
from tests.conftest import GENRES, RATE, TINY, Said, Songs, Trained, runs_of, wave, write_manifest

Call = Callable[..., Said]


def named(trained: Trained) -> list[Path]:
    """Songs that the run gives a genre."""
    songs = pd.read_parquet(trained.folder / "predictions.parquet")
    return [trained.songs.folder / f"{i}.wav" for i in songs.loc[songs["answer"] != "no tag", "id"]]


@pytest.fixture
def music(tmp_path: Path, trained: Trained) -> Path:
    """A folder with two songs that get a genre, another one, a silent and a broken one."""
    folder = tmp_path / "my music"
    (folder / "a" / "b").mkdir(parents=True)
    for path, own in zip((folder / "a" / "low.flac", folder / "a" / "b" / "low.flac"), named(trained), strict=False):
        soundfile.write(path, soundfile.read(own)[0], RATE)
    soundfile.write(folder / "high.mp3", wave("high", 2, 1), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(6 * RATE), RATE)
    (folder / "broken.ogg").write_text("words")
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def words(page: Path) -> str:
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page.read_text(encoding="utf-8"), flags=re.S)
    return unescape(" ".join(text.split()))


def answers(call: Call, *given: object, code: int = 0) -> list[dict[str, Any]]:
    said = call("tag", *given, "--json")
    assert said.code == code, said.err
    return json.loads(said.out)


def test_a_folder_as_a_table(call: Call, trained: Trained, music: Path, tmp_path: Path) -> None:
    """Each row as the JSON has it; who cannot be heard is named, and the exit code is 1."""
    table = tmp_path / "new" / "table.csv"
    said = answers(call, music, "--csv", table, f"store={trained.store}", code=1)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "answer", "reason", *(f"p/{g}" for g in GENRES), "n_slices", "error"]
    assert [Path(r["path"]).relative_to(music).as_posix() for r in rows] == [
        "a/b/low.flac",
        "a/low.flac",
        "broken.ogg",
        "high.mp3",
        "silent.wav",
    ]
    for row, own in zip(rows, said, strict=True):
        assert row["path"] == own["path"]
        assert row["answer"] == (own["label"] or "")
        assert row["reason"] == (own["no_tag"] or "")
        assert row["n_slices"] == str(own["n_slices"])
        chances = {g["genre"]: g["probability"] for g in own["genres"]}
        assert {g: float(row[f"p/{g}"]) for g in GENRES if row[f"p/{g}"]} == chances
    by_name = {Path(r["path"]).name: r for r in rows}
    assert by_name["silent.wav"]["reason"] == "silent"
    assert by_name["broken.ogg"]["error"].startswith("not audio")
    assert by_name["broken.ogg"]["answer"] == ""


def test_rows_are_there_as_soon_as_they_are_known(
    call: Call, trained: Trained, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen, heard = tag.listen, []

    def once(*given: Any) -> Any:
        if heard:
            raise KeyboardInterrupt
        heard.append(given)
        return listen(*given)

    monkeypatch.setattr(tag, "listen", once)
    said = call("tag", music, "--csv", tmp_path / "table.csv", f"store={trained.store}")
    assert said.code != 0
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 2


def test_a_song_given_twice_is_asked_once(call: Call, trained: Trained, music: Path) -> None:
    said = answers(call, music / "high.mp3", music / "high.mp3", f"store={trained.store}")
    assert len(said) == 1


def test_the_page_of_a_song(call: Call, trained: Trained, tmp_path: Path) -> None:
    """A training song is known again: it is its own nearest, and the page says what that means."""
    path = trained.songs.folder / "low" / "0-0.wav"
    page = tmp_path / "page.html"
    said = call("tag", path, "--page", page, f"store={trained.store}")
    assert said.code == 0, said.err
    assert f"{page}  (" in said.err
    (own,) = answers(call, path, f"store={trained.store}")
    text = words(page)
    sides = (trained.folder / "split.csv").read_text()
    assert ("low/0-0,train" in sides) == ("The run was trained on this recording" in text)
    first = own["genres"][0]
    assert f"{first['genre']} {100 * first['probability']:.0f} %" in text
    assert "2 slices of 2.56 s" in text
    assert len(re.findall(r"distance \d", text)) == 6
    assert "Not to be heard" not in text
    assert trained.id[:8] in text


def test_training_songs_that_are_gone_are_said_to_be(
    call: Call, songs: Songs, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrelab.audio import guarded

    load, own = guarded.load, tmp_path / "own.wav"
    soundfile.write(own, wave("low", 7, 7), RATE)

    def only_mine(path: Any, *more: Any, **options: Any) -> np.ndarray:
        return load(path if path == own else tmp_path / "gone.wav", *more, **options)

    monkeypatch.setattr(guarded, "load", only_mine)
    assert call("tag", own, "--page", tmp_path / "page.html", f"store={trained.store}").code == 0
    assert words(tmp_path / "page.html").count("Not to be heard: its file is no longer there.") == 6


def test_pages_of_a_folder(call: Call, trained: Trained, music: Path, tmp_path: Path) -> None:
    said = call("tag", music, "--page", tmp_path / "out.html", f"store={trained.store}")
    assert said.code == 1
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == [
        "high.html",
        "index.html",
        "low-2.html",
        "low.html",
        "silent.html",
    ]
    text = words(out / "index.html")
    assert text.startswith("my music my music")  # its title and its heading
    assert "not heard: not audio" in text
    assert "--write-tags --to tagged" in text
    links = re.findall(r'<a href="([^"]+)"', (out / "index.html").read_text(encoding="utf-8"))
    assert all((out / link).is_file() for link in links)
    assert len(links) == 4


def test_copies_have_the_genre_and_the_files_stay(call: Call, trained: Trained, music: Path, tmp_path: Path) -> None:
    before, to = digests(music), tmp_path / "tagged"
    given = [music, "--write-tags", "--to", to, "--csv", tmp_path / "t.csv", f"store={trained.store}"]
    said = answers(call, *given, code=1)
    assert digests(music) == before
    for own in said:
        copy = to / Path(own["path"]).relative_to(music)
        if own["error"] or own["no_tag"]:
            assert own["tagged"] is None
            assert not copy.exists()
        else:
            assert own["tagged"] == str(copy)
            assert read_tags(copy).genres == (own["label"],)
    assert sum(bool(s["tagged"]) for s in said) >= 2
    with (tmp_path / "t.csv").open(newline="") as file:
        assert [r["tagged"] for r in csv.DictReader(file)] == [s["tagged"] or "" for s in said]
    again = call("tag", *given)
    assert again.code == 2
    assert "of the copies are there already" in again.err
    assert again.err.count("\n") == 1


def test_in_place_the_files_have_the_genre(call: Call, trained: Trained, music: Path) -> None:
    before = digests(music)
    said = call("tag", music, "--write-tags", "--in-place", f"store={trained.store}")
    assert said.code == 1
    after = digests(music)
    assert list(after) == list(before)
    assert after["silent.wav"] == before["silent.wav"]
    assert after["broken.ogg"] == before["broken.ogg"]
    changed = [name for name in before if after[name] != before[name]]
    assert {"a/low.flac", "a/b/low.flac"} <= set(changed)
    for name in changed:
        (genre,) = read_tags(music / name).genres
        assert genre in GENRES
    assert f"{len(changed)} of 5 songs tagged in the files" in said.err
    assert "left as they are, with no tag: " in said.err
    assert "silent.wav" in said.err


def test_what_cannot_be_tagged_is_named(call: Call, trained: Trained, tmp_path: Path) -> None:
    path = tmp_path / "old.au"
    soundfile.write(path, soundfile.read(named(trained)[0])[0], RATE, format="AU")
    said = call("tag", path, "--write-tags", "--in-place", f"store={trained.store}")
    assert said.code == 1
    assert f"{path}: not tagged: AU files hold no tags" in said.err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--write-tags"], "--write-tags takes one of --to DIR"),
        (["--write-tags", "--to", "{}/x", "--in-place"], "--write-tags takes one of --to DIR"),
        (["--to", "{}/x"], "--to belongs to --write-tags"),
        (["--in-place"], "--in-place belongs to --write-tags"),
        (["--write-tags", "--to", "{}/my music/low"], "whose songs are tagged"),
        (["--write-tags", "--to", "{}/my music/high.mp3"], "this is a file"),
        (["--csv", "{}"], "this is a folder; give FILE.csv"),
        (["--page", "{}/my music/high.mp3"], "is a file; give the name of a folder"),
    ],
)
def test_words_that_do_not_go_together(
    call: Call, trained: Trained, music: Path, tmp_path: Path, given: list[str], said: str
) -> None:
    before = digests(tmp_path)
    got = call("tag", music, *[g.format(tmp_path) for g in given], f"store={trained.store}")
    assert got.code == 2
    assert said in got.err.splitlines()[-1]
    assert "Traceback" not in got.err
    assert digests(tmp_path) == before


def test_a_song_needs_a_pages_name_and_two_copies_a_name_each(call: Call, trained: Trained, music: Path) -> None:
    got = call("tag", music / "high.mp3", "--page", music / "page", f"store={trained.store}")
    assert (got.code, "expected a page's name" in got.err) == (2, True)
    both = [music / "a" / "low.flac", music / "a" / "b" / "low.flac"]
    got = call("tag", *both, "--write-tags", "--to", music / "x", f"store={trained.store}")
    assert (got.code, "would both be copied to" in got.err) == (2, True)


@pytest.fixture(scope="module")
def several(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run that knows songs of several genres, at bars."""
    from genrelab.cli import main

    folder = tmp_path_factory.mktemp("several")
    rows = [
        [str(p), f"{g}|{'tone' if g != 'noise' else 'hiss'}", f"{g} {p.stem[0]}"]
        for g in GENRES
        for p in sorted((songs.folder / g).glob("*.wav"))
    ]
    table = write_manifest(folder / "both.csv", rows, ("path", "genres", "artist"))
    given = ["data=manifest", f"data.path={table}", "task=multi", "slice=bars", "front=chroma", *TINY, "card=null"]
    assert main([*given, f"store={folder / 'store'}"]) == 0
    return folder / "store"


def test_several_genres_are_several_tags_and_a_page(call: Call, songs: Songs, several: Path, tmp_path: Path) -> None:
    paths = [songs.folder / "low" / "0-0.wav", songs.folder / "high" / "1-0.wav"]
    given = [*paths, "--write-tags", "--to", tmp_path / "to", "--page", tmp_path / "pages", f"store={several}"]
    said = answers(call, *given)
    for own in said:
        text = words(tmp_path / "pages" / f"{Path(own['path']).stem}.html")
        for genre in own["genres"]:
            assert genre["genre"] in text
        if own["tagged"]:
            assert read_tags(Path(own["tagged"])).genres == tuple(own["label"].split("|"))
        assert "rather than" not in text  # genres do not exclude each other
    assert {g["genre"] for g in said[0]["genres"]} == {*GENRES, "tone", "hiss"}


def test_a_fold_has_a_page_of_its_own(
    call: Call, songs: Songs, folded: tuple[Path, Any, list[Any]], tmp_path: Path
) -> None:
    store, _, folds = folded
    page = tmp_path / "page.html"
    said = call("tag", songs.folder / "low" / "0-0.wav", "--page", page, f"store={store}")
    assert said.code == 0, said.err
    best = max(folds, key=lambda f: f.data.metrics["val/song/balanced_accuracy"])
    assert best.info.run_id[:8] in words(page)
    assert len(re.findall(r"distance \d", words(page))) == 6


def test_a_run_of_before_has_a_page_without_neighbours(
    call: Call, trained: Trained, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrelab.data import known

    monkeypatch.setattr(known, "load", lambda _: [])
    page = tmp_path / "page.html"
    assert call("tag", songs.folder / "low" / "0-0.wav", "--page", page, f"store={trained.store}").code == 0
    assert "did not keep which songs it was trained on" in words(page)
    assert runs_of(trained.store)
