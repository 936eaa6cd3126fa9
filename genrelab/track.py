"""Every run in MLflow's database of the store. Knows nothing of features."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from filelock import FileLock

from genrelab import entries, process, schema, views
from genrelab.entries import NOTE, NOTE_CHARS
from genrelab.journal import PATIENCE_S, Journal, held
from genrelab.spool import Entry
from genrelab.types import MEASURE, UserError

MODELS = ("run", "fold")  # the kinds of run that hold one trained model
WHOLE = ("run", "kfold")  # the kinds that are an experiment of their own
PROCESS = "process"  # the tag that says which process writes a run
SERVER_TAG = "server"  # the tag that says which server has a run too


@dataclass(frozen=True)
class Record:
    """A run as the store knows it."""

    id: str
    name: str
    experiment: str
    status: str  # RUNNING, FINISHED, FAILED, KILLED
    start_ms: int
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    folder: Path  # its artifacts

    @property
    def kind(self) -> str:
        return self.tags.get("kind", "")

    @property
    def chosen_by(self) -> float | None:
        """The figure that orders runs, of the validation songs."""
        return self.metrics.get(f"val/song/{self.tags.get('measure', MEASURE)}")

    @property
    def parent(self) -> str | None:
        return self.tags.get("mlflow.parentRunId")


@dataclass
class Run:
    """A run being written. Without a client nothing is tracked, but its folder is filled all the same."""

    id: str
    name: str
    folder: Path
    client: Any = None
    uri: str = ""
    experiment: str = ""
    experiment_id: str = ""
    last_step: int = -1  # the last epoch whose figures are there already, where the run is resumed
    there: dict[tuple[str, int], float] = field(default_factory=dict)  # figures of a step that a resumed run has
    tags: dict[str, str] = field(default_factory=dict)
    journal: Journal | None = None
    courier: Any = None  # who brings it to a server

    @cached_property
    def logger(self) -> Any:
        """Lightning's logger for this run, or False."""
        if self.journal is None:
            return False
        from genrelab.logbook import Logbook

        return Logbook(self.experiment, self.id, self.metrics)

    def _write(self, entry: Entry) -> None:
        if self.journal is not None:
            self.journal.write(entry)
        if self.courier is not None:
            self.courier.kick()

    def note(self, tags: Mapping[str, object]) -> None:
        self.tags |= {k: str(v) for k, v in tags.items()}
        self._write(entries.tags(tags))

    def describe(self, text: str) -> None:
        """The run's description."""
        self.note({NOTE: text[:NOTE_CHARS]})

    def link(self, artifact: str) -> str:
        """Where MLflow's pages show one of its artifacts; "" where it is not there."""
        there = self.client and (self.folder / artifact).is_file()
        return views.of_run(self.experiment_id, self.id, artifact) if there else ""

    def describe_data(self, text: str) -> None:
        """The description of its experiment, which is its data set's; one that a user wrote is kept."""
        self._write(entries.about_data(text))

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Figures of a step. Those that a run had before it was cut off stay, with what they cost; a sweep's change."""
        stay = {} if self.tags.get("kind") == "sweep" else self.there
        if new := {k: v for k, v in values.items() if (k, step) not in stay and self.there.get((k, step)) != v}:
            self._write(entries.metrics(new, step))

    def params(self, values: Mapping[str, object]) -> None:
        self._write(entries.params(values))

    def dataset(self, row: Mapping[str, str], n: int, name: str, digest: str) -> None:
        """The manifest of n such rows as the run's input."""
        if self.journal is not None:
            self._write(entries.data_set(row, n, name, digest))

    def write_last(self, entry: Entry) -> None:
        """Writes an entry of a run that this process has not begun."""
        assert self.journal
        self._write(entry)
        self.journal.close()
        self.journal.spool.close()

    def finish(self, status: str = "FINISHED", reason: str = "") -> None:
        if reason or self.tags.get("reason"):  # one of before, where it was cut off
            self.note({"reason": reason[:500]})
        self._write(entries.end(status))
        if self.journal is None:
            return
        if left := self.journal.close():
            print(f"{left} entries of run {self.id[:8]} wait: {held(self.journal.store)}", file=sys.stderr)
        if self.courier is not None:
            self.courier.ended(self.id)


class Off:
    """No tracking: a run's files lie in store/logs/untracked."""

    def begin(
        self, store: Path, experiment: str, name: str, tags: Mapping[str, object], resume: str | None = None
    ) -> Run:
        del resume
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        folder = store / "logs" / "untracked" / f"{experiment}-{name}-{stamp}-{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        return Run("", name, folder, tags={k: str(v) for k, v in tags.items()})


