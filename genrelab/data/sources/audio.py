"""Which files of a folder are songs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from genrelab.types import writable

log = logging.getLogger(__name__)
SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3", ".aif", ".aiff", ".m4a"})


def is_song(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def audio_files(folder: Path) -> list[Path]:
    """Audio files below a folder, hidden ones and hidden folders left out; links to folders are not followed.

    A warning names those whose names are not UTF-8, which are left out: no table and no page could hold them.
    """
    found: list[Path] = []
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here) / name for name in files if is_song(name)]
    fine = [path for path in found if writable(str(path))]
    if len(fine) < len(found):
        odd = [str(path).encode("utf-8", "backslashreplace").decode() for path in found if not writable(str(path))]
        shown = ", ".join(sorted(odd)[:20])
        log.warning("%d files have names that are not UTF-8 and are left out, rename them: %s", len(odd), shown)
    return sorted(fine)
