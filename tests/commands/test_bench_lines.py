"""`bench all`: what a line says, whether it reaches its goal, and what became slower."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrelab.commands.bench import all as everything
from genrelab.commands.bench.lines import TIMES, Line, alone, beside, read, said, slower, write
from genrelab.commands.bench.timing import Candidate


def taken(name: str, *seconds: float, missing: str = "") -> Candidate:
    return Candidate(name, "module:function", {}, taken_s=list(seconds), missing=missing)


def test_a_peer_that_takes_twice_as_long_reaches_a_goal_of_two() -> None:
    line = beside("mel", taken("genrelab", 1.0, 2.0, 1.0), taken("librosa", 2.0, 4.4, 1.9), 2.0)
    assert (line.value, line.least, line.most, line.met) == (2.0, 1.9, 2.2, True)
    assert said(line) == "2.00 × [1.90, 2.20]"
    assert beside("mel", taken("genrelab", 1.0), taken("librosa", 1.9), 2.0).met is False


def test_what_lacks_says_why_and_reaches_nothing() -> None:
    line = beside("mel", taken("genrelab", 1.0), taken("nnAudio", missing="not installed"), 15)
    assert (line.value, line.met, line.note) == (None, None, "not installed")


def test_an_upper_limit_is_kept_from_below() -> None:
    assert alone("memory", [90.0], "MB", 100).met is True
    assert alone("memory", [101.0], "MB", 100).met is False


def test_slower_is_what_lies_beyond_what_both_scatter(tmp_path: Path) -> None:
    then = [
        Line("mel", "librosa", 2.0, 1.9, 2.1, TIMES, 2, False),
        Line("cwt", "pywt", 60.0, 50.0, 70.0, TIMES, 50, False),
        Line("memory", "", 80.0, 78.0, 82.0, "MB", 100, True),
    ]
    now = [
        Line("mel", "librosa", 1.7, 1.6, 1.8, TIMES, 2, False),
        Line("cwt", "pywt", 55.0, 45.0, 60.0, TIMES, 50, False),
        Line("memory", "", 95.0, 94.0, 96.0, "MB", 100, True),
    ]
    write(tmp_path / "then.json", then, {"machine": "made"})
    before = read(tmp_path / "then.json")
    assert before == then
    fell = slower(now, before)
    assert [line.split(":")[0] for line in fell] == ["mel beside librosa", "memory"]
    assert slower(then, before) == []


def test_a_row_that_fails_takes_no_other_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: object) -> list[Line]:
        raise RuntimeError("no such peer")

    rows = {"mel": lambda _: [alone("mel", [1.0], "s", 2)], "cwt": broken}
    monkeypatch.setattr(everything, "ROWS", rows)
    assert everything.run(None, 1, False, tmp_path / "said.json", None) == 1
    mel, cwt = read(tmp_path / "said.json")
    assert (mel.value, cwt.value, cwt.note) == (1.0, None, "failed: no such peer")
