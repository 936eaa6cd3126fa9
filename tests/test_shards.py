"""`prepare`: the store is filled and nothing else, by one process or by several that share the songs."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genrelab import room, store
from genrelab.audio import guarded
from tests.conftest import TINY, Said, Songs, finished, program
from tests.faults.sameness import pictures

Call = Callable[..., Said]


def shard(songs: Songs, k: int, of: int, at: Path) -> list[object]:
    return ["prepare", *songs.words, f"prepare.shards={of}", f"prepare.shard={k}", f"store={at}"]


@pytest.fixture(scope="module")
def by_one(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that one process has filled."""
    at = tmp_path_factory.mktemp("one") / "store"
    assert finished("prepare", *songs.words, f"store={at}").code == 0
    return at


def test_it_fills_the_store_and_nothing_else(call: Call, songs: Songs, by_one: Path) -> None:
    assert len(pictures(by_one)) == 2 * songs.n  # of each song its samples and its picture
    assert not (by_one / "mlflow.db").exists()
    again = call("prepare", *songs.words, f"store={by_one}")
    assert again.code == 0
    assert "48 songs are in the store; nothing had to be heard" in again.err


def test_a_run_after_four_shards_at_once_hears_nothing(
    call: Call, songs: Songs, by_one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They write at the same time; what is there is what one process makes, and each song was heard by one of them."""
    at = tmp_path / "store"
    started = [program(*shard(songs, k, 4, at)) for k in range(4)]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in started]
    for _, err, code in ended:
        assert code == 0, err
        assert "12 songs are in the store; 1.2 min of sound heard now" in err
    assert pictures(at) == pictures(by_one)
    assert call("doctor", f"store={at}").code == 0

    def deaf(*_: object, **__: object) -> None:
        raise AssertionError("a song was heard again")

    for name in ("call", "inspect", "own_rate"):
        monkeypatch.setattr(guarded, name, deaf)
    words = [w for w in TINY if w != "baselines=false"]
    run = call(*songs.words, "card=null", *words, f"store={at}")
    assert run.code == 0, run.err


def test_a_multirun_of_shards_ends_with_a_table(call: Call, songs: Songs, tmp_path: Path, by_one: Path) -> None:
    at = f"store={tmp_path / 'store'}"
    said = call("prepare", "-m", *songs.words, "prepare.shards=3", "prepare.shard=range(0,3)", at)
    assert said.code == 0, said.err
    assert "3 shards" in said.out
    assert said.err.count("16 songs are in the store") == 3
    assert pictures(tmp_path / "store") == pictures(by_one)
    part = call("prepare", "-m", *songs.words, "prepare.shards=2", "prepare.shard=1,2", at)
    assert part.code == 1
    assert "prepare.shard=2: expected one of 0 to 1" in part.err
    assert "expected one of" in " ".join(part.out.split())
    assert "24 songs are in the store; nothing had to be heard" in part.err


@pytest.mark.parametrize("launcher", ["processes", pytest.param("local_jobs", marks=pytest.mark.slow)])
def test_any_launcher_spreads_the_shards(songs: Songs, tmp_path: Path, by_one: Path, launcher: str) -> None:
    at = tmp_path / "store"
    words = ["prepare.shards=2", "prepare.shard=range(0,3)", f"hydra/launcher={launcher}", "jobs=2", f"store={at}"]
    said = finished("prepare", "-m", *songs.words, "baselines=false", *words)
    assert said.code == 1, said.err  # there is no third
    assert said.err.count("24 songs are in the store") == 2
    assert "prepare failed: prepare.shard=2: expected one of 0 to 1" in said.err
    assert "3 shards" in said.out
    assert pictures(at) == pictures(by_one)


def test_a_shard_that_was_killed_is_repeated(songs: Songs, tmp_path: Path, by_one: Path) -> None:
    at = tmp_path / "store"
    first = program(*shard(songs, 0, 2, at))
    until = time.monotonic() + 60
    while not list(at.glob("cache/pictures/*/.lock-0-of-2")) and time.monotonic() < until:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    for k in (1, 0):
        said = finished(*shard(songs, k, 2, at))
        assert said.code == 0, said.err
    assert pictures(at) == pictures(by_one)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prepare.shards=4"], "prepare.shard=null: expected one of 0 to 3, or all of them by -m"),
        (["prepare.shards=4", "prepare.shard=4"], "prepare.shard=4: expected one of 0 to 3"),
        (["prepare.shards=0"], "prepare.shards=0: expected a whole number, at least 1"),
        (["prepare.shards=true"], "prepare.shards=True: expected a whole number"),
        (["front=nope"], "there is no such front"),
        (["prepar.shards=4"], "prepar"),
    ],
)
def test_what_is_wrong_ends_in_a_line(call: Call, songs: Songs, tmp_path: Path, words: list[str], said: str) -> None:
    told = call("prepare", *songs.words, *words, f"store={tmp_path}")
    assert told.code == 2
    assert said in told.err
    assert len(told.err.splitlines()) == 1


def test_a_run_that_is_told_of_shards_says_whose_business_they_are(call: Call, songs: Songs, tmp_path: Path) -> None:
    told = call(*songs.words, *TINY, "prepare.shards=4", f"store={tmp_path}")
    assert told.code == 2
    assert "a run takes all songs; fill the store by `prepare` first" in told.err


def _write(folder: Path, k: int, n: int) -> None:
    shelf = store.Shelf(folder, 3, np.float16)
    with shelf.writing((k, n)) as append:
        for i in range(20):
            append([(f"{k}-{i}-{j}", np.full((5 + j, 3), 100 * k + i, np.float16)) for j in range(3)])


def test_rows_that_several_write_at_once_are_each_their_own(tmp_path: Path) -> None:
    """Their blocks lie apart by whole pages, so that two machines on one folder do not write into one."""
    fork = multiprocessing.get_context("spawn")
    writers = [fork.Process(target=_write, args=(tmp_path, k, 4)) for k in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [w.exitcode for w in writers] == [0] * 4
    shelf = store.Shelf(tmp_path, 3, np.float16)
    places, rows = shelf.places(), shelf.rows()
    assert len(places) == 4 * 20 * 3
    pages: dict[int, str] = {}
    for key, (first, n) in places.items():
        k, i, j = map(int, key.split("-"))
        assert n == 5 + j
        assert (rows[first : first + n] == 100 * k + i).all()
        for page in {first * 6 // store.APART, ((first + n) * 6 - 1) // store.APART}:
            assert pages.setdefault(page, key.rpartition("-")[0]) == key.rpartition("-")[0]


def test_rows_that_a_killed_shard_took_are_given_again_where_one_writes_alone(tmp_path: Path) -> None:
    shelf = store.Shelf(tmp_path, 3, np.float16)
    with shelf.writing((0, 2)) as append:
        append([("a", np.ones((4, 3), np.float16))])
        shelf._take(1000, store.APART)  # and was killed
    with shelf.writing() as append:
        append([("b", np.ones((4, 3), np.float16))])
    assert shelf.places() == {"a": (0, 4), "b": (4, 4)}


def test_who_writes_alone_waits_for_those_who_share(tmp_path: Path) -> None:
    order: list[str] = []

    def alone() -> None:
        with room.lock(tmp_path / "lock"):
            order.append("alone")

    with room.lock(tmp_path / "lock", (0, 2)), room.lock(tmp_path / "lock", (1, 2)):
        waiting = threading.Thread(target=alone)
        waiting.start()
        time.sleep(0.3)
        order.append("shared")
    waiting.join(10)
    assert order == ["shared", "alone"]
