"""MLflow out of reach: training goes on, and what it has to say arrives once."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genrelab import delivery, entries, server, spool
from genrelab.track import Mlflow
from tests.conftest import TINY, Said, Songs, client, program, runs_of
from tests.faults.out_of_reach.outages import EPOCHS, PASSWORD, another, arrive, compare, leave, tracked, write
from tests.faults.servers import HOST, WAYS, MlflowServer, Way, free_port
from tests.faults.whole import only_whole

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]


def test_a_server_that_is_there_has_the_run_when_the_process_ends(
    mlflow_server: MlflowServer, store: Path, count: Count
) -> None:
    run = tracked(mlflow_server.uri).begin(store, "there", "a run", {"kind": "run"})
    write(run)
    leave()
    (other,) = compare(store, mlflow_server, count)
    link = f"#/experiments/{other.info.experiment_id}/runs/{other.info.run_id}/artifacts/card.html"
    assert link in other.data.tags["mlflow.note.content"]  # where the server's pages show it, not the store's


@pytest.mark.parametrize("wrong", WAYS)
def test_every_third_request_goes_wrong(
    wrong: str, mlflow_server: MlflowServer, way: Way, store: Path, tries: Tries, count: Count
) -> None:
    only_whole(tries, wrong == "answer lost")
    way.choose = lambda number, _: wrong if number % 3 == 0 else ""
    run = tracked(way.uri).begin(store, f"third {wrong}", "a run", {"kind": "run"})
    write(run)
    arrive(store)
    assert way.wrong >= 3
    count("server outages survived", way.wrong)
    compare(store, mlflow_server, count)


def test_any_request_goes_wrong_in_any_way(
    mlflow_server: MlflowServer, empty: Path, tmp_path: Path, tries: Tries, count: Count
) -> None:
    only_whole(tries)
    for seed in range(15):
        dice, way, store = random.Random(seed), Way(mlflow_server.uri), another(empty, tmp_path / str(seed))
        share = dice.choice([0.1, 0.3, 0.5])

        def choose(number: int, _: str, dice: random.Random = dice, share: float = share) -> str:
            return dice.choice(WAYS) if dice.random() < share else ""

        way.choose = choose
        run = tracked(way.uri).begin(store, f"any {seed}", "a run", {"kind": "run"})
        write(run)
        arrive(store)
        way.close()
        count("server outages survived", way.wrong)
        compare(store, mlflow_server, count)


def test_a_run_whose_making_was_carried_out_late_is_there_once(
    mlflow_server: MlflowServer, way: Way, store: Path, count: Count
) -> None:
    """The request is lost for all that can be seen, is sent again, and then both are carried out."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    made = []

    def choose(_: int, path: str) -> str:
        made.extend([path] if path.endswith("runs/create") else [])
        return "late" if path.endswith("runs/create") and len(made) == 1 else ""

    way.choose = choose
    run = tracked(way.uri).begin(store, "late", "a run", {"kind": "run"})
    write(run)
    arrive(store)
    assert len(made) == 2
    compare(store, mlflow_server, count)
    there = MlflowClient(mlflow_server.uri)
    at = there.get_experiment_by_name("late").experiment_id
    assert len(there.search_runs([at], run_view_type=ViewType.ALL)) == 2  # or this test has shown nothing
    assert len(there.search_runs([at])) == 1


