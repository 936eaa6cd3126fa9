"""The training songs of a run, in the order of what its rule remembers of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from genrelab.data.manifest import manifest_rows, read_manifest
from genrelab.types import Track, UserError

NAME = "known.csv"


def save(folder: Path, tracks: Sequence[Track]) -> None:
    """Writes them into a run's folder, as a manifest with absolute paths."""
    rows = manifest_rows(tracks)
    partial = folder / f"{NAME}.tmp"
    with partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    partial.replace(folder / NAME)


def load(folder: Path) -> list[Track]:
    """What `save` wrote; empty for a run of a genrelab that did not."""
    try:
        return read_manifest(folder / NAME) if (folder / NAME).is_file() else []
    except UserError:  # somebody else's file, or a damaged one: nothing is known of the songs
        return []
