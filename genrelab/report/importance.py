"""What `sweep=optuna` shows of its trials: the table by validation, the best one's words as a command, and how much
each parameter mattered."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from genrelab.evaluate.importance import Importance
from genrelab.evaluate.importance import importance as explained
from genrelab.report import style
from genrelab.report.sweeps import COLOURS, Row, Shown, value
from genrelab.report.table import NAMES, NONE, numbers_table, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_DRAWS = 20  # resamplings of the trials, and shuffles of each parameter, behind an importance
FEW = 20  # trials; below it nothing is called reliable, and the sampler's first 10 are random
N_CLOSER = 3  # parameters that are drawn trial by trial
WIDE = 10  # the largest of a parameter's numbers is so many times the smallest: its scale is logarithmic
NOT_OURS = ("sweep=", "trials=", "hydra.", "hydra/", "seed=", "split_seed=")


@dataclass(frozen=True)
class Parameter:
    """A key that the trials gave several values, as they gave them."""

    key: str
    given: list[str]  # a trial each
    levels: list[str]  # the values, smallest first where they are numbers
    numbers: np.ndarray | None  # (n,), None where a value is no number
    log: bool

    @property
    def column(self) -> np.ndarray:
        """(n, 1) between 0 and 1 on the parameter's scale, or (n, levels) with a one in the column of the level."""
        if self.numbers is None:
            return np.eye(len(self.levels))[[self.levels.index(v) for v in self.given]]
        x = np.log(self.numbers) if self.log else self.numbers
        return ((x - x.min()) / (x.max() - x.min()))[:, None]


def importance(rows: Sequence[Row], n_boot: int, seed: int) -> Shown:
    """Tables, sentences and the picture of a search; the order and the importance are by the validation songs alone."""
    del n_boot
    done = sorted(rows, key=_reached, reverse=True)
    searched, y = parameters(done), np.array([_reached(r) for r in done])
    measure = NAMES[done[0]["measure"]]
    cells = [
        [str(r["run_id"])[:8] or r["name"], percent(_reached(r)), *(brief(p.given[i]) for p in searched)]
        for i, r in enumerate(done)
    ]
    headings = ["trial", "val", *(p.key.replace(".", " ") for p in searched)]
    shown: list[Any] = [numbers_table(f"trials by {measure} per song on validation, %", headings, cells)]
    shown.append(again(done[0], len(done), seed))
    if not searched or len(done) < 3 or np.ptp(y) < 1e-12:
        shown.append("importance: unknown. It takes three trials that differ in their words and in what they reach")
        return shown, _picture(rows, searched, y, None)
    found = explained([p.column for p in searched], y, N_DRAWS, seed)
    shown.append(said(searched, found, len(done)))
    return shown, _picture(rows, searched, y, found if found.skill > 0 else None)


def parameters(rows: Sequence[Row]) -> list[Parameter]:
    """The keys whose values differ between the trials, in the order of their words."""
    keys = dict.fromkeys(w.partition("=")[0] for r in rows for w in r["overrides"])
    found = []
    for key in keys:
        given = [value(r, key).strip("'\"") or NONE for r in rows]
        if len(set(given)) < 2:
            continue
        try:
            numbers = np.array([float(v) for v in given])
        except ValueError:
            found.append(Parameter(key, given, sorted(set(given)), None, log=False))
            continue
        levels = sorted(set(given), key=float)
        if len(set(numbers)) > 1:
            log = bool(numbers.min() > 0 and numbers.max() >= WIDE * numbers.min())
            found.append(Parameter(key, given, levels, numbers, log))
    return found


def again(best: Row, n: int, seed: int) -> str:
    """How to repeat the best trial with other seeds on the same split."""
    words = [w for w in best["overrides"] if not w.startswith(NOT_OURS)]
    split_seed = value(best, "split_seed") or value(best, "seed") or str(seed)
    first = int(value(best, "seed") or seed)
    words += [f"split_seed={split_seed}", f"seed={','.join(str(first + i) for i in (1, 2, 3))}"]
    return (
        f"the best of {n} trials was chosen by its validation figure, which is too high for that; whether it holds:\n"
        f"  python -m genrelab -m {' '.join(shlex.quote(w) for w in words)}"
    )


def said(searched: Sequence[Parameter], found: Importance, n: int) -> str:
    """What the trials tell of the parameters, and how far that is to be trusted."""
    few = f"; {n} trials are few, unreliable" if n < FEW else ""
    if found.skill <= 0:
        return (
            "importance: unknown. A forest that knows the parameters foretells an unseen trial no better than the mean "
            f"of the others does{few}"
        )
    order = np.argsort(-found.share)
    sure = [
        f"{searched[i].key} {percent(found.share[i])} % [{percent(found.lo[i])}, {percent(found.hi[i])}]"
        for i in order
        if found.share[i] > found.chance[i] and found.share[i] >= 0.005
    ]
    return (
        f"importance: the parameters foretell {percent(found.skill)} % of the variance between unseen trials"
        f"{few}. More than by chance: {', '.join(sure) or 'none by itself'}"
    )


