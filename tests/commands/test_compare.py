"""`compare` as its users have it: a sweep's runs, runs by name, all on a data set; and what cannot be compared."""

from __future__ import annotations

import contextlib
import csv
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from genrelab.report.compare import outcome
from genrelab.track import children
from tests.conftest import TINY, Said, Songs, client, runs_of

Call = Callable[..., Said]
SHORT = (*TINY, "trainer.max_epochs=1")


@dataclass(frozen=True)
class Swept:
    """A store with front=stft,mel seed=0,1, each seed on a split of its own."""

    store: Path
    parent: Any  # its run
    runs: dict[str, Any]  # name -> run
    out: str
    songs: Songs

    @property
    def folder(self) -> Path:
        return Path(self.parent.info.artifact_uri.removeprefix("file://"))


@pytest.fixture(scope="module")
def swept(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    from genrelab.cli import main

    store, out = tmp_path_factory.mktemp("compare") / "store", io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["-m", *songs.words, *SHORT, "front=stft,mel", "seed=0,1", f"store={store}"]) == 0
    (parent,) = [r for r in runs_of(store) if r.data.tags["kind"] == "sweep"]
    runs = {r.info.run_name: r for r in runs_of(store) if r.data.tags["kind"] == "run"}
    return Swept(store, parent, runs, out.getvalue(), songs)


def error(said: Said) -> str:
    assert said.code == 2, said.out
    assert not said.out
    (line,) = said.err.splitlines()
    assert line.startswith("genrelab: ")
    return line


def compared(entries: list[Any]) -> Any:
    from genrelab import comparison

    return outcome([comparison.of_record(r) for r in entries], n_boot=100, factors=True)


def test_every_multirun_ends_with_a_comparison(swept: Swept) -> None:
    found = compared(children(swept.store, swept.parent.info.run_id))
    (versus,) = found.versus
    assert {versus.a, versus.b} == {"stft", "mel"}
    assert [a.seed for a, _ in versus.pairs] == [0, 1]
    assert len({a.split for a, _ in versus.pairs}) == 2
    assert f"{versus.name} " in swept.out
    assert f"page: {swept.folder / 'comparison.html'}" in swept.out
    logged = swept.parent.data.metrics
    at = f"compare/{versus.name}"
    c = versus.found
    for key, value in (("", c.points), ("_lo", c.lo), ("_hi", c.hi)):
        assert logged[f"{at}/difference{key}"] == pytest.approx(value)
    assert logged[f"{at}/p_holm"] == pytest.approx(c.p_holm)
    assert "mel" in swept.parent.data.tags["comparison"]
    assert swept.parent.data.tags["comparison"] in swept.out
    for name in ("comparison.html", "comparison.csv", "pictures/differences.png", "pictures/genres.png"):
        assert (swept.folder / name).stat().st_size > 0


def test_what_is_logged_is_what_the_predictions_say(swept: Swept) -> None:
    """The difference, from the runs' parquet files, by hand."""
    (row,) = csv.DictReader((swept.folder / "comparison.csv").open(encoding="utf-8"))
    reached: dict[str, list[float]] = {}
    for run in swept.runs.values():
        songs = pd.read_parquet(Path(run.info.artifact_uri.removeprefix("file://")) / "predictions.parquet")
        test = songs[songs["split"] == "test"]
        right = (test["decision"] == test["truth"]).groupby(test["truth"]).mean().mean()
        assert right == pytest.approx(run.data.metrics["test/song/balanced_accuracy"])
        reached.setdefault(run.data.tags["front"], []).append(right)
    means = {front: sum(values) / 2 for front, values in reached.items()}
    assert float(row["points"]) == pytest.approx(means[row["a"]] - means[row["b"]])
    assert int(row["n_pairs"]) == 2


def test_a_sweep_again_says_the_same(swept: Swept, call: Call, tmp_path: Path) -> None:
    said = call("compare", "--sweep", "last", f"store={swept.store}")
    assert said.code == 0, said.err
    at_end = [line for line in swept.out.splitlines() if " less " in line and "[" in line]
    assert at_end
    assert [line for line in said.out.splitlines() if " less " in line and "[" in line] == at_end
    by_id = call(
        "compare", "--sweep", swept.parent.info.run_id[:8], "--out", tmp_path / "Ünï [x] #1", f"store={swept.store}"
    )
    assert by_id.code == 0, by_id.err
    assert (tmp_path / "Ünï [x] #1" / "comparison.html").is_file()
    after = client(swept.store).get_run(swept.parent.info.run_id)
    assert after.info.status == "FINISHED"
    assert after.data.metrics == swept.parent.data.metrics


