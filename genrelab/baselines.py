"""What a run has to beat: classifiers that know no music, trained and chosen on the run's own split.

    majority     always the commonest genre of training
    tempo        beats a minute alone
    production   loudness, crest, spectral tilt, bandwidth, noise floor, clipping: the studio, not the song
    mfcc         mean and deviation of 20 MFCCs over the song

All but the first are logistic regressions; those on few measures see their squares and products too. C is what
validation songs choose. Kept in the store by data, split and measures, so that a sweep fits them once:

    cache/baselines/DIGEST.json     baseline -> test song -> number of the genre
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab import measures
from genrelab.evaluate import intervals
from genrelab.evaluate.metrics import confusion, from_confusion
from genrelab.types import MEASURE, Track, digest

if TYPE_CHECKING:
    from genrelab.evaluate.intervals import Difference, Predictions
    from genrelab.store import Progress

WORDS = {"majority": "majority", "tempo": "tempo", "production": "production", "mfcc": "MFCC statistics"}
CURVED = ("tempo", "production")  # few measures, in which a genre may lie in the middle
CS = (0.01, 0.1, 1.0, 10.0, 100.0)
VERSION = 1  # of what is kept
Said = dict[str, dict[str, int]]  # baseline -> test song -> genre


def said(
    tracks: Sequence[Track],
    truth: np.ndarray,
    sides: Sequence[str],
    n_genres: int,
    *,
    key: Sequence[str],
    sample_rate: int,
    store: Path,
    progress: Progress,
) -> Said:
    """What each baseline says of the test songs. truth: (n,) 0..K-1, K where a song is of none: it is left out.

    key: what names the tracks, their genres and their sides.
    """
    from genrelab.audio import measure

    at = store / "cache" / "baselines" / f"{digest(*key, sample_rate, measure.version(), VERSION)}.json"
    if at.is_file():
        return json.loads(at.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    used = [i for i, side in enumerate(sides) if side in ("train", "val", "test") and truth[i] < n_genres]
    table = measures.measured([tracks[i] for i in used], sample_rate=sample_rate, store=store, progress=progress)
    side, own = np.array([sides[i] for i in used]), truth[used]
    test = [tracks[i].id for i, s in zip(used, side, strict=True) if s == "test"]
    decided = {"majority": np.full(len(test), np.bincount(own[side == "train"], minlength=n_genres).argmax())}
    for name in ("tempo", "production", "mfcc"):
        x = table[list(measure.GROUPS[name])].to_numpy(float)
        decided[name] = fitted(x, own, side, n_genres, curved=name in CURVED)
    found = {name: dict(zip(test, map(int, values), strict=True)) for name, values in decided.items()}
    at.parent.mkdir(parents=True, exist_ok=True)
    partial = at.with_suffix(f".{os.getpid()}.tmp")
    partial.write_text(json.dumps(found), encoding="utf-8")
    partial.replace(at)
    return found


def fitted(x: np.ndarray, truth: np.ndarray, side: np.ndarray, n_genres: int, *, curved: bool) -> np.ndarray:
    """(test songs,) the genre that a logistic regression says; x is (n, measures), NaN where one is missing.

    Trained on train; of CS the one with the best balanced accuracy on val, of equals the simplest.
    """
    x = np.where(np.isfinite(x), x, np.nan)
    train, val, test = (side == s for s in ("train", "val", "test"))
    if len(np.unique(truth[train])) < 2:
        return np.full(int(test.sum()), np.bincount(truth[train], minlength=n_genres).argmax())
    models = [_regression(c, curved).fit(x[train], truth[train]) for c in CS]
    reached = [-1.0] * len(CS)
    if val.any():
        tables = [confusion(truth[val], m.predict(x[val]), n_genres) for m in models]
        reached = [round(float(from_confusion(t)[MEASURE]), 9) for t in tables]
    return models[int(np.argmax(reached))].predict(x[test])  # type: ignore[no-any-return]


def _regression(c: float, curved: bool) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    more = (PolynomialFeatures(2, include_bias=False), StandardScaler()) if curved else ()
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        *more,
        LogisticRegression(C=c, class_weight="balanced", max_iter=2000),
    )


def figures(songs: Predictions, found: Said, n_boot: int, seed: int) -> tuple[dict[str, float], list[str]]:
    """The figures of every baseline on the songs that a run decided, and two sentences: what they reach, and whether
    the run is better than the best of them."""
    options = {"n_boot": n_boot, "seed": seed}
    out: dict[str, float] = {}
    rivals, words = {}, []
    for name, by_song in found.items():
        own = replace(songs, decided=np.array([by_song[i] for i in songs.ids]))
        point = {k: float(v) for k, v in from_confusion(confusion(own.truth, own.decided, own.n_classes)).items()}
        bounds = intervals.bootstrap(own.truth, own.decided, own.groups, own.n_classes, **options)[MEASURE]
        out |= {f"baseline/{name}/{k}": v for k, v in point.items()}
        out |= {f"baseline/{name}/{MEASURE}_lo": bounds.lo, f"baseline/{name}/{MEASURE}_hi": bounds.hi}
        rivals[name] = (point[MEASURE], own)
        if name != "majority":  # it has a column
            interval = f"[{100 * bounds.lo:.1f}, {100 * bounds.hi:.1f}]"
            words.append(f"{WORDS[name]} {100 * point[MEASURE]:.1f} {interval}")
    # the best on the very test songs: what is better than that is better than each
    best = max(rivals, key=lambda name: rivals[name][0])
    gain = intervals.difference(songs, rivals[best][1], MEASURE, **options)
    out |= {"baseline/gain": gain.points, "baseline/gain_lo": gain.lo, "baseline/gain_hi": gain.hi}
    return out, [f"trivial baselines, balanced accuracy in %: {', '.join(words)}", verdict(WORDS[best], gain)]


def verdict(other: str, gain: Difference) -> str:
    """E.g. "better than MFCC statistics by 12.3 points [8.0, 16.9]"."""
    points, lo, hi = (100 * v + 0.0 for v in (gain.points, gain.lo, gain.hi))
    word = "" if gain.reliable else ", unreliable"
    if lo > 0:
        return f"better than {other} by {points:.1f} points [{lo:.1f}, {hi:.1f}]{word}"
    if hi < 0:
        return f"worse than {other} by {-points:.1f} points [{-hi:.1f}, {-lo:.1f}]{word}"
    return f"not shown to be better than {other}: {points:+.1f} points [{lo:.1f}, {hi:.1f}]{word}"
