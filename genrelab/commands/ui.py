"""`ui`: MLflow's pages on the store, started lean."""

from __future__ import annotations

import base64
import errno
import importlib.util
import ipaddress
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer

from genrelab import paths, track, views
from genrelab.report.console import say
from genrelab.types import UserError

HOST = "127.0.0.1"
USER, PASSWORD = "MLFLOW_AUTH_ADMIN_USERNAME", "MLFLOW_AUTH_ADMIN_PASSWORD"  # MLflow's own, in the environment
SECRET = "MLFLOW_FLASK_SERVER_SECRET_KEY"
AUTH = """[mlflow]
default_permission = READ
database_uri = {database}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""
PATIENCE_S = 120
MAX_LINKS = 10


def run(
    port: Annotated[int, typer.Option(help="The port on this machine.")] = 5000,
    host: Annotated[str, typer.Option(help="The address that answers; others can reach any but this one.")] = HOST,
    auth: Annotated[
        bool, typer.Option("--auth", help=f"With a log-in (user admin, password {PASSWORD} of the environment).")
    ] = False,
) -> int:
    """Open MLflow's pages on the store, and say where the runs of each data set are; ends with Ctrl-C."""
    store = paths.store_dir()
    if not (store / "mlflow.db").is_file():
        raise UserError(
            f"no runs in the store {store}: train one first (python -m genrelab), or give it with store=DIR"
        )
    _allowed(host, auth)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise UserError(f"--host {host}: {error.strerror}; give an address of this machine") from error
            raise UserError(f"--port {port}: {error.strerror}; give another, as in --port {port + 1}") from error
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", host, "--port", str(port)]
    command += ["--backend-store-uri", track.database(store)]
    # the job runners cost most of the start, and no page here needs them
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    if auth:
        command += ["--app-name", "basic-auth"]
        environment |= _log_in(store)
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


def _allowed(host: str, auth: bool) -> None:
    """Raises UserError where others could reach the pages without a log-in, or the log-in lacks something."""
    try:
        own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        own = False
    if not own and not auth:
        raise UserError(
            f"--host {host}: whoever reaches it could read, change and delete every run; add --auth (a log-in), or "
            f"leave --host out and look from this machine"
        )
    if not auth:
        return
    if not importlib.util.find_spec("flask_wtf"):
        raise UserError("--auth: MLflow's log-in needs Flask-WTF: pip install 'genrelab[server]'")
    if not os.environ.get(PASSWORD):
        raise UserError(f"--auth: put the password of the user admin into the environment, as {PASSWORD}")


def _log_in(store: Path) -> dict[str, str]:
    """The environment of MLflow's log-in: users are kept in the store, the password is where the user has put it."""
    folder = store / "auth"
    folder.mkdir(mode=0o700, exist_ok=True)
    ini = folder / "basic_auth.ini"
    database = "sqlite:///" + str(folder / "users.db").replace("%", "%%")
    ini.write_text(AUTH.format(database=database), encoding="utf-8")
    # a key that changes with every start ends the sessions of before, and nothing else
    return {"MLFLOW_AUTH_CONFIG_PATH": str(ini), SECRET: secrets.token_hex(32)} | {
        k: os.environ[k] for k in ("MLFLOW_AUTH_CONFIG_PATH", SECRET) if k in os.environ
    }


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
    if PASSWORD in os.environ:  # where there is a log-in, this is it; the server is our own
        pair = f"{os.environ.get(USER, 'admin')}:{os.environ[PASSWORD]}"
        kind["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    with urllib.request.urlopen(
        urllib.request.Request(f"{address}/api/2.0/mlflow/{what}", body, kind), timeout=30
    ) as answer:
        return json.load(answer)  # type: ignore[no-any-return]
