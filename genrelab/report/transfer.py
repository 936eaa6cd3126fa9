"""Trained in one studio, tested on the songs of another: what is lost on the way, and what a change gives back.

Every song is tested by three models of a configuration: one that trained in the song's own studio (`home`), one that
trained in another (`away`: the next one in alphabetical order), one that trained in all (`all`). The splits are the
same, so that the three are paired song by song.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrelab.report import artifacts, style
from genrelab.report.sweeps import COLOURS, Row, Shown, dots, percents, value
from genrelab.report.table import NAMES, NONE, bounded, numbers_table
from genrelab.types import UserError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from genrelab.evaluate.intervals import Difference

WORD = "train_studio"
PLACES = ("home", "away", "all")
Level = tuple[float, float, float]


def transfer(rows: Sequence[Row], n_boot: int, seed: int) -> Shown:
    """A row a configuration; the first is what the others are to mend. One that lacks a studio's run is named."""
    measure, options = rows[0]["measure"], (n_boot, seed)
    found, notes = {}, []
    for name, runs in of_configurations(rows).items():
        try:
            found[name] = places(runs)
        except UserError as error:
            notes.append(f"not shown: {name or 'as usual'}: {error}")
    if not found:
        tables, drawing = dots(rows, n_boot, seed, by=WORD)
        return [*tables, *notes], drawing
    levels = {n: {p: artifacts.measured(f, measure, *options) for p, f in own.items()} for n, own in found.items()}
    first = next(iter(found.values()))
    cells = []
    for name, own in found.items():
        lost = artifacts.difference(own["home"], own["away"], measure, *options)
        back = artifacts.difference(own["away"], first["away"], measure, *options) if own is not first else None
        reached = [_level(levels[name].get(p)) for p in PLACES]
        cells.append([name or "as usual", *reached, _points(lost), _points(back)])
    headings = ["", "own studio", "another", "all studios", "lost", "given back"]
    heading = f"{NAMES[measure]} per song by where the model was trained, % and points [95 % interval]"
    return [numbers_table(heading, headings, cells), *notes], picture(levels, measure)


def of_configurations(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """The runs by what else their words say ("" where nothing differs), and by the studio of their training."""
    words = [[w for w in row["overrides"] if not w.startswith(f"{WORD}=")] for row in rows]
    common = set.intersection(*map(set, words))
    found: dict[str, dict[str, Row]] = {}
    for row, given in zip(rows, words, strict=True):
        studio = value(row, WORD).strip("'\"")
        found.setdefault(" ".join(w for w in given if w not in common), {})[studio] = row
    return found


def places(runs: Mapping[str, Row]) -> dict[str, pd.DataFrame]:
    """The test songs as the models of each place have them. Raises UserError where a studio of theirs has no model."""
    import pandas as pd

    songs = {s: artifacts.side_of(artifacts.load(Path(r["folder"]))[0], "test") for s, r in runs.items()}
    studios = sorted(s for s in songs if s not in ("", "null"))
    there = sorted(set(next(iter(songs.values()))["studio"].dropna()))
    if studios != there or len(studios) < 2:
        raise UserError(f"transfer takes a run for each studio of the songs ({', '.join(there)}): here are {studios}")
    away = dict(zip(studios, [*studios[1:], studios[0]], strict=True))
    found = {}
    for place, trained in (("home", {s: s for s in studios}), ("away", away)):
        parts = [songs[trained[s]][songs[trained[s]]["studio"] == s] for s in studios]
        found[place] = pd.concat(parts).sort_values("id", kind="stable").reset_index(drop=True)
    if "null" in songs:
        found["all"] = songs["null"]
    return found


def _level(level: Level | None) -> str:
    return NONE if level is None else bounded(*level)


def _points(d: Difference | None) -> str:
    return NONE if d is None else bounded(d.points + 0.0, d.lo, d.hi)


def picture(levels: Mapping[str, Mapping[str, Level]], measure: str) -> Figure:
    """A line a configuration, the three places on it."""
    import matplotlib as mpl

    words: dict[str, Any] = {"home": "trained in the song's studio", "away": "in another", "all": "in all"}
    with mpl.rc_context(style.RC):
        figure = style.blank(6.0, 0.5 * len(levels) + 1.1)
        axes = figure.subplots()
        for y, own in enumerate(list(levels.values())[::-1]):
            for k, place in enumerate(PLACES):
                if place in own:
                    at, lo, hi = own[place]
                    shift = 0.22 * (1 - k)
                    axes.plot([lo, hi], [y + shift] * 2, color=COLOURS[k], linewidth=1.6, solid_capstyle="butt")
                    axes.plot(at, y + shift, "o", color=COLOURS[k], markersize=5, label=None if y else words[place])
        axes.set_yticks(range(len(levels)), [n or "as usual" for n in list(levels)[::-1]])
        axes.set_xlabel(f"{NAMES[measure]} per song")
        style.legend_above(axes)
        percents(axes, "x")
    return figure
