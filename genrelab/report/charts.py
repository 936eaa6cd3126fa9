"""Charts for a page, drawn in its own ink: small, light and dark, as sharp on a phone as on paper.

Matplotlib takes a tenth of a second for what these take a hundredth of, and its letters shrink with the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report.html import MINUS, MISSING, Html, text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

WIDTH = 440  # of a chart's own units; a letter is 12 high, so that it can be read where a page is as narrow
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 40  # room for the numbers and the names of the axes
CLOSE = 0.02  # of the width: rows of an interval that lie nearer to an end are kept on the track

STYLE = """
.chart { display:block; width:100%; max-width:520px; height:auto; overflow:visible; font-size:12px; }
.chart text { fill:var(--quiet); } .chart text.said { fill:var(--ink); }
.chart .grid { stroke:var(--line); stroke-width:1; } .chart .rule { stroke:var(--quiet); stroke-width:1;
  stroke-dasharray:4 3; fill:none; }
.chart .line { fill:none; stroke-width:2; stroke-linejoin:round; }
.chart .dashed { stroke-dasharray:5 4; } .chart .thin { stroke-width:1.2; }
.chart .a, .key .a { stroke:var(--fill); color:var(--fill); } .chart .b, .key .b { stroke:var(--mark);
  color:var(--mark); }
.chart .q, .key .q { stroke:var(--quiet); color:var(--quiet); } .chart .x, .key .x { stroke:var(--bad);
  color:var(--bad); }
.chart .dot, .chart .band, .chart .bar { fill:currentColor; } .chart .dot { stroke:var(--paper); stroke-width:1; }
.chart .band, .chart .bar { fill-opacity:.13; stroke:none; } .chart .bar { fill-opacity:.5; }
.chart .ring { fill:var(--paper); stroke-width:1.4; }
.key { display:flex; flex-wrap:wrap; gap:0 16px; font-size:12.5px; color:var(--quiet); margin:0 0 4px; }
.key span { white-space:nowrap; } .key i { display:inline-block; width:16px; height:0; margin-right:6px;
  vertical-align:4px; border-top:2px solid currentColor; } .key i.dashed { border-top-style:dashed; }
.tracks { display:grid; grid-template-columns:minmax(0,max-content) minmax(90px,1fr) max-content; gap:9px 16px;
  align-items:center; margin-top:14px; font-size:13.5px; }
.tracks > span { overflow-wrap:anywhere; } .tracks .value { color:var(--quiet); text-align:right; white-space:nowrap; }
.tracks .ours { font-weight:600; } .tracks .value.ours { color:var(--ink); }
.track { position:relative; height:20px; color:var(--quiet);
  background:linear-gradient(var(--line),var(--line)) 0 50%/100% 1px no-repeat; }
.track.ours { color:var(--fill); } .track i { position:absolute; top:8px; height:4px; border-radius:2px;
  background:currentColor; opacity:.5; }
.track b { position:absolute; top:5px; width:10px; height:10px; margin-left:-5px; border-radius:50%;
  background:currentColor; box-shadow:0 0 0 2px var(--paper); }
