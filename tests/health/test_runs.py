"""Runs that nobody ended, and a database and artifacts that do not know each other."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from genrelab import process, track
from genrelab.health import runs
from genrelab.health.base import Busy, Finding
from tests.conftest import client

DAY_S = 24 * 3600.0


def begun(store: Path, kind: str = "run", **tags: object) -> track.Run:
    """A run that nobody ends."""
    return track.Mlflow().begin(store, "tones", f"mel-{kind}", {"kind": kind, **tags})


def by(store: Path, run: track.Run, tag: str) -> None:
    client(store).set_tag(run.id, track.PROCESS, tag)


def dead() -> str:
    return process.here() + "0"


def elsewhere() -> str:
    return "x" + process.here()


def found(store: Path, *, elsewhere: bool = False) -> list[Finding]:
    there = runs.open_runs(store)
    return [*runs.examine(store, there, elsewhere), *runs.artifacts(store), *runs.partials(store, there)]


def only(store: Path, *, elsewhere: bool = False) -> Finding:
    (finding,) = found(store, elsewhere=elsewhere)
    return finding


def mend(finding: Finding) -> str:
    assert finding.mend
    return finding.mend()


def silent(run: track.Run, seconds: float) -> None:
    for path in (run.folder, *run.folder.rglob("*")):
        os.utime(path, (time.time() - seconds,) * 2)


def finished(store: Path, kind: str = "run") -> track.Run:
    run = begun(store, kind)
    for name in runs.NEEDED:
        (run.folder / name).write_text("x")
    run.finish()
    return run


def test_a_run_says_which_process_writes_it(tmp_path: Path) -> None:
    run = begun(tmp_path)
    assert run.tags[track.PROCESS] == process.here()
    by(tmp_path, run, dead())
    track.Mlflow().begin(tmp_path, "tones", "again", {}, resume=run.id)
    assert client(tmp_path).get_run(run.id).data.tags[track.PROCESS] == process.here()


def test_a_run_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    run = begun(tmp_path)
    (run.folder / "predictions.parquet.tmp").touch()
    finding = only(tmp_path, elsewhere=True)
    assert not finding.wrong
    assert finding.mend is None
    assert str(os.getpid()) in finding.what


def test_a_run_of_a_dead_process_is_ended_when_it_last_wrote(tmp_path: Path) -> None:
    run = begun(tmp_path)
    by(tmp_path, run, dead())
    time.sleep(1.1)
    finding = only(tmp_path)
    assert finding.wrong
    assert run.id[:8] in finding.what
    assert f"resume={run.id[:8]}" in mend(finding)
    ended = client(tmp_path).get_run(run.id)
    assert ended.info.status == "KILLED"
    assert ended.data.tags["reason"] == runs.ENDED
    assert 0 <= ended.info.end_time - ended.info.start_time < 1000
    assert found(tmp_path) == []


def test_a_run_that_goes_on_by_now_is_not_ended(tmp_path: Path) -> None:
    run = begun(tmp_path)
    by(tmp_path, run, dead())
    finding = only(tmp_path)
    by(tmp_path, run, process.here())  # somebody resumed it meanwhile
    with pytest.raises(Busy):
        mend(finding)
    assert client(tmp_path).get_run(run.id).info.status == "RUNNING"


@pytest.mark.parametrize("tag", [pytest.param(elsewhere(), id="named"), pytest.param("", id="unnamed")])
def test_a_run_of_another_machine_is_dead_after_a_day_or_where_the_user_says_so(tmp_path: Path, tag: str) -> None:
    run = begun(tmp_path)
    by(tmp_path, run, tag)
    assert not only(tmp_path).wrong
    assert only(tmp_path).mend is None
    assert only(tmp_path, elsewhere=True).wrong
    with sqlite3.connect(tmp_path / "mlflow.db") as db:
        db.execute("update runs set start_time = start_time - ?", (2000 * DAY_S,))
    silent(run, 2 * DAY_S)
    assert only(tmp_path).wrong
    mend(only(tmp_path))
    assert client(tmp_path).get_run(run.id).info.status == "KILLED"


@pytest.mark.parametrize("kind", ["run", "fold", "sweep", "probe"])
def test_how_to_go_on_is_said(tmp_path: Path, kind: str) -> None:
    parent = begun(tmp_path, "kfold")
    run = begun(tmp_path, kind, **({} if kind == "sweep" else {"mlflow.parentRunId": parent.id}))
    by(tmp_path, run, dead())
    (finding,) = [f for f in found(tmp_path) if f.mend]
    goal = {"run": parent, "fold": parent, "sweep": run}.get(kind)
    assert (f"resume={goal.id[:8]}" if goal else "do it again") in finding.remedy


def test_artifacts_without_a_run_are_put_aside(tmp_path: Path) -> None:
    kept, deleted = finished(tmp_path), finished(tmp_path)
    client(tmp_path).delete_run(deleted.id)  # in MLflow's pages, where it can be brought back
    stray = kept.folder.parents[1] / ("f" * 32)
    (stray / "artifacts").mkdir(parents=True)
    (stray / "artifacts" / "card.html").write_text("kept")
    (kept.folder.parents[1] / "models").mkdir()  # MLflow's own
    finding = only(tmp_path)
    assert finding.where == f"artifacts/tones/{'f' * 32}"
    mend(finding)
    assert (tmp_path / "lost" / "artifacts" / "tones" / stray.name / "artifacts" / "card.html").read_text() == "kept"
    assert found(tmp_path) == []
    assert kept.folder.is_dir()
    assert deleted.folder.is_dir()
    stray.mkdir()
    mend(only(tmp_path))
    assert (tmp_path / "lost" / "artifacts" / "tones" / f"{stray.name}-2").is_dir()


def test_a_finished_run_without_its_answers_is_noted_once(tmp_path: Path) -> None:
    run = finished(tmp_path)
    finished(tmp_path, "sweep")
    (run.folder / "predictions.parquet").unlink()
    finding = only(tmp_path)
    assert "lacks predictions.parquet" in finding.what
    mend(finding)
    assert found(tmp_path) == []
    assert client(tmp_path).get_run(run.id).info.status == "FINISHED"


def test_a_moved_store_finds_its_artifacts_again(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new store"
    run = finished(old)
    old.rename(new)
    finding = only(new)
    assert finding.where == str(old / "artifacts")
    assert finding.amount == "1 run"
    mend(finding)
    assert found(new) == []
    (record,) = track.records(new)
    assert (record.id, record.folder) == (run.id, new / "artifacts" / "tones" / run.id / "artifacts")
    assert begun(new).folder.is_relative_to(new)  # what begins now lies here, too


def test_a_copied_store_no_longer_looks_into_the_first(tmp_path: Path) -> None:
    finished(tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    mend(only(tmp_path / "new"))
    assert track.records(tmp_path / "new")[0].folder.is_relative_to(tmp_path / "new")
    assert track.records(tmp_path / "old")[0].folder.is_relative_to(tmp_path / "old")


def test_half_written_files_of_ended_runs_go(tmp_path: Path) -> None:
    run, killed = finished(tmp_path), begun(tmp_path)
    by(tmp_path, killed, dead())
    half = [run.folder / "predictions.parquet.tmp", killed.folder / "rule.tmp.npz"]
    for path in half:
        path.write_text("half")
    there = [f for f in found(tmp_path) if "half-written" in f.what]
    assert {tmp_path / f.where for f in there} == set(half)
    for finding in there:
        mend(finding)
    assert not any(p.exists() for p in half)
    assert (run.folder / "predictions.parquet").exists()


def test_a_database_that_is_gone_or_broken_is_said_and_nothing_is_moved(tmp_path: Path) -> None:
    run = finished(tmp_path)
    assert runs.database(tmp_path) is None
    whole = (tmp_path / "mlflow.db").read_bytes()
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 1000)
    broken = runs.database(tmp_path)
    assert broken is not None
    assert broken.mend is None
    (tmp_path / "mlflow.db").unlink()
    gone = runs.database(tmp_path)
    assert gone is not None
    assert (gone.amount, gone.mend) == ("1 run", None)
    assert run.folder.is_dir()
    (tmp_path / "mlflow.db").write_bytes(whole)
    assert runs.database(tmp_path) is None


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (59, "59 s"), (600, "10 min"), (7200, "2 h"), (93784, "26 h"), (4e5, "5 days")]
)
def test_durations_are_readable(seconds: float, said: str) -> None:
    assert runs.duration(seconds) == said
