"""`bench growth`: the exponent that it fits, and a tiny run of it. How long anything takes is not asked here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from genrelab.commands.bench import growth
from tests.conftest import Said

Call = Callable[..., Said]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5])
def test_the_exponent_is_that_of_the_times(exponent: float) -> None:
    sizes = (1, 10, 100)
    grown = growth.Grown("a", "songs", sizes, [0.3 * n**exponent for n in sizes])
    assert grown.exponent == pytest.approx(exponent)


def test_it_times_every_size_and_says_how_time_grows(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, sizes in (("SECONDS", (1, 2)), ("BINS", (16, 32)), ("SLICES", (4, 8)), ("SONGS", (48, 96))):
        monkeypatch.setattr(growth, name, sizes)
    said = call("bench", "growth", "--repeats", "1", "--json", tmp_path / "grown.json")
    assert said.code == 0, said.err
    told = json.loads((tmp_path / "grown.json").read_text())["rows"]
    assert [len(row["taken_s"]) for row in told] == [2] * 5
    for row in told:
        assert row["what"] in said.out
        assert f"n^{row['exponent']:.2f}" in said.out


def test_what_fails_is_said_and_the_others_are_timed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ("a picture", "bins", (16, 32), f"{growth.__name__}:drawing", "bins", {"seconds": 1}),
        ("another", "bins", (16, 32), f"{growth.__name__}:nowhere", "bins", {"seconds": 1}),
    ]
    monkeypatch.setattr(growth, "_asked", lambda _: rows)
    said = call("bench", "growth", "--repeats", "1")
    assert said.code == 0
    assert "another: failed: " in said.out
    assert "a picture" in said.out
