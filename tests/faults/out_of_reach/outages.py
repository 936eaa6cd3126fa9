"""Runs that are written through an outage, and what must be there in the end."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genrelab import delivery, server, spool
from genrelab.track import Run, connect
from tests.conftest import client, runs_of
from tests.faults.servers import MlflowServer

Count = Callable[..., None]
EPOCHS = 4
PASSWORD = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has a database and nothing in it: to make one takes MLflow seconds."""
    store = tmp_path_factory.mktemp("empty")
    connect(store)
    return store


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> Path:
    return another(empty, tmp_path / "store")


def unasked(monkeypatch: pytest.MonkeyPatch, doubt_s: float) -> None:
    """What a process asks of MLflow's client is as it was when the test ends; a doubt lasts so long."""
    monkeypatch.setattr(delivery, "DOUBT_S", doubt_s)
    for name in (server.TIMEOUT, server.RETRIES):
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)


def another(empty: Path, store: Path) -> Path:
    (store / "artifacts").mkdir(parents=True)
    shutil.copy(empty / "mlflow.db", store)
    return store


def leave() -> None:
    """What the end of a process does."""
    for courier in list(server.COURIERS.values()):
        courier.leave()
        courier.thread.join(10)


def arrive(store: Path) -> None:
    """Waits until a courier that never gives up has delivered all, then ends its process."""
    until = time.monotonic() + 120
    while list((store / spool.FOLDER).glob("*.jsonl")) and time.monotonic() < until:
        for courier in list(server.COURIERS.values()):
            courier.kick()
        time.sleep(0.05)
    leave()


def tracked(uri: str) -> server.Server:
    return server.Server(uri, timeout_s=5, wait_s=60)


def write(run: Run, between: Callable[[], None] = lambda: None) -> None:
    """A run as trainings write it, without the training."""
    run.params({f"part.{i}": i for i in range(120)})
    run.dataset({"path": "a.wav", "genre": "rock"}, 1, "data", "abc")
    run.describe_data("What the songs are.")
    for epoch in range(EPOCHS):
        run.metrics({"val/loss": 1 / (epoch + 1), "train/loss": 0.3, "val/none": math.nan}, epoch)
        run.note({"precision": f"as of {epoch}"})
        between()
    (run.folder / "checkpoints").mkdir(exist_ok=True)
    (run.folder / "checkpoints" / "best.ckpt").write_bytes(os.urandom(1000))
    (run.folder / "predictions.parquet").write_bytes(os.urandom(1000))
    run.describe(f"[card](#/experiments/{run.experiment_id}/runs/{run.id}/artifacts/card.html)")
    run.finish()


def history(there: Any, run_id: str) -> list[tuple[str, int, int, str]]:
    """Every figure that was ever written of a run."""
    found = []
    for key in there.get_run(run_id).data.metrics:
        found += [(m.key, m.step, m.timestamp, str(m.value)) for m in there.get_metric_history(run_id, key)]
    return sorted(found)


def inputs(run: Any) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The songs of a run, in an order that no database promises."""
    found = run.inputs.dataset_inputs
    return sorted((d.dataset.name, d.dataset.digest, [(t.key, t.value) for t in d.tags]) for d in found)


def compare(store: Path, there: MlflowServer, count: Count, status: str = "FINISHED") -> list[Any]:
    """Holds every run of a store against the server's; the server's runs."""
    from mlflow import MlflowClient

    ours, theirs, found = client(store), MlflowClient(there.uri), []
    experiments = [e.experiment_id for e in theirs.search_experiments()]
    for run in runs_of(store):
        same = theirs.search_runs(experiments, f"tags.`{delivery.OWN_ID}` = '{run.info.run_id}'")
        assert len(same) == 1, f"{len(same)} runs on the server"
        (other,) = same
        here, arrived = history(ours, run.info.run_id), history(theirs, other.info.run_id)
        count("metrics that had to arrive", len(here))
        count("metrics lost", len(set(here) - set(arrived)))
        count("metrics twice", len(arrived) - len(set(arrived)) + len(set(arrived) - set(here)))
        assert arrived == here
        assert len(here) == len({(key, step) for key, step, *_ in here})
        assert other.data.params == run.data.params
        assert other.info.status == run.info.status == status
        assert other.info.run_name == run.info.run_name
        own = {"process", "server", "mlflow.note.content", "mlflow.parentRunId", delivery.OWN_ID}
        assert {k: v for k, v in other.data.tags.items() if k not in own} == {
            k: v for k, v in run.data.tags.items() if k not in own
        }
        assert inputs(other) == inputs(run)
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        sent = there.folder / "artifacts" / other.info.experiment_id / other.info.run_id / "artifacts"
        assert contents(sent) == contents(folder)
        found.append(other)
    assert not list((store / spool.FOLDER).glob("*.json*"))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
