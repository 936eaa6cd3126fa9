"""Decoders that crash, hang or swell take nothing else with them, and end with who asked them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genrelab.audio import decode, guarded
from genrelab.audio.decode import AudioError
from genrelab.audio.guarded import Limits
from tests.faults import dying, fuzzer
from tests.parts import SAMPLE_RATE

Count = Callable[..., None]

SHORT = Limits(cpu_s=0.5, wait_s=1.5, memory_mb=500)


@pytest.mark.parametrize(
    ("does", "reason", "detail"),
    [
        (dying.segfault, "crashes the decoder", "signal 11 (SIGSEGV)"),
        (dying.abort, "crashes the decoder", "signal 6 (SIGABRT)"),
        (dying.leave, "crashes the decoder", "exit code 3"),
        (dying.sleep, "too slow", "decoding takes longer than 1.5 s"),
        (dying.spin, "too slow", "decoding takes longer than 0.5 s of processor time"),
        (dying.swell, "too large", "decoding takes more than 500 MB"),
        (dying.confused, "not decodable", "the decoder failed: IndexError: list index out of range"),
    ],
)
def test_what_a_decoder_does_to_its_process_is_said(
    does: Callable[[str], Any], reason: str, detail: str, tmp_path: Path, count: Count
) -> None:
    with pytest.raises(AudioError) as caught:
        guarded.call(does, tmp_path / "song.wav", limits=SHORT)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)
    path = tmp_path / "good.flac"
    path.write_bytes(fuzzer.good()["flac"])
    np.testing.assert_array_equal(guarded.load(path, SAMPLE_RATE), decode.load(path, SAMPLE_RATE))
    count("deaths of a decoder survived")


def test_an_ear_that_somebody_killed_is_not_the_songs_fault(tmp_path: Path) -> None:
    assert guarded.call(dying.killed_once, tmp_path / "mark") == "heard"


def test_ears_end_with_their_owner(tmp_path: Path) -> None:
    """Also one that is hearing something while its owner is killed."""
    code = (
        "import os, sys, threading, time\n"
        "from genrelab.audio import guarded\n"
        "from tests.faults import dying\n"
        "guarded.call(len, 'a'); print(guarded._idle[0].process.pid, flush=True)\n"
        "threading.Thread(target=guarded.call, args=(dying.sleep, 'a'),\n"
        "    kwargs={'limits': guarded.Limits(1, 2)}, daemon=True).start()\n"
        "time.sleep(0.5); os.kill(os.getpid(), 9)"
    )
    owner = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert owner.returncode == -9, owner.stderr
    ear, until = Path(f"/proc/{owner.stdout.strip()}"), time.monotonic() + 20
    while ear.exists() and "Z" not in (ear / "stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < until
        time.sleep(0.1)
