"""What is timed runs in a process of its own, waiting for its turn: one at a time, in a shuffled order, round by round.

A process each gives every candidate its own number of threads and its own peak of memory, and keeps one that falls over
from taking the others along. Taking turns lets a drift of the machine meet all alike, so that ratios are of pairs.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol, TypeVar

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
LAST_LINE = 200  # characters of what a process said last


class Fallen(Exception):
    """A candidate cannot be timed; the message is one line."""


@dataclass(frozen=True)
class Ready:
    """What a candidate cost before it was timed."""

    first_s: float  # the first call, on a little: compilation, tables
    peak_mb: float  # what one whole call adds to the memory at rest
    said: dict[str, Any] = field(default_factory=dict)  # what the candidate tells of itself


class Timed(Protocol):
    """What takes part in rounds."""

    def seconds(self) -> float: ...


class Worker:
    """A process that makes a candidate and runs it when told.

    target: "module:function" that is called with **args there and returns (rehearse, work, tell), three callables
    without arguments: a little of the work, all of it, and what there is to say of its last result, as JSON takes it.
    """

    def __init__(self, target: str, args: dict[str, Any], threads: int) -> None:
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed by `close`
        number = str(threads)
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=os.environ | dict.fromkeys(THREADS, number),
            start_new_session=True,  # an interrupt is ours to handle
        )
        self._tell({"target": target, "args": args, "threads": threads})

    def ready(self) -> None:
        """Waits until the candidate is made. Raises Fallen."""
        self._answer()

    def prepared(self) -> Ready:
        """The first calls. Raises Fallen."""
        self._tell("prepare")
        return Ready(**self._answer())

    def seconds(self) -> float:
        """One timed call. Raises Fallen."""
        self._tell("run")
        return float(self._answer()["seconds"])

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None:
                with suppress(BrokenPipeError):  # it fell with an order unread
                    pipe.close()

    def _tell(self, order: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # its answer says why
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.errors.seek(0)
            last = [text.strip() for text in self.errors if text.strip()]
            raise Fallen(": ".join([f"its process ended with {code}", *last[-1:]])[:LAST_LINE])
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Fallen(answer["error"])
        return answer


def rounds(
    timed: Sequence[Timed],
    repeats: int,
    seed: int,
    progress: Callable[[int, int], None],
    taken: list[list[float]],
) -> None:
    """Each of `timed` once a round, in an order that is shuffled anew: appends to taken (a list each), s.

    An interrupt leaves in `taken` what was measured. Raises Fallen.
    """
    order = random.Random(seed)
    turns = list(range(len(timed)))
    for done in range(repeats):
        order.shuffle(turns)
        for n, i in enumerate(turns):
            taken[i].append(timed[i].seconds())
            progress(done * len(turns) + n + 1, repeats * len(turns))


@dataclass(frozen=True)
class Ratio:
    """How many times longer one takes than another: the median of the rounds' pairs, the least and the most."""

    median: float
    least: float
    most: float


def ratio(longer_s: Sequence[float], shorter_s: Sequence[float]) -> Ratio | None:
    """Of the rounds that both finished; None where there is none."""
    pairs = [a / b for a, b in zip(longer_s, shorter_s, strict=False)]
    return Ratio(median(pairs), min(pairs), max(pairs)) if pairs else None


@dataclass
class Candidate:
    """What is timed in a process of its own, and what came out of it."""

    name: str
    target: str  # see Worker
    args: dict[str, Any]
    threads: int = 1
    ready: Ready | None = None
    taken_s: list[float] = field(default_factory=list)
    missing: str = ""  # why there is nothing


class Told(Protocol):
    """What remembers how its worker came off."""

    ready: Ready | None
    missing: str


T = TypeVar("T", bound=Told)


def standing(workers: Sequence[tuple[Worker, T]], progress: Callable[[int, int], None]) -> list[tuple[Worker, T]]:
    """Those that are made and have had their first calls; the others say in `missing` why not."""
    found = []
    for done, (worker, told) in enumerate(workers, 1):
        try:
            worker.ready()
            told.ready = worker.prepared()
            found.append((worker, told))
        except Fallen as error:
            told.missing = f"failed: {error}"
        progress(done, len(workers))
    return found


def compete(candidates: Sequence[Candidate], repeats: int, progress: Callable[[int, int], None]) -> None:
    """Times the candidates beside each other, in rounds; one that falls before the rounds says why and is left out."""
    workers: list[tuple[Worker, Candidate]] = []
    try:
        for c in candidates:
            if not c.missing:
                workers.append((Worker(c.target, c.args, c.threads), c))
        ready = standing(workers, lambda *_: None)
        rounds([w for w, _ in ready], repeats, 0, progress, [c.taken_s for _, c in ready])
    finally:
        for worker, _ in workers:
            worker.close()


def resident_mb(key: str) -> float:
    """This process's memory by the kernel: VmRSS now, VmHWM its peak since it began or was reset.

    Not getrusage's ru_maxrss: that one begins at what the parent held when it started the process.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))
    except (OSError, StopIteration):
        import resource

        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def reset_peak() -> None:
    """Gives freed memory back and lets VmHWM begin anew, where the system lets us."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)  # else what the rehearsal left would serve the work unseen
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def serve() -> None:
    """The other side: makes the candidate, then follows orders, a line each, and answers in JSON, a line each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer

    def answer(**said: Any) -> None:
        print(json.dumps(said), file=answers, flush=True)

    try:
        told = json.loads(sys.stdin.readline())
        _set_threads(told["threads"])
        module, _, name = told["target"].partition(":")
        rehearse, work, tell = getattr(importlib.import_module(module), name)(**told["args"])
        answer()
        for order in sys.stdin:
            if json.loads(order) == "prepare":
                first_s = _seconds(rehearse)
                gc.collect()
                reset_peak()
                at_rest = resident_mb("VmRSS")
                work()
                answer(first_s=first_s, peak_mb=max(0.0, resident_mb("VmHWM") - at_rest), said=tell())
            else:
                answer(seconds=_seconds(work))
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}".splitlines()[0][:LAST_LINE])


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    start = time.perf_counter()
    work()
    taken = time.perf_counter() - start
    gc.enable()
    return taken


def _set_threads(n: int) -> None:
    import torch

    torch.set_num_threads(n)


if __name__ == "__main__":
    serve()
