"""Pictures of a comparison: differences with their intervals, and the difference in each genre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report import style
from genrelab.report.table import NAMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from genrelab.report.agreement import Agreement
    from genrelab.report.compare import Outcome

FIRST, SECOND = "#1f5f99", "#e08a1e"  # better is the one less another, or the other
MOST = 40  # rows of a picture


def differences_picture(outcome: Outcome) -> Figure:
    """A dot and its interval for each comparison, in points; filled where the two are told apart."""
    import matplotlib as mpl

    shown = outcome.versus[:MOST]
    with mpl.rc_context(style.RC):
        figure = style.blank(4.4 + 0.07 * max(len(v.name) for v in shown), 0.3 * len(shown) + 1.2)
        axes = figure.subplots()
        axes.axvline(0, color=style.QUIET, linewidth=0.8)
        for y, v in enumerate(shown):
            c = v.found
            colour = FIRST if c.points >= 0 else SECOND
            axes.plot([100 * c.lo, 100 * c.hi], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
            filled = colour if c.told_apart else "white"
            axes.plot(100 * c.points, y, "o", color=colour, markersize=5, markerfacecolor=filled)
        axes.set_yticks(range(len(shown)), [v.name for v in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel(f"points of {NAMES[outcome.measure]} per song; filled: told apart")
        axes.grid(axis="x", color=style.GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        style.bare(axes)
    return figure


def genres_picture(outcome: Outcome, agreements: Sequence[Agreement]) -> Figure:
    """A heat map: a row a comparison, a column a genre, in points."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    shown = list(zip(outcome.versus, agreements, strict=True))[:MOST]
    genres = list(dict.fromkeys(g for _, one in shown for g in one.genres))
    table = np.array([[100 * one.genres.get(g, np.nan) for g in genres] for _, one in shown])
    most = max(5.0, float(np.nanmax(np.abs(table), initial=0.0)))
    with mpl.rc_context(style.RC):
        figure = style.blank(
            0.5 * len(genres) + 1.2 + 0.07 * max(len(v.name) for v, _ in shown), 0.3 * len(shown) + 1.6
        )
        axes = figure.subplots()
        colours = LinearSegmentedColormap.from_list("less", [SECOND, "#f7f5f1", FIRST])
        image = axes.imshow(table, cmap=colours, vmin=-most, vmax=most, aspect="auto")
        for i, j in np.ndindex(*table.shape):
            if np.isfinite(table[i, j]):
                red, green, blue, _ = image.to_rgba(table[i, j])
                ink = "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else style.ON_LIGHT
                axes.text(j, i, f"{table[i, j] + 0.0:+.0f}", ha="center", va="center", fontsize=7, color=ink)
        axes.set_yticks(range(len(shown)), [v.name for v, _ in shown])
        axes.set_xticks(range(len(genres)), genres, rotation=30, ha="right", rotation_mode="anchor")
        axes.tick_params(length=0)
        style.bare(axes, keep=())
    return figure
