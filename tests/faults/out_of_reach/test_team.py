"""One server for a team: MLflow with a log-in, PostgreSQL behind it, artifacts through the server, many clients."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genrelab import delivery
from tests.conftest import TINY, Said, Songs, client, runs_of
from tests.faults.out_of_reach.outages import EPOCHS, another, compare, contents, leave
from tests.faults.postgres import Postgres
from tests.faults.servers import MlflowServer

Call = Callable[..., Said]
Count = Callable[..., None]
N_CLIENTS = 8
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
SETTINGS = """[mlflow]
default_permission = EDIT
database_uri = {uri}
admin_username = admin
auth_cache_ttl_seconds = 60
"""  # a password is made slow to try: without the cache that takes a second of every request
CLIENT = """\
import sys
from pathlib import Path
from genrelab import delivery
from tests.faults.out_of_reach.outages import arrive, tracked, write
store, uri, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
delivery.connect(uri)
print("ready", flush=True)
sys.stdin.readline()
write(tracked(uri).begin(store, "team", name, {"kind": "run"}))
arrive(store)
"""


@dataclass
class Team:
    """A server, and who may log in there: name -> password."""

    server: MlflowServer
    members: dict[str, str]

    def as_(self, name: str) -> dict[str, str]:
        """What is in the environment of one of them."""
        return {USER: name, PASSWORD: self.members[name]}


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Runs, users and permissions are in PostgreSQL; everybody may write into a data set's runs, whoever began it."""
    members = {"admin": secrets.token_urlsafe(15)} | {f"user{n}": secrets.token_urlsafe(15) for n in range(N_CLIENTS)}
    folder = tmp_path_factory.mktemp("team")
    behind = Postgres()
    try:
        behind.start()
        (folder / "basic_auth.ini").write_text(SETTINGS.format(uri=behind.uri))
        environment = {
            "MLFLOW_BACKEND_STORE_URI": behind.uri,
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": members["admin"],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        }
        server = MlflowServer(folder, "--app-name", "basic-auth", sqlite=False, **environment).start()
        made = Team(server, members)
        try:
            with pytest.MonkeyPatch.context() as patch:
                log_in(patch, made.as_("admin"))
                from mlflow.server import get_app_client

                users = get_app_client("basic-auth", tracking_uri=server.uri)
                for name, password in members.items():
                    if name != "admin":
                        users.create_user(name, password)
            yield made
        finally:
            server.stop()
    finally:
        behind.stop()


def log_in(patch: pytest.MonkeyPatch, words: dict[str, str]) -> None:
    for key, value in words.items():
        patch.setenv(key, value)


def lies_nowhere(team: Team, *roots: Path) -> None:
    """No file below has a user's password, plain or as it is sent."""
    import base64

    said = [p.encode() for p in team.members.values()]
    said += [base64.b64encode(f"{n}:{p}".encode()) for n, p in team.members.items()]
    files = [p for root in roots for p in root.rglob("*") if p.is_file()]
    assert len(files) > 5
    assert not [p for p in files if any(s in p.read_bytes() for s in said)]


def test_eight_clients_at_once_are_all_there_once(
    team: Team, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """Eight users on eight machines, none of whom began the others' data set, begin at the same moment."""
    stores = [another(empty, tmp_path / f"laptop-{n}") for n in range(N_CLIENTS)]
    started = []
    for n, store in enumerate(stores):
        command = [sys.executable, "-c", CLIENT, str(store), team.server.uri, f"run of {n}"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        where = {"PYTHONPATH": str(Path(__file__).parents[3])}
        started.append(subprocess.Popen(command, env=os.environ | where | team.as_(f"user{n}"), text=True, **pipes))
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=300) for process in started]
    assert [p.returncode for p in started] == [0] * N_CLIENTS, said
    assert not [words for pair in said for words in pair if any(p in words for p in team.members.values())]
    log_in(monkeypatch, team.as_("admin"))
    for store in stores:
        compare(store, team.server, count)
    from mlflow import MlflowClient

    there = MlflowClient(team.server.uri)
    (experiment,) = [e for e in there.search_experiments() if e.name == "team"]
    runs = there.search_runs([experiment.experiment_id])
    assert sorted(r.info.run_name for r in runs) == [f"run of {n}" for n in range(N_CLIENTS)]
    assert {len(there.get_metric_history(r.info.run_id, "val/loss")) for r in runs} == {EPOCHS}
    lies_nowhere(team, *stores, team.server.folder)
    count("clients of one server at once", N_CLIENTS)


def test_a_training_logs_in_and_its_files_come_back_through_the_server(
    team: Team,
    call: Call,
    songs: Songs,
    empty: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: Count,
) -> None:
    store = another(empty, tmp_path / "store")
    words = [*songs.words, *TINY, "card=null", "tracker=server", f"tracker.uri={team.server.uri}", f"store={store}"]
    for wrong in ({}, {USER: "user0", PASSWORD: "wrong-password-of-his"}, {USER: "nobody", PASSWORD: "x"}):
        monkeypatch.delenv(USER, raising=False)
        monkeypatch.delenv(PASSWORD, raising=False)
        log_in(monkeypatch, wrong)
        for refused in (words, ["sync", "--all", "--to", team.server.uri, f"store={store}"]):
            if refused[0] == "sync":
                from genrelab.track import Mlflow

                Mlflow().begin(store, "laptop", "one", {"kind": "run"}).finish()
            said = call(*refused)
            assert said.code == 2
            assert f"{team.server.uri} refuses the user (it answers 401): give {USER} and" in said.err.splitlines()[-1]
            assert "Traceback" not in said.err
            assert wrong.get(PASSWORD, "wrong-password") not in said.err.partition("refuses")[2]
    assert {r.info.run_name for r in runs_of(store)} == {"one"}  # nothing was trained for nothing

    log_in(monkeypatch, team.as_("user1"))
    said = call(*words)
    assert said.code == 0, said.err
    leave()
    said = call("sync", "--all", "--to", team.server.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"3 copied to {team.server.uri}, 1 there already, 0 passed over\n")
    said = call("sync", "--all", "--to", team.server.uri, f"store={store}")
    assert (said.code, said.out) == (0, f"0 copied to {team.server.uri}, 4 there already, 0 passed over\n")
    arrived = compare(store, team.server, count)
    lies_nowhere(team, store, team.server.folder)

    from mlflow import MlflowClient

    there = MlflowClient(team.server.uri)
    for run in runs_of(store):
        (other,) = [r for r in arrived if r.data.tags[delivery.OWN_ID] == run.info.run_id]
        assert other.info.artifact_uri.startswith("mlflow-artifacts:/")  # by the server, whose folder no client sees
        assert not [v for v in {**other.data.tags, **other.data.params}.values() if team.members["user1"] in v]
        had = tmp_path / "downloaded" / run.info.run_id
        had.mkdir(parents=True)
        there.download_artifacts(other.info.run_id, "", str(had))
        assert contents(had) == contents(Path(run.info.artifact_uri.removeprefix("file://")))
    trained = client(store).search_runs(
        [e.experiment_id for e in client(store).search_experiments()], "tags.seed = '0'"
    )
    assert (tmp_path / "downloaded" / trained[0].info.run_id / "checkpoints" / "best.ckpt").is_file()
