"""A process is known again, and one that took its number is not taken for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from genrelab import process

SAY = "from genrelab import process; print(process.here(), flush=True); input()"


def test_this_process_lives() -> None:
    assert process.state(process.here()) == "alive"
    assert process.pid(process.here()) == str(os.getpid())
    assert process.lives(os.getpid())


def test_another_process_lives_until_it_ends_even_as_a_zombie() -> None:
    other = subprocess.Popen([sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout and other.stdin
    tag = other.stdout.readline().strip()
    assert process.state(tag) == "alive"
    assert process.pid(tag) == str(other.pid)
    other.kill()
    until = time.monotonic() + 30
    while process.state(tag) == "alive" and time.monotonic() < until:
        time.sleep(0.01)  # not waited for: it stays as a zombie
    assert process.state(tag) == "dead"
    assert not process.lives(other.pid)
    other.wait()
    assert process.state(tag) == "dead"
    other.stdin.close()
    other.stdout.close()


def test_a_process_with_the_same_number_is_another_one() -> None:
    host, space, number, start = process.here().rsplit(":", 3)
    assert process.state(f"{host}:{space}:{number}:{start}0") == "dead"
    assert process.state(f"{host}:{space}:{number}:") == "dead"


@pytest.mark.parametrize("changed", [0, 1])
def test_other_machines_and_containers_are_elsewhere(changed: int) -> None:
    parts = process.here().rsplit(":", 3)
    parts[changed] += "1"
    assert process.state(":".join(parts)) == "elsewhere"
    assert process.host(":".join(parts)) == parts[0]
    assert process.pid(":".join(parts)) == ""


@pytest.mark.parametrize("tag", ["", "a:b", "host:space:pid:start"])
def test_what_is_no_process_is_unknown(tag: str) -> None:
    assert process.state(tag) == "unknown"
    assert process.host(tag) == ""
