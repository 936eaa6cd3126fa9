"""What a k-fold run shows of its folds, and what a sweep of such runs reaches where each fold chooses for itself."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.evaluate import metrics, multilabel
from genrelab.report import artifacts, style
from genrelab.report.table import NAMES, NONE, bounded, interval, numbers_table, percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.console import RenderableType

FOLD = "fold"  # the column of a k-fold run's predictions that says whose they are
OF_A_MODEL = r"test/(open_set/.*|foreign/.*|song/(aurc|ece|ece_calibrated|kept))"  # figures on a model's own scale
Row = Mapping[str, Any]


def over_folds(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of a figure over folds and its 95 % interval by Student's t, which takes folds for independent.

    They are not, since they share training songs (Bengio & Grandvalet 2004): the pooled interval is the one to cite.
    """
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan, math.nan
    half = float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return mean, mean - half, mean + half


def figures(rows: Sequence[Row], measure: str) -> dict[str, float]:
    """`folds/{song,slice}/MEASURE` with `_lo` and `_hi`: the mean over the folds, for the tracker."""
    found: dict[str, float] = {}
    for unit in ("song", "slice"):
        values = over_folds([row["figures"][f"test/{unit}/{measure}"] for row in rows])
        found |= _named(f"folds/{unit}/{measure}", values)
    return found


def of_models(rows: Sequence[Row]) -> dict[str, float]:
    """The means over the folds, with `_lo` and `_hi`, of what cannot be pooled, since every model has a scale of its
    own: how well it tells songs of none of the genres, and when it says nothing."""
    keys = [k for k in rows[0]["figures"] if re.fullmatch(OF_A_MODEL, k) and not k.endswith(("_lo", "_hi"))]
    found: dict[str, float] = {}
    for key in keys:
        values = [row["figures"].get(key, math.nan) for row in rows]
        if np.isfinite(values).all():
            mean, lo, hi = over_folds(values)
            found |= _named(key, (mean, max(lo, 0.0), min(hi, 1.0)))
    return found


def _named(key: str, values: tuple[float, float, float]) -> dict[str, float]:
    return {f"{key}{end}": v for end, v in zip(("", "_lo", "_hi"), values, strict=True)}


def folds_table(rows: Sequence[Row], songs: pd.DataFrame, pooled: Mapping[str, float], measure: str) -> RenderableType:
    """A row a fold, their mean, and all test songs pooled; `songs` are the pooled predictions with their fold."""
    keys = [f"{side}/{unit}/{measure}" for side, unit in (("val", "song"), ("test", "song"), ("test", "slice"))]
    cells = []
    for k, row in enumerate(rows):
        own = artifacts.side_of(songs[songs[FOLD] == k], "test")
        cells.append([f"fold {k + 1}", *_line(row["figures"], keys), str(len(own)), str(own["split_group"].nunique())])
    mean = figures(rows, measure)
    mean |= {keys[0]: float(np.mean([row["figures"].get(keys[0], math.nan) for row in rows]))}
    mean_keys = [keys[0], *(k.replace("test/", "folds/") for k in keys[1:])]
    test = artifacts.side_of(songs, "test")
    cells.append(["mean of folds", *_line(mean, mean_keys), NONE, NONE])
    cells.append(["all songs pooled", *_line(pooled, keys), str(len(test)), str(test["split_group"].nunique())])
    headings = ["", "val", "test per song", "test per slice", "songs", "groups"]
    return numbers_table(f"{NAMES[measure]} by fold, % [95 % interval; of the mean by Student's t]", headings, cells)


def _line(of: Mapping[str, float], keys: Sequence[str]) -> list[str]:
    val, *tested = keys
    return [percent(of.get(val)), *(f"{percent(of.get(k))} {interval(of, k)}" for k in tested)]


def folds_picture(rows: Sequence[Row], pooled: Mapping[str, float], measure: str, title: str) -> Figure:
    """The test figure of each fold with its interval, and the band of all songs pooled."""
    import matplotlib as mpl
    from matplotlib.ticker import PercentFormatter

    key = f"test/song/{measure}"
    with mpl.rc_context(style.RC):
        figure = style.blank(4.6, 0.3 * len(rows) + 1.4)
        axes = figure.subplots()
        for y, row in enumerate(rows):
            of = row["figures"]
            axes.plot([of.get(f"{key}_lo", math.nan), of.get(f"{key}_hi", math.nan)], [y, y], color="#1f5f99")
            axes.plot(of[key], y, "o", color="#1f5f99", markersize=5)
        lo, hi = pooled.get(f"{key}_lo", math.nan), pooled.get(f"{key}_hi", math.nan)
        axes.axvspan(lo, hi, color=style.SLICE_COLOUR, alpha=0.18, linewidth=0)
        axes.axvline(pooled[key], color=style.SLICE_COLOUR, linewidth=1.2, label="all songs pooled")
        axes.set_yticks(range(len(rows)), [f"fold {k + 1}" for k in range(len(rows))])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel(f"{NAMES[measure]} per song")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, borderpad=0)
        style.headline(figure, title)
        style.bare(axes)
    return figure


def nested(rows: Sequence[Row], n_boot: int, seed: int) -> str | None:
    """What a sweep of k-fold runs reaches where every fold takes the run that is best on its own validation songs.

    None where they are not k-fold runs on the same folds. Test songs choose nothing here.
    """
    if len(rows) < 2:
        return None
    measure, songs = rows[0]["measure"], [artifacts.load(Path(row["folder"]))[0] for row in rows]
    if any(FOLD not in s.columns or artifacts.genres_of(s) != artifacts.genres_of(songs[0]) for s in songs):
        return None
    ids = [s[s["split"] == "test"].groupby(FOLD)["id"].apply(frozenset).to_dict() for s in songs]
    if any(own != ids[0] for own in ids):
        return None
    import pandas as pd

    parts, chosen = [], Counter[str]()
    for fold in sorted(map(int, songs[0][FOLD].unique())):
        own = [s[s[FOLD] == fold] for s in songs]
        best = int(np.argmax([_validated(s, measure) for s in own]))  # of equals the first
        parts.append(own[best])
        chosen[rows[best]["name"]] += 1
    at, lo, hi = artifacts.measured(pd.concat(parts, ignore_index=True), measure, n_boot, seed)
    took = ", ".join(f"{n} x {name}" for name, n in chosen.most_common())
    return (
        f"nested: {bounded(at, lo, hi)}, {NAMES[measure]} per song where each of {len(parts)} "
        f"folds takes what is best on its own validation songs ({took})"
    )


def _validated(songs: pd.DataFrame, measure: str) -> float:
    val = artifacts.side_of(songs, "val")
    if not len(val):
        return -1.0
    if artifacts.several(songs):
        found = multilabel.scores(artifacts.present(val), artifacts.chances(val), artifacts.thresholds(val))[measure]
    else:
        found = metrics.scores(artifacts.numbers(val), artifacts.chances(val))[measure]
    return -1.0 if math.isnan(found) else found
