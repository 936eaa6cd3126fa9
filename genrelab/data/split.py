"""Who trains, who validates, who tests: a side for each track, so that what songs share never lies on two sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from genrelab.data.manifest import near, some
from genrelab.types import GROUP_KEYS, SIDES, Track, UserError

if TYPE_CHECKING:
    import numpy as np

KEYS = (*GROUP_KEYS, "studio")  # columns that songs may share
FEW = 5  # fewer groups than this in a genre: a figure from one split says little
MIN_FOLDS = 3  # train, val, test


def _seeded(*parts: object) -> np.random.Generator:
    """A generator that the same words give again on every machine."""
    import numpy as np

    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


@dataclass(frozen=True)
class Split:
    """A side per track: "train", "val", "test" or "unused"; "mixed" where the slices of a song are split."""

    kind: str  # what it groups by in the end: slice, song, artist, album, studio, group, track, official, file
    ids: tuple[str, ...]
    sides: tuple[str, ...]
    groups: tuple[str, ...]  # the value per track that the split respected
    seed: int
    notes: tuple[str, ...]  # plain sentences for the user
    n_folds: int | None = None  # for kind slice: one of n is test, one is val
    fold: int | None = None  # which of n_folds this is, from 0; None: a single split

    def slices(self, i: int, n: int, side: str) -> np.ndarray:
        """Which of song i's `n` slices lie on `side`: rising indices, all or none; some for kind "slice"."""
        import numpy as np

        if self.sides[i] != "mixed":
            return np.arange(n if self.sides[i] == side else 0)
        n_folds = self.n_folds or MIN_FOLDS
        rng = _seeded("slices", self.seed, self.ids[i])
        fold = (rng.integers(n_folds) + rng.permutation(n)) % n_folds  # even within the song
        return np.flatnonzero({"test": fold == 0, "val": fold == 1, "train": fold > 1}.get(side, fold < 0))

    @property
    def digest(self) -> str:
        """16 hex digits of who lies where, whatever the order of the rows."""
        rows = sorted(zip(self.ids, self.sides, strict=True))
        random = (self.kind, self.seed, self.n_folds) if self.kind == "slice" else ()
        return hashlib.blake2b(repr((rows, random)).encode(), digest_size=8).hexdigest()


class Splitter(Protocol):
    """What `conf/split/*.yaml` builds. One split, or one a fold. Raises UserError where the tracks do not allow it."""

    def splits(self, tracks: Sequence[Track], seed: int) -> list[Split]: ...


def groups_per_genre(labels: Sequence[str], groups: Sequence[str]) -> dict[str, int]:
    """How many group values each genre has, by genre's name."""
    found: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        found.setdefault(label, set()).add(group)
    return {label: len(found[label]) for label in sorted(found)}


def many(counts: dict[str, int], by: str) -> str:
    """`electronic 4, metal 4, orchestral 12 artists`; of many genres those with the fewest."""
    shown = sorted(counts, key=counts.__getitem__)[:10] if len(counts) > 10 else list(counts)
    more = f" (and more in {len(counts) - len(shown)} other genres)" if len(shown) < len(counts) else ""
    return ", ".join(f"{genre} {counts[genre]}" for genre in shown) + f" {by}s{more}"


def named_values(test: object) -> list[str]:
    """`split.test` as words, whatever the command line made of it: null, one value, or a list."""
    if test is None:
        return []
    return [str(value) for value in test] if isinstance(test, Sequence) and not isinstance(test, str) else [str(test)]


def labels_of(tracks: Sequence[Track]) -> list[str]:
    """The genre that a split is stratified by: the heaviest, else the first."""
    if not tracks:
        raise UserError("there are no tracks to split: look at the data's report of what was left out")
    return [str(track.genre) for track in tracks]


def key_values(tracks: Sequence[Track], by: str) -> tuple[str, ...]:
    """The value of a key per track; for `song` the recording where it is named, else the row itself.

    Raises UserError where the column is missing or has holes.
    """
    if by == "song":
        return tuple(track.track or track.id for track in tracks)
    if by not in KEYS:
        raise UserError(f"a split by {by}: there is no such key; {near(by, ('auto', 'song', *KEYS))}")
    values = [getattr(track, by) for track in tracks]
    if holes := [track.id for track, value in zip(tracks, values, strict=True) if not value]:
        if len(holes) == len(tracks):
            has = [key for key in KEYS if any(getattr(track, key) for track in tracks)]
            there = f"it has {', '.join(has)}" if has else "it has none of " + ", ".join(KEYS)
            raise UserError(
                f"split={by} needs a column {by} in the manifest, {there}: "
                f"add it, map it with data.columns.{by}=THEIR_NAME, or take split=auto"
            )
        raise UserError(
            f"split={by} needs a value of {by} on every row, {len(holes)} of {len(tracks)} have none "
            f"(first: {holes[0]}): fill the column, or take split=auto"
        )
    return tuple(values)


