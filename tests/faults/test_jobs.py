"""Runs of a sweep in processes of their own, killed, interrupted, taken away: the others go on, and so do they."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genrelab import process as processes
from tests.conftest import TINY, Said, Songs, client, program, runs_of
from tests.slurm import Slurm
from tests.test_multirun import family

Call = Callable[..., Said]
Count = Callable[..., None]
LONG = (*TINY, "front=stft", "trainer.max_epochs=8", "trainer.songs_per_epoch=96", "trainer.patience=null")
PATIENCE_S = 180


class Sweep:
    """A sweep that goes on, in a store of its own."""

    def __init__(self, songs: Songs, store: Path, launcher: str, *more: str, programs: Path | None = None) -> None:
        self.store = store
        path = f"{programs}{os.pathsep}{os.environ['PATH']}" if programs else os.environ["PATH"]
        words = ["-m", f"hydra/launcher={launcher}", *songs.words, *LONG, *more, f"store={store}"]
        self.process = program(*words, env=os.environ | {"PATH": path}, start_new_session=True)

    def children(self) -> list[Any]:
        return [r for r in runs_of(self.store) if r.data.tags["kind"] == "run"]

    def in_training(self, n: int = 1) -> list[Any]:
        """Waits until n children have a checkpoint and go on; those children."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.process.poll() is None:
            there = [c for c in self.children() if c.info.status == "RUNNING" and last(c).exists()]
            if len(there) >= n:
                return there
            time.sleep(0.05)
        self.process.kill()
        raise AssertionError(self.process.communicate())

    def end(self) -> Said:
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Said(self.process.returncode, out, err)


