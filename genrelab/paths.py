"""Where conf/ and the store are."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def conf_dir() -> Path:
    """The packaged `conf/` of a wheel if it is there, else the checkout's."""
    packaged = PACKAGE / "conf"
    return packaged if packaged.is_dir() else PACKAGE.parent / "conf"


def store_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """The store, absolute: what was given, else $GENRELAB_STORE, else ./.genrelab. Does not create it."""
    return Path(given or os.environ.get("GENRELAB_STORE") or ".genrelab").expanduser().resolve()
