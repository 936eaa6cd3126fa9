"""The store's database held by another process, and what was being written when the power went."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from genrelab import entries, spool
from genrelab.track import Mlflow
from tests.conftest import Said, client
from tests.faults.out_of_reach.outages import another

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]

HOLD = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1]); db.isolation_level = None
db.execute("begin exclusive"); print("held", flush=True); time.sleep(float(sys.argv[2])); db.execute("rollback")
"""


def test_a_database_that_another_process_holds_makes_figures_wait_and_loses_none(
    empty: Path, tmp_path: Path, tries: Tries, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "LOCKED_S", 0.5)
    for n in range(tries(1, 4)):
        store = another(empty, tmp_path / str(n))
        run = Mlflow().begin(store, "held", "a run", {"kind": "run"})
        holder: list[subprocess.Popen[str]] = []
        waited: list[float] = []

        def between(store: Path = store, holder: list[Any] = holder, n: int = n) -> None:
            if not holder:
                words = [sys.executable, "-c", HOLD, str(store / "mlflow.db"), str(2 + n)]
                holder.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
                assert holder[0].stdout and holder[0].stdout.readline() == "held\n"

        began = time.monotonic()
        for epoch in range(20):
            run.metrics({"val/loss": float(epoch)}, epoch)
            between()
        waited.append(time.monotonic() - began)
        assert waited[0] < 2 * entries.LOCKED_S + 1, "the training was held up"
        assert (store / spool.FOLDER / f"{run.id}.jsonl").is_file()
        run.finish()
        holder[0].communicate()
        there = client(store)
        assert [m.step for m in there.get_metric_history(run.id, "val/loss")] == list(range(20))
        assert there.get_run(run.id).info.status == "FINISHED"
        assert not list((store / spool.FOLDER).glob("*.json*"))
        count("databases held by another process")


def test_a_database_that_stays_held_keeps_what_waits_for_doctor(
    store: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrelab import journal

    monkeypatch.setattr(journal, "PATIENCE_S", 0.2)
    monkeypatch.setattr(entries, "LOCKED_S", 0.1)
    run = Mlflow().begin(store, "held", "a run", {"kind": "sweep"})
    with closing(sqlite3.connect(store / "mlflow.db")) as db:
        db.isolation_level = None
        db.execute("begin exclusive")
        run.metrics({"val/loss": 1.0}, 0)
        run.finish()
        db.execute("rollback")
    assert client(store).get_run(run.id).info.status == "RUNNING"
    said = call("doctor", f"store={store}")
    assert said.code == 1
    assert run.id[:8] in said.out
    assert "1 thing is wrong" in said.out  # and not two: that it is RUNNING is a part of it
    assert call("doctor", "--fix", f"store={store}").code == 0
    there = client(store)
    assert there.get_run(run.id).info.status == "FINISHED"
    assert len(there.get_metric_history(run.id, "val/loss")) == 1


def test_a_line_that_was_cut_off_is_no_entry(tmp_path: Path, tries: Tries, count: Count) -> None:
    """A spool is cut at every byte, as a process is killed: what was whole is read, and it goes on from there."""
    whole = spool.Spool(tmp_path, "run").open()
    for n in range(3):
        whole.append({"do": "tags", "values": {"n": str(n), "text": "ä\n\u2028"}})
    whole.close()
    text = whole.path.read_bytes()
    step = tries(7, 1)
    for size in range(0, len(text) + 1, step):
        whole.path.write_bytes(text[:size])
        again = spool.Spool(tmp_path, "run").open()
        n = text[:size].count(b"\n")
        assert [e["values"]["n"] for e, _ in again.after(0)] == [str(i) for i in range(n)]
        again.append({"do": "end"})
        assert [e["do"] for e, _ in again.after(0)] == ["tags"] * n + ["end"]
        again.close()
        count("spools cut off")
