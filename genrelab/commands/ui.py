"""`ui`: MLflow's pages on the store, started lean."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Annotated

import typer

from genrelab import paths, track
from genrelab.report.console import say
from genrelab.types import UserError

HOST = "127.0.0.1"
PATIENCE_S = 120


def run(port: Annotated[int, typer.Option(help="The port on this machine.")] = 5000) -> int:
    """Open MLflow's pages on the store; ends with Ctrl-C."""
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
