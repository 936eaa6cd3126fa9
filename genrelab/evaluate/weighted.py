"""Figures of rankings under many weightings of the same rows at once, so that a bootstrap is one vectorised call.

`W` weightings of `n` rows. A figure of a bootstrap resample is the figure with the resample's weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.groups import group_indices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95


def group_weights(groups: ArrayLike, strata: ArrayLike | None, n_boot: int, rng_seed: int) -> NDArray[np.float64]:
    """(n_boot, n) weights of rows in resamples of whole groups, 1 on average (see `intervals`).

    groups: (n,) strings or numbers; strata: (n,), the true genre of each row, or None for one stratum. Within each
    stratum of G groups G - 1 are drawn with replacement and weighted by G / (G - 1) (Rao & Wu 1988); a stratum of one
    group keeps weight 1. Where a group lies in several strata there are no strata. Where no stratum has two groups the
    weights are NaN, so that every figure is: nothing can be said. Raises ValueError for a row without a group.
    """
    g = group_indices(groups)
    n_groups = int(g.max()) + 1
    of_row = np.zeros(len(g), dtype=np.intp) if strata is None else group_indices(strata)
    if len(of_row) != len(g):
        raise ValueError(f"groups holds {len(g)} rows and strata {len(of_row)}: expected as many")
    stratum = np.zeros(n_groups, dtype=np.intp)
    stratum[g] = of_row
    if (stratum[g] != of_row).any():
        stratum[:] = 0
    sizes = np.bincount(stratum)
    if sizes.max() < 2:
        return np.full((n_boot, len(g)), np.nan)
    rng = np.random.default_rng(rng_seed)
    drawn = np.ones((n_boot, n_groups))
    for s in np.flatnonzero(sizes > 1):
        n = int(sizes[s])
        drawn[:, stratum == s] = rng.multinomial(n - 1, np.full(n, 1 / n), size=n_boot) * (n / (n - 1))
    return drawn[:, g]


def tied_sums(values: ArrayLike, weights: ArrayLike) -> tuple[NDArray, NDArray[np.float64]]:
    """The sum of the weights of rows that share a value: (U,) the distinct values, rising, and (W, U) the sums.

    values: (n,), at least one; NaN is not among them; weights: (W, n).
    """
    distinct, inverse = np.unique(np.asarray(values), return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(distinct)))
    return distinct, np.add.reduceat(np.asarray(weights, dtype=float)[:, order], starts, axis=1)


def auroc(positive: ArrayLike, score: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """(W,) area under the ROC curve, 0..1: how often a positive row outranks a negative one, ties counted half.

    positive: (n,) bool; score: (n,), higher is more positive, where NaN ranks lowest; weights: (W, n). NaN where one
    side has no weight. Raises ValueError where the shapes do not fit.
    """
    p, s, w = _rows(positive, score, weights)
    if not len(s):
        return np.full(len(w), np.nan)
    pos, neg = tied_sums(s, w * p)[1], tied_sums(s, w * ~p)[1]
    below = np.cumsum(neg, 1) - neg / 2
    return _ratio((pos * below).sum(1), pos.sum(1) * neg.sum(1))


def average_precision(positive: ArrayLike, score: ArrayLike, weights: ArrayLike) -> NDArray[np.float64]:
    """(W,) average precision, 0..1, as scikit-learn defines it: the sum over thresholds of precision x recall gained.

    Rows of one score are taken together and nothing is interpolated. Arguments as `auroc`; NaN where no positive row
    has weight.
    """
    p, s, w = _rows(positive, score, weights)
    if not len(s):
        return np.full(len(w), np.nan)
    gained, taken = tied_sums(s, w * p)[1][:, ::-1], tied_sums(s, w)[1][:, ::-1]
    taken = np.cumsum(taken, 1)
    precision = np.divide(np.cumsum(gained, 1), taken, out=np.zeros_like(taken), where=taken > 0)
    return _ratio((gained * precision).sum(1), gained.sum(1))


def percentile_interval(figures: ArrayLike, point: float) -> tuple[float, float]:
    """The central 95 % of (n_boot,) figures, widened where need be to hold the point. NaN figures are left out.

    (NaN, NaN) where none is left, or where the point is NaN.
    """
    there = np.asarray(figures, dtype=float)
    there = there[np.isfinite(there)]
    if not len(there) or not np.isfinite(point):
        return float("nan"), float("nan")
    lo, hi = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return min(float(lo), float(point)), max(float(hi), float(point))


def nan_lowest(score: ArrayLike) -> NDArray[np.float64]:
    """Scores with -inf for NaN: what has no figure is taken last."""
    s = np.asarray(score, dtype=float)
    return np.where(np.isnan(s), -np.inf, s)


def _rows(positive: ArrayLike, score: ArrayLike, weights: ArrayLike) -> tuple[NDArray[np.bool_], NDArray, NDArray]:
    p, s, w = np.asarray(positive, dtype=bool), nan_lowest(score), np.asarray(weights, dtype=float)
    if s.ndim != 1 or p.shape != s.shape or w.ndim != 2 or w.shape[1] != len(s):
        raise ValueError(f"positive {p.shape}, score {s.shape}, weights {w.shape}: expected (n,), (n,) and (W, n)")
    return p, s, w


def _ratio(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """a / b, NaN where b is 0 or NaN."""
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=np.asarray(b) > 0)
