"""The filters that a front-end has learned, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genrelab.report import style
from genrelab.report.charts import Chart, hertz

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from genrelab.report.html import Html

LOWEST_HZ = 20.0  # what lies lower is drawn here: a logarithmic axis has no zero


def filters_picture(
    centre_hz: ArrayLike, bandwidth_hz: ArrayLike, title: str, initial: tuple[ArrayLike, ArrayLike]
) -> Figure:
    """Centre frequency against half-power bandwidth, where training began and where it led.

    centre_hz, bandwidth_hz: (n,); initial: the same two before training. The line is the ear's equivalent rectangular
    bandwidth, 24.7 (4.37 f / 1000 + 1) Hz (Glasberg & Moore 1990, equation 3).
    """
    import matplotlib as mpl
    from matplotlib.ticker import LogLocator, NullLocator

    now = _points(centre_hz, bandwidth_hz)
    before = _points(*initial)
    with mpl.rc_context(style.RC):
        figure = style.blank(6.4, 4.2)
        axes = figure.add_subplot()
        hz = np.geomspace(LOWEST_HZ, max(now[0].max(), before[0].max(), 1000.0), 200)
        axes.plot(
            hz, 24.7 * (4.37 * hz / 1000 + 1), "--", color=style.QUIET, linewidth=0.9, label="the ear (ERB)", zorder=1
        )
        moved = np.stack([np.stack(before, 1), np.stack(now, 1)], 1)  # (n, 2, 2)
        for way in moved:
            axes.plot(*way.T, color=style.SIDE_COLOURS["train"], linewidth=0.6, alpha=0.45, zorder=1)
        axes.scatter(
            *before, s=13, facecolor="white", edgecolor=style.SIDE_COLOURS["train"], label="before training", zorder=2
        )
        axes.scatter(*now, s=17, color=style.SIDE_COLOURS["val"], linewidth=0, alpha=0.85, label="learned", zorder=3)
        axes.set(xscale="log", yscale="log", title=title)
        axes.set(xlabel="centre frequency (Hz)", ylabel="bandwidth at half power (Hz)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(lambda value, _: f"{value:g}" if value < 1000 else f"{value / 1000:g}k")
        axes.grid(color=style.GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(loc="upper left")
        style.bare(axes)
    return figure


def filters_chart(
    centre_hz: ArrayLike, bandwidth_hz: ArrayLike, initial_centre_hz: ArrayLike, initial_bandwidth_hz: ArrayLike
) -> Html:
    """`filters_picture` for a page."""
    now, before = _points(centre_hz, bandwidth_hz), _points(initial_centre_hz, initial_bandwidth_hz)
    top = max(now[0].max(), before[0].max(), 1000.0)
    hz = np.geomspace(LOWEST_HZ, top, 80)
    ear = 24.7 * (4.37 * hz / 1000 + 1)
    widths = np.concatenate([now[1], before[1], ear])
    x, y = hertz("centre frequency, Hz", LOWEST_HZ, 1.1 * top), hertz("", 0.8 * widths.min(), 1.25 * widths.max())
    drawn = Chart(x, y, height=300).rule(hz, ear)
    for way in np.stack([np.stack(before, 1), np.stack(now, 1)], 1):
        drawn.line(way[:, 0], way[:, 1], "q thin")
    drawn.dots(*before, "q", 2.5, ring=True).dots(*now, "a", 3.5)
    drawn.key("learned", "a").key("before training", "q").key("dashed: the ear (ERB)", "q dashed")
    return drawn.html("bandwidth against centre frequency of the learned filters, Hz")


def _points(centre_hz: ArrayLike, bandwidth_hz: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    centre, width = (np.asarray(v, dtype=float).ravel() for v in (centre_hz, bandwidth_hz))
    if centre.shape != width.shape or not len(centre):
        raise ValueError(f"{len(centre)} centre frequencies and {len(width)} bandwidths: expected one each, at least 1")
    return np.maximum(centre, LOWEST_HZ), width
