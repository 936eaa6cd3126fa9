"""Runs that nobody ended, and what MLflow's database and the artifacts' folder do not have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from genrelab import process, room, track
from genrelab.health import base
from genrelab.health.base import Busy, Finding

RUN_ID = re.compile(r"[0-9a-f]{32}")
LONG = 40  # characters of a name that are shown
SILENT_S = 24 * 3600.0  # a run of another machine that wrote nothing for so long is taken for dead
NEEDED = ("config.yaml", "predictions.parquet")  # what a finished run is nothing without
PARTIAL = ("*.tmp", "*.tmp.npz", "checkpoints/*.tmp", ".model-*")  # in a run's folder, what is being written
ENDED = "its process was killed; ended by doctor"
GONE = "artifacts"  # the tag, with the value `gone`, of a run whose artifacts are known to be lost


@dataclass(frozen=True)
class Open:
    """A run that is RUNNING."""

    record: track.Record
    state: str  # of its process: alive, dead, elsewhere, unknown
    silent_s: float  # since it last wrote something

    @property
    def lost(self) -> bool:
        """Whether its process is dead, for all that can be known from here."""
        return self.state == "dead" or (self.state != "alive" and self.silent_s > SILENT_S)


def open_runs(store: Path) -> list[Open]:
    """The runs that are RUNNING, the newest first."""
    found = []
    for record in track.running(store):
        last = max(record.start_ms / 1000, _written(record.folder))
        found.append(Open(record, process.state(record.tags.get(track.PROCESS, "")), time.time() - last))
    return found


def examine(store: Path, there: Sequence[Open], elsewhere: bool) -> Iterator[Finding]:
    """elsewhere: the user knows that the runs of other machines, and those of which no process is known, are dead."""
    for one in there:
        record, where = one.record, _where(store, one.record.folder)
        name = record.name if len(record.name) <= LONG else f"{record.name[:LONG]}…"
        named = f"{name} ({record.id[:8]})" if record.kind == "sweep" else f"{record.kind} {name} ({record.id[:8]})"
        ago, tag = duration(one.silent_s), record.tags.get(track.PROCESS, "")
        if one.state == "alive":
            yield Finding(f"{named} goes on in process {process.pid(tag)}", where, f"wrote {ago} ago", wrong=False)
            continue
        whose = {
            "dead": "but its process is dead",
            "elsewhere": f"on another machine ({process.host(tag)})",
            "unknown": "by a process that an older genrelab did not record",
        }[one.state]

        def mend(one: Open = one) -> str:
            now = next((o for o in open_runs(store) if o.record.id == one.record.id), None)
            if now is None:
                raise Busy("it has ended by now")
            if now.state == "alive":
                raise Busy("it goes on by now")
            track.end(store, now.record, "KILLED", ENDED, int(1000 * (time.time() - now.silent_s)))
            return f"KILLED; {_onward(now.record)}"

        if one.lost or elsewhere:
            remedy = f"ends it as KILLED; {_onward(record)}"
            yield Finding(f"{named} is RUNNING, {whose}", where, f"wrote {ago} ago", remedy, mend)
        else:
            remedy = "nothing; if you know that it is dead: --fix --elsewhere"
            yield Finding(f"{named} is RUNNING, {whose}", where, f"wrote {ago} ago", remedy, wrong=False)


def artifacts(store: Path) -> Iterator[Finding]:
    """Folders without a run, runs without a folder, and runs whose folder lies in another store or in an old place."""
    here = {f.name: f for e in base.folders(store / "artifacts") for f in base.folders(e) if RUN_ID.fullmatch(f.name)}
    known = track.ids(store)  # asked after the folders were listed: a run is in the database before its folder is made
    for name, folder in here.items():
        if name not in known:
            yield Finding(
                "artifacts that no run asks for",
                _where(store, folder),
                base.amount(room.size_of(folder)),
                f"moves them to {base.LOST}/",
                partial(base.moved, store, folder),
            )
    records = track.records(store)
    strayed = [r for r in records if r.id in here and not _below(r.folder, store)]
    if strayed:
        was = strayed[0].folder
        yield Finding(
            "the store was moved or copied: its runs' artifacts are sought in another place",
            str(was.parents[2] if len(was.parents) > 2 else was),
            base.count(len(strayed), "run"),
            "has them sought in this store",
            lambda: _brought_home(store, {r.id: here[r.id] for r in strayed}),
        )
    home = {r.id for r in strayed}
    for r in records:
        if r.status != "FINISHED" or r.kind not in (*track.MODELS, "kfold") or r.id in home:
            continue
        lacking = [n for n in NEEDED if not (r.folder / n).is_file()]
        if lacking and r.tags.get(GONE) != "gone":
            yield Finding(
                f"{r.kind} {r.name} ({r.id[:8]}) is finished, but lacks {' and '.join(lacking)}",
                _where(store, r.folder),
                "1 run",
                f"notes it (tag {GONE}: gone); its figures stay",
                partial(_noted, store, r),
            )


def partials(store: Path, there: Sequence[Open]) -> Iterator[Finding]:
    """What killed processes were writing into runs' folders."""
    what = "half-written by a process that is gone"
    busy = {o.record.id for o in there if not o.lost}
    for experiment in base.folders(store / "artifacts"):
        for folder in base.folders(experiment):
            if not RUN_ID.fullmatch(folder.name) or folder.name in busy:
                continue
            for path in sorted(p for s in PARTIAL for p in folder.glob(f"artifacts/{s}")):
                size = base.amount(room.size_of(path))
                yield Finding(what, _where(store, path), size, "deletes it", partial(_deleted, path))


