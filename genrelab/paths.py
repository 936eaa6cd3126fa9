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


def nearest_store() -> Path:
    """The store that a notebook reads: $GENRELAB_STORE, else the .genrelab of this folder or of the nearest above it.

    Raises FileNotFoundError where none holds runs.
    """
    here = [Path.cwd(), *Path.cwd().parents]
    around = [store_dir()] if os.environ.get("GENRELAB_STORE") else [store_dir(f / ".genrelab") for f in here]
    for store in around:
        if (store / "mlflow.db").is_file():
            return store
    raise FileNotFoundError("no store with runs here or above: train one (python -m genrelab), or set GENRELAB_STORE")
