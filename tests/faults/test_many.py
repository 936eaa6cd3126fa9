"""Many processes on one store, and a store whose disk is full or read only."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Said, runs_of
from tests.faults import whole_runs
from tests.faults.files_seen import Seen
from tests.faults.forked import Ground, Started
from tests.faults.sameness import pictures, same_store
from tests.faults.small_disk import SmallDisk
from tests.faults.stages import Watch
from tests.faults.whole_runs import SWEEP, WORDS, size_of, swept, warm, watched

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]
ground, undisturbed, like, alone = whole_runs.ground, whole_runs.undisturbed, whole_runs.like, whole_runs.alone
SHORT = (*WORDS, "trainer.max_epochs=1")
SHARES = {"music": 0.5, "pictures": 0.5, "database": 0.5, "checkpoints": 0.5, "artifacts": 0.4}


def well(run: Started) -> None:
    assert run.wait() == 0, run.said()
    assert "Traceback" not in run.said()


def test_processes_that_start_on_one_cold_store_share_the_work(
    call: Call, ground: Ground, like: Path, alone: Seen, tmp_path: Path, tries: Tries, count: Count
) -> None:
    """Every song is made once and heard as often as by one process; the database's tables are made once."""
    n, store = tries(3, 8), tmp_path / "store"
    with watched(store) as seen:
        started = [ground.start(*SHORT, f"trainer.n_boot={100 + i}", f"store={store}") for i in range(n)]
        for run in started:
            well(run)
    runs = runs_of(store)
    assert len(runs) == n
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert len({r.data.tags["config_hash"] for r in runs}) == n
    assert len({r.data.tags["data_digest"] for r in runs}) == 1
    assert seen.made["mlflow.part.db"] == seen.arrived["mlflow.db"] == 1
    songs = [name for name in seen.arrived if name.endswith(".wav")]
    assert len(songs) == 72
    assert sum(n for name, n in seen.made.items() if name.endswith(".part")) == 72, "a song made twice"
    one = max(alone.opened[s] for s in songs)  # times a file is opened to be heard; the others look at its first bytes
    more = {s: seen.opened[s] for s in songs if seen.opened[s] > one + n - 1}
    assert len(more) <= n - 1, f"heard more than once: {more}, by one process {one} times"
    assert pictures(store) == pictures(like)
    sizes = [{p.name: size_of(p) for p in s.glob("cache/pictures/*/*.[fi]16")} for s in (store, like)]
    assert sizes[0] == sizes[1], "pictures that no index names"
    said = call("doctor", f"store={store}")
    assert said.code == 0, said.out
    count("processes on one cold store", n)


@pytest.mark.slow
def test_others_go_on_where_the_one_that_works_for_all_is_killed(
    call: Call, ground: Ground, like: Path, tmp_path: Path, count: Count
) -> None:
    """The first of them is killed while it makes the music, the pictures or the tables of the database."""
    for stage in ("music", "pictures", "database"):
        store = tmp_path / stage
        first = ground.start(*SHORT, f"store={store}")
        assert Watch(store).until(stage, first)
        others = [ground.start(*SHORT, f"trainer.n_boot={100 + i}", f"store={store}") for i in range(2)]
        first.signal(signal.SIGKILL, group=False)
        assert first.wait() == -signal.SIGKILL
        for run in others:
            well(run)
        assert [r.info.status for r in runs_of(store)] == ["FINISHED"] * 2
        assert pictures(store) == pictures(like)
        assert call("doctor", f"store={store}").code == 0
        count("kills survived")


@pytest.mark.slow
def test_two_sweeps_side_by_side(call: Call, ground: Ground, like: Path, tmp_path: Path, count: Count) -> None:
    store = warm(tmp_path / "store", like)
    words = [("seed=1,2",), ("seed=2,3",)]
    started = [ground.start(*SWEEP, *w, f"store={store}") for w in words]
    for run in started:
        well(run)
    runs = runs_of(store)
    assert {r.info.status for r in runs} == {"FINISHED"}
    parents = [r for r in runs if r.data.tags["kind"] == "sweep"]
    assert len(parents) == 2
    seeds = []
    for parent in parents:
        own = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        seeds.append(sorted(r.data.tags["seed"] for r in own))
        assert parent.data.metrics["children"] == 2
    assert sorted(seeds) == [["1", "2"], ["2", "3"]]
    twins = [r for r in runs if r.data.tags["seed"] == "2"]
    assert twins[0].data.metrics["test/song/accuracy"] == twins[1].data.metrics["test/song/accuracy"]
    said = call("doctor", f"store={store}")
    assert said.code == 0, said.out
    count("sweeps side by side", 2)


