"""`ui`: MLflow's pages come up on the store, and go when they are told to."""

from __future__ import annotations

import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from genrelab import views
from tests.conftest import Said, Trained, program, runs_of


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_pages_are_served_until_interrupted(trained: Trained, how: signal.Signals) -> None:
    port = free_port()
    process = program("ui", "--port", port, f"store={trained.store}")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith(f"http://127.0.0.1:{port}")
        (run,) = runs_of(trained.store, "tags.kind = 'run'")
        link = views.link(f"http://127.0.0.1:{port}", run.info.experiment_id, views.key())
        assert process.stdout.readline() == f"  tones: {link}\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            assert answer.status == 200
            assert b"<html" in answer.read().lower()
        servers = psutil.Process(process.pid).children(recursive=True)
        assert servers
    finally:
        process.send_signal(how)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(servers, timeout=10)
    assert not alive
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_that_is_taken_is_said(call: Callable[..., Said], trained: Trained) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = call("ui", "--port", port, f"store={trained.store}")
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert line.startswith(f"genrelab: --port {port}")
    assert f"--port {port + 1}" in line


def test_no_store_is_said(call: Callable[..., Said], tmp_path: Path) -> None:
    said = call("ui", f"store={tmp_path / 'none'}")
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert str(tmp_path / "none") in line
    assert "store=DIR" in line
    assert not (tmp_path / "none").exists()
