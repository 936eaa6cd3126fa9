"""What MLflow's pages show first: the columns of the run list, and the descriptions of runs and data sets."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from genrelab import sweep, track, views
from tests.conftest import Trained, client, runs_of


def begin(store: Path, **tags: object) -> track.Run:
    return track.Mlflow().begin(store, "é / data", "a run", {"measure": "balanced_accuracy", **tags})


def experiment(store: Path) -> Any:
    return client(store).get_experiment_by_name("é / data")


def test_a_view_holds_the_parts_then_the_test_figure_and_orders_by_validation() -> None:
    key, value = views.tag("map")
    assert key == "mlflow.sharedViewState.genrelab-map"
    assert len(value) < track.NOTE_CHARS  # what a store takes
    state = json.loads(json.loads(value)["state"])
    shown = state["selectedColumns"]
    assert shown[:7] == [*(f"tags.`{p}`" for p in views.PARTS), "metrics.`test/song/map`"]
    assert shown[7:10] == ["metrics.`test/song/map_lo`", "metrics.`test/song/map_hi`", "metrics.`val/song/map`"]
    assert state["orderByKey"] == "metrics.`val/song/map`"
    assert state["orderByAsc"] is False
    assert [c for c in state["columnOrder"] if c in shown] == shown
    assert set(shown) < set(state["columnWidths"])


def test_every_column_is_there_on_a_run(trained: Trained) -> None:
    (run,) = runs_of(trained.store)
    for column in views.columns():
        kind, name = column.rstrip("`").split(".`")
        assert name in (run.data.tags if kind == "tags" else run.data.metrics)
    for tag in ("data", "data_digest", "task", "split_digest", "leak_audit", "config_hash", "git_commit"):
        assert run.data.tags[tag]
    assert run.data.tags["mlflow.source.name"] == "genrelab"
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("tones", run.data.tags["data_digest"])
    there = client(trained.store).get_experiment(run.info.experiment_id)
    assert views.keys(there.tags) == [views.key()]
    assert "48 songs of 3 genres, 24 artists" in there.tags[track.NOTE]


def test_a_runs_description_has_its_figures_and_the_command(trained: Trained) -> None:
    (run,) = runs_of(trained.store)
    said = run.data.tags[track.NOTE]
    reached = {k: f"{100 * run.data.metrics[f'test/song/balanced_accuracy{k}']:.1f}" for k in ("", "_lo", "_hi")}
    assert f"per song {reached['']} %**, 95 % interval [{reached['_lo']}, {reached['_hi']}] %" in said
    assert f"always saying the commonest genre, reaches {100 / 3:.1f} %" in said
    assert "24 training, 12 validation and 12 test songs" in said
    command = shlex.split(said.splitlines()[-1])
    assert command[:3] == ["python", "-m", "genrelab"]
    assert set(trained.words) <= set(command)
    assert (f"/runs/{run.info.run_id}/artifacts/card.html" in said) == (trained.folder / "card.html").is_file()


def test_a_view_that_a_user_changed_is_kept(tmp_path: Path) -> None:
    run = begin(tmp_path)
    key, _ = views.tag()
    client(tmp_path).set_experiment_tag(run.experiment_id, key, "mine")
    begin(tmp_path)
    assert experiment(tmp_path).tags[key] == "mine"
    begin(tmp_path, measure="map")  # of another task
    assert views.keys(experiment(tmp_path).tags) == ["genrelab-balanced_accuracy", "genrelab-map"]


def test_a_description_that_a_user_wrote_is_kept(tmp_path: Path) -> None:
    run = begin(tmp_path)
    run.describe_data("one")
    begin(tmp_path).describe_data("two")
    assert experiment(tmp_path).tags[track.NOTE] == "two"
    client(tmp_path).set_experiment_tag(run.experiment_id, track.NOTE, "mine")
    begin(tmp_path).describe_data("three")
    assert experiment(tmp_path).tags[track.NOTE] == "mine"


def test_a_long_description_is_cut_where_a_store_would_refuse_it(tmp_path: Path) -> None:
    run = begin(tmp_path)
    run.describe("x" * 20_000)
    run.describe_data("x" * 20_000)
    begin(tmp_path).describe_data("y" * 20_000)  # it is still known as ours
    assert set(client(tmp_path).get_run(run.id).data.tags[track.NOTE]) == {"x"}
    assert set(experiment(tmp_path).tags[track.NOTE]) == {"y"}


def test_only_what_is_there_has_a_link(tmp_path: Path) -> None:
    run = begin(tmp_path)
    assert run.link("card.html") == ""
    (run.folder / "card.html").touch()
    assert run.link("card.html").startswith(f"#/experiments/{run.experiment_id}/runs/{run.id}/artifacts/card.html")
    off = track.Off().begin(tmp_path, "data", "a run", {})
    (off.folder / "card.html").touch()
    assert off.link("card.html") == ""  # there are no pages
    off.describe("said")
    off.describe_data("said")


def test_a_run_that_failed_before_it_had_songs_is_filed_under_its_data(tmp_path: Path) -> None:
    assert client(tmp_path).get_run(begin(tmp_path).id).data.tags["data"] == "é / data"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["front=mel,stft", "seed=0,1"], {"front": "mel,stft", "agg": "gru", "seed": "0,1"}),
        (["agg=glob(*)", "+x=1", "~y"], {"front": "mel", "agg": "glob(*)", "seed": 3}),
    ],
)
def test_a_sweeps_tags_say_what_differs(words: list[str], meant: dict[str, object]) -> None:
    assert sweep.swept({"front": "mel", "agg": "gru", "hydra/launcher": "basic"}, words, 3) == meant