def _reached(row: Row) -> float:
    return float(row["figures"].get(f"val/song/{row['measure']}", np.nan))


def brief(text: str) -> str:
    """A number of 17 digits with three."""
    try:
        return text if len(text) <= 6 else f"{float(text):.3g}"
    except ValueError:
        return text


def _picture(rows: Sequence[Row], searched: Sequence[Parameter], y: np.ndarray, found: Importance | None) -> Figure:
    """The importances and the course of the search above, the most important parameters trial by trial below.

    rows: as the trials were made; searched, y: as they are ordered, the best first; found: None where it is unknown.
    """
    import matplotlib as mpl

    order = list(range(len(searched))) if found is None else [int(i) for i in np.argsort(-found.share)]
    closer = order[:N_CLOSER]
    above, below = max(2.2, 0.3 * len(searched) + 1.2), 2.3 if closer else 0.0
    with mpl.rc_context(style.RC):
        figure = style.blank(8.2, above + below)
        grid = figure.add_gridspec(2 if closer else 1, 6, height_ratios=[above, below] if closer else [above])
        if found is not None:
            _bars(figure.add_subplot(grid[0, :4]), [searched[i].key for i in order], found, order, len(y))
        course = figure.add_subplot(grid[0, :] if found is None else grid[0, 4:])
        _course(course, [_reached(r) for r in rows], NAMES[rows[0]["measure"]], alone=found is None)
        for k, i in enumerate(closer):
            _trials(figure.add_subplot(grid[1, 2 * k : 2 * k + 2], sharey=course), searched[i], y)
    return figure


def _bars(axes: Axes, keys: Sequence[str], found: Importance, order: Sequence[int], n: int) -> None:
    few = n < FEW
    at = np.arange(len(order))
    share, lo, hi, chance = (a[list(order)] for a in (found.share, found.lo, found.hi, found.chance))
    axes.barh(at, share, height=0.56, color=COLOURS[0], alpha=0.45 if few else 0.85, linewidth=0)
    axes.hlines(at, lo, hi, color=style.INK, linewidth=1.0, label="4 of 5 draws of the trials")
    axes.plot(chance, at, "|", color=COLOURS[1], markersize=11, markeredgewidth=1.6, label="what luck reaches")
    axes.set_yticks(at, keys)
    axes.invert_yaxis()
    axes.set_xlim(0, max(0.1, 1.05 * float(np.max([share, hi, chance]))))
    axes.set_xlabel("part of the variance between trials")
    axes.set_title(
        f"{n} trials, {100 * found.skill:.0f} % of the variance foretold{', unreliable' if few else ''}",
        loc="left",
        pad=20,
    )
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, borderpad=0, columnspacing=1.0)
    _percents(axes, "x")
    axes.tick_params(axis="y", length=0)
    style.bare(axes, keep=("bottom",))


def _course(axes: Axes, y: Sequence[float], measure: str, *, alone: bool) -> None:
    """What each trial reached in turn, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    n = np.arange(1, len(y) + 1)
    axes.step(n, np.maximum.accumulate(y), where="post", color=COLOURS[1], linewidth=1.4)
    axes.plot(n, y, "o", markersize=4, color=COLOURS[0], markerfacecolor="none", alpha=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0.5, len(y) + 0.5)
    axes.set_xlabel("trial (line: best so far)")
    said = f"{measure}, validation songs; importance unknown" if alone else f"{measure},\nvalidation songs"
    axes.set_title(said, loc="left")
    _percents(axes, "y")
    style.bare(axes)


def _trials(axes: Axes, parameter: Parameter, y: np.ndarray) -> None:
    """Every trial at its value; the best one, which is the first, filled."""
    from matplotlib.ticker import LogLocator

    numbers, levels = parameter.numbers, parameter.levels
    named = numbers is None or len(levels) <= 5
    x = np.array([levels.index(v) for v in parameter.given]) if named else np.asarray(numbers)
    axes.plot(x, y, "o", markersize=4, color=COLOURS[0], markerfacecolor="none", alpha=0.8, clip_on=False)
    axes.plot(x[0], y[0], "o", markersize=5, color=COLOURS[1], clip_on=False)
    if named:
        turned: Any = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if numbers is None else {}
        axes.set_xticks(range(len(levels)), [brief(v) for v in levels], **turned)
        axes.set_xlim(-0.5, len(levels) - 0.5)
    elif parameter.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
        axes.minorticks_off()
    axes.set_title(parameter.key, fontsize=8, loc="left")
    _percents(axes, "y")
    style.bare(axes)


def _percents(axes: Axes, which: Literal["x", "y"]) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(lambda v, _: f"{100 * v:.3g}%")
    axes.grid(axis=which, color=style.GRID, linewidth=0.6)
    axes.set_axisbelow(True)
