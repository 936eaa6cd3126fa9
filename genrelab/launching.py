"""Hydra on a command line's words: it composes them, and calls a job for each run that they ask for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from genrelab import compose, paths, words
from genrelab.types import UserError


def launch(argv: Sequence[str], job: Callable[[Any], Any]) -> None:
    """Calls `job` with Hydra's config, once, or for each combination under `-m`. SIGTERM is as an interrupt.

    Raises UserError for words that cannot be read, Hydra's and OmegaConf's errors for words that do not compose.
    """
    import hydra
    from hydra._internal.utils import get_args_parser

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands us its errors instead of printing and leaving
    compose.register()
    parser = get_args_parser()
    parser.error = _misread  # type: ignore[assignment]
    overrides = parser.parse_intermixed_args(argv).overrides
    words.readable(overrides)
    flags = [w for w in argv if w not in overrides]  # first: argparse takes no override after a flag
    sys.argv = ["genrelab", *flags, *overrides]
    signal.signal(signal.SIGTERM, interrupted)
    try:
        hydra.main(version_base="1.3", config_path=str(paths.conf_dir()), config_name="config")(job)()
    except ValueError as error:
        if str(error).startswith("Only one of --run"):
            raise UserError(str(error)) from error
        raise


def interrupted(*_: object) -> None:
    """What to do on a signal that asks for an end."""
    raise KeyboardInterrupt


def _misread(message: str) -> None:
    """What argparse has to say, a line."""
    raise UserError(f"{message}; see python -m genrelab --help")
