"""Which finished runs can be paired: those of the same test songs and split; and what runs of several seeds share.

An arm is what runs have in common that are equal but for the seed. Two arms are paired by their runs, seed by seed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report import artifacts
from genrelab.types import UserError, digest

if TYPE_CHECKING:
    import pandas as pd

SEEDS = ("seed", "split_seed")  # the words that do not make another arm
MOST_WORDS = 3  # that a name is told from others by; with more it takes the run's id


@dataclass(frozen=True, eq=False)
class Entry:
    """A finished run as a comparison takes it."""

    name: str
    id: str
    folder: Path
    seed: int
    split: str  # names its split: who lies on which side
    data: str  # names its songs
    arm: str  # the same for runs that are equal but for the seed
    words: tuple[str, ...]  # that it was started with
    measure: str
    figures: Mapping[str, float]

    @property
    def said(self) -> str:
        return f"{self.name} ({self.id[:8]})" if self.id else self.name

    def figure(self, side: str, end: str = "") -> float:
        return float(self.figures.get(f"{side}/song/{self.measure}{end}", math.nan))

    @cached_property
    def songs(self) -> pd.DataFrame:
        """Its test songs, in the order of their ids. Raises UserError where they are gone."""
        import pandas as pd

        path = self.folder / "predictions.parquet"
        if not path.is_file():
            raise UserError(f"{self.said} has no {path.name} in {self.folder}: its store was moved or cleaned")
        own = artifacts.side_of(pd.read_parquet(path), "test")
        return own.sort_values("id", kind="stable").reset_index(drop=True)

    @cached_property
    def key(self) -> str:
        """The same for runs that can be paired: split, songs, truth, genres and measure."""
        songs = self.songs
        told = [songs[c].tolist() for c in ("id", "truth")]
        return digest(self.split, self.data, self.measure, artifacts.genres_of(songs), artifacts.several(songs), *told)


@dataclass(frozen=True)
class Arm:
    name: str
    runs: tuple[Entry, ...]

    def mean(self, side: str) -> float:
        return float(np.mean([r.figure(side) for r in self.runs]))


def arms_of(entries: Sequence[Entry]) -> list[Arm]:
    """The arms, best on validation first; where all runs are of one arm, each run by itself."""
    held: dict[str, list[Entry]] = {}
    for entry in entries:
        held.setdefault(entry.arm, []).append(entry)
    one = len(held) == 1
    groups = [[e] for e in entries] if one else list(held.values())
    names = _names(groups, seeds=one)
    arms = [Arm(n, tuple(sorted(g, key=lambda e: e.seed))) for n, g in zip(names, groups, strict=True)]
    return sorted(arms, key=lambda a: -np.nan_to_num(a.mean("val"), nan=-1.0))


def _names(groups: Sequence[Sequence[Entry]], *, seeds: bool) -> list[str]:
    """Readable and distinct: what a run's name has of its own, then the words that it was started with, then its id."""
    names = [g[0].name if seeds else re.sub(rf"-s{g[0].seed}\b", "", g[0].name) for g in groups]
    if len(set(names)) < len(names):
        words = [{w for w in g[0].words if key_of(w) not in SEEDS or seeds} for g in groups]
        common = set.intersection(*words)
        again = {n for n, k in Counter(names).items() if k > 1}
        own = [sorted(w - common) if len(w - common) <= MOST_WORDS else [] for w in words]
        names = [" ".join([n, *w]) if n in again else n for n, w in zip(names, own, strict=True)]
        again = {n for n, k in Counter(names).items() if k > 1}
        told = [f"({g[0].id[:8] or i})" for i, g in enumerate(groups, 1)]
        return [f"{n} {t}" if n in again else n for n, t in zip(names, told, strict=True)]
    parts = [n.split("-") for n in names]
    shared = set.intersection(*map(set, parts))
    short = ["-".join(w for w in own if w not in shared) for own in parts]
    return short if all(short) and len(set(short)) == len(short) else names


def families_of(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Arms that hang together by runs that can be paired."""
    found: list[tuple[set[object], list[Arm]]] = []
    for arm in arms:
        keys: set[object] = {run.key for run in arm.runs}
        near = [f for f in found if f[0] & keys]
        merged = (keys.union(*(f[0] for f in near)), [a for f in near for a in f[1]] + [arm])
        found = [f for f in found if not any(f is n for n in near)] + [merged]
    order = {arm.name: i for i, arm in enumerate(arms)}
    return [sorted(members, key=lambda a: order[a.name]) for _, members in found]


def pairs_of(a: Arm, b: Arm) -> tuple[tuple[Entry, Entry], ...]:
    """The runs of two arms on the same songs, of one seed where both have it."""
    found: list[tuple[Entry, Entry]] = []
    for key in dict.fromkeys(run.key for run in a.runs):
        one, two = ([r for r in arm.runs if r.key == key] for arm in (a, b))
        of_seed = {r.seed: r for r in two}
        same = [(r, of_seed[r.seed]) for r in one if r.seed in of_seed]
        found += same or zip(one, two, strict=False)
    return tuple(found)


def unpaired(arms: Sequence[Arm]) -> str:
    """Why two of the arms cannot be paired and what to do, a line; "" where every two can."""
    for i, a in enumerate(arms):
        for b in arms[i + 1 :]:
            if not pairs_of(a, b):
                return _why(a.runs[0], b.runs[0])
    return ""


def _why(a: Entry, b: Entry) -> str:
    both = f"{a.said} and {b.said}"
    if a.measure != b.measure:
        return f"{both} are ordered by {a.measure} and by {b.measure}: compare runs of one task"
    if a.split == b.split and a.data != b.data:
        return f"{both} were tested on songs of one name that are not the same (data digests {a.data} and {b.data})"
    if a.split == b.split:
        return f"{both} tell other genres apart: compare runs of one task on one data set"
    if set(a.songs["id"]).isdisjoint(b.songs["id"]):
        do = "they share no test song: compare runs on one data set"
    elif a.seed != b.seed:
        do = "give both the same seed, or split_seed=0 with any seeds, and train again"
    else:
        do = "train both with the same split, data and limits"
    return f"{both} were not tested on the same split (split digests {a.split} and {b.split}): {do}"


def key_of(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")
