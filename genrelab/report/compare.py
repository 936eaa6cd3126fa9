"""Runs beside one another: which differences are asked for, and what they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate import paired
from genrelab.evaluate.tested import Decided, Pair, Ranked
from genrelab.report import artifacts
from genrelab.report.pairs import SEEDS, Arm, Entry, arms_of, families_of, key_of, pairs_of, unpaired
from genrelab.report.table import sentence
from genrelab.types import UserError

if TYPE_CHECKING:
    from genrelab.evaluate.tested import Tested

SEED = 0  # of the draws, always: the end of a sweep and `compare` afterwards say the same
MOST_UNPAIRED = 6  # arms of other splits that are set beside the best


@dataclass(frozen=True)
class Level:
    """The mean figure of an arm's runs on their test songs, 0..1, and the ends of its interval."""

    at: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Asked:
    """One arm less another, or one choice of a part less another over all else that was swept."""

    a: str
    b: str
    over: str  # "", or what the difference is averaged over: "agg"
    pairs: tuple[tuple[Entry, Entry], ...]

    @property
    def name(self) -> str:
        return f"{self.a} less {self.b}" + (f", over {self.over}" if self.over else "")


@dataclass(frozen=True)
class Versus(Asked):
    """And what was found."""

    found: paired.Compared


@dataclass(frozen=True)
class Outcome:
    """Everything that a comparison found."""

    arms: tuple[Arm, ...]  # the best on validation first
    levels: Mapping[str, Level]  # of the arms by name, on the test songs
    versus: tuple[Versus, ...]
    notes: tuple[str, ...]
    heads: tuple[str, ...]  # of each set of arms that are paired the best on validation
    across: tuple[str, ...]  # sentences about runs on other splits, which are not paired

    @property
    def nothing(self) -> str:
        """Why nothing is compared, a line; "" where something is."""
        return "" if self.versus else unpaired(self.arms) or "there is one run: nothing to compare it with"

    @property
    def measure(self) -> str:
        return self.arms[0].runs[0].measure


def outcome(
    entries: Sequence[Entry], *, n_boot: int, all_pairs: bool = False, factors: bool = False, strict: bool = False
) -> Outcome:
    """Compares what can be paired: within each set of paired arms the best on validation with every other one.

    all_pairs: every two arms; factors: runs of a sweep, so that a choice of a part is compared over all else, too;
    strict: UserError where two arms cannot be paired. Test figures choose nothing here.
    """
    entries, notes = _newest(entries)
    if not strict:
        entries, others = _of_one_measure(entries)
        notes += others
    arms = arms_of(entries)
    if strict and (reason := unpaired(arms)):
        raise UserError(reason)
    versus: list[Versus] = []
    levels: dict[str, Level] = {}
    families = families_of(arms)
    for family in families:
        table = _Table.of(family)
        levels |= _levels(family, table, n_boot)
        whole = [(a, b) for i, a in enumerate(family) for b in family[i + 1 :]]
        chosen = whole if all_pairs else [(family[0], b) for b in family[1:]]
        asked = [Asked(a.name, b.name, "", pairs_of(a, b)) for a, b in chosen]
        notes += [f"{one.a} and {one.b} share no split" for one in asked if not one.pairs]
        asked = [one for one in asked if one.pairs] + (list(_factors(family, all_pairs)) if factors else [])
        found = _compared(asked, table, n_boot)
        versus += [Versus(one.a, one.b, one.over, one.pairs, c) for one, c in zip(asked, found, strict=True)]
    adjusted = paired.among([v.found for v in versus])
    alone = [f[0].name for f in families if len(f) == 1]
    if versus and alone:
        notes.append(f"not paired, since no other run was tested on the same split: {_listed(alone)}")
    across = _across(families, n_boot) if factors and len(families) > 1 else []
    judged = tuple(replace(v, found=c) for v, c in zip(versus, adjusted, strict=True))
    heads = tuple(family[0].name for family in families if len(family) > 1)
    return Outcome(tuple(arms), levels, judged, tuple(notes), heads, tuple(across))


