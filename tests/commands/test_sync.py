"""`sync`: what a laptop's store has is on the server too, once each, however often it is copied and cut off."""

from __future__ import annotations

import contextlib
import http.server
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genrelab import copies, delivery, spool
from genrelab.track import Mlflow, Run
from tests.commands.conftest import by_fold
from tests.conftest import Said, Songs, client, program, runs_of
from tests.faults.out_of_reach import outages
from tests.faults.out_of_reach.outages import PASSWORD, compare, write
from tests.faults.servers import HOST, MlflowServer, Way, free_port

Call = Callable[..., Said]
empty, store = outages.empty, outages.store
STRANGE_NAME = b"Invalid Host header - possible DNS rebinding attack detected"  # MLflow's own words


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    made = MlflowServer(tmp_path_factory.mktemp("team")).start()
    yield made
    made.stop()


@pytest.fixture
def way(there: MlflowServer) -> Iterator[Way]:
    made = Way(there.uri)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "WAITS_S", (0.01, 0.01))
    outages.unasked(monkeypatch, 0.2)


def begun(store: Path, name: str, **tags: object) -> Run:
    return Mlflow().begin(store, store.parent.name, name, {"kind": "run", **tags})


def swept(store: Path) -> tuple[Run, list[Run]]:
    """A sweep with two runs, all ended."""
    parent = begun(store, "a sweep", kind="sweep")
    below = [begun(store, f"run {n}", **{"mlflow.parentRunId": parent.id}) for n in range(2)]
    for run in (*below, parent):
        write(run)
    return parent, below


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """Something that answers every request so; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    pages = http.server.ThreadingHTTPServer((HOST, 0), Handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{pages.server_address[1]}"
    finally:
        pages.shutdown()
        pages.server_close()


def none(*_: object) -> None:
    """Nothing of these is counted."""


def on(there: MlflowServer) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(there.uri)


def copied(there: MlflowServer, store: Path) -> dict[str, Any]:
    """The server's runs of a store by the ids that they have there."""
    found = on(there)
    at = found.get_experiment_by_name(store.parent.name)
    runs = found.search_runs([at.experiment_id]) if at else []
    return {r.data.tags[delivery.OWN_ID]: r for r in runs}


def test_what_has_ended_is_there_once_and_what_goes_on_is_passed_over(
    call: Call, there: MlflowServer, store: Path
) -> None:
    parent, below = swept(store)
    begun(store, "broken").finish("FAILED", "out of memory")
    going = begun(store, "still going")
    child = begun(store, "below it", **{"mlflow.parentRunId": going.id})
    child.finish()

    said = call("sync", "--all", "--to", there.uri, f"store={store}")
    assert said.code == 0
    assert said.out == f"4 copied to {there.uri}, 0 there already, 2 passed over\n"
    assert said.err.splitlines() == [
        f"passed over: still going ({going.id[:8]}): it is in training",
        f"passed over: below it ({child.id[:8]}): still going, to which it belongs, is passed over",
    ]
    write(going)
    said = call("sync", "--all", "tracker=server", f"tracker.uri={there.uri}/", f"store={store}")
    assert (said.code, said.out) == (0, f"2 copied to {there.uri}, 4 there already, 0 passed over\n")
    said = call("sync", "--all", "--to", there.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"0 copied to {there.uri}, 6 there already, 0 passed over\n")

    for run in runs_of(store):
        if run.info.status == "FINISHED":
            continue
        assert copied(there, store)[run.info.run_id].info.status == "FAILED"
        assert copied(there, store)[run.info.run_id].data.tags["reason"] == "out of memory"
        client(store).update_run(run.info.run_id, status="FINISHED")
        on(there).update_run(copied(there, store)[run.info.run_id].info.run_id, status="FINISHED")
    compare(store, there, none)
    arrived = copied(there, store)
    assert len(arrived) == 6
    for run in runs_of(store):
        other = arrived[run.info.run_id]
        assert (other.info.start_time, other.info.end_time) == (run.info.start_time, run.info.end_time)
        assert "process" not in other.data.tags
        assert not [v for v in other.data.tags.values() if str(store) in v]
    assert {arrived[b.id].data.tags["mlflow.parentRunId"] for b in below} == {arrived[parent.id].info.run_id}
    assert arrived[child.id].data.tags["mlflow.parentRunId"] == arrived[going.id].info.run_id
    at, run_id = arrived[parent.id].info.experiment_id, arrived[parent.id].info.run_id
    assert f"#/experiments/{at}/runs/{run_id}/artifacts" in arrived[parent.id].data.tags["mlflow.note.content"]
    assert on(there).get_experiment(at).tags["mlflow.note.content"] == "What the songs are."


