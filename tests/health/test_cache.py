"""What can be made again: found broken, mended, and left alone where another process is at work."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from genrelab.health import cache
from genrelab.health.base import Busy, Finding
from genrelab.store import Shelf

N_BINS = 4


def shelf(store: Path, name: str = "mel-1", n: int = 3) -> Path:
    """A front-end's pictures of n songs, 5 frames each."""
    folder = store / "cache" / "pictures" / name
    made = Shelf(folder, N_BINS, np.float16)
    with made.writing() as append:
        append([(f"song {i}", np.full((5, N_BINS), i, np.float16)) for i in range(n)])
    made.db.close()
    return folder


def whole(folder: Path, n: int = 3) -> None:
    """The pictures read back as they were made."""
    made = Shelf(folder, N_BINS, np.float16)
    places = made.places()
    made.db.close()
    assert sorted(places) == [f"song {i}" for i in range(n)]
    for i in range(n):
        first, length = places[f"song {i}"]
        assert (made.rows()[first : first + length] == i).all()


def found(store: Path, training: int = 0) -> list[Finding]:
    return [*cache.examine(store, {"a" * 32}, training), *cache.locks(store, training)]


def only(store: Path, training: int = 0) -> Finding:
    (finding,) = found(store, training)
    assert finding.wrong
    return finding


def mend(finding: Finding) -> str:
    assert finding.mend
    return finding.mend()


