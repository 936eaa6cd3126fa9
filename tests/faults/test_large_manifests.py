"""A million rows: what they cost is bounded for each of them, and what is wrong with them is still one line."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genrelab.data.manifest import read_manifest
from genrelab.types import UserError
from tests.conftest import TINY, Said, program
from tests.faults.whole import only_whole

Tries = Callable[[int, int], int]
Count = Callable[..., None]
FEW, MANY = 20_000, 1_000_000
ROW_US, START_S = 100.0, 3.0  # of processor time, of each step; four times what the slowest of them takes
ROW_BYTES, READ_BYTES, START_MB = 2500.0, 1000.0, 100.0  # of memory, all in all and of the tracks alone
# the program, which writes its own peak of memory down: what the system says of a process begins at what its parent had
PROGRAM = """
import sys
from genrelab.cli import main
from genrelab.commands.bench.timing import resident_mb
at, *words = sys.argv[1:]
code = main(words)
open(at, "w").write(str(resident_mb("VmHWM")))
sys.exit(code)
"""
WHOLE_ROW_US, WHOLE_START_S, WHOLE_MB = 300.0, 60.0, 1500.0  # of the program, which loads its libraries


def manifest(path: Path, n: int, genres: int = 10, last: bytes = b"") -> Path:
    """A song a row, none of which exists; a genre has n / genres, an artist 200, an album 20."""
    with path.open("wb") as file:
        file.write(b"path,genre,artist,album,split\n")
        for i in range(n):
            artist, album, side = i % (n // 200), i % (n // 20), ("train", "val", "test")[i % 3]
            row = f"music/{i % 997:03}/song {i}.flac,genre {i % genres},artist {artist},album {album},{side}\n"
            file.write(row.encode())
        file.write(last)
    return path


def spent(folder: Path, *words: object, **options: Any) -> tuple[Said, float]:
    """A program in a process of its own: what it said, and its seconds of processor time."""
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        process = program(*words, stdout=out, stderr=err, **options)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    said = Said(process.returncode, (folder / "out").read_text(), (folder / "err").read_text())
    return said, usage.ru_utime + usage.ru_stime


def test_a_row_costs_little_wherever_it_is_handled(tmp_path: Path, tries: Tries, count: Count) -> None:
    n = tries(FEW, MANY)
    path = manifest(tmp_path / "large.csv", n)
    said, _ = spent(tmp_path, path, python=("-m", "tests.faults.large"))
    assert said.code == 0, said.err
    found = json.loads(said.out)
    print(found)
    assert found["n"] == n
    slow = {what: s for what, s in found["s"].items() if s > START_S + 1e-6 * ROW_US * n}
    assert not slow
    assert found["read_mb"] < START_MB + READ_BYTES * n / 2**20, found
    assert found["mb"] < START_MB + ROW_BYTES * n / 2**20, found
    count("rows of manifests handled", n)


@pytest.mark.parametrize("fault", ["latin-1", "a label", "a quote", "a number"])
def test_the_last_of_many_rows_is_named(fault: str, tmp_path: Path, tries: Tries, count: Count) -> None:
    n = tries(FEW, MANY)
    last, words = {
        "latin-1": (b"Bj\xf6rk.flac,rock,,,\n", f"row {n + 2}: not UTF-8"),
        "a label": (b"music/000/song 0.flac,rock,,,\n", f"rows 2 and {n + 2} have the same id"),
        "a quote": (b'"x.flac,rock,,,\n', f"row {n + 2}: not CSV"),
        "a number": (b"x.flac,rock,,,,6\n", f"row {n + 2}: 6 cells under 5 columns"),
    }[fault]
    path, begin = manifest(tmp_path / "large.csv", n, last=last), time.process_time()
    with pytest.raises(UserError) as caught:
        read_manifest(path)
    assert time.process_time() - begin < START_S + 1e-6 * ROW_US * n
    assert words in str(caught.value) and len(str(caught.value)) < 500
    count("rows of manifests handled", n)


@pytest.mark.parametrize(
    ("verb", "genres", "says"),
    [
        ((), 10, "no usable song is left of genre 0, genre 1, genre 2, genre 3, genre 4, genre 5, genre 6,"),
        ((), None, "genres (first: genre 0), at most 10000 can be learned"),
        (("audit",), 10, "songs can be used (missing; first:"),
        (("audit",), 9_999, "songs can be used (missing; first:"),
        ((), 9_999, "and 9991 more (missing; first:"),
    ],
)  # fmt: skip
def test_files_that_are_gone_are_a_line_whatever_their_number(
    verb: tuple[str, ...], genres: int | None, says: str, tmp_path: Path, tries: Tries, count: Count
) -> None:
    only_whole(tries, not verb and genres == 10)
    n = tries(FEW, MANY)
    path, store = manifest(tmp_path / "large.csv", n, genres or n), tmp_path / "store"
    words = (*verb, "data=manifest", f"data.path={path}", *TINY, f"store={store}")
    said, cpu_s = spent(tmp_path, tmp_path / "peak", *words, python=("-c", PROGRAM))
    mb = float((tmp_path / "peak").read_text())
    print(cpu_s, mb)
    assert said.code == 2 and not said.out, said
    *progress, line = said.err.splitlines()
    assert says in line and line.startswith("genrelab: ") and len(line) < 700, said.err[:2000]
    assert len(progress) < 60 and not [p for p in progress if "left" not in p]  # a line in ten seconds at most
    assert cpu_s < WHOLE_START_S + 1e-6 * WHOLE_ROW_US * n
    assert mb < WHOLE_MB + ROW_BYTES * n / 2**20
    assert not (store / "mlflow.db").exists()
    count("rows of manifests handled", n)
