"""A comparison as a page, `comparison.html`: who is better, by how much, where, and on which songs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from genrelab.report import charts, style
from genrelab.report import compare_pictures as pictures
from genrelab.report import html as frame
from genrelab.report.charts import Reached
from genrelab.report.html import MINUS
from genrelab.report.table import NAMES, NONE, percent
from genrelab.report.verdicts import counted, lines, points, save_csv, sentences, trust, verdict

if TYPE_CHECKING:
    from genrelab.report.agreement import Agreement
    from genrelab.report.compare import Outcome, Versus

FILE, CSV = "comparison.html", "comparison.csv"
Facts = Sequence[tuple[str, str]]
MOST = 12  # comparisons whose songs are listed
SONGS = 5  # on either side of one
FIRST = 12  # rows that are seen at once

STYLE = (
    charts.STYLE
    + """
.verdicts { padding-left:18px; margin:14px 0 0; max-width:84ch; } .verdicts li { padding:3px 0; }
.named { margin-top:18px; } .named td { white-space:nowrap; }
.heat { overflow-x:auto; margin-top:14px; } .heat table { width:auto; font-size:13px; border-collapse:separate;
  border-spacing:2px; } .heat th, .heat td { border:0; padding:0; }
.heat tbody th { padding-right:12px; color:var(--ink); font-size:13px; vertical-align:middle; }
.heat thead th { vertical-align:bottom; text-align:center; padding-bottom:4px; color:var(--ink); }
.heat thead span { writing-mode:vertical-rl; transform:rotate(180deg); max-height:11em; display:inline-block; }
.heat td { width:46px; min-width:36px; height:32px; text-align:center; vertical-align:middle; border-radius:3px;
  background:color-mix(in srgb, var(--hue, var(--raised)) calc(var(--share, 0) * 60%), var(--raised)); }
.heat td.more { --hue:var(--fill); } .heat td.less { --hue:var(--mark); }
.agree { display:grid; grid-template-columns:minmax(0,max-content) minmax(120px,1fr); gap:8px 16px; margin-top:14px;
  align-items:center; font-size:13.5px; } .agree > span { overflow-wrap:anywhere; }
.bar { display:flex; height:22px; border-radius:3px; overflow:hidden; font-size:11.5px; line-height:22px; }
.bar i { display:block; font-style:normal; text-align:center; overflow:hidden; white-space:nowrap; min-width:0; }
.bar .both { background:var(--line); } .bar .a { background:var(--fill); color:var(--paper); }
.bar .b { background:var(--mark); color:var(--paper); } .bar .none { background:var(--raised); color:var(--quiet); }
.bar, .key i.box { box-shadow:inset 0 0 0 1px var(--line); }
.key i.box { width:12px; height:12px; border:0; border-radius:2px; vertical-align:-1px; }
.songs td.right { color:var(--good); } .songs td.wrong { color:var(--bad); }
.songs td:first-child { overflow-wrap:anywhere; min-width:9em; }
.songs td, .songs th { hyphens:none; overflow-wrap:normal; }
h3 + .table { margin-top:4px; }
@media (max-width:640px) { .ends em:nth-child(2):nth-last-child(4), .ends em:nth-child(4):nth-last-child(2) {
  display:none; } .agree { grid-template-columns:1fr; gap:3px; } .agree .bar { margin-bottom:8px; } }
@media print { .heat { overflow:visible; } .heat td, .bar, .bar * { print-color-adjust:exact;
  -webkit-print-color-adjust:exact; } }
"""
)


def save(
    outcome: Outcome, agreements: Sequence[Agreement], folder: Path, title: str, facts: Facts, command: str
) -> Path:
    """Writes the page, a CSV and pictures into `folder`; returns the page.

    agreements: of each comparison; facts: (what, value) of what is compared; command: what makes it all again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / FILE
    page.write_text(html(outcome, agreements, title, facts, command), encoding="utf-8")
    if outcome.versus:
        save_csv(outcome, agreements, folder / CSV)
        style.save(pictures.differences_picture(outcome), folder / "pictures" / "differences.png")
        style.save(pictures.genres_picture(outcome, agreements), folder / "pictures" / "genres.png")
    return page


def html(outcome: Outcome, agreements: Sequence[Agreement], title: str, facts: Facts, command: str) -> str:
    said = [*facts, ("measure", f"{NAMES[outcome.measure]} per song"), ("compared", counted(outcome))]
    body = [
        _differences(outcome),
        _levels(outcome),
        _genres(outcome, agreements),
        _agreement(outcome, agreements),
        _songs(outcome, agreements),
        _method(outcome),
        frame.section("Again", frame.command(command), name="again"),
    ]
    told = any(v.found.told_apart for v in outcome.versus)
    few = [v for v in outcome.versus if not v.found.reliable]
    lead = _upper(verdict(outcome)) + "."
    return frame.page(
        title,
        "\n".join(filter(None, body)),
        lead=lead.replace(" -", f" {MINUS}").replace("[-", f"[{MINUS}"),
        kind="bad" if few else "good" if told else "",
        facts=said,
        notes=lines(outcome)[1:],
        style=STYLE,
    )