def test_a_trained_run_is_there_with_its_folds(call: Call, there: MlflowServer, songs: Songs, tmp_path: Path) -> None:
    """A real one: what a fold's name brings along is its parent, and what the parent's name brings are all folds."""
    store, run, folds = by_fold(songs, tmp_path)  # its own: below another one verbs log runs, too
    said = call("sync", folds[1].info.run_id, "--to", there.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"2 copied to {there.uri}, 0 there already, 0 passed over\n")
    said = call("sync", run.info.run_id[:12], "--to", there.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"{len(folds) - 1} copied to {there.uri}, 2 there already, 0 passed over\n")
    found = {r.data.tags[delivery.OWN_ID]: r for r in compare(store, there, none)}
    assert {found[f.info.run_id].data.tags["mlflow.parentRunId"] for f in folds} == {found[run.info.run_id].info.run_id}
    listed = on(there).list_artifacts(found[folds[0].info.run_id].info.run_id, "checkpoints")
    assert "checkpoints/best.ckpt" in [f.path for f in listed]


@pytest.mark.parametrize("after", [1, 7, 14])
def test_a_copy_that_was_cut_off_is_ended_by_the_next_one(
    after: int, call: Call, there: MlflowServer, way: Way, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is gone after so many requests; what waits for it has nobody's password."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    swept(store)
    way.choose = lambda number, _: "down" if number > after else ""
    said = call("sync", "--all", "--to", way.uri, f"store={store}")
    assert said.code == 1
    assert re.search(rf"^0 copied to {way.uri}, 0 there already, 0 passed over, 3 to go$", said.out, re.M)
    assert len(said.err.splitlines()) == 1
    assert f"{way.uri} cannot be had (it hung up)" in said.err
    assert "Authorization" in way.headers[-1]
    waiting = list((store / spool.FOLDER).glob("*.jsonl"))
    assert bool(waiting) == (after > 1)  # the first request asks whether the server is there
    assert not [p for p in store.rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()]
    way.choose = lambda *_: ""
    said = call("sync", "--all", "--to", way.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"3 copied to {way.uri}, 0 there already, 0 passed over\n")
    compare(store, there, none)


def test_one_lost_answer_ends_no_copy(call: Call, there: MlflowServer, way: Way, store: Path) -> None:
    swept(store)
    way.choose = lambda number, _: "answer lost" if number % 7 == 0 else ""
    said = call("sync", "--all", "--to", way.uri, f"store={store}")
    assert said.code == 0, said.err
    assert way.wrong >= 3
    compare(store, there, none)


def test_a_copy_that_was_killed_is_ended_by_doctor(call: Call, there: MlflowServer, way: Way, store: Path) -> None:
    swept(store)
    way.choose = lambda _, path: "black hole" if "mlflow-artifacts" in path else ""
    process = program("sync", "--all", "--to", way.uri, f"store={store}")
    until = time.monotonic() + 60
    while not way.wrong and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [r.info.status for r in copied(there, store).values()] == ["RUNNING"]
    way.choose = lambda *_: ""
    assert call("doctor", "--fix", f"store={store}").code == 0
    assert [r.info.status for r in copied(there, store).values()] == ["FINISHED"]
    said = call("sync", "--all", "--to", way.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"2 copied to {way.uri}, 1 there already, 0 passed over\n")
    compare(store, there, none)


def test_what_was_resumed_since_is_brought_up_to_date(call: Call, there: MlflowServer, store: Path) -> None:
    run = begun(store, "twice")
    run.metrics({"val/loss": 1.0}, 0)
    run.finish("FAILED", "out of memory")
    words = ("sync", "twice", "--to", there.uri, f"store={store}")
    assert call("sync", run.id, *words[2:]).out.startswith("1 copied")
    again = Mlflow().begin(store, store.parent.name, "twice", {}, resume=run.id)
    again.metrics({"val/loss": 0.5}, 1)
    (again.folder / "more.txt").write_text("more")
    time.sleep(0.002)
    again.finish()
    assert call(*words).out == f"1 copied to {there.uri}, 0 there already, 0 passed over\n"
    compare(store, there, none)


def test_what_was_deleted_on_the_server_stays_so(call: Call, there: MlflowServer, store: Path) -> None:
    begun(store, "unwanted").finish()
    words = ("sync", "last", "--to", there.uri, f"store={store}")
    assert call(*words).code == 0
    (other,) = copied(there, store).values()
    on(there).delete_run(other.info.run_id)
    said = call(*words)
    assert (said.code, said.out) == (0, f"0 copied to {there.uri}, 0 there already, 1 passed over\n")
    assert "deleted there" in said.err
    assert not copied(there, store)


def test_what_waits_for_another_server_or_has_lost_its_files_is_passed_over(
    call: Call, there: MlflowServer, store: Path
) -> None:
    gone, waits = begun(store, "gone"), begun(store, "waits")
    for run in (gone, waits):
        run.finish()
    gone.folder.rmdir()
    own = spool.Spool(store, waits.id).open()
    own.append({"do": "begin", "uri": "http://elsewhere"})
    said = call("sync", "--all", "--to", there.uri, f"store={store}")
    assert f"waits ({waits.id[:8]}): another process delivers it" in said.err
    own.close()
    said = call("sync", "--all", "--to", there.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"0 copied to {there.uri}, 0 there already, 2 passed over\n")
    assert f"gone ({gone.id[:8]}): its artifacts are not where they were: doctor --fix" in said.err
    assert f"waits ({waits.id[:8]}): it waits for http://elsewhere: doctor --fix" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--all"], "--to http://HOST:PORT"),
        (["--all", "--to", "somewhere"], "expected the address of an MLflow server"),
        (["--all", "--to", f"http://ada:{PASSWORD}@{HOST}"], "do not belong into an address"),
        (["--all", f"tracker.uri=http://ada:{PASSWORD}@{HOST}"], "do not belong into an address"),
        (["--all", "--to", "http://a", "tracker.uri=http://b"], "one server at a time"),
        (["--to", "http://a"], "say --all"),
        (["last", "--all", "--to", "http://a"], "either --all or last"),
        (["nobody", "--to", "http://a"], "no run 'nobody'"),
    ],
)
def test_wrong_words_are_a_line(call: Call, store: Path, words: list[str], said: str) -> None:
    begun(store, "one").finish()
    got = call("sync", *words, f"store={store}")
    assert got.code == 2
    assert said in got.err
    assert len(got.err.splitlines()) == 1
    assert PASSWORD not in got.err


