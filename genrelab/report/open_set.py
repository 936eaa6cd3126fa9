"""What a run does with songs of none of its genres: tables for the terminal, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report import html as frame
from genrelab.report import style
from genrelab.report.charts import Axis, Chart, Reached, numbers, percents, tracks
from genrelab.report.table import NONE, bounded, interval, numbers_table, percent
from genrelab.types import NO_TAG

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from rich.console import RenderableType

Row = Mapping[str, tuple[float, float, float]]  # metric -> value, lower and upper end of its interval
COLUMNS = {"auroc": "AUROC", "fpr95": "FPR@95", "oscr": "OSCR", "open_macro_f1": "open macro-F1"}
WORDS = {score: score.replace("_", " ") for score in ("max_softmax", "max_logit", "vote_share")} | {"knn": "k nearest"}
UNKNOWN = "#b3462e"


def open_set_table(found: Mapping[str, Row], chosen: str, counts: str) -> RenderableType:
    """A row a score, the run's own marked; figures in percent with their 95 % intervals."""
    rows = [
        [_name(score) + (" *" if score == chosen else ""), *(_cell(row.get(metric)) for metric in COLUMNS)]
        for score, row in found.items()
    ]
    return numbers_table(f"open set: {counts}; * decides, %", ["score", *COLUMNS.values()], rows)


def foreign_table(refused: Mapping[str, tuple[int, int]]) -> RenderableType:
    """Kind of sound -> how many of how many get no tag."""
    rows = [[f"{n_refused} of {n}" for n_refused, n in refused.values()]]
    return numbers_table(
        "made sounds that get no tag (no songs, so in no figure above)", list(refused), rows, named=False
    )


def _name(score: str) -> str:
    return WORDS.get(score, score)


def _cell(value: tuple[float, float, float] | None) -> str:
    if value is None or np.isnan(value[0]):
        return NONE
    return bounded(*value)


