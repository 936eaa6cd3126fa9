"""What a named sweep shows of its runs: a table for the terminal and a picture. Each function takes the finished rows
(see `sweep.row`), the number of resamplings and a seed, and returns tables, sentences and a Figure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.report import artifacts, style
from genrelab.report.open_set import WORDS
from genrelab.report.table import NAMES, NONE, bounded, interval, numbers_table, percent, sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import RenderableType

Row = Mapping[str, Any]
Shown = tuple[list["RenderableType"], "Figure"]
COLOURS = ("#1f5f99", "#e08a1e", "#3d8b5f", "#b3462e", "#7a5ba8", "#6b7580")


def value(row: Row, key: str) -> str:
    """What a run's words gave a key, "" where they did not."""
    given = [w.partition("=")[2] for w in row["overrides"] if w.partition("=")[0] == key]
    return given[-1] if given else ""


def _places(rows: Sequence[Row], place: Callable[[Row], tuple[Any, float]]) -> tuple[dict[Any, Row], list[str]]:
    """The runs by their place in a table, and a sentence about those that have none, or share one."""
    found: dict[Any, Row] = {}
    lost, shared = [], 0
    for row in rows:
        try:
            at = place(row)
        except ValueError:  # null, or another word
            lost.append(row["name"])
            continue
        shared += at in found
        found[at] = row
    notes = [f"not shown, since its words give it no place: {name}" for name in lost]
    if shared:
        notes.append(f"{shared} runs differ from others in what is not shown here: of such the last is shown")
    return found, notes


def _figure(row: Row, end: str = "") -> float:
    return float(row["figures"].get(f"test/song/{row['measure']}{end}", np.nan))


def _cell(row: Row | None) -> str:
    if row is None:
        return NONE
    return _of(row["figures"], f"test/song/{row['measure']}")


def _of(figures: Mapping[str, float], key: str) -> str:
    return f"{percent(figures.get(key))} {interval(figures, key)}".replace(f"{NONE} {NONE}", NONE)


def dots(rows: Sequence[Row], n_boot: int, seed: int, *, by: str) -> Shown:
    """The test figure of each choice with its interval, in the order of validation."""
    import matplotlib as mpl

    del n_boot, seed
    order = sorted(rows, key=lambda r: r["figures"].get(f"val/song/{r['measure']}", 0.0))
    with mpl.rc_context(style.RC):
        figure = style.blank(5.6, 0.34 * len(order) + 1.0)
        axes = figure.subplots()
        for y, row in enumerate(order):
            lo, hi, at = _figure(row, "_lo"), _figure(row, "_hi"), _figure(row)
            axes.plot([lo, hi], [y, y], color=COLOURS[0], linewidth=1.6, solid_capstyle="butt")
            axes.plot(at, y, "o", color=COLOURS[0], markersize=5)
            val = row["figures"].get(f"val/song/{row['measure']}", np.nan)
            axes.plot(val, y, "|", color=COLOURS[1], markersize=9, markeredgewidth=1.6)
        axes.set_yticks(range(len(order)), [value(r, by) or r["name"] for r in order])
        axes.plot([], [], "o", color=COLOURS[0], label="test, 95 % interval")
        axes.plot([], [], "|", color=COLOURS[1], markersize=9, markeredgewidth=1.6, label="validation (the order)")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)
        axes.set_xlabel(f"{NAMES[order[0]['measure']]} per song")
        percents(axes, "x")
    return [], figure