def database(store: Path) -> Finding | None:
    """What is wrong with mlflow.db itself."""
    path = store / "mlflow.db"
    if not path.is_file():
        n = sum(1 for e in base.folders(store / "artifacts") for f in base.folders(e) if RUN_ID.fullmatch(f.name))
        if not n:
            return None
        remedy = "nothing: bring it back from a copy; the runs' figures are in their artifacts"
        return Finding("the database is gone, its runs' artifacts are there", path.name, base.count(n, "run"), remedy)
    fault, for_good = base.sqlite_fault(path)
    if not fault:
        return None
    remedy = "nothing: bring it back from a copy, or try sqlite3 mlflow.db .recover"
    if not for_good:
        remedy = "nothing: look to its permissions and the disk"
    return Finding(f"the database cannot be read ({fault})", path.name, base.amount(room.size_of(path)), remedy)


def duration(seconds: float) -> str:
    """93784 -> "26 h"."""
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, seconds) / unit:.0f} {word}"
    return f"{seconds / 86400:.0f} days"


def _onward(record: track.Record) -> str:
    """How to go on with a run that was cut off."""
    if record.kind in ("run", "kfold", "sweep"):
        parent = record.parent
        return f"resume={record.id[:8]} finishes it" if not parent else f"resume={parent[:8]} finishes its sweep"
    if record.kind == "fold":
        return f"resume={(record.parent or '')[:8]} finishes its k-fold run"
    return "do it again"


def _written(folder: Path) -> float:
    """When something in a run's folder was written last, seconds since 1970; 0 where there is none."""
    try:
        return max((p.stat().st_mtime for p in (folder, *folder.rglob("*"))), default=0.0)
    except OSError:
        return 0.0


def _where(store: Path, path: Path) -> str:
    return path.relative_to(store).as_posix() if path.is_relative_to(store) else str(path)


def _below(folder: Path, store: Path) -> bool:
    return folder.resolve().is_relative_to(store)


def _deleted(path: Path) -> str:
    base.remove(path)
    return "deleted"


def _noted(store: Path, record: track.Record) -> str:
    track.note(store, record, {GONE: "gone"})
    return "noted on the run"


def _brought_home(store: Path, places: dict[str, Path]) -> str:
    """Writes the artifacts' new places into the database; MLflow has no call for that."""
    with base.held(store / "mlflow.lock", 30), base.opened(store / "mlflow.db") as db, db:
        for run_id, folder in places.items():
            uri = (folder / "artifacts").as_uri()
            db.execute("update runs set artifact_uri = ? where run_uuid = ?", (uri, run_id))
            # what begins from now on in the run's experiment belongs here, too
            db.execute(
                "update experiments set artifact_location = ? where experiment_id ="
                " (select experiment_id from runs where run_uuid = ?)",
                (folder.parent.as_uri(), run_id),
            )
    return f"{base.count(len(places), 'run')} found again"
