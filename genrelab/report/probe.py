"""What a run's decisions hang on: a table and sentences for the terminal, a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.evaluate.probe import MARGIN
from genrelab.report import style
from genrelab.report.table import NONE, numbers_table, percent, quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

    from genrelab.evaluate.probe import Fall, Reading

STUDIO = "remaster"  # the cue that nobody wants a run to have
FALL_MAP = "RdBu_r"
CLOSE = "#b3462e"


def probe_table(
    title: str, falls: Sequence[Fall], readings: Sequence[Reading], seconds: Mapping[str, float]
) -> RenderableType:
    """A row a cue, the dearest first; what the embeddings tell; seconds a song that each cue took."""
    from rich.console import Group

    table = [
        [
            f.cue,
            percent(f.after),
            f"{points(f.fall)} {bounds(f.lo, f.hi)}",
            percent(f.stays),
            f"{f.shift:.3f}",
            quantity(seconds.get(f.cue)),
        ]
        for f in ordered(falls)
    ]
    headings = ["cue taken away", "left", "fall, points", "same answer, %", "shift, bits", "s a song"]
    parts: list[RenderableType] = [numbers_table(f"{title}: {percent(falls[0].before)} as they are", headings, table)]
    about = "falls: 95 % intervals"
    about += f" that hold for all {len(falls)} cues at once" if len(falls) > 1 else ""
    about += f", bootstrap over groups; named is what costs more than {100 * MARGIN:g} points for sure"
    if not falls[0].reliable:
        about += "; unreliable: a genre has fewer than 5 groups"
    parts += ["", about]
    if readings:
        read = [
            [
                r.what,
                f"{percent(r.reached)} {bounds(r.lo, r.hi)}",
                percent(r.chance),
                percent(r.by_genre),
                f"{r.n_classes}",
                f"{r.n}",
                r.held_out,
            ]
            for r in readings
        ]
        names = ["read off the song embedding, %", "reached", "chance", "by genre alone", "kinds", "songs", "held out"]
        parts += ["", numbers_table("", names, read)]
    return Group(*parts)


def sentence(fall: Fall, noun: str, deed: str) -> str:
    """E.g. "the studio is a cue: remastering costs 21.3 points [15.0, 27.9]"; `noun` has its verb."""
    if math.isnan(fall.lo) or fall.n_groups_min < 2:
        return f"whether {noun} a cue cannot be said: {points(fall.fall)} points, but a genre has one group alone"
    cost = f"{points(fall.fall)} points {bounds(fall.lo, fall.hi)}"
    word = "" if fall.reliable else ", unreliable"
    return f"{noun} a cue: {deed} costs {cost}{word}" if fall.named else f"no sign that {noun} a cue: {cost}{word}"


def verdict(falls: Sequence[Fall]) -> str:
    """Where remastering stands among the cues, or nothing where it was not tried beside others."""
    order = [f.cue for f in ordered(falls)]
    if STUDIO not in order or len(order) < 2:
        return ""
    place = order.index(STUDIO) + 1
    own = falls[[f.cue for f in falls].index(STUDIO)]
    stands = "the most of" if place == 1 else f"number {place} of"
    named = [f.cue for f in ordered(falls) if f.named]
    cues = f"cues: {', '.join(named)}" if named else "no cue is named"
    return f"{cues}; remastering costs {points(own.fall)} points, {stands} {len(order)}"


def ordered(falls: Sequence[Fall]) -> list[Fall]:
    """The dearest first."""
    return sorted(falls, key=lambda f: -f.fall)


def rows(falls: Sequence[Fall], genres: Sequence[str]) -> Iterator[dict[str, Any]]:
    """For a CSV: a row a cue and genre, `all` first; shares, 0..1. Intervals of `all` hold for all cues at once."""
    for f in falls:
        whole = {"cue": f.cue, "genre": "all", "fall": f.fall, "lo": f.lo, "hi": f.hi}
        yield whole | {"before": f.before, "after": f.after, "stays": f.stays, "shift": f.shift, "named": f.named}
        for genre, (fall, lo, hi) in zip(genres, f.genres, strict=True):
            yield {"cue": f.cue, "genre": genre, "fall": fall, "lo": lo, "hi": hi}


def probe_picture(falls: Sequence[Fall], genres: Sequence[str], title: str) -> Figure:
    """Left: what each cue costs, with its interval, the dearest at the top, and the margin dashed. Right: the same of
    each genre."""
    import matplotlib as mpl
    from matplotlib.colors import TwoSlopeNorm

    shown = ordered(falls)
    values = 100 * np.array([[fall for fall, _, _ in f.genres] for f in shown])
    reach = max(10.0, float(np.nanmax(np.abs(values), initial=0)))
    with mpl.rc_context(style.RC):
        figure = style.blank(5.2 + 0.42 * len(genres), 0.3 * len(shown) + 1.5)
        left, right = figure.subplots(1, 2, width_ratios=[3.2, max(1.2, 0.42 * len(genres))])
        for y, f in enumerate(shown):
            colour = CLOSE if f.named else style.SIDE_COLOURS["val"]
            left.plot([100 * f.lo, 100 * f.hi], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
            left.plot(100 * f.fall, y, "o", color=colour, markersize=4.5)
        left.axvline(0, color=style.QUIET, linewidth=0.8, zorder=0)
        left.axvline(100 * MARGIN, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        left.set(xlabel="fall, points (95 % for all cues at once)", ylim=(len(shown) - 0.5, -0.5))
        left.set_yticks(range(len(shown)), [f.cue for f in shown])
        left.grid(axis="x", color=style.GRID, linewidth=0.6)
        left.set_axisbelow(True)
        style.bare(left)
        image = right.imshow(values, cmap=FALL_MAP, norm=TwoSlopeNorm(0, -reach, reach), aspect="auto")
        for y, x in np.ndindex(*values.shape):
            if math.isfinite(values[y, x]):
                colour = "white" if abs(values[y, x]) > 0.6 * reach else style.ON_LIGHT
                right.text(x, y, f"{values[y, x] + 0.0:.0f}", ha="center", va="center", color=colour, fontsize=7.5)
        right.set_xticks(range(len(genres)), list(genres), rotation=45)
        for label in right.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
        right.set_yticks([])
        right.tick_params(length=0)
        style.bare(right, keep=())
        bar = figure.colorbar(image, ax=right, fraction=0.06, pad=0.03)
        bar.set_label("fall of the genre, points")
        bar.outline.set_visible(False)  # type: ignore[operator]
        style.headline(figure, title)
    return figure


def points(share: float) -> str:
    return NONE if math.isnan(share) else f"{round(100 * share, 1) + 0.0:.1f}"


def bounds(lo: float, hi: float) -> str:
    return NONE if math.isnan(lo) or math.isnan(hi) else f"[{points(lo)}, {points(hi)}]"
