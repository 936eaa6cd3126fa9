"""A server that may be put out of reach, and stores that runs are written into."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genrelab import server
from tests.faults.out_of_reach import outages
from tests.faults.servers import MlflowServer, Way

empty, store = outages.empty, outages.store


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    made = MlflowServer(tmp_path_factory.mktemp("server")).start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server is tried again at once; whoever is still at work when a test ends, leaves."""
    monkeypatch.setattr(server, "WAITS_S", (0.05, 0.2))
    outages.unasked(monkeypatch, 0.6)
    yield
    outages.leave()


@pytest.fixture
def way(mlflow_server: MlflowServer) -> Iterator[Way]:
    made = Way(mlflow_server.uri)
    yield made
    made.close()
