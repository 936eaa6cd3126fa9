"""The stacked regime: aggregators on a frozen net's embeddings, on the songs and the sides of the run it comes from."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from genrelab import compose, fit, stacked
from genrelab.texture import texture
from tests.conftest import GENRES, TINY, Said, Songs, client, runs_of

Call = Callable[..., Said]
AGGS = ("vote", "mean", "gru")
CHANCES = [f"p/{g}" for g in GENRES]
SHORT = (*TINY, "trainer.max_epochs=1")


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def table_of(run: Any, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder_of(run) / f"{name}.parquet")


def weights_of(run: Any) -> dict[str, torch.Tensor]:
    return compose.weights_of(folder_of(run))


@dataclass(frozen=True)
class Stack:
    """A store with a run and what was stacked on it in one sweep."""

    store: Path
    source: Any
    runs: dict[str, Any]  # by aggregator
    err: str  # what the sweep said

    @property
    def words(self) -> list[str]:
        return ["net=frozen", f"net.run={self.source.info.run_id}", *SHORT, f"store={self.store}"]


def stack(store: Path, source_words: list[str], aggs: tuple[str, ...]) -> Stack:
    from genrelab.cli import main

    assert main([*source_words, *TINY, f"store={store}"]) == 0
    source = runs_of(store, "tags.kind != 'fold'")[0]
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        code = main(
            ["-m", "net=frozen", f"net.run={source.info.run_id}", f"agg={','.join(aggs)}", *TINY, f"store={store}"]
        )
    assert code == 0, err.getvalue()
    on_it = [
        r for r in runs_of(store) if r.data.tags.get("net") == "frozen" and r.data.tags["kind"] not in ("sweep", "fold")
    ]
    return Stack(store, source, {r.data.tags["agg"]: r for r in on_it}, err.getvalue())


@pytest.fixture(scope="module")
def made(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return stack(tmp_path_factory.mktemp("stacked"), [*songs.words, "agg=gru"], AGGS)


def test_a_sweep_of_aggregators_computes_the_embeddings_once(made: Stack, songs: Songs) -> None:
    assert {a: r.info.status for a, r in made.runs.items()} == dict.fromkeys(AGGS, "FINISHED")
    lines = [line for line in made.err.splitlines() if line.startswith("net=frozen: ")]
    assert ["computed" in line for line in lines] == [True, False, False]
    assert ["found in the store" in line for line in lines] == [False, True, True]
    assert f"{2 * songs.n} embeddings" in lines[0]
    (file,) = (made.store / "cache" / "embeddings").glob("*.npy")
    z = np.load(file)
    n_texture = texture(torch.zeros(1, 128, 128)).shape[1]
    assert z.shape == (2 * songs.n, compose.restore(folder_of(made.source)).model.net.dim + n_texture)
    assert z.dtype == np.float32


def test_a_later_run_asks_the_net_nothing(call: Call, made: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def computed(*_: object) -> None:
        raise AssertionError("embeddings that are stored were computed again")

    monkeypatch.setattr(stacked, "embedded", computed)
    said = call(*made.words, "agg=stats", "tracker=off")
    assert said.code == 0, said.err
    assert "found in the store" in said.err


@pytest.mark.parametrize("agg", AGGS)
def test_songs_lie_where_they_lay_in_the_run_below(made: Stack, agg: str) -> None:
    """Even under another seed: what the net has learned is never tested."""
    assert (folder_of(made.runs[agg]) / "split.csv").read_bytes() == (folder_of(made.source) / "split.csv").read_bytes()
    for tag in ("data_digest", "split_digest", "data", "front", "slice", "norm", "task"):
        assert made.runs[agg].data.tags[tag] == made.source.data.tags[tag], tag
    assert made.runs[agg].info.experiment_id == made.source.info.experiment_id


def test_another_seed_keeps_the_sides(call: Call, made: Stack) -> None:
    said = call(*made.words, "agg=mean", "seed=5", "tracker=off")
    assert said.code == 0, said.err
    (folder,) = (made.store / "logs" / "untracked").glob("*-mel-frozen-mean-artist-s5-*")
    assert (folder / "split.csv").read_bytes() == (folder_of(made.source) / "split.csv").read_bytes()


@pytest.mark.parametrize("agg", AGGS)
def test_only_the_aggregator_learns(made: Stack, agg: str) -> None:
    before, after = weights_of(made.source), weights_of(made.runs[agg])
    theirs = {k.replace("net.", "net.inner.", 1) if k.startswith("net.") else k: v for k, v in before.items()}
    below = {k for k in after if not k.startswith("agg.")}
    assert below == {k for k in theirs if not k.startswith("agg.")}
    assert {k.split(".")[0] for k in below} >= {"net", "slice_head", "norm"}
    for key in below:
        torch.testing.assert_close(after[key], theirs[key], rtol=0, atol=0, msg=key)
    fresh = compose.build(compose.load_config(folder_of(made.runs[agg])), GENRES, several=False).state_dict()
    moved = {k for k in after if k.startswith("agg.") and not torch.equal(after[k], fresh[k])}
    assert moved == ({k for k in after if k.startswith("agg.")} if agg == "gru" else set())


@pytest.mark.parametrize("agg", AGGS)
def test_slices_are_answered_as_by_the_run_below(made: Stack, agg: str) -> None:
    mine, theirs = table_of(made.runs[agg], "slices"), table_of(made.source, "slices")
    pd.testing.assert_frame_equal(mine.drop(columns=CHANCES), theirs.drop(columns=CHANCES))
    np.testing.assert_allclose(mine[CHANCES], theirs[CHANCES], atol=1e-5)


def test_a_vote_is_that_of_the_slices_of_the_run_below(made: Stack) -> None:
    """Counted by hand; a tie goes to the higher mean probability."""
    cuts = table_of(made.source, "slices")
    votes = pd.get_dummies(cuts[CHANCES].idxmax(axis=1)).reindex(columns=CHANCES, fill_value=0)
    share, mean = votes.groupby(cuts["id"]).mean(), cuts.groupby("id")[CHANCES].mean()
    assert set(share.max(axis=1)) <= {0.5, 1.0}
    decided = (share + 1e-3 * mean).idxmax(axis=1).str.removeprefix("p/")
    own = table_of(made.runs["vote"], "predictions").set_index("id")
    assert own["decision"].to_dict() == decided.to_dict()
    mean_own = table_of(made.runs["mean"], "predictions").set_index("id")
    np.testing.assert_allclose(mean_own[CHANCES], mean.loc[mean_own.index], atol=1e-5)


@pytest.mark.parametrize("agg", ["vote", "mean"])
def test_what_learns_nothing_has_no_epoch_and_all_figures(made: Stack, agg: str) -> None:
    there, run = client(made.store), made.runs[agg]
    assert not there.get_metric_history(run.info.run_id, "train/loss")
    assert "train/loss" in made.runs["gru"].data.metrics
    lack = set(made.runs["gru"].data.metrics) - set(run.data.metrics)
    assert lack <= {"train/loss", "val/loss"}
    for side in ("val", "test"):
        for figure in ("accuracy", "balanced_accuracy", "log_loss"):
            name = f"{side}/slice/{figure}"
            assert run.data.metrics[name] == pytest.approx(made.source.data.metrics[name], abs=1e-5), name
    assert (folder_of(run) / "checkpoints" / "best.ckpt").is_file()


# What cannot be asked of a net that heard something else -> what is named.
OTHERS: dict[str, tuple[list[str], str]] = {
    "front": (["front=stft"], "front=stft: the run mel-gru-artist-s0 had another front (front=mel)"),
    "a value of the front": (["front.n_bins=64"], "front.n_bins=64"),
    "the same front with a value": (["front=mel", "front.n_bins=64"], "front=mel front.n_bins=64"),
    "slice": (["slice.length_s=2.0"], "slice.length_s=2.0"),
    "slices of bars": (["slice=bars"], "slice=bars"),
    "norm": (["norm=none"], "norm=none"),
    "data": (["data=synth"], "data=synth: the run mel-gru-artist-s0 had another data (data=manifest)"),
    "another file": (["data=manifest", "data.path=other.csv"], "other.csv"),
    "split": (["split=song"], "split=song"),
    "the split's seed": (["split_seed=3"], "split_seed=3: the run mel-gru-artist-s0 had split_seed=0"),
    "task": (["task=multi"], "task=multi"),
    "songs": (["limit_songs=24"], "limit_songs=24"),
    "songs of the training": (["limit_train=12"], "limit_train=12"),
    "sample rate": (["sample_rate=16000"], "sample_rate=16000"),
}


def refused(said: Said, *parts: str) -> None:
    assert said.code == 2, said.err
    assert len(said.err.splitlines()) == 1, said.err
    for part in parts:
        assert part in said.err, said.err


@pytest.mark.parametrize("what", OTHERS)
def test_another_way_to_the_net_is_refused_by_name(call: Call, made: Stack, what: str) -> None:
    words, part = OTHERS[what]
    before = len(runs_of(made.store))
    refused(call(*made.words, "agg=mean", *words), part, "leave it out")
    assert len(runs_of(made.store)) == before


def test_the_same_way_may_be_said_again(call: Call, made: Stack, songs: Songs) -> None:
    words = [*songs.words, "front=mel", "slice=fixed", "task=single", "split_seed=0", "agg=vote", "tracker=off"]
    assert call(*made.words, *words).code == 0


def test_runs_that_have_no_net_to_take(call: Call, made: Stack) -> None:
    frozen = ["net=frozen", "agg=mean", *SHORT, f"store={made.store}"]
    refused(call(*frozen), "net.run=RUN")
    refused(call(*frozen, "net.run=nope"), "nope")
    above = made.runs["vote"].info.run_id
    refused(call(*frozen, f"net.run={above}"), "is stacked on", made.source.info.run_id)
    said = call(*frozen, "net.run=last", "tracker=off")  # not the stacked ones, which a sweep makes as it goes
    assert said.code == 0, said.err
    assert made.source.info.run_id[:8] in said.err
    (sweep,) = runs_of(made.store, "tags.kind = 'sweep'")
    refused(call(*frozen, f"net.run={sweep.info.run_id}"), "is sweep", "expected a finished run")
    there = client(made.store)
    there.set_terminated(made.source.info.run_id, "KILLED")
    said = call(*frozen, f"net.run={made.source.info.run_id}")
    there.set_terminated(made.source.info.run_id, "FINISHED")
    refused(said, "KILLED", "expected a finished run")


def tagged(call: Call, made: Stack, songs: Songs) -> list[dict[str, Any]]:
    files = [songs.folder / f"{song}.wav" for song in table_of(made.runs["gru"], "predictions")["id"]]
    said = call("tag", *files, "--run", made.runs["gru"].info.run_id, "--json", f"store={made.store}")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_a_stacked_run_stands_alone_when_the_one_below_is_gone(call: Call, made: Stack, songs: Songs) -> None:
    own, below = table_of(made.runs["gru"], "predictions"), folder_of(made.source)
    away = below.rename(below.with_name("away"))
    try:
        answers = tagged(call, made, songs)
        out = made.store / "z.parquet"
        wrote = call("embed", made.runs["gru"].info.run_id, "--out", out, "--slices", f"store={made.store}")
        anew = call(*made.words, "agg=mean")
    finally:
        away.rename(below)
    for answer, (_, row) in zip(answers, own.iterrows(), strict=True):
        for genre in answer["genres"]:
            assert genre["probability"] == pytest.approx(row[f"p/{genre['genre']}"], abs=1e-4)
    assert wrote.code == 0, wrote.err
    z = pd.read_parquet(out).filter(regex=r"^z\d+$").to_numpy()
    (file,) = (made.store / "cache" / "embeddings").glob("*.npy")
    np.testing.assert_allclose(z, np.load(file)[:, : z.shape[1]], atol=1e-5)
    refused(anew, "net.run=", "mel-gru-artist-s0")  # but nothing new can be stacked


def test_a_stacked_run_that_was_cut_off_ends_as_an_undisturbed_one(
    call: Call, made: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fit.Bar.on_train_batch_end

    def cut_off(self: Any, trainer: Any, *given: Any) -> None:
        real(self, trainer, *given)
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit.Bar, "on_train_batch_end", cut_off)
        said = call("net=frozen", f"net.run={made.source.info.run_id}", "agg=gru", *TINY, f"store={made.store}")
    assert said.code == 130, said.err
    known = {made.source.info.run_id, *(r.info.run_id for r in made.runs.values())}
    (run,) = [r for r in runs_of(made.store, "attributes.status = 'KILLED'") if r.info.run_id not in known]
    said = call(f"resume={run.info.run_id}", f"store={made.store}")
    assert said.code == 0, said.err
    assert "going on after epoch 1 of 2" in said.err
    assert client(made.store).get_run(run.info.run_id).info.status == "FINISHED"
    for name in ("predictions", "slices"):
        pd.testing.assert_frame_equal(table_of(run, name), table_of(made.runs["gru"], name), check_exact=True)


def test_of_k_folds_each_takes_the_net_of_its_own(call: Call, songs: Songs, tmp_path: Path) -> None:
    words = [*songs.words, "split=kfold", "split.n_folds=3", "agg=mean", "trainer.max_epochs=1"]
    assert call(*words, *SHORT, f"store={tmp_path}").code == 0
    below, *folds = runs_of(tmp_path)
    frozen = ["net=frozen", "agg=vote", *SHORT, f"store={tmp_path}"]
    said = call(*frozen, f"net.run={folds[0].info.run_id}")
    refused(said, "is a fold", below.info.run_id)
    said = call(*frozen, f"net.run={below.info.run_id}")
    assert said.code == 0, said.err
    assert said.err.count(" computed,") == 3
    assert len(list((tmp_path / "cache" / "embeddings").glob("*.npy"))) == 3
    above = [r for r in runs_of(tmp_path) if r.data.tags["net"] == "frozen"]
    assert [r.data.tags["kind"] for r in above] == ["kfold", "fold", "fold", "fold"]
    for mine, theirs in zip(above[1:], folds, strict=True):
        assert (folder_of(mine) / "split.csv").read_bytes() == (folder_of(theirs) / "split.csv").read_bytes()
        np.testing.assert_allclose(table_of(mine, "slices")[CHANCES], table_of(theirs, "slices")[CHANCES], atol=1e-5)


def test_under_a_learned_front_end_that_is_frozen_too(call: Call, songs: Songs, tmp_path: Path) -> None:
    found = stack(tmp_path, [*songs.words, "front=raw", "front.n_bins=16", "agg=mean"], ("vote", "gru"))
    for run in found.runs.values():
        mine, theirs = table_of(run, "slices"), table_of(found.source, "slices")
        np.testing.assert_allclose(mine[CHANCES], theirs[CHANCES], atol=1e-5)
        before, after = weights_of(found.source), weights_of(run)
        filters = [k for k in before if k.startswith("front.")]
        assert filters
        assert all(torch.equal(before[k], after[k]) for k in filters)
    out = tmp_path / "z.parquet"
    for run in (found.source, found.runs["gru"]):
        assert call("embed", run.info.run_id, "--out", out, "--slices", f"store={tmp_path}").code == 0
        z = pd.read_parquet(out).filter(regex=r"^z\d+$").to_numpy()
        (file,) = (tmp_path / "cache" / "embeddings").glob("*.npy")
        np.testing.assert_allclose(z, np.load(file)[:, : z.shape[1]], atol=1e-5)
    song = table_of(found.source, "predictions").iloc[0]
    told = call(
        "tag", songs.folder / f"{song['id']}.wav", "--json", "--run", found.source.info.run_id, f"store={tmp_path}"
    )
    for genre in json.loads(told.out)[0]["genres"]:
        assert genre["probability"] == pytest.approx(song[f"p/{genre['genre']}"], abs=1e-3)
