"""What a run says of one song, as a page: its genres, how they go through the song, what spoke for them, and which
training songs lie nearest."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report import html as frame
from genrelab.report import look, player
from genrelab.report.html import Html, text, uri

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sound = tuple[bytes, str]  # a file that browsers play, and its MIME type
FIRST = 6  # genres whose way through the song is drawn, and that are seen at once in the list
SURE, LIKELY, LEAST = 0.8, 0.5, 0.05
SHADES, DARK = 32, 0.76  # of what is no evidence: how much of its light it loses

CHANCES = """
.chances { display:grid; grid-template-columns:minmax(0,max-content) minmax(60px,1fr) max-content; gap:7px 14px;
  align-items:center; margin-top:14px; max-width:680px; }
.chances span { overflow-wrap:anywhere; } .chances i { height:12px; border-radius:2px; background:var(--line);
  overflow:hidden; } .chances i u { display:block; height:100%; background:var(--quiet); opacity:.55; }
.chances b { font-weight:400; color:var(--quiet); text-align:right; }
.chances .said { font-weight:650; color:var(--ink); } .chances .said u { background:var(--fill); opacity:1; }
"""
STYLE = (
    player.STYLE
    + CHANCES
    + """
.lead.stranger { border-color:var(--mark); } .lead.stranger b { color:var(--mark); }
header + main > .met { margin-top:18px; }
.chance { height:50px; margin-top:4px; border-bottom:1px solid var(--line); }
.time.chance svg { top:21px; height:calc(100% - 21px); }
.chance path { fill:var(--soft); stroke:none; } .chance path.edge { fill:none; stroke:var(--quiet); stroke-width:1.2; }
.chance.said path.edge { stroke:var(--fill); stroke-width:1.8; }
.chance b { position:sticky; left:var(--gutter); display:inline-block; font-size:12.5px; font-weight:400;
  line-height:21px; pointer-events:none; }
.chance b em { font-style:normal; color:var(--quiet); } .chance b[data-top] { font-weight:650; }
[aria-pressed=true] { background:var(--soft); border-color:var(--fill); }
.bar button:disabled { opacity:.4; cursor:default; }
.picture .mask { visibility:hidden; } .picture .mask[data-on] { visibility:visible; }
.near { display:grid; grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr)); gap:22px 32px;
  margin-top:16px; }
.near article { border-top:1px solid var(--line); padding-top:9px; min-width:0; break-inside:avoid; }
.near h3 { margin:0; overflow-wrap:anywhere; } .near p { font-size:13.5px; color:var(--quiet); overflow-wrap:anywhere; }
.near .genre { color:var(--fill); font-weight:650; }
.away { display:block; height:4px; border-radius:2px; background:var(--line); margin:8px 0 2px; }
.away u { display:block; height:100%; border-radius:2px; background:var(--quiet); }
.next p { margin-top:14px; }
@media print { .chances i, .chances u, .away, .away u { print-color-adjust:exact;
  -webkit-print-color-adjust:exact; } .mask { visibility:hidden !important; } }
"""
)

SCRIPT = (
    player.SCRIPT
    + """
