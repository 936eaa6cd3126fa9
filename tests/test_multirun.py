"""A sweep: one parent, its children below it, one table; what fails in one child is said and stops no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, Said, Songs, cut_off_in, runs_of

Call = Callable[..., Said]
SHORT = (*TINY, "trainer.max_epochs=1")


def family(store: Path) -> tuple[Any, list[Any]]:
    """The parent of the store's one sweep, and its children."""
    runs = runs_of(store)
    (parent,) = [r for r in runs if r.data.tags["kind"] == "sweep"]
    children = [r for r in runs if r is not parent]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} <= {parent.info.run_id}
    return parent, children


def test_four_combinations_are_four_children_of_one_run(
    call: Call, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cold store at its usual place, with the flag in the middle of the words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GENRELAB_STORE", raising=False)
    said = call(*songs.words, "-m", *SHORT, "front=stft,mel", "agg=vote,gru")
    assert said.code == 0, said.err
    parent, children = family(tmp_path / ".genrelab")
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"}
    made = {(c.data.tags["front"], c.data.tags["agg"]) for c in children}
    assert made == {(f, a) for f in ("stft", "mel") for a in ("vote", "gru")}
    assert len({c.info.run_name for c in children}) == len(children) == 4
    assert len({c.data.tags["data_digest"] for c in children}) == 1
    assert len({c.data.tags["split_digest"] for c in children}) == 1
    rows = [line for line in said.out.splitlines() if any(c.info.run_id[:8] in line for c in children)]
    assert len(rows) == 4
    by_validation = sorted((c.data.metrics["val/song/balanced_accuracy"] for c in children), reverse=True)
    assert [float(row.split()[2]) for row in rows] == pytest.approx([100 * v for v in by_validation], abs=0.051)
    assert "4 runs, " in said.out
    page = Path(parent.info.artifact_uri.removeprefix("file://")) / "comparison.html"
    assert f"page: {page}" in said.out
    kept = page.with_name("tables.md").read_text()
    assert all(f"\n| {c.info.run_name}" in kept for c in children) and str(tmp_path) not in kept
    best = max(children, key=lambda c: c.data.metrics["val/song/balanced_accuracy"])
    assert {k for k in parent.data.metrics if k.startswith("compare/") and k.endswith("/difference")} >= {
        f"compare/{_arm(best)} less {_arm(c)}/difference" for c in children if c is not best
    }
    assert parent.data.metrics["children"] == 4
    assert parent.data.metrics["best/val/song/balanced_accuracy"] == pytest.approx(by_validation[0])


def _arm(run: Any) -> str:
    return f"{run.data.tags['front']}-{run.data.tags['agg']}"


def test_a_child_that_fails_is_shown_and_the_others_finish(call: Call, songs: Songs, tmp_path: Path) -> None:
    said = call("-m", *songs.words, *SHORT, "front=stft", "front.n_bins=128,100,64", f"store={tmp_path}")
    assert said.code == 1
    parent, children = family(tmp_path)
    assert parent.info.status == "FAILED"
    assert sorted(c.info.status for c in children) == ["FAILED", "FINISHED", "FINISHED"]
    (failed,) = [c for c in children if c.info.status == "FAILED"]
    assert "front.n_bins=100 does not divide" in failed.data.tags["reason"]
    table = " ".join(said.out.split())
    assert "FAILED: front.n_bins=100 does not divide" in table
    assert failed.info.run_id[:8] in table
    assert "Traceback" not in said.err


def test_children_that_all_fail_leave_a_table_and_no_open_run(call: Call, songs: Songs, tmp_path: Path) -> None:
    said = call("-m", "data=manifest", *SHORT, "front=stft,mel", f"store={tmp_path}")
    assert said.code == 1
    parent, children = family(tmp_path)
    assert {r.info.status for r in (parent, *children)} == {"FAILED"}
    assert "data.path=FILE.csv" in " ".join(said.out.split())


def test_a_sweep_that_was_cut_off_does_only_what_is_left(
    call: Call, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = cut_off_in(monkeypatch, 3)
    said = call("-m", *songs.words, *SHORT, "front=stft,mel", "agg=vote,mean", f"store={tmp_path}")
    assert said.code == 130
    parent, children = family(tmp_path)
    assert parent.info.status == "KILLED"
    assert [c.info.status for c in children] == ["FINISHED", "FINISHED", "KILLED"]
    assert said.err.splitlines()[-1].endswith(f"resume={parent.info.run_id}")

    said = call(f"resume={parent.info.run_id}", f"store={tmp_path}")
    assert said.code == 0, said.err
    after, all_four = family(tmp_path)
    assert after.info.run_id == parent.info.run_id
    assert {r.info.status for r in (after, *all_four)} == {"FINISHED"}
    assert [r.info.run_id for r in all_four[:3]] == [r.info.run_id for r in children]
    assert len(begun) == 5  # the third again, and the fourth
    assert after.data.metrics["children"] == 4
    assert sum(r.info.run_id[:8] in line for line in said.out.splitlines() for r in all_four) == 4
