"""Which files of a folder are songs."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aif", ".aiff", ".m4a"})


def is_song(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def audio_files(folder: Path) -> list[Path]:
    """Audio files below a folder, hidden ones and hidden folders left out; links to folders are not followed."""
    found: list[Path] = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here) / name for name in files if is_song(name)]
    return sorted(found)
