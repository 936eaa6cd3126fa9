"""Made songs, a run trained on them that every end-to-end test may look at, and the program as its users have it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import numpy as np
import pytest
import soundfile
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)  # what passed once passes again; by hand it looks further
if os.environ.get("CI"):
    settings.load_profile("repeatable")

COUNT = "count: "  # before what is counted, in a test's properties: those come from all processes of the tests
RATE = 22050  # Hz
LENGTH_S = 6.0  # two slices of 2.56 s
GENRES = ("high", "low", "noise")
N_ARTISTS, N_SONGS = 8, 2  # artists a genre, songs an artist
TINY = (
    "trainer.max_epochs=2",
    "trainer.songs_per_epoch=0",
    "trainer.n_boot=100",
    "trainer.threads=1",
    "trainer.precision=32-true",
    "trainer.memory_format=channels_last",
    "trainer.keep_memory=true",
    "baselines=false",
    "card=silent",
)


@dataclass(frozen=True)
class Songs:
    """A made data set: `folder` holds a folder a genre, `manifest` names its files with genre and artist."""

    folder: Path
    manifest: Path
    n: int = len(GENRES) * N_ARTISTS * N_SONGS

    @property
    def words(self) -> list[str]:
        return ["data=manifest", f"data.path={self.manifest}"]


@dataclass(frozen=True)
class Trained:
    """A store with one finished run on the songs."""

    store: Path
    id: str
    folder: Path  # its artifacts
    songs: Songs
    words: list[str]  # that it was started with
    out: str  # what it printed


@dataclass(frozen=True)
class Said:
    """How a call of the program ended."""

    code: int
    out: str
    err: str


def wave(genre: str, artist: int, song: int, length_s: float = LENGTH_S) -> np.ndarray:
    """(samples,) float64: low tones, high tones or noise; an artist has a pitch of its own."""
    random = np.random.default_rng((GENRES.index(genre), artist, song))
    time_s = np.arange(int(length_s * RATE)) / RATE
    hiss = random.standard_normal(len(time_s))
    if genre == "noise":
        return 0.1 * hiss
    base = {"low": 110.0, "high": 2500.0}[genre] * (1 + 0.1 * artist + 0.02 * song)
    tone = sum(np.sin(2 * np.pi * base * k * time_s) / k for k in (1, 2, 3))
    return 0.2 * tone + 0.002 * hiss


def make_songs(folder: Path) -> Songs:
    """Writes the data set below `folder`."""
    rows = []
    for genre in GENRES:
        (folder / genre).mkdir(parents=True)
        for artist in range(N_ARTISTS):
            for song in range(N_SONGS):
                path = folder / genre / f"{artist}-{song}.wav"
                soundfile.write(path, wave(genre, artist, song), RATE, subtype="PCM_16")
                rows.append([path.relative_to(folder).as_posix(), genre, f"{genre} {artist}"])
    manifest = folder / "manifest.csv"
    write_manifest(manifest, rows)
    return Songs(folder, manifest)


def write_manifest(path: Path, rows: list[list[str]], header: tuple[str, ...] = ("path", "genre", "artist")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Songs:
    return make_songs(tmp_path_factory.mktemp("data") / "tones")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The program in this process: call(word, ...) -> its exit code and what it printed."""

    def called(*words: object) -> Said:
        from genrelab.cli import main

        capsys.readouterr()
        code = main([str(w) for w in words])
        return Said(code, *capsys.readouterr())

    return called


def program(*words: object, python: tuple[str, ...] = ("-m", "genrelab"), **options: Any) -> subprocess.Popen[str]:
    """The program in a process of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a process that ignores interrupts, as this one may after it was interrupted, has children that ignore them too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen([sys.executable, *python, *map(str, words)], **(pipes | options))


def finished(*words: object, patience_s: float = 120, **options: Any) -> Said:
    """The program in a process of its own, waited for."""
    process = program(*words, **options)
    out, err = process.communicate(timeout=patience_s)
    return Said(process.returncode, out, err)


def client(store: Path) -> Any:
    """MLflow's own client on a store: what genrelab wrote is read by other hands than its own."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{store / 'mlflow.db'}")


def runs_of(store: Path, where: str = "") -> list[Any]:
    """The store's runs as MLflow has them, the oldest first."""
    if not (store / "mlflow.db").is_file():
        return []
    there = client(store)
    experiments = [e.experiment_id for e in there.search_experiments()]
    return list(there.search_runs(experiments, where, order_by=["attributes.start_time ASC"]))


@pytest.fixture(scope="session")
def trained(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(songs, tmp_path_factory.mktemp("trained") / "store")


def train(songs: Songs, store: Path) -> Trained:
    """A store with one finished run."""
    import contextlib
    import io

    from genrelab.cli import main

    words = [*songs.words, *TINY]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([*words, f"store={store}"]) == 0
    (run,) = runs_of(store)
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return Trained(store, run.info.run_id, folder, songs, words, out.getvalue())


def cut_off_in(monkeypatch: pytest.MonkeyPatch, nth: int) -> list[int | None]:
    """The nth training is interrupted before it begins; the fold of every one that is asked for, as it goes on."""
    from genrelab import fit

    real, begun = fit.fit, []

    def cut_off(*given: Any, **more: Any) -> Any:
        begun.append(given[2].fold)
        if len(begun) == nth:
            raise KeyboardInterrupt
        return real(*given, **more)

    monkeypatch.setattr(fit, "fit", cut_off)
    return begun


def run_whole(config: pytest.Config) -> bool:
    """Whether the tests that try to break genrelab run whole: `pytest -m faults`."""
    return config.getoption("markexpr") == "faults"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts: Counter[str] = Counter()
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if getattr(report, "when", "") == "call":
            for name, n in report.user_properties:
                if name.startswith(COUNT):
                    counts[name.removeprefix(COUNT)] += n
    if counts:
        terminalreporter.section("faults: " + ("whole" if run_whole(config) else "a fast sample"))
        for what, n in counts.items():
            terminalreporter.line(f"{n:>8,}  {what}")