def test_a_whole_store_has_nothing(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    shelf(tmp_path)
    assert found(tmp_path) == []


def test_what_a_killed_writer_left_is_cut_off(tmp_path: Path) -> None:
    folder = shelf(tmp_path)
    with (folder / "pictures.f16").open("ab") as file:
        file.write(b"x" * 33)
    finding = only(tmp_path)
    assert (finding.where, finding.amount) == ("cache/pictures/mel-1", "33 bytes")
    assert mend(finding) == "33 bytes cut off"
    assert found(tmp_path) == []
    whole(folder)


def test_a_torn_file_loses_only_what_is_torn(tmp_path: Path) -> None:
    folder = shelf(tmp_path)
    os.truncate(folder / "pictures.f16", 2 * N_BINS * 12)  # rows 12 to 14 are gone
    finding = only(tmp_path)
    assert finding.amount == "1 of 3 pictures"
    mend(finding)
    (left,) = found(tmp_path)  # the two rows of the picture that is torn
    mend(left)
    assert found(tmp_path) == []
    whole(folder, n=2)


def test_a_lost_file_empties_the_index(tmp_path: Path) -> None:
    folder = shelf(tmp_path)
    (folder / "pictures.f16").unlink()
    assert only(tmp_path).amount == "3 pictures"
    mend(only(tmp_path))
    assert found(tmp_path) == []
    assert Shelf(folder, N_BINS, np.float16).places() == {}


@pytest.mark.parametrize("how", ["gone", "broken", "another"])
def test_pictures_that_no_index_names_are_deleted(tmp_path: Path, how: str) -> None:
    index = shelf(tmp_path) / "index.sqlite"
    index.unlink()
    if how == "broken":
        index.write_bytes(b"no database at all" * 100)
    if how == "another":
        sqlite3.connect(index).execute("create table other (a)")
    with pytest.raises(Busy, match="1 run in training"):
        mend(only(tmp_path, training=1))
    assert (index.parent / "pictures.f16").exists()
    mend(only(tmp_path))
    assert not index.parent.exists()


def test_pictures_that_are_being_written_are_left_alone(tmp_path: Path) -> None:
    folder = shelf(tmp_path)
    with (folder / "pictures.f16").open("ab") as file:
        file.write(b"x" * 33)
    late = only(tmp_path)
    with FileLock(folder / ".lock"):
        (finding,) = found(tmp_path)
        assert not finding.wrong
        assert finding.mend is None
        with pytest.raises(Busy):  # it was free when it was found
            mend(late)
    assert (folder / "pictures.f16").stat().st_size == 2 * N_BINS * 15 + 33


def test_a_shelf_of_an_older_genrelab_is_not_guessed_at(tmp_path: Path) -> None:
    folder = shelf(tmp_path)
    with sqlite3.connect(folder / "index.sqlite") as db:
        db.execute("pragma user_version = 0")
    with (folder / "pictures.f16").open("ab") as file:
        file.write(b"x" * 33)
    assert found(tmp_path) == []
    Shelf(folder, N_BINS, np.float16)  # a run opens it
    assert only(tmp_path).amount == "33 bytes"


def test_a_broken_database_is_deleted_but_not_while_a_run_trains(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "files.sqlite"
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("create table files (path text)")
    db.executemany("insert into files values (?)", [("x" * 200,)] * 500)
    db.commit()
    db.close()
    assert found(tmp_path) == []
    data = bytearray(path.read_bytes())
    data[4096:8192] = os.urandom(4096)
    path.write_bytes(data)
    with pytest.raises(Busy):
        mend(only(tmp_path, training=1))
    assert path.exists()
    mend(only(tmp_path))
    assert not path.exists()


def test_a_database_that_a_killed_process_was_writing_is_not_broken(tmp_path: Path) -> None:
    """Its journal is rolled back, as the next reader would."""
    path = tmp_path / "cache" / "files.sqlite"
    path.parent.mkdir()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("create table files (path text)")
    db.execute("insert into files values ('whole')")
    db.execute("pragma cache_size = 1")  # what is changed is written before it is committed
    db.execute("begin")
    db.executemany("insert into files values (?)", [("x" * 3000,)] * 200)
    killed = tmp_path / "killed"
    killed.mkdir()
    for part in (path, Path(f"{path}-journal")):
        (killed / part.name).write_bytes(part.read_bytes())
    db.execute("rollback")
    db.close()
    for part in killed.iterdir():
        (path.parent / part.name).write_bytes(part.read_bytes())
    assert found(tmp_path) == []
    assert sqlite3.connect(path).execute("select path from files").fetchall() == [("whole",)]


def test_embeddings_of_lost_runs_and_half_written_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "embeddings"
    folder.mkdir(parents=True)
    names = [f"{'a' * 32}-1.npy", f"{'b' * 32}-1.npy", f"{'a' * 32}-2.tmp.npy"]
    for name in names:
        (folder / name).write_bytes(b"12345")
    there = found(tmp_path)
    assert {f.where for f in there} == {f"cache/embeddings/{n}" for n in names[1:]}
    with FileLock(folder / f"{'a' * 32}-2.npy.lock"):  # its writer lives
        assert [f.where for f in found(tmp_path)] == [f"cache/embeddings/{names[1]}"]
    for finding in there:
        mend(finding)
    assert [p.name for p in folder.glob("*.npy")] == names[:1]
    assert [f.where for f in cache.examine(tmp_path, None, 0)] == []  # where no run is known, none is lost


def test_half_written_files_go_unless_their_writer_lives(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "baselines"
    folder.mkdir(parents=True)
    dead = 2**22 + 1  # more than any process has
    for number in (os.getpid(), dead):
        (folder / f"1f2e.{number}.tmp").write_text("{")
    (tmp_path / "cache" / "machine.tmp").write_text("{")
    there = found(tmp_path)
    assert {f.where for f in there} == {f"cache/baselines/1f2e.{dead}.tmp", "cache/machine.tmp"}
    for finding in there:
        mend(finding)
    assert found(tmp_path) == []
    assert (folder / f"1f2e.{os.getpid()}.tmp").exists()


def test_locks_of_what_is_gone_go_but_no_lock_that_is_needed(tmp_path: Path) -> None:
    data, rows = tmp_path / "data", tmp_path / "cache" / "embeddings"
    for folder in (data / "synth-1", data / "synth-2.part", rows):
        folder.mkdir(parents=True)
    (rows / "kept.npy").touch()
    needed = [data / "synth-1.lock", data / "synth-2.lock", rows / "kept.npy.lock"]
    gone = [data / "synth-3.lock", rows / "lost.npy.lock"]
    for path in (*needed, *gone):
        path.touch()
    (finding,) = cache.locks(tmp_path, 0)
    assert finding.amount == "2 files"
    with FileLock(gone[0]):
        assert [f.amount for f in cache.locks(tmp_path, 0)] == ["1 file"]
    mend(finding)
    assert all(p.exists() for p in needed)
    assert not any(p.exists() for p in gone)


def test_over_the_budget_goes_what_was_unused_for_longest(tmp_path: Path) -> None:
    folders = [shelf(tmp_path, f"front-{i}", n=1000) for i in range(3)]
    for age, folder in zip((200, 300, 100), folders, strict=True):
        os.utime(folder, (1e9 - age, 1e9 - age))
    one = sum(p.stat().st_size for p in folders[0].iterdir())
    assert list(cache.over_budget(tmp_path, 3.5 * one, 0)) == []
    there = list(cache.over_budget(tmp_path, 1.5 * one, 0))
    assert [f.where for f in there] == ["cache/pictures/front-1", "cache/pictures/front-0"]
    with pytest.raises(Busy):
        mend(next(cache.over_budget(tmp_path, 1.5 * one, 1)))
    for finding in there:
        mend(finding)
    assert [f.exists() for f in folders] == [False, False, True]
    assert list(cache.over_budget(tmp_path, 1.5 * one, 0)) == []


def test_what_cannot_go_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "files.sqlite").write_bytes(b"x" * 100)
    (finding,) = cache.over_budget(tmp_path, 10, 0)
    assert finding.mend is None
    assert finding.amount == "100 bytes"


def test_opening_a_shelf_is_using_it(tmp_path: Path) -> None:
    folder = shelf(tmp_path)
    os.utime(folder, (1e9, 1e9))
    shelf(tmp_path, n=0)
    assert folder.stat().st_mtime > 1.5e9
