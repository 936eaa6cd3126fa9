"""A manifest is a table, one row a track: read it, and say in one line what is wrong with it."""

from __future__ import annotations

import csv
import difflib
import io
import math
import os
import re
import sys
import unicodedata
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

from genrelab.types import Beats, Track, Unusable, UserError, digest, writable

TEXTS = ("artist", "album", "studio", "track", "group", "licence")  # columns taken as they are
NUMBERS = {"start_s": "seconds, 0 or more", "duration_s": "seconds above 0", "tempo_bpm": "beats per minute above 0"}
COLUMNS = ("path", "genre", "genres", "id", *TEXTS, *NUMBERS, "split", "fold", "beats")
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}


def slug(text: str) -> str:
    """A name for folders and experiments: lower case, letters and digits of any script, the rest `-`; never empty."""
    plain = unicodedata.normalize("NFC", text).lower()
    return re.sub(r"[\W_]+", "-", plain).strip("-") or "data"


def near(word: str, words: Sequence[str]) -> str:
    """`; near it: a, b`, or the words themselves where none is near, for the end of an error."""
    close = difflib.get_close_matches(word, words, n=3, cutoff=0.5)
    close += [other for other in words if word and word.lower() in other.lower() and other not in close][:3]
    return f"near it: {', '.join(close)}" if close else f"there are: {some(words)}"


def some(words: Sequence[str]) -> str:
    """`a, b, c`; of many the first, and how many more."""
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


def shown(cell: str) -> str:
    """A cell in quotes, of a long one its beginning."""
    return repr(cell if len(cell) <= 80 else f"{cell[:77]}...")


@dataclass(frozen=True)
class Table:
    """A user's table: column names, and rows with their numbers as a spreadsheet counts them (the header is row 1)."""

    header: list[str]
    rows: Iterator[tuple[int, dict[str, str]]]  # cells stripped; empty rows are counted and left out
    separator: str

    def number(self, text: str) -> float:
        """NaN where it is none. Where semicolons separate cells, the spreadsheet wrote 1,5 for 1.5."""
        if self.separator == ";":
            text = re.sub(r"^(-?\d*),(\d+)$", r"\1.\2", text)
        try:
            return float(text)
        except ValueError:
            return math.nan


def read_table(path: Path, what: str, give: str, known: Collection[str]) -> Table:
    """A table in UTF-8, with or without a mark, its cells separated by commas, semicolons or tabs.

    The header line decides which: the one that makes the most `known` names of it, else the most names; the comma where
    two make as many. UserErrors, also while rows are taken, name the file and the row.
    """
    data = _bytes(path, what, give)
    separator = max(SEPARATORS, key=lambda each: _fits(data, each, known))  # the first of the best
    if (at := data.find(b"\0")) >= 0:
        raise UserError(f"{what} {path}, row {_row(data[:at], separator)}: not CSV (a NUL byte): save it as CSV UTF-8")
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = _row(data[: error.start], separator)
        raise UserError(f"{what} {path}, row {row}: not UTF-8 (byte {error.start}): save it as CSV UTF-8") from error

    def numbered() -> Iterator[tuple[int, list[str]]]:
        number, lines = 0, csv.reader(_lines(data), delimiter=separator, strict=True)
        try:
            for number, row in enumerate(lines, 1):  # the last one that was whole
                yield number, [cell.strip() for cell in row]
        except csv.Error as error:
            hint = (
                "write quotes inside a quoted cell twice"
                if "expected after" in str(error)
                else "is a quote not closed?"
            )
            raise UserError(f"{what} {path}, row {number + 1}: not CSV ({error}): {hint}") from error

    table = numbered()
    _, header = next(table, (1, []))
    if not any(header):
        raise UserError(f"{what} {path} is empty: expected a first row of column names")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(f"{what} {path} has the column {twice[0]} twice: rename one")

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for number, row in table:
            if any(row[len(header) :]):
                raise UserError(
                    f"{what} {path}, row {number}: {len(row)} cells under {len(header)} columns: "
                    f"put cells that hold {SEPARATORS[separator]} in double quotes"
                )
            if any(row):
                yield number, dict(zip_longest(header, row[: len(header)], fillvalue=""))

    return Table(header, rows(), separator)


