"""`doctor`: a run that was killed is named, ended and finished; a run that goes on is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import TINY, Said, Songs, Trained, finished, program, runs_of

Call = Callable[..., Said]
LONG = (*TINY, "trainer.max_epochs=5", "trainer.songs_per_epoch=192")
PATIENCE_S = 120


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def checkpoints(store: Path) -> int:
    return len(list(store.glob("artifacts/*/*/artifacts/checkpoints/last.ckpt")))


def wait_for(there: Callable[[], object], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def words(said: Said) -> str:
    return " ".join(said.out.split())


def answers(run: Any) -> pd.DataFrame:
    return pd.read_parquet(folder_of(run) / "predictions.parquet")


def test_a_killed_run_is_named_ended_and_finished_as_if_nothing_had_happened(
    call: Call, songs: Songs, trained: Trained, tmp_path: Path
) -> None:
    store, undisturbed = tmp_path / "store", tmp_path / "undisturbed"
    assert call("doctor", f"store={trained.store}").code == 0  # it is loaded: the next call is faster than the training
    process = program(*songs.words, *LONG, f"store={store}")
    wait_for(lambda: checkpoints(store), process)
    going = call("doctor", "--fix", "--elsewhere", f"store={store}")  # beside the training
    assert going.code == 0, going.out
    assert f"goes on in process {process.pid}" in words(going)
    refused = call(f"resume={runs_of(store)[0].info.run_id}", f"store={store}")
    assert refused.code == 2
    assert f"goes on in process {process.pid}" in refused.err
    kill(process)

    (run,) = runs_of(store)
    assert run.info.status == "RUNNING"
    said = call("doctor", f"store={store}")
    assert said.code == 1
    assert run.info.run_id[:8] in said.out
    assert "its process is dead" in words(said)
    assert runs_of(store)[0].info.status == "RUNNING"  # without --fix nothing is touched

    said = call("doctor", "--fix", f"store={store}")
    assert said.code == 0, said.out
    assert f"resume={run.info.run_id[:8]} finishes it" in words(said)
    assert runs_of(store)[0].info.status == "KILLED"
    assert call("doctor", f"store={store}").code == 0

    assert call(f"resume={run.info.run_id}", f"store={store}").code == 0
    assert call(*songs.words, *LONG, f"store={undisturbed}").code == 0
    (run,), (reference,) = runs_of(store), runs_of(undisturbed)
    assert run.info.status == "FINISHED"
    pd.testing.assert_frame_equal(answers(run), answers(reference), check_exact=True)
    figures = {k: v for k, v in run.data.metrics.items() if not k.startswith("cost/")}
    assert figures == {k: v for k, v in reference.data.metrics.items() if not k.startswith("cost/")}
    assert call("doctor", f"store={store}").code == 0


def test_a_killed_sweep_is_ended_whole_and_finished(call: Call, songs: Songs, tmp_path: Path) -> None:
    sweep = ("-m", "seed=0,1", *songs.words, *LONG)
    process = program(*sweep, f"store={tmp_path}")
    wait_for(lambda: checkpoints(tmp_path) == 2, process)  # the second child
    kill(process)
    parent, first, second = runs_of(tmp_path)
    assert [r.info.status for r in (parent, first, second)] == ["RUNNING", "FINISHED", "RUNNING"]
    said = call("doctor", f"store={tmp_path}")
    assert said.code == 1
    assert "2 things are wrong" in words(said)
    assert call("doctor", "--fix", f"store={tmp_path}").code == 0
    assert [r.info.status for r in runs_of(tmp_path)] == ["KILLED", "FINISHED", "KILLED"]

    said = call(f"resume={parent.info.run_id}", f"store={tmp_path}")
    assert said.code == 0, said.err
    after = runs_of(tmp_path)
    assert [r.info.run_id for r in after] == [r.info.run_id for r in (parent, first, second)]
    assert {r.info.status for r in after} == {"FINISHED"}
    assert call("doctor", f"store={tmp_path}").code == 0


def test_a_whole_store_is_healthy_and_what_it_holds_is_said(call: Call, trained: Trained) -> None:
    said = call("doctor", f"store={trained.store}")
    assert said.code == 0, said.out
    assert f"nothing is wrong with {trained.store}" in words(said)
    for part in ("mlflow.db", "artifacts", "cache/pictures", "the disk"):
        assert part in said.out


def test_it_finds_what_was_broken_and_mends_it_once(call: Call, songs: Songs, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert call(*songs.words, *TINY, f"store={store}").code == 0
    (before,) = (answers(r) for r in runs_of(store))
    (shelf,) = (store / "cache" / "pictures").glob("mel-*")
    with (shelf / "pictures.f16").open("ab") as file:
        file.write(b"torn")
    os.truncate(store / "cache" / "files.sqlite", 5000)
    (store / "data" / "synth-1.part").mkdir(parents=True)
    stray = next((store / "artifacts").iterdir()) / ("e" * 32)
    (stray / "artifacts").mkdir(parents=True)
    said = call("doctor", f"store={store}")
    assert said.code == 1
    assert "4 things are wrong" in words(said)
    assert stray.is_dir()
    said = call("doctor", "--fix", f"store={store}")
    assert said.code == 0, said.out
    assert "4 mended; nothing else is wrong" in words(said)
    assert (store / "lost" / "artifacts" / stray.parent.name / stray.name).is_dir()
    assert call("doctor", "--fix", f"store={store}").code == 0
    assert call(*songs.words, *TINY, f"store={store}").code == 0  # what was deleted is made again
    pd.testing.assert_frame_equal(answers(runs_of(store)[1]), before, check_exact=True)


def test_a_budget_is_kept_and_pictures_come_back(call: Call, songs: Songs, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert call(*songs.words, *TINY, f"store={store}").code == 0
    assert call("doctor", "--budget", "1", f"store={store}").code == 0
    said = call("doctor", "--budget", "0.0001", f"store={store}")
    assert said.code == 1
    assert "over its budget" in words(said)
    assert list((store / "cache" / "pictures").iterdir())
    assert call("doctor", "--budget", "0.0001", "--fix", f"store={store}").code == 0
    assert not list((store / "cache" / "pictures").iterdir())
    assert call("rerun", "last", f"store={store}").code == 0


def test_a_broken_database_is_said_and_kept(call: Call, songs: Songs, tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "mlflow.db").write_bytes(b"no database " * 1000)
    for flags in ((), ("--fix",)):
        said = call("doctor", *flags, f"store={tmp_path}")
        assert said.code == 1
        assert "the database cannot be read" in words(said)
    assert (tmp_path / "mlflow.db").read_bytes() == b"no database " * 1000


def test_a_database_that_mlflow_refuses_is_said(call: Call, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "mlflow.db") as db:  # sound, but of an MLflow to come
        db.execute("create table alembic_version (version_num text)")
        db.execute("insert into alembic_version values ('ffffffffffff')")
        db.execute("create table experiments (a)")
    said = call("doctor", "--fix", f"store={tmp_path}")
    assert said.code == 1
    assert "MLflow cannot open the database" in words(said)
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["store=nowhere/at all"], "there is no such folder"),
        (["store=."], "nothing of genrelab's is in it"),
        (["--budget", "-1"], "--budget -1.0"),
        (["--budget", "much"], "--budget"),
        (["--mend"], "No such option"),
        (["now"], "unexpected extra argument"),
    ],
)
def test_wrong_words_end_in_a_line(
    call: Call, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENRELAB_STORE", str(trained.store))
    said = call("doctor", *given)
    assert said.code == 2
    assert expected in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "nowhere").exists()


def test_help_is_at_once(tmp_path: Path) -> None:
    heavy = ("torch", "mlflow", "pandas", "pytorch_lightning", "hydra")
    code = (
        "import sys, json; from genrelab.cli import main; main([sys.argv[1], '--help']); "
        f"print('LOADED', json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    )
    for verb in ("doctor", "rerun"):
        said = finished(verb, python=("-c", code), cwd=tmp_path)
        assert json.loads(said.out.rpartition("LOADED")[2]) == [], said.err
