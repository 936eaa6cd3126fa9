"""The other processes of a training over several (`ranks`): they hear no song and write nothing, make the same model of
the same songs as the first, train and answer beside it, and end."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrelab import compose, fit
from genrelab.ranks import READY
from genrelab.stacked import inherited
from genrelab.track import Run
from genrelab.types import UserError


def follow(words: Path) -> int:
    """A follower on this machine: its part of one training, as the first process has written it down."""
    told = json.loads(words.read_text(encoding="utf-8"))
    said = os.dup(1)  # what else is printed is for nobody
    os.dup2(2, 1)

    def ready() -> None:
        os.write(said, f"{READY}\n".encode())
        os.close(said)

    _train(told["config"], told["fold"], Path(told["folder"]), told["going_on"], ready)
    return 0


def follow_outside(config: compose.Config, resumed: Any = None) -> int:
    """A follower that torchrun or SLURM has started, by the words of the first: all trainings of a run.

    Returns the exit code; what is wrong with the words the first says.
    """
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _train(config, None, resumed.folder if resumed else Path(folder), resumed is not None, lambda: None)
        except UserError:
            return 2
    return 0


def _train(config: compose.Config, fold: int | None, folder: Path, going_on: bool, ready: Callable[[], None]) -> None:
    def nobody(*_: object) -> None:
        pass

    config = inherited(config)
    prepared = compose.prepare(config, nobody)
    for split in compose.splits(config, prepared):
        if fold in (None, split.fold):
            run = Run("", "", folder)
            fit.fit(config, prepared, split, run, nobody, resume=going_on, say=nobody, ready=ready)