class Mlflow:
    """Runs in MLflow's sqlite store `mlflow.db`, artifacts beside it."""

    def __init__(self, uri: str | None = None) -> None:
        if uri:
            raise UserError(f"tracker.uri={uri}: a server is tracker=server tracker.uri={uri}")

    def begin(
        self, store: Path, experiment: str, name: str, tags: Mapping[str, object], resume: str | None = None
    ) -> Run:
        """A new run in the experiment, or the resumed one set to RUNNING again."""
        client, uri = connect(store)
        if resume:
            run = _run(store, client, uri, client.get_run(resume), experiment)
            assert run.journal
            run.journal.recover()
            run.journal.write({"do": "again"})
            run.note({PROCESS: process.here()})
            for key in client.get_run(resume).data.metrics:
                run.there |= {(key, m.step): m.value for m in client.get_metric_history(resume, key)}
            run.last_step = max((step for key, step in run.there if key == "val/loss"), default=-1)
            return run
        marks = {k: str(v) for k, v in tags.items()}
        at = _experiment(client, store, experiment, marks.get("measure", MEASURE))
        marks = {"data": experiment} | entries.columns(marks) | marks | {PROCESS: process.here()}
        entity = client.create_run(at, run_name=name, tags=marks)
        run = _run(store, client, uri, entity, experiment)
        run.folder.mkdir(parents=True, exist_ok=True)
        return run


def opened(store: Path, record: Record) -> Run:
    """A run of the store that is to be written to."""
    client, uri = connect(store)
    return _run(store, client, uri, client.get_run(record.id), record.experiment)


def _run(store: Path, client: Any, uri: str, entity: Any, experiment: str) -> Run:
    run_id, at, name = entity.info.run_id, entity.info.experiment_id, entity.info.run_name
    tags, folder = dict(entity.data.tags), _folder(entity)
    journal = Journal(store, client, run_id, at)
    if server := tags.get(SERVER_TAG):
        journal.begun = entries.begin(server, experiment, entity, folder)
    return Run(run_id, name, folder, client, uri, experiment, at, tags=tags, journal=journal)


def connect(store: Path) -> tuple[Any, str]:
    """MLflow's client for a store, its schema made if there is none yet. Raises UserError where another process holds
    the database."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow import MlflowClient

    for noisy in ("alembic", "mlflow"):  # after the import, which sets levels of its own
        logging.getLogger(noisy).setLevel(logging.WARNING)

    (store / "artifacts").mkdir(parents=True, exist_ok=True)
    uri = database(store)
    with FileLock(store / "mlflow.lock"):  # a cold database migrates badly under several processes
        if has_store(store) and not entries.is_free(store / "mlflow.db", PATIENCE_S):
            raise UserError(held(store))
        if not has_store(store):
            schema.make(store)
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client, uri


def database(store: Path) -> str:
    """MLflow's address of a store."""
    return schema.address(store / "mlflow.db")


def has_store(store: Path) -> bool:
    return (store / "mlflow.db").is_file()


def _experiment(client: Any, store: Path, name: str, measure: str) -> str:
    """The id of an experiment, made where there is none; the run list has our columns in its view of this measure."""
    key, view = views.tag(measure)
    with FileLock(store / "mlflow.lock"):
        found = client.get_experiment_by_name(name)
        if found is None:
            folder = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "data"
            return client.create_experiment(name, (store / "artifacts" / folder).as_uri(), {key: view})
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if key not in found.tags:  # it may be the user's by now
            client.set_experiment_tag(found.experiment_id, key, view)
        return found.experiment_id


def _folder(entity: Any) -> Path:
    parsed = urlparse(entity.info.artifact_uri)
    return Path(unquote(parsed.path) if parsed.scheme == "file" else entity.info.artifact_uri)


def records(store: Path, where: str = "") -> list[Record]:
    """The store's runs, the newest first; `where` is MLflow's filter."""
    if not has_store(store):
        return []
    client, _ = connect(store)
    experiments = {e.experiment_id: e.name for e in client.search_experiments()}
    found, token = [], None
    while True:
        page = client.search_runs(
            list(experiments), where, max_results=1000, order_by=["attributes.start_time DESC"], page_token=token
        )
        found += [
            Record(
                r.info.run_id,
                r.info.run_name,
                experiments[r.info.experiment_id],
                r.info.status,
                r.info.start_time,
                dict(r.data.tags),
                dict(r.data.metrics),
                _folder(r),
            )
            for r in page
        ]
        token = page.token
        if not token:
            return found