def _bytes(path: Path, what: str, give: str) -> bytes:
    """What a table's file holds. Raises UserError where it is none."""
    if not writable(str(path)):
        raise UserError(f"{what} {path} has a name that is not UTF-8, which no table can hold: rename it")
    if path.is_dir():
        inside = path / "manifest.csv"
        hint = f"did you mean {inside}?" if inside.is_file() else f"give {give}=FILE.csv"
        raise UserError(f"{what} {path} is a folder, expected a CSV file: {hint}")
    if not path.exists():
        raise UserError(f"{what} {path} does not exist: give {give}=FILE.csv")
    if not path.is_file():  # a FIFO would wait for ever
        raise UserError(f"{what} {path} is not a regular file: give {give}=FILE.csv")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror}") from error


def _lines(data: bytes) -> Iterator[str]:
    """Lines with their ends, as csv wants them; never all of them at once."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace", newline="")


def _fits(data: bytes, separator: str, known: Collection[str]) -> tuple[int, int]:
    """How many of the header's cells are known names, and how many cells it has."""
    try:
        header = next(csv.reader(_lines(data), delimiter=separator, strict=True), [])
    except csv.Error:
        return -1, 0
    return sum(name.strip() in known for name in header), len(header)


def _row(before: bytes, separator: str) -> int:
    """The number of the row that these bytes of a table lead into."""
    number = 0
    try:
        for number, _ in enumerate(csv.reader(_lines(before + b"x"), delimiter=separator), 1):  # noqa: B007
            pass
    except csv.Error:  # a cell without end
        number += 1
    return number


def _number(text: str, name: str, table: Table, where: str) -> float | None:
    if not text:
        return None
    value = table.number(text)
    if not math.isfinite(value) or value < 0 or (value == 0 and name != "start_s"):
        raise UserError(
            f"{where}: {name} is {shown(text)}, expected {NUMBERS[name]}: correct the cell or leave it empty"
        )
    return value


def _mapping(columns: Mapping[str, str] | None, header: list[str], path: Path) -> dict[str, str]:
    """Our column name -> theirs, for the columns that are there."""
    names = {name: name for name in COLUMNS if name in header}
    for ours, theirs in (columns or {}).items():
        if ours not in COLUMNS:
            raise UserError(f"data.columns.{ours}: genrelab has no column {ours}; {near(str(ours), COLUMNS)}")
        if theirs is None:
            continue
        if str(theirs) not in header:
            raise UserError(
                f"data.columns.{ours}={theirs}: manifest {path} has no column {theirs}; {near(str(theirs), header)}"
            )
        names[ours] = str(theirs)
    return names


def _need(names: dict[str, str], header: list[str], path: Path, labelled: bool) -> None:
    for wanted in (("path",), *((("genre", "genres"),) if labelled else ())):
        if not any(name in names for name in wanted):
            theirs = next((name for name in header if name.lower() in wanted), "THEIR_NAME")
            raise UserError(
                f"manifest {path} has no {wanted[0]} column, only: {some([name for name in header if name])}: "
                f"rename one, or map it with data.columns.{wanted[0]}={theirs}"
            )


def _absolute(path: str, folder: str) -> str:
    """Without `..`; resolve() would follow links out of the folder, and a Path of each step is slow."""
    return os.path.abspath(os.path.join(folder, path))  # noqa: PTH100, PTH118


def _default_id(path: str, folder: str, start_s: float) -> str:
    """The path without its suffix, relative to the manifest where it lies below; a later window adds its start."""
    inside = folder.rstrip("/") + "/"
    above, slash, name = (path[len(inside) :] if f"{path}/".startswith(inside) else path.strip("/")).rpartition("/")
    stem, _, suffix = name.rpartition(".")
    return f"{above}{slash}{stem if stem and suffix else name or '.'}" + (f"@{start_s:.12g}s" if start_s else "")


