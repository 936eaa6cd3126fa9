"""A search: what it tries follows from what its trials reached on validation, and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from genrelab import runs, search, sweep
from genrelab.report import artifacts, importance
from genrelab.types import UserError
from tests.conftest import TINY, Said, Songs, cut_off_in
from tests.report.test_sweeps import songs as predicted
from tests.test_multirun import family

Call = Callable[..., Said]
SHORT = ("sweep=optuna", *TINY, "trainer.max_epochs=1", "hydra.sweeper.sampler.n_startup_trials=1")
VAL = "val/song/balanced_accuracy"


def tried(children: list[Any]) -> list[tuple[list[str], float]]:
    """The words of every trial and what it reached, in their order."""
    return [(json.loads(c.data.tags["overrides"]), c.data.metrics[VAL]) for c in children]


@pytest.fixture(scope="module")
def undisturbed(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The store of a search of four trials, and what it printed."""
    import contextlib
    import io

    from genrelab.cli import main

    store, out = tmp_path_factory.mktemp("search"), io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*songs.words, *SHORT, "hydra.sweeper.n_trials=4", "net.dropout=0.1", f"store={store}"]) == 0
    return store, out.getvalue()


def test_trials_are_children_of_one_run_and_differ(undisturbed: tuple[Path, str]) -> None:
    store, out = undisturbed
    parent, children = family(store)
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"}
    words = [set(w) for w, _ in tried(children)]
    assert len(words) == 4
    for key in ("optim.optimizer.lr", "norm", "agg", "slice.length_s", "trainer.batch_songs"):
        assert all(sum(w.startswith(f"{key}=") for w in one) == 1 for one in words)
    assert len({w for one in words for w in one if w.startswith("optim.optimizer.lr=")}) == 4
    assert {w for one in words for w in one if w.startswith("net.dropout")} == {"net.dropout=0.1"}  # a word settles it
    assert (Path(parent.info.artifact_uri.removeprefix("file://")) / "pictures" / "sweep.png").stat().st_size > 10_000
    at = out.index("trials by balanced accuracy per song on validation")
    ids = {c.info.run_id[:8]: 100 * c.data.metrics[VAL] for c in children}
    shown = [line.split()[:2] for line in out[at:].splitlines() if line.split()[:1] and line.split()[0] in ids]
    order = [(i, float(v)) for i, v in shown[:4]]
    assert [v for _, v in order] == pytest.approx(sorted(ids.values(), reverse=True), abs=0.051)
    assert all(v == pytest.approx(ids[i], abs=0.051) for i, v in order)
    assert "python -m genrelab -m " in out and "seed=1,2,3" in out


