"""One run from sound to what MLflow keeps of it, through a real store, read by MLflow's own client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from sklearn import metrics as sk

from tests.conftest import GENRES, RATE, TINY, Said, Songs, Trained, client, runs_of, wave, write_manifest

Call = Callable[..., Said]
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
BOUNDED = FIGURES[:3]
COSTS = ("parameters", "mflop_per_slice", "front_x_realtime", "train_s", "slices_per_s", "peak_rss_mb")
LEVELS = ("song", "slice")


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def predicted(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.read_parquet(folder / "predictions.parquet"), pd.read_parquet(folder / "slices.parquet")


@pytest.fixture(scope="module")
def run(trained: Trained) -> Any:
    return client(trained.store).get_run(trained.id)


def test_the_run_is_named_and_tagged(run: Any, trained: Trained) -> None:
    experiment = client(trained.store).get_experiment(run.info.experiment_id)
    tags = run.data.tags
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "mel-gru-artist-s0"
    assert experiment.name == tags["data"] == "tones"
    said = {k: tags[k] for k in ("front", "slice", "net", "agg", "task", "split", "seed", "leak_audit", "kind")}
    assert said == {
        "front": "mel",
        "slice": "fixed",
        "net": "cnn",
        "agg": "gru",
        "task": "single",
        "split": "artist",
        "seed": "0",
        "leak_audit": "clean",
        "kind": "run",
    }
    for key in ("config_hash", "data_digest", "split_digest"):
        assert set(tags[key]) <= set("0123456789abcdef")
        assert len(tags[key]) >= 12, key
    assert "git_commit" in tags
    assert "mlflow.parentRunId" not in tags


def test_params_are_the_configuration_less_the_machine(run: Any) -> None:
    params = run.data.params
    assert params["trainer.max_epochs"] == "2"
    assert params["front._target_"] == "genrelab.front.mel.Mel"
    assert params["sample_rate"] == str(RATE)
    assert not {"store", "data.path", "trainer.threads"} & set(params)


def test_every_figure_of_the_contract_is_there(run: Any) -> None:
    names = {f"{side}/{level}/{figure}" for side in ("train", "val", "test") for level in LEVELS for figure in FIGURES}
    names |= {f"test/{level}/{figure}_{end}" for level in LEVELS for figure in BOUNDED for end in ("lo", "hi")}
    names |= {f"cost/{cost}" for cost in COSTS} | {"train/loss", "val/loss"}
    assert names <= set(run.data.metrics)
    for level in LEVELS:
        for figure in BOUNDED:
            value, lo, hi = (run.data.metrics[f"test/{level}/{figure}{end}"] for end in ("", "_lo", "_hi"))
            assert 0 <= lo <= value <= hi <= 1
    assert all(run.data.metrics[f"cost/{cost}"] > 0 for cost in COSTS)


@pytest.mark.parametrize("side", ["train", "val"])
def test_every_epoch_has_its_figures(trained: Trained, run: Any, side: str) -> None:
    for name in ("loss", *(f"{level}/{figure}" for level in LEVELS for figure in FIGURES)):
        steps = [m.step for m in client(trained.store).get_metric_history(trained.id, f"{side}/{name}")]
        assert steps[:2] == [0, 1], name
        assert len(steps) == len(set(steps)) <= 3, name  # the last one is of the best weights


def test_artifacts_are_there_and_open(trained: Trained, run: Any) -> None:
    there = client(trained.store)
    listed = {a.path for a in there.list_artifacts(trained.id)}
    assert {"config.yaml", "predictions.parquet", "slices.parquet", "split.csv", "pictures", "checkpoints"} <= listed
    pictures = {a.path: a.file_size for a in there.list_artifacts(trained.id, "pictures")}
    for name in ("confusion", "curves", "slices"):
        assert pictures[f"pictures/{name}.png"] > 5000
    for name in ("best", "last"):
        checkpoint = torch.load(trained.folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["genrelab"]["genres"] == list(GENRES)
        assert checkpoint["state_dict"]
    n_weights = sum(w["exp_avg"].numel() for w in checkpoint["optimizer_states"][0]["state"].values())
    assert n_weights == run.data.metrics["cost/parameters"]
    assert str(trained.store) in (trained.folder / "config.yaml").read_text()


def test_the_data_set_is_the_runs_input(run: Any) -> None:
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.name == "tones"
    assert given.dataset.digest == run.data.tags["data_digest"]
    assert json.loads(given.dataset.profile)["num_rows"] == Songs.n


def test_predictions_have_the_documented_columns(trained: Trained) -> None:
    songs, cuts = predicted(trained.folder)
    chances = [f"p/{g}" for g in GENRES]
    keys = ["group", "artist", "album", "track", "studio"]
    assert {"id", "split", "truth", "decision", "n_slices", *keys, *chances} <= set(songs.columns)
    assert {"id", "split", "start_s", "end_s", "truth", *chances} <= set(cuts.columns)
    assert set(songs["split"]) == {"val", "test"}
    assert songs["id"].is_unique
    np.testing.assert_allclose(songs[chances].sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(cuts[chances].sum(1), 1, atol=1e-5)
    assert (songs["decision"] == songs[chances].idxmax(axis=1).str.removeprefix("p/")).all()
    assert songs.set_index("id")["n_slices"].to_dict() == cuts.groupby("id").size().to_dict()
    np.testing.assert_allclose(cuts["end_s"] - cuts["start_s"], 2.56)
    truth = songs["id"].str.split("/").str[0]
    assert (songs["truth"] == truth).all()


@pytest.mark.parametrize("side", ["val", "test"])
@pytest.mark.parametrize("level", LEVELS)
def test_figures_follow_from_the_predictions(trained: Trained, run: Any, side: str, level: str) -> None:
    """As scikit-learn, another hand, computes them."""
    frame = predicted(trained.folder)[LEVELS.index(level)]
    own = frame[frame["split"] == side]
    chances = own[[f"p/{g}" for g in GENRES]].to_numpy(float)
    decided = np.array(GENRES)[chances.argmax(1)]
    expected = {
        "accuracy": sk.accuracy_score(own["truth"], decided),
        "balanced_accuracy": sk.balanced_accuracy_score(own["truth"], decided),
        "macro_f1": sk.f1_score(own["truth"], decided, average="macro"),
        "log_loss": sk.log_loss(own["truth"], chances / chances.sum(1, keepdims=True), labels=list(GENRES)),
    }
    for figure, value in expected.items():
        assert run.data.metrics[f"{side}/{level}/{figure}"] == pytest.approx(value, abs=1e-5), figure


def test_no_song_and_no_artist_lies_on_two_sides(trained: Trained) -> None:
    sides = pd.read_csv(trained.folder / "split.csv")
    assert len(sides) == Songs.n
    assert sides["id"].is_unique
    assert set(sides["side"]) == {"train", "val", "test"}
    manifest = pd.read_csv(trained.songs.manifest)
    artist = dict(zip(manifest["path"].str.removesuffix(".wav"), manifest["artist"], strict=True))
    assert (sides["side"].groupby(sides["id"].map(artist)).nunique() == 1).all()
    songs, _ = predicted(trained.folder)
    side = sides.set_index("id")["side"]
    assert (songs["split"] == songs["id"].map(side)).all()
    assert len(songs) == (side != "train").sum()


def test_what_is_printed_is_what_is_logged(trained: Trained, run: Any) -> None:
    line = next(line for line in trained.out.splitlines() if line.startswith("balanced accuracy"))
    assert f"{100 * run.data.metrics['test/song/balanced_accuracy']:.1f}" in line.split()
    assert trained.id[:8] in trained.out


def test_the_same_words_give_the_same_answers_and_no_picture_is_drawn_again(
    call: Call, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrelab import store

    def heard(*_: object) -> None:
        raise AssertionError("a picture that is stored was computed again")

    monkeypatch.setattr(store, "_hear", heard)
    said = call(*trained.words, "store=" + str(trained.store), "tracker=off")
    assert said.code == 0, said.err
    (again,) = (trained.store / "logs" / "untracked").iterdir()
    for mine, first in zip(predicted(again), predicted(trained.folder), strict=True):
        pd.testing.assert_frame_equal(mine, first, check_exact=True)
    assert [r.info.run_id for r in runs_of(trained.store)] == [trained.id]  # tracker=off leaves MLflow alone


def test_another_seed_is_another_run(call: Call, trained: Trained, tmp_path: Path) -> None:
    said = call(*trained.words, f"store={tmp_path}", "seed=1", "trainer.max_epochs=1")
    assert said.code == 0, said.err
    (run,) = runs_of(tmp_path)
    first = client(trained.store).get_run(trained.id).data.tags
    assert run.info.run_name == "mel-gru-artist-s1"
    assert run.data.tags["data_digest"] == first["data_digest"]
    assert run.data.tags["split_digest"] != first["split_digest"]
    assert run.data.tags["config_hash"] != first["config_hash"]


def test_one_batch_is_learnt_by_heart(call: Call, songs: Songs, tmp_path: Path) -> None:
    words = ["debug=overfit", "trainer.threads=1", "trainer.precision=32-true", "trainer.n_boot=100"]
    said = call(*songs.words, *words, f"store={tmp_path}")
    assert said.code == 0, said.err
    (run,) = runs_of(tmp_path)
    losses = [m.value for m in client(tmp_path).get_metric_history(run.info.run_id, "train/loss")]
    assert losses[0] > 1.0
    assert min(losses) < 0.05


def test_files_that_cannot_be_used_are_listed_and_left_out(call: Call, songs: Songs, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    whole = wave("low", 0, 0)
    (bad / "empty.wav").touch()
    (bad / "text.wav").write_text("these are words")
    soundfile.write(bad / "silent.wav", np.zeros(6 * RATE), RATE)
    soundfile.write(bad / "short.wav", whole[: 2 * RATE], RATE)
    soundfile.write(bad / "cut.wav", whole, RATE)
    (bad / "cut.wav").write_bytes((bad / "cut.wav").read_bytes()[:90000])
    rows = [[str(songs.folder / p), g, a] for p, g, a in pd.read_csv(songs.manifest).itertuples(index=False)]
    rows += [[f"bad/{p.name}", "low", "somebody"] for p in sorted(bad.iterdir())] + [["bad/gone.wav", "low", "nobody"]]
    table = write_manifest(tmp_path / "table.csv", rows)
    said = call("data=manifest", f"data.path={table}", *TINY, "trainer.max_epochs=1", f"store={tmp_path / 'store'}")
    assert said.code == 0, said.err
    reasons = {
        "empty": "empty",
        "text": "not audio",
        "silent": "silent",
        "short": "shorter than a slice",
        "cut": "truncated",
        "gone": "missing",
    }
    for reason in reasons.values():
        assert f"{reason} 1" in " ".join(said.out.split()), said.out
    (run,) = runs_of(tmp_path / "store")
    assert run.data.metrics["songs/unusable"] == len(reasons)
    used = pd.read_csv(folder_of(run) / "split.csv")["id"]
    assert len(used) == songs.n
    assert not used.str.contains("bad/").any()


def test_a_genre_that_loses_all_its_songs_is_said(call: Call, songs: Songs, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("these are words")
    rows = [[str(songs.folder / p), g, a] for p, g, a in pd.read_csv(songs.manifest).itertuples(index=False)]
    table = write_manifest(tmp_path / "table.csv", [*rows, ["text.wav", "spoken", "somebody"]])
    said = call("data=manifest", f"data.path={table}", *TINY, f"store={tmp_path / 'store'}")
    assert said.code == 2
    (line,) = said.err.splitlines()
    assert line.startswith("genrelab")
    assert "spoken" in line
    assert "not audio" in line
    assert not runs_of(tmp_path / "store")


def test_folds_pool_every_song_once(call: Call, songs: Songs, tmp_path: Path) -> None:
    words = ["split=kfold", "split.n_folds=3", "trainer.max_epochs=1"]
    said = call(*songs.words, *TINY, *words, f"store={tmp_path}")
    assert said.code == 0, said.err
    parent, *folds = runs_of(tmp_path)
    assert parent.data.tags["kind"] == "kfold"
    assert [f.data.tags["fold"] for f in folds] == ["0", "1", "2"]
    assert {f.data.tags["mlflow.parentRunId"] for f in folds} == {parent.info.run_id}
    assert {r.info.status for r in (parent, *folds)} == {"FINISHED"}
    pooled, cuts = predicted(folder_of(parent))
    test = pooled[pooled["split"] == "test"]
    assert sorted(test["id"]) == sorted(pd.read_csv(songs.manifest)["path"].str.removesuffix(".wav"))
    expected = sk.balanced_accuracy_score(test["truth"], test["decision"])
    assert parent.data.metrics["test/song/balanced_accuracy"] == pytest.approx(expected)
    assert len(cuts[cuts["split"] == "test"]) == 2 * songs.n
    for fold in folds:
        sides = pd.read_csv(folder_of(fold) / "split.csv").set_index("id")["side"]
        own, _ = predicted(folder_of(fold))
        assert (own["id"].map(sides) == own["split"]).all()


def test_a_split_by_slice_runs_and_is_called_a_leak(call: Call, songs: Songs, tmp_path: Path) -> None:
    words = ["split=slice", "slice.hop_s=1.0", "slice.jitter=false", "trainer.max_epochs=1"]
    said = call(*songs.words, *TINY, *words, f"store={tmp_path}")
    assert said.code == 0, said.err
    (run,) = runs_of(tmp_path)
    assert run.data.tags["leak_audit"] == "leaks"
    assert run.data.tags["split"] == "slice"
    assert "leak" in said.err


def test_a_training_of_five_steps(call: Call, songs: Songs, tmp_path: Path) -> None:
    """A one-cycle schedule over just so many divides by zero."""
    words = ["trainer.max_epochs=1", "trainer.batch_songs=5", "tracker=off"]
    said = call(*songs.words, *TINY, *words, f"store={tmp_path}")
    assert said.code == 0, said.err
