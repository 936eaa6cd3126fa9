"""Every net of a command line trains, is asked again, and says in a line what was wrong with its words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import timm
import torch

from tests.conftest import TINY, Said, Songs, runs_of

Call = Callable[..., Said]
WAYS = {
    "resnet": ["net=resnet"],
    "densenet": ["net=densenet"],
    "linear": ["net=linear", "agg=mean"],
    "samplecnn": ["front=raw", "net=samplecnn", "agg=mean", "front.n_bins=16"],
    "timm": ["net=timm", "net.model=test_resnet", "agg=mean"],
    "encoder": ["net=encoder", "net.path=ast", "agg=mean"],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all, because a fresh one takes longer than a run."""
    return tmp_path_factory.mktemp("nets") / "store"


def newest(store: Path) -> Any:
    return runs_of(store, "attributes.status = 'FINISHED'")[-1].info


@pytest.fixture
def here(tmp_path: Path, ast: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user stands in, with the encoder's in it."""
    shutil.copytree(ast, tmp_path / "ast")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", WAYS)
def test_it_trains_and_is_asked_again(
    here: Path, store: Path, songs: Songs, call: Call, name: str, offline: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = call(*WAYS[name], *songs.words, *TINY, f"store={store}")
    assert said.code == 0, said.err
    run = newest(store)
    table = pd.read_parquet(Path(run.artifact_uri.removeprefix("file://")) / "predictions.parquet")
    assert set(table["split"]) == {"val", "test"}
    assert table[["p/high", "p/low", "p/noise"]].std().min() > 0  # songs are told apart
    monkeypatch.chdir(songs.folder)  # a path that was given from where the user stood is found from elsewhere
    path = songs.folder / f"{table['id'][0]}.wav"
    asked = call("tag", path, "--json", "--run", run.run_id, f"store={store}")
    assert asked.code == 0, asked.err
    (answer,) = json.loads(asked.out)
    told = {g["genre"]: g["probability"] for g in answer["genres"]}
    assert told == pytest.approx({g: table[f"p/{g}"][0] for g in ("high", "low", "noise")}, abs=2e-3)
    assert not offline


def test_a_trained_net_needs_no_first_weights(
    here: Path, store: Path, songs: Songs, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does an aggregator that is stacked on it."""
    torch.save(timm.create_model("test_resnet").state_dict(), here / "first.pth")
    words = ["net=timm", "net.model=test_resnet", "net.weights=first.pth", "agg=vote"]
    assert call(*words, *songs.words, *TINY, f"store={store}").code == 0
    (here / "first.pth").unlink()
    run, created, create = newest(store).run_id, [], timm.create_model

    def recorded(model: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        created.append(pretrained)
        return create(model, pretrained, **options)

    monkeypatch.setattr(timm, "create_model", recorded)
    asked = call("tag", songs.folder / "low" / "0-0.wav", "--run", run, f"store={store}")
    assert asked.code == 0, asked.err
    stacked = call("net=frozen", f"net.run={run}", "agg=mean", *TINY, f"store={store}")
    assert stacked.code == 0, stacked.err
    assert created
    assert not any(created)


def test_a_run_whose_encoder_is_gone_is_named(here: Path, store: Path, songs: Songs, call: Call) -> None:
    assert call(*WAYS["encoder"], *songs.words, *TINY, f"store={store}").code == 0
    shutil.rmtree(here / "ast")
    said = call("tag", songs.folder / "low" / "0-0.wav", "--run", newest(store).run_id, f"store={store}")
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert f"net.path={here / 'ast'}: there is no such folder" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["net=timm", "net.model=resnet81"], "did you mean resnet18"),
        (["net=timm", "net.weights=missing.pth"], "missing.pth: there is no such file"),
        (["net=encoder"], "net.path=DIR"),
        (["net=encoder", "net.path=missing"], "missing: there is no such folder"),
        (["net=resnet", "slice.n_frames=7"], "net=resnet takes slices of at least 8 bins x 8 frames, got 128 x 7"),
    ],
)
def test_wrong_words_end_in_one_line(
    here: Path, store: Path, songs: Songs, call: Call, words: list[str], expected: str
) -> None:
    said = call(*words, *songs.words, *TINY, f"store={store}")
    assert said.code == 2
    (line,) = [line for line in said.err.splitlines() if not line.startswith(("split by ", "few groups ", "run "))]
    assert line.startswith("genrelab: ")
    assert expected in line
