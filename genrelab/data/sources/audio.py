"""Which files of a folder are songs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

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
    odd = [path for path in found if not writable(str(path))]
    if odd:
        shown = ", ".join(sorted(str(path).encode("utf-8", "backslashreplace").decode() for path in odd)[:20])
        log.warning("%d files have names that are not UTF-8 and are left out, rename them: %s", len(odd), shown)
    return sorted(path for path in found if path not in set(odd))


def writable(name: str) -> bool:
    """Whether a name can be written down as UTF-8; Python reads others, bytes of other scripts, as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