def lines(rows: Sequence[Row], n_boot: int, seed: int, *, x: str, by: str, x_label: str) -> Shown:
    """The test figure over one key, a line for each value of another; where there are two, their paired difference at
    each place."""
    import matplotlib as mpl

    at, notes = _places(rows, lambda r: (value(r, by), float(value(r, x))))
    if not at:
        return dots(rows, n_boot, seed, by=by)
    names, places = list(dict.fromkeys(k for k, _ in at)), sorted({p for _, p in at})
    cells = [[name, *(_cell(at.get((name, p))) for p in places)] for name in names]
    heading = f"{NAMES[rows[0]['measure']]} per song, % [95 % interval], by {x_label}"
    tables: list[Any] = [numbers_table(heading, [by, *(f"{p:g}" for p in places)], cells)]
    if len(names) == 2:
        for p in places:
            one, two = (at.get((name, p)) for name in names)
            if one and two and (said := _paired(one, two, (names[0], f"{names[1]} at {p:g}"), n_boot, seed)):
                tables.append(said)
    tables += notes
    with mpl.rc_context(style.RC):
        figure = style.blank(5.6, 3.4)
        axes = figure.subplots()
        for name, colour in zip(names, COLOURS, strict=False):
            own = [(p, at[name, p]) for p in places if (name, p) in at]
            _line(
                axes,
                [p for p, _ in own],
                [(_figure(r), _figure(r, "_lo"), _figure(r, "_hi")) for _, r in own],
                name,
                colour,
            )
        axes.set(xlabel=x_label, ylabel=f"{NAMES[rows[0]['measure']]} per song")
        _doubling(axes, places)
    return tables, figure


def seconds_heard(rows: Sequence[Row], n_boot: int, seed: int) -> Shown:
    """The test figure over the seconds of a song that are heard, a line for each length of a slice."""
    import matplotlib as mpl
    import pandas as pd

    curves: dict[str, list[tuple[float, tuple[float, float, float]]]] = {}
    for row in sorted(rows, key=lambda r: float(value(r, "slice.length_s") or 0)):
        heard = pd.read_parquet(Path(row["folder"]) / artifacts.HEARD)
        points = []
        for _, own in heard.groupby("n_slices"):
            figures = artifacts.measured(own, row["measure"], n_boot, seed)
            points.append((float(own["heard_s"].median()), figures))
        curves[f"{float(value(row, 'slice.length_s') or 0):g} s"] = points
    places = sorted({round(p, 2) for points in curves.values() for p, _ in points})
    cells = []
    for name, points in curves.items():
        found = {round(p, 2): bounded(*reached) for p, reached in points}
        cells.append([name, *(found.get(p, NONE) for p in places)])
    heading = f"{NAMES[rows[0]['measure']]} per song, % [95 % interval], by seconds heard"
    table = numbers_table(heading, ["slices of", *(f"{p:g} s" for p in places)], cells)
    with mpl.rc_context(style.RC):
        figure = style.blank(5.6, 3.4)
        axes = figure.subplots()
        for (name, points), colour in zip(curves.items(), COLOURS, strict=False):
            _line(axes, [p for p, _ in points], [f for _, f in points], f"slices of {name}", colour)
        axes.set(xlabel="seconds of the song that are heard", ylabel=f"{NAMES[rows[0]['measure']]} per song")
        _doubling(axes, places)
    return [table], figure


def grid(rows: Sequence[Row], n_boot: int, seed: int, *, x: str, y: str, x_label: str, y_label: str) -> Shown:
    """A heat map of the test figure over two keys; names stand in the order of their mean validation figure."""
    import matplotlib as mpl

    of_x, of_y = _reader(rows, x), _reader(rows, y)
    at, notes = _places(rows, lambda r: (of_x(value(r, x)), of_y(value(r, y))))
    if not at:
        return dots(rows, n_boot, seed, by=y)
    xs, ys = _in_order(at, 0), _in_order(at, 1)  # the first at the left, and above
    heading = f"{NAMES[rows[0]['measure']]} per song, % [95 % interval]: {y_label} (down) by {x_label}"
    cells = [[_named(b), *(_cell(at.get((a, b))) for a in xs)] for b in ys]
    table = numbers_table(heading, ["", *map(_named, xs)], cells)
    figures = np.array([[_figure(at[a, b]) if (a, b) in at else np.nan for a in xs] for b in ys])
    errors = [(_figure(r, "_hi") - _figure(r, "_lo")) / 3.92 for r in at.values()]
    error = float(np.mean(errors)) if min(errors) > 0 else 0.0  # intervals of no width: few groups, all alike
    said = _effects(figures, error, (y_label, [*map(_named, ys)]), (x_label, [*map(_named, xs)]))
    with mpl.rc_context(style.RC):
        figure = style.blank(1.15 * len(xs) + 1.9, 0.75 * len(ys) + 1.2)
        axes = figure.subplots()
        _heat(axes, figures[::-1], [[_two_lines(at.get((a, b))) for a in xs] for b in reversed(ys)])
        axes.set_xticks(range(len(xs)), [*map(_named, xs)])
        axes.set_yticks(range(len(ys)), [*map(_named, reversed(ys))])
        axes.set(xlabel=x_label, ylabel=y_label, title=f"{NAMES[rows[0]['measure']]} per song, %")
    return [table, *said, *notes], figure


