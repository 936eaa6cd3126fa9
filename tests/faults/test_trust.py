"""Runs, models, archives and pages from elsewhere: nothing in them is carried out, nobody is let in."""

from __future__ import annotations

import ast
import base64
import importlib
import inspect
import io
import json
import os
import pickle
import pkgutil
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
import types
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile
import torch
import yaml

import genrelab
from genrelab import compose, delivery, registry, trust
from genrelab.data import debian
from genrelab.types import UserError
from tests.conftest import RATE, Said, Songs, Trained, program
from tests.faults.servers import HOST, free_port
from tests.faults.whole import only_whole

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]
PLACES = ("front", "net", "agg.inner", "task.deep.0.1", "optim.optimizer", "data._args_.0", "tracker", "new")


class Planted:
    """A file that is there only if somebody did what was planted, and a folder that is gone then."""

    def __init__(self, folder: Path) -> None:
        self.mark, self.victim = folder / "carried-out", folder / "victim"
        self.victim.mkdir(parents=True)
        (self.victim / "dear.txt").write_text("dear")

    @property
    def harmless(self) -> bool:
        return not self.mark.exists() and (self.victim / "dear.txt").is_file()

    def targets(self) -> list[dict[str, Any]]:
        """What a config could have called, with what would make it do harm."""
        mark, victim = str(self.mark), str(self.victim)
        touch, code = f"touch {mark}", f"open({mark!r}, 'w').close()"
        plain = [
            ("os.system", {"_args_": [touch]}),
            ("posix.system", {"_args_": [touch]}),
            ("builtins.eval", {"_args_": [code]}),
            ("builtins.exec", {"_args_": [code]}),
            ("eval", {"_args_": [code]}),
            ("subprocess.run", {"args": ["touch", mark]}),
            ("subprocess.Popen", {"args": ["touch", mark]}),
            ("shutil.rmtree", {"path": victim}),
            ("pathlib.Path.touch", {"_args_": [{"_target_": "pathlib.Path", "_args_": [mark]}]}),
            ("runpy.run_path", {"path_name": mark}),
            ("importlib.import_module", {"name": "antigravity"}),
            ("pickle.loads", {"_args_": [""]}),
            ("torch.load", {"f": mark, "weights_only": False}),
            ("torch.hub.load", {"repo_or_dir": "x/y", "model": "z"}),
            ("torch.optim.optimizer.os.system", {"_args_": [touch]}),
            ("torch.optim.Optimizer.load_state_dict", {}),
            ("torch.optim.lr_scheduler.types.FunctionType", {}),
            ("hydra.utils.call", {"config": {"_target_": "os.system", "_args_": [touch]}}),
            ("hydra.utils.get_method", {"path": "os.system"}),
            ("functools.partial", {"_args_": ["os.system", touch]}),
            ("genrelab.track.os.system", {"_args_": [touch]}),
            ("genrelab.registry.shutil.rmtree", {"path": victim}),
            ("genrelab.store.shutil.rmtree", {"path": victim}),
            ("genrelab.health.base.remove", {"path": {"_target_": "genrelab.store.Path", "_args_": [victim]}}),
            ("genrelab.health.base.shutil.rmtree", {"_args_": [victim]}),
            ("genrelab.track.write_json", {"path": mark, "value": 1}),
            ("genrelab.track.Path.write_text", {"_args_": [mark, "x"]}),
            ("genrelab.data.debian.subprocess.run", {"args": ["touch", mark]}),
            ("genrelab.data.debian.shutil.rmtree", {"path": victim}),
            ("genrelab.data.manifest.Path.touch", {"_args_": [mark]}),
            ("genrelab.data.synth.corpus.Path", {"_args_": [mark]}),
            ("genrelab.net.timm.torch.load", {"f": mark, "weights_only": False}),
            ("genrelab.net.timm.Timm.__init__.__globals__.get", {"_args_": ["torch"]}),
            ("genrelab.agg.vote.Vote.mro", {}),
            ("genrelab.agg.vote.torch.hub.load", {"repo_or_dir": "x/y", "model": "z"}),
            ("genrelab.cli.main", {"argv": ["doctor", "--fix"]}),
            ("genrelab.commands.train.main", {"argv": []}),
            ("genrelab.compose.instantiate", {"config": {"_target_": "os.system", "_args_": [touch]}}),
            ("genrelab.server.deliver", {"store": victim, "run_id": "x"}),
            ("genrelab.process.subprocess.run", {"args": ["touch", mark]}),
            ("genrelab.agg...os.system", {"_args_": [touch]}),
            ("genrelab.agg/../track.os", {"_args_": [touch]}),
            ("genrelab", {}),
            ("genrelab.", {}),
            (" genrelab.agg.vote.Vote", {}),
            ("genrelab.agg.vote.Vote\n", {}),
            ("genrelabs.agg.vote.Vote", {}),
            ("${oc.env:HOME}", {}),
            ("", {}),
        ]
        return [{"_target_": name, **more} for name, more in plain]


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path / "planted")