def auto_key(tracks: Sequence[Track]) -> tuple[str, str]:
    """The key that `auto` takes (first with 3 values in every genre on all rows, never studio), and a sentence why."""
    labels = labels_of(tracks)
    why_not: list[str] = []
    for key in GROUP_KEYS:
        n_without = sum(not getattr(track, key) for track in tracks)
        if n_without == len(tracks):
            continue
        if n_without:
            why_not.append(f"{key} lacks on {n_without} rows")
            continue
        counts = groups_per_genre(labels, key_values(tracks, key))
        fewest = min(counts, key=counts.__getitem__)
        if counts[fewest] >= MIN_FOLDS:
            passed = f" ({'; '.join(why_not)})" if why_not else ""
            return key, f"split by {key}: {many(counts, key)}{passed}"
        n = counts[fewest]
        why_not.append(f"{fewest} has {n} {key}{'s' * (n != 1)}, fewer than {MIN_FOLDS}")
    counts = groups_per_genre(labels, key_values(tracks, "song"))
    reason = "; ".join(why_not) or "the manifest has no column " + ", ".join(GROUP_KEYS)
    return "song", f"split by song: {many(counts, 'song')} ({reason}): songs of one artist may lie on two sides"


def _choose(tracks: Sequence[Track], by: str) -> tuple[str, tuple[str, ...], list[str]]:
    """(key, value per track, notes); `auto` is looked up."""
    labels = labels_of(tracks)
    if by == "auto":
        key, note = auto_key(tracks)
        return key, key_values(tracks, key), [note]
    values = key_values(tracks, by)
    return by, values, [f"split by {by}: {many(groups_per_genre(labels, values), by)}"]


def _affordable(labels: Sequence[str], groups: Sequence[str], by: str, n_folds: int) -> tuple[int, list[str]]:
    """How many folds the genre with the fewest groups allows, and notes; UserError where one has a single group."""
    if n_folds < MIN_FOLDS:
        raise UserError(f"split.n_folds={n_folds}: expected at least {MIN_FOLDS}, for train, val and test")
    counts = groups_per_genre(labels, groups)
    fewest = min(counts, key=counts.__getitem__)
    least, in_all = counts[fewest], len(set(groups))
    if least < 2 or in_all < MIN_FOLDS:
        alike = [genre for genre, n in counts.items() if n == least]
        has, each = (f"genre {fewest} has", "") if len(alike) == 1 else (f"{some(alike)} have", " each")
        raise UserError(
            f"{has} {least} {by}{'s' * (least != 1)}{each}, {in_all} in all: a split by {by} needs "
            f"2 in every genre (train and test) and {MIN_FOLDS} in all: {_remedy(by)}"
        )
    n = max(MIN_FOLDS, min(n_folds, least))
    notes = [f"{n} folds instead of {n_folds}: {fewest} has {least} {by}s"] if n < n_folds else []
    return n, notes


def _remedy(by: str) -> str:
    other = "" if by == "song" else "take split=auto, which says what it groups by, "
    return f"{other}add songs, or leave the genre out"


def _few(labels: Sequence[str], groups: Sequence[str], by: str, *, pooled: bool) -> list[str]:
    counts = {genre: n for genre, n in groups_per_genre(labels, groups).items() if n < FEW}
    if not counts:
        return []
    advice = ", even pooled over the folds" if pooled else "; split=kfold pools them over folds"
    return [f"few groups ({many(counts, by)}): with fewer than {FEW} in a genre the figures are unreliable{advice}"]


def lacking(labels: Sequence[str], sides: Sequence[str], side: str) -> list[str]:
    """Genres without a song on a side."""
    here = {label for label, at in zip(labels, sides, strict=True) if at == side}
    return sorted(set(labels) - here)


def carve_val(labels: Sequence[str], groups: Sequence[str], n_folds: int, seed: int) -> np.ndarray:
    """(songs,) bool: about one n-th of the songs as val, whole groups; the rest keeps every genre if it can."""
    import numpy as np

    from genrelab.data.folds import grouped_folds

    n = max(2, min(n_folds, len(set(groups)), max(MIN_FOLDS, min(groups_per_genre(labels, groups).values()))))
    folds = grouped_folds(labels, groups, n, seed)
    label = np.asarray(labels, object)

    def score(k: int) -> tuple[int, int]:
        return -len(set(label[folds != k])), -len(set(label[folds == k]))

    return folds == min(range(n), key=score)


def _crossing_note(tracks: Sequence[Track], split: Split) -> list[str]:
    """Windows of one recording on two sides are a leak whatever the key was."""
    n = crossings(tracks, split).get("track", 0)
    return [f"{n} recordings (column track) lie on two sides of this split by {split.kind}: a leak"] if n else []


