"""A run as a page, `card.html`: how good it is, whether that can be trusted, what it gets wrong, how to repeat it.

One file that needs no network and no script, for MLflow's artifact view and from disk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.genres import Genre, by_genre
from genrelab.evaluate.intervals import FEW_GROUPS as FEW
from genrelab.evaluate.metrics import confusion
from genrelab.report import artifacts, charts, look, mistakes
from genrelab.report import html as frame
from genrelab.report.charts import Reached
from genrelab.report.filters import filters_chart
from genrelab.report.html import Html
from genrelab.report.mistakes import Mistake, believed, rightly
from genrelab.report.open_set import open_set_section
from genrelab.report.pictures import RANGE_DB, curves_charts
from genrelab.report.reliability import reliability_chart, risk_chart
from genrelab.report.table import COSTS, NAMES, NONE, interval, percent, quantity

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

FILE = "card.html"
PAIRS = 6  # that are shown
WHOLE = 24  # letters of a pair that is kept on one line
SIDES = {"train": "training", "val": "validation", "test": "test"}

STYLE = (
    charts.STYLE
    + mistakes.STYLE
    + """
.columns > section { margin-top:22px; } .columns:has(> section) { margin-top:20px; gap:18px 48px; }
.checks { list-style:none; padding:0; margin:10px 0 0; font-size:14.5px; }
.checks li { padding:5px 0 5px 26px; position:relative; } .checks li::before { position:absolute; left:0; top:5px;
  font-weight:700; content:"\\2713"; color:var(--good); }
.checks li.warn::before { content:"!"; left:5px; color:var(--mark); } .checks li.bad::before { content:"\\2717";
  color:var(--bad); }
.steps { padding:0; margin:10px 0 0; list-style:none; font-size:14.5px; } .steps li { padding:4px 0 8px; }
.steps .command { margin-top:4px; }
.known { margin-top:10px; } .known dd { font-size:14px; }
.protocol { margin:10px 0 0; padding-left:20px; max-width:76ch; } .protocol li { padding:3px 0; }
.confusion { overflow-x:auto; margin-top:14px; } .confusion table { width:auto; font-size:13px; }
.confusion th, .confusion td { border:0; padding:0; } .confusion td { width:44px; min-width:30px; height:38px;
  text-align:center; vertical-align:middle; border:1px solid var(--paper);
  background:color-mix(in srgb, var(--fill) calc(var(--share, 0) * 100%), var(--raised)); }
.confusion td.deep { color:var(--paper); } .confusion tbody th { padding-right:10px; text-align:right;
  vertical-align:middle; color:var(--ink); font-size:13px; }