def room(like: Path, stage: str, share: float) -> int:
    """Bytes of a disk that is full when a share of a stage is done."""
    (run,) = runs_of(like)
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    sizes = {
        "music": size_of(like / "data"),
        "pictures": size_of(like / "cache"),
        "database": size_of(like / "mlflow.db"),
        "checkpoints": size_of(artifacts / "checkpoints"),
        "artifacts": size_of(artifacts) - size_of(artifacts / "checkpoints"),
    }
    before = [sizes[s] for s in list(sizes)[: list(sizes).index(stage)]]
    return int(sum(before) + share * sizes[stage])


def refused(run: Started, *, line: str) -> None:
    """A run that ended with a line, and without a traceback."""
    code, said = run.wait(), run.err.read_text()
    assert code in (1, 2), run.said()
    assert "Traceback" not in said
    assert line in " ".join(said.split()), said


def test_a_full_disk_is_a_line_and_loses_nothing(
    call: Call, ground: Ground, like: Path, tmp_path: Path, tries: Tries, count: Count
) -> None:
    """Full in every stage; when there is room the run goes on and ends as one whose disk was never full."""
    n, faults = tries(1, 10), []
    stages = list(SHARES)
    for i in range(n):
        stage = stages[i % len(stages)] if n > 1 else "checkpoints"
        share = (SHARES[stage] + 0.4 * (i // len(stages))) % 1
        with SmallDisk(tmp_path / str(i), room(like, stage, share)) as disk:
            try:
                refused(disk.start(ground, *WORDS), line="no room is left on the disk")
                disk.grow()
                there = runs_of(disk.store)
                words = [f"resume={there[0].info.run_id}"] if there else WORDS
                well(disk.start(ground, *words))
                same_store(disk.store, like)
                said = call("doctor", f"store={disk.store}")
                assert said.code == 0, said.out
            except AssertionError as error:
                faults.append(f"{i}: {stage} {share:.2f}: {error}")
            else:
                count("full disks survived")
    assert not faults, "\n\n".join(faults)


@pytest.mark.slow
def test_a_sweep_on_a_full_disk_goes_on_when_there_is_room(
    call: Call, ground: Ground, like: Path, tmp_path: Path, count: Count
) -> None:
    whole_one = swept(ground, tmp_path / "like", like, "seed=1,2")
    size = size_of(whole_one) - size_of(whole_one / "artifacts") // 3
    with SmallDisk(tmp_path / "disk", size) as disk:
        warm(disk.store, like)
        refused(disk.start(ground, *SWEEP, "seed=1,2"), line="no room is left on the disk")
        disk.grow()
        (parent,) = [r for r in runs_of(disk.store) if r.data.tags["kind"] == "sweep"]
        well(disk.start(ground, f"resume={parent.info.run_id}"))
        same_store(disk.store, whole_one)
    count("full disks survived")


@pytest.mark.slow
def test_a_store_that_cannot_be_written_to_is_a_line(ground: Ground, tmp_path: Path, count: Count) -> None:
    with SmallDisk(tmp_path / "disk", 1 << 30) as disk:
        if not disk.mounted:
            pytest.skip("this user may not mount, and is not stopped by permissions in another way that is real")
        well(disk.start(ground, *SHORT))
        before = {p: p.read_bytes() for p in disk.store.rglob("*") if p.is_file()}
        disk.close()
        songs = sorted(disk.store.glob("data/*/songs/*.wav"))[:1]
        for words in (
            WORDS,
            (*SWEEP, "seed=1,2"),
            ("compare", "last", "last"),
            ("tag", *songs),
            ("promote", "last"),
            ("doctor", "--fix"),
        ):
            ended = disk.start(ground, *words)
            code, said = ended.wait(), ended.said()
            assert "Traceback" not in said, (words, said)
            assert code in (1, 2) or words[0] in ("compare", "tag", "doctor"), (words, said)
            if words[0] not in ("compare", "tag", "doctor"):
                assert "cannot be written to" in " ".join(said.split()), (words, said)
        assert {p: p.read_bytes() for p in disk.store.rglob("*") if p.is_file()} == before
        disk.open()
        well(disk.start(ground, *WORDS, "seed=5"))
        count("read-only stores")
