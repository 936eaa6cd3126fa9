"""What MLflow's pages say of a run, a sweep and a data set in words: markdown, as their descriptions."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from genrelab.report.table import COSTS, NAMES
from genrelab.types import MEASURE

MANY = 30  # genres that are named


def of_run(
    tags: Mapping[str, str],
    figures: Mapping[str, float],
    command: str,
    rivals: Mapping[str, str],
    card: str = "",
    reliable: bool = True,
) -> str:
    """The protocol in plain words, the test figure beside the best trivial baseline, and how to repeat the run.

    tags, figures: as MLflow has them; command: that trains so again; rivals: baselines as people read them; card:
    where the run's page is, if there is one; reliable: whether every genre has groups enough in the test.
    """
    if "folds" in figures:
        sides = f"{round(figures['folds'])} folds, each song tested once by a model that never saw it"
    else:
        train, val, test = (round(figures[f"songs/{s}"]) for s in ("train", "val", "test"))
        sides = f"{train} training, {val} validation and {test} test songs"
    split = f"split by **{_cell(tags.get('split_by') or tags['split'])}**"
    lines = [  # MLflow shows the beginning and hides the rest
        _reached(figures, tags.get("measure", MEASURE), rivals, reliable),
        f"Data **{_cell(tags['data'])}** (`{tags['data_digest']}`), {split} (`{tags['split_digest']}`): "
        f"{sides}. Leak audit: {tags.get('leak_audit', 'unaudited')}.",
        ", ".join(
            f"{name} `{tags[key]}`"
            for name, key in (
                ("Front-end", "front"),
                ("slices", "slice"),
                ("net", "net"),
                ("aggregator", "agg"),
                ("task", "task"),
                ("seed", "seed"),
            )
            if key in tags
        )
        + ".",
    ]
    if card:
        lines.append(f"[The run's card: every figure, picture and mistake]({card})")
    return "\n\n".join([*lines, f"Repeat it:\n\n    {command}"])


def _reached(figures: Mapping[str, float], measure: str, rivals: Mapping[str, str], reliable: bool) -> str:
    name, test = NAMES[measure], f"test/song/{measure}"
    parts = [f"**Test: {name} per song {_percent(figures[test])}**, 95 % interval {_interval(figures, test)}."]
    if not reliable:
        parts.append("Unreliable: a genre has fewer than 5 groups in the test.")
    there = {k: figures[f"baseline/{k}/{measure}"] for k in rivals if f"baseline/{k}/{measure}" in figures}
    if there:
        best = max(there, key=lambda k: there[k])
        word = "always saying the commonest genre" if best == "majority" else rivals[best]
        parts.append(f"The best trivial baseline, {word}, reaches {_percent(there[best])}.")
    if "baseline/gain" in figures:
        gain = 100 * figures["baseline/gain"]
        parts.append(f"The run less that: {gain:+.1f} points {_interval(figures, 'baseline/gain', 'points')}.")
    if f"val/song/{measure}" in figures:
        parts.append(f"Validation, by which runs are chosen: {_percent(figures[f'val/song/{measure}'])}.")
    return " ".join(parts)


def of_sweep(command: str) -> str:
    """What a sweep's parent is; the command starts such a one."""
    return (
        "A sweep: a run below it for each combination. The best on validation is the first in the list of runs.\n\n"
        f"Repeat it:\n\n    {command}"
    )


def of_data(name: str, tracks: Sequence[Any], genres: Sequence[str], digest: str, measure: str = MEASURE) -> str:
    """What a data set is, and how its runs' columns are read; tracks have `genres` and `artist`."""
    counts = Counter(g for t in tracks for g in t.genres)
    named = ", ".join(f"{_cell(g)} {counts[g]}" for g in genres[:MANY])
    more = f" and {len(genres) - MANY} more" if len(genres) > MANY else ""
    artists = {t.artist for t in tracks if t.artist}
    by = f", {len(artists)} artists" if artists else ""
    costs = ", ".join(f"`{key}` ({label})" for label, key in COSTS)
    return "\n".join(
        [
            f"Data set **{_cell(name)}**: {len(tracks)} songs of {len(genres)} genres{by}.",
            "",
            f"Songs a genre: {named}{more}. These are the songs of `data_digest` {digest}; runs with another digest "
            "had other songs of this name, and are not to be compared with these.",
            "",
            "How to read the columns (in Views, choose *genrelab*):",
            "",
            "- `front`, `slice`, `net`, `agg`: the parts that a run was put together from. `split`: what songs of "
            "training and test never share.",
            f"- `test/song/{measure}`: {NAMES[measure]} per song, on the test songs. `_lo` and `_hi`: its 95 % "
            "interval, by a bootstrap over whole groups. Intervals of two runs say nothing exact of their "
            "difference: `python -m genrelab compare` pairs them song by song.",
            f"- `val/song/{measure}`: the same on the validation songs. **Choose by this one**; what is chosen by its "
            "test figure looks better than it is.",
            f"- Costs: {costs}.",
        ]
    )


def _percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def _interval(figures: Mapping[str, float], key: str, unit: str = "%") -> str:
    lo, hi = (figures.get(f"{key}{end}") for end in ("_lo", "_hi"))
    if lo is None or hi is None or math.isnan(lo + hi):  # no genre has two groups
        return "unknown"
    return f"[{100 * lo:.1f}, {100 * hi:.1f}] {unit}"


def _cell(text: str) -> str:
    """A name of the user's as markdown shows it, letter by letter."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&])", r"\\\1", text.replace("\n", " "))