def test_two_runs_by_name_stand_beside_their_sweep(swept: Swept, call: Call) -> None:
    said = call("compare", "mel-gru-artist-s0", "stft-gru-artist-s0", f"store={swept.store}")
    assert said.code == 0, said.err
    assert "one seed each" in " ".join(said.out.split())
    assert (swept.folder / "comparisons" / "mel_and_stft" / "comparison.html").is_file() or (
        swept.folder / "comparisons" / "stft_and_mel" / "comparison.html"
    ).is_file()


def test_all_runs_on_a_data_set(swept: Swept, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = client(swept.store).get_experiment(swept.parent.info.experiment_id).name
    said = call("compare", "--data", name, "--all-pairs", f"store={swept.store}")
    assert said.code == 0, said.err
    assert "4 runs, 2 arms with 2 seeds each" in said.out
    assert (tmp_path / "comparison" / "comparison.html").is_file()


def test_runs_of_one_arm_on_one_split_are_compared_by_seed(songs: Songs, call: Call, tmp_path: Path) -> None:
    words = ["-m", *songs.words, *SHORT, "seed=0,1", "split_seed=0", "tracker=off", f"store={tmp_path}"]
    said = call(*words)
    assert said.code == 0, said.err
    (page,) = tmp_path.rglob("comparison.html")
    assert f"page: {page}" in said.out
    assert "s0 less s1" in said.out or "s1 less s0" in said.out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "compare takes one of: two runs or more"),
        (["last", "--sweep", "last"], "compare takes one of: two runs or more"),
        (["last"], "last is one run, and compare takes two or more: name another, as "),
        (["mel-gru-artist-s0", "mel-gru-artist-s0"], "is named twice: give another run to compare it with"),
        (["mel-gru-artist-s0", "nope"], "no run 'nope' in the store"),
        (["mel-gru-artist-s0", "stft-gru-artist-s1"], "were not tested on the same split (split digests "),
        (["--sweep", "nope"], "--sweep nope: no sweep 'nope' in "),
        (["--sweep", "mel-gru-artist-s0"], "mel-gru-artist-s0 is no sweep but a run; the newest are "),
        (["--data", "nope"], "--data nope: no finished run on it in the store"),
    ],
)
def test_what_cannot_be_compared_is_a_line(swept: Swept, call: Call, words: list[str], line: str) -> None:
    assert line in error(call("compare", *words, f"store={swept.store}"))


def test_runs_on_different_splits_are_refused_by_name_with_what_to_do(swept: Swept, call: Call) -> None:
    said = error(call("compare", "mel-gru-artist-s0", "stft-gru-artist-s1", f"store={swept.store}"))
    for name in ("mel-gru-artist-s0", "stft-gru-artist-s1"):
        run = swept.runs[name]
        assert f"{name} ({run.info.run_id[:8]})" in said
        assert run.data.tags["split_digest"] in said
    assert "split_seed=0" in said


def test_a_sweep_among_the_runs_is_said_to_be_one(swept: Swept, call: Call) -> None:
    said = error(call("compare", swept.parent.info.run_id, "last", f"store={swept.store}"))
    assert f"--sweep {swept.parent.info.run_id[:8]}" in said


def test_an_empty_store_has_nothing_to_compare(call: Call, tmp_path: Path) -> None:
    assert "no sweep in the store" in error(call("compare", "--sweep", "last", f"store={tmp_path}"))
    assert "there are runs on none" in error(call("compare", "--data", "synth", f"store={tmp_path}"))
    assert "no run in the store" in error(call("compare", "a", "b", f"store={tmp_path}"))


def test_a_folder_that_cannot_be_written_is_said(swept: Swept, call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = call("compare", "--sweep", "last", "--out", tmp_path / "file" / "x", f"store={swept.store}")
    assert said.code == 2
    assert "give another folder with --out DIR" in said.err.splitlines()[-1]


def test_runs_whose_files_are_gone_are_named(swept: Swept, call: Call, tmp_path: Path) -> None:
    """By name that is an error; among many the others are compared."""
    folder = Path(swept.runs["mel-gru-artist-s1"].info.artifact_uri.removeprefix("file://"))
    kept = shutil.move(folder / "predictions.parquet", tmp_path / "kept.parquet")
    try:
        by_name = call("compare", "mel-gru-artist-s1", "stft-gru-artist-s1", f"store={swept.store}")
        assert "its store was moved or cleaned" in error(by_name)
        many = call("compare", "--sweep", "last", "--out", tmp_path / "out", f"store={swept.store}")
    finally:
        shutil.move(kept, folder / "predictions.parquet")
    assert many.code == 0, many.err
    assert "left out: mel-gru-artist-s1" in many.err
    assert "3 runs" in many.out
