"""Decoding in a process that may die: what crashes, hangs or swells on a broken file takes nothing else with it.

An ear is a process that decodes one file after another; each thread that asks has one to itself. Ears start when they
are needed, end after some idle seconds, and end with the process that started them. A sound comes back through a
socket, which costs 3 to 7 ms for 30 s of it.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from genrelab.audio import decode, mp4
from genrelab.audio.decode import AudioError

T = TypeVar("T")

MOST_MB = 4096  # of memory, beside what an ear needs anyway
LEAST_S, S_PER_MB = 60.0, 1.0  # of processor time: a decoder needs a hundredth of it
WAIT = 5  # times as long by the clock, on a machine that does other things, too
IDLE_S = 20.0  # then an ear ends
TRIES = 2  # somebody else may have killed it

_HEAD = struct.Struct("<QQ")  # bytes of a pickle, number of buffers behind it
_BOOT = (
    "import sys; sys.path[:0] = [sys.argv[2]]; from genrelab.audio.guarded import _listen; _listen(int(sys.argv[1]))"
)
_TOO_SLOW = (signal.SIGPROF, signal.SIGALRM)  # what an ear's own clocks end it with


@dataclass(frozen=True)
class Limits:
    """What one file may cost."""

    cpu_s: float  # processor time
    wait_s: float  # by the clock
    memory_mb: float = MOST_MB


def load(
    path: str | os.PathLike[str], sample_rate: int, start_s: float = 0.0, duration_s: float | None = None
) -> np.ndarray:
    """As `decode.load`. Raises AudioError, also for what a file did to the decoder: too slow, too large, crashes the
    decoder."""
    return call(decode.load, path, sample_rate, start_s, duration_s)


def inspect(
    path: str | os.PathLike[str], sample_rate: int, start_s: float = 0.0, duration_s: float | None = None
) -> np.ndarray:
    """As `decode.inspect`, in an ear (see `load`)."""
    return call(decode.inspect, path, sample_rate, start_s, duration_s)


def own_rate(path: str | os.PathLike[str]) -> int:
    """As `decode.own_rate`, in an ear (see `load`)."""
    return call(decode.own_rate, path)


def call(
    function: Callable[..., T],
    path: str | os.PathLike[str],
    *more: Any,
    decodes: bool = True,
    limits: Limits | None = None,
) -> T:
    """`function(path, *more)` in an ear: a function of a module, which reads one file. Safe to call from threads.

    `decodes`: whether it needs what decodes such a file.

    Raises AudioError as the function does; too slow, too large or crashes the decoder where it did not come back; not
    decodable where it raised anything else.
    """
    by_ffmpeg = decodes and decode.is_mp4(Path(path))
    if by_ffmpeg and mp4.decoder() is None:
        raise AudioError("not decodable", mp4.NEEDS)
    limits = limits or _limits(path)
    tries = 0
    while True:
        ear = _taken()
        try:
            at = os.path.abspath(path)  # noqa: PTH100 - a link stays one; an ear began in another folder, maybe
            answer = ear.ask((function, at, more, limits, by_ffmpeg), limits.wait_s)
        except (OSError, EOFError) as error:
            ended = ear.ended()
            if isinstance(error, TimeoutError) or -ended in _TOO_SLOW:
                by_cpu = -ended == signal.SIGPROF
                limit = f"{limits.cpu_s:.3g} s of processor time" if by_cpu else f"{limits.wait_s:.3g} s"
                raise AudioError("too slow", f"decoding takes longer than {limit}") from None
            tries += ended != 0  # 0: its idle time was over
            if tries == TRIES:
                raise AudioError("crashes the decoder", _said(ended)) from None
        except BaseException:  # an interrupt: its answer must not be taken for another's
            ear.ended()
            raise
        else:
            _idle.append(ear)
            return _opened(answer)


def _limits(path: str | os.PathLike[str]) -> Limits:
    try:
        n_mb = os.stat(path).st_size / 1e6  # noqa: PTH116 - says nothing about a name with a NUL byte
    except (OSError, ValueError):
        n_mb = 0.0
    cpu_s = LEAST_S + S_PER_MB * n_mb
    return Limits(cpu_s, WAIT * cpu_s)


def _opened(answer: tuple[Any, ...]) -> Any:
    kind, *said = answer
    if kind == "refused":
        raise AudioError(*said)
    return said[0]


def _said(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    names = {s.value: s.name for s in signal.Signals}
    return f"signal {-code} ({names.get(-code, 'of no name')})"


class _Ear:
    """A process that decodes, as its owner has it."""

    def __init__(self) -> None:
        self.line, theirs = socket.socketpair()
        root = str(Path(__file__).parents[2])
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), root],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # decoders print there what they think of a file
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self.line.settimeout(LEAST_S)
        try:
            ready = self.line.recv(1)
        except TimeoutError:
            ready = b""
        if not ready:  # no file's fault
            raise RuntimeError(f"a process that decodes cannot be started: it ended with {_said(self.ended())}")

    def ask(self, question: object, wait_s: float) -> Any:
        """Raises TimeoutError, or another OSError or EOFError where the ear has ended."""
        _send(self.line, question)
        return _receive(self.line, time.monotonic() + wait_s)

    def lives(self) -> bool:
        return self.process.poll() is None

    def ended(self) -> int:
        """Its exit code; it is killed if it has not ended by itself."""
        self.line.close()
        with suppress(subprocess.TimeoutExpired):  # the line breaks before the exit code is known
            return self.process.wait(0.5)
        self.process.kill()
        with suppress(subprocess.TimeoutExpired):  # a broken disk may hold it for ever
            self.process.wait(5)
        return -signal.SIGKILL


_idle: list[_Ear] = []  # appending and popping are atomic


def _taken() -> _Ear:
    """An ear for one question."""
    while _idle:
        ear = _idle.pop()
        if ear.lives():
            return ear
        ear.line.close()
    return _Ear()


def rest() -> None:
    """Ends the ears that have nothing to do; the next file gets a new one."""
    while _idle:
        ear = _idle.pop()
        ear.line.close()
        with suppress(subprocess.TimeoutExpired):
            ear.process.wait(1)


def _forked() -> None:
    """A copy of this process has no ears: two would talk on one line."""
    for ear in _idle:
        ear.line.close()
        ear.process.returncode = 0  # not its child
    _idle.clear()


atexit.register(rest)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _send(line: socket.socket, what: object) -> None:
    """A pickle and, behind it, the arrays in it as they lie in memory."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(what, 5, buffer_callback=buffers.append)
    raw = [b.raw() for b in buffers]
    line.sendall(_HEAD.pack(len(data), len(raw)) + b"".join(struct.pack("<Q", r.nbytes) for r in raw) + data)
    for r in raw:
        line.sendall(r)


