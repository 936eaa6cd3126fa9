"""Figures of songs that may have several genres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate import weighted
from genrelab.evaluate.intervals import Difference

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

METRICS = ("map", "roc_auc", "lrap", "macro_f1")


def scores(truth: ArrayLike, probabilities: ArrayLike, thresholds: ArrayLike) -> dict[str, float]:
    """Mean average precision and ROC-AUC over the genres, label ranking average precision, F1 over the genres.

    truth: (n, K) bool; probabilities: (n, K); thresholds: (K,) or (n, K), a genre above its own being said. Genres that
    nobody has, and for ROC-AUC those that everybody has, are left out of the means; NaN where none is left.
    """
    t, p, cut = _arrays(truth, probabilities, thresholds)
    found = under(t, p, cut, np.ones((1, len(t))), METRICS)
    return {name: float(value[0]) for name, value in found.items()}


def thresholds(truth: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """(K,) of each genre the threshold with the highest F1, between two neighbouring probabilities; the highest of
    equals. A genre that nobody has: .5."""
    t, p = np.asarray(truth, dtype=bool), np.asarray(probabilities, dtype=float)
    found = np.full(t.shape[1], 0.5)
    for k in np.flatnonzero(t.any(0)):
        order = np.argsort(-p[:, k])
        sorted_p, hits = p[order, k], np.cumsum(t[order, k])
        said = np.arange(1, len(order) + 1)
        f1 = 2 * hits / (said + hits[-1])
        last = np.append(np.diff(sorted_p) != 0, True)  # a threshold lies between different probabilities
        best = int(np.argmax(np.where(last, f1, -1)))
        below = sorted_p[best + 1] if best + 1 < len(order) else 0.0
        found[k] = (sorted_p[best] + below) / 2
    return found


def bootstrap(
    truth: ArrayLike,
    probabilities: ArrayLike,
    thresholds: ArrayLike,
    groups: ArrayLike,
    n_boot: int,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """The 95 % interval of every metric of `scores`, by a bootstrap over whole groups (n,)."""
    t, p, cut = _arrays(truth, probabilities, thresholds)
    drawn = under(t, p, cut, weighted.group_weights(groups, None, n_boot, seed), METRICS)
    points = scores(t, p, cut)
    return {name: weighted.percentile_interval(drawn[name], at) for name, at in points.items()}


def all_on_top(
    truth: ArrayLike, probabilities: ArrayLike, groups: ArrayLike, n_boot: int, seed: int
) -> tuple[float, float, float]:
    """The share of songs whose true genres all rank above all others, with its 95 % interval (bootstrap over groups).

    truth: (n, K) bool; probabilities: (n, K); groups: (n,). Of equals the other genre counts as the higher one.
    """
    t, p = np.asarray(truth, dtype=bool), np.asarray(probabilities, dtype=float)
    lowest = np.where(t, p, np.inf).min(1)
    right = (lowest > np.where(t, -np.inf, p).max(1)).astype(float)
    weights = weighted.group_weights(groups, None, n_boot, seed)
    return float(right.mean()), *weighted.percentile_interval(weights @ right / weights.sum(1), float(right.mean()))


def difference(
    truth: ArrayLike, a: ArrayLike, b: ArrayLike, groups: ArrayLike, metric: str, *, n_boot: int, seed: int
) -> Difference:
    """metric of the probabilities a (n, K) less that of b on the same songs, under the same draws of groups."""
    t = np.asarray(truth, dtype=bool)
    half = np.full(t.shape[1], 0.5)
    weights = weighted.group_weights(groups, None, n_boot, seed)
    one, two = (_arrays(t, p, half) for p in (a, b))
    at = scores(*one)[metric] - scores(*two)[metric]
    drawn = under(*one, weights, (metric,))[metric] - under(*two, weights, (metric,))[metric]
    n_groups = len(np.unique(np.asarray(groups).astype(str)))
    return Difference(metric, at, *weighted.percentile_interval(drawn, at), True, len(t), len(t), n_groups)


def _arrays(truth: ArrayLike, probabilities: ArrayLike, thresholds: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    t, p = np.asarray(truth, dtype=bool), np.asarray(probabilities, dtype=float)
    if t.shape != p.shape or t.ndim != 2:
        raise ValueError(f"truth is {t.shape} and probabilities {p.shape}: expected (n, K) both")
    return t, p, np.broadcast_to(np.asarray(thresholds, dtype=float), p.shape)


def under(t: NDArray, p: NDArray, cut: NDArray, weights: NDArray, metrics: tuple[str, ...]) -> dict[str, NDArray]:
    """Metric -> (W,) under weights (W, n), for truth (n, K) bool, probabilities (n, K) and thresholds (n, K)."""
    each = range(t.shape[1])
    found: dict[str, NDArray] = {}
    if "map" in metrics:
        found["map"] = _mean([weighted.average_precision(t[:, k], p[:, k], weights) for k in each])
    if "roc_auc" in metrics:
        found["roc_auc"] = _mean([weighted.auroc(t[:, k], p[:, k], weights) for k in each])
    if "lrap" in metrics:
        found["lrap"] = weights @ lrap(t, p) / weights.sum(1)
    if "macro_f1" in metrics:
        said = p > cut
        right, n_said, n_true = (weights @ x.astype(float) for x in (said & t, said, t))
        both = n_said + n_true
        found["macro_f1"] = _mean(list(np.where(n_true > 0, 2 * right / np.maximum(both, 1e-12), np.nan).T))
    return found


def _mean(rows: list[NDArray]) -> NDArray[np.float64]:
    """The mean over genres of (W,) each, without those that are NaN."""
    x = np.stack(rows)
    there = np.isfinite(x)
    n = there.sum(0)
    return np.divide(np.where(there, x, 0).sum(0), n, out=np.full(x.shape[1], np.nan), where=n > 0)


def lrap(t: NDArray, p: NDArray) -> NDArray[np.float64]:
    """(n,) of each song: how much of what ranks at least as high as a true genre is true, mean over its genres."""
    above = p[:, None, :] >= p[:, :, None]  # (n, K, K): column ranks at least as high as row
    share = (above & t[:, None, :]).sum(2) / above.sum(2)
    n_true = t.sum(1)
    return np.where(n_true > 0, (share * t).sum(1) / np.maximum(n_true, 1), 1.0)
