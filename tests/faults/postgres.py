"""A PostgreSQL of one's own on loopback: Debian's programs, a new cluster, one user with a password."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.servers import HOST, free_port

USER = "mlflow"  # of the database, and its name


def programs() -> Path:
    """The folder of initdb and postgres. Where they lack the test is skipped, but in CI it fails."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve()] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        lacks = "there is no PostgreSQL: apt-get install postgresql"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(lacks)
    return found[-1].parent


class Postgres:
    """A cluster in a folder that only its owner reads; it refuses to be run by root, so then another has it."""

    def __init__(self) -> None:
        self.bin, self.port, self.password = programs(), free_port(), secrets.token_hex(12)
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # not below pytest's: others cannot enter those
        self.owner: dict[str, Any] = {}
        if os.geteuid() == 0:
            there = {p.pw_name: p for p in pwd.getpwall()}
            who = there.get("postgres") or there["nobody"]
            self.owner = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
            os.chown(self.folder, who.pw_uid, who.pw_gid)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"postgresql://{USER}:{self.password}@{HOST}:{self.port}/{USER}"

    def start(self) -> Postgres:
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)  # in a folder that is the owner's alone
        made = [
            "-D",
            "data",
            "-U",
            USER,
            "--auth=scram-sha-256",
            f"--pwfile={secret}",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        self._run([str(self.bin / "initdb"), *made, "--no-sync"], check=True)
        command = [str(self.bin / "postgres"), "-D", "data", "-p", str(self.port), "-k", str(self.folder)]
        command += ["-c", f"listen_addresses={HOST}", "-c", "fsync=off"]
        with (self.folder / "said.txt").open("wb") as said:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=said, stderr=said, **self.owner)
        ready = [str(self.bin / "pg_isready"), "-q", "-h", HOST, "-p", str(self.port)]
        until = time.monotonic() + 60
        while self._run(ready).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < until, (self.folder / "said.txt").read_text()
            time.sleep(0.1)
        words = ["-h", HOST, "-p", str(self.port), "-U", USER, "-w", USER]
        self._run([str(self.bin / "createdb"), *words], check=True, env=os.environ | {"PGPASSWORD": self.password})
        return self

    def _run(self, command: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, cwd=self.folder, capture_output=True, **{"check": False, **self.owner, **more})

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
