"""The runs of a sweep in processes of their own, on this machine or on others: what they are given, what is said of
them while they go on, and what becomes of one that ended without a word.

The launchers that start them are in hydra_plugins/genrelab_launchers, where Hydra looks for such.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genrelab import environment, sweep, words
from genrelab.report.console import BAR, say
from genrelab.types import UserError

LOG = "log.txt"  # what a job has said, in its folder
POLL_S = 0.2
GRACE_S = 20.0  # from an interrupt to a job's end
GONE = "its process ended without a word, as where memory runs out"


class Checked:
    """A launcher that raises UserError where a sweep cannot begin under it."""

    def setup(self, *, config: Any, **more: Any) -> None:
        if why := sweep.hindered(config):
            raise UserError(why)
        super().setup(config=config, **more)  # type: ignore[misc]


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """All that this process prints goes into a file, what libraries in C and processes below it print too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    streams = (sys.stdout, sys.stderr)
    _flush(streams)
    kept = [(stream.fileno(), os.dup(stream.fileno())) for stream in streams]
    with path.open("ab") as file:
        for number, _ in kept:
            os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        BAR.clear()
        _flush(streams)
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


def _flush(streams: Sequence[Any]) -> None:
    for stream in streams:
        stream.flush()


class Batch:
    """The runs that a launcher is given together."""

    def __init__(self, config: Any, typed: Sequence[Sequence[str]], first: int) -> None:
        """typed: the overrides of each; first: the number of the first of them in its sweep."""
        self.config, self.first = config, first
        self.typed = [list(t) for t in typed]
        self.folder = Path(config.hydra.sweep.dir).resolve()
        self.told: set[int] = set()
        self.guard = threading.Lock()

    def __len__(self) -> int:
        return len(self.typed)

    def give(self, threads: int) -> None:
        """How many threads each has; what the user's environment says of it stands."""
        name = "OMP_NUM_THREADS"
        sweep.hand_down(self.config, {name: os.environ.get(name) or str(threads)})

    def share(self, n: int) -> None:
        """The cores of this machine, among `n` of them at once."""
        self.give(max(1, environment.cores() // n))

    def row(self, i: int) -> dict[str, Any] | None:
        """What the run has left; None where it is not done. i: its place in the batch."""
        try:
            found: dict[str, Any] = json.loads(self._result(i).read_text())
        except FileNotFoundError:
            return None
        return found

    def writer(self, i: int) -> int | None:
        """The process of this machine that does the run now."""
        from genrelab import process

        mark = self._result(i).with_name(sweep.MARK)
        tag = mark.read_text(encoding="utf-8") if mark.exists() else ""
        return int(process.pid(tag)) if process.state(tag) == "alive" else None

    def _result(self, i: int) -> Path:
        return self.folder / str(self.first + i) / "result.json"

    def left(self) -> list[int]:
        """Those that are not done."""
        return [i for i in range(len(self)) if not self._result(i).exists()]

    def returned(self, i: int) -> Any:
        """A run as Hydra's sweepers want it, by what it has left."""
        from hydra.core.utils import JobReturn, JobStatus

        row = self.row(i)
        assert row
        made = JobReturn(overrides=self.typed[i], status=JobStatus.COMPLETED)
        made.return_value = row["figures"].get(f"val/song/{row['measure']}")
        return made

    def lost(self, i: int, reason: str) -> Any:
        """A run that ended without a word has failed: in the store, in the table, for the sweeper."""
        from genrelab import track

        if self.row(i) is None:
            own, store, run = words.of_run(self.typed[i]), sweep.BEGUN["store"], sweep.BEGUN["parent"]
            mine = sweep.open_below(store, run.id, sweep.PATIENCE_S, own) if run.client else []
            sweep.close(store, mine, "FAILED", reason)
            name, run_id, folder = (mine[0].name, mine[0].id, mine[0].folder) if mine else (f"#{i + 1}", "", "")
            row = sweep.row(name, run_id, folder, {}, own) | {"status": "FAILED", "reason": reason, "code": 1}
            track.write_json(self._result(i), row | {"store": str(store)})
        return self.returned(i)

    @contextmanager
    def watched(self, n: int, where: str = "here") -> Iterator[None]:
        """Says of each run what it has reached, as soon as it is done. n: so many at once."""
        if self.first == 0:  # a search has many batches
            runs = f"{len(self)} run" + ("s" if len(self) > 1 else "")
            say(f"{runs}, {min(n, len(self))} at once {where}; what each says: {self.folder}/NUMBER/{LOG}")
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            BAR.clear()
        self._tell()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(POLL_S):
            self._tell()

    def _tell(self) -> None:
        from genrelab.report.table import NAMES

        with self.guard:
            for i in set(range(len(self))) - self.told:
                if (row := self.row(i)) is None:
                    continue
                self.told.add(i)
                run = f"{row['name']} ({row['run_id'][:8]})" if row["run_id"] else row["name"]
                if "told" in row:  # of `prepare`, which has no figures
                    say(row["told"])
                elif row["status"] == "FINISHED":
                    reached = 100 * row["figures"][f"test/song/{row['measure']}"]
                    say(f"{run}: {NAMES[row['measure']]} per song {reached:.1f} %")
                else:
                    say(f"{run} failed: {row['reason']}")
            BAR("runs", len(self.told), len(self))
