"""Which process writes a run, and whether it still lives."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

STATES = ("alive", "dead", "elsewhere", "unknown")


def here() -> str:
    """This process as `host:space:pid:start`; pids mean something in one space of one host, until it starts anew."""
    return f"{_host()}:{os.getpid()}:{_start(os.getpid())}"


def state(tag: str) -> str:
    """What became of a process that `here` named: one of STATES; elsewhere is another machine or container."""
    try:
        host, space, pid, start = tag.rsplit(":", 3)
        number = int(pid)
    except ValueError:
        return "unknown"
    if f"{host}:{space}" != _host():
        return "elsewhere"
    return "alive" if start and _start(number) == start else "dead"


def lives(number: int) -> bool:
    """Whether a process of this machine has this number."""
    return bool(_start(number))


def pid(tag: str) -> str:
    """The number of a process that `here` named, where that is on this machine."""
    return tag.rsplit(":", 2)[1] if state(tag) in ("alive", "dead") else ""


def host(tag: str) -> str:
    """The machine of a process that `here` named; "" where the tag is none."""
    return tag.rsplit(":", 3)[0] if state(tag) != "unknown" else ""


def _host() -> str:
    try:  # a container numbers its processes anew
        space = "".join(c for c in str(Path("/proc/self/ns/pid").readlink()) if c.isdigit())
    except OSError:
        space = ""
    return f"{platform.node()}:{space}"


def _start(number: int) -> str:
    """When a process started, in words that no other process with its number has; "" where there is none."""
    if not Path("/proc/self/stat").exists():
        asked = ["ps", "-o", "lstart=", "-p", str(number)]
        try:
            said = subprocess.run(asked, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
        except OSError:
            return ""
        return said.stdout.strip().replace(":", ".")
    try:
        # the name, in brackets, may hold anything
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        return ""
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else f"{boot}.{ticks}"  # a zombie has ended, though nobody has asked how
