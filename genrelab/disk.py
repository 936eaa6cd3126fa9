"""A disk that is full or cannot be written to: a line for the user instead of a traceback."""

from __future__ import annotations

import errno
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)
PROBE_BYTES = 1 << 16  # more than a file system keeps back for a name


def complaint(error: BaseException, store: Path) -> str | None:
    """What to tell the user of an error that came of a disk; None where it came of something else.

    Libraries hide what the system said, and some lose it: where no error in the chain tells, the store's disk is tried.
    """
    for one in _chain(error):
        if (told := _told(one, store)) is not None:
            return told
    try:
        with tempfile.TemporaryFile(dir=_there(store), buffering=0) as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as found:
        return _told(found, store)
    return None


def _told(error: BaseException, store: Path) -> str | None:
    at = Path(str(error.filename)) if isinstance(error, OSError) and error.filename else store
    if isinstance(error, OSError) and error.errno in FULL:
        return full(at)
    if isinstance(error, OSError) and error.errno in CLOSED and at.absolute().is_relative_to(store):
        return closed(store, error.strerror or "")
    if isinstance(error, sqlite3.Error):
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return full(store)
        if code == sqlite3.SQLITE_READONLY:
            return closed(store, str(error))
    return None


def full(at: Path) -> str:
    return f"no room is left on the disk of {at}: make some; nothing that was finished is lost"


def closed(store: Path, why: str) -> str:
    return f"the store {store} cannot be written to ({why}): give another one, store=DIR"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [one.__context__, one.__cause__]


def _there(folder: Path) -> Path:
    """A folder, or the nearest above it that is there."""
    return next((p for p in (folder, *folder.parents) if p.is_dir()), folder)
