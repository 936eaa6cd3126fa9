"""What a run says of many songs, as a page: how many are what, and a line a song that leads to its own page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from genrelab.report import html as frame
from genrelab.report.html import Html
from genrelab.report.tag import CHANCES, percent

STYLE = (
    CHANCES
    + """
main a { color:var(--fill); text-underline-offset:3px; overflow-wrap:anywhere; }
td:first-child { min-width:130px; } td:nth-child(2), td:nth-child(4) { min-width:165px; }
"""
)


@dataclass(frozen=True)
class Row:
    """A song of a folder."""

    name: str
    answer: str  # genres, `no tag` or what is wrong
    why: str  # of no tag or an error; empty else
    p: float | None  # of the first genre
    then: str  # what comes next
    page: str | None  # the name of its page beside this one


def index(
    title: str, rows: Sequence[Row], facts: Sequence[tuple[str, str]], calibrated: bool, commands: Sequence[str] = ()
) -> str:
    """The page of a folder: how many songs are what, and a line a song that leads to its page.

    commands: what to do with the songs that got a genre.
    """
    counts: dict[str, int] = {}
    for row in sorted(rows, key=lambda r: r.p is None):  # what is no genre comes last
        counts[row.answer] = counts.get(row.answer, 0) + 1
    named = {row.answer for row in rows if row.p is not None}
    order = sorted(counts.items(), key=lambda c: (c[0] not in named, -c[1]))
    bars = []
    for name, n in order:
        mark = ' class="said"' if name in named else ""
        bar = f'<i aria-hidden="true"{mark}><u style="width:{100 * n / len(rows):.1f}%"></u></i>'
        bars.append(f"<span{mark}>{escape(name)}</span>{bar}<b{mark}>{n:,}</b>")
    lines = [
        (
            Html(f'<a href="{escape(row.page)}">{escape(row.name)}</a>') if row.page else row.name,
            f"{row.answer}: {row.why}" if row.why else row.answer,
            "" if row.p is None else percent(row.p),
            row.then,
        )
        for row in rows
    ]
    songs = frame.table(("song", "genre", "probability", "then"), lines)
    parts = [
        frame.section("Genres", f'<div class="chances">{"".join(bars)}</div>'),
        frame.section("Songs", songs, count=f"{len(rows):,}"),
    ]
    if commands:
        told = "".join(frame.command(f"python -m genrelab {line}") for line in commands)
        parts.append(frame.section("What now", f"<p>Agreed? Write the genres into copies of the files:</p>{told}"))
    done = sum(row.p is not None for row in rows)
    lead = Html(f"<b>{done:,} of {len(rows):,}</b> songs got a genre.")
    notes = [] if calibrated else ["Probabilities are not calibrated: they rank the genres, no more."]
    return frame.page(title, "\n".join(parts), lead=lead, facts=facts, notes=notes, style=STYLE)
