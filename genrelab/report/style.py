"""One look for every picture: written once, so that two pictures of a paper agree."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE_MAP = "magma"  # perceptually uniform, and monotone in grey print
SHARE_MAP = "Blues"
INK = "#22282f"
QUIET = "#8a939c"  # what may be read last: grids, empty cells
GRID = "#e6eaee"
ON_LIGHT = "#22282e"  # text on a cell of its own, which stays dark on a dark page
SIDE_COLOURS = {"train": "#9aa5b1", "val": "#1f5f99"}
SLICE_COLOUR = "#e08a1e"  # with the blue above: told apart by every common kind of colour vision
ON_PAGE = {INK: "var(--ink)", QUIET: "var(--quiet)", GRID: "var(--line)"}  # of a drawing within a page, see report/html
DPI = 150
RC: Any = {  # matplotlib types its keys one by one
    "font.family": "DejaVu Sans",  # travels with matplotlib, so a picture looks the same everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.6,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def blank(width_in: float, height_in: float, layout: str = "constrained") -> Figure:
    """An empty figure, inches; call within `matplotlib.rc_context(RC)`. No pyplot, so no state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


def bare(axes: Axes, *, keep: tuple[str, ...] = ("left", "bottom")) -> None:
    """Take away the lines of the frame that say nothing."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in keep)


def headline(figure: Figure, text: str) -> None:
    """A title over all axes, at the left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=RC["axes.titlesize"])


def legend_above(axes: Axes, ncols: int = 3) -> None:
    """A legend that no data can lie under."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=ncols, borderaxespad=0.2, borderpad=0, columnspacing=1.2)


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG; the same figure gives the same bytes."""
    import matplotlib as mpl

    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(RC):
        figure.savefig(path, dpi=DPI, format="png", metadata={"Software": None})
    return path


def svg(figure: Figure, label: str) -> str:
    """A drawing as markup for a page (see report/html): its ink is the page's, light and dark, its ground transparent.

    label: what it shows, for those who do not see it. The same figure gives the same markup.
    """
    import matplotlib as mpl

    held = io.StringIO()
    with mpl.rc_context(RC | {"svg.hashsalt": label, "svg.fonttype": "path"}):
        figure.savefig(held, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = held.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r' id="[a-z.]+_[0-9]+"', "", drawn)  # names of parts, the same in every drawing
    for ink, ours in ON_PAGE.items():
        drawn = drawn.replace(ink, ours)
    size = f' style="max-width:{figure.get_figwidth() * 72 * 1.25:.0f}px"'  # a little larger than in print
    named = f'<svg class="drawing" role="img" aria-label="{escape(label)}"{size} '
    return re.sub(r'<svg (?:width="[^"]*" |height="[^"]*" )?', named, drawn, count=1)
