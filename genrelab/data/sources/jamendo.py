"""`data=jamendo data.path=DIR`: the genres of MTG-Jamendo, whole songs of several genres each.

    DIR/14/214.mp3                       or DIR/14/214.low.mp3, the smaller copies
    DATA/splits/split-0/autotagging_genre-train.tsv, -validation.tsv, -test.tsv         split-0 to split-4
    DATA/autotagging_genre.tsv

DATA is the folder `data` of the data set's repository. A table's columns are TRACK_ID, ARTIST_ID, ALBUM_ID, PATH,
DURATION and TAGS, and TAGS goes on over as many cells as a song has tags: genre---punkrock. The tables of the splits
leave a few rare genres out, so that every split has the same ones. No artist lies on two sides.
Bogdanov, Won, Tovstogan, Porter & Serra 2019, The MTG-Jamendo dataset for automatic music tagging.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from genrelab.data.sources.collection import Collection, Progress, first_folder, need_some, shown
from genrelab.types import Track, UserError

log = logging.getLogger(__name__)

HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
SIDES = ("train", "validation", "test")
GENRE = "genre---"
N_SPLITS = 5


class Jamendo(Collection):
    """`split_number`: which of the five official splits is Track.split; None: every song and genre, without one."""

    holds = "the folder of the songs, with 14/214.mp3 or 14/214.low.mp3 in it"

    def __init__(
        self,
        path: str | None,
        metadata: str | None,
        split_number: int | None,
        beats: str,
        unknown: str | None,
        tree: str | None,
    ) -> None:
        super().__init__(path, beats, unknown, tree)
        if split_number is not None and (isinstance(split_number, bool) or split_number not in range(N_SPLITS)):
            raise UserError(f"data.split_number={split_number}: expected 0 to {N_SPLITS - 1}, or null")
        self._metadata, self.split_number = metadata, split_number

    def tracks(self, store: Path, progress: Progress) -> list[Track]:  # noqa: ARG002 - other sources need it
        """The songs that are there, in the tables' order. Raises UserError: no such folder, no tables or other ones."""
        root = self.root()
        home = first_folder((root, root / "audio", root / "audio-low", root / "songs"), _has_songs) or root
        rows = list(self._rows(self._tables(root)))
        seen: dict[str, str | None] = {}
        found, lacking, no_genre = [], [], []
        for n, (side, cells) in enumerate(rows, 1):
            name, artist, album, path = cells[:4]
            if name in seen:
                raise UserError(f"{name} stands twice in the tables ({seen[name]}, {side}): get them again")
            seen[name] = side
            genres = tuple(dict.fromkeys(tag.removeprefix(GENRE) for tag in cells[5:] if tag.startswith(GENRE)))
            file = _file(home, path)
            if not genres:
                no_genre.append(name)
            elif file is None:
                lacking.append(name)
            else:
                found.append(Track(name, file, genres, artist=artist, album=album, split=side))
            progress("looking for songs", n, len(rows))
        need_some(found, root, self.holds, f"song of the {len(rows)} in the tables")
        for names, what in ((no_genre, "have no genre"), (lacking, "have no file")):
            if names:
                log.warning("jamendo: %d songs %s and are left out: %s", len(names), what, shown(names))
        return found

    def _tables(self, root: Path) -> Path:
        """The folder that holds autotagging_genre.tsv or the splits."""
        tables = ("autotagging_genre.tsv", "splits")
        if self._metadata is not None:
            given = Path(self._metadata).expanduser().absolute()
            places, told = [given, given / "data"], f"data.metadata={given}"
        else:
            places, told = [root / "data", root, root.parent / "data", root.parent], f"data.path={root}"
        folder = first_folder(places, lambda place: any((place / table).exists() for table in tables))
        if folder is None:
            raise UserError(
                f"{told}: found no autotagging_genre.tsv and no splits: give data.metadata=DIR, the folder `data` of "
                "MTG-Jamendo's repository"
            )
        return folder

    def _rows(self, folder: Path) -> Iterator[tuple[str | None, list[str]]]:
        """Each row's side and cells."""
        if self.split_number is None:
            for cells in _read(folder / "autotagging_genre.tsv"):
                yield None, cells
            return
        for side in SIDES:
            for cells in _read(folder / "splits" / f"split-{self.split_number}" / f"autotagging_genre-{side}.tsv"):
                yield side, cells


def _read(path: Path) -> Iterator[list[str]]:
    """A table's rows, which have 6 cells or more. Raises UserError."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: give data.metadata=DIR, the folder `data` of MTG-Jamendo's repository")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): get it again") from error
    if not lines or lines[0].split("\t") != HEADER:
        raise UserError(f"{path} is no table of MTG-Jamendo: expected the columns {', '.join(HEADER)}")
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) < len(HEADER):
            raise UserError(f"{path}, row {number}: {len(cells)} cells, expected {len(HEADER)} or more: get it again")
        yield cells


def _file(home: Path, path: str) -> Path | None:
    """The song at its full size, else the smaller copy."""
    if not Path(path).name:
        return None
    full = home / path
    low = full.with_name(f"{full.stem}.low.mp3")
    return full if full.is_file() else low if low.is_file() else None


def _has_songs(folder: Path) -> bool:
    return any(re.fullmatch(r"\d{2}", sub.name) for sub in folder.iterdir())
