"""What a decoder may do to the process that it runs in; called in an ear, by name."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path


def segfault(path: str) -> None:
    ctypes.memset(0, 1, 1)


def abort(path: str) -> None:
    os.abort()


def leave(path: str) -> None:
    os._exit(3)


def sleep(path: str) -> None:
    time.sleep(3600)


def spin(path: str) -> None:
    while True:
        pass


def swell(path: str) -> int:
    return len(bytearray(2**33))


def killed_once(path: str) -> str:
    """Somebody else kills it the first time, as a machine that is out of memory does."""
    mark = Path(path)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "heard"


def confused(path: str) -> None:
    raise IndexError("list index out of range")
