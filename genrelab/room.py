"""Room in the store: what of its cache was unused for longest makes way for what is new.

Whoever reads or fills a folder of pictures holds a shared lock on a file in it; what is held is left alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from filelock import FileLock

HELD = ".held"


def hold(folder: Path) -> IO[bytes]:
    """Keeps a folder, made if need be, from making way for as long as what is returned lives; it counts as used now."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # it made way a moment ago
            held = (folder / HELD).open("ab")
            fcntl.flock(held, fcntl.LOCK_SH)
            if os.fstat(held.fileno()).st_ino == (folder / HELD).stat().st_ino:
                os.utime(folder)
                return held
            held.close()


@contextmanager
def lock(path: Path, share: tuple[int, int] | None = None) -> Iterator[None]:
    """Holds a lock alone; or, with a share (which of how many), together with those who hold other shares of it."""
    if share is None:
        with FileLock(path):
            yield
        return
    with FileLock(f"{path}-{share[0]}-of-{share[1]}"), path.open("ab") as together:
        fcntl.flock(together, fcntl.LOCK_SH)  # what FileLock asks for alone
        yield


def parts(cache: Path) -> list[tuple[float, int, Path]]:
    """What can be made again, the longest unused first: when it was used last (s since 1970), bytes, where."""
    found = [p for p in (cache / "pictures").glob("*") if p.is_dir() and not p.is_symlink()]
    found += [p for p in (cache / "embeddings").glob("*.npy") if not p.name.endswith(".tmp.npy")]  # being written
    return sorted((_used(p), size_of(p), p) for p in found)


def make(cache: Path, budget: float) -> float:
    """Deletes what is unused for longest until the cache has at most `budget` bytes; by how many it is still over.

    What somebody holds stays: the result may be above 0.
    """
    over = size_of(cache) - budget
    for _, size, path in parts(cache) if over > 0 else []:
        if over <= 0:
            break
        if path.is_dir() and remove(path):
            over -= size
        elif path.is_file():
            path.unlink(missing_ok=True)
            over -= size
    return over


def remove(folder: Path) -> bool:
    """Deletes a folder that nobody holds; whether it could."""
    try:
        with (folder / HELD).open("ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # somebody holds it, or it is gone
        return not folder.exists()
    return not folder.exists()


def size_of(path: Path) -> int:
    """Bytes of a file or of all below a folder; links are not followed, and what vanishes meanwhile counts nothing."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return sum(map(size_of, path.iterdir()))
    except OSError:
        return 0


def _used(path: Path) -> float:
    """When it was used last; a folder is touched by who holds it."""
    try:
        stat = path.stat()
    except OSError:
        return 0.0
    return stat.st_mtime if path.is_dir() else max(stat.st_mtime, stat.st_atime)
