"""Splits that somebody else made: a column of the manifest, or a file."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from genrelab.data.manifest import near, read_table, shown, some
from genrelab.data.split import Split, auto_key, carve_val, crossings, key_values, labels_of, lacking, named_values
from genrelab.types import SIDES, Track, UserError

_WORDS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
    "unused": ("unused", "none", "exclude", "excluded"),
}
_SIDE = {word: side for side, words in _WORDS.items() for word in words}
_WHAT = ("whole number", "word")
_FIELDS = ("id", "side", "group", "kind", "seed", "n_folds", "fold")


def _fold_number(value: str) -> float | None:
    """3, 3.0, fold3 and fold_03 are fold 3."""
    found = re.fullmatch(r"[^\d.]*(\d+(?:\.0*)?)", value)
    return float(found[1]) if found else None


class Official:
    """`split=official`: the manifest's own `split` (train, val, test) or `fold` column."""

    def __init__(self, n_folds: int, test: object) -> None:
        self.n_folds, self.test = n_folds, named_values(test)

    def splits(self, tracks: Sequence[Track], seed: int) -> list[Split]:
        """Sides by name; or of folds the highest is test and the next val, or `test` names the test folds.

        Where val is not given, one n-th of train becomes val, grouped as split=auto would.
        Raises UserError: rows without a value, values that are neither sides nor folds, no train or no test.
        """
        labels = labels_of(tracks)
        values = [(track.split or "").strip() for track in tracks]
        if holes := [track.id for track, value in zip(tracks, values, strict=True) if not value]:
            raise UserError(
                f"split=official needs a column split or fold with a value on every row, {len(holes)} of {len(tracks)} "
                f"have none (first: {holes[0]}): fill it, map it with data.columns.split=THEIR_NAME, or take split=auto"
            )
        there = Counter(values)
        if all(value.lower() in _SIDE for value in there):
            if self.test:
                raise UserError(f"split.test={self.test}: the manifest names sides ({', '.join(there)}), not folds")
            sides, notes = [_SIDE[value.lower()] for value in values], ["official split: the sides of the manifest"]
        else:
            sides, notes = self._by_fold(values)
        for side in ("train", "test"):
            if side not in sides:
                raise UserError(f"split=official: no row is {side}, only {', '.join(there)}: take split=auto")
        if "val" not in sides:
            rows = [i for i, side in enumerate(sides) if side == "train"]
            key, _ = auto_key([tracks[i] for i in rows])
            groups = key_values([tracks[i] for i in rows], key)
            if len(set(groups)) < 2:
                raise UserError(f"split=official: train is one {key}, nothing of it can be val: take split=auto")
            for i, is_val in zip(rows, carve_val([labels[i] for i in rows], groups, self.n_folds, seed), strict=True):
                sides[i] = "val" if is_val else "train"
            notes.append(f"no val is given: {sides.count('val')} songs of train are val, by {key}")
        used = [label if side != "unused" else "" for label, side in zip(labels, sides, strict=True)]
        for side in SIDES:
            if genres := [genre for genre in lacking(used, sides, side) if genre]:
                notes.append(f"{side} holds no {', '.join(genres)}")
        ids = tuple(track.id for track in tracks)
        split = Split("official", ids, tuple(sides), key_values(tracks, "song"), seed, ())
        across = crossings(tracks, split)
        notes += [f"{n} values of {key} lie on two sides of the official split" for key, n in across.items() if n]
        key, _ = auto_key(tracks)
        if not across.get(key):  # the coarsest key that it respects: intervals are drawn over it
            split = replace(split, groups=key_values(tracks, key))
        return [replace(split, notes=tuple(notes))]

    def _by_fold(self, values: list[str]) -> tuple[list[str], list[str]]:
        numbers = {value: _fold_number(value) for value in values}
        odd = [value for value, number in numbers.items() if number is None]
        if odd:
            odd.sort(key=lambda value: value.lower() in _SIDE)  # the strangest first
            raise UserError(
                f"split=official: expected only sides (train, val, test) or only fold numbers, found {odd[0]!r} among "
                f"{', '.join(sorted(set(values))[:8])}: "
                "correct it, map another with data.columns.split=THEIR_NAME, or take split=auto"
            )
        order = sorted({float(number or 0) for number in numbers.values()})
        shown = [f"{number:g}" for number in order]
        if len(order) < 2:
            raise UserError(f"split=official: every row is in fold {shown[0]}, expected at least 2: take split=auto")
        test = {order[-1]}
        if self.test:
            test = {number for value in self.test if (number := _fold_number(value)) in order and number is not None}
            if unknown := [value for value in self.test if _fold_number(value) not in order]:
                raise UserError(f"split.test: no fold is called {unknown[0]!r}; {near(unknown[0], shown)}")
        rest = [number for number in order if number not in test]
        if not rest:
            raise UserError("split.test names every fold: nothing is left to train on")
        val = rest[-1] if len(rest) > 1 else None
        side = {number: "test" if number in test else "val" if number == val else "train" for number in order}
        tested = ", ".join(f"{number:g}" for number in sorted(test))
        note = f"official split: of the folds {shown[0]} to {shown[-1]} test is {tested}"
        note += f", val is {val:g}" if val is not None else ""
        return [side[float(numbers[value] or 0)] for value in values], [note]