.track u { position:absolute; top:-5px; bottom:-5px; border-left:1px dashed var(--quiet); }
.ends { position:relative; height:16px; font-size:11.5px; color:var(--quiet); }
.ends em { position:absolute; font-style:normal; transform:translateX(-50%); white-space:nowrap; }
@media (max-width:640px) { .tracks { gap:7px 10px; font-size:13px; } }
@media print { .chart, .track, .track * { print-color-adjust:exact; -webkit-print-color-adjust:exact; } }
"""


@dataclass(frozen=True)
class Axis:
    """From where to where, the places that have a number, and what is shown."""

    name: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def place(self, values: ArrayLike) -> np.ndarray:
        """Where values lie between the ends, 0..1; NaN stays NaN."""
        v, low, high = np.asarray(values, float), self.low, self.high
        if self.log:
            v, low, high = np.log(np.maximum(v, 1e-300)), math.log(low), math.log(high)
        return (v - low) / (high - low)


def percents(name: str, low: float = 0.0, high: float = 1.0) -> Axis:
    """An axis of shares, said in per cent."""
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if (high - low) / s <= 5.5)
    first = math.ceil(low / step - 1e-9)
    ticks = [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]
    return Axis(name, low, high, tuple((t, f"{100 * t:.0f} %") for t in ticks))


def numbers(name: str, values: ArrayLike, *, whole: bool = False, least: float | None = None) -> Axis:
    """An axis that holds all values, and `least`; its numbers are round, and whole where asked."""
    v = np.asarray(values, float)
    v = v[np.isfinite(v)]
    low, high = (float(v.min()), float(v.max())) if len(v) else (0.0, 1.0)
    low = low if least is None else min(low, least)
    span = high - low or 1.0
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    step = 10.0 ** math.floor(math.log10(span / 4))
    step *= next(s for s in (1, 2, 5, 10) if span / (s * step) <= 5)
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = [k * step for k in range(first, last + 1)]
    return Axis(name, low, high, tuple((t, f"{t:.6g}".replace("-", MINUS)) for t in ticks))


def hertz(name: str, low: float, high: float) -> Axis:
    """A logarithmic axis of frequencies or bandwidths, Hz."""
    first = math.floor(math.log10(low))
    ticks = [s * 10.0**e for e in range(first, math.ceil(math.log10(high)) + 1) for s in (1, 2, 5)]
    said = tuple((t, f"{t / 1000:g}k" if t >= 1000 else f"{t:g}") for t in ticks if low <= t <= high)
    return Axis(name, low, high, said, log=True)


class Chart:
    """Marks between two axes. Colours are names of the page's: a (the run), b (beside it), q (quiet), x (wrong)."""

    def __init__(self, x: Axis, y: Axis, height: int = 250) -> None:
        self.x, self.y, self.height = x, y, height
        self.marks: list[str] = []
        self.names: list[tuple[str, str]] = []

    def _at(self, x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        wide, tall = WIDTH - LEFT - RIGHT, self.height - TOP - BOTTOM
        return LEFT + wide * self.x.place(x), TOP + tall * (1 - self.y.place(y))

    def key(self, name: str, colour: str) -> Chart:
        """A name for the marks of a colour, above the chart."""
        self.names.append((name, colour))
        return self

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, *, steps: bool = False) -> Chart:
        """Through points, broken where one is NaN; steps: a value holds until the next."""
        way, pen = [], "M"
        last = 0.0
        for px, py in zip(*self._at(x, y), strict=True):
            if not (math.isfinite(px) and math.isfinite(py)):
                pen = "M"
                continue
            way.append(f"{pen}{px:.1f} {last:.1f}V{py:.1f}" if steps and pen == "L" else f"{pen}{px:.1f} {py:.1f}")
            pen, last = "L", py
        self.marks.append(f'<path class="line {colour}" d="{"".join(way)}"/>')
        return self

    def area(self, x: ArrayLike, y: ArrayLike, colour: str, *, steps: bool = False) -> Chart:
        """What lies below a line."""
        xs, ys = self._at(x, y)
        if len(xs):
            ground = self.height - BOTTOM
            way = "".join(
                f"H{px:.1f}V{py:.1f}" if steps else f"L{px:.1f} {py:.1f}" for px, py in zip(xs, ys, strict=True)
            )
            self.marks.append(f'<path class="band {colour}" d="M{xs[0]:.1f} {ground}{way}V{ground}Z"/>')
        return self

    def bars(self, edges: NDArray, heights: NDArray, colour: str) -> Chart:
        """A histogram: one edge more than heights."""
        xs, ground = self._at(edges, np.zeros(len(edges)))
        tops = self._at(np.full(len(heights), edges[0]), heights)[1]
        way = "".join(
            f"M{a:.1f} {ground[0]:.1f}V{top:.1f}H{b:.1f}V{ground[0]:.1f}Z"
            for a, b, top, h in zip(xs[:-1], xs[1:], tops, heights, strict=True)
            if h > 0
        )
        self.marks.append(f'<path class="bar {colour}" d="{way}"/>')
        return self

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, radius: ArrayLike = 3.5, *, ring: bool = False) -> Chart:
        xs, ys = self._at(x, y)
        kind = "ring" if ring else "dot"
        for px, py, r in zip(xs, ys, np.broadcast_to(radius, xs.shape), strict=True):
            if math.isfinite(px) and math.isfinite(py):
                self.marks.append(f'<circle class="{kind} {colour}" cx="{px:.1f}" cy="{py:.1f}" r="{r:.1f}"/>')
        return self

    def rule(self, x: ArrayLike, y: ArrayLike) -> Chart:
        """A dashed line: what the marks are to be compared with."""
        way = "L".join(f"{px:.1f} {py:.1f}" for px, py in zip(*self._at(x, y), strict=True))
        self.marks.append(f'<path class="rule" d="M{way}"/>')
        return self

    def say(self, x: float, y: float, words: str, *, end: bool = False) -> Chart:
        """Words above a place, beginning there, or ending."""
        px, py = self._at([x], [y])
        anchor = ' text-anchor="end"' if end else ""
        self.marks.append(f'<text class="said" x="{px[0]:.1f}" y="{py[0] - 5:.1f}"{anchor}>{escape(words)}</text>')
        return self

    def html(self, label: str) -> Html:
        """label: what it shows, for those who do not see it."""
        right, ground, drawn = WIDTH - RIGHT, self.height - BOTTOM, []
        for at, said in self.y.ticks:
            y = self._at([self.x.low], [at])[1][0]
            drawn.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
            drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(said)}</text>')
        for at, said in self.x.ticks:
            x = self._at([at], [self.y.low])[0][0]
            drawn.append(f'<path class="grid" d="M{x:.1f} {ground}v4"/>')
            drawn.append(f'<text x="{x:.1f}" y="{ground + 16}" text-anchor="middle">{escape(said)}</text>')
        drawn.append(
            f'<text x="{(LEFT + right) // 2}" y="{self.height - 6}" text-anchor="middle">{escape(self.x.name)}</text>'
        )
        names = "".join(f'<span><i class="{c}"></i>{text(n)}</span>' for n, c in self.names)
        key = f'<p class="key">{names}</p>' if names else ""
        return Html(
            f'{key}<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {self.height}">'
            f"{''.join(drawn)}{''.join(self.marks)}</svg>"
        )


