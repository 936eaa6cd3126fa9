"""A sweep under every launcher: one parent, its children in processes of their own, one table."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from genrelab import environment, sweep, words
from tests.conftest import TINY, Said, Songs, finished, runs_of
from tests.slurm import Slurm
from tests.test_cli import ODD
from tests.test_multirun import family

Call = Callable[..., Said]
HERE = ("processes", "local_jobs", "ray_cluster")
SHORT = (*TINY, "trainer.max_epochs=1", "trainer.threads=null")


def swept(songs: Songs | None, store: Path, launcher: str, *more: str, programs: Path | None = None) -> Said:
    """The program in a process of its own, whose user has not said how many threads there are."""
    env = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    if programs:
        env["PATH"] = f"{programs}{os.pathsep}{env['PATH']}"
    said = ["-m", f"hydra/launcher={launcher}", *(songs.words if songs else ()), *SHORT, *more]
    return finished(*said, f"store={store}", env=env, patience_s=300)


@pytest.mark.parametrize("launcher", HERE)
def test_combinations_are_children_of_one_run_in_one_table(songs: Songs, tmp_path: Path, launcher: str) -> None:
    """In a store whose name is odd; the cores are shared out among them."""
    store, fronts = tmp_path / ODD, ("stft", "mel") if launcher == "processes" else ("stft",)
    n = 2 * len(fronts)
    said = swept(songs, store, launcher, f"front={','.join(fronts)}", "agg=vote,gru")
    assert said.code == 0, said.err
    assert "Traceback" not in said.err and "Warning" not in said.err
    parent, children = family(store)
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"}, said.err
    made = {(c.data.tags["front"], c.data.tags["agg"]) for c in children}
    assert len(children) == n and made == {(f, a) for f in fronts for a in ("vote", "gru")}
    rows = [line for line in said.out.splitlines() if any(c.info.run_id[:8] in line for c in children)]
    assert len(rows) == n
    assert said.out.count("ordered by validation") == 1
    writers = {c.data.tags["process"] for c in children}
    assert parent.data.tags["process"] not in writers
    cores = environment.cores()
    assert {int(c.data.tags["threads"]) for c in children} <= set(range(1, max(1, cores // min(cores, n)) + 1))
    assert len({c.data.tags["precision"] for c in children}) == 1
    for child in children:  # as soon as it is done
        assert f"({child.info.run_id[:8]}): balanced accuracy per song" in said.err
    logs = [p.read_text() for p in sorted(store.glob("logs/sweeps/*/*/log.txt"))]
    assert len(logs) == n and all(any(c.info.run_id[:8] in log for c in children) for log in logs)


def test_a_child_that_fails_ends_no_other_and_stands_in_the_table(songs: Songs, tmp_path: Path) -> None:
    said = swept(songs, tmp_path, "processes", "front=stft", "front.n_bins=128,100,64,32")
    assert said.code == 1
    parent, children = family(tmp_path)
    assert parent.info.status == "FAILED"
    assert sorted(c.info.status for c in children) == ["FAILED", "FINISHED", "FINISHED", "FINISHED"], said.err
    (failed,) = [c for c in children if c.info.status == "FAILED"]
    table = " ".join(said.out.split())
    assert "FAILED: front.n_bins=100 does not divide" in table
    assert failed.info.run_id[:8] in table
    assert "failed: front.n_bins=100 does not divide" in said.err
    assert "Traceback" not in said.err


@pytest.mark.slow
def test_a_child_makes_its_songs_in_processes_of_its_own(tmp_path: Path) -> None:
    made = ["data=synth", "limit_songs=60", "data.song_s=5.12", "data.n_jobs=2"]
    said = swept(None, tmp_path, "processes", *made, "front=stft", "agg=vote,mean")
    assert said.code == 0, said.err
    assert [r.info.status for r in runs_of(tmp_path)] == 3 * ["FINISHED"]


def test_slurm_is_given_a_script_that_runs_the_sweep(songs: Songs, tmp_path: Path) -> None:
    """By programs of SLURM's names, that carry out on this machine what they are told."""
    slurm, store = Slurm(tmp_path / "slurm"), tmp_path / "store"
    options = [
        "jobs=2",
        "hydra.launcher.partition=gpu",
        "hydra.launcher.account=music",
        "hydra.launcher.timeout_min=90",
    ]
    said = swept(
        songs, tmp_path / "store", "slurm", "front=stft", "agg=vote,mean,gru", "jobs=2", *options, programs=slurm.folder
    )
    assert said.code == 0, said.err
    parent, children = family(store)
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"} and len(children) == 3
    assert {int(c.data.tags["threads"]) for c in children} <= set(range(1, 5))
    (script,) = slurm.scripts()
    flags = {line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")}
    assert flags >= {
        "array=0-2%2",
        "cpus-per-task=4",
        "mem=8GB",
        "time=90",
        "requeue",
        "signal=USR2@120",
        "partition=gpu",
        "account=music",
        "job-name=genrelab",
        "open-mode=append",
    }
    (log,) = [flag for flag in flags if flag.startswith("output=")]
    assert str(store / "logs" / "sweeps") in log
    assert "srun" in script and "-m submitit.core._submit" in script


def test_where_there_is_no_slurm_a_line_says_so(call: Call, songs: Songs, tmp_path: Path) -> None:
    said = call("-m", "hydra/launcher=slurm", *songs.words, *SHORT, "front=stft,mel", f"store={tmp_path}")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("genrelab: hydra/launcher=slurm wants SLURM's sbatch and srun")
    assert "hydra/launcher=processes" in said.err and len(said.err.splitlines()) == 1
    assert not runs_of(tmp_path)


@pytest.mark.parametrize("launcher", HERE)
def test_no_runs_at_once_are_none(call: Call, songs: Songs, tmp_path: Path, launcher: str) -> None:
    said = call("-m", f"hydra/launcher={launcher}", *songs.words, "seed=1,2", "jobs=0", f"store={tmp_path}")
    assert (said.code, said.out) == (2, "")
    assert said.err == "genrelab: jobs=0: expected how many runs go on at once, at least 1\n"
    assert not runs_of(tmp_path)


@pytest.mark.parametrize("launcher", [*HERE, "slurm"])
def test_without_its_plugin_a_line_says_what_to_install(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    Plugins.instance()  # has them register themselves
    (plugin,) = [k for k, (word, *_) in words.EXTRAS.items() if word == f"hydra/launcher={launcher}"]
    library = words.EXTRAS[plugin][1]
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"]["launcher"], f"{plugin.rpartition('/')[2]}.yaml")
    said = call("-m", f"hydra/launcher={launcher}", "seed=1,2", f"store={tmp_path}")
    assert (said.code, said.out) == (2, "")
    wanted = f"genrelab: hydra/launcher={launcher} wants {library}: pip install 'genrelab[{launcher}]'\n"
    assert said.err == wanted


def test_no_such_launcher(call: Call, tmp_path: Path) -> None:
    said = call("-m", "hydra/launcher=proceses", "seed=1,2", f"store={tmp_path}")
    assert said.code == 2
    assert "hydra/launcher=proceses" in said.err and "did you mean hydra/launcher=processes?" in said.err


def test_how_many_go_on_at_once() -> None:
    assert environment.at_once(7, 2) == 7
    assert environment.at_once(None, 1e-3) == environment.cores()
    assert environment.at_once(None, 1e6) == 1  # none has so much memory


def test_what_is_handed_down_comes_once_and_as_it_was() -> None:
    config = OmegaConf.create({"hydra": {"overrides": {"hydra": ["hydra/launcher=processes"]}}})
    OmegaConf.set_readonly(config, True)
    sweep.hand_down(config, {"A": "1", "B": f"{ODD}\\"}, Path("/s"))
    sweep.hand_down(config, {"A": "2"})
    own = list(config.hydra.overrides.hydra)
    assert own[0] == "hydra/launcher=processes" and len(own) == 4
    from hydra.core.override_parser.overrides_parser import OverridesParser

    read = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(own[1:])}
    assert read == {"hydra.job.env_set.A": "2", "hydra.job.env_set.B": f"{ODD}\\", "store": "/s"}