def test_a_process_that_dies_behind_the_making_of_its_run_makes_no_second_one(
    mlflow_server: MlflowServer, store: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """The server has made the run, and nobody has written down which it is."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    run = tracked(f"http://{HOST}:{free_port()}").begin(store, "behind", "a run", {"kind": "run"})
    write(run)
    leave()
    path = store / spool.FOLDER / f"{run.id}.jsonl"
    path.write_text(path.read_text().replace(run.courier.uri, mlflow_server.uri))  # it comes up at another port
    real = delivery._begun

    def dies(*given: Any) -> Any:
        real(*given)
        raise SystemExit

    monkeypatch.setattr(delivery, "_begun", dies)
    with pytest.raises(SystemExit):
        server.deliver(store, run.id)
    monkeypatch.setattr(delivery, "_begun", real)
    assert "told to" in server.deliver(store, run.id)
    compare(store, mlflow_server, count)
    there = MlflowClient(mlflow_server.uri)
    at = there.get_experiment_by_name("behind").experiment_id
    assert len(there.search_runs([at], run_view_type=ViewType.ALL)) == 1


def test_a_training_with_the_server_down_at_its_start(
    call: Call, songs: Songs, mlflow_server: MlflowServer, way: Way, store: Path, tries: Tries, count: Count
) -> None:
    """It trains, it says so, and the next run brings both."""
    only_whole(tries)
    words = [*songs.words, *TINY, "card=null", "tracker=server", f"tracker.uri={way.uri}", f"store={store}"]
    way.closed = True
    said = call(*words)
    assert said.code == 0
    assert f"{way.uri} cannot be had (it hung up)" in said.err
    (run,) = runs_of(store)
    assert run.info.status == "FINISHED"
    assert (Path(run.info.artifact_uri.removeprefix("file://")) / "predictions.parquet").is_file()
    leave()
    assert list((store / spool.FOLDER).glob("*.jsonl"))
    count("server outages survived", way.wrong)

    way.closed = False
    assert call(*words, "seed=1").code == 0
    leave()
    assert len(compare(store, mlflow_server, count)) == 2


def test_a_sweep_through_an_outage_has_its_children_below_its_parent(
    call: Call, songs: Songs, mlflow_server: MlflowServer, way: Way, store: Path, tries: Tries, count: Count
) -> None:
    only_whole(tries)
    way.choose = lambda number, path: "down" if number < 15 or ("create" in path and number < 40) else ""
    words = ["-m", *songs.words, *TINY, "card=null", "seed=0,1", "agg=vote"]
    said = call(*words, "tracker=server", f"tracker.uri={way.uri}", f"store={store}")
    assert said.code == 0
    arrive(store)
    count("server outages survived", way.wrong)
    found = {r.data.tags["kind"]: r for r in compare(store, mlflow_server, count)}
    assert found["run"].data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id


def test_what_a_killed_process_left_is_delivered_by_doctor_and_the_resumed_run_ends_once(
    songs: Songs, call: Call, mlflow_server: MlflowServer, way: Way, store: Path, tries: Tries, count: Count
) -> None:
    only_whole(tries)
    way.closed = True
    words = [*songs.words, *TINY, "trainer.max_epochs=200", "card=null", "tracker=server", f"tracker.uri={way.uri}"]
    process = program(*words, f"store={store}")
    until = time.monotonic() + 100
    while not list(store.glob("artifacts/*/*/artifacts/checkpoints/last.ckpt")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (run,) = runs_of(store)
    assert run.info.status == "RUNNING"

    said = call("doctor", "--fix", f"store={store}")
    assert said.code == 1  # the server is still down
    assert "cannot be had" in " ".join(said.out.split())
    way.closed = False
    said = call("doctor", "--fix", f"store={store}")
    assert said.code == 0, said.out
    assert "told to" in " ".join(said.out.split())
    compare(store, mlflow_server, count, "KILLED")

    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("max_epochs: 200", "max_epochs: 3"))
    assert call(f"resume={run.info.run_id}", f"store={store}").code == 0
    leave()
    count("server outages survived", way.wrong)
    compare(store, mlflow_server, count)


def test_a_real_server_is_killed_and_comes_back(tmp_path: Path, tries: Tries, count: Count) -> None:
    only_whole(tries)
    for n in range(2):
        there, store = MlflowServer(tmp_path / f"server {n}".replace(" ", "-")), tmp_path / f"store-{n}"
        store.mkdir()
        if n % 2 == 0:
            there.start()
        run = tracked(there.uri).begin(store, "killed", "a run", {"kind": "run"})
        done = []

        def between(there: MlflowServer = there, done: list[int] = done, n: int = n) -> None:
            done.append(0)
            time.sleep(0.05 * n)
            if len(done) == 2 and there.process:
                there.stop(kill=True)
                count("server outages survived")
            if len(done) == 3:
                there.start()

        write(run, between)
        arrive(store)
        compare(store, there, count)
        there.stop()


@pytest.mark.parametrize("wrong", ["black hole", "500", "down"])
def test_an_outage_costs_a_run_a_few_seconds_at_most(
    wrong: str, way: Way, store: Path, count: Count, tries: Tries
) -> None:
    """All that a process's runs wait for a server that swallows everything: begin, figures and end of each."""
    only_whole(tries, wrong == "down")
    way.choose = lambda *_: wrong
    Mlflow().begin(store, "warm", "up", {}).finish()
    began = time.monotonic()
    for n in range(tries(2, 6)):
        write(tracked(way.uri).begin(store, "hole", f"run {n}", {"kind": "run"}))
    spent = time.monotonic() - began
    assert spent < server.FIRST_S + server.PATIENCE_S + 1 + tries(2, 6)  # a second a run for the store itself
    assert len(list((store / spool.FOLDER).glob("*.jsonl"))) == tries(2, 6)
    count("runs that an outage did not hold up", tries(2, 6))


def test_user_and_password_come_from_the_environment_and_go_nowhere_else(
    call: Call,
    songs: Songs,
    mlflow_server: MlflowServer,
    way: Way,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    tries: Tries,
) -> None:
    """A server that wants a log-in, before a real one; afterwards every file of both is searched."""
    import base64

    only_whole(tries)
    wanted = "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    way.choose = lambda *_: "" if way.headers[-1].get("Authorization") == wanted else "401"
    words = [*songs.words, *TINY, "card=null", "tracker=server", f"store={store}"]
    said = call(*words, f"tracker.uri={way.uri}")
    assert said.code == 2
    assert "MLFLOW_TRACKING_PASSWORD" in said.err.splitlines()[-1]
    assert not runs_of(store)  # it did not train all night for nothing

    said = call(*words, f"tracker.uri={way.uri.replace('//', f'//ada:{PASSWORD}@')}")
    assert said.code == 2
    assert "battery" not in said.err

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    said = call(*words, f"tracker.uri={way.uri}")
    assert said.code == 0, said.err
    leave()
    assert len(runs_of(store)) == 1
    secrets = [PASSWORD.encode(), wanted.removeprefix("Basic ").encode()]
    files = [p for root in (store, mlflow_server.folder) for p in root.rglob("*") if p.is_file()]
    assert len(files) > 30
    assert not [p for p in files if any(s in p.read_bytes() for s in secrets)]
    assert PASSWORD not in said.out + said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tracker=server"], "tracker.uri=http://HOST:PORT"),
        (["tracker=server", "tracker.uri=ftp://a"], "expected the address of an MLflow server"),
        (["tracker=server", "tracker.uri=somewhere"], "expected the address of an MLflow server"),
        (["-m", "tracker=server", "seed=0,1"], "tracker.uri=http://HOST:PORT"),
    ],
)
def test_an_address_that_is_none_is_said_in_a_line(
    call: Call, songs: Songs, tmp_path: Path, words: list[str], said: str
) -> None:
    got = call(*songs.words, *TINY, *words, f"store={tmp_path}")
    assert got.code == 2
    assert said in got.err.splitlines()[-1]
    assert "-m" in words or len(got.err.splitlines()) == 1, got.err
    assert "Traceback" not in got.err