def _upper(said: str) -> str:
    """A sentence begins with a capital, a run's name with its own letters."""
    return "These" + said.removeprefix("these") if said.startswith("these ") else said


def _minus(said: str) -> str:
    return said.replace("-", MINUS)


def _differences(outcome: Outcome) -> str:
    if not outcome.versus:
        return ""
    found = [v.found for v in outcome.versus if math.isfinite(v.found.lo)]
    reach = max([0.02, *(max(abs(c.lo), abs(c.hi)) for c in found)])
    reach = min(1.0, math.ceil(reach * 20) / 20)
    rows = [
        Reached(v.name, v.found.points, v.found.lo, v.found.hi, ours=v.found.told_apart) for v in outcome.versus[:MOST]
    ]
    drawn = charts.tracks(rows, -reach, reach, ("no difference", 0.0))
    n = len(outcome.versus)
    said = "".join(f"<li>{escape(_tidy(line))}</li>" for line in sentences(outcome)[:MOST])
    headings = ["", "points", "95 % interval", "p", f"p among {n}", "could be seen", "these models alone", "p of these"]
    table = [
        [
            v.name,
            _minus(points(v.found.points, "+")),
            _minus(f"[{points(v.found.lo)}, {points(v.found.hi)}]"),
            v.found.p,
            v.found.p_holm,
            points(v.found.detectable),
            _minus(f"[{points(v.found.songs_lo)}, {points(v.found.songs_hi)}]"),
            v.found.p_songs,
        ]
        for v in outcome.versus
    ]
    if not any(v.found.seeds for v in outcome.versus):
        headings, table = headings[:6], [row[:6] for row in table]
    few = trust(min((v.found for v in outcome.versus), key=lambda c: c.n_groups_min))
    about = "Points of the first less the second, on the same test songs. Right of the line the first is better; "
    about += f"{few}."
    body = drawn + (f'<ul class="verdicts">{said}</ul>' if said else "") + _named(headings, table)
    return frame.section("Differences", body, about=about, name="differences")


