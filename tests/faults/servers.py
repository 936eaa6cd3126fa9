"""A real MLflow server on loopback, and a way to it on which answers get lost."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil

HOST = "127.0.0.1"
WAYS = ("down", "500", "503", "hangs up", "answer lost", "late", "slow")  # in which a request can go wrong


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """`mlflow server` with sqlite (else the environment names its database) and a folder for artifacts, which can be
    stopped, killed and started again."""

    def __init__(self, folder: Path, *words: str, sqlite: bool = True, **environment: str) -> None:
        own = ("--backend-store-uri", f"sqlite:///{folder}/server.db") if sqlite else ()
        self.folder, self.words, self.environment = folder, (*own, *words), environment
        self.port = free_port()
        self.uri = f"http://{HOST}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> MlflowServer:
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", HOST, "--port", str(self.port)]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), *self.words]
        own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", **self.environment}
        with (self.folder / "said.txt").open("ab") as said:
            self.process = subprocess.Popen(command, cwd=self.folder, env=os.environ | own, stdout=said, stderr=said)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return self
            except OSError:
                assert self.process.poll() is None, (self.folder / "said.txt").read_text()
                time.sleep(0.1)
        raise AssertionError("mlflow server does not answer")

    def stop(self, kill: bool = False) -> None:
        if self.process is None:
            return
        own = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
        for process in own:
            (process.kill if kill else process.terminate)()
        self.process.wait(30)
        psutil.wait_procs(own, timeout=10)
        self.process = None


class Way:
    """A port before a server; `choose(number, path)` says of each request how it goes wrong, "" where it does not."""

    def __init__(self, uri: str, choose: Callable[[int, str], str] = lambda *_: "") -> None:
        self.choose, self.asked, self.wrong, self.headers = choose, 0, 0, [{}]
        self.closed = False
        self.slow_s = 0.3
        host, _, port = uri.removeprefix("http://").partition(":")
        guard = threading.Lock()
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def _forward(self, body: bytes) -> tuple[int, bytes, str]:
                connection = http.client.HTTPConnection(host, int(port), timeout=60)
                try:
                    kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                    connection.request(self.command, self.path, body, kept)
                    answer = connection.getresponse()
                    return answer.status, answer.read(), answer.getheader("Content-Type") or "application/json"
                finally:
                    connection.close()

            def _answer(self, status: int, body: bytes, kind: str = "text/plain") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with guard:
                    way.asked += 1
                    way.headers.append(dict(self.headers))
                    wrong = "down" if way.closed else way.choose(way.asked, self.path)
                    way.wrong += bool(wrong)
                try:
                    if wrong in ("500", "503", "401"):
                        return self._answer(int(wrong), b"out of order")
                    if wrong in ("down", "hangs up"):
                        return self._hang_up()
                    if wrong == "black hole":
                        time.sleep(60)
                        return self._hang_up()
                    if wrong == "late":  # carried out when the other side has long given up
                        threading.Timer(0.3, lambda: self._forward(body)).start()
                        return self._hang_up()
                    if wrong == "slow":
                        time.sleep(way.slow_s)
                    said = self._forward(body)
                    return self._hang_up() if wrong == "answer lost" else self._answer(*said)
                except OSError:
                    return self._hang_up()

            def _hang_up(self) -> None:
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

        self.http = ThreadingHTTPServer((HOST, 0), Handler)
        self.http.daemon_threads = True
        self.uri = f"http://{HOST}:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
