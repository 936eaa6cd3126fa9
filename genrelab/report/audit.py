"""An audit as a page: one HTML file that needs no network, and a CSV for every table on it."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.report import html as frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROWS = 100  # of a table on the page; its CSV has all
FIRST_ROWS = 8  # of them, which are seen at once
FEW_SONGS = 3  # of a row
MOST_GENRES = 30  # in a drawing
COLUMNS = 60  # of a small distribution
INSIDE = (0.5, 99.5)  # per cent of the songs that a drawing's axis reaches over


@dataclass(frozen=True)
class Section:
    """A table: what it holds, in which file, and what stands there if it is empty."""

    title: str
    file: str  # without .csv
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    nothing: str  # said where there are no rows
    bad: bool = False  # whether rows mean that the split leaks


@dataclass(frozen=True)
class Spread:
    """A measure of every genre's songs."""

    title: str
    unit: str
    values: tuple[tuple[str, NDArray], ...]  # (genre, its songs' values without NaN)
    log: bool = False


@dataclass(frozen=True)
class Alone:
    """How well genres are told apart by one thing alone: balanced accuracy, 0..1, with a 95 % interval."""

    name: str
    point: float
    lo: float
    hi: float


@dataclass(frozen=True)
class Sheet:
    """Everything on the page."""

    title: str
    leaks: dict[str, int]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    spreads: tuple[Spread, ...]
    alone: tuple[Alone, ...]
    chance: float
    notes: tuple[str, ...]  # plain sentences at the foot


def write(sheet: Sheet, folder: Path) -> list[Path]:
    """audit.html and a CSV for each table into `folder`; their paths, the page first. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "audit.html"
    page.write_text(html(sheet), encoding="utf-8")
    paths = [page]
    alone = [(a.name, a.point, a.lo, a.hi, sheet.chance) for a in sheet.alone]
    tables = [(s.file, s.columns, s.rows) for s in sheet.sections]
    tables.append(("alone", ("by", "balanced_accuracy", "lo", "hi", "chance"), tuple(alone)))
    for name, columns, rows in tables:
        paths.append(folder / f"{name}.csv")
        with paths[-1].open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([columns, *rows])
    return paths


def verdict(leaks: dict[str, int]) -> str:
    """E.g. "3 artists, 1 near duplicate on two sides"."""
    if not leaks:
        return "Nothing was found on two sides of the split"
    return ", ".join(_counted(n, what) for what, n in leaks.items()) + " on two sides"


def _counted(n: int, what: str) -> str:
    what = {"track": "recording"}.get(what, what)
    if n == 1:
        return f"1 {what.removesuffix('s')}"
    return f"{n:,} {what if what.endswith('s') else what + 's'}"


STYLE = """
td:last-child { min-width:15em; overflow-wrap:anywhere; }
.alone { display:grid; grid-template-columns:max-content 1fr max-content; gap:9px 16px; align-items:center;
  margin-top:16px; }
.track { position:relative; height:20px; background:linear-gradient(var(--line),var(--line)) 0 50%/100% 1px no-repeat; }
.track i { position:absolute; top:8px; height:4px; border-radius:2px; background:var(--fill); opacity:.45; }
.track b { position:absolute; top:4px; width:12px; height:12px; margin-left:-6px; border-radius:50%;
  background:var(--fill); box-shadow:0 0 0 2px var(--paper); }
.track u { position:absolute; top:-5px; bottom:-5px; border-left:1.5px dashed var(--mark); }
.alone span { font-size:13.5px; } .alone .value { color:var(--quiet); text-align:right; white-space:nowrap; }
.alone .key { color:var(--mark); position:relative; height:16px; font-size:12px; }
.alone .key em { position:absolute; transform:translateX(-50%); font-style:normal; white-space:nowrap; }
.spread { display:grid; grid-template-columns:minmax(0,max-content) minmax(0,1fr) max-content; gap:0 12px;
  align-items:end; font-size:12.5px; }
.spread .genre { overflow-wrap:anywhere; align-self:center; max-width:11em; } .spread .value { color:var(--quiet);
  text-align:right; align-self:center; }
.spread svg { display:block; width:100%; height:26px; border-bottom:1px solid var(--line); overflow:visible; }
.spread path { fill:var(--fill); fill-opacity:.75; } .spread line { stroke:var(--mark); stroke-width:2;
  vector-effect:non-scaling-stroke; }