@pytest.fixture(scope="module")
def stranger(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A store with a finished run that a test may spoil."""
    store = tmp_path_factory.mktemp("stranger") / "store"
    shutil.copytree(trained.store, store)
    folder = store / trained.folder.relative_to(trained.store)
    with closing(sqlite3.connect(store / "mlflow.db")) as db, db:
        db.execute("update runs set artifact_uri = ?", (folder.as_uri(),))
    return Trained(store, trained.id, folder, trained.songs, trained.words, trained.out)


@pytest.fixture
def run(stranger: Trained) -> Iterator[Trained]:
    kept = stranger.store.with_name("kept")
    shutil.copytree(stranger.folder, kept)
    compose.load_config.cache_clear()
    yield stranger
    shutil.rmtree(stranger.folder)
    kept.rename(stranger.folder)
    compose.load_config.cache_clear()


def put(config: dict[str, Any], place: str, what: Any) -> dict[str, Any]:
    """A config with something at a place, as in `agg.inner` or `data._args_.0`."""
    made: Any = json.loads(json.dumps(config))
    *way, last = place.split(".")
    at = made
    for key, after in zip(way, place.split(".")[1:], strict=True):
        empty: Any = [None, None] if after.isdigit() else {}
        if isinstance(at, list):
            at[int(key)] = empty
            at = at[int(key)]
        else:
            at = at.setdefault(key, empty)
    if isinstance(at, list):
        at[int(last)] = what
    else:
        at[last] = what
    return made


def plant(folder: Path, place: str, what: Any) -> None:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(put(yaml.safe_load(path.read_text()), place, what)))
    compose.load_config.cache_clear()


def test_no_target_that_is_planted_is_called(run: Trained, planted: Planted, tries: Tries, count: Count) -> None:
    """Each at each place of a run's config, before anything of it is made."""
    original = (run.folder / "config.yaml").read_text()
    for n, target in enumerate(planted.targets()):
        for place in PLACES if tries(0, 1) else [PLACES[n % len(PLACES)]]:
            (run.folder / "config.yaml").write_text(original)
            plant(run.folder, place, target)
            with pytest.raises(UserError, match=r"not a part of genrelab|no config|damaged"):
                compose.restore(run.folder)
            assert planted.harmless, target
            count("planted targets refused")


@pytest.mark.parametrize(
    "words",
    [
        ["tag", "SONG", "--run", "RUN"],
        ["rerun", "RUN"],
        ["eval", "RUN", "DATA"],
        ["probe", "RUN"],
        ["embed", "RUN", "--out", "OUT"],
        ["look", "SONG", "--run", "RUN"],
        ["net=frozen", "net.run=RUN"],
    ],
    ids=lambda words: words[0],
)
def test_no_command_opens_a_run_with_a_planted_target(
    words: list[str], call: Call, run: Trained, planted: Planted, tmp_path: Path, count: Count
) -> None:
    song = next((run.songs.folder / "low").glob("*.wav"))
    names = {"SONG": str(song), "RUN": run.id, "OUT": str(tmp_path / "out.parquet")}
    given = [w for word in words for w in (run.songs.words if word == "DATA" else [word])]
    given = [names.get(w, w.replace("=RUN", f"={run.id}")) for w in given]
    plant(run.folder, "task.more", {"_target_": "genrelab.track.write_json", "path": str(planted.mark), "value": 1})
    said = call(*given, f"store={run.store}")
    assert said.code == 2, said.err
    assert "genrelab.track.write_json" in said.err.splitlines()[-1]
    assert planted.harmless
    count("planted targets refused")


def test_a_resumed_run_calls_nothing_that_was_planted_in_it(
    call: Call, run: Trained, planted: Planted, count: Count
) -> None:
    with closing(sqlite3.connect(run.store / "mlflow.db")) as db, db:
        db.execute("update runs set status = 'FAILED' where run_uuid = ?", (run.id,))
    try:
        for target in ({"_target_": "os.system", "_args_": [f"touch {planted.mark}"]}, {"_target_": "builtins.eval"}):
            plant(run.folder, "tracker", target)
            said = call(f"resume={run.id}", f"store={run.store}")
            assert said.code == 2
            assert "not a part of genrelab" in said.err.splitlines()[-1]
            assert planted.harmless
            count("planted targets refused")
    finally:
        with closing(sqlite3.connect(run.store / "mlflow.db")) as db, db:
            db.execute("update runs set status = 'FINISHED' where run_uuid = ?", (run.id,))


def test_a_reference_in_a_stored_config_is_text(run: Trained, planted: Planted, count: Count) -> None:
    """OmegaConf's resolvers could read the environment, or make a target out of text: refused, and not followed where
    text is meant."""
    made = "${oc.create:'{_target_: genrelab.track.write_json, path: " + str(planted.mark) + ", value: 1}'}"
    original = (run.folder / "config.yaml").read_text()
    for text in (made, "${oc.env:PATH}", "a${first:${oc.env:PATH}}", "${data.path}", "\\${x}", "a \\\\${b}"):
        for given in ({"text": text}, {"inner": {"text": [text]}}, [text]):
            assert compose.instantiate(given) == given
        (run.folder / "config.yaml").write_text(original)
        plant(run.folder, "norm.eps", text)
        if ":" in text:
            with pytest.raises(UserError, match="refers to something else"):
                compose.load_config(run.folder)
        else:
            assert compose.load_config(run.folder)["norm"]["eps"] == text
        with pytest.raises(UserError):
            compose.restore(run.folder)
        assert planted.harmless
        count("planted references not followed")


def names_of(module: types.ModuleType) -> Iterator[str]:
    """Every dotted name that begins in a module: what is in it, and what is in that."""
    for name in dir(module):
        yield f"{module.__name__}.{name}"
        thing = getattr(module, name)
        if isinstance(thing, types.ModuleType | type):
            yield from (f"{module.__name__}.{name}.{inner}" for inner in dir(thing))


def test_what_may_be_called_is_a_class_that_the_house_itself_defines(tries: Tries, count: Count) -> None:
    """Of all names that can be reached from any module of genrelab."""
    modules = [m.name for m in pkgutil.walk_packages(genrelab.__path__, "genrelab.")]
    modules = [m for m in modules if not m.endswith(("__main__", "served", "carfac_kernel"))]
    if not tries(0, 1):
        modules = [m for m in modules if m.split(".")[1] in ("agg", "task", "slice", "track", "trust", "process")]
    allowed = set()
    for name in modules:
        module = importlib.import_module(name)
        for target in names_of(module):
            if not trust.part(target):
                count("names in genrelab that no config may call")
                continue
            thing: Any = module
            for part in target.removeprefix(f"{name}.").split("."):
                thing = getattr(thing, part)
            own = inspect.isclass(thing) and f"{thing.__module__}.{thing.__qualname__}" == target
            assert own or target in trust.NAMED, target
            allowed.add(target)
    assert "genrelab.agg.vote.Vote" in allowed
    assert {t for t in trust.NAMED if t.startswith("genrelab.") and tries(0, 1)} <= allowed


class Pickled:
    """What a pickle does when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("how", ["torch", "pickle", "beside the weights", "numpy"])
def test_a_pickle_in_a_checkpoint_is_not_opened(
    how: str, call: Call, run: Trained, planted: Planted, count: Count
) -> None:
    best = run.folder / "checkpoints" / "best.ckpt"
    if how == "torch":
        torch.save(Pickled(planted.mark), best)
    elif how == "pickle":
        best.write_bytes(pickle.dumps(Pickled(planted.mark)))
    elif how == "beside the weights":
        weights = torch.load(best, weights_only=True)
        torch.save(weights | {"more": Pickled(planted.mark)}, best)
    else:
        with (run.folder / "rule.npz").open("wb") as file:
            np.savez(file, thresholds=np.array([Pickled(planted.mark)], dtype=object))
    song = next((run.songs.folder / "low").glob("*.wav"))
    said = call("tag", song, "--run", run.id, f"store={run.store}")
    assert planted.harmless
    assert said.code == 2
    assert "Traceback" not in said.err
    assert len(said.err.splitlines()[-1]) < 400
    count("planted pickles not opened")


def test_every_reader_of_weights_in_the_code_takes_tensors_only() -> None:
    """torch.load without weights_only=True, a pickle's reader, yaml's unsafe ones: none in the whole house."""
    forbidden = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
    n_loads = 0
    for path in Path(genrelab.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
                used = forbidden & {n.split(".")[0] for n in names}
                # what a decoder of our own sends over a pipe is none of a stranger's files
                assert not used or (path.name == "guarded.py" and used == {"pickle"}), path
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            keys = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called.endswith("torch.load"):
                assert keys.get("weights_only") == "True", f"{path}:{node.lineno}"
                n_loads += 1
            if called in ("eval", "exec", "os.system", "yaml.load", "yaml.unsafe_load", "yaml.full_load"):
                raise AssertionError(f"{path}:{node.lineno}: {called}")
            assert keys.get("allow_pickle") != "True", f"{path}:{node.lineno}"
            assert keys.get("shell") != "True", f"{path}:{node.lineno}"
            assert keys.get("trust_remote_code") != "True", f"{path}:{node.lineno}"
            if "load_from_checkpoint" in called or (called.endswith("trainer.fit") and "ckpt_path" in keys):
                assert keys.get("weights_only") == "True", f"{path}:{node.lineno}"
    assert n_loads


@pytest.mark.parametrize("which", ["config.yaml", "rule.npz", "checkpoints", "checkpoints/best.ckpt", "pictures/x.png"])
def test_a_link_that_leads_out_of_a_runs_folder_is_not_followed(
    which: str, call: Call, run: Trained, planted: Planted, tmp_path: Path, count: Count
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    path = run.folder / which
    if path.is_dir():
        shutil.move(path, tmp_path / "moved")
        path.symlink_to(tmp_path / "moved")
    else:
        if path.exists():
            shutil.move(path, secret)
        path.symlink_to(secret)
    before = secret.read_bytes()
    assert path not in delivery.files(run.folder)  # nor what lies behind it
    assert not [p for p in delivery.files(run.folder) if not p.resolve().is_relative_to(run.folder.resolve())]
    song = next((run.songs.folder / "low").glob("*.wav"))
    for words in (["tag", song, "--run", run.id], ["promote", run.id], ["rerun", run.id]):
        compose.load_config.cache_clear()
        said = call(*words, f"store={run.store}")
        assert said.code == 2, words
        assert "leads out of its run's folder" in said.err.splitlines()[-1]
        count("planted links not followed")
    assert secret.read_bytes() == before


def test_a_link_within_a_runs_folder_is_no_harm(run: Trained) -> None:
    (run.folder / "same.yaml").symlink_to("config.yaml")
    compose.load_config.cache_clear()
    assert compose.restore(run.folder).config["seed"] == 0


@pytest.mark.parametrize(
    "word",
    [
        "+agg._target_=os.system",
        "agg={_target_:os.system}",
        "'+front.x={_target_: builtins.eval}'",
        "front.x=${oc.create:'{a: 1}'}",
        "hydra.callbacks.sweep._target_=os.system",
        "+hydra.callbacks.mine={x: 1}",
        "hydra.launcher._target_=os.system",
        "hydra/launcher=../../../evil",
        "hydra.run.dir=/tmp/elsewhere",
        "hydra.searchpath=[file:///tmp/evil]",
        "--config-dir=/tmp/evil",
        "--config-path=/tmp/evil",
        "--info",
        "-cn",
    ],
)
def test_a_stored_sweep_brings_no_words_that_do_more_than_choose(word: str, songs: Songs, count: Count) -> None:
    usual = [*songs.words, "agg=vote,gru", "sweep=open_set", "seed=0,1", "hydra/launcher=joblib", "~augment"]
    trust.words(usual)
    with pytest.raises(UserError, match="was started with"):
        trust.words([*usual, word])
    count("planted words refused")


def test_a_resumed_sweeps_words_are_looked_at(call: Call, run: Trained, planted: Planted, count: Count) -> None:
    from genrelab.track import Mlflow

    target = f"{{_target_: genrelab.track.write_json, path: {planted.mark}, value: 1}}"
    for word in (f"+hydra.callbacks.mine={target}", f"+front.x={target}"):
        tags = {"kind": "sweep", "overrides": json.dumps(["seed=0,1", word])}
        sweep = Mlflow().begin(run.store, "tones", "sweep", tags)
        sweep.finish("FAILED")
        said = call(f"resume={sweep.id}", f"store={run.store}")
        assert said.code == 2
        assert "was started with" in said.err.splitlines()[-1]
        assert planted.harmless
        count("planted words refused")


def test_a_served_model_calls_nothing_that_was_planted_in_its_config(
    run: Trained, planted: Planted, count: Count
) -> None:
    import mlflow.pyfunc

    from genrelab import track

    model = registry.save(track.find(run.store, run.id))
    inside = next(model.rglob("config.yaml"))
    inside.unlink()  # it is a hard link
    shutil.copy(run.folder / "config.yaml", inside)
    plant(inside.parent, "agg.more", {"_target_": "genrelab.track.write_json", "path": str(planted.mark), "value": 1})
    with pytest.raises(UserError, match="not a part of genrelab"):
        mlflow.pyfunc.load_model(str(model))
    assert planted.harmless
    count("planted targets refused")


def deb(path: Path, tar: bytes) -> Path:
    """A Debian package by hand: dpkg-deb would not put `..` into one."""

    def member(name: str, data: bytes) -> bytes:
        head = f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(data):<10}`\n".encode()
        return head + data + b"\n" * (len(data) % 2)

    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w") as file:
        text = b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y.z>\nDescription: x\n"
        about = tarfile.TarInfo("./control")
        about.size = len(text)
        file.addfile(about, io.BytesIO(text))
    parts = (("debian-binary", b"2.0\n"), ("control.tar", control.getvalue()), ("data.tar", tar))
    path.write_bytes(b"!<arch>\n" + b"".join(member(*p) for p in parts))
    return path


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb lacks: this is no Debian")
def test_nothing_in_an_archive_lands_beside_its_folder(tmp_path: Path, count: Count) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        for name in ("../../../zip-out.ogg", "/zip-root.ogg", "a/../../../../zip-deep.ogg", "fine.ogg"):
            made.writestr(name, b"zip")
    names = ["../tar-out.ogg", "./../../tar-two.ogg", "a/../../../tar-deep.ogg", "/tar-root.ogg", "./fine.ogg"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for kind, name, goal in (
            (tarfile.SYMTYPE, "./away", str(tmp_path / "elsewhere")),
            (tarfile.SYMTYPE, "./up", "../../.."),
            (tarfile.LNKTYPE, "./hard.ogg", "../../../etc/hostname"),
            (tarfile.FIFOTYPE, "./fifo.ogg", ""),
        ):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, goal
            tar.addfile(about)
        for name in [*names, "./away/through.ogg", "./up/through.ogg", "./music.pk3"]:
            data = inner.getvalue() if name.endswith("pk3") else b"tar"
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    (tmp_path / "elsewhere").mkdir()
    home = tmp_path / "a" / "b" / "c"
    home.mkdir(parents=True)
    file = deb(home / "x.deb", out.getvalue())
    goal = debian.unpack(file, home / "unpacked", lambda name, _: name.endswith(".ogg"))
    assert (goal / "fine.ogg").read_bytes() == b"tar"
    assert (goal / "music.pk3" / "fine.ogg").read_bytes() == b"zip"
    landed = [p for p in tmp_path.rglob("*") if p.is_file() and p != file]
    assert all(p.is_relative_to(goal) for p in landed), landed
    assert not [p for p in goal.rglob("*") if p.is_symlink() or p.is_fifo()]
    assert not any(Path("/", name).exists() for name in ("tar-root.ogg", "zip-root.ogg"))
    count("archive members that lead elsewhere", 4 + 3 + 4)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "127.0.0.1.example.org", "0"])
def test_pages_for_others_want_a_log_in(host: str, call: Call, trained: Trained) -> None:
    said = call("ui", "--host", host, "--port", free_port(), f"store={trained.store}")
    assert said.code == 2
    assert "--auth" in said.err.splitlines()[-1]
    assert len(said.err.splitlines()) == 1


def test_a_log_in_wants_a_password(call: Call, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_AUTH_ADMIN_PASSWORD", raising=False)
    said = call("ui", "--host", "0.0.0.0", "--auth", f"store={trained.store}")
    assert said.code == 2
    assert "MLFLOW_AUTH_ADMIN_PASSWORD" in said.err.splitlines()[-1]


def listening(process: subprocess.Popen[str]) -> set[str]:
    """The addresses at which a process and those below it listen."""
    own = psutil.Process(process.pid)
    connections = [c for p in [own, *own.children(recursive=True)] for c in p.net_connections("tcp")]
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}


def asked(uri: str, user: str = "", password: str = "") -> int:
    """What MLflow answers to a request for its data sets."""
    headers = {"Content-Type": "application/json"}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(f"{uri}/api/2.0/mlflow/experiments/search", b'{"max_results": 9}', headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_pages_are_for_this_machine_and_with_a_log_in_for_others(
    songs: Songs, trained: Trained, tmp_path: Path, tries: Tries
) -> None:
    only_whole(tries)
    shutil.copytree(trained.store, tmp_path / "store")
    password = "a password of the test"
    own = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_AUTH")}
    for words, at, with_log_in in [([], "127.0.0.1", False), (["--host", "0.0.0.0", "--auth"], "0.0.0.0", True)]:
        port, extra = free_port(), {"MLFLOW_AUTH_ADMIN_PASSWORD": password} if with_log_in else {}
        process = program("ui", "--port", port, *words, f"store={tmp_path / 'store'}", env=own | extra)
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith(f"http://{at}:{port}"), process.communicate()[1]
            assert "tones" in process.stdout.readline()  # the links, asked for with the log-in
            assert listening(process) == {at}
            uri = f"http://{HOST}:{port}"
            assert asked(uri) == (401 if with_log_in else 200)
            if with_log_in:
                assert asked(uri, "admin", password) == 200
                assert asked(uri, "admin", "password1234") == 401  # MLflow's own of former days
                assert asked(uri, "admin", "") == 401
                assert (tmp_path / "store" / "auth" / "users.db").is_file()
                files = [p for p in (tmp_path / "store").rglob("*") if p.is_file()]
                assert not [p for p in files if password.encode() in p.read_bytes()]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


TAG = """
import sys
from pathlib import Path
from genrelab.audio import decode, tagging
decode.load(Path(sys.argv[1]), 22050)  # loaded
print("ready", flush=True)
for n in range(1000):
    tagging.tag_in_place(Path(sys.argv[1]), [f"genre {n}"], "run")
"""


def test_a_kill_while_tags_are_written_leaves_the_song_whole(tmp_path: Path, tries: Tries, count: Count) -> None:
    """The old file or a verified new one, at any moment."""
    import mutagen

    path, dice = tmp_path / "song.flac", random.Random(0)
    sound = np.random.default_rng(0).integers(-9999, 9999, RATE // 2).astype(np.int16)
    soundfile.write(path, sound, RATE)
    for _ in range(tries(4, 60)):
        process = subprocess.Popen([sys.executable, "-c", TAG, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(dice.uniform(0, 0.15))
        process.kill()
        process.communicate()
        np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], sound)
        tags = mutagen.File(path).tags
        assert not tags or "genre" not in tags or tags["genre"][0].startswith("genre ")
        count("kills while a tag was written")
    assert mutagen.File(path).tags["genre"]  # or this test has shown nothing


def test_a_link_of_the_working_files_name_is_not_written_through(tmp_path: Path) -> None:
    from genrelab.audio import tagging

    path, victim = tmp_path / "song.flac", tmp_path / "victim"
    soundfile.write(path, np.zeros(RATE // 4), RATE)
    victim.write_text("dear")
    (tmp_path / f".song.genrelab-{os.getpid()}.flac").symlink_to(victim)
    before = path.read_bytes()
    with pytest.raises(tagging.TagError):
        tagging.tag_in_place(path, ["rock"], "run")
    assert victim.read_text() == "dear"
    assert path.read_bytes() == before
