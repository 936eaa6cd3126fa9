"""What the tests of whole runs share: a loaded process to fork from, and a store with a run as it should be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from genrelab import compose
from tests.conftest import TINY
from tests.faults.files_seen import Seen
from tests.faults.forked import Ground
from tests.faults.stages import EPOCHS, STAGES, durations

WORDS = ("data=synth", "limit_songs=72", "data.song_s=5.12", *TINY, f"trainer.max_epochs={EPOCHS}")
SWEEP = (*WORDS, "trainer.max_epochs=1", "-m")


MADE: dict[str, Any] = {}  # by name; every file of tests has these fixtures, and all of them one of each


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    if "ground" not in MADE:
        MADE["ground"] = Ground(tmp_path_factory.mktemp("ground"))
    return MADE["ground"]


@pytest.fixture(scope="session")
def undisturbed(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """A store with a run of WORDS, and how long its stages take, seconds."""
    if "undisturbed" not in MADE:
        store = tmp_path_factory.mktemp("undisturbed") / "store"
        with watched(store) as seen:
            run = ground.start(*WORDS, f"store={store}")
            times = durations(run, store)
        assert run.code == 0, run.said()
        assert set(times) >= set(STAGES) - {"testing"}  # which is short
        MADE["undisturbed"], MADE["seen"] = (store, times), seen
    return MADE["undisturbed"]


@pytest.fixture(scope="session")
def like(undisturbed: tuple[Path, dict[str, float]]) -> Path:
    return undisturbed[0]


@pytest.fixture(scope="session")
def alone(like: Path) -> Seen:
    """What happened to the files of that run."""
    assert like
    return MADE["seen"]


def watched(store: Path) -> Seen:
    """Counts what happens to the songs of a store that is cold, and to its database."""
    source = compose.instantiate(compose.composed(WORDS)["data"])
    songs = store / "data" / f"synth-{source.digest}.part" / "songs"
    songs.mkdir(parents=True)
    return Seen(store, songs)


def size_of(folder: Path) -> int:
    """Bytes of a file, or of all below a folder."""
    return sum(p.stat().st_size for p in (folder, *folder.rglob("*")) if p.is_file())


def warm(store: Path, like: Path) -> Path:
    """A store that has the music and the pictures of another, and no run."""
    for name in ("data", "cache"):
        shutil.copytree(like / name, store / name)
    return store


def swept(ground: Ground, store: Path, like: Path, *words: str) -> Path:
    """A store with one sweep as it should be."""
    run = ground.start(*SWEEP, *words, f"store={warm(store, like)}")
    assert run.wait() == 0, run.said()
    return store
