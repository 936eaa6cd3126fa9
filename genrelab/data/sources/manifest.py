"""`data=manifest data.path=FILE.csv`: the user's own table of tracks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from genrelab.data.manifest import read_manifest, slug
from genrelab.data.sources.base import Source
from genrelab.types import Track, UserError


class Manifest(Source):
    """Tracks of a manifest. `columns` maps our column names to theirs."""

    def __init__(
        self, path: str | None, columns: Mapping[str, str], beats: str, unknown: str | None, tree: str | None
    ) -> None:
        super().__init__(beats, unknown, tree)
        self._given, self.columns = path, columns

    @property
    def path(self) -> Path:
        """Absolute. Raises UserError where none was given (not in the constructor: Hydra would wrap it)."""
        if not self._given:
            raise UserError("data=manifest needs the table of tracks: give data.path=FILE.csv")
        return Path(self._given).expanduser().absolute()

    @property
    def name(self) -> str:
        """What the runs are filed under: the folder of a `manifest.csv`, else the file's own name."""
        stem = self.path.stem
        return slug(self.path.resolve().parent.name if stem.lower() == "manifest" else stem)

    def tracks(self, store: Path, progress: object) -> list[Track]:  # noqa: ARG002 - other sources need both
        """The manifest's rows. Raises UserError on a manifest that cannot be followed."""
        return read_manifest(self.path, self.columns)