def test_no_store_is_a_line_and_makes_none(call: Call, tmp_path: Path) -> None:
    got = call("sync", "--all", "--to", "http://a", f"store={tmp_path / 'none'}")
    assert (got.code, len(got.err.splitlines())) == (2, 1)
    assert not (tmp_path / "none").exists()


def test_a_server_that_cannot_be_had_is_a_line(call: Call, way: Way, store: Path) -> None:
    begun(store, "one").finish()
    got = call("sync", "--all", "--to", f"http://{HOST}:{free_port()}", f"store={store}")
    assert (got.code, len(got.err.splitlines())) == (1, 1)
    assert "cannot be had (connection refused)" in got.err

    way.choose = lambda *_: "401"
    got = call("sync", "--all", "--to", way.uri, f"store={store}")
    assert (got.code, len(got.err.splitlines())) == (2, 1)
    assert "MLFLOW_TRACKING_PASSWORD" in got.err

    for status, answer, why in (
        (403, STRANGE_NAME, "its --allowed-hosts lacks this address"),
        (404, b"no page", "404"),
    ):
        with answering(status, answer) as uri:
            got = call("sync", "--all", "--to", uri, f"store={store}")
        assert (got.code, len(got.err.splitlines())) == (1, 1)
        assert "cannot be had" in got.err
        assert why in got.err
    assert not list((store / spool.FOLDER).glob("*.jsonl"))