const { slices, chances } = JSON.parse($("#data").textContent);
const lanes = all(".chance"), masks = all(".mask"), choices = all("[data-evidence]"), alone = $("#alone");
let evidence = "off";
function lit() {
  for (const mask of masks) mask.toggleAttribute("data-on", mask.dataset.mask === evidence);
  for (const choice of choices) choice.setAttribute("aria-pressed", String(choice.dataset.evidence === evidence));
  if (!alone) return;
  alone.disabled = evidence === "off";
  if (alone.disabled) alone.setAttribute("aria-pressed", "false");
  listen(sounds[alone.getAttribute("aria-pressed") === "true" ? 1 + Number(evidence) : 0]);
}
for (const choice of choices) choice.addEventListener("click", () => { evidence = choice.dataset.evidence; lit(); });
alone?.addEventListener("click", () => {
  alone.setAttribute("aria-pressed", String(alone.getAttribute("aria-pressed") !== "true")); lit();
});
sheet.addEventListener("now", ({ detail }) => {
  const at = slices.findIndex(([begin, end]) => detail >= begin && detail < end);
  const own = chances[at], most = own ? Math.max(...own) : -1;
  lanes.forEach((lane, n) => {
    const label = $("#chance" + n + " b");
    $("#chance" + n + " em").textContent = own ? Math.round(100 * own[n]) + " %" : "–";
    label.toggleAttribute("data-top", own !== undefined && own[n] === most);
  });
});
for (const own of all(".near audio")) own.addEventListener("play", () => {  // one sound at a time
  for (const other of all("audio")) if (other !== own) other.pause();
});
for (const sound of sounds) sound.addEventListener("play", () => {
  for (const other of all(".near audio")) other.pause();
});
show();
"""
)


MET = (
    '<p class="bad-text met">The run was trained on this recording: that it knows it shows memory, not judgement. '
    "Ask it about one that it has never met.</p>"
)


@dataclass(frozen=True)
class Speaks:
    """What spoke for a genre."""

    genre: str
    against: str | None  # the genre that it is told from, None where a song may have several
    weight: NDArray  # (F, frames) 0..1, of the picture
    sound: Sound  # the part of the song in which it lies


@dataclass(frozen=True)
class Neighbour:
    """A training song."""

    id: str
    name: str
    by: str | None  # the artist
    genres: tuple[str, ...]
    distance: float  # 1 is usual between two training songs
    sound: Sound | None  # an excerpt
    why_silent: str = ""  # why there is none


@dataclass(frozen=True)
class Heard:
    """The song itself, slice by slice."""

    wave: NDArray  # (samples,)
    sample_rate: int
    sound: Sound
    panel: look.Panel  # its picture
    spans: NDArray  # (S, 2) seconds
    chances: NDArray  # (S, K) of each slice


@dataclass(frozen=True)
class Tagged:
    """All that the page of a song says."""

    path: str  # as the user typed it
    title: str
    by: str | None
    run: str
    facts: tuple[tuple[str, str], ...]  # (what, value)
    ranked: tuple[tuple[str, float], ...]  # genre and probability, best first; empty for silence
    n_said: int  # how many of them are the answer
    no_tag: str | None
    several: bool
    calibrated: bool
    genres: tuple[str, ...]  # in the order of chances
    heard: Heard | None = None
    met: bool = False  # whether it is one of the training songs
    evidence: tuple[Speaks, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


def html(song: Tagged) -> str:
    """The page of a song. Whatever a name holds is text on it."""
    parts = [MET] if song.met else []
    parts += [_chances(song)] if song.ranked else []
    if song.heard:
        parts += [_course(song, song.heard), _near(song)]
    parts.append(_next(song))
    notes = [n for n in (_calibration(song), _how(song)) if n]
    options = {"style": STYLE, "script": SCRIPT if song.heard else ""}
    about = [*([("artist", song.by)] if song.by else []), *song.facts]
    kind = "stranger" if song.no_tag else ""
    return frame.page(song.title, "\n".join(parts), lead=lead(song), kind=kind, facts=about, notes=notes, **options)


def lead(song: Tagged) -> Html:
    """The answer in a sentence."""
    if song.no_tag == "silent":
        return Html("<b>No tag.</b> The song is silent: there is nothing to tell a genre from.")
    said = [f"<b>{escape(g)}</b>, {percent(p)}" for g, p in song.ranked[: max(1, song.n_said)]]
    then = [f"{escape(g)}, {percent(p)}" for g, p in song.ranked[max(1, song.n_said) :][:1]]
    if song.no_tag:
        best, p = song.ranked[0]
        if song.neighbours and not song.no_tag.startswith("no genre"):
            first = song.neighbours[0]
            near = f"what lies nearest is “{escape(first.name)}” ({escape(', '.join(first.genres))})"
            return Html(f"<b>None of these.</b> It is {escape(song.no_tag)}; {near}.")
        reason = escape(song.no_tag[0].upper() + song.no_tag[1:])
        return Html(f"<b>None of these.</b> {reason}; {escape(best)} comes nearest, with {percent(p)}.")
    if song.several:
        return Html(_listed(said) + ".")
    p = song.ranked[0][1]
    if p >= SURE:
        return Html(f"This is {said[0]}.")
    if p >= LIKELY:
        return Html(f"Most likely {said[0]}; else {then[0]}.")
    return Html(f"Perhaps {said[0]}; perhaps {then[0]}.")


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(["; ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def percent(p: float) -> str:
    """41 %, and never a certainty that nobody has."""
    return "under 1 %" if p < 0.01 else "over 99 %" if p > 0.99 else f"{100 * p:.0f} %"


def _chances(song: Tagged) -> str:
    """The genres and their probabilities as bars."""
    rows = []
    for n, (genre, p) in enumerate(song.ranked):
        mark = ' class="said"' if n < song.n_said and not song.no_tag else ""
        bar = f'<i aria-hidden="true"{mark}><u style="width:{100 * p:.1f}%"></u></i>'
        rows.append(f"<span{mark}>{escape(genre)}</span>{bar}<b{mark}>{percent(p)}</b>")
    body = f'<div class="chances">{"".join(rows[:FIRST])}</div>'
    if rows[FIRST:]:
        more = f'<div class="chances">{"".join(rows[FIRST:])}</div>'
        body += f"<details><summary>{len(rows) - FIRST} more</summary>{more}</details>"
    about = "What it would be, had it to be one of them." if song.no_tag else ""
    beside = "" if song.calibrated else "an order, not chances: this run is not calibrated"
    return frame.section("Genres", body, about=about, count=beside)


def _course(song: Tagged, heard: Heard) -> str:
    """How it goes through the song: wave, genres and picture on one time axis, with the evidence."""
    duration_s = len(heard.wave) / heard.sample_rate
    order = [song.genres.index(g) for g, _ in song.ranked]
    shown = [k for n, k in enumerate(order) if n < 2 or heard.chances[:, k].max() >= LEAST][:FIRST]
    own = _owned(heard.spans)
    rows = [player.row(f'<div class="time wave">{player.wave(heard.wave, duration_s)}</div>')]
    for n, k in enumerate(shown):
        said = " said" if n < song.n_said and not song.no_tag else ""
        drawn = _lane(own, heard.chances[:, k], duration_s, song.genres[k])
        label = f"<b>{escape(song.genres[k])} <em></em></b>"
        rows.append(player.row(f'<div class="time chance{said}">{drawn}{label}</div>', f"chance{n}"))
    masks = "".join(_mask(n, e, heard.panel, duration_s) for n, e in enumerate(song.evidence))
    rows.append(player.picture(heard.panel, 0, duration_s, masks))
    sounds = [heard.sound, *(e.sound for e in song.evidence)]
    more = {
        "slices": [[round(a, 4), round(b, 4)] for a, b in own],
        "chances": [[round(float(heard.chances[i, k]), 4) for k in shown] for i in range(len(own))],
    }
    parts = [
        player.bar(duration_s, _tools(song)),
        player.sheet(rows, sounds, "The song on one time axis"),
        player.HINT,
        player.data(0.0, duration_s, [heard.panel], more),
    ]
    about = "Each slice of the song is asked by itself; the numbers follow the playhead."
    if len(shown) < len(order):
        rest = max(float(heard.chances[:, k].max()) for k in order if k not in shown)
        n = len(order) - len(shown)
        left = "1 genre is left out, which never comes" if n == 1 else f"{n} genres are left out, which never come"
        about += f" {left} above {percent(rest)}."
    return frame.section("Through the song", "\n".join(parts), about=about, count=_slices(heard))


def _slices(heard: Heard) -> str:
    lengths = np.diff(heard.spans, axis=1)[:, 0]
    n, low, high = len(lengths), float(lengths.min()), float(lengths.max())
    size = f"{low:.2f} s" if high - low < 0.01 else f"{low:.2f} to {high:.2f} s"
    return f"{n} slice{'s' * (n != 1)} of {size}"


def _owned(spans: NDArray) -> list[tuple[float, float]]:
    """The seconds that each slice stands for: its own, where slices overlap half of what they share."""
    own = [[float(a), float(b)] for a, b in spans]
    for one, two in pairwise(own):
        if two[0] < one[1]:
            one[1] = two[0] = (one[1] + two[0]) / 2
    return [(a, b) for a, b in own]


def _lane(spans: Sequence[tuple[float, float]], chances: NDArray, duration_s: float, name: str) -> str:
    """A genre's probability from slice to slice: a step each."""
    area, edge, last = [], [], -1.0
    for (begin, end), p in zip(spans, chances, strict=True):
        height = 1 - float(p)
        area.append(f"M{begin:.3f} 1V{height:.4f}H{end:.3f}V1Z")
        edge.append(f"{'V' if begin - last < 0.01 else f'M{begin:.3f} '}{height:.4f}H{end:.3f}")
        last = end
    return (
        f'<svg viewBox="0 0 {duration_s:.4f} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(name)} through the song"><path d="{"".join(area)}"/>'
        f'<path class="edge" vector-effect="non-scaling-stroke" d="{"".join(edge)}"/></svg>'
    )