def _across(families: Sequence[Sequence[Arm]], n_boot: int) -> list[str]:
    """The best arm on validation less the best of every other split, on songs that are not the same; of single runs."""
    best, *others = [family[0] for family in families]
    said = []
    for other in others[:MOST_UNPAIRED]:
        if len(best.runs) == len(other.runs) == 1 and best.runs[0].measure == other.runs[0].measure:
            songs = best.runs[0].songs, other.runs[0].songs
            found = artifacts.difference(*songs, best.runs[0].measure, n_boot, SEED)
            said += [sentence(best.name, other.name, found)] if found else []
    return [f"across splits: {line}" for line in said]


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _newest(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """The last of runs that repeat one another, where there are other arms; and a note about the others."""
    last = {(e.arm, e.seed, e.split): e for e in entries}
    if len({e.arm for e in entries}) == 1 or len(last) == len(entries):
        return list(entries), []
    n = len(entries) - len(last)
    return list(last.values()), [f"{n} {'run is' if n == 1 else 'runs are'} left out, repeated by a later one"]


def _of_one_measure(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """The runs of the measure that most have, and a note about the others."""
    ((measure, n),) = Counter(e.measure for e in entries).most_common(1)
    if n == len(entries):
        return list(entries), []
    others = f"{len(entries) - n} runs of another task are left out: they are not ordered by {measure}"
    return [e for e in entries if e.measure == measure], [others]


def _factors(family: Sequence[Arm], all_pairs: bool) -> Iterator[Asked]:
    """Of every key that was swept beside others: its best value on validation less each other one, all else matched."""
    words = [{key_of(w): w.partition("=")[2] for w in arm.runs[0].words if key_of(w) not in SEEDS} for arm in family]
    keys = [k for k in dict.fromkeys(k for own in words for k in own) if len({own.get(k) for own in words}) > 1]
    if len(keys) < 2:
        return
    at = {tuple(own.get(k) for k in keys): arm for own, arm in zip(words, family, strict=True)}
    for i, key in enumerate(keys):
        levels = list(dict.fromkeys(place[i] for place in at))
        val = {v: np.mean([arm.mean("val") for place, arm in at.items() if place[i] == v]) for v in levels}
        levels.sort(key=lambda v: -val[v])
        every = [(v, w) for j, v in enumerate(levels) for w in levels[j + 1 :]]
        for one, two in every if all_pairs else [(levels[0], w) for w in levels[1:]]:
            others = {place: (*place[:i], two, *place[i + 1 :]) for place in at if place[i] == one}
            matched = [pairs_of(at[p], at[q]) for p, q in others.items() if q in at]
            if sum(map(bool, matched)) > 1:
                over = " and ".join(k for k in keys if k != key)
                yield Asked(_level(key, one), _level(key, two), over, tuple(p for own in matched for p in own))


def _level(key: str, value: str | None) -> str:
    """A part by its choice, any other key with its name; a value that was not given is the default."""
    return f"{key} as usual" if value is None else value if "." not in key and not _number(value) else f"{key}={value}"


def _number(value: str) -> bool:
    return re.fullmatch(r"[-+.\deE]+|true|false|null", value) is not None


@dataclass(frozen=True)
class _Table:
    """The runs of arms as the statistics take them: a block for every split, runs by their place in it."""

    blocks: list[Tested]
    arms: list[list[int]]
    place: dict[Entry, tuple[int, int]]

    @classmethod
    def of(cls, family: Sequence[Arm]) -> _Table:
        number = {run: i for i, arm in enumerate(family) for run in arm.runs}
        blocks: dict[str, list[Entry]] = {}
        for run in number:
            blocks.setdefault(run.key, []).append(run)
        place = {run: (i, j) for i, own in enumerate(blocks.values()) for j, run in enumerate(own)}
        return cls([tested(own) for own in blocks.values()], [[number[r] for r in b] for b in blocks.values()], place)


def _compared(asked: Sequence[Asked], table: _Table, n_boot: int) -> list[paired.Compared]:
    if not asked:
        return []
    at = table.place
    pairs = [[Pair(at[a][0], at[a][1], at[b][1]) for a, b in one.pairs] for one in asked]
    return paired.compare(table.blocks, table.arms, pairs, n_boot=n_boot, seed=SEED)


def _levels(family: Sequence[Arm], table: _Table, n_boot: int) -> dict[str, Level]:
    """As the runs' own tables have them; over several seeds, as the differences are found."""
    found = (
        paired.reached(table.blocks, table.arms, n_boot=n_boot, seed=SEED) if any(a.runs[1:] for a in family) else {}
    )
    own = {a.name: Level(*(a.runs[0].figure("test", end) for end in ("", "_lo", "_hi"))) for a in family}
    return own | {a.name: Level(*found[i]) for i, a in enumerate(family) if a.runs[1:]}


def tested(runs: Sequence[Entry]) -> Tested:
    """The answers of runs on the same test songs."""
    songs = [run.songs for run in runs]
    first, measure = songs[0], runs[0].measure
    groups = min((s["split_group"] for s in songs), key=lambda g: g.nunique()).to_numpy(str)  # what holds more together
    chances = np.stack([artifacts.chances(s) for s in songs])
    if artifacts.several(first):
        cut = np.stack([artifacts.thresholds(s) for s in songs])
        return Ranked(groups, artifacts.present(first), chances, cut, measure)
    return Decided(groups, artifacts.numbers(first), chances.argmax(2), chances.shape[2], measure)