def _reader(rows: Sequence[Row], key: str) -> Callable[[str], Any]:
    """What tells a key's place from its word: its number, or its name where no run gives a number."""

    def name(word: str) -> str:
        if not word:
            raise ValueError
        return word

    for row in rows:
        try:
            float(value(row, key))
        except ValueError:
            continue
        return float
    return name


def _named(place: Any) -> str:
    return place if isinstance(place, str) else f"{place:g}"


def _in_order(at: Mapping[tuple[Any, Any], Row], axis: int) -> list[Any]:
    """Numbers from the left and from below; names by the mean of their runs' validation figures, the best first."""
    runs: dict[Any, list[float]] = {}
    for place, row in at.items():
        runs.setdefault(place[axis], []).append(row["figures"].get(f"val/song/{row['measure']}", 0.0))
    if all(isinstance(p, float) for p in runs):
        return sorted(runs, reverse=axis == 1)
    return sorted(runs, key=lambda p: -float(np.mean(runs[p])))


def _effects(
    figures: np.ndarray, error: float, down: tuple[str, Sequence[str]], across: tuple[str, Sequence[str]]
) -> list[str]:
    """The two-way analysis of a full grid's variance, without repetition, in words; (label, names) of both ways."""
    if min(figures.shape) < 2 or not np.isfinite(figures).all() or np.ptp(figures) < 1e-12:
        return []
    lines, total, rest = [], ((figures - figures.mean()) ** 2).sum(), figures - figures.mean()
    shares = []
    for axis, (label, names) in ((1, down), (0, across)):
        means = figures.mean(axis)
        effect = np.expand_dims(means - figures.mean(), axis)
        rest = rest - effect
        shares.append(f"{label} {100 * (effect**2).sum() * figures.shape[axis] / total:.0f} %")
        means_of = ", ".join(f"{name} {percent(m)}" for name, m in zip(names, means, strict=True))
        lines.append(f"mean by {label}: {means_of}")
    left = f"the rest {100 * (rest**2).sum() / total:.0f} %, {100 * np.sqrt((rest**2).mean()):.1f} points (rms)"
    chance = f"a figure's standard error is {100 * error:.1f} points" if error else "so few groups do not tell it"
    lines.append(f"variance between these figures: {', '.join(shares)}, {left}: both together, and chance ({chance})")
    return ["\n".join(lines)]