def _mask(n: int, speaks: Speaks, panel: look.Panel, duration_s: float) -> str:
    """What is no evidence is darkened: an image that lies on the picture."""
    pooled = look.pooled(speaks.weight)[0]
    index = np.round((SHADES - 1) * pooled).astype(np.uint8)
    image = np.repeat(index[::-1], look.enlarged(panel), axis=0)
    alpha = np.round(255 * DARK * (1 - np.arange(SHADES) / (SHADES - 1))).astype(np.uint8)
    drawn = look.png(image, np.zeros((SHADES, 3), np.uint8), alpha)
    return (
        f'<img class="mask" data-mask="{n}" alt="" style="{player.place(panel, duration_s)}" '
        f'src="{uri(drawn, "image/png")}">'
    )


def _tools(song: Tagged) -> str:
    """Which evidence is lit, and whether it is heard alone."""
    if not song.evidence:
        return ""
    choices = [(str(n), e.genre) for n, e in enumerate(song.evidence)] + [("off", "off")]
    off = {True: "true", False: "false"}
    buttons = "".join(
        f'<button type="button" data-evidence="{key}" aria-pressed="{off[key == "off"]}">{escape(name)}</button>'
        for key, name in choices
    )
    return (
        f'<span class="group" role="group" aria-label="Evidence"><span>Evidence for</span>{buttons}'
        '<button type="button" id="alone" aria-pressed="false" disabled>Hear it alone</button></span>'
    )


