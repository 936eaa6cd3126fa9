"""Many runs, one after another: what a process needs stays flat, and so does what it leaves behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import TINY, Said, Songs, runs_of
from tests.faults import whole_runs
from tests.faults.forked import Ground, needs
from tests.faults.whole_runs import size_of

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]
ground = whole_runs.ground
SHORT = (*TINY, "trainer.max_epochs=1", "agg=vote", "net=linear")
FIRST = 3  # runs in which a process still loads and warms what it needs
MB_A_RUN, MB_NOISE = 0.5, 25.0  # of resident memory


def flat(found: Sequence[dict[str, float]]) -> None:
    """Threads and open files do not grow after the first runs, memory by less than MB_A_RUN a run."""
    settled = found[FIRST:]
    third = max(1, len(settled) // 3)
    for what in ("threads", "files"):  # some of a run's threads are still about to end
        values = [n[what] for n in settled]
        assert min(values[-third:]) <= min(values[:third]), f"{what} grow: {[n[what] for n in found]}"
    values = [n["mb"] for n in settled]
    grown = median(values[-third:]) - median(values[:third])
    allowed = MB_NOISE + MB_A_RUN * (len(values) - third)
    assert grown <= allowed, f"memory grows by {grown:.0f} MB, of {allowed:.0f} MB: {[round(n['mb']) for n in found]}"


def test_runs_in_one_process_need_no_more_and_no_more(
    ground: Ground, songs: Songs, tmp_path: Path, tries: Tries, count: Count
) -> None:
    n, scratch, store = tries(6, 60), tmp_path / "scratch", tmp_path / "store"
    scratch.mkdir()
    run = ground.start(*songs.words, *SHORT, "seed={i}", f"store={store}", scratch=scratch, times=n)
    assert run.wait(60 + 10 * n) == 0, run.said()[-2000:]
    found = [json.loads(line) for line in run.needs.read_text().splitlines()]
    assert len(found) == n
    flat(found)
    assert not list(scratch.iterdir()), "temporary files"
    runs = runs_of(store)
    assert len(runs) == n
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert len(list(store.glob("cache/pictures/mel-*"))) == 1
    count("runs in one process", n)


@pytest.mark.slow
def test_a_long_sweep_needs_no_more_and_no_more(
    ground: Ground, songs: Songs, tmp_path: Path, tries: Tries, count: Count
) -> None:
    """Measured from outside, whenever a child has ended."""
    n, scratch, store = tries(8, 200), tmp_path / "scratch", tmp_path / "store"
    scratch.mkdir()
    words = (*songs.words, *SHORT, "-m", f"seed=range({n})", f"store={store}")
    run = ground.start(*words, scratch=scratch)
    found: list[dict[str, float]] = []
    until = time.monotonic() + 60 + 10 * n
    while run.poll() is None and time.monotonic() < until:
        if len(list(store.glob("logs/sweeps/*/*/result.json"))) > len(found) < n - 1:
            found.append(needs(run.pid))
        time.sleep(0.02)
    assert run.wait() == 0, run.said()[-2000:]
    assert len(found) >= n - 1
    flat(found)
    assert not list(scratch.iterdir()), "temporary files"
    runs = runs_of(store)
    (parent,) = [r for r in runs if r.data.tags["kind"] == "sweep"]
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert len(runs) == n + 1
    assert parent.data.metrics["children"] == n
    count("children of one sweep", n)


@pytest.mark.slow
def test_the_cache_keeps_to_its_budget(call: Call, ground: Ground, songs: Songs, tmp_path: Path, count: Count) -> None:
    """Pictures of ever new front-ends; with a budget those unused for longest go, and are made again when needed."""
    n, free, kept = 6, tmp_path / "free", tmp_path / "kept"
    words = (*songs.words, *SHORT)

    def sizes(store: Path, *more: str) -> list[int]:
        """Of the cache, after each run."""
        found = []
        for i in range(n):
            run = ground.start(*words, *more, f"front.f_min={20 + i}", f"store={store}")
            assert run.wait() == 0, run.said()[-2000:]
            found.append(size_of(store / "cache"))
        return found

    grown = sizes(free)
    assert grown == sorted(set(grown)), "every front-end has pictures of its own"
    one = grown[1] - grown[0]
    budget = grown[0] + one // 2  # for the songs and the pictures of one of them
    said = call("doctor", "--fix", "--budget", budget / 1e9, f"store={free}")
    assert said.code == 0, said.out
    assert size_of(free / "cache") <= budget
    assert len(list(free.glob("cache/pictures/mel-*"))) <= 1
    run = ground.start(*words, "front.f_min=20", "seed=7", f"store={free}")
    assert run.wait() == 0, run.said()[-2000:]
    assert call("doctor", f"store={free}").code == 0

    limited = sizes(kept, f"cache_gb={budget / 1e9}")
    assert max(limited) <= budget + one, (limited, budget, one)  # what a run itself reads is never deleted
    assert call("doctor", f"store={kept}").code == 0
    found = [[(r.data.params["front.f_min"], r.data.metrics["val/loss"]) for r in runs_of(s)[:n]] for s in (free, kept)]
    assert found[0] == found[1]
    count("front-ends in one cache", 2 * n)
