"""`data=folder data.path=DIR`: a folder a genre, as GTZAN has it."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from genrelab.data.manifest import slug
from genrelab.data.sources.audio import audio_files, is_song
from genrelab.data.sources.base import Source
from genrelab.types import Track, UserError

log = logging.getLogger(__name__)


class Folder(Source):
    """Tracks of a folder whose sub-folders are genres; their own sub-folders mean nothing."""

    def __init__(self, path: str | None, beats: str, unknown: str | None, tree: str | None) -> None:
        super().__init__(beats, unknown, tree)
        self._given = path

    @property
    def path(self) -> Path:
        """Absolute. Raises UserError where none was given (not in the constructor: Hydra would wrap it)."""
        if not self._given:
            raise UserError("data=folder needs the folder whose sub-folders are genres: give data.path=DIR")
        return Path(self._given).expanduser().absolute()

    @property
    def name(self) -> str:
        """What the runs are filed under: the folder's name."""
        return slug(self.path.resolve().name)

    def tracks(self, store: Path, progress: object) -> list[Track]:  # noqa: ARG002 - other sources need both
        """A track a file, sorted by genre and path; the id is the path without its suffix.

        Raises UserError: no such folder, a file, fewer than two sub-folders with audio. Files that lie beside the genre
        folders, and genre folders without audio, are counted in a warning.
        """
        root = self.path
        if not root.exists():
            raise UserError(f"data.path={root} does not exist: give the folder whose sub-folders are genres")
        if not root.is_dir():
            what = "data=manifest" if root.suffix.lower() == ".csv" else "the folder that holds the genre folders"
            raise UserError(f"data.path={root} is a file, data=folder expected a folder of genre folders: use {what}")
        try:
            entries = sorted(root.iterdir())
        except OSError as error:
            raise UserError(f"data.path={root} cannot be read: {error.strerror}") from error
        loose = sum(entry.is_file() and is_song(entry.name) for entry in entries)
        genres = {
            entry.name: audio_files(entry) for entry in entries if entry.is_dir() and not entry.name.startswith(".")
        }
        empty = [name for name, songs in genres.items() if not songs]
        genres = {name: songs for name, songs in genres.items() if songs}
        if len(genres) < 2:
            table = "; a manifest.csv lies in it: data=manifest" if (root / "manifest.csv").is_file() else ""
            has = f"only {next(iter(genres))}" if genres else f"none ({loose} audio files lie directly in it)"
            raise UserError(
                f"data.path={root}: expected at least 2 sub-folders with audio, one a genre, found {has}{table}"
            )
        if loose:
            log.warning("%s: %d audio files lie beside the genre folders and are left out", root, loose)
        if empty:
            log.warning("%s: no audio in %s: not a genre", root, ", ".join(empty))
        stems = Counter(song.with_suffix("") for songs in genres.values() for song in songs)
        return [
            Track(self._id(song, root, alone=stems[song.with_suffix("")] == 1), song, (genre,))
            for genre, songs in genres.items()
            for song in songs
        ]

    @staticmethod
    def _id(song: Path, root: Path, *, alone: bool) -> str:
        """`rock/a`; where a.wav and a.mp3 lie side by side the suffix stays."""
        return (song.with_suffix("") if alone else song).relative_to(root).as_posix()
