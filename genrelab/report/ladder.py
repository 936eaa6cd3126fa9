"""The leak ladder: one configuration under ever stricter splits, how far its figure falls from rung to rung, and
whether several configurations keep their order on the way down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.report import artifacts, style
from genrelab.report.sweeps import COLOURS, Row, Shown, percents, value
from genrelab.report.table import NAMES, NONE, bounded, interval, numbers_table, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genrelab.evaluate.intervals import Difference

RUNGS = ("slice", "song", "album", "artist", "group", "studio")  # what no two sides share, the laxest first
SPLITS = ("split", "split.by")  # the words that name a rung
Rungs = Mapping[str, Row]  # the runs of one configuration


def ladder(rows: Sequence[Row], n_boot: int, seed: int) -> Shown:
    """The figure of every rung, its fall to the next one, and the order of the configurations between rungs."""
    variants, notes = of_variants(rows)
    measure = rows[0]["measure"]
    heading = f"{NAMES[measure]} per song by what no two sides share, % and points [95 % interval]"
    cells: list[list[str]] = []
    for name, rungs in variants.items():
        found = falls(rungs, measure, n_boot, seed)
        for rung, row in rungs.items():
            key = f"test/song/{measure}"
            reached = f"{percent(row['figures'].get(key))} {interval(row['figures'], key)}"
            cells.append([" ".join(w for w in (name, rung) if w), reached, *_fall(found.get(rung))])
    tables: list[Any] = [numbers_table(heading, ["split by", "test", "fall to the next", "songs"], cells)]
    tables += [*notes, *orders(variants)]
    there = {rung for rungs in variants.values() for rung in rungs}
    if "slice" in there:
        tables.append("slice: every song lies on both sides, so that figure is a leak and no measure of genre")
    if lost := [rung for rung in RUNGS if rung not in there]:
        tables.append(f"no run stands on the rungs {', '.join(lost)}")
    return tables, picture(variants, measure)


def of_variants(rows: Sequence[Row]) -> tuple[dict[str, dict[str, Row]], list[str]]:
    """The runs by configuration ("" where there is one) and rung, from the laxest; and what is not shown."""
    words = [[w for w in row["overrides"] if w.partition("=")[0] not in SPLITS] for row in rows]
    common = set.intersection(*map(set, words))
    own = [[w for w in given if w not in common] for given in words]
    keys = {w.partition("=")[0] for given in own for w in given}
    found: dict[str, dict[str, Row]] = {}
    lost = []
    for row, given in zip(rows, own, strict=True):
        rung = value(row, "split.by") or value(row, "split")
        name = " ".join(w.partition("=")[2] if len(keys) == 1 else w for w in given)
        if rung not in RUNGS:
            lost.append(f"not shown, since its split is no rung: {row['name']}")
            continue
        found.setdefault(name, {})[rung] = row
    return {name: {r: own[r] for r in RUNGS if r in own} for name, own in found.items()}, lost


def falls(rungs: Rungs, measure: str, n_boot: int, seed: int) -> dict[str, Difference]:
    """Of each rung its figure less that of the next one; paired where both test the same songs."""
    songs = {rung: artifacts.load(Path(row["folder"]))[0] for rung, row in rungs.items()}
    found = {a: artifacts.difference(songs[a], songs[b], measure, n_boot, seed) for a, b in pairwise(songs)}
    return {rung: d for rung, d in found.items() if d is not None}


def _fall(d: Difference | None) -> tuple[str, str]:
    if d is None:
        return NONE, NONE
    songs = f"{d.n}, paired" if d.paired else f"{d.n} and {d.n_other}"
    return bounded(d.points + 0.0, d.lo, d.hi), songs if d.reliable else f"{songs}, unreliable"


def orders(variants: Mapping[str, Rungs]) -> list[str]:
    """A sentence for each two neighbouring rungs on which several configurations stand: is their order the same?"""
    from scipy.stats import kendalltau

    if len(variants) < 2:
        return []
    said = []
    for a, b in pairwise([r for r in RUNGS if any(r in rungs for rungs in variants.values())]):
        both = {n: (_figure(rungs[a]), _figure(rungs[b])) for n, rungs in variants.items() if a in rungs and b in rungs}
        if len(both) < 2:
            continue
        tau = kendalltau(*np.array(list(both.values())).T)
        first, then = (" > ".join(sorted(both, key=lambda n: -both[n][i])) for i in (0, 1))
        if np.isnan(tau.statistic):
            said.append(f"{a} to {b}: all are alike on one of them, there is no order")
            continue
        order = f"{first} stays" if first == then else f"{first} becomes {then}"
        said.append(f"{a} to {b}: {order}, Kendall's tau {tau.statistic:+.2f} of {len(both)} (p {tau.pvalue:.2f})")
    return said


def picture(variants: Mapping[str, Rungs], measure: str) -> Figure:
    """Stairs: a tread at the figure of each rung with its interval, a flight for each configuration."""
    import matplotlib as mpl

    rungs = [r for r in RUNGS if any(r in own for own in variants.values())]
    with mpl.rc_context(style.RC):
        figure = style.blank(max(4.2, 0.95 * len(rungs) + 1.0), 3.2)
        axes = figure.subplots()
        for k, (name, own) in enumerate(variants.items()):
            colour, at = COLOURS[k % len(COLOURS)], [rungs.index(r) for r in own]
            y = [_figure(row) for row in own.values()]
            xs = [x + side for x in at for side in (-0.5, 0.5)]
            axes.plot(xs, np.repeat(y, 2), color=colour, label=name, solid_joinstyle="miter")
            shift = 0.0 if len(variants) == 1 else 0.7 * (k / (len(variants) - 1) - 0.5)
            for x, row in zip(at, own.values(), strict=True):
                lo, hi = _figure(row, "_lo"), _figure(row, "_hi")
                axes.plot([x + shift] * 2, [lo, hi], color=colour, linewidth=1.2, alpha=0.7)
        axes.set_xticks(range(len(rungs)), rungs)
        axes.set(xlabel="what no two sides share", ylabel=f"{NAMES[measure]} per song")
        if len(variants) > 1:
            style.legend_above(axes)
        percents(axes, "y")
    return figure


def _figure(row: Row, end: str = "") -> float:
    return float(row["figures"].get(f"test/song/{row['measure']}{end}", np.nan))
