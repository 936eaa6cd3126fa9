"""Whether probabilities can be believed, and what saying nothing buys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.calibration import aurc, ece, reliability, risk_coverage
from genrelab.report import style
from genrelab.report.charts import Chart, percents

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from genrelab.report.html import Html

N_BINS = 10
Believed = tuple["NDArray", "NDArray"]  # confidence (n,) and whether it was right (n,)


def reliability_picture(before: Believed, after: Believed | None, songs: Believed, title: str) -> Figure:
    """Left: how often a confidence was right, before the temperature and after it; right: the share of wrong answers
    among the songs that are answered, the surest first.

    before, after, songs: confidence (n,) and whether right (n,); after is None where there is no temperature.
    """
    import matplotlib as mpl
    from matplotlib.ticker import PercentFormatter

    with mpl.rc_context(style.RC):
        figure = style.blank(7.6, 3.3)
        left, right = figure.subplots(1, 2)
        left.plot([0, 1], [0, 1], color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        _reliable(left, before, "uncalibrated", style.SIDE_COLOURS["train"])
        if after is not None:
            _reliable(left, after, "calibrated", style.SIDE_COLOURS["val"])
        left.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
        style.legend_above(left, ncols=1)
        style.headline(figure, title)
        coverage, risk = risk_coverage(*songs)
        right.fill_between(coverage, risk, color=style.SIDE_COLOURS["val"], alpha=0.12, linewidth=0, step="post")
        right.step(coverage, risk, color=style.SIDE_COLOURS["val"], where="post", label="surest first")
        wrong = 1 - float(np.mean(songs[1]))
        right.axhline(wrong, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        right.annotate(
            f"all answered: {100 * wrong:.1f} %",
            (0.98, wrong),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
        right.set(xlabel="share of the songs that is answered", ylabel="share of wrong answers", xlim=(0, 1))
        right.set_ylim(0, max(0.05, 1.25 * max(wrong, float(np.nanmax(risk[coverage > 0.1], initial=0)))))
        right.annotate(f"AURC {aurc(*songs):.3f}", (1, 1.02), xycoords="axes fraction", ha="right", fontsize=8)
        for axes in (left, right):
            axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
            axes.grid(color=style.GRID, linewidth=0.6)
            axes.set_axisbelow(True)
            style.bare(axes)
    return figure


def _reliable(axes: Axes, said: Believed, name: str, colour: str) -> None:
    """Dots whose size is the number of answers in a bin."""
    confidence, accuracy, count = reliability(*said, N_BINS)
    there = np.asarray(count) > 0
    size = 8 + 90 * np.asarray(count)[there] / max(1, int(np.max(count)))
    axes.plot(confidence[there], accuracy[there], color=colour, linewidth=1, zorder=1)
    label = f"{name}, ECE {100 * ece(*said):.1f} %"
    axes.scatter(confidence[there], accuracy[there], s=size, color=colour, label=label, zorder=2)


def reliability_chart(before: Believed, after: Believed | None) -> Html:
    """The left half of `reliability_picture`, for a page."""
    drawn = Chart(percents("confidence"), percents("")).rule([0, 1], [0, 1])
    for said, name, colour in ((before, "uncalibrated", "q" if after is not None else "a"), (after, "calibrated", "a")):
        if said is None:
            continue
        confidence, accuracy, count = reliability(*said, N_BINS)
        there = np.asarray(count) > 0
        radius = 2.5 + 6 * np.sqrt(np.asarray(count)[there] / max(1, int(np.max(count))))
        drawn.line(confidence[there], accuracy[there], f"{colour} thin").dots(
            confidence[there], accuracy[there], colour, radius
        )
        drawn.key(f"{name}, ECE {100 * ece(*said):.1f} %", colour)
    return drawn.html("share of right answers against confidence")


def risk_chart(songs: Believed) -> Html:
    """The right half of `reliability_picture`, for a page."""
    coverage, risk = risk_coverage(*songs)
    wrong = 1 - float(np.mean(songs[1]))
    top = min(1.0, max(0.05, 1.25 * max(wrong, float(np.nanmax(risk[coverage > 0.1], initial=0)))))
    drawn = Chart(percents("share of the songs that is answered, the surest first"), percents("", 0.0, top))
    risk = np.minimum(risk, top)  # the first few answers leave the chart
    drawn.area(coverage, risk, "a").rule([0, 1], [wrong, wrong]).line(coverage, risk, "a")
    drawn.key(f"wrong answers, AURC {aurc(*songs):.3f}", "a").key(f"all answered: {100 * wrong:.1f} %", "q dashed")
    return drawn.html("share of wrong answers against the share of songs that is answered")
