"""The program with its imports done: real runs in processes of their own that begin at once.

`python -m genrelab` spends seconds on loading libraries. Here one process has loaded them and waits; every run is a
fork of it, with its own process group, its own standard output and error, and an exit code.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 240


@dataclass
class Started:
    """A run that goes on, or has ended."""

    ground: Ground
    pid: int
    out: Path
    err: Path
    needs: Path
    code: int | None = None  # as a shell says it: negative where a signal ended it

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self.ground.ask({"poll": self.pid})
        return self.code

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        until = time.monotonic() + patience_s
        while self.poll() is None:
            if time.monotonic() > until:
                self.signal(signal.SIGKILL)
                raise TimeoutError(f"not ended after {patience_s:g} s: {self.said()}")
            time.sleep(0.02)
        assert self.code is not None
        return self.code

    def signal(self, how: signal.Signals, group: bool = True) -> None:
        """To all of its processes, as a terminal does, or to the first alone, as `kill` and the kernel's do."""
        with suppress(ProcessLookupError):
            if group:
                os.killpg(self.pid, how)
            else:
                os.kill(self.pid, how)

    def processes(self) -> list[str]:
        """Those of its group that live, `number: command`."""
        found = []
        for at in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                fields = (at / "stat").read_text().rpartition(")")[2].split()
                if at.name.isdigit() and int(fields[2]) == self.pid and fields[0] not in "ZX":
                    found.append(f"{at.name}: {(at / 'cmdline').read_text()[:200]}")
        return found

    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()


class Ground:
    """What runs are forked from."""

    def __init__(self, folder: Path) -> None:
        """folder: where what they print goes."""
        self.folder, self.n = folder, 0
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        env = os.environ | {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
        # it ends where nobody can ask any more: with this process
        self.process = subprocess.Popen([sys.executable, "-m", __name__], env=env, **pipes)  # type: ignore[call-overload]
        assert self.ask({"ready": True}) == 1, "it has threads, and is not safe to be forked"

    def ask(self, question: dict[str, Any]) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(
        self, *words: object, scratch: Path | None = None, file_bytes: int | None = None, times: int = 1
    ) -> Started:
        """scratch: its temporary files; file_bytes: the most that a file may hold; times: how often it runs
        in one process, {i} in a word being which time it is; what it needs is then measured after each."""
        self.n += 1
        out, err, needs = (self.folder / f"{self.n}.{name}" for name in ("out", "err", "needs"))
        asked = {"words": [str(w) for w in words], "out": str(out), "err": str(err), "scratch": str(scratch or "")}
        asked |= {"file_bytes": file_bytes, "times": times, "needs": str(needs)}
        return Started(self, self.ask(asked), out, err, needs)


def serve() -> None:
    """Answers a line of JSON with a line of JSON until nobody asks any more."""
    _load()
    left: set[int] = set()
    for line in sys.stdin:
        asked = json.loads(line)
        if "ready" in asked:
            names = [p.read_text().strip() for p in Path("/proc/self/task").glob("*/comm")]
            answer: Any = len([n for n in names if n != "jemalloc_bg_thd"])  # that one looks after forks itself
        elif "poll" in asked:
            pid, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
            left.discard(pid)
        else:
            answer = os.fork()
            if not answer:
                _run(asked)
            left.add(answer)
        print(json.dumps(answer), flush=True)
    for pid in left:  # whoever asked has failed
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _load() -> None:
    """Imports what a run imports, and computes nothing: a process that has threads cannot be forked."""
    import hydra.main
    import matplotlib.figure
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store
    import pandas
    import pytorch_lightning.loggers
    import sklearn.linear_model
    import soundfile
    import torch.utils.flop_counter

    import genrelab.commands.train
    import genrelab.comparison
    import genrelab.findings
    import genrelab.fit
    import genrelab.registry
    import genrelab.report.pictures
    import genrelab.stacked

    del hydra, matplotlib, mlflow, pandas, pytorch_lightning, sklearn, soundfile, torch, genrelab


def _run(asked: dict[str, Any]) -> None:
    """The forked process: the program, from its words to its exit code."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, where in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
            to = os.open(where, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(to, number)
            os.close(to)
        if asked["scratch"]:
            tempfile.tempdir = os.environ["TMPDIR"] = asked["scratch"]
        if asked["file_bytes"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (asked["file_bytes"], asked["file_bytes"]))
        from genrelab.cli import main

        sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115
        for i in range(asked["times"]):
            code = main([word.replace("{i}", str(i)) for word in asked["words"]])
            if code:
                break
            if asked["times"] > 1:
                with open(asked["needs"], "a") as file:  # noqa: PTH123
                    file.write(json.dumps(needs(os.getpid())) + "\n")
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def needs(pid: int) -> dict[str, float]:
    """What a process has now: resident memory, threads, open files."""
    at = Path("/proc") / str(pid)
    pages = int((at / "statm").read_text().split()[1])
    threads, files = (sum(1 for _ in (at / name).iterdir()) for name in ("task", "fd"))
    return {"mb": pages * resource.getpagesize() / 1e6, "threads": threads, "files": files}


if __name__ == "__main__":
    serve()
