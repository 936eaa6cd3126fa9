"""Which genres a run cannot tell apart: a table for the terminal, a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrelab.report import style
from genrelab.report.table import bounded, numbers_table, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from genrelab.evaluate.confusable import Pair

MOST = 15  # pairs in a picture
CLOSE = "#b3462e"


def confusable_table(pairs: Sequence[Pair], limit: int) -> RenderableType:
    """The pairs that are hardest to tell apart, and every one that is not told apart."""
    shown = [p for i, p in enumerate(pairs) if i < limit or not p.separable]
    rows = [
        [
            f"{p.a} / {p.b}",
            bounded(p.auroc, p.lo, p.hi),
            f"{percent(p.a_as_b)} / {percent(p.b_as_a)}",
            p.verdict,
        ]
        for p in shown
    ]
    headings = ["closest pairs, %", "told apart (AUROC)", "taken for each other", "verdict"]
    return numbers_table("", headings, rows)


def confusable_picture(pairs: Sequence[Pair], genres: Sequence[str]) -> Figure:
    """How well each pair is told apart, with its interval, the hardest at the top; chance is the dashed line."""
    import matplotlib as mpl
    from matplotlib.ticker import PercentFormatter

    shown = list(pairs[:MOST])[::-1]
    more = f", the {MOST} closest of {len(pairs)}" if len(pairs) > MOST else ""
    with mpl.rc_context(style.RC):
        figure = style.blank(6.2, 0.28 * len(shown) + 1.0)
        axes = figure.subplots()
        for y, p in enumerate(shown):
            colour = style.SIDE_COLOURS["val"] if p.separable else CLOSE
            axes.plot([p.lo, p.hi], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
            axes.plot(p.auroc, y, "o", color=colour, markersize=4.5)
        axes.axvline(0.5, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yticks(range(len(shown)), [f"{p.a} / {p.b}" for p in shown])
        axes.set_xlim(min([0.47, *(p.lo for p in shown if p.lo == p.lo)]) - 0.02, 1.01)
        axes.set(xlabel="told apart (AUROC, 95 % interval of each pair)", title=f"pairs of {len(genres)} genres{more}")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.grid(axis="x", color=style.GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        style.bare(axes)
    return figure