@lru_cache(maxsize=4096)  # a large table has few of them, and many songs share one
def _genres(text: str) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """`rap|rock` -> names; `rap:0.6|rock:0.4` -> names and weights, which are brought to a sum of 1.

    Raises ValueError where there are weights and they cannot be read.
    """
    parts = list(dict.fromkeys(part.strip() for part in text.split("|") if part.strip()))
    found = [re.fullmatch(r"(.*\S)\s*:\s*(\d*\.?\d+(?:e[-+]?\d+)?)", part, re.IGNORECASE) for part in parts]
    if not any(found):
        return tuple(parts), None
    weights = {f[1]: float(f[2]) for f in found if f}
    total = sum(weights.values())
    if len(weights) < len(parts) or min(weights.values()) <= 0 or total == math.inf:
        raise ValueError(
            "a weight above 0 behind each name or behind none, each name once: write it as rap:0.6|rock:0.4"
        )
    return tuple(weights), tuple(w / total for w in weights.values())


def _track(row: dict[str, str], names: dict[str, str], folder: str, table: Table, where: str, labelled: bool) -> Track:
    cell = {ours: row[theirs] for ours, theirs in names.items()}
    if not cell["path"]:
        raise UserError(f"{where}: path is empty, expected a file relative to the manifest: fill it or remove the row")
    listed = cell.get("genres") or cell.get("genre") or ""
    if table.separator == ";":  # as in Table.number
        listed = re.sub(r"(:\s*\d*),(\d+\s*(?:\||$))", r"\1.\2", listed)
    try:
        genres, weights = _genres(listed) if labelled else ((), None)
    except ValueError as error:
        raise UserError(f"{where}: genres is {shown(listed)}, expected {error}") from error
    if labelled and not genres:
        raise UserError(f"{where}: genre is empty, expected a name: fill it or remove the row")
    numbers = {name: _number(cell[name], name, table, where) if name in cell else None for name in NUMBERS}
    start_s = numbers["start_s"] or 0.0
    path, beats = _absolute(cell["path"], folder), cell.get("beats")
    return Track(
        id=cell.get("id") or _default_id(path, folder, start_s),
        path=Path(path),
        genres=genres,
        weights=weights,
        start_s=start_s,
        duration_s=numbers["duration_s"],
        tempo_bpm=numbers["tempo_bpm"],
        split=sys.intern(cell.get("split" if "split" in names else "fold") or "") or None,
        beats=Path(_absolute(beats, folder)) if beats else None,
        **{name: sys.intern(cell[name]) or None if name in cell else None for name in TEXTS},  # songs share them
    )


def read_manifest(path: Path, columns: Mapping[str, str] | None = None, *, labelled: bool = True) -> list[Track]:
    """The rows of a manifest in their order; identical rows once.

    UTF-8 with or without a mark, separated by commas, semicolons or tabs as its header line says (see `read_table`);
    `path` and `genre` are required, or `genres`: names separated by `|`, each with its weight or none
    (`rap:0.6|rock:0.4`). Without `labelled` the songs are of no genre, whatever the table says.
    Relative paths are relative to the manifest's folder. `columns` maps our names to theirs. `split`, else `fold`,
    becomes Track.split. An `id` that is not given is the path without its suffix, and `@12.5s` for a window that begins
    there.

    Raises UserError, one line that names the file, the row of the file (the header is row 1), what was expected and
    what to do. Whether the audio files exist is not looked at.
    """
    path = Path(path).expanduser()
    table = read_table(path, "manifest", "data.path", {*COLUMNS, *map(str, (columns or {}).values())})
    names = _mapping(columns, table.header, path)
    _need(names, table.header, path, labelled)
    folder = _absolute(str(path.parent), "")
    seen: dict[str, Track] = {}
    numbers = array("Q")  # of the row of each of them
    for number, row in table.rows:
        track = _track(row, names, folder, table, f"manifest {path}, row {number}", labelled)
        other = seen.setdefault(track.id, track)
        if other is track:
            numbers.append(number)
        elif other != track:
            looked = ("path", "genres", "weights", *TEXTS, *NUMBERS, "split", "beats")
            differ = [name for name in looked if getattr(other, name) != getattr(track, name)]
            raise UserError(
                f"manifest {path}: rows {numbers[list(seen).index(track.id)]} and {number} have the same id "
                f"{shown(track.id)} but another {differ[0]}: give each row an id of its own in a column `id`"
            )
    if not seen:
        raise UserError(f"manifest {path} has column names but no rows: add one row a track")
    return list(seen.values())