def test_what_the_server_will_never_take_holds_nothing_up(
    mlflow_server: MlflowServer, store: Path, tries: Tries
) -> None:
    """A key that MLflow refuses: all else arrives."""
    from mlflow import MlflowClient

    only_whole(tries)
    run = tracked(mlflow_server.uri).begin(store, "refused", "a run", {"kind": "run"})
    assert run.journal
    run.journal.spool.append(entries.metrics({"not a key: {}": 1.0}, 0))
    run.journal.spool.mark("store", run.journal.spool.path.stat().st_size)
    write(run)
    leave()
    there = MlflowClient(mlflow_server.uri)
    (other,) = there.search_runs([there.get_experiment_by_name("refused").experiment_id])
    assert other.info.status == "FINISHED"
    assert len(there.get_metric_history(other.info.run_id, "val/loss")) == EPOCHS


def test_two_processes_never_write_one_run(tmp_path: Path) -> None:
    one = spool.Spool(tmp_path, "run").open()
    with pytest.raises(spool.Held):
        spool.Spool(tmp_path, "run").open()
    one.close()
    spool.Spool(tmp_path, "run").open().close()


def test_a_server_that_is_not_there_at_all(call: Call, store: Path) -> None:
    run = tracked(f"http://{HOST}:{free_port()}").begin(store, "nowhere", "a run", {"kind": "run"})
    write(run)
    assert run.courier.trouble == delivery.REFUSED
    leave()
    assert client(store).get_run(run.id).info.status == "FINISHED"
    assert list((store / spool.FOLDER).glob("*.jsonl"))
    assert call("doctor", f"store={store}").code == 1
