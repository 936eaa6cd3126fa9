"""What the tests of the sources share."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from genrelab.data.sources.collection import Collection
from genrelab.types import Track, UserError
from tests.parts import part

RATE = 22050


def source(name: str, path: Path | str | None, **overrides: Any) -> Collection:
    """As conf/data/`name`.yaml has it."""
    made = part(f"data/{name}", path=None if path is None else str(path), **overrides)
    assert isinstance(made, Collection)
    return made


def tracks_of(made: Collection, store: Path) -> list[Track]:
    return made.tracks(store, lambda *_: None)


def wrong(name: str, path: Path | str | None, store: Path, **overrides: Any) -> str:
    """The line that the user reads."""
    with pytest.raises(UserError) as caught:
        tracks_of(source(name, path, **overrides), store)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sound(path: Path, seconds: float = 0.2, **options: Any) -> Path:
    """A file of noise in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.1 * np.random.default_rng(len(path.name)).standard_normal(int(seconds * RATE))
    soundfile.write(path, wave, RATE, **options)
    return path


def touched(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
