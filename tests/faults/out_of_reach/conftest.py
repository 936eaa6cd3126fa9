"""A server that may be put out of reach, and stores that runs are written into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from genrelab import delivery, server
from genrelab.track import connect
from tests.faults.out_of_reach.outages import another, leave
from tests.faults.servers import MlflowServer, Way


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    made = MlflowServer(tmp_path_factory.mktemp("server")).start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server is tried again at once; whoever is still at work when a test ends, leaves."""
    monkeypatch.setattr(server, "WAITS_S", (0.05, 0.2))
    monkeypatch.setattr(delivery, "DOUBT_S", 0.6)
    for name in (server.TIMEOUT, server.RETRIES):  # restored when the test ends
        monkeypatch.setenv(name, "1")
        monkeypatch.delenv(name)
    yield
    leave()


@pytest.fixture
def way(mlflow_server: MlflowServer) -> Iterator[Way]:
    made = Way(mlflow_server.uri)
    yield made
    made.close()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has a database and nothing in it: to make one takes MLflow seconds."""
    store = tmp_path_factory.mktemp("empty")
    connect(store)
    return store


@pytest.fixture
def store(empty: Path, tmp_path: Path) -> Path:
    return another(empty, tmp_path / "store")