class Grouped:
    """`split=auto|song|artist|album|studio|group`: one split, stratified by genre, whole groups."""

    def __init__(self, by: str, n_folds: int, test: object) -> None:
        self.by, self.n_folds = by, n_folds
        self.test = named_values(test)

    def splits(self, tracks: Sequence[Track], seed: int) -> list[Split]:
        """One of n folds is test, one val; with `test` those values of the key are test, a fold of the rest is val."""
        from genrelab.data.folds import single_split

        labels = labels_of(tracks)
        by, groups, notes = _choose(tracks, self.by)
        if self.test:
            sides, n_folds = self._named(labels, groups, by, seed), None
        else:
            n_folds, reduced = _affordable(labels, groups, by, self.n_folds)
            notes += reduced
            sides = [str(side) for side in single_split(labels, groups, n_folds, seed)]
        counts = groups_per_genre(labels, groups)
        for side in ("train", "test"):
            if (genres := lacking(labels, sides, side)) and (side == "train" or not self.test):
                raise UserError(
                    f"genre {genres[0]} would have no song in {side}: its {counts[genres[0]]} {by}s are held out or "
                    f"shared with other genres: {'take other split.test values' if self.test else _remedy(by)}"
                )
        if "val" not in sides:
            raise UserError(f"nothing is left for val: {many(counts, by)} are too few: {_remedy(by)}")
        for side in ("val", "test"):
            if genres := lacking(labels, sides, side):
                notes.append(f"{side} holds no {', '.join(genres)}: too few {by}s for every side")
        notes += _few(labels, groups, by, pooled=False)
        split = Split(by, tuple(track.id for track in tracks), tuple(sides), groups, seed, tuple(notes), n_folds)
        return [replace(split, notes=(*notes, *_crossing_note(tracks, split)))]

    def _named(self, labels: list[str], groups: tuple[str, ...], by: str, seed: int) -> list[str]:
        there = sorted(set(groups))
        if unknown := [value for value in self.test if value not in there]:
            raise UserError(f"split.test: no {by} is called {unknown[0]!r}; {near(unknown[0], there)}")
        rest = [i for i, group in enumerate(groups) if group not in self.test]
        n_rest = len({groups[i] for i in rest})
        if n_rest < 2:
            raise UserError(f"split.test leaves {n_rest} {by}s for train and val, expected at least 2: hold out fewer")
        sides = ["test"] * len(groups)
        val = carve_val([labels[i] for i in rest], [groups[i] for i in rest], self.n_folds, seed)
        for i, is_val in zip(rest, val, strict=True):
            sides[i] = "val" if is_val else "train"
        return sides


class BySlice:
    """`split=slice`: every song on every side, with that side's slices only. It shows the leak, no more."""

    def __init__(self, n_folds: int) -> None:
        self.n_folds = n_folds

    def splits(self, tracks: Sequence[Track], seed: int) -> list[Split]:
        """Of n folds of a song's slices one is test, one val."""
        labels_of(tracks)
        if self.n_folds < MIN_FOLDS:
            raise UserError(f"split.n_folds={self.n_folds}: expected at least {MIN_FOLDS}, for train, val and test")
        ids = tuple(track.id for track in tracks)
        note = "split by slice: every song lies on every side, so its figures are a leak and no measure of genre"
        return [Split("slice", ids, ("mixed",) * len(ids), ids, seed, (note,), self.n_folds)]


class KFold:
    """`split=kfold`: every song is tested once; figures are pooled over folds. By slice one split tests all."""

    def __init__(self, by: str, n_folds: int) -> None:
        self.by, self.n_folds = by, n_folds

    def splits(self, tracks: Sequence[Track], seed: int) -> list[Split]:
        """A split a fold: fold k is test, the next one val, unless another one as val leaves train more genres."""
        from genrelab.data.folds import grouped_folds

        if self.by == "slice":
            return BySlice(self.n_folds).splits(tracks, seed)
        labels = labels_of(tracks)
        by, groups, notes = _choose(tracks, self.by)
        n, reduced = _affordable(labels, groups, by, self.n_folds)
        notes += reduced + _few(labels, groups, by, pooled=True)
        folds = grouped_folds(labels, groups, n, seed)
        splits = []
        for k in range(n):
            options = [self._sides(folds, k, (k + step) % n) for step in range(1, n)]
            sides = min(options, key=lambda sides: len(lacking(labels, sides, "train")))  # the first of the best
            about = [
                f"fold {k}: {side} holds no {', '.join(genres)}"
                for side in SIDES
                if (genres := lacking(labels, sides, side))
            ]
            split = Split(by, tuple(track.id for track in tracks), sides, groups, seed, (), n, k)
            splits.append(replace(split, notes=(*notes, *about, *_crossing_note(tracks, split))))
        return splits

    @staticmethod
    def _sides(folds: np.ndarray, test: int, val: int) -> tuple[str, ...]:
        return tuple("test" if fold == test else "val" if fold == val else "train" for fold in folds)


def crossings(tracks: Sequence[Track], split: Split) -> dict[str, int]:
    """For each key that the tracks have: how many of its values lie on more than one of train, val and test."""
    found: dict[str, int] = {}
    for key in KEYS:
        sides: dict[str, set[str]] = {}
        for track, side in zip(tracks, split.sides, strict=True):
            if value := getattr(track, key):
                sides.setdefault(value, set()).update(SIDES if side == "mixed" else {side} & set(SIDES))
        if sides:
            found[key] = sum(len(at) > 1 for at in sides.values())
    return found
