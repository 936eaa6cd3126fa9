"""What a store can make again: pictures, embeddings, measures, and the files that a killed process was writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from genrelab import process, room
from genrelab.health import base
from genrelab.health.base import Busy, Finding, Mend

PICTURES, EMBEDDINGS = "pictures", "embeddings"
ROW_TYPES = {"pictures.f16": 2, "samples.i16": 2}  # the file of a shelf -> bytes of a value


def examine(store: Path, known: Collection[str] | None, training: int) -> Iterator[Finding]:
    """known: the ids of all runs, None where the database cannot tell; training: how many runs go on now."""
    cache = store / "cache"
    for folder in base.folders(cache / PICTURES):
        yield from _shelf(store, folder, training)
    for path in sorted(cache.glob("*.sqlite")):
        fault, for_good = base.sqlite_fault(path)
        if fault:
            yield _broken(store, path, fault, training if for_good else None)
    yield from _embeddings(store, known)
    yield from _machine(store)
    for path in sorted((cache / "baselines").glob("*.*.tmp")):
        number = path.name.split(".")[-2]
        if not (number.isdigit() and process.lives(int(number))):
            yield _partial(store, path, partial(_deleted, path))


def over_budget(store: Path, budget: float, training: int) -> Iterator[Finding]:
    """What would have to go for the cache to have at most `budget` bytes, the longest unused first."""
    total = room.size_of(store / "cache")
    over, freed = total - budget, 0
    for _, size, path in room.parts(store / "cache"):
        if freed >= over:
            break
        freed += size
        where = path.relative_to(store).as_posix()

        def mend(path: Path = path) -> str:
            if training:
                raise Busy(f"{base.count(training, 'run')} in training may read it")
            return _emptied(path) if path.is_dir() else _deleted(path)

        what = f"the cache is over its budget ({base.amount(total)} of {base.amount(budget)}); longest unused"
        yield Finding(what, where, base.amount(size), "deletes it; made again when it is needed", mend)
    if freed < over:
        rest = base.amount(total - freed)
        yield Finding(
            f"the cache is over its budget even without pictures ({rest} of {base.amount(budget)})",
            "cache",
            rest,
            "give a larger --budget",
        )


def _shelf(store: Path, folder: Path, training: int) -> Iterator[Finding]:
    """One front-end's pictures."""
    where, index, lock = folder.relative_to(store).as_posix(), folder / "index.sqlite", folder / ".lock"
    if not base.is_free(lock):
        yield Finding("pictures are being written now", where, wrong=False)
        return
    data = next((folder / name for name in ROW_TYPES if (folder / name).is_file()), None)
    fault, for_good = base.sqlite_fault(index) if index.is_file() else ("", False)
    if fault and not for_good:
        yield _broken(store, index, fault, None)
        return
    if fault or not index.is_file():
        said = f"the index of pictures is broken ({fault})" if fault else "pictures without an index"
        yield Finding(said, where, base.amount(room.size_of(folder)), *_emptying(folder, training))
        return
    known = _indexed(index)
    if known is None:
        yield Finding("the index of pictures holds no table", where, "", *_emptying(folder, training))
        return
    n_bins, end, n = known
    size = data.stat().st_size if data else 0
    row = ROW_TYPES[data.name] * n_bins if data else 0
    if n and not data:
        yield Finding(
            "an index names pictures whose file is gone",
            where,
            base.count(n, "picture"),
            "takes them out of the index; made again when needed",
            lambda: _unlisted(folder, 0),
        )
    elif data and row and end * row > size:
        lost = _beyond(index, size // row)
        yield Finding(
            f"{data.name} is shorter than its index says: it was cut off",
            where,
            f"{lost} of {base.count(n, 'picture')}",
            "takes them out of the index; made again when needed",
            lambda: _unlisted(folder, size // row),
        )
    elif data and row and size > end * row:
        yield Finding(
            "pictures that a killed process was writing",
            where,
            base.amount(size - end * row),
            "cuts them off; nothing reads them",
            lambda: _cut(folder, data, row),
        )


def _indexed(index: Path) -> tuple[int, int, int] | None:
    """Bins (0: not recorded), end of the last picture in rows, number of pictures; None for another kind of file."""
    try:
        with base.opened(index) as db:
            n_bins = db.execute("pragma user_version").fetchone()[0]
            end, n = db.execute("select max(first + n_frames), count(*) from pictures").fetchone()
    except sqlite3.DatabaseError:
        return None
    return n_bins, end or 0, n


def _beyond(index: Path, n_rows: int) -> int:
    with base.opened(index) as db:
        return int(db.execute("select count(*) from pictures where first + n_frames > ?", (n_rows,)).fetchone()[0])


def _unlisted(folder: Path, n_rows: int) -> str:
    """Takes what lies beyond the file's rows out of the index; the file stays as long as its readers think it is."""
    with base.held(folder / ".lock"), base.opened(folder / "index.sqlite") as db, db:
        gone = db.execute("delete from pictures where first + n_frames > ?", (n_rows,)).rowcount
    return f"{base.count(gone, 'picture')} taken out of the index"


def _cut(folder: Path, data: Path, row: int) -> str:
    with base.held(folder / ".lock"):
        known = _indexed(folder / "index.sqlite")  # a process may have written since
        assert known is not None
        before = data.stat().st_size
        with data.open("r+b") as file:
            file.truncate(known[1] * row)
        return f"{base.amount(before - known[1] * row)} cut off"


def _emptying(folder: Path, training: int) -> tuple[str, Mend]:
    def mend() -> str:
        if training:
            raise Busy(f"{base.count(training, 'run')} in training may read it")
        return _emptied(folder)

    return "deletes them; made again when needed", mend


def _emptied(folder: Path) -> str:
    """Deletes a shelf. Who reads it keeps what is mapped: only its name is gone."""
    size = room.size_of(folder)
    with base.held(folder / ".lock"):
        base.remove(folder)
    return f"deleted, {base.amount(size)}"


def _deleted(path: Path) -> str:
    size = room.size_of(path)
    base.remove(path)
    return f"deleted, {base.amount(size)}"


def _broken(store: Path, path: Path, fault: str, training: int | None) -> Finding:
    where, size = path.relative_to(store).as_posix(), base.amount(room.size_of(path))
    if training is None:
        return Finding(f"cannot be read ({fault})", where, size, "look to its permissions and the disk")

    def mend() -> str:
        if training:
            raise Busy(f"{base.count(training, 'run')} in training may use it")
        for name in (path, path.with_name(path.name + "-journal"), path.with_name(path.name + "-wal")):
            base.remove(name)
        return f"{path.name} deleted"

    return Finding(f"broken ({fault})", where, size, "deletes it; made again when needed", mend)


def _partial(store: Path, path: Path, mend: Mend) -> Finding:
    where = path.relative_to(store).as_posix()
    return Finding("half-written by a process that is gone", where, base.amount(room.size_of(path)), "deletes it", mend)


def _embeddings(store: Path, known: Collection[str] | None) -> Iterator[Finding]:
    """cache/embeddings/RUN-DIGEST.npy, written as RUN-DIGEST.tmp.npy under RUN-DIGEST.npy.lock."""
    folder = store / "cache" / EMBEDDINGS
    for path in sorted(folder.glob("*.npy")):
        unfinished = path.name.endswith(".tmp.npy")
        whole = path.with_name(path.name.removesuffix(".tmp.npy") + ".npy") if unfinished else path
        lock = Path(f"{whole}.lock")
        if not base.is_free(lock):
            continue

        def mend(path: Path = path, lock: Path = lock, whole: Path = whole) -> str:
            with base.held(lock):
                said = _deleted(path)
                if not whole.exists():
                    base.remove(lock)
                return said

        if unfinished:
            yield _partial(store, path, mend)
        elif known is not None and path.name.partition("-")[0] not in known:
            where, size = path.relative_to(store).as_posix(), base.amount(room.size_of(path))
            yield Finding("embeddings of a run that is gone", where, size, "deletes them", mend)


def _machine(store: Path) -> Iterator[Finding]:
    """cache/machine.json, written as machine.tmp under machine.lock."""
    path, lock = store / "cache" / "machine.tmp", store / "cache" / "machine.lock"
    if path.is_file() and base.is_free(lock):

        def mend() -> str:
            with base.held(lock):
                return _deleted(path)

        yield _partial(store, path, mend)


def locks(store: Path, training: int) -> Iterator[Finding]:
    """Locks of what is gone. One that is held, or that something still needs, is none of these."""
    found = [p for p in (store / "cache" / EMBEDDINGS).glob("*.npy.lock") if not p.with_suffix("").exists()]
    for path in (store / "data").glob("*.lock"):
        subject = path.with_suffix("")
        if not subject.exists() and not subject.with_name(f"{subject.name}.part").exists():
            found.append(path)
    found = sorted(p for p in found if base.is_free(p))
    if not found:
        return

    def mend() -> str:
        if training:
            raise Busy(f"{base.count(training, 'run')} in training may want them")
        for path in found:
            with base.held(path):
                base.remove(path)
        return "deleted"

    where = found[0].parent.relative_to(store).as_posix()
    yield Finding("locks of what is gone", where, base.count(len(found), "file"), "deletes them", mend)