@dataclass(frozen=True)
class Reached:
    """A value with its 95 % interval, NaN where there is none."""

    name: str
    value: float
    lo: float = math.nan
    hi: float = math.nan
    ours: bool = False  # the run's own stands out


def tracks(rows: Iterable[Reached], low: float = 0.0, high: float = 1.0, mark: tuple[str, float] | None = None) -> Html:
    """A line for each value, 0..1, on one scale from `low` to `high`; mark: a named place on all of them."""

    def place(value: float) -> float:
        return 100 * min(max((value - low) / (high - low), 0.0), 1.0)

    made = []
    for row in rows:
        ours = " ours" if row.ours else ""
        there = math.isfinite(row.lo) and math.isfinite(row.hi)
        inner = f'<u style="left:{place(mark[1]):.1f}%"></u>' if mark else ""
        if there:
            inner += f'<i style="left:{place(row.lo):.1f}%;width:{place(row.hi) - place(row.lo):.1f}%"></i>'
        if math.isfinite(row.value):
            inner += f'<b style="left:{place(row.value):.1f}%"></b>'
        said = (f"{100 * row.value:.1f}" if math.isfinite(row.value) else MISSING) + (
            f" [{100 * row.lo:.1f}, {100 * row.hi:.1f}]" if there else ""
        )
        made.append(
            f'<span class="name{ours}">{text(row.name)}</span><div class="track{ours}">{inner}</div>'
            f'<span class="value{ours}">{said.replace("-", MINUS)}</span>'
        )
    step = next(s for s in (0.05, 0.1, 0.2, 0.25, 0.5) if (high - low) / s <= 5.5)
    ticks = [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    ends = "".join(f'<em style="left:{place(t):.1f}%">{100 * t:.0f}</em>' for t in ticks)
    if mark:
        named = f'<em style="left:{place(mark[1]):.1f}%">{text(mark[0])}</em>'
        made.insert(0, f'<span></span><div class="ends">{named}</div><span></span>')
    return Html(f'<div class="tracks">{"".join(made)}<span></span><div class="ends">{ends}</div><span></span></div>')