def open_set_picture(
    score: NDArray, known: NDArray, threshold: float, found: Mapping[str, Row], chosen: str, title: str
) -> Figure:
    """Left: the run's score of known and unknown songs and its threshold; right: AUROC of every score.

    score: (n,), higher is more surely known; known: (n,) bool; found: score -> figures with intervals.
    """
    import matplotlib as mpl
    from matplotlib.ticker import PercentFormatter

    with mpl.rc_context(style.RC):
        figure = style.blank(7.8, 3.2)
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        high = max(float(np.max(score)), threshold)
        low = min(float(np.quantile(score, 0.01)), threshold - 0.22 * (high - threshold))  # room for "no tag"
        edges = np.linspace(low, high if high > low else low + 1, 28)
        for own, name, colour in (
            (known, "known genres", style.SIDE_COLOURS["val"]),
            (~known, "none of them", UNKNOWN),
        ):
            values = np.clip(score[own], edges[0], edges[-1])
            weights = np.full(len(values), 1 / max(1, len(values)))
            left.hist(values, edges, weights=weights, color=colour, alpha=0.55, label=f"{name} ({int(own.sum())})")
        left.axvline(threshold, color=style.INK, linewidth=1)
        left.annotate(
            "no tag ←",
            (threshold, 1),
            xycoords=left.get_xaxis_transform(),
            xytext=(-4, -10),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
        left.margins(y=0.14)  # and above the bars
        left.set(xlabel=f"{_name(chosen)} score", ylabel="share of the songs")
        left.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        style.legend_above(left)
        style.headline(figure, title)
        order = sorted(found, key=lambda s: found[s]["auroc"][0])
        for y, name in enumerate(order):
            value, lo, hi = found[name]["auroc"]
            colour = style.SIDE_COLOURS["val"] if name == chosen else style.QUIET
            right.plot([lo, hi], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
            right.plot(value, y, "o", color=colour, markersize=5)
        right.axvline(0.5, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        right.set_yticks(range(len(order)), [_name(s) for s in order])
        right.set(xlabel="AUROC, known against none of them", xlim=(min(0.45, right.get_xlim()[0]), 1.01))
        right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        for axes in (left, right):
            axes.grid(axis="x", color=style.GRID, linewidth=0.6)
            axes.set_axisbelow(True)
            style.bare(axes)
    return figure


def open_set_section(songs: pd.DataFrame, figures: Mapping[str, float], chosen: str, threshold: float) -> str:
    """What a page says of the test songs that are of none of the genres; nothing where there are none.

    songs: as predictions.parquet; figures: as MLflow has them; chosen: the score that decides, "" where several models
    have thresholds of their own.
    """
    test = songs[songs["split"] == "test"]
    known = (test["truth"] != NO_TAG).to_numpy(bool)
    if known.all():
        return ""
    scores = [c.removeprefix("known/") for c in songs.columns if c.startswith("known/")]
    rows, reached = [], []
    for score in scores:
        own = f"test/open_set/{score}/"
        cells = [f"{percent(figures.get(own + m))} {interval(figures, own + m)}" for m in COLUMNS]
        if own + "auroc" not in figures:
            continue
        rows.append([_name(score), *cells])
        at, lo, hi = (figures.get(f"{own}auroc{end}", np.nan) for end in ("", "_lo", "_hi"))
        reached.append(Reached(_name(score), at, lo, hi, ours=score == chosen))
    reached.sort(key=lambda r: -r.value)
    counts = f"{int(known.sum())} songs of known genres, {int((~known).sum())} of none of them"
    tagged = float((test["answer"][~known] != NO_TAG).mean())
    about = f"{counts}; of these {100 * tagged:.0f} % got a tag all the same."
    made = []
    if chosen and f"known/{chosen}" in test.columns:
        values = test[f"known/{chosen}"].to_numpy(float)
        made.append(
            frame.figure(_histogram(values, known, threshold, chosen), "Known or not", f"score {_name(chosen)}")
        )
    if reached:
        low = min(0.45, *(r.lo for r in reached if np.isfinite(r.lo))) if reached else 0.45
        drawn = tracks(reached, low, 1.0, ("chance", 0.5))
        made.append(frame.figure(drawn, "How well each score tells them apart", "AUROC, %, 95 % intervals"))
    table = frame.table(["score, %", *COLUMNS.values()], rows, ours=[i for i, s in enumerate(scores) if s == chosen])
    made_of = [
        (kind.removeprefix("test/foreign/"), v) for kind, v in figures.items() if kind.startswith("test/foreign/")
    ]
    told = ", ".join(f"{kind} {100 * v:.0f} %" for kind, v in made_of)
    foreign = f'<p class="about">Made sounds that are no songs and get no tag: {frame.text(told)}.</p>' if told else ""
    return frame.section("None of these", frame.columns(*made) + table + foreign, about=about, name="open")


def _histogram(score: NDArray, known: NDArray, threshold: float, chosen: str) -> frame.Html:
    """The run's score of known songs and of others, and its threshold."""
    high = max(float(np.max(score)), threshold)
    low = min(float(np.quantile(score, 0.01)), threshold - 0.22 * (high - threshold))
    edges = np.linspace(low, high if high > low else low + 1, 28)
    shares = []
    for own in (known, ~known):
        counts = np.histogram(np.clip(score[own], edges[0], edges[-1]), edges)[0]
        shares.append(counts / max(1, int(own.sum())))
    top = 1.15 * max(float(s.max()) for s in shares)
    x = numbers(f"{_name(chosen)}, the higher the surer to be known", edges)
    drawn = Chart(Axis(x.name, float(edges[0]), float(edges[-1]), x.ticks), percents("", 0.0, top))
    drawn.bars(edges, shares[0], "a").bars(edges, shares[1], "x").rule([threshold, threshold], [0, top])
    drawn.say(threshold, 0.93 * top, "no tag \N{LEFTWARDS ARROW} ", end=True)
    drawn.key(f"known genres ({int(known.sum())})", "a").key(f"none of them ({int((~known).sum())})", "x")
    return drawn.html(f"{_name(chosen)} of songs of known genres and of others, and the threshold")
