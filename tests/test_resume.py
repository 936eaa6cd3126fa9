"""A run that was cut off goes on in the same MLflow run and ends as if nothing had happened."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import TINY, Said, Songs, Trained, client, cut_off_in, program, runs_of

Call = Callable[..., Said]
LONG = (*TINY, "trainer.max_epochs=5", "trainer.songs_per_epoch=96")
PATIENCE_S = 60


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def after_epochs(store: Path, n: int, process: subprocess.Popen[str]) -> None:
    """Waits until the last checkpoint was written n times."""
    seen: set[int] = set()
    until = time.monotonic() + PATIENCE_S
    while len(seen) < n:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "no checkpoint"
        seen |= {p.stat().st_mtime_ns for p in store.glob("artifacts/*/*/artifacts/checkpoints/last.ckpt")}
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from genrelab.cli import main

    store = tmp_path_factory.mktemp("undisturbed")
    assert main([*songs.words, *LONG, f"store={store}"]) == 0
    return store


def same_end(store: Path, undisturbed: Path) -> None:
    """One finished run, every epoch's figures once, its answers equal to those of the undisturbed run."""
    (run,), (reference,) = runs_of(store), runs_of(undisturbed)
    assert run.info.status == "FINISHED"
    for name in ("val/loss", "train/loss"):
        history = client(store).get_metric_history(run.info.run_id, name)
        expected = client(undisturbed).get_metric_history(reference.info.run_id, name)
        assert [m.step for m in history] == [m.step for m in expected]
        assert [m.value for m in history] == pytest.approx([m.value for m in expected], abs=1e-6)
    for name in ("predictions", "slices"):
        mine, theirs = (pd.read_parquet(folder_of(r) / f"{name}.parquet") for r in (run, reference))
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    assert run.data.tags["config_hash"] == reference.data.tags["config_hash"]


def test_a_killed_run_ends_as_an_undisturbed_one(call: Call, songs: Songs, undisturbed: Path, tmp_path: Path) -> None:
    process = program(*songs.words, *LONG, f"store={tmp_path}")
    after_epochs(tmp_path, 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (cut_off,) = runs_of(tmp_path)
    assert cut_off.info.status == "RUNNING"  # nobody could say otherwise
    said = call(f"resume={cut_off.info.run_id}", f"store={tmp_path}")
    assert said.code == 0, said.err
    assert "going on after epoch" in said.err
    same_end(tmp_path, undisturbed)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(
    call: Call, songs: Songs, undisturbed: Path, tmp_path: Path, how: signal.Signals
) -> None:
    process = program(*songs.words, *LONG, f"store={tmp_path}")
    after_epochs(tmp_path, 1, process)
    process.send_signal(how)
    _, err = process.communicate(timeout=PATIENCE_S)
    (cut_off,) = runs_of(tmp_path)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == f"interrupted; go on with python -m genrelab resume={cut_off.info.run_id}"
    assert "Traceback" not in err
    assert cut_off.info.status == "KILLED"
    said = call(f"resume={cut_off.info.run_id[:8]}", f"store={tmp_path}")
    assert said.code == 0, said.err
    same_end(tmp_path, undisturbed)


def test_a_finished_run_says_so(call: Call, trained: Trained) -> None:
    before = client(trained.store).get_run(trained.id)
    said = call(f"resume={trained.id}", f"store={trained.store}")
    assert said.code == 0
    assert trained.id[:8] in said.err
    assert "finished" in said.err
    assert client(trained.store).get_run(trained.id).info.end_time == before.info.end_time


def test_folds_that_are_done_are_not_done_again(
    call: Call, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = cut_off_in(monkeypatch, 2)
    words = [*TINY, "trainer.max_epochs=1", "split=kfold", "split.n_folds=3"]
    said = call(*songs.words, *words, f"store={tmp_path}")
    assert said.code == 130
    parent, first, second = runs_of(tmp_path)
    assert [r.info.status for r in (parent, first, second)] == ["KILLED", "FINISHED", "KILLED"]
    assert said.err.splitlines()[-1].endswith(f"resume={parent.info.run_id}")

    said = call(f"resume={second.info.run_id}", f"store={tmp_path}")  # a fold alone is no whole run
    assert said.code == 2
    assert f"resume={parent.info.run_id}" in said.err

    said = call(f"resume={parent.info.run_id}", f"store={tmp_path}")
    assert said.code == 0, said.err
    runs = runs_of(tmp_path)
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert [r.info.run_id for r in runs[:3]] == [r.info.run_id for r in (parent, first, second)]
    assert len(runs) == 4
    assert begun == [0, 1, 1, 2]
    pooled = pd.read_parquet(folder_of(runs[0]) / "predictions.parquet")
    assert pooled[pooled["split"] == "test"]["id"].is_unique
    assert (pooled["split"] == "test").sum() == songs.n