def _near(song: Tagged) -> str:
    """The nearest training songs."""
    if not song.neighbours:
        about = "This run did not keep which songs it was trained on: train it again to see them."
        return frame.section("Nearest training songs", "", about=about)
    cards = []
    for own in song.neighbours:
        by = f" · {escape(own.by)}" if own.by else ""
        full = min(100.0, 100 * own.distance / 2)
        sound = (
            frame.player(*own.sound, label=own.name)
            if own.sound
            else f"<p>Not to be heard: {text(own.why_silent)}.</p>"
        )
        genres = f'<span class="genre">{escape(", ".join(own.genres))}</span>'
        cards.append(
            f'<article><h3 title="{escape(own.id)}">{escape(own.name)}</h3><p>{genres}{by}</p>'
            f'<span class="away" aria-hidden="true"><u style="width:{full:.0f}%"></u></span>'
            f"<p>distance {own.distance:.2f}</p>{sound}</article>"
        )
    about = "Of all that it learned from, what it takes to be most alike: 1 is the usual distance between two of them."
    said = [g for g, _ in song.ranked[: song.n_said]]
    alike = sum(bool(set(said) & set(own.genres)) for own in song.neighbours)
    count = f"{alike} of {len(cards)} {'is' if alike == 1 else 'are'} {' or '.join(said)}"
    body = f'<div class="near">{"".join(cards)}</div>'
    return frame.section("Nearest training songs", body, about=about, count="" if song.no_tag else count)


def _next(song: Tagged) -> str:
    """What to do now, in commands."""
    path = shlex.quote(song.path)
    run = f" --run {shlex.quote(song.run)}"
    steps = []
    if song.ranked and not song.no_tag:
        steps.append(("Agreed? Write it into a copy of the file:", f"tag {path}{run} --write-tags --to tagged"))
    steps.append(("See the song as other front-ends do:", f"look {path}"))
    if song.ranked:
        wrong = "Of a genre that it has never met" if song.no_tag else "Wrong"
        steps.append((f"{wrong}? Train on your own music, a folder a genre:", "data=folder data.path=DIR"))
    told = "".join(f"<p>{text(what)}</p>{frame.command(f'python -m genrelab {line}')}" for what, line in steps)
    return frame.section("What now", f'<div class="next">{told}</div>')


def _calibration(song: Tagged) -> str:
    if not song.ranked:
        return ""
    if song.calibrated:
        return (
            "Probabilities of the song are calibrated on the run's validation songs: of the answers given with 80 %, "
            "about 80 % were right there. Those of single slices are not."
        )
    return "Probabilities are not calibrated: the run had too few validation songs. They rank the genres, no more."


def _how(song: Tagged) -> str:
    if not song.evidence:
        return ""
    against = [f"{e.genre} rather than {e.against}" for e in song.evidence if e.against]
    rather = f" ({', '.join(against)})" if against else ""
    blind = song.heard is not None and song.heard.panel.bin_hz is None and not song.heard.panel.bin_names
    moments = " The bins of this picture are no frequencies, so what is heard alone are moments." if blind else ""
    return (
        f"Evidence is where the picture raises the score of a genre{rather}, by integrated gradients (Sundararajan, "
        "Taly & Yan 2017); the rest is darkened, and left out of what is heard alone. It shows what this net looked "
        f"at, not what makes the genre.{moments}"
    )