def manifest_rows(tracks: Sequence[Track], folder: Path | None = None) -> list[dict[str, str]]:
    """Tracks as rows that `read_manifest` would read again; paths relative to `folder` where they lie below it."""

    def placed(path: Path | None) -> str:
        if path is None:
            return ""
        return (path.relative_to(folder) if folder and path.is_relative_to(folder) else path).as_posix()

    return [
        {
            "id": track.id,
            "path": placed(track.path),
            "genres": "|".join(
                genre if track.weights is None else f"{genre}:{weight!r}"
                for genre, weight in zip(track.genres, track.weights or track.genres, strict=True)
            ),
            **{name: getattr(track, name) or "" for name in (*TEXTS, "split")},
            **{name: "" if (value := getattr(track, name)) is None else repr(float(value)) for name in NUMBERS},
            "beats": placed(track.beats),
        }
        for track in tracks
    ]


def write_left_out(unusable: Sequence[Unusable], path: Path) -> None:
    """A CSV of a row a track that could not be used: id, path, reason, detail."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "path", "reason", "detail"))
        table.writerows((u.track.id, u.track.path.as_posix(), u.reason, u.detail) for u in unusable)


def none_lost(genres: Sequence[str], tracks: Sequence[Track], unusable: Sequence[Unusable]) -> None:
    """Raises UserError where a genre has no usable song left: which, why, and the first file."""
    if lost := set(genres).difference(*(track.genres for track in tracks)):
        theirs = [u for u in unusable if not lost.isdisjoint(u.track.genres)]
        reasons = ", ".join(sorted({u.reason for u in theirs}))
        raise UserError(
            f"no usable song is left of {some(sorted(lost))} ({reasons}; first: {theirs[0].track.path}): "
            "give more songs or leave it out"
        )


def data_digest(tracks: Sequence[Track], keys: Sequence[str]) -> str:
    """12 hexadecimal digits that name what is known of songs and their sounds (`keys`), in any order and any place."""
    told = []  # a digest a row: the rows themselves would weigh more than all the rest of a run
    for track, key in zip(tracks, keys, strict=True):
        (row,) = manifest_rows([track])
        told.append(digest({k: v for k, v in row.items() if k not in ("path", "beats")} | {"key": key}))
    return digest(sorted(told))


def read_beats(path: Path) -> Beats:
    """A CSV of `time` (s, rising) and, where known, `beat_in_bar` (whole numbers from 1): Beats with (n_beats,) arrays.

    Raises UserError naming the file and the row: missing, empty, no `time` column, not a number, not rising.
    """
    import numpy as np

    path = Path(path)
    table = read_table(path, "beats file", "beats", ("time", "beat_in_bar"))
    if "time" not in table.header:
        listed = some(table.header)
        raise UserError(f"beats file {path} has no time column, only: {listed}: expected time[,beat_in_bar]")
    times: list[float] = []
    places: list[int] = []
    for number, row in table.rows:
        where = f"beats file {path}, row {number}"
        time_s = table.number(row["time"])
        if not (math.isfinite(time_s) and time_s >= 0 and (not times or time_s > times[-1])):
            raise UserError(f"{where}: time is {shown(row['time'])}, expected seconds, rising from row to row")
        times.append(time_s)
        if "beat_in_bar" in table.header:
            place = row["beat_in_bar"]
            if not re.fullmatch(r"0*[1-9][0-9]{0,3}(\.0+)?", place):
                raise UserError(f"{where}: beat_in_bar is {shown(place)}, expected a whole number from 1")
            places.append(int(float(place)))
    if not times:
        raise UserError(f"beats file {path} has no beats: expected one row a beat, or no beats file")
    return Beats(np.array(times), np.array(places) if places else None, "annotated", 1.0)