def _named(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return f'<div class="named">{frame.table(headings, rows, first=FIRST)}</div>'


def _tidy(said: str) -> str:
    return said.replace(" -", f" {MINUS}").replace("[-", f"[{MINUS}")


def _levels(outcome: Outcome) -> str:
    levels = [(arm, outcome.levels[arm.name]) for arm in outcome.arms if arm.name in outcome.levels]
    ends = [e for _, x in levels for e in (x.at, x.lo, x.hi) if math.isfinite(e)]
    if not ends:
        return ""
    low, high = max(0.0, math.floor(min(ends) * 10) / 10), min(1.0, math.ceil(max(ends) * 10) / 10)
    high = high if high > low else low + 0.1
    rows = [Reached(arm.name, x.at, x.lo, x.hi) for arm, x in levels]
    headings = ["", "validation, %", "test, %", "seeds", "runs"]
    table = [
        [arm.name, percent(arm.mean("val")), percent(arm.mean("test")), ", ".join(str(r.seed) for r in arm.runs),
         ", ".join(r.id[:8] or NONE for r in arm.runs)]
        for arm in outcome.arms
    ]  # fmt: skip
    about = "In the order of validation, which alone may choose. Overlapping intervals can still differ: see above."
    body = charts.tracks(rows, low, high) + _named(headings, table)
    return frame.section("On the test songs", body, about=about, name="levels")


def _genres(outcome: Outcome, agreements: Sequence[Agreement]) -> str:
    shown = list(zip(outcome.versus, agreements, strict=True))[: 2 * MOST]
    genres = list(dict.fromkeys(g for _, one in shown for g in one.genres))
    if not genres:
        return ""
    values = [abs(v) for _, one in shown for v in one.genres.values() if math.isfinite(v)]
    most = max([0.05, *values])
    head = "".join(f"<th><span>{escape(g)}</span></th>" for g in genres)
    rows = []
    for v, one in shown:
        cells = "".join(_cell(one.genres.get(g, math.nan), most) for g in genres)
        rows.append(f"<tr><th>{escape(v.name)}</th>{cells}</tr>")
    table = (
        f'<div class="heat"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )
    what = "average precision" if outcome.measure in ("map", "lrap", "roc_auc") else "share of its songs that is right"
    about = f"Points of each genre's {what}: the first less the second. Blue: the first is better; orange: the second."
    return frame.section("Genre by genre", table, about=about, name="genres")


def _cell(value: float, most: float) -> str:
    if not math.isfinite(value):
        return f"<td>{NONE}</td>"
    share = abs(value) / most
    kind = "more" if value > 0 else "less"
    return (
        f'<td class="{kind}" style="--share:{share:.2f}">{_minus(f"{100 * value + 0.0:+.0f}") if value else "0"}</td>'
    )


def _agreement(outcome: Outcome, agreements: Sequence[Agreement]) -> str:
    rows = []
    for v, one in list(zip(outcome.versus, agreements, strict=True))[:MOST]:
        parts = (("both", one.both), ("a", one.only_a), ("b", one.only_b), ("none", one.neither))
        bar = "".join(
            f'<i class="{kind}" style="flex:{n} 0 0" title="{n} of {one.n}">{n}</i>' for kind, n in parts if n
        )
        rows.append(f'<span>{escape(v.name)}</span><div class="bar">{bar}</div>')
    if not rows:
        return ""
    names = (("both", "both right"), ("a", "the first alone"), ("b", "the second alone"), ("none", "neither"))
    colours = {"both": "var(--line)", "a": "var(--fill)", "b": "var(--mark)", "none": "var(--raised)"}
    key = "".join(f'<span><i class="box" style="background:{colours[k]}"></i>{n}</span>' for k, n in names)
    several = any(len(v.pairs) > 1 for v in outcome.versus)
    about = "How many test songs are right." + (" Over several seeds a song counts once for each." if several else "")
    body = f'<p class="key" style="margin-top:12px">{key}</p><div class="agree">{"".join(rows)}</div>'
    return frame.section("Song by song", body, about=about, name="agreement")


def _songs(outcome: Outcome, agreements: Sequence[Agreement]) -> str:
    made: list[str] = []
    for v, one in list(zip(outcome.versus, agreements, strict=True))[:MOST]:
        if listed := _apart(v, one):
            hidden = len(made) > 0
            made.append(
                f"<details><summary>{escape(v.name)}</summary>{listed}</details>"
                if hidden
                else f"<h3>{escape(v.name)}</h3>{listed}"
            )
    about = (
        "First those that one has right and the other wrong. Beside each answer: the chance given to the song's own "
    )
    about += "genre, per cent. Right answers are green, wrong ones red."
    return frame.section("Songs on which they differ most", "".join(made), about=about, name="songs") if made else ""


def _apart(v: Versus, one: Agreement) -> str:
    """The songs of which the first knows much more than the second, then the other way round."""
    gain = (one.songs["right_a"] - one.songs["right_b"]) + (one.songs["chance_a"] - one.songs["chance_b"]) / 10
    rows = []
    for part in (one.songs[gain > 0].head(SONGS), one.songs[gain < 0].head(SONGS)):
        for song in part.itertuples():
            rows.append(
                "<tr>"
                + f"<td>{escape(str(song.id))}</td><td>{escape(str(song.truth))}</td>"
                + _answer(str(song.a), float(song.right_a), float(song.chance_a))  # type: ignore[arg-type]
                + _answer(str(song.b), float(song.right_b), float(song.chance_b))  # type: ignore[arg-type]
                + "</tr>"
            )
    if not rows:
        return ""
    heads = ["song", "genre", v.a, "", v.b, ""]
    top = "".join(f"<th>{escape(h)}</th>" for h in heads)
    return f'<div class="table songs"><table><thead><tr>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _answer(said: str, right: float, chance: float) -> str:
    kind = "right" if right > 0.5 else "wrong"
    return f'<td class="{kind}">{escape(said)}</td><td class="number">{100 * chance:.0f}</td>'


def _method(outcome: Outcome) -> str:
    seeds = any(v.found.seeds for v in outcome.versus)
    said = [
        "Two runs are compared on the same test songs of the same split, so that what is hard for both cancels.",
        "Intervals are 95 %: whole groups of songs (artists, where the split is by artist) are drawn again and again, "
        "within their genres; songs are not drawn again within a group, since the spread of the groups holds theirs. "
        "The error that this gives is taken times Student's t.",
        "p is the chance that runs which are equally good differ as much: the answers of whole groups change sides "
        "between the two. Among several comparisons it is Holm's. Two runs are told apart where both the interval and "
        "that p say so.",
        "Could be seen: the smallest true difference that a single comparison on these songs finds four times in five, "
        "(t of .975 + t of .80) times the error.",
    ]
    if seeds:
        said.insert(
            3,
            "Runs that are equal but for the seed are draws of what training gives. Their scatter, less what the "
            "choice of songs scatters them, is in the interval and in p, taken to be alike for all. What only these "
            "trained models would say stands beside.",
        )
    body = "".join(f"<p>{escape(s)}</p>" for s in said)
    return frame.section("How this was found", body, name="method")
