"""Whether a store that was disturbed holds what an undisturbed one holds: runs, figures, files, pictures."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.conftest import client, runs_of

OWN = ("cost/",)  # metrics that differ from run to run
MARKS = ("process", "mlflow.parentRunId", "precision", "git_commit", "mlflow.source.git.commit", "mlflow.note.content")
PARTIAL = ("*.part", "*.part*", "*.tmp", "*.tmp.*", ".model-*", "*-journal", "*.partial*")


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def history(store: Path, run: Any) -> dict[str, list[tuple[int, float | None]]]:
    """Metric -> its (step, value), every point that MLflow has; no value where it differs from run to run."""
    with closing(sqlite3.connect(store / "mlflow.db")) as db:
        asked = "select key, step, value from metrics where run_uuid = ? order by timestamp"
        rows = db.execute(asked, (run.info.run_id,)).fetchall()
    if run.data.tags["kind"] == "sweep":  # how many of its children failed, for one, changes when it goes on
        rows = [(*at, value) for at, value in {(key, step): value for key, step, value in rows}.items()]
    found: dict[str, list[tuple[int, float | None]]] = {}
    for key, step, value in sorted(rows):
        found.setdefault(key, []).append((step, None if key.startswith(OWN) else value))
    return found


def pictures(store: Path) -> dict[tuple[str, str], str]:
    """(front-end, song) -> a digest of the picture as it lies in the store."""
    found = {}
    for index in store.glob("cache/pictures/*/index.sqlite"):
        with closing(sqlite3.connect(index)) as db:
            n_bins = db.execute("pragma user_version").fetchone()[0]
            rows = db.execute("select key, first, n_frames from pictures").fetchall()
        data = np.fromfile(next(index.parent.glob("*.[fi]16")), np.uint16)
        data = data[: len(data) // n_bins * n_bins].reshape(-1, n_bins)
        for key, first, n in rows:
            assert first + n <= len(data), f"{key} lies beyond the file"
            found[index.parent.name, key] = hashlib.sha256(data[first : first + n].tobytes()).hexdigest()
    return found


def same_run(store: Path, run: Any, other: Path, reference: Any) -> None:
    """A finished run that nothing tells from the reference."""
    assert run.info.status == "FINISHED"
    mine, theirs = history(store, run), history(other, reference)
    steps = {k: Counter(s for s, _ in v) for k, v in mine.items()}
    assert not [k for k, s in steps.items() if max(s.values()) > 1], "figures of one step stand there twice"
    assert mine.keys() == theirs.keys()
    different = {k: (mine[k], theirs[k]) for k in theirs if mine[k] != theirs[k]}
    assert not different
    assert run.data.params == reference.data.params
    tags = [{k: _placeless(v) for k, v in r.data.tags.items() if v and k not in MARKS} for r in (run, reference)]
    assert tags[0] == tags[1]
    inputs = [[(d.dataset.name, d.dataset.digest) for d in r.inputs.dataset_inputs] for r in (run, reference)]
    assert inputs[0] == inputs[1]
    folders = [folder_of(r) for r in (run, reference)]
    assert files(folders[0]) == files(folders[1])
    for name in ("predictions", "slices"):
        if (folders[1] / f"{name}.parquet").exists():
            pd.testing.assert_frame_equal(*(pd.read_parquet(f / f"{name}.parquet") for f in folders), check_exact=True)


def _placeless(tag: str) -> str:
    """A tag without where the store lies."""
    return re.sub(r', "store=[^"]*"', "", tag)


def same_store(store: Path, other: Path) -> None:
    """The same runs, each once, the same pictures, and nothing that somebody was writing."""
    mine, theirs = (sorted(runs_of(s), key=known_by) for s in (store, other))
    assert [known_by(r) for r in mine] == [known_by(r) for r in theirs]
    for run, reference in zip(mine, theirs, strict=True):
        at = client(store), client(other)
        same_run(store, at[0].get_run(run.info.run_id), other, at[1].get_run(reference.info.run_id))
    assert pictures(store) == pictures(other)
    left = sorted({p.relative_to(store).as_posix() for pattern in PARTIAL for p in store.rglob(pattern)})
    assert not left, "half-written files"


def known_by(run: Any) -> tuple[str, str, str]:
    """What tells the runs of a store apart."""
    return run.data.tags["kind"], run.info.run_name.partition(" store=")[0], run.data.tags.get("seed", "")


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
