"""A store's runs that have ended, copied to a server: each is told as a run that goes on is told, and so arrives once.

What is told of a run waits in its spool until the server has all of it. A copy that was cut off is therefore ended by
the next one, by `doctor --fix` or by any run there with tracker=server.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrelab import delivery, entries, process, server, track
from genrelab.health.runs import GONE
from genrelab.journal import SERVER, STORE
from genrelab.spool import Held, Spool
from genrelab.track import PROCESS, Record

WAITS_S = (1.0, 5.0)  # before the server is tried once more, where a copy was cut off


@dataclass
class Copies:
    """What became of the runs that were to be copied."""

    copied: list[Record] = field(default_factory=list)
    there: list[Record] = field(default_factory=list)
    passed: dict[str, tuple[Record, str]] = field(default_factory=dict)  # run id -> the run, and why
    refused: list[tuple[Record, int, str]] = field(default_factory=list)  # copied, less so many entries, and why


def family(runs: Iterable[Record], named: Iterable[Record]) -> list[Record]:
    """The named runs with all that lies below them and above them, parents before children, the oldest first."""
    known = {r.id: r for r in runs}
    wanted: set[str] = set()
    above = {r.id: _line(r, known) for r in known.values()}
    ids = {r.id for r in named}
    for r in known.values():
        if r.id in ids or ids & set(above[r.id]):
            wanted |= {r.id, *above[r.id]}
    return sorted((known[i] for i in wanted), key=lambda r: (len(above[r.id]), r.start_ms))


def _line(record: Record, known: dict[str, Record]) -> list[str]:
    """The ids of a run's parent, of that one's parent, and so on."""
    line: list[str] = []
    parent = record.parent
    while parent in known and parent not in line:
        assert parent
        line.append(parent)
        parent = known[parent].parent
    return line


class Passed(Exception):
    """A run that is not copied now; why."""


def copy(store: Path, client: Any, uri: str, record: Record, done: Copies) -> None:
    """Copies one run, whose parent had its turn before; notes in `done` what became of it.

    client: MLflow's of the server at `uri`. Where that hangs up it is tried again, as long as something more arrives.
    Raises ConnectionError where it cannot be had: once more goes on from there.
    """
    tries, before = 0, (-1, 0)
    while True:
        try:
            return _copy(store, client, uri, record, done)
        except ConnectionError:
            far = _far(Spool(store, record.id))
            tries, before = (tries + 1 if far == before else 1), far
            if tries > len(WAITS_S):
                raise
            time.sleep(WAITS_S[tries - 1])


def _far(own: Spool) -> tuple[int, int]:
    """How far a copy has come: the place in its spool, the files that are there."""
    own.reload()
    return own.offset(SERVER), len(own.marks.get(SERVER, {}).get("files", ()))


def _copy(store: Path, client: Any, uri: str, record: Record, done: Copies) -> None:
    own = Spool(store, record.id)
    try:
        _may(record, done)
        own.open()
        if not _filled(own, client, uri, record):
            done.there.append(record)
            return
        server.told(own)
    except Passed as why:
        done.passed[record.id] = (record, str(why))
    except Held:
        done.passed[record.id] = (record, "another process delivers it")
    else:
        done.copied.append(record)
        if refused := own.marks.get(SERVER, {}).get("refused"):
            done.refused.append((record, refused["n"], refused["why"]))
    finally:
        if own.lock:
            own.close(done=not own.path.exists())


def _may(record: Record, done: Copies) -> None:
    """Raises Passed for a run that cannot be copied now, whatever the server says."""
    if record.parent in done.passed:
        raise Passed(f"{done.passed[record.parent][0].name}, to which it belongs, is passed over")
    if record.status == "RUNNING":
        lost = process.state(record.tags.get(PROCESS, "")) == "dead"
        raise Passed("its process has ended and left it open: doctor --fix" if lost else "it is in training")
    if not record.folder.is_dir() and record.tags.get(GONE) != "gone":
        raise Passed("its artifacts are not where they were: doctor --fix")


def _filled(own: Spool, client: Any, uri: str, record: Record) -> bool:
    """Whether a run's spool holds what there is to tell the server; False where that has it. Raises Passed."""
    if own.path.exists():  # a copy that was cut off, or what tracker=server or the database could not be told
        if own.server != uri:
            raise Passed(f"it waits for {own.server or 'the database'}: doctor --fix")
        return True
    here, _ = track.connect(own.store)
    run = here.get_run(record.id)
    try:
        state = delivery.arrived(client, record.experiment, record.id, run.info.end_time)
    except delivery.Unreachable as error:
        raise ConnectionError(f"{uri} cannot be had ({error})") from error
    if state == "deleted":
        raise Passed("it was deleted there: MLflow's pages restore it")
    if state == "there":
        return False
    experiment = here.get_experiment(run.info.experiment_id)
    own.fill([entries.begin(uri, record.experiment, run, record.folder), *entries.whole(here, run, experiment)], STORE)
    return True