.ends { display:flex; justify-content:space-between; color:var(--quiet); font-size:11.5px; padding-top:3px; }
@media (max-width:640px) { .alone { gap:7px 10px; } }
"""


def html(sheet: Sheet) -> str:
    """The page. Whatever a name holds is text on it."""
    leaking = [s for s in sheet.sections if s.bad and s.rows]
    others = [s for s in sheet.sections if s not in leaking]
    body = [*map(_section, leaking), _alone(sheet), _spreads(sheet), *map(_section, others)]
    word = "The split leaks:" if sheet.leaks else "No leak:"
    lead = frame.Html(f"<b>{word}</b> {frame.text(_lower(verdict(sheet.leaks)))}.")
    return frame.page(
        sheet.title,
        "\n".join(filter(None, body)),
        lead=lead,
        kind="bad" if sheet.leaks else "good",
        facts=sheet.facts,
        notes=sheet.notes,
        style=STYLE,
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _section(s: Section) -> str:
    options: dict[str, Any] = {
        "about": s.about,
        "count": f"{len(s.rows):,}" if s.rows else "",
        "bad": s.bad and bool(s.rows),
    }
    if not s.rows:
        return frame.section(s.title, f'<p class="none">{escape(s.nothing)}</p>', name=s.file, **options)
    rows = [[_cell(*cell) for cell in zip(s.columns, row, strict=True)] for row in s.rows[:MOST_ROWS]]
    made = frame.table(s.columns, rows, first=FIRST_ROWS)
    rest = len(s.rows) - MOST_ROWS
    more = f'<p class="none">and {rest:,} more in {escape(s.file)}.csv</p>' if rest > 0 else ""
    return frame.section(s.title, made + more, name=s.file, **options)


def _cell(column: str, value: object) -> object:
    if column == "sides" and " " in str(value):  # it lies on two
        return frame.Html(f'<span class="bad-text">{escape(str(value))}</span>')
    return _few(str(value)) if column == "songs" else value


def _few(ids: str) -> str:
    """The first songs of many."""
    own = ids.split(" ")
    return ids if len(own) <= FEW_SONGS + 1 else f"{' '.join(own[:FEW_SONGS])} and {len(own) - FEW_SONGS} more"


def _alone(sheet: Sheet) -> str:
    if not sheet.alone:
        return ""
    rows = []
    for a in sheet.alone:
        bounds = "" if math.isnan(a.lo) else f" [{100 * a.lo:.0f}, {100 * a.hi:.0f}]"
        bar = "" if math.isnan(a.lo) else f'<i style="left:{100 * a.lo:.1f}%;width:{100 * (a.hi - a.lo):.1f}%"></i>'
        rows.append(
            f"<span>{escape(a.name)}</span>"
            f'<div class="track"><u style="left:{100 * sheet.chance:.1f}%"></u>{bar}'
            f'<b style="left:{100 * a.point:.1f}%"></b></div>'
            f'<span class="value">{100 * a.point:.0f} %{bounds}</span>'
        )
    at = min(max(100 * sheet.chance, 12), 88)
    key = f'<span></span><div class="key"><em style="left:{at:.1f}%">chance {100 * sheet.chance:.0f} %</em></div>'
    return (
        '<section id="alone"><h2>Genre from one thing alone</h2><p class="about">Balanced accuracy of a logistic '
        "regression that sees nothing else, tested on groups that it was not trained on, with 95 % intervals. What "
        "lies right of chance is a way to tell the genres without hearing music.</p>"
        f'<div class="alone">{key}<span></span>{"".join(rows)}</div></section>'
    )


def _spreads(sheet: Sheet) -> str:
    drawn = [d for s in sheet.spreads if (d := _spread(s))]
    if not drawn:
        return ""
    about = "Each genre's songs, the median in orange. Genres that lie apart here can be told apart without music."
    head = f'<section id="spreads"><h2>What the genres sound like before any music</h2><p class="about">{about}</p>'
    return head + f'<div class="spreads">{"".join(drawn)}</div></section>'


def _spread(s: Spread) -> str:
    known = [(g, np.asarray(v, float)) for g, v in s.values if len(v)]
    if not known:
        return ""
    known = sorted(sorted(known, key=lambda one: -len(one[1]))[:MOST_GENRES], key=lambda one: one[0])
    everything = np.concatenate([v for _, v in known])
    low, high = (float(q) for q in np.percentile(everything, INSIDE))
    if s.log:
        low, high = max(low, 1e-3), max(high, 2e-3)
    span = max(high - low, 1e-3 * abs(high), 1e-6)
    low, high = (low / 1.05, high * 1.05) if s.log else (low - 0.03 * span, high + 0.03 * span)
    rows = []
    for genre, values in known:
        place = _place(values, low, high, s.log)
        counts = np.histogram(place, COLUMNS, (0, 1))[0]
        kernel = np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2)
        height = np.convolve(counts, kernel, "same")
        height = 24 * height / max(float(height.max()), 1e-9)
        top = " ".join(f"L{(k + 0.5) / COLUMNS * 100:.1f} {26 - h:.1f}" for k, h in enumerate(height))
        middle = float(np.median(values))
        x = 100 * float(_place(np.array([middle]), low, high, s.log)[0])
        rows.append(
            f'<span class="genre">{escape(genre)}</span>'
            f'<svg viewBox="0 0 100 26" preserveAspectRatio="none" aria-hidden="true"><path d="M0 26 {top} L100 26Z"/>'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="26"/></svg>'
            f'<span class="value">{_figure(middle)}</span>'
        )
    ends = f'<span></span><div class="ends"><span>{_figure(low)}</span><span>{_figure(high)}</span></div><span></span>'
    caption = f"<figcaption>{escape(s.title)} <span>{escape(s.unit)}</span></figcaption>"
    return f'<figure>{caption}<div class="spread">{"".join(rows)}{ends}</div></figure>'


def _place(values: NDArray, low: float, high: float, log: bool) -> NDArray:
    """Where values lie between the ends, 0..1; what lies outside is drawn at them."""
    if log:
        values, low, high = np.log(np.maximum(values, 1e-9)), math.log(low), math.log(high)
    return np.clip((values - low) / (high - low), 0, 1)


def _figure(value: float) -> str:
    digits = 0 if abs(value) >= 100 else 1
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def table(sheet: Sheet) -> list[tuple[str, Sequence[str]]]:
    """What the terminal shows: a line a section, (title, what was found)."""
    lines: list[tuple[str, Sequence[str]]] = []
    for s in sheet.sections:
        lines.append((s.title, [f"{len(s.rows):,}"] if s.rows else ["none"]))
    return lines
