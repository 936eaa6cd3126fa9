"""Killed at any point: the run ends as an undisturbed one, once, and the store holds nothing torn."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Said, runs_of
from tests.faults import whole_runs
from tests.faults.forked import Ground, Started
from tests.faults.sameness import history, same_store
from tests.faults.stages import STAGES, Watch
from tests.faults.whole_runs import SWEEP, WORDS, swept, warm

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]
ground, undisturbed, like = whole_runs.ground, whole_runs.undisturbed, whole_runs.like
FEW = [("pictures", 0.5), ("training", 0.4), ("logging", 0.6)]  # of the fast sample
ATTEMPTS = 4  # a moment may come after the run's end


def moments(n: int, seed: int) -> list[tuple[str, float]]:
    """n stages in turn with a share of each, spread evenly and drawn."""
    drawn = random.Random(seed)
    each = -(-n // len(STAGES))
    shares = {s: [(i + drawn.random()) / each for i in drawn.sample(range(each), each)] for s in STAGES}
    return [(STAGES[i % len(STAGES)], shares[STAGES[i % len(STAGES)]][i // len(STAGES)]) for i in range(n)]


def cut_off(
    ground: Ground,
    store: Path,
    times: dict[str, float],
    stage: str,
    share: float,
    how: signal.Signals,
    group: bool,
    again: bool = False,
) -> tuple[str, Started]:
    """Starts the run in an empty store and ends it in a stage; the stage that it was in, and the process."""
    for attempt in range(ATTEMPTS):
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir(parents=True)
        scratch = store.parent / "scratch"
        scratch.mkdir(exist_ok=True)
        run, watch = ground.start(*WORDS, f"store={store}", scratch=scratch), Watch(store)
        if watch.until(stage, run):
            time.sleep(share / 2**attempt * times.get(stage, 0.05))
            run.signal(how, group)
            if again:
                time.sleep(0.05)
                run.signal(how, group)
            if run.wait() != 0:
                return watch.stage(), run
    raise AssertionError(f"the run ended {ATTEMPTS} times before it could be cut off in {stage}")


def go_on(ground: Ground, store: Path) -> Started:
    """What a user would type: resume=RUN, or the same words where no run has begun."""
    runs = runs_of(store)
    assert len(runs) <= 1
    words = [f"resume={runs[0].info.run_id}"] if runs else WORDS
    return ground.start(*words, f"store={store}")


def whole(call: Call, store: Path, like: Path) -> None:
    """The store is as the undisturbed one, and `doctor` finds nothing that is wrong with it."""
    same_store(store, like)
    said = call("doctor", f"store={store}")
    assert said.code == 0, said.out


def left_behind(run: Started, patience_s: float = 15) -> list[str]:
    """The processes of a run that outlive its first one for longer than they may."""
    until = time.monotonic() + patience_s
    while (left := run.processes()) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def test_a_killed_run_ends_as_an_undisturbed_one(
    call: Call, ground: Ground, undisturbed: tuple[Path, dict[str, float]], tmp_path: Path, tries: Tries, count: Count
) -> None:
    """Killed in every stage; every other time its first process alone, as the kernel does where memory runs out; and
    every third time killed again while it goes on."""
    like, times = undisturbed
    n, lost, hit, faults = tries(len(FEW), 18), 0, [], []
    for i, (stage, share) in enumerate(moments(n, seed=8) if n > len(FEW) else FEW):
        store, kills = tmp_path / str(i) / "store", 1
        was, killed = cut_off(ground, store, times, stage, share, signal.SIGKILL, group=i % 2 == 0)
        hit.append(was)
        try:
            assert not left_behind(killed)
            run = go_on(ground, store)
            if n > len(FEW) and i % 3 == 2:
                time.sleep(2 * share)
                run.signal(signal.SIGKILL)
                if run.wait() != 0:
                    kills += 1
                    run = go_on(ground, store)
            assert run.wait() == 0, run.said()
            whole(call, store, like)
            assert not list((store.parent / "scratch").iterdir()), "temporary files"
        except AssertionError as error:
            lost += 1
            faults.append(f"{i}: {stage} {share:.2f}, was {was}, killed {kills} times: {error}")
        else:
            count("kills survived", kills)
            shutil.rmtree(store.parent)
    count("runs lost", lost)
    assert not faults, "\n\n".join(faults)
    if n > len(FEW):
        assert set(hit) >= set(STAGES) - {"testing"}, hit


@pytest.mark.slow
def test_a_killed_sweep_does_what_is_left_of_it(
    call: Call, ground: Ground, like: Path, tmp_path: Path, count: Count
) -> None:
    """Killed at any time between its first child and its end."""
    words = ("seed=1,2",)
    n, lost, faults = 4, 0, []
    began = time.monotonic()
    whole_one = swept(ground, tmp_path / "like", like, *words)
    span, drawn = time.monotonic() - began, random.Random(3)
    for i in range(n):
        store = warm(tmp_path / f"{i}" / "store", like)
        run = ground.start(*SWEEP, *words, f"store={store}")
        Watch(store).until("beginning", run)  # the sweep's own
        time.sleep(0.8 * span * (i + drawn.random()) / n)
        run.signal(signal.SIGKILL)
        if run.wait() == 0:
            continue
        try:
            (parent,) = [r for r in runs_of(store) if r.data.tags["kind"] == "sweep"]
            done = [r.info.run_id for r in runs_of(store) if r.info.status == "FINISHED"]
            ends = {r.info.run_id: r.info.end_time for r in runs_of(store)}
            assert parent.info.status == "RUNNING"
            run = ground.start(f"resume={parent.info.run_id}", f"store={store}")
            assert run.wait() == 0, run.said()
            whole(call, store, whole_one)
            assert [r.info.end_time for r in runs_of(store) if r.info.run_id in done] == [ends[d] for d in done]
        except AssertionError as error:
            lost += 1
            faults.append(f"{i}: {error}")
        else:
            count("kills survived")
    count("runs lost", lost)
    assert not faults, "\n\n".join(faults)


@pytest.mark.slow
def test_a_run_that_had_stopped_early_stays_so(
    call: Call, ground: Ground, like: Path, tmp_path: Path, count: Count
) -> None:
    """Killed after its last epoch, it trains no other."""
    words = (
        *WORDS,
        "trainer.patience=1",
        "trainer.max_epochs=9",
        "trainer.monitor=val/song/accuracy",
        "trainer.mode=max",
    )
    stores = [warm(tmp_path / name, like) for name in ("like", "killed")]
    run = ground.start(*words, f"store={stores[0]}")
    assert run.wait() == 0, run.said()
    run = ground.start(*words, f"store={stores[1]}")
    assert Watch(stores[1]).until("logging", run)
    run.signal(signal.SIGKILL)
    assert run.wait() != 0
    steps = {s for s, _ in history(stores[0], runs_of(stores[0])[0])["val/loss"]}
    assert len(steps) < 9, "it has not stopped early"
    run = go_on(ground, stores[1])
    assert run.wait() == 0, run.said()
    whole(call, stores[1], stores[0])
    count("kills survived")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(
    call: Call,
    ground: Ground,
    undisturbed: tuple[Path, dict[str, float]],
    tmp_path: Path,
    count: Count,
    how: signal.Signals,
) -> None:
    """To all of its processes, as a terminal does, or to the first alone; twice, as who is in a hurry does."""
    like, times = undisturbed
    faults = []
    for i, (stage, share) in enumerate(moments(len(STAGES), seed=how)):
        store = tmp_path / str(i) / "store"
        was, run = cut_off(ground, store, times, stage, share, how, group=i % 2 == 0, again=i % 3 == 0)
        try:
            said = run.err.read_text()
            assert run.code == 130, (run.code, said)
            assert "Traceback" not in said
            assert not left_behind(run)
            runs = runs_of(store)
            assert [r.info.status for r in runs] == ["KILLED"] * len(runs)
            onward = [f"interrupted; go on with python -m genrelab resume={r.info.run_id}" for r in runs]
            assert said.splitlines()[-1] == (onward or ["interrupted; what was made so far is kept"])[0]
            saved = list(store.glob("artifacts/*/*/artifacts/checkpoints/last.ckpt"))
            assert bool(saved) == (was in ("training", "testing", "logging"))
            run = go_on(ground, store)
            assert run.wait() == 0, run.said()
            if saved:
                assert "going on after epoch" in run.err.read_text()
            whole(call, store, like)
        except AssertionError as error:
            faults.append(f"{i}: {stage} {share:.2f}, was {was}: {error}")
        else:
            count("interrupts survived")
    assert not faults, "\n\n".join(faults)
