"""What is planted in a run that comes from elsewhere, and whether it was carried out."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from genrelab import compose
from tests.conftest import Trained


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