def open_set(rows: Sequence[Row], n_boot: int, seed: int) -> Shown:
    """AUROC of every score against every genre that was left out."""
    import matplotlib as mpl

    del n_boot, seed
    left_out = {value(r, "task.unknown").strip("[]").strip("'\""): r for r in rows}
    keys = [re.fullmatch(r"test/open_set/(\w+)/auroc", k) for k in rows[0]["figures"]]
    scores = [k[1] for k in keys if k]
    figures = np.array(
        [[left_out[g]["figures"].get(f"test/open_set/{s}/auroc", np.nan) for g in left_out] for s in scores]
    )
    mean = figures.mean(1)
    order = np.argsort(-mean)
    names = [WORDS.get(scores[i], scores[i]) for i in order]
    cells = [
        [genre, *(_of(row["figures"], f"test/open_set/{scores[i]}/auroc") for i in order)]
        for genre, row in left_out.items()
    ]
    cells.append(["mean", *(percent(float(mean[i])) for i in order)])
    table = numbers_table("AUROC, % [95 % interval], by the genre that was left out", ["left out", *names], cells)
    with mpl.rc_context(style.RC):
        figure = style.blank(max(4.6, 0.62 * (len(left_out) + 1) + 2.2), 0.38 * len(scores) + 1.6)
        axes = figure.subplots()
        shown = np.column_stack([figures[order], mean[order]])
        _heat(axes, shown, [[f"{100 * v:.0f}" for v in row] for row in shown], flip=True)
        axes.set_xticks(range(len(left_out) + 1), [*left_out, "mean"], rotation=30, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(scores)), names)
        axes.set(xlabel="genre left out of training", title="AUROC, known genres against the one left out, %")
    return [table], figure


def _paired(one: Row, two: Row, names: tuple[str, str], n_boot: int, seed: int) -> str | None:
    a, b = (artifacts.load(Path(r["folder"]))[0] for r in (one, two))
    found = artifacts.difference(a, b, one["measure"], n_boot, seed)
    return None if found is None else sentence(*names, found)


def _line(
    axes: Axes, x: Sequence[float], figures: Sequence[tuple[float, float, float]], name: str, colour: str
) -> None:
    y, lo, hi = np.array(figures).T
    axes.fill_between(x, lo, hi, color=colour, alpha=0.14, linewidth=0)
    axes.plot(x, y, color=colour, marker="o", markersize=4, label=name)


def _doubling(axes: Axes, places: Sequence[float]) -> None:
    """An axis on which twice as much is always as far, where all is above 0; with a tick at every place that leaves
    room for its label.

    places: rising.
    """
    at = np.asarray(places, float)
    if at[0] > 0:
        axes.set_xscale("log", base=2)
        at = np.log2(at)
    ticks: list[float] = []
    last = -np.inf
    for p, x in zip(places, at, strict=True):
        if x - last >= 0.09 * (at[-1] - at[0]):  # a label
            ticks.append(p)
            last = x
    axes.set_xticks(ticks, [f"{p:g}" for p in ticks])
    axes.minorticks_off()
    style.legend_above(axes)
    percents(axes, "y")


def percents(axes: Axes, which: str) -> None:
    """Shares on an axis ("x" or "y") as percent, with a grid for them."""
    from matplotlib.ticker import PercentFormatter

    (axes.xaxis if which == "x" else axes.yaxis).set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis=which, color=style.GRID, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    style.bare(axes)


def _two_lines(row: Row | None) -> str:
    return (
        NONE
        if row is None
        else f"{percent(_figure(row))}\n[{percent(_figure(row, '_lo'))}, {percent(_figure(row, '_hi'))}]"
    )


def _heat(axes: Axes, figures: np.ndarray, texts: Sequence[Sequence[str]], *, flip: bool = False) -> None:
    low, high = float(np.nanmin(figures)), float(np.nanmax(figures))
    span = max(high - low, 0.02)
    origin: Any = "upper" if flip else "lower"
    image = axes.imshow(figures, cmap=style.SHARE_MAP, vmin=low - 0.4 * span, vmax=high, origin=origin, aspect="auto")
    for i, j in np.ndindex(*figures.shape):
        red, green, blue, _ = image.to_rgba(figures[i, j])
        dark = np.isfinite(figures[i, j]) and 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        axes.text(j, i, texts[i][j], ha="center", va="center", fontsize=8, color="white" if dark else style.ON_LIGHT)
    axes.tick_params(length=0)
    style.bare(axes, keep=())


Report = Callable[..., Shown]