def write_split(split: Split, path: Path) -> None:
    """A CSV of a row a track (id, side, group, kind, seed, n_folds, fold), which `split=file` reads again."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(_FIELDS)
        last = (split.kind, split.seed, *("" if value is None else value for value in (split.n_folds, split.fold)))
        table.writerows((*row, *last) for row in zip(split.ids, split.sides, split.groups, strict=True))


class FromFile:
    """`split=file split.path=FILE.csv`: columns id and side, and what else `write_split` writes."""

    def __init__(self, path: str | None) -> None:
        self._given = path

    def splits(self, tracks: Sequence[Track], seed: int) -> list[Split]:
        """The sides of the file. The file's seed counts where it has one, so that a split by slice comes out the same.

        Raises UserError: no file, no such columns, a side of another name, a track that the file does not have, or the
        other way round.
        """
        labels_of(tracks)
        if not self._given:
            raise UserError("split=file needs the table of sides: give split.path=FILE.csv (columns id, side)")
        path = Path(self._given).expanduser()
        table = read_table(path, "split file", "split.path", _FIELDS)
        if lost := [name for name in ("id", "side") if name not in table.header]:
            raise UserError(f"split file {path} has no {lost[0]} column, only: {some(table.header)}")
        rows: dict[str, dict[str, str]] = {}
        for number, row in table.rows:
            row["side"] = _SIDE.get(row["side"].lower(), row["side"].lower())
            if row["side"] not in (*SIDES, "unused", "mixed"):
                raise UserError(
                    f"split file {path}, row {number}: side is {shown(row['side'])}, expected {', '.join(SIDES)}"
                )
            if rows.setdefault(row["id"], row) != row:
                raise UserError(f"split file {path}, row {number}: {row['id']} was on another side before")
        wanted = {track.id for track in tracks}
        missing, unknown = [track.id for track in tracks if track.id not in rows], [i for i in rows if i not in wanted]
        if missing or unknown:
            named = ((missing, "tracks have no row in it"), (unknown, "of its rows are no tracks"))
            names = [f"{len(some)} {what} (first: {', '.join(some[:3])})" for some, what in named if some]
            raise UserError(f"split file {path} is of other data: {'; '.join(names)}: correct it, or take split=auto")
        same = {name: {row.get(name, "") for row in rows.values()} for name in ("kind", "seed", "n_folds", "fold")}
        for name, found in same.items():
            if len(found) > 1 or not (name == "kind" or re.fullmatch(r"\d{0,18}", min(found))):
                raise UserError(
                    f"split file {path}: {name} must be one {_WHAT[name == 'kind']} for all rows: correct it"
                )
        kind, seeds, n_folds, folds = (min(found) for found in same.values())
        kind = kind or "file"
        mixed = [row["side"] == "mixed" for row in rows.values()]
        if any(mixed) != (kind == "slice") or any(mixed) != all(mixed):
            raise UserError(f"split file {path}: side mixed is for kind slice, and then on every row")
        songs = key_values(tracks, "song")
        return [
            Split(
                kind,
                tuple(track.id for track in tracks),
                tuple(rows[track.id]["side"] for track in tracks),
                tuple(rows[track.id].get("group") or song for track, song in zip(tracks, songs, strict=True)),
                int(seeds or seed),
                (f"split from {path.name}",),
                int(n_folds) if n_folds else None,
                int(folds) if folds else None,
            )
        ]