.confusion thead th { height:auto; vertical-align:bottom; padding:0 0 6px; text-align:center; color:var(--ink); }
.confusion thead span { writing-mode:vertical-rl; transform:rotate(180deg); max-height:12em; display:inline-block; }
.confusion .right { outline:1.5px solid var(--ink); outline-offset:-2px; }
.confusion .none { text-align:left; font-size:12px; font-weight:400; color:var(--quiet); }
.genre { min-width:120px; } .genre .track { margin:0; }
.slices { display:grid; grid-template-columns:repeat(auto-fill,minmax(135px,1fr)); gap:14px 16px; margin-top:14px; }
.slices figcaption { font-weight:400; font-size:12.5px; overflow-wrap:anywhere; }
.slices figure { display:flex; flex-direction:column-reverse; justify-content:flex-end; gap:4px; }
.whole { white-space:nowrap; }
.slices img { display:block; width:100%; height:auto; aspect-ratio:1; } .slices figure { margin:0; }
@media print { .confusion td, .slices img { print-color-adjust:exact; -webkit-print-color-adjust:exact; }
  .confusion { overflow:visible; } .confusion td.deep { color:#fff; } }
"""
)


@dataclass(frozen=True)
class Seen:
    """A slice as the net was given it."""

    title: str
    picture: NDArray  # (F, T), low frequencies first where bins are frequencies
    unit: str


@dataclass(frozen=True)
class Sheet:
    """Everything on the page. Figures are 0..1 under the names that MLflow has."""

    title: str
    lead: str  # markup
    kind: str  # of the lead: good, bad or none
    facts: tuple[tuple[str, str], ...]
    checks: tuple[tuple[str, str], ...]  # (good, warn or bad; a sentence)
    steps: tuple[tuple[str, str], ...]  # what to do next and the command
    protocol: tuple[str, ...]  # sentences
    measure: str
    figures: Mapping[str, float]  # also of baselines and cost
    rivals: Mapping[str, str]  # baselines by their names in figures, as people read them
    verdict: str  # on the best of them; "" where there are none
    songs: pd.DataFrame  # as predictions.parquet
    cuts: pd.DataFrame  # as slices.parquet
    pairs: Sequence[Mapping[str, object]]  # as pairs.csv, the worst told apart first
    found: tuple[Mistake, ...]
    n_wrong: int
    temperature: float | None
    score: str  # by which a stranger is known; "" where many models have their own
    threshold: float
    history: Sequence[Mapping[str, float]]  # a row an epoch
    kept: int | None  # the epoch of the weights
    seen: tuple[Seen, ...]
    below: str  # what lies at their lower edge
    filters: tuple[NDArray, ...]  # centre and bandwidth in Hz, learned; the same two before training; or nothing
    folds: tuple[tuple[object, ...], ...]  # name, id, validation, test per song, per slice, songs, groups
    n_boot: int
    seed: int
    repeat: tuple[tuple[str, str], ...]  # what a command does, the command
    provenance: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def html(s: Sheet) -> str:
    """The page. Whatever a name holds is text on it."""
    test = artifacts.side_of(s.songs, "test")  # of known genres
    body = [
        frame.columns(_checks(s), _steps(s)),
        _figures(s, test),
        _folds(s),
        frame.section("What was done", _listed(s.protocol), name="protocol"),
        _genres(s, test),
        _mistakes(s),
        _believed(s, test),
        open_set_section(s.songs, s.figures, s.score, s.threshold),
        _training(s),
        _seen(s),
        _filters(s),
        _cost(s),
        _repeat(s),
    ]
    script = mistakes.SCRIPT if any(m.clip for m in s.found) else ""
    options = {"lead": Html(s.lead), "kind": s.kind, "facts": s.facts, "notes": s.notes}
    return frame.page(s.title, "\n".join(filter(None, body)), style=STYLE, script=script, **options)  # type: ignore[arg-type]


def _listed(sentences: Sequence[str]) -> str:
    return f'<ul class="protocol">{"".join(f"<li>{frame.text(p)}</li>" for p in sentences)}</ul>'


def _checks(s: Sheet) -> str:
    rows = "".join(f'<li class="{kind}">{frame.text(said)}</li>' for kind, said in s.checks)
    return frame.section("Can it be trusted?", f'<ul class="checks">{rows}</ul>', name="trust")


def _steps(s: Sheet) -> str:
    rows = "".join(f"<li>{frame.text(what)}{frame.command(line) if line else ''}</li>" for what, line in s.steps)
    return frame.section("What next?", f'<ul class="steps">{rows}</ul>', name="next")


def _figures(s: Sheet, test: pd.DataFrame) -> str:
    f, rows = s.figures, []
    for metric, label in NAMES.items():
        if f"test/song/{metric}" not in f:
            continue
        song, piece = (f"test/{unit}/{metric}" for unit in ("song", "slice"))
        cells = [f"{percent(f.get(key))} {interval(f, key)}".removesuffix(f" {NONE}") for key in (song, piece)]
        cells += [percent(f.get(f"baseline/majority/{metric}")), percent(f.get(f"val/song/{metric}"))]
        rows.append([label, *cells])
    ours = [i for i, (label, *_) in enumerate(rows) if label == NAMES[s.measure]]
    names = ["test, % [95 % interval]", "per song", "per slice", "always the commonest", "validation, per song"]
    made = frame.table(names, rows, ours=ours)
    about = (
        f"{len(test):,} test songs. The figures per song count; those per slice stand beside them and never for them."
    )
    drawn = _rivals(s)
    return frame.section("How good?", made + drawn, about=about, name="figures")


def _rivals(s: Sheet) -> str:
    """The run among what knows no music."""
    f, key = s.figures, f"test/song/{s.measure}"
    rows = [Reached("this run", f[key], f.get(f"{key}_lo", math.nan), f.get(f"{key}_hi", math.nan), ours=True)]
    for name, words in s.rivals.items():
        at = f"baseline/{name}/{s.measure}"
        if at in f:
            rows.append(Reached(words, f[at], f.get(f"{at}_lo", math.nan), f.get(f"{at}_hi", math.nan)))
    if len(rows) == 1:
        return ""
    rows.sort(key=lambda r: -r.value)
    caption = f"{NAMES[s.measure]} per song, %, beside what hears no music"
    paired = f"95 % intervals; paired on the same songs: {s.verdict}" if s.verdict else "95 % intervals"
    return frame.figure(charts.tracks(rows), caption, paired)


def _folds(s: Sheet) -> str:
    if not s.folds:
        return ""
    names = ["fold", "run", "validation", "test per song", "per slice", "songs", "groups"]
    about = f"{NAMES[s.measure]}, %. Every song is tested once, by the fold that never saw its group."
    return frame.section("By fold", frame.table(names, s.folds), about=about, name="folds")


def genre_figures(s: Sheet, test: pd.DataFrame) -> list[Genre]:
    """What each genre reaches among the test songs of known genres."""
    p, genres = artifacts.chances(test), artifacts.genres_of(test)
    if artifacts.several(test):
        truth, said = artifacts.present(test), p > artifacts.thresholds(test)
    else:
        each = np.eye(len(genres), dtype=bool)
        truth, said = each[artifacts.numbers(test)], each[p.argmax(1)]
    return by_genre(truth, said, p, test["split_group"].to_numpy(str), genres, n_boot=s.n_boot, seed=s.seed)


def _genres(s: Sheet, test: pd.DataFrame) -> str:
    several, found = artifacts.several(test), genre_figures(s, test)
    rows = []
    for g in sorted(found, key=lambda g: (math.isnan(g.recall), g.recall)):
        bounds = f"{percent(g.recall)} " + (NONE if math.isnan(g.lo) else f"[{percent(g.lo)}, {percent(g.hi)}]")
        rest = [percent(g.precision), percent(g.f1)] + ([percent(g.average_precision)] if several else [])
        rows.append([g.name, bounds, *rest, g.n, g.n_groups])
    last = ["average precision"] if several else []
    names = ["%", "recall [95 % interval]", "precision", "F1", *last, "songs", "groups"]
    about = (
        "Recall: of the songs of a genre, how many were found. Precision: of the songs given it, how many are right."
    )
    few = [g.name for g in found if g.n_groups < FEW]
    if few:
        about += f" Unreliable, since fewer than {FEW} groups: {', '.join(few)}."
    made = frame.table(names, rows)
    return frame.section("By genre", made + frame.columns(_confusion(test), _pairs(s)), about=about, name="genres")


def _confusion(test: pd.DataFrame) -> str:
    if artifacts.several(test):
        return ""
    genres = artifacts.genres_of(test)
    table = confusion(artifacts.numbers(test), artifacts.chances(test).argmax(1), len(genres))
    top = "".join(f"<th><span>{frame.text(g)}</span></th>" for g in genres)
    lines = []
    for k, genre in enumerate(genres):
        total, cells = table[k].sum(), []
        for j, n in enumerate(table[k]):
            share = n / total if total else 0.0
            kind = " ".join(filter(None, ("deep" if share > 0.55 else "", "right" if j == k else "")))
            said = f"{n:.0f}" if n else ""
            title = f"{genre} taken for {genres[j]}: {n:.0f} of {total:.0f}"
            cells.append(f'<td class="{kind}" style="--share:{share:.3f}" title="{frame.text(title)}">{said}</td>')
        lines.append(f"<tr><th>{frame.text(genre)}</th>{''.join(cells)}</tr>")
    head = f"<thead><tr><th></th>{top}</tr></thead>"
    made = f'<div class="confusion"><table>{head}<tbody>{"".join(lines)}</tbody></table></div>'
    return frame.figure(made, "Confusion", "a row is the true genre, a column what was said; songs")


def _pairs(s: Sheet) -> str:
    shown = [p for i, p in enumerate(s.pairs) if i < PAIRS]
    if not shown:
        return ""
    rows = []
    for p in shown:
        bounds = f"{percent(p['auroc'])} [{percent(p['lo'])}, {percent(p['hi'])}]"  # type: ignore[arg-type]
        taken = f"{percent(p['a_as_b'])} / {percent(p['b_as_a'])}"  # type: ignore[arg-type]
        apart = "yes" if p["separable"] else Html('<span class="bad-text whole">not shown</span>')
        pair = f"{p['a']} / {p['b']}"
        named = Html(f'<span class="whole">{frame.text(pair)}</span>') if len(pair) <= WHOLE else pair
        rows.append([named, bounds, taken, apart])
    more = f", {len(s.pairs) - len(shown)} more in pairs.csv" if len(s.pairs) > len(shown) else ""
    made = frame.table(["pair", "AUROC, %", "mixed up, %", "told apart"], rows)
    return frame.figure(
        made,
        "Closest pairs",
        f"AUROC of 50 % is chance; mixed up: the first taken for the second, the second for the first{more}",
    )


def _mistakes(s: Sheet) -> str:
    n = int((s.songs["split"] == "test").sum())
    made = mistakes.section(s.found, n, s.temperature is not None)
    if not s.found:
        return frame.section("Mistakes", made, name="mistakes")
    about = (
        "The songs that it was surest of and wrong about. The timeline has the slices' own probabilities, uncalibrated."
    )
    if any(m.clip for m in s.found):
        about += (
            " In the picture what spoke for the wrong answer is in colour (integrated gradients), what did not is grey;"
            " the second player has that part of the sound alone."
        )
    count = f"{s.n_wrong:,} of {n:,} songs wrong, the {len(s.found)} surest"
    return frame.section("The worst mistakes", made, about=about, count=count, name="mistakes")


def _believed(s: Sheet, test: pd.DataFrame) -> str:
    several, raw, fine = artifacts.several(test), believed(test, None), believed(test, s.temperature)
    right = rightly(test, fine)
    if several:
        there = artifacts.present(test).ravel()
        before, after = (raw.ravel(), there), (fine.ravel(), there)
    else:
        before, after = (raw.max(1), right), (fine.max(1), right)
    left = reliability_chart(before, after if s.temperature is not None else None)
    about = "Left: how often it was right where it was so sure; on the dashed line it can be believed. Right: how many "
    about += "answers are wrong if only the surest songs are answered."
    if s.temperature is None:
        about += " The probabilities are not calibrated" + (
            "." if not s.folds else ": each fold has its own temperature."
        )
    pictures = frame.columns(
        frame.figure(left, "Reliability", "larger dots hold more answers"),
        frame.figure(risk_chart((fine.max(1), right)), "Risk over coverage", "test songs"),
    )
    return frame.section("Can its probabilities be believed?", pictures, about=about, name="calibration")


def _training(s: Sheet) -> str:
    if not s.history:
        return ""
    loss, reached = curves_charts(s.history, s.kept, s.measure)
    drawn = frame.columns(frame.figure(loss, "Loss"), frame.figure(reached, f"Validation {NAMES[s.measure]}"))
    told = (
        f"{len(s.history)} epochs; the weights are those of epoch {s.kept + 1}, the dashed line."
        if s.kept is not None
        else ""
    )
    return frame.section("Training", drawn, about=told, name="training")


def _seen(s: Sheet) -> str:
    if not s.seen:
        return ""
    made = []
    x = np.concatenate([one.picture.ravel() for one in s.seen]).astype(float)
    high = float(x.max())
    low = max(float(x.min()), high - RANGE_DB) if s.seen[0].unit == "dB" else float(np.percentile(x, 0.5))
    for one in s.seen:
        index = np.round(255 * np.clip((one.picture - low) / max(high - low, 1e-9), 0, 1)).astype(np.uint8)[::-1]
        picture = look.png(index, look.palette())
        made.append(frame.figure(frame.image(picture, f"a slice of {one.title}"), one.title))
    about = f"The first slice of a test song of every genre, before it is normalised; {s.below} below, time to the "
    about += f"right; from {low:.3g} to {high:.3g} {s.seen[0].unit}, dark to bright.".replace("-", frame.MINUS)
    return frame.section("What the net saw", f'<div class="slices">{"".join(made)}</div>', about=about, name="slices")


def _filters(s: Sheet) -> str:
    if not s.filters:
        return ""
    about = "Centre frequency and bandwidth at half power of every filter, where training began and where it led."
    return frame.section("What the front-end learned", filters_chart(*s.filters), about=about, name="filters")


def _cost(s: Sheet) -> str:
    spent = [(label, quantity(s.figures[key])) for label, key in COSTS if key in s.figures]
    return frame.section("Cost", f'<div class="known">{frame.facts_list(spent)}</div>', name="cost") if spent else ""


def _repeat(s: Sheet) -> str:
    lines = "".join(f"<h3>{frame.text(what)}</h3>{frame.command(line)}" for what, line in s.repeat)
    known = f'<h3>Digests and versions</h3><div class="known">{frame.facts_list(s.provenance)}</div>'
    return frame.section("Do it again", lines + known, name="repeat")
