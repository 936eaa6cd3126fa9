"""What is written of a run, a line each, in STORE/spool/RUN.jsonl, until everybody has it who should.

An entry is on the disk before anybody is told of it. Each of its readers (the store's own database, a server) has a
mark, how far it has come; to be told an entry twice does nothing (see `entries`), so that a mark may lag behind.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

FOLDER = "spool"  # of a store
Entry = dict[str, Any]  # `do`: what; the rest is what it takes


class Held(Exception):
    """Another process writes this run."""


@dataclass
class Spool:
    """The entries of one run."""

    store: Path
    run_id: str
    marks: dict[str, Any] = field(default_factory=dict)
    lock: FileLock | None = None
    guard: threading.Lock = field(default_factory=threading.Lock)  # of the marks: each reader has a thread

    @property
    def path(self) -> Path:
        return self.store / FOLDER / f"{self.run_id}.jsonl"

    @property
    def _marked(self) -> Path:
        return self.path.with_suffix(".json")

    def open(self) -> Spool:
        """Takes it for this process, and mends what a killed one left half written. Raises Held."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path.with_suffix(".lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise Held(self.run_id) from None
        self.lock = lock
        if self.path.exists():
            with self.path.open("rb+") as file:
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
        self.reload()
        return self

    def reload(self) -> None:
        """The marks as they are on the disk."""
        try:
            self.marks = json.loads(self._marked.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet: everybody is told everything once more
            self.marks = {}

    def append(self, entry: Entry) -> None:
        """On the disk when it returns. Raises OSError."""
        line = json.dumps(entry, separators=(",", ":"), default=str) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def fill(self, entries: Iterable[Entry], told: str) -> None:
        """All entries of a run that has ended, at once or not at all; the reader `told` knows them. Raises OSError."""
        partial = self.path.with_suffix(".jsonl.tmp")
        with partial.open("wb") as file:
            for entry in entries:
                file.write((json.dumps(entry, separators=(",", ":"), default=str) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        self._marked.unlink(missing_ok=True)
        self.marks = {}
        partial.replace(self.path)
        self.mark(told, self.path.stat().st_size)

    def after(self, offset: int) -> Iterator[tuple[Entry, int]]:
        """The entries behind a place in the file, each with the place where the next one begins."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):  # being written
                    return
                offset += len(line)
                yield json.loads(line), offset

    def mark(self, reader: str, offset: int, **facts: Any) -> None:
        """Notes how far a reader has come, and what else it has to remember."""
        with self.guard:
            self.marks[reader] = self.marks.get(reader, {}) | {"offset": offset} | facts
            partial = self._marked.with_suffix(".json.tmp")
            partial.write_text(json.dumps(self.marks), encoding="utf-8")
            partial.replace(self._marked)

    @property
    def server(self) -> str:
        """The address of the server that wants the entries; "" where there is none."""
        entry, _ = next(self.after(0), ({}, 0))
        return str(entry.get("uri", ""))

    def offset(self, reader: str) -> int:
        return int(self.marks.get(reader, {}).get("offset", 0))

    def waiting(self, reader: str) -> int:
        """How many entries a reader has not been told."""
        return sum(1 for _ in self.after(self.offset(reader)))

    def close(self, *, done: bool = False) -> None:
        """Gives it up; done: everybody has everything, and it is deleted."""
        if done:
            self._marked.unlink(missing_ok=True)  # first: what is told twice does no harm, what is passed over does
            self.path.unlink(missing_ok=True)
            self.path.with_suffix(".lock").unlink(missing_ok=True)
        if self.lock:
            self.lock.release()
            self.lock = None


def there(store: Path) -> list[Spool]:
    """The spools of a store, the oldest first; nobody's lock is taken."""
    try:
        found = sorted((store / FOLDER).glob("*.jsonl"), key=lambda p: (p.stat().st_ctime_ns, p.name))
    except OSError:
        return []
    made = [Spool(store, path.stem) for path in found]
    for spool in made:
        spool.reload()
    return made
