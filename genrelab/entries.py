"""What is written of a run as plain values, and how MLflow is told. To tell it the same entry twice does nothing.

Figures carry the time at which they were written, and MLflow's database keeps one of a key, step, time and value.
"""

from __future__ import annotations

import getpass
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from genrelab.spool import Entry
from genrelab.types import digest

NOTE = "mlflow.note.content"  # the tag of a description, markdown
NOTE_CHARS = 5000  # of an experiment's tag, in every store of MLflow's
PARAM_CHARS = 500  # longer values are cut in MLflow; config.yaml has them whole
BATCH = 100  # of parameters, MLflow's own limit
FIGURES = 500  # of one request
PARENT = "mlflow.parentRunId"
DATA_SET = ("name", "digest", "source_type", "source", "schema")
LOCKED_S = 2.0  # how long a database may be held by somebody else before an entry waits


def begin(uri: str, experiment: str, run: Any, folder: Path) -> Entry:
    """The first entry of a run that a server has too. experiment: its name; run: MLflow's; folder: of its artifacts."""
    said = {"uri": uri, "experiment": experiment, "name": run.info.run_name, "tags": dict(run.data.tags)}
    own = {"start_ms": run.info.start_time, "local_experiment": run.info.experiment_id, "folder": str(folder)}
    return {"do": "begin", **said, **own}


def metrics(values: Mapping[str, float], step: int) -> Entry:
    return {"do": "metrics", "values": [[k, float(v), now_ms(), step] for k, v in values.items()]}


def tags(values: Mapping[str, object]) -> Entry:
    return {"do": "tags", "values": {k: str(v) for k, v in values.items()}}


def params(values: Mapping[str, object]) -> Entry:
    return {"do": "params", "values": {k: str(v)[:PARAM_CHARS] for k, v in values.items()}}


def about_data(text: str) -> Entry:
    return {"do": "about_data", "text": text[:NOTE_CHARS]}


def data_set(row: Mapping[str, str], n: int, name: str, named: str) -> Entry:
    """A manifest of n rows as a run's input, known by one of them: all cells are texts. named: its digest."""
    import pandas as pd
    from mlflow.data.pandas_dataset import from_pandas

    made = from_pandas(pd.DataFrame([row]), name=name, digest=named)._to_mlflow_entity()
    values = {k: getattr(made, k) for k in DATA_SET}
    return {"do": "data_set", "values": values | {"profile": json.dumps({"num_rows": n, "num_elements": n * len(row)})}}


def whole(client: Any, run: Any, experiment: Any) -> Iterator[Entry]:
    """What follows `begin` of a run that has ended, read from its database: what a server is told while a run goes on.

    run, experiment: MLflow's.
    """
    yield tags({k: v for k, v in run.data.tags.items() if k != PARENT})  # which has another id elsewhere: see `begin`
    yield params(run.data.params)
    for one in run.inputs.dataset_inputs:
        yield {"do": "data_set", "values": {k: getattr(one.dataset, k) for k in (*DATA_SET, "profile")}}
    if text := experiment.tags.get(NOTE):
        yield about_data(text)
    for key in run.data.metrics:
        written = [[m.key, m.value, m.timestamp, m.step] for m in client.get_metric_history(run.info.run_id, key)]
        for i in range(0, len(written), FIGURES):
            yield {"do": "metrics", "values": written[i : i + FIGURES]}
    yield end(run.info.status, run.info.end_time)


def end(status: str, end_ms: int | None = None) -> Entry:
    return {"do": "end", "status": status, "end_ms": end_ms or now_ms()}


def columns(tags: Mapping[str, str]) -> dict[str, str]:
    """What MLflow's own columns Source, Version and User show."""
    marks = {"mlflow.source.name": "genrelab", "mlflow.source.type": "LOCAL"}
    if commit := tags.get("git_commit", "").rstrip("+"):
        marks["mlflow.source.git.commit"] = commit
    try:
        return marks | {"mlflow.user": getpass.getuser()}
    except (OSError, KeyError):  # a container's user without a name
        return marks


def now_ms() -> int:
    return int(time.time() * 1000)


def tell(client: Any, run_id: str, experiment_id: str, entry: Entry) -> None:
    """Tells MLflow. Raises what its client raises."""
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    values: Any = entry.get("values")
    match entry["do"]:
        case "metrics":
            client.log_batch(run_id, metrics=[Metric(*v) for v in values])
        case "tags":
            client.log_batch(run_id, tags=[RunTag(k, v) for k, v in values.items()])
        case "params":
            flat = [Param(k, v) for k, v in values.items()]
            for i in range(0, len(flat), BATCH):
                client.log_batch(run_id, params=flat[i : i + BATCH])
        case "data_set":
            given = DatasetInput(Dataset(**values), [InputTag("mlflow.data.context", "training")])
            client.log_inputs(run_id, datasets=[given])
        case "about_data":
            _describe_data(client, experiment_id, entry["text"])
        case "again":
            client.update_run(run_id, status="RUNNING")
        case "end":
            client.set_terminated(run_id, entry["status"], entry["end_ms"])


def _describe_data(client: Any, experiment_id: str, text: str) -> None:
    """The description of an experiment, which is its data set's; one that a user wrote is kept."""
    there = client.get_experiment(experiment_id).tags
    if there.get(NOTE) and there.get("note_digest") != digest(there[NOTE]):
        return
    if there.get(NOTE) != text:
        client.set_experiment_tag(experiment_id, NOTE, text)
        client.set_experiment_tag(experiment_id, "note_digest", digest(text))


def is_free(database: Path, patience_s: float | None = None) -> bool:
    """Whether a database can be written to now. MLflow would wait 20 s for it, and print a traceback."""
    try:
        wait_s = LOCKED_S if patience_s is None else patience_s
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=wait_s)) as db:
            db.isolation_level = None
            db.execute("begin immediate")
            db.execute("rollback")
    except sqlite3.OperationalError as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        return code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return True
