"""`promote`: a run's model in MLflow's registry, loaded and served by MLflow itself, answers as `tag` does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile

from genrelab import track
from tests.conftest import RATE, TINY, Said, Songs, Trained, wave

Call = Callable[..., Said]
CHAMPION = "models:/genrelab@champion"


def runs_of(store: Path) -> list[track.Record]:
    """The runs of a store whose name needs care in an address, the oldest first."""
    return track.records(store)[::-1]


@pytest.fixture(scope="module")
def trained(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A store of this file's own, since a registry belongs to its store, with two runs."""
    from genrelab.cli import main

    store = tmp_path_factory.mktemp("promoted") / "a store" / "é%?"
    words = [*songs.words, *TINY, "trainer.max_epochs=1"]
    assert main([*words, f"store={store}"]) == main([*words, "seed=1", "split_seed=0", f"store={store}"]) == 0
    run, _ = runs_of(store)
    return Trained(store, run.id, run.folder, songs, words, "")


@pytest.fixture(scope="module")
def second(trained: Trained) -> track.Record:
    return runs_of(trained.store)[1]


@pytest.fixture
def here(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow as a user has it, set to the store."""
    import mlflow

    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(track.database(trained.store))
    mlflow.set_registry_uri(track.database(trained.store))
    yield mlflow
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def promote(call: Call, store: Path, *words: object) -> list[str]:
    said = call("promote", *words, f"store={store}")
    assert said.code == 0, said.err
    return said.out.splitlines()


def versions(store: Path, name: str = "genrelab") -> list[Any]:
    there = track.connect(store)[0]
    return sorted(there.search_model_versions(f"name = '{name}'"), key=lambda v: int(v.version))


def aliased(store: Path, name: str = "genrelab", alias: str = "champion") -> str:
    """The version that has an alias, as MLflow says."""
    return str(track.connect(store)[0].get_model_version_by_alias(name, alias).version)


def tagged(call: Call, store: Path, run: str, *files: Path) -> list[dict[str, Any]]:
    return json.loads(call("tag", *files, "--json", "--run", run, f"store={store}").out)


def test_the_first_is_registered_with_its_figures(call: Call, trained: Trained) -> None:
    lines = promote(call, trained.store, trained.id)
    (run, _) = runs_of(trained.store)
    assert lines[0].startswith(f"genrelab version 1 is the champion now: {run.name} ({trained.id[:8]})")
    val = run.metrics["val/song/balanced_accuracy"]
    assert f"balanced accuracy per song on validation: {100 * val:.1f} %" in lines[1]
    assert "nobody was it before" in lines[2]
    (version,) = versions(trained.store)
    assert version.run_id == version.tags["run"] == trained.id
    assert aliased(trained.store) == "1"
    for key in ("val/song/balanced_accuracy", *(f"test/song/balanced_accuracy{e}" for e in ("", "_lo", "_hi"))):
        assert float(version.tags[key]) == pytest.approx(run.metrics[key], abs=1e-4)
    for key in ("data", "data_digest", "split_digest", "front", "net", "agg"):
        assert version.tags[key] == run.tags[key]
    assert "Repeat it" in version.description


def test_twice_is_said_and_changes_nothing(call: Call, trained: Trained) -> None:
    promote(call, trained.store, trained.id)
    before = [(v.version, v.last_updated_timestamp) for v in versions(trained.store)]
    lines = promote(call, trained.store, trained.id)
    assert "is the champion already: genrelab version 1. Nothing was changed." in lines[0]
    assert [(v.version, v.last_updated_timestamp) for v in versions(trained.store)] == before


def test_the_new_one_is_compared_on_validation_and_the_old_one_can_come_back(
    call: Call, trained: Trained, second: track.Record
) -> None:
    promote(call, trained.store, trained.id)
    lines = promote(call, trained.store, second.id)
    figures = [r.metrics["val/song/balanced_accuracy"] for r in runs_of(trained.store)]
    assert lines[0].startswith("genrelab version 2 is the champion now")
    gain = 100 * (figures[1] - figures[0])
    word = f"{'better' if gain > 0 else 'worse'} by {abs(gain):.1f} points" if gain else "equal"
    assert f"before it was version 1, {runs_of(trained.store)[0].name}: {100 * figures[0]:.1f} %" in lines[2]
    assert lines[2].endswith(f"on the same 12 songs; the new one is {word}")
    assert not any("test/" in line for line in lines)
    back = promote(call, trained.store, trained.id)
    assert back[0].startswith("genrelab version 1 is the champion again now")
    assert [int(v.version) for v in versions(trained.store)] == [1, 2]
    assert aliased(trained.store) == "1"


def test_figures_of_other_songs_are_not_compared(call: Call, trained: Trained, tmp_path: Path) -> None:
    assert call(*trained.words, "split_seed=5", "seed=2", f"store={trained.store}").code == 0
    newest = runs_of(trained.store)[-1]
    promote(call, trained.store, trained.id, "--alias", "other")
    lines = promote(call, trained.store, "last", "--alias", "other")
    assert newest.id[:8] in lines[0]
    assert lines[2].endswith("chosen on other data or another split, so their figures do not compare")
    track.connect(trained.store)[0].delete_run(newest.id)  # the other tests' runs are two


def test_name_and_alias_are_the_users(call: Call, trained: Trained) -> None:
    lines = promote(call, trained.store, trained.id, "--name", "my genres", "--alias", "candidate")
    assert lines[0].startswith("my genres version 1 is the candidate now")
    assert any("-m 'models:/my genres@candidate'" in line for line in lines)
    assert aliased(trained.store, "my genres", "candidate") == "1"
    for words, said in (
        (["--name", "a/b"], "--name 'a/b'"),
        (["--name", " "], "--name ' '"),
        (["--alias", "v1"], "--alias 'v1'"),
        (["--alias", "latest"], "--alias 'latest'"),
        (["--alias", "a b"], "--alias 'a b'"),
    ):
        answer = call("promote", trained.id, *words, f"store={trained.store}")
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert said in answer.err


def test_a_run_that_is_not_there_is_said(call: Call, trained: Trained) -> None:
    said = call("promote", "nothing", f"store={trained.store}")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "no run 'nothing'" in said.err


def test_of_k_folds_the_one_that_is_best_on_validation_is_promoted(
    call: Call, folded: tuple[Path, Any, list[Any]]
) -> None:
    store, run, folds = folded
    best = max(folds, key=lambda f: f.data.metrics["val/song/balanced_accuracy"])
    lines = promote(call, store, run.info.run_id)
    assert f"{best.info.run_name} ({best.info.run_id[:8]})" in lines[0]
    (version,) = versions(store)
    assert version.run_id == best.info.run_id


def test_every_run_holds_a_model_without_a_pickle_that_takes_no_place_twice(trained: Trained) -> None:
    model = trained.folder / "model"
    files = {p.relative_to(model).as_posix() for p in model.rglob("*") if p.is_file()}
    assert {"MLmodel", "served.py", "artifacts/run/checkpoints/best.ckpt"} <= files
    assert not [f for f in files if f.endswith((".pkl", ".pickle"))]
    for name in ("checkpoints/best.ckpt", "rule.npz", "config.yaml"):
        assert (model / "artifacts" / "run" / name).samefile(trained.folder / name)
    assert not list(trained.folder.glob(".model-*"))


def test_where_disks_know_no_links_it_is_a_copy(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrelab import registry

    def none(*_: object) -> None:
        raise OSError("no links")

    monkeypatch.setattr(os, "link", none)
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder, ignore=shutil.ignore_patterns("model"))
    model = registry.save(track.Run("id", "name", folder, experiment="data"))
    own = model / "artifacts" / "run" / "checkpoints" / "best.ckpt"
    assert own.read_bytes() == (folder / "checkpoints" / "best.ckpt").read_bytes()
    assert not own.samefile(folder / "checkpoints" / "best.ckpt")


def test_mlflow_loads_it_as_any_model(call: Call, trained: Trained, here: Any) -> None:
    """By alias, by version and from the run; a path and bytes; what `tag` says of the same songs."""
    promote(call, trained.store, trained.id)
    files = [trained.songs.folder / f"{name}.wav" for name in ("low/0-0", "high/3-1", "noise/2-0")]
    meant = tagged(call, trained.store, trained.id, *files)
    loaded = here.pyfunc.load_model(CHAMPION)
    assert loaded.predict(pd.DataFrame({"path": map(str, files)})) == meant
    sounds = pd.DataFrame({"audio": [f.read_bytes() for f in files]})
    assert loaded.predict(sounds) == [m | {"path": ""} for m in meant]
    for address in ("models:/genrelab/1", f"runs:/{trained.id}/model"):
        assert here.pyfunc.load_model(address).predict([{"path": str(files[0])}]) == meant[:1]
    assert {c.name for c in loaded.metadata.get_input_schema()} == {"path", "audio"}
    assert [c.name for c in loaded.metadata.get_output_schema()] == list(meant[0])


def test_what_cannot_be_heard_has_its_reason(
    call: Call, trained: Trained, here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(call, trained.store, trained.id)
    loaded = here.pyfunc.load_model(CHAMPION)

    def errors(rows: list[dict[str, Any]]) -> list[str]:
        answers = loaded.predict(pd.DataFrame(rows))
        assert all(a["label"] is None and a["genres"] == [] for a in answers)
        return [a["error"] for a in answers]

    missing, folder = errors([{"path": str(tmp_path / "no.wav")}, {"path": str(tmp_path)}])
    assert missing.startswith("missing")
    assert folder.startswith("not a file")
    junk, empty = errors([{"audio": b"these are words"}, {"audio": b""}])
    assert junk.startswith("not audio")
    assert empty.startswith("empty")
    nothing, both = errors([{"path": None, "audio": None}, {"path": "its name.wav", "audio": b"RIFF"}])
    assert nothing.startswith("no song")
    assert both.startswith("not audio")
    with pytest.raises(here.MlflowException, match="no song"):
        loaded.predict([{"sound": "x"}])
    whole = loaded.predict([{"path": str(trained.songs.folder / "low" / "0-0.wav")}])
    assert whole[0]["error"] is None

    limits = type(loaded.unwrap_python_model())._answer.__globals__
    monkeypatch.setitem(limits, "LARGEST_MB", 0.01)
    monkeypatch.setitem(limits, "LONGEST_S", 6.0)
    (large,) = errors([{"audio": (trained.songs.folder / "low" / "0-0.wav").read_bytes()}])
    assert large.startswith("too large: 0 MB")
    soundfile.write(tmp_path / "long.wav", wave("low", 0, 0, 7.0), RATE)
    soundfile.write(tmp_path / "short.wav", wave("low", 0, 0, 5.9), RATE)
    answers = loaded.predict(pd.DataFrame({"path": [str(tmp_path / "long.wav"), str(tmp_path / "short.wav")]}))
    assert answers[0]["error"] == "too long: 0.1 minutes or more"
    assert answers[1]["error"] is None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The champion served by the very command that `promote` prints, on another port."""
    said = subprocess.run(
        [sys.executable, "-m", "genrelab", "promote", trained.id, f"store={trained.store}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = [line for line in said.stdout.splitlines() if line.startswith("serve it:")]
    port = free_port()
    command = line.removeprefix("serve it:").strip().replace("--port 5001", f"--port {port}")
    assert f"--port {port}" in command
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # `python` is the one with MLflow
    log = (tmp_path_factory.mktemp("serve") / "log").open("w+")
    process = subprocess.Popen(
        ["bash", "-c", command],
        stdout=log, stderr=subprocess.STDOUT, env=os.environ | {"PATH": path}, start_new_session=True,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 180
        while True:
            try:
                with urllib.request.urlopen(f"{address}/ping", timeout=2):
                    break
            except OSError:
                log.seek(0)
                assert process.poll() is None and time.monotonic() < until, log.read()
                time.sleep(0.3)
        yield address
    finally:
        left = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
        _, alive = psutil.wait_procs(left, timeout=10)
        for child in alive:
            child.kill()
        log.close()


def asked(address: str, body: object) -> tuple[int, Any]:
    """The status and the answer of the server."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/invocations", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_server_answers_as_tag_does(call: Call, trained: Trained, server: str, tmp_path: Path) -> None:
    """A file with a name of the user's, its bytes, and silence."""
    song, silent = tmp_path / "é (live) #1.flac", tmp_path / "silent.wav"
    soundfile.write(song, wave("high", 2, 1, 9.0), RATE)
    soundfile.write(silent, np.zeros(6 * RATE), RATE)
    meant = tagged(call, trained.store, trained.id, song, silent)
    code, said = asked(server, {"dataframe_records": [{"path": str(song)}, {"path": str(silent)}]})
    assert (code, said["predictions"]) == (200, meant)
    sound = base64.b64encode(song.read_bytes()).decode()
    code, said = asked(server, {"dataframe_records": [{"audio": sound, "path": str(song)}]})
    assert (code, said["predictions"]) == (200, meant[:1])
    code, said = asked(server, {"inputs": [{"path": str(song)}]})
    assert (code, said["predictions"]) == (200, meant[:1])


def test_the_server_survives_what_is_no_song(call: Call, trained: Trained, server: str) -> None:
    junk = base64.b64encode(b"these are words").decode()
    for body, why in (
        ({"dataframe_records": [{"path": "/no/such/file.mp3"}]}, "missing"),
        ({"dataframe_records": [{"audio": junk}]}, "not audio"),
        ({"dataframe_records": [{"path": "/dev/zero"}]}, "not a file"),
    ):
        code, said = asked(server, body)
        (answer,) = said["predictions"]
        assert (code, answer["label"]) == (200, None)
        assert answer["error"].startswith(why)
    for bad, why in ((b"no json", "valid JSON"), ({"dataframe_records": [{"sound": "x"}]}, "no song")):
        code, said = asked(server, bad)
        assert code == 400
        assert why in said["message"]
        assert "Traceback" not in json.dumps(said)
    song = trained.songs.folder / "low" / "0-0.wav"
    code, said = asked(server, {"dataframe_records": [{"path": str(song)}]})
    assert (code, said["predictions"]) == (200, tagged(call, trained.store, trained.id, song))
