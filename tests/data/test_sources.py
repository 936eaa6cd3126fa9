"""Data sources: a table, or a folder a genre."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from genrelab.data.sources.folder import Folder
from genrelab.data.sources.manifest import Manifest
from genrelab.types import UserError


def tree(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def wrong(source: Folder | Manifest) -> str:
    with pytest.raises(UserError) as caught:
        source.tracks(Path("store"), None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = tree(
        tmp_path / "My Songs",
        "rock/b.WAV", "rock/live/1999/a.flac", "rock/notes.txt", "rock/.hidden.wav", "rock/.git/c.wav",
        "Jazz é/x.y.mp3", "empty/cover.png", ".cache/z.wav", "loose.wav", "readme.md",
    )  # fmt: skip
    source = Folder(str(root), "auto")
    with caplog.at_level(logging.WARNING):
        tracks = source.tracks(tmp_path, None)
    assert [(track.id, track.genres) for track in tracks] == [
        ("Jazz é/x.y", ("Jazz é",)),
        ("rock/b", ("rock",)),
        ("rock/live/1999/a", ("rock",)),
    ]
    assert tracks[1].path == root / "rock" / "b.WAV"
    assert all(track.artist is None for track in tracks)
    assert "1 audio files" in caplog.text
    assert "empty" in caplog.text
    assert source.name == "my-songs"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aif", ".aiff", ".AIFF"])
def test_every_suffix(tmp_path: Path, suffix: str) -> None:
    tree(tmp_path, f"a/1{suffix}", f"b/2{suffix}", "b/3.m4a")
    assert [track.id for track in Folder(str(tmp_path), "auto").tracks(tmp_path, None)] == ["a/1", "b/2"]


def test_same_stem_keeps_its_suffix(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.wav", "a/1.mp3", "a/2.wav", "b/1.wav")
    assert [track.id for track in Folder(str(tmp_path), "auto").tracks(tmp_path, None)] == [
        "a/1.mp3",
        "a/1.wav",
        "a/2",
        "b/1",
    ]


def test_folder_errors(tmp_path: Path) -> None:
    assert "data.path=DIR" in wrong(Folder(None, "auto"))
    with pytest.raises(UserError, match=r"data\.path=DIR"):
        _ = Folder(None, "auto").name
    assert "does not exist" in wrong(Folder(str(tmp_path / "no"), "auto"))
    assert "is a file" in wrong(Folder(str(tree(tmp_path, "a.txt") / "a.txt"), "auto"))
    assert "data=manifest" in wrong(Folder(str(tree(tmp_path, "a.csv") / "a.csv"), "auto"))
    flat = tree(tmp_path / "flat", "a.wav", "b.wav")
    assert "none (2 audio files" in wrong(Folder(str(flat), "auto"))
    assert "only rock" in wrong(Folder(str(tree(tmp_path / "one", "rock/a.wav", "jazz/a.txt")), "auto"))
    assert "data=manifest" in wrong(Folder(str(tree(flat, "manifest.csv")), "auto"))


def test_manifest_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "Old Songs"
    root.mkdir()
    for name in ("manifest.csv", "New Table.csv"):
        (root / name).write_text("file,genre\na.wav,rock\n")
    source = Manifest(str(root / "manifest.csv"), {"path": "file"}, "auto")
    assert source.name == "old-songs"
    assert [track.path for track in source.tracks(tmp_path, None)] == [root / "a.wav"]
    assert Manifest(str(root / "New Table.csv"), {}, "auto").name == "new-table"
    monkeypatch.chdir(root)
    assert Manifest("manifest.csv", {}, "auto").name == "old-songs"
    assert "data.path=FILE.csv" in wrong(Manifest(None, {}, "auto"))
    assert "no path column" in wrong(Manifest("manifest.csv", {}, "auto"))