def find(store: Path, word: str, data: str | None = None, passed_over: Mapping[str, str] | None = None) -> Record:
    """The run that a user means: an id (or its beginning), a name, `last` or `best`; `data` narrows it to one data set.

    `last` and `best` are of the runs without the tags `passed_over`.

    Raises UserError where there is none, or where the word fits several runs.
    """
    runs = [r for r in records(store) if data is None or r.experiment == data]
    if not runs:
        raise UserError(
            f"no run in the store {store}: train one first (python -m genrelab), or give the store with store=DIR"
        )
    no = (passed_over or {}).items()
    whole = [
        r for r in runs if r.kind in WHOLE and r.status == "FINISHED" and not any(r.tags.get(k) == v for k, v in no)
    ]
    if word == "last":
        if not whole:
            raise UserError(f"no finished run in the store {store}: train one first (python -m genrelab)")
        return whole[0]
    if word == "best":
        scored = [(r.chosen_by, r) for r in whole if r.chosen_by is not None]
        digests = {r.tags.get("data_digest", ""): r.experiment for _, r in scored}
        if len(digests) > 1:
            names = ", ".join(sorted(set(digests.values())))
            raise UserError(
                f"best: the store has runs on {len(digests)} different data sets ({names}); name a run by its id"
            )
        if not scored:
            raise UserError(f"best: no finished run in the store {store}")
        measures = sorted({r.tags.get("measure", MEASURE) for _, r in scored})
        if len(measures) > 1:
            raise UserError(f"best: the store has runs ordered by {' and by '.join(measures)}; name a run by its id")
        return max(scored, key=lambda s: s[0])[1]
    exact = [r for r in runs if r.id == word] or [r for r in runs if len(word) >= 4 and r.id.startswith(word)]
    exact = exact or [r for r in runs if r.name == word and r.status == "FINISHED"]
    if not exact:
        recent = ", ".join(f"{r.name} ({r.id[:8]})" for r in (whole or runs)[:3])
        raise UserError(f"no run '{word}' in the store {store}; the newest are {recent}")
    if len({r.id for r in exact}) > 1 and exact[0].name != word:
        raise UserError(f"'{word}' is the beginning of {len(exact)} run ids; give more of it")
    return exact[0]  # of several runs with one name, the newest


def children(store: Path, parent: str) -> list[Record]:
    """The runs below a sweep or a k-fold run, the oldest first."""
    return records(store, f"tags.`mlflow.parentRunId` = '{parent}'")[::-1]


def models(store: Path, record: Record) -> list[Record]:
    """The runs that hold the models of a run: itself, or of a k-fold run its finished folds.

    Raises UserError where there is none.
    """
    if record.kind == "kfold":
        folds = [c for c in children(store, record.id) if c.status == "FINISHED" and c.kind in MODELS]
        if not folds:
            raise UserError(f"{record.name} has no finished fold")
        return folds
    if record.kind not in MODELS or record.status != "FINISHED":
        raise UserError(
            f"{record.name} ({record.id[:8]}, {record.kind}) is {record.status} and holds no finished model; name "
            "another run"
        )
    return [record]


def write_json(path: Path, value: object) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".tmp")
    try:
        partial.write_text(json.dumps(value, indent=1, default=str))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def running(store: Path) -> list[Record]:
    """The runs that nobody has ended yet."""
    return records(store, "attributes.status = 'RUNNING'")


def end(store: Path, record: Record, status: str, reason: str, end_ms: int) -> None:
    """Ends a run whose process cannot: its time is over at `end_ms`."""
    run = opened(store, record)
    run.note({"reason": reason[:500]})
    run.write_last(entries.end(status, end_ms))


def note(store: Path, record: Record, tags: Mapping[str, object]) -> None:
    """Adds tags to a run that may have ended."""
    opened(store, record).write_last(entries.tags(tags))


def ids(store: Path) -> set[str]:
    """Every run that the database knows, those deleted in MLflow's pages too."""
    from mlflow.entities import ViewType

    client, _ = connect(store)
    experiments = [e.experiment_id for e in client.search_experiments(ViewType.ALL)]
    found: set[str] = set()
    token = None
    while experiments:
        page = client.search_runs(experiments, "", ViewType.ALL, max_results=10000, page_token=token)
        found |= {r.info.run_id for r in page}
        token = page.token
        if not token:
            break
    return found


def idle(record: Record) -> None:
    """Raises UserError for a run that another process of this machine is writing now."""
    tag = record.tags.get(PROCESS, "")
    if record.status == "RUNNING" and tag != process.here() and process.state(tag) == "alive":
        raise UserError(
            f"{record.name} ({record.id[:8]}) goes on in process {process.pid(tag)}: wait for its end, or end that one"
        )
