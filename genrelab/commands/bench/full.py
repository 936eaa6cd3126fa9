"""`bench full`: as `bench all`, with the original's training run to its end (half an hour) instead of extrapolated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genrelab.commands.bench import all as everything


def run(
    repeats: Annotated[int, typer.Option(min=1, help="Rounds, in each of which all of a row are timed once.")] = 3,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file, too.")] = None,
    against: Annotated[Path | None, typer.Option(help="A file of --json: say what became slower since.")] = None,
) -> int:
    """Every row of `bench all`; nothing is extrapolated."""
    return everything.run(None, repeats, True, to_json, against)
