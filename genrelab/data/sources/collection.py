"""A known collection, or a user's own, that lies in a folder in a layout of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from genrelab.data.sources.base import Source
from genrelab.types import UserError

log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]  # what, done, of how many


class Collection(Source):
    """Songs below `data.path`. `holds` says in an error what the folder must be."""

    holds = ""
    download = False  # whether what lacks is fetched

    def __init__(self, path: str | None, beats: str, unknown: str | None, tree: str | None) -> None:
        super().__init__(beats, unknown, tree)
        self._given = path

    @property
    def name(self) -> str:
        """What the runs are filed under."""
        return type(self).__name__.lower()

    @property
    def path(self) -> Path:
        """Absolute. Raises UserError where none was given (not in the constructor: Hydra would wrap it)."""
        if not self._given:
            raise UserError(f"data={type(self).__name__.lower()} needs {self.holds}: give data.path=DIR")
        return Path(self._given).expanduser().absolute()

    def root(self) -> Path:
        """`path`, which is a folder. Raises UserError where it is none."""
        path = self.path
        if self.download:
            path.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            raise UserError(f"data.path={path} does not exist: give {self.holds}")
        if not path.is_dir():
            raise UserError(f"data.path={path} is a file: give {self.holds}")
        return path


def first_folder(candidates: Iterable[Path], fits: Callable[[Path], bool]) -> Path | None:
    """The first of the places where something may lie, or None."""
    return next((place for place in candidates if place.is_dir() and fits(place)), None)


def shown(names: Sequence[str], most: int = 5) -> str:
    """`a, b, c and 12 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def need_some(found: Sequence[object], path: Path, holds: str, expected: str) -> None:
    """Raises UserError where nothing was found."""
    if not found:
        raise UserError(f"data.path={path}: found no {expected}: give {holds}")
