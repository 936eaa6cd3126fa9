"""Music in a store: half made, or with gaps."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from genrelab.data.sources.base import made_once
from genrelab.health import corpora
from genrelab.health.base import Busy, Finding
from tests.conftest import write_manifest

SONGS = ("a", "b", "c")


def make(part: Path) -> None:
    """As sources do: the songs that lack, and the manifest last."""
    (part / "songs").mkdir(parents=True, exist_ok=True)
    for name in SONGS:
        path = part / "songs" / f"{name}.wav"
        if not path.exists():
            path.write_text(f"sound of {name}")
    write_manifest(part / "manifest.csv", [[f"songs/{n}.wav", "rap", n] for n in SONGS])


def found(store: Path) -> list[Finding]:
    return list(corpora.examine(store, 0))


def only(store: Path) -> Finding:
    (finding,) = found(store)
    return finding


def test_a_whole_corpus_has_nothing(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    made_once(tmp_path / "data" / "synth-1", make)
    assert found(tmp_path) == []


def test_half_made_data_go_unless_they_are_being_made(tmp_path: Path) -> None:
    part = tmp_path / "data" / "synth-1.part"
    (part / "songs").mkdir(parents=True)
    (part / "songs" / "a.wav").write_text("half")
    late = only(tmp_path)
    assert late.wrong
    with FileLock(tmp_path / "data" / "synth-1.lock"):
        assert not only(tmp_path).wrong
        with pytest.raises(Busy):
            late.mend()  # type: ignore[misc]
        assert part.exists()
    late.mend()  # type: ignore[misc]
    assert not part.exists()


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_lost_songs_are_made_by_the_next_run_and_the_others_are_kept(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "data" / "synth-1"
    made_once(folder, make)
    (folder / "songs" / "a.wav").write_text("kept")
    (folder / "songs" / "b.wav").unlink() if how == "gone" else (folder / "songs" / "b.wav").write_text("")
    finding = only(tmp_path)
    assert finding.amount == "1 of 3 songs"
    with pytest.raises(Busy):
        next(iter(corpora.examine(tmp_path, 1))).mend()  # type: ignore[misc]
    finding.mend()  # type: ignore[misc]
    assert not folder.exists()
    waiting = only(tmp_path)  # what is there is not deleted for being half made
    assert not waiting.wrong
    assert waiting.mend is None
    made_once(folder, make)
    assert found(tmp_path) == []
    assert (folder / "songs" / "b.wav").read_text() == "sound of b"
    assert (folder / "songs" / "a.wav").read_text() == "kept"


def test_a_manifest_that_cannot_be_read_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "synth-1"
    made_once(folder, make)
    (folder / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    only(tmp_path).mend()  # type: ignore[misc]
    made_once(folder, make)
    assert found(tmp_path) == []


def test_fetched_packages_are_put_aside_and_not_deleted(tmp_path: Path) -> None:
    games = tmp_path / "data" / "games"
    for package in ("one_1", "two_1"):
        (games / "packages" / package).mkdir(parents=True)
        for name in ("a", "b"):
            (games / "packages" / package / f"{name}.ogg").write_text("sound")
    (games / "1f2e").mkdir()
    rows = [[f"../packages/{p}/{n}.ogg", "rap", n] for p in ("one_1", "two_1") for n in ("a", "b")]
    write_manifest(games / "1f2e" / "manifest.csv", rows)
    assert found(tmp_path) == []
    (games / "packages" / "one_1" / "a.ogg").unlink()
    finding = only(tmp_path)
    assert finding.amount == "1 of 4 songs"
    finding.mend()  # type: ignore[misc]
    assert not (games / "1f2e" / "manifest.csv").exists()
    assert not (games / "packages" / "one_1").exists()
    assert (tmp_path / "lost" / "data" / "games" / "packages" / "one_1" / "b.ogg").exists()
    assert (games / "packages" / "two_1" / "a.ogg").exists()
    assert found(tmp_path) == []