def _receive(line: socket.socket, until: float | None) -> Any:
    n, n_buffers = _HEAD.unpack(_read(line, _HEAD.size, until))
    sizes = struct.unpack(f"<{n_buffers}Q", _read(line, 8 * n_buffers, until))
    data = _read(line, n, until)
    return pickle.loads(data, buffers=[_read(line, size, until) for size in sizes])


def _read(line: socket.socket, n: int, until: float | None) -> np.ndarray:
    """(n,) bytes. Raises TimeoutError after `until`, EOFError where the other side has gone."""
    found = np.empty(n, np.uint8)
    view = memoryview(found)
    while view.nbytes:
        if until is not None:
            line.settimeout(max(1e-3, until - time.monotonic()))
        if not (got := line.recv_into(view)):
            raise EOFError
        view = view[got:]
    return found


# -- what runs in an ear -----------------------------------------------------------------------------------------------


def _listen(number: str) -> None:
    """Answers until nobody asks any more."""
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its owner, who may have a song to finish
    for clock in _TOO_SLOW:
        signal.signal(clock, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=int(number)) as line:
        line.sendall(b"!")
        while True:
            line.settimeout(IDLE_S)
            try:
                question = _receive(line, None)
            except (TimeoutError, EOFError, ConnectionError):
                return
            line.settimeout(None)
            try:
                _send(line, _answer(*question))
            except ConnectionError:
                return


def _answer(
    function: Callable[..., Any], path: str, more: tuple[Any, ...], limits: Limits, by_ffmpeg: bool
) -> tuple[Any, ...]:
    """("heard", result), or ("refused", reason, detail)."""
    if by_ffmpeg:
        mp4.decoder()  # loads torch, which is no file's fault
    _limited(limits)
    try:
        return "heard", function(path, *more)
    except AudioError as error:
        return "refused", error.reason, error.detail
    except MemoryError:
        return "refused", "too large", f"decoding takes more than {limits.memory_mb:.0f} MB"
    except Exception as error:  # a decoder's own fault with one file: the others shall be heard
        return "refused", "not decodable", f"the decoder failed: {type(error).__name__}: {error}"
    finally:
        _limited(None)


def _limited(limits: Limits | None) -> None:
    """Clocks that end this process, even where it hangs in a library's code, and a limit of memory."""
    import resource

    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s if limits else 0)
    signal.setitimer(signal.ITIMER_REAL, limits.wait_s + 1 if limits else 0)  # where its owner was killed
    statm = Path("/proc/self/statm")
    if statm.exists():  # macOS knows no such limit
        own = int(statm.read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = own + int(limits.memory_mb * 2**20) if limits else hard
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))