def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(
    call: Call, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: tuple[Path, str]
) -> None:
    begun = cut_off_in(monkeypatch, 3)
    said = call(*songs.words, *SHORT, "hydra.sweeper.n_trials=4", "net.dropout=0.1", f"store={tmp_path}")
    assert said.code == 130
    parent, children = family(tmp_path)
    assert [c.info.status for c in children] == ["FINISHED", "FINISHED", "KILLED"]

    said = call(f"resume={parent.info.run_id}", f"store={tmp_path}")
    assert said.code == 0, said.err
    after, all_four = family(tmp_path)
    assert after.info.run_id == parent.info.run_id and after.info.status == "FINISHED"
    assert len(begun) == 5  # the third again, and the fourth
    assert [c.info.run_id for c in all_four[:3]] == [c.info.run_id for c in children]
    assert tried(all_four) == tried(family(undisturbed[0])[1])


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Runs that cost nothing: the validation figure is best at a dropout of .4, the test figure at 0; 0 fails."""
    tried: list[list[str]] = []

    def train(config: Any, *_: Any) -> dict[str, Any]:
        tried.append(config["overrides"])
        dropout = config["net"]["dropout"]
        if dropout == 0:
            raise UserError("dropout is not for nothing")
        figures = {VAL: 0.9 - abs(dropout - 0.4), "test/song/balanced_accuracy": 0.9 - dropout}
        return sweep.row("made-up", "", tmp_path / "run", figures, config["overrides"])

    artifacts.save(tmp_path / "run", predicted(0.8), predicted(0.8))

    monkeypatch.setattr(runs, "train", train)
    monkeypatch.setattr(importance, "N_DRAWS", 2)
    monkeypatch.setattr(sweep, "compared", lambda *_: [])  # they have no run
    return tried


def test_what_is_maximised_is_the_figure_of_the_validation_songs(
    call: Call, tmp_path: Path, made_up: list[list[str]]
) -> None:
    said = call(*SHORT, "trials=16", "net.dropout=range(0.1,0.6,0.1)", f"store={tmp_path}")
    assert said.code == 0, said.err
    (file,) = (tmp_path / "logs").rglob("optimization_results.yaml")
    best = OmegaConf.load(file)
    assert (best.best_value, best.best_params["net.dropout"]) == (pytest.approx(0.9), pytest.approx(0.4))
    late = [float(w.partition("=")[2]) for words in made_up[6:] for w in words if w.startswith("net.dropout=")]
    assert len(late) == 10 and sum(abs(d - 0.4) < 0.11 for d in late) > 5  # it looks where validation is good
    again = next(line for line in said.out.splitlines() if line.startswith("  python -m genrelab -m "))
    assert "net.dropout=0.4" in again and "trials" not in again and "sweep" not in again


def test_a_trial_that_fails_stops_no_other(call: Call, tmp_path: Path, made_up: list[list[str]]) -> None:
    said = call(*SHORT, "trials=9", "net.dropout=choice(0,0.2)", f"store={tmp_path}")
    assert said.code == 1
    n_failed = sum("net.dropout=0" in words for words in made_up)
    assert len(made_up) == 9 and 0 < n_failed < 9
    parent, failed = family(tmp_path)  # those that finished are made up
    assert parent.info.status == "FAILED" and {c.info.status for c in failed} == {"FAILED"}
    assert (parent.data.metrics["children"], parent.data.metrics["failed"]) == (9, n_failed)
    assert said.err.count("failed; the search goes on without it") == n_failed
    assert "Traceback" not in said.err and "float-castable" not in said.err
    assert "trials by balanced accuracy" in said.out


def test_a_search_where_all_trials_fail_ends_in_its_table(call: Call, tmp_path: Path) -> None:
    said = call("data=manifest", *SHORT, "trials=2", f"store={tmp_path}")
    assert said.code == 1
    parent, children = family(tmp_path)
    assert {r.info.status for r in (parent, *children)} == {"FAILED"} and len(children) == 2
    assert "Traceback" not in said.err
    assert "data.path=FILE.csv" in " ".join(said.out.split())


def test_without_the_sweeper_a_line_says_what_to_install(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Plugins.instance()  # has it register itself
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["sweeper"], "optuna.yaml")
    said = call("sweep=optuna", f"store={tmp_path}")
    assert (said.code, said.out) == (2, "")
    assert said.err == "genrelab: sweep=optuna wants hydra-optuna-sweeper: pip install 'genrelab[optuna]'\n"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("slice=glob(b*)", "slice=bars,beats"),
        ("slice=glob(*,exclude=b*)", "slice=fixed"),
        ("agg=choice(vote,gru)", "agg=choice(vote,gru)"),
        ("data.name='a b'", "data.name='a b'"),
        ("slice.hop_s=${slice.length_s}", "slice.hop_s=${slice.length_s}"),
    ],
)
def test_a_pattern_is_spelled_out_and_nothing_else(word: str, expected: str) -> None:
    assert search.spelled_out(OverridesParser.create().parse_override(word)) == expected


def test_the_space_holds_only_keys_that_the_chosen_parts_have() -> None:
    runtime = {"runtime": {"choices": {"net": "linear", "slice": "fixed"}}}
    config = OmegaConf.create({"net": {"dim": 4}, "slice": {"length_s": None}, "agg": {}, "hydra": runtime})
    params = dict.fromkeys(["net.dim", "net.dropout", "slice.length_s", "agg"], "choice(1,2)")
    assert search.lacking(params, config, []) == {"net.dropout": "which net=linear does not have"}
    typed = OverridesParser.create().parse_overrides(["net=linear,cnn", "slice=fixed"])
    lost = search.lacking(params, config, typed)
    assert list(lost) == ["net.dim", "net.dropout"] and lost["net.dim"] == "which not every net may have"
