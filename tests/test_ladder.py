"""The ladder and folds as their users have them: the rungs that the data allow run, the others are named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import TINY, Said, Songs, runs_of, write_manifest

Call = Callable[..., Said]
SHORT = (*TINY, "trainer.max_epochs=1", "slice.hop_s=1.0", "slice.jitter=false")  # 4 slices: some for every side


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def test_a_ladder_runs_the_rungs_that_the_data_allow_and_names_the_others(
    call: Call, songs: Songs, tmp_path: Path
) -> None:
    """Artists, and two studios, which are too few for three sides."""
    rows = [[str(songs.folder / p), g, a, f"s{a[-1] in '02468'}"] for p, g, a in pd.read_csv(songs.manifest).values]
    table = write_manifest(tmp_path / "table.csv", rows, ("path", "genre", "artist", "studio"))
    said = call("data=manifest", f"data.path={table}", *SHORT, "sweep=leak_ladder", f"store={tmp_path / 'store'}")
    assert said.code == 0, said.err
    parent, *children = runs_of(tmp_path / "store")
    assert parent.data.tags["kind"] == "sweep"
    assert [c.data.tags["split"] for c in children] == ["slice", "song", "artist"]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    assert "no album column: that rung is left out" in said.err
    assert "no group column: that rung is left out" in said.err
    assert "the rung studio is left out: high, low" in said.err
    shown = " ".join(said.out.split())
    assert "split by test fall to the next" in shown
    assert "no run stands on the rungs album, group, studio" in shown
    for child, n_next in zip(children, ("48 and 12", "12 and 12", "–"), strict=True):
        value = 100 * child.data.metrics["test/song/balanced_accuracy"]
        (line,) = [row for row in said.out.splitlines() if row.startswith(f"{child.data.tags['split']} ")]
        assert line.split()[1] == f"{value:.1f}"
        assert n_next in line
    assert (folder_of(parent) / "pictures" / "sweep.png").is_file()


def test_a_ladder_over_folds_tests_every_song_on_every_rung(call: Call, songs: Songs, tmp_path: Path) -> None:
    said = call(*songs.words, *SHORT, "sweep=leak_ladder_folds", "split.n_folds=3", f"store={tmp_path}")
    assert said.code == 0, said.err
    runs = [r for r in runs_of(tmp_path) if r.data.tags["kind"] in ("run", "kfold")]
    assert [r.data.tags.get("split_by", r.data.tags["split"]) for r in runs] == ["slice", "song", "artist"]
    for run in runs:
        songs_ = pd.read_parquet(folder_of(run) / "predictions.parquet")
        assert songs_["id"][songs_["split"] == "test"].is_unique
        assert (songs_["split"] == "test").sum() == songs.n
    for rung in ("slice", "song"):
        (line,) = [row for row in said.out.splitlines() if row.startswith(f"{rung} ")]
        assert "48, paired" in line


def test_a_ladder_without_data_is_a_line_and_not_a_traceback(call: Call, tmp_path: Path) -> None:
    said = call("data=manifest", *SHORT, "sweep=leak_ladder", f"store={tmp_path}")
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("genrelab")
    assert "data.path" in said.err
    assert "Traceback" not in said.err


def test_folds_have_a_row_each_and_a_sweep_over_them_chooses_in_each_fold(
    call: Call, songs: Songs, tmp_path: Path
) -> None:
    words = [*songs.words, *TINY, "sweep=kfold", "split.n_folds=3", "trainer.max_epochs=1", f"store={tmp_path}"]
    said = call(*words, "-m", "agg=vote,mean")
    assert said.code == 0, said.err
    parents = [r for r in runs_of(tmp_path) if r.data.tags["kind"] == "kfold"]
    assert [p.data.tags["agg"] for p in parents] == ["vote", "mean"]
    for parent in parents:
        folds = [r for r in runs_of(tmp_path) if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
        figures = [f.data.metrics["test/song/balanced_accuracy"] for f in folds]
        assert parent.data.metrics["folds/song/balanced_accuracy"] == pytest.approx(sum(figures) / 3)
        for k, value in enumerate(figures):
            rows = [row.split() for row in said.out.splitlines() if row.startswith(f"fold {k + 1} ")]
            assert f"{100 * value:.1f}" in [row[3] for row in rows]
        assert (folder_of(parent) / "pictures" / "folds.png").is_file()
        pooled = pd.read_parquet(folder_of(parent) / "predictions.parquet")
        for k, fold in enumerate(folds):
            own = pd.read_parquet(folder_of(fold) / "predictions.parquet")
            assert list(pooled["id"][pooled["fold"] == k]) == list(own["id"])
    (line,) = [row for row in said.out.splitlines() if row.startswith(("vote less mean ", "mean less vote "))]
    assert f"2 runs, {songs.n} test songs" in said.out
    (line,) = [row for row in said.out.splitlines() if row.startswith("nested: ")]
    assert line.split()[1].replace(".", "").isdigit()


def test_the_split_that_a_run_wrote_gives_the_same_sides_again(call: Call, songs: Songs, tmp_path: Path) -> None:
    store = f"store={tmp_path / 'store'}"
    assert call(*songs.words, *SHORT, store, "split=artist", "seed=3").code == 0
    (first,) = runs_of(tmp_path / "store")
    given = shutil.copy(folder_of(first) / "split.csv", tmp_path / "Ünï [x] #1.csv")
    said = call(*songs.words, *SHORT, store, "split=file", f"split.path={given}", "seed=4")
    assert said.code == 0, said.err
    _, second = runs_of(tmp_path / "store")
    assert second.data.tags["split_digest"] == first.data.tags["split_digest"]
    assert (folder_of(second) / "split.csv").read_text() == (folder_of(first) / "split.csv").read_text()
    said = call(*songs.words, *SHORT, store, "split=artist", "seed=4")
    assert runs_of(tmp_path / "store")[2].data.tags["split_digest"] != first.data.tags["split_digest"]
