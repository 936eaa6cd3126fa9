"""Libraries that only the pretrained nets need; a user who wants those installs them."""

from __future__ import annotations

import importlib
from typing import Any


def library(name: str, asked_by: str) -> Any:
    """The module. Raises ValueError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"{asked_by} needs the library {name}, which cannot be imported ({error}): pip install 'genrelab[nets]'"
        ) from error


def complaint(error: BaseException) -> str:
    """What a library complains of: its first sentence, on a line."""
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".") or type(error).__name__
