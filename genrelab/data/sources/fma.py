"""`data=fma data.path=DIR`: the Free Music Archive data set, clips of 30 s.

    DIR/000/000002.mp3                   DIR is fma_small, fma_medium or fma_large, or the folder above
    DIR/../fma_metadata/tracks.csv       or DIR/fma_metadata/tracks.csv, or data.metadata=

`tracks.csv` has three rows of header: the group of a column (album, artist, set, track), its name, and `track_id`
alone. Subsets lie in each other: small is a part of medium, medium of large. The official split shares no artist.
Defferrard, Benzi, Vandergheynst & Bresson 2017, FMA: A dataset for music analysis (ISMIR).
"""

from __future__ import annotations

import csv
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from genrelab.data.manifest import near
from genrelab.data.sources.collection import Collection, Progress, first_folder, need_some, shown
from genrelab.types import Track, UserError

log = logging.getLogger(__name__)

SUBSETS = ("small", "medium", "large")
NEEDS = (("set", "split"), ("set", "subset"), ("track", "genre_top"), ("artist", "id"), ("album", "id"))
# said by the data set's own authors of small, and so of what holds it (their issues 8 and 44)
NO_SOUND = frozenset({99134, 108925, 133297})
SHORT = frozenset({98565, 98567, 98569})


@dataclass(frozen=True)
class Row:
    """What genrelab takes of a row of tracks.csv."""

    id: int
    subset: str
    split: str
    genre: str
    artist: str
    album: str
    licence: str


class Fma(Collection):
    """`subset`: small, medium or large. The genre is `genre_top`, the one root; songs without one are left out."""

    holds = "the folder fma_small (fma_medium, fma_large), with 000/000002.mp3 in it"

    def __init__(
        self,
        path: str | None,
        subset: str,
        metadata: str | None,
        beats: str,
        unknown: str | None,
        tree: str | None,
    ) -> None:
        super().__init__(path, beats, unknown, tree)
        if subset not in SUBSETS:
            raise UserError(f"data.subset={subset}: expected one of {', '.join(SUBSETS)}; {near(str(subset), SUBSETS)}")
        self.subset, self._metadata = subset, metadata

    @property
    def name(self) -> str:
        """What the runs are filed under."""
        return f"fma-{self.subset}"

    def tracks(self, store: Path, progress: Progress) -> list[Track]:  # noqa: ARG002 - other sources need it
        """The subset's songs that are there, by id. Raises UserError: no such folder, no tracks.csv or another one."""
        root = self.root()
        larger = SUBSETS[SUBSETS.index(self.subset) :]
        home = first_folder([root, *(root / f"fma_{s}" for s in larger)], _has_songs)
        if home is None:
            raise UserError(f"data.path={root}: found no folder 000 to 999 in it: give {self.holds}")
        wanted = SUBSETS[: SUBSETS.index(self.subset) + 1]
        rows = [row for row in read_tracks(self._table(root, home)) if row.subset in wanted]
        found, lacking, no_genre = [], [], []
        for n, row in enumerate(rows, 1):
            number = f"{row.id:06d}"
            path = home / number[:3] / f"{number}.mp3"
            if not row.genre:
                no_genre.append(number)
            elif row.id not in NO_SOUND and not path.is_file():
                lacking.append(number)
            elif row.id not in NO_SOUND:
                found.append(_track(row, number, path))
            progress("looking for songs", n, len(rows))
        need_some(found, root, self.holds, f"song of the {len(rows)} of subset {self.subset}")
        dumb = [f"{row.id:06d}" for row in rows if row.id in NO_SOUND]
        short = [track.id for track in found if int(track.id) in SHORT]
        for names, what in (
            (no_genre, "have no genre_top (several root genres) and are left out"),
            (dumb, "are known to hold no sound and are left out"),
            (lacking, "have no file and are left out"),
            (short, "are known to be shorter than 2 s"),
        ):
            if names:
                log.warning("%s: %d songs %s: %s", self.name, len(names), what, shown(names))
        return found

    def _table(self, root: Path, home: Path) -> Path:
        """Where tracks.csv is."""
        if self._metadata is not None:
            given = Path(self._metadata).expanduser().absolute()
            table = given / "tracks.csv" if given.is_dir() else given
            if not table.is_file():
                raise UserError(f"data.metadata={given}: no tracks.csv there: give the folder fma_metadata")
            return table
        places = (root / "fma_metadata", home.parent / "fma_metadata", root, home.parent)
        folder = first_folder(places, lambda place: (place / "tracks.csv").is_file())
        if folder is None:
            raise UserError(
                f"data.path={root}: found no fma_metadata/tracks.csv in it or beside it: give data.metadata=DIR"
            )
        return folder / "tracks.csv"


def read_tracks(path: Path) -> Iterator[Row]:
    """The rows of tracks.csv. Raises UserError where its header is another one, or a row is cut off."""
    limit = csv.field_size_limit(sys.maxsize)  # biographies are longer than csv's own limit
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.reader(file)
            groups, names = next(lines, []), next(lines, [])
            at = {pair: i for i, pair in enumerate(zip(groups, names, strict=False))}
            if lost := [pair for pair in NEEDS if pair not in at]:
                raise UserError(
                    f"{path} has no column {'/'.join(lost[0])} under two rows of header: give FMA's own tracks.csv"
                )
            licence = at.get(("track", "license"))
            for line in lines:
                if not line or not re.fullmatch(r"\s*\d{1,9}\s*", line[0]):  # the third row of header: `track_id` alone
                    continue
                if len(line) < len(names):
                    raise UserError(f"{path}, line {lines.line_num}: {len(line)} cells of {len(names)}: get it again")
                split, subset, genre, artist, album = (line[at[pair]].strip() for pair in NEEDS)
                said = line[licence].strip() if licence is not None else ""
                yield Row(int(line[0]), subset, split, genre, artist, album, said)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not FMA's tracks.csv ({str(error).splitlines()[0]}): get it again") from error
    finally:
        csv.field_size_limit(limit)


def _track(row: Row, number: str, path: Path) -> Track:
    album = row.album if row.album not in ("", "-1") else f"single {number}"  # an album of its own
    return Track(
        number,
        path,
        (row.genre,),
        artist=row.artist or None,
        album=album,
        split=row.split or None,
        licence=row.licence or None,
    )


def _has_songs(folder: Path) -> bool:
    return any(re.fullmatch(r"\d{3}", sub.name) for sub in folder.iterdir())
