"""A manifest is a CSV, one row a track: read it, and say in one line what is wrong with it."""

from __future__ import annotations

import csv
import difflib
import io
import math
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from genrelab.types import Beats, Track, Unusable, UserError, digest, writable

TEXTS = ("artist", "album", "studio", "track", "group", "licence")  # columns taken as they are
NUMBERS = {"start_s": "seconds, 0 or more", "duration_s": "seconds above 0", "tempo_bpm": "beats per minute above 0"}
COLUMNS = ("path", "genre", "genres", "id", *TEXTS, *NUMBERS, "split", "fold", "beats")


def slug(text: str) -> str:
    """A name for folders and experiments: lower case, letters and digits of any script, the rest `-`; never empty."""
    plain = unicodedata.normalize("NFC", text).lower()
    return re.sub(r"[\W_]+", "-", plain).strip("-") or "data"


def near(word: str, words: Sequence[str]) -> str:
    """`; near it: a, b`, or the words themselves where none is near, for the end of an error."""
    close = difflib.get_close_matches(word, words, n=3, cutoff=0.5)
    close += [other for other in words if word and word.lower() in other.lower() and other not in close][:3]
    some = ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
    return f"near it: {', '.join(close)}" if close else f"there are: {some}"


def read_table(path: Path, what: str, give: str) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The header of a CSV and its rows with their number in the file, cells stripped. UserErrors on the way."""
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
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        row = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{what} {path}, row {row}: not UTF-8 (byte {error.start}): save it as CSV UTF-8") from error
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror}") from error
    if "\0" in text:
        raise UserError(f"{what} {path} is not CSV (it holds NUL bytes): save it as CSV UTF-8")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)

    def cells() -> Iterator[list[str]]:
        try:
            yield from lines
        except csv.Error as error:
            raise UserError(f"{what} {path}, row {lines.line_num}: not CSV ({error}): save it as CSV UTF-8") from error

    table = cells()
    header = [name.strip() for name in next(table, [])]
    if not any(header):
        raise UserError(f"{what} {path} is empty: expected a first row of column names")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise UserError(f"{what} {path} has the column {twice[0]} twice: rename one")

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        for row in table:
            if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
                raise UserError(
                    f"{what} {path}, row {lines.line_num}: {len(row)} cells under {len(header)} columns: "
                    "put cells that hold a comma in double quotes"
                )
            if any(cell.strip() for cell in row):
                pairs = zip_longest(header, row[: len(header)], fillvalue="")
                yield lines.line_num, {name: cell.strip() for name, cell in pairs}

    return header, rows()


def _number(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or (value == 0 and name != "start_s"):
        raise UserError(f"{where}: {name} is {text!r}, expected {NUMBERS[name]}: correct the cell or leave it empty")
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
            listed = ", ".join(name for name in header if name)
            odd = ";" in listed or "\t" in listed
            hint = "; is it separated by semicolons or tabs? save it with commas" if odd else ""
            raise UserError(
                f"manifest {path} has no {wanted[0]} column, only: {listed}{hint}: "
                f"rename one, or map it with data.columns.{wanted[0]}=THEIR_NAME"
            )


def _default_id(path: Path, folder: Path, start_s: float) -> str:
    """The path without its suffix, relative to the manifest where it lies below; a later window adds its start."""
    relative = path.relative_to(folder) if path.is_relative_to(folder) else path.relative_to(path.anchor)
    return (relative.with_suffix("") if relative.name else relative).as_posix() + (
        f"@{start_s:.12g}s" if start_s else ""
    )


def _genres(text: str, where: str) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """`rap|rock` -> names; `rap:0.6|rock:0.4` -> names and weights, which are brought to a sum of 1."""
    parts = list(dict.fromkeys(part.strip() for part in text.split("|") if part.strip()))
    found = [re.fullmatch(r"(.*\S)\s*:\s*(\d*\.?\d+(?:e[-+]?\d+)?)", part, re.IGNORECASE) for part in parts]
    if not any(found):
        return tuple(parts), None
    weights = {f[1]: float(f[2]) for f in found if f}
    total = sum(weights.values())
    if len(weights) < len(parts) or min(weights.values()) <= 0 or total == math.inf:
        raise UserError(
            f"{where}: genres is {text!r}, expected a weight above 0 behind each name or behind none, each name once: "
            "write it as rap:0.6|rock:0.4"
        )
    return tuple(weights), tuple(w / total for w in weights.values())


def _track(row: dict[str, str], names: dict[str, str], folder: Path, where: str, labelled: bool) -> Track:
    cell = {ours: row.get(theirs, "") for ours, theirs in names.items()}
    if not cell["path"]:
        raise UserError(f"{where}: path is empty, expected a file relative to the manifest: fill it or remove the row")
    listed = cell.get("genres") or cell.get("genre") or ""
    genres, weights = _genres(listed, where) if labelled else ((), None)
    if labelled and not genres:
        raise UserError(f"{where}: genre is empty, expected a name: fill it or remove the row")
    numbers = {name: _number(cell.get(name, ""), name, where) for name in NUMBERS}
    start_s = numbers["start_s"] or 0.0
    path = Path(os.path.abspath(folder / cell["path"]))  # noqa: PTH100 - resolve() would follow links out of the folder
    beats = Path(os.path.abspath(folder / cell["beats"])) if cell.get("beats") else None  # noqa: PTH100
    return Track(
        id=cell.get("id") or _default_id(path, folder, start_s),
        path=path,
        genres=genres,
        weights=weights,
        start_s=start_s,
        duration_s=numbers["duration_s"],
        tempo_bpm=numbers["tempo_bpm"],
        split=cell.get("split" if "split" in names else "fold") or None,
        beats=beats,
        **{name: cell.get(name) or None for name in TEXTS},
    )


def read_manifest(path: Path, columns: Mapping[str, str] | None = None, *, labelled: bool = True) -> list[Track]:
    """The rows of a manifest in their order; identical rows once.

    UTF-8 with or without a mark; `path` and `genre` are required, or `genres`: names separated by `|`, each with its
    weight or none (`rap:0.6|rock:0.4`). Without `labelled` the songs are of no genre, whatever the table says.
    Relative paths are relative to the manifest's folder. `columns` maps our names to theirs. `split`, else `fold`,
    becomes Track.split. An `id` that is not given is the path without its suffix, and `@12.5s` for a window that begins
    there.

    Raises UserError, one line that names the file, the row of the file (the header is row 1), what was expected and
    what to do. Whether the audio files exist is not looked at.
    """
    path = Path(path).expanduser()
    header, rows = read_table(path, "manifest", "data.path")
    names = _mapping(columns, header, path)
    _need(names, header, path, labelled)
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100
    seen: dict[str, tuple[int, Track]] = {}
    for number, row in rows:
        track = _track(row, names, folder, f"manifest {path}, row {number}", labelled)
        first, other = seen.setdefault(track.id, (number, track))
        if other != track:
            looked = ("path", "genres", "weights", *TEXTS, *NUMBERS, "split", "beats")
            differ = [name for name in looked if getattr(other, name) != getattr(track, name)]
            raise UserError(
                f"manifest {path}: rows {first} and {number} have the same id {track.id!r} but another "
                f"{differ[0]}: give each row an id of its own in a column `id`"
            )
    if not seen:
        raise UserError(f"manifest {path} has column names but no rows: add one row a track")
    return [track for _, track in seen.values()]


def manifest_rows(tracks: Sequence[Track], folder: Path | None = None) -> list[dict[str, str]]:
    """Tracks as rows that `read_manifest` would read again; paths relative to `folder` where they lie below it."""

    def shown(path: Path | None) -> str:
        if path is None:
            return ""
        return (path.relative_to(folder) if folder and path.is_relative_to(folder) else path).as_posix()

    return [
        {
            "id": track.id,
            "path": shown(track.path),
            "genres": "|".join(
                genre if track.weights is None else f"{genre}:{weight!r}"
                for genre, weight in zip(track.genres, track.weights or track.genres, strict=True)
            ),
            **{name: getattr(track, name) or "" for name in (*TEXTS, "split")},
            **{name: "" if (value := getattr(track, name)) is None else repr(float(value)) for name in NUMBERS},
            "beats": shown(track.beats),
        }
        for track in tracks
    ]


def write_left_out(unusable: Sequence[Unusable], path: Path) -> None:
    """A CSV of a row a track that could not be used: id, path, reason, detail."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "path", "reason", "detail"))
        table.writerows((u.track.id, u.track.path.as_posix(), u.reason, u.detail) for u in unusable)


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
    header, rows = read_table(path, "beats file", "beats")
    if "time" not in header:
        raise UserError(f"beats file {path} has no time column, only: {', '.join(header)}: expected time[,beat_in_bar]")
    times: list[float] = []
    places: list[int] = []
    for number, row in rows:
        where = f"beats file {path}, row {number}"
        try:
            time_s = float(row["time"])
        except ValueError:
            time_s = math.nan
        if not (math.isfinite(time_s) and time_s >= 0 and (not times or time_s > times[-1])):
            raise UserError(f"{where}: time is {row['time']!r}, expected seconds, rising from row to row")
        times.append(time_s)
        if "beat_in_bar" in header:
            place = row["beat_in_bar"]
            if not re.fullmatch(r"0*[1-9][0-9]{0,3}(\.0+)?", place):
                raise UserError(f"{where}: beat_in_bar is {place!r}, expected a whole number from 1")
            places.append(int(float(place)))
    if not times:
        raise UserError(f"beats file {path} has no beats: expected one row a beat, or no beats file")
    return Beats(np.array(times), np.array(places) if places else None, "annotated", 1.0)