def last(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://")) / "checkpoints" / "last.ckpt"


def writer(store: Path, run: Any) -> int:
    """The process that writes a run now."""
    return int(processes.pid(client(store).get_run(run.info.run_id).data.tags["process"]))


def kill(store: Path, run: Any, how: signal.Signals = signal.SIGKILL) -> int:
    number = writer(store, run)
    os.kill(number, how)
    return number


def in_another(sweep: Sweep, run: Any, before: int) -> None:
    """Waits until another process writes a run."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and sweep.process.poll() is None:
        tag = client(sweep.store).get_run(run.info.run_id).data.tags["process"]
        if processes.pid(tag) not in ("", str(before)):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody went on with it: {sweep.end()}")


def once(store: Path, run: Any, epochs: int = 8) -> None:
    """A run that was cut off has each epoch's figures once."""
    steps = [m.step for m in client(store).get_metric_history(run.info.run_id, "val/loss")]
    assert steps == list(range(epochs))


@pytest.mark.slow
def test_a_process_that_is_killed_ends_no_run(songs: Songs, tmp_path: Path, count: Count) -> None:
    """joblib ends all its processes where one is killed: their runs go on from where they were. Killed again and alone,
    a run has failed, and the others are done all the same."""
    sweep = Sweep(songs, tmp_path, "processes", "agg=vote,mean,stats", "jobs=2")
    victim = sweep.in_training(2)[0]
    first = kill(tmp_path, victim)
    in_another(sweep, victim, first)
    kill(tmp_path, victim)
    said = sweep.end()
    assert said.code == 1, said.err
    parent, children = family(tmp_path)
    assert len(children) == 3
    status = {c.info.run_id: c.info.status for c in children}
    assert status.pop(victim.info.run_id) == "FAILED"
    assert set(status.values()) == {"FINISHED"} and parent.info.status == "FAILED"
    assert "FAILED: its process ended without a word" in " ".join(said.out.split())
    assert victim.info.run_id[:8] in said.out
    assert "Traceback" not in said.err
    for child in children:
        if child.info.status == "FINISHED":
            once(tmp_path, child)
    count("processes of a sweep killed", 2)


def test_a_job_that_is_killed_has_failed_alone(songs: Songs, tmp_path: Path, count: Count) -> None:
    sweep = Sweep(songs, tmp_path, "local_jobs", "agg=vote,mean", "jobs=2")
    victim = sweep.in_training()[0]
    kill(tmp_path, victim)
    said = sweep.end()
    assert said.code == 1, said.err
    _, children = family(tmp_path)
    assert {c.info.run_id == victim.info.run_id: c.info.status for c in children} == {True: "FAILED", False: "FINISHED"}
    assert "FAILED: its process ended without a word" in " ".join(said.out.split())
    assert "Traceback" not in said.err
    count("processes of a sweep killed")


@pytest.mark.parametrize("launcher", ["slurm", pytest.param("local_jobs", marks=pytest.mark.slow)])
def test_a_job_that_is_taken_away_is_queued_again_and_goes_on(
    songs: Songs, tmp_path: Path, count: Count, launcher: str
) -> None:
    """SIGTERM first, which means nothing yet, then submitit's signal; under SLURM then killed outright, too, as where a
    node is lost."""
    slurm = Slurm(tmp_path / "slurm") if launcher == "slurm" else None
    store = tmp_path / "store"
    sweep = Sweep(songs, store, launcher, "agg=vote,mean", "jobs=2", programs=slurm and slurm.folder)
    (victim, other) = sweep.in_training(2)[:2]
    first = kill(store, victim, signal.SIGTERM)
    time.sleep(0.5)
    assert writer(store, victim) == first and processes.lives(first)
    kill(store, victim, signal.SIGUSR2)
    if slurm:
        kill(store, other)
    in_another(sweep, victim, first)
    said = sweep.end()
    assert said.code == 0, said.err + said.out
    parent, children = family(store)
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"} and len(children) == 2
    for child in children:
        once(store, child)
    logs = "".join(p.read_text() for p in store.glob("logs/sweeps/*/*/log.txt"))
    assert logs.count("going on after epoch") == (2 if slurm else 1)
    count("jobs taken away", 2 if slurm else 1)


@pytest.mark.parametrize(
    ("launcher", "how", "then"),
    [
        ("processes", "terminal", "hydra/launcher=local_jobs"),
        pytest.param("local_jobs", "terminal", "jobs=1", marks=pytest.mark.slow),
        pytest.param("ray_cluster", "first", "hydra/launcher=processes", marks=pytest.mark.slow),
        pytest.param("slurm", "first", "hydra/launcher=basic", marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_ends_every_run_and_says_how_to_go_on(
    call: Call, songs: Songs, tmp_path: Path, count: Count, launcher: str, how: str, then: str
) -> None:
    """To all processes, as a terminal sends it, or to the first alone; the sweep goes on under another launcher."""
    slurm = Slurm(tmp_path / "slurm") if launcher == "slurm" else None
    store = tmp_path / "store"
    sweep = Sweep(songs, store, launcher, "agg=vote,mean,stats", "jobs=2", programs=slurm and slurm.folder)
    begun = sweep.in_training(2)
    numbers = [writer(store, c) for c in begun]
    if how == "terminal":
        os.killpg(sweep.process.pid, signal.SIGINT)
    else:
        sweep.process.send_signal(signal.SIGINT)
    said = sweep.end()
    assert said.code == 130, said.err
    parent, children = family(store)
    assert said.err.splitlines()[-1] == f"interrupted; go on with python -m genrelab resume={parent.info.run_id}"
    assert "Traceback" not in said.err, said.err
    assert {r.info.status for r in (parent, *children)} <= {"KILLED", "FINISHED"} and parent.info.status == "KILLED"
    until = time.monotonic() + 10
    while any(processes.lives(n) for n in numbers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [n for n in numbers if processes.lives(n)]
    if slurm:
        assert all((slurm.folder / f"1000_{i}.cancelled").exists() for i in range(3))  # what waits in the queue, too

    again = program(f"resume={parent.info.run_id}", then, f"store={store}")
    out, err = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, err
    after, done = family(store)
    assert after.info.run_id == parent.info.run_id and len(done) == 3
    assert {r.info.status for r in (after, *done)} == {"FINISHED"}
    assert {c.info.run_id for c in children} <= {c.info.run_id for c in done}
    assert sum(c.info.run_id[:8] in line for line in out.splitlines() for c in done) == 3
    for child in done:
        once(store, child)
    count("sweeps interrupted")


@pytest.mark.slow
def test_a_sweep_whose_runs_go_on_without_it_is_not_done_twice(call: Call, songs: Songs, tmp_path: Path) -> None:
    """submitit's jobs outlive the process that has started them."""
    sweep = Sweep(songs, tmp_path, "local_jobs", "agg=vote,mean", "jobs=2")
    child = sweep.in_training()[0]
    sweep.process.kill()
    sweep.process.wait()
    parent, _ = family(tmp_path)
    said = call(f"resume={parent.info.run_id}", f"store={tmp_path}")
    assert said.code == 2
    assert f"goes on in process {writer(tmp_path, child)}" in said.err
    for run in sweep.children():
        subprocess.run(["kill", "-9", str(writer(tmp_path, run))])
