"""Runs and models from elsewhere: nothing in them is carried out."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import pickle
import pkgutil
import shutil
import sqlite3
import types
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genrelab
from genrelab import compose, delivery, registry, trust
from genrelab.types import UserError
from tests.conftest import Said, Songs, Trained
from tests.faults import planted as planting
from tests.faults.planted import Planted, plant

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]
PLACES = ("front", "net", "agg.inner", "task.deep.0.1", "optim.optimizer", "data._args_.0", "tracker", "new")
planted, stranger, run = planting.planted, planting.stranger, planting.run


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
