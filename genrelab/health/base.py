"""A finding, and what the examiners of a store's parts share."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

LOST = "lost"  # where in the store lies what nothing asks for any more
Mend = Callable[[], str]  # does it; says what was done, a phrase


class Busy(Exception):
    """Another process is at work there: nothing is touched."""


@dataclass(frozen=True)
class Finding:
    """Something about a store. Wrong where it should be mended; else it is said, and left alone."""

    what: str
    where: str  # relative to the store
    amount: str = ""  # how much it is: "3 runs", "12 MB"
    remedy: str = ""  # what --fix does, or what the user may do where it can do nothing
    mend: Mend | None = None
    wrong: bool = True


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def folders(path: Path) -> list[Path]:
    """The folders in a folder, by name; none where it is not there."""
    return sorted(p for p in _inside(path) if p.is_dir() and not p.is_symlink())


def amount(n_bytes: float) -> str:
    """1234567 -> "1.2 MB"; decimal units, as disks are sold."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" or n_bytes >= 100 else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def is_free(lock: Path) -> bool:
    """Whether nobody holds a lock; makes no file where there is none."""
    if not lock.exists():
        return True
    try:
        with held(lock):
            return True
    except Busy:
        return False


@contextmanager
def held(lock: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Holds a lock. Raises Busy where another process has it for longer."""
    own, new = FileLock(lock, timeout=patience_s), not lock.exists()
    try:
        own.acquire()
    except Timeout:
        raise Busy(f"{lock.name} is held by another process") from None
    try:
        yield
    finally:
        if new:  # nobody has used it yet
            lock.unlink(missing_ok=True)
        own.release()


def remove(path: Path) -> None:
    """Deletes a file or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def moved(store: Path, path: Path) -> str:
    """Puts what cannot be made again out of the way, to LOST."""
    goal, n = store / LOST / path.relative_to(store), 1
    while goal.exists():
        n += 1
        goal = goal.with_name(f"{path.name}-{n}")
    goal.parent.mkdir(parents=True, exist_ok=True)
    path.rename(goal)
    return f"moved to {goal.relative_to(store).as_posix()}"


def opened(path: Path) -> closing[sqlite3.Connection]:
    """A database that is there. Not read only: what a killed writer left half done must be rolled back first."""
    return closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=60))


def sqlite_fault(path: Path) -> tuple[str, bool]:
    """What sqlite finds wrong with a database, a line, and whether it is broken for good; ("", False) where it is whole
    or in use."""
    try:
        with opened(path) as db:
            said = str(db.execute("pragma integrity_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return "", False
        return str(error), code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return ("", False) if said == "ok" else (" ".join(said.split()), True)
