"""`ui`: MLflow's pages on the store, started lean."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Annotated, Any

import typer

from genrelab import paths, track, views
from genrelab.report.console import say
from genrelab.types import UserError

HOST = "127.0.0.1"
PATIENCE_S = 120
MAX_LINKS = 10


def run(port: Annotated[int, typer.Option(help="The port on this machine.")] = 5000) -> int:
    """Open MLflow's pages on the store, and say where the runs of each data set are; ends with Ctrl-C."""
    store = paths.store_dir()
    if not (store / "mlflow.db").is_file():
        raise UserError(
            f"no runs in the store {store}: train one first (python -m genrelab), or give it with store=DIR"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(f"--port {port}: {error.strerror}; give another, as in --port {port + 1}") from error
    address = f"http://{HOST}:{port}"
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--host", HOST, "--port", str(port)]
    command += ["--backend-store-uri", track.database(store)]
    # the job runners cost most of the start, and no page here needs them
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    say(f"starting MLflow on {store} ...")
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else the server would stay behind
    try:
        if not _answers(server, address):
            lines = (server.stderr.read() if server.poll() is not None and server.stderr else "").strip().splitlines()
            raise RuntimeError(f"MLflow did not start: {lines[-1] if lines else 'no answer'}")
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        try:
            for line in _links(address):
                print(f"  {line}", flush=True)
        except OSError as error:  # the pages are there all the same
            say(f"no links to the data sets' runs: {error}")
        server.communicate()
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait(10)
    return 0


def _answers(server: subprocess.Popen[str], address: str) -> bool:
    """Waits until the server answers; False where it ended or took too long."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return True
        except OSError:
            time.sleep(0.2)
    return False


def _links(address: str) -> list[str]:
    """Where the run list of each data set is, with its columns.

    The server is asked, since to import MLflow's client would take as long as its start.
    """
    found = _asked(address, "experiments/search", {"max_results": 1000, "order_by": ["last_update_time DESC"]})
    lines = []
    for experiment in found.get("experiments", []):
        number, name = experiment["experiment_id"], experiment["name"]
        keys = views.keys({t["key"]: t["value"] for t in experiment.get("tags", [])})
        if not keys:
            if not _asked(address, "runs/search", {"experiment_ids": [number], "max_results": 1}).get("runs"):
                continue  # MLflow's own Default
            key, view = views.tag()  # its runs were made before there were views
            _asked(address, "experiments/set-experiment-tag", {"experiment_id": number, "key": key, "value": view})
            keys = [views.key()]
        for key in keys:
            by = f", {views.measure(key)}" if len(keys) > 1 else ""
            lines.append(f"{name}{by}: {views.link(address, number, key)}")
    return lines[:MAX_LINKS]


def _asked(address: str, what: str, words: dict[str, Any]) -> dict[str, Any]:
    """MLflow's answer to a request."""
    body, kind = json.dumps(words).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{address}/api/2.0/mlflow/{what}", body, kind), timeout=30
    ) as answer:
        return json.load(answer)  # type: ignore[no-any-return]
