"""What several verbs are asked about: a run of their own, since some log beside it, and a k-fold run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, Songs, Trained, runs_of, train

N_FOLDS = 3


@pytest.fixture(scope="session")
def trained(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(songs, tmp_path_factory.mktemp("asked") / "store")


def by_fold(songs: Songs, store: Path) -> tuple[Path, Any, list[Any]]:
    """A store, its one k-fold run and the folds of that."""
    from genrelab.cli import main

    words = ["split=kfold", f"split.n_folds={N_FOLDS}", "trainer.max_epochs=1"]
    assert main([*songs.words, *TINY, *words, f"store={store}"]) == 0
    run, *folds = runs_of(store)
    return store, run, folds


@pytest.fixture(scope="session")
def folded(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, list[Any]]:
    return by_fold(songs, tmp_path_factory.mktemp("folded"))
