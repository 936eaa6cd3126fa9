"""Data sources: a table, or a folder a genre."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from genrelab.data.sources.folder import Folder
from genrelab.data.sources.manifest import Manifest
from genrelab.types import Track, UserError


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
    source = Folder(str(root), "auto", None, None)
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


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aif", ".aiff", ".AIFF", ".m4a"])
def test_every_suffix(tmp_path: Path, suffix: str) -> None:
    tree(tmp_path, f"a/1{suffix}", f"b/2{suffix}", "b/3.wma")
    assert [track.id for track in Folder(str(tmp_path), "auto", None, None).tracks(tmp_path, None)] == ["a/1", "b/2"]


def test_same_stem_keeps_its_suffix(tmp_path: Path) -> None:
    tree(tmp_path, "a/1.wav", "a/1.mp3", "a/2.wav", "b/1.wav")
    assert [track.id for track in Folder(str(tmp_path), "auto", None, None).tracks(tmp_path, None)] == [
        "a/1.mp3",
        "a/1.wav",
        "a/2",
        "b/1",
    ]


def test_folder_errors(tmp_path: Path) -> None:
    assert "data.path=DIR" in wrong(Folder(None, "auto", None, None))
    with pytest.raises(UserError, match=r"data\.path=DIR"):
        _ = Folder(None, "auto", None, None).name
    assert "does not exist" in wrong(Folder(str(tmp_path / "no"), "auto", None, None))
    assert "is a file" in wrong(Folder(str(tree(tmp_path, "a.txt") / "a.txt"), "auto", None, None))
    assert "data=manifest" in wrong(Folder(str(tree(tmp_path, "a.csv") / "a.csv"), "auto", None, None))
    flat = tree(tmp_path / "flat", "a.wav", "b.wav")
    assert "none (2 audio files" in wrong(Folder(str(flat), "auto", None, None))
    assert "only rock" in wrong(Folder(str(tree(tmp_path / "one", "rock/a.wav", "jazz/a.txt")), "auto", None, None))
    assert "data=manifest" in wrong(Folder(str(tree(flat, "manifest.csv")), "auto", None, None))


def test_manifest_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "Old Songs"
    root.mkdir()
    for name in ("manifest.csv", "New Table.csv"):
        (root / name).write_text("file,genre\na.wav,rock\n")
    source = Manifest(str(root / "manifest.csv"), {"path": "file"}, "auto", None, None)
    assert source.name == "old-songs"
    assert [track.path for track in source.tracks(tmp_path, None)] == [root / "a.wav"]
    assert Manifest(str(root / "New Table.csv"), {}, "auto", None, None).name == "new-table"
    monkeypatch.chdir(root)
    assert Manifest("manifest.csv", {}, "auto", None, None).name == "old-songs"
    assert "data.path=FILE.csv" in wrong(Manifest(None, {}, "auto", None, None))
    assert "no path column" in wrong(Manifest("manifest.csv", {}, "auto", None, None))


def strange(unknown: Path | str) -> list[Track]:
    return Folder(None, "auto", str(unknown), None).strangers()


def test_strangers_of_a_folder_are_its_files_whatever_their_folders(tmp_path: Path) -> None:
    root = tree(tmp_path, "b.wav", "rap/a.MP3", "rap/a.wav", "rap/notes.txt", ".git/c.wav", ".d.wav")
    found = strange(root)
    assert [track.id for track in found] == ["unknown/b.wav", "unknown/rap/a.MP3", "unknown/rap/a.wav"]
    assert [track.path for track in found] == [root / "b.wav", root / "rap/a.MP3", root / "rap/a.wav"]
    assert all(track.genres == () and track.genre is None for track in found)
    assert Folder(None, "auto", None, None).strangers() == []


def test_strangers_of_a_manifest_keep_what_the_table_says_but_for_the_genre(tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text("path,genre,artist,start_s\nx/a.wav,rap,Ann,\nx/a.wav,,Ann,30\n")
    first, second = strange(table)
    assert (first.id, second.id) == ("unknown/x/a", "unknown/x/a@30s")
    assert first.genres == second.genres == () and first.weights is None
    assert (second.path, second.artist, second.start_s) == (tmp_path / "x" / "a.wav", "Ann", 30.0)
    table.write_text("path\na.wav\n")
    assert [track.id for track in strange(table)] == ["unknown/a"]


def test_strangers_that_are_not_there_are_said(tmp_path: Path) -> None:
    def said(unknown: Path) -> str:
        with pytest.raises(UserError) as caught:
            strange(unknown)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert said(tmp_path / "no").startswith(f"data.unknown={tmp_path / 'no'} does not exist")
    assert "no audio file" in said(tree(tmp_path / "texts", "a.txt").parent / "texts")
    table = tmp_path / "no-path.csv"
    table.write_text("genre\nrap\n")
    assert "no path column" in said(table) and str(table) in said(table)


def test_a_tree_is_read_as_the_yaml_has_it(tmp_path: Path) -> None:
    file = tmp_path / "tree.yaml"
    file.write_text("electronic: [house, {techno: [acid, minimal]}]\nmúsica:\n  - jazz\n", encoding="utf-8")
    source = Manifest(None, {}, "auto", None, str(file))
    assert source.tree() == {"electronic": ["house", {"techno": ["acid", "minimal"]}], "música": ["jazz"]}
    assert Manifest(None, {}, "auto", None, None).tree() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [b, c\n", "is no yaml"),
        (b"a: b: c\n", "is no yaml"),
        (b"a: \xff\xfe\n", "is no yaml"),
        (b"!!python/object/apply:os.mkdir [MADE]\n", "is no yaml"),
        (b"!!python/name:os.system\n", "is no yaml"),
        (None, "is no file"),
    ],
)
def test_a_tree_that_cannot_be_read_is_said_and_runs_nothing(tmp_path: Path, content: bytes | None, said: str) -> None:
    file, made = tmp_path / "tree.yaml", tmp_path / "made"
    if content is not None:
        file.write_bytes(content.replace(b"MADE", str(made).encode()))
    with pytest.raises(UserError) as caught:
        Folder(None, "auto", None, str(file)).tree()
    assert str(caught.value).startswith(f"data.tree={file} {said}") and "\n" not in str(caught.value)
    assert not made.exists()


def test_a_folder_is_no_tree(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no file"):
        Folder(None, "auto", None, str(tmp_path)).tree()
