"""How far a probability can be believed, and what answering only where one is sure buys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.weighted import group_weights, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MIN_SONGS = 50  # fewer validation songs fit no temperature
BOUNDS = (0.05, 20.0)


def apply(scores: ArrayLike, temperature: float, several: bool) -> NDArray[np.float64]:
    """Log-scores (n, K) over a temperature -> probabilities (n, K): sigmoids where `several`, else softmax."""
    from scipy.special import expit, softmax

    x = np.asarray(scores, dtype=float) / temperature
    return expit(x) if several else softmax(x, axis=-1)


def fit_temperature(scores: ArrayLike, target: ArrayLike, several: bool) -> float | None:
    """The temperature that makes the targets (n, K) likeliest (Guo, Pleiss, Sun & Weinberger 2017), within BOUNDS.

    None with fewer than MIN_SONGS songs.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_expit, log_softmax

    x, t = np.asarray(scores, dtype=float), np.asarray(target, dtype=float)
    if len(x) < MIN_SONGS:
        return None

    def loss(log_temperature: float) -> float:
        z = x / np.exp(log_temperature)
        if several:
            return float(-(t * log_expit(z) + (1 - t) * log_expit(-z)).mean())
        return float(-(t * log_softmax(z, axis=1)).sum(1).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)))
    return float(np.exp(found.x))


def reliability(confidence: ArrayLike, right: ArrayLike, n_bins: int) -> tuple[NDArray, NDArray, NDArray]:
    """Mean confidence, share that is right and number of answers in each of n_bins bins of equal width, (n_bins,)."""
    c, r = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    at = np.clip(np.ceil(c * n_bins).astype(int) - 1, 0, n_bins - 1)
    count = np.bincount(at, minlength=n_bins)
    each = np.maximum(count, 1)
    return np.bincount(at, c, n_bins) / each, np.bincount(at, r, n_bins) / each, count


def ece(confidence: ArrayLike, right: ArrayLike, n_bins: int = 15) -> float:
    """Expected calibration error, 0..1: how far confidence is from what is right, over bins (Guo et al. 2017).

    confidence: (n,) 0..1; right: (n,) bool. It is above 0 for few answers even of a perfect model.
    """
    said, was, count = reliability(confidence, right, n_bins)
    return float((np.abs(said - was) * count).sum() / max(1, count.sum()))


def risk_coverage(confidence: ArrayLike, right: ArrayLike) -> tuple[NDArray, NDArray]:
    """Share of answers given, rising, and the share of them that is wrong; the surest are given first, equals together.

    confidence, right: (n,) -> (m,) and (m,), one point for each different confidence.
    """
    c, wrong = np.asarray(confidence, dtype=float), 1 - np.asarray(right, dtype=float)
    order = np.argsort(-c)
    last = np.flatnonzero(np.append(np.diff(c[order]) != 0, True))
    n = last + 1
    return n / len(c), np.cumsum(wrong[order])[last] / n


def aurc(confidence: ArrayLike, right: ArrayLike) -> float:
    """Area under the risk-coverage curve (Geifman & El-Yaniv 2017), lower is better: the mean risk over all coverages.

    Equal confidences are answered in an order that nobody chose: the mean over all such orders.
    """
    n = len(np.asarray(right))
    return float(_aurc(confidence, right, np.ones((1, n)))[0])


def excess_aurc(confidence: ArrayLike, right: ArrayLike) -> float:
    """AURC above that of the best order of the same answers (Geifman, Uziel & El-Yaniv 2019)."""
    return aurc(confidence, right) - aurc(right, right)


def aurc_interval(
    confidence: ArrayLike, right: ArrayLike, groups: ArrayLike, n_boot: int, seed: int
) -> tuple[float, float]:
    """The 95 % interval of `aurc`, by a bootstrap over whole groups (n,)."""
    weights = group_weights(groups, None, n_boot, seed)
    return percentile_interval(_aurc(confidence, right, weights), aurc(confidence, right))


def _aurc(confidence: ArrayLike, right: ArrayLike, weights: NDArray) -> NDArray[np.float64]:
    """(W,) for weights (W, n)."""
    from scipy.special import digamma

    c, r = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    order = np.argsort(-c)
    w = weights[:, order]
    first = np.flatnonzero(np.append(True, np.diff(c[order]) != 0))
    together = np.add.reduceat(w, first, axis=1)
    wrong = np.add.reduceat(w * (1 - r[order]), first, axis=1)
    rate = np.divide(wrong, together, out=np.zeros_like(wrong), where=together > 0)
    # m equals after G answers with E errors: on average the sum of (E + rate j) / (G + j) over j = 1..m, where the sum
    # of 1 / (G + j) is digamma(G + m + 1) - digamma(G + 1), which weights that are no whole numbers have too
    given = np.cumsum(together, 1)
    before, errors = given - together, np.cumsum(wrong, 1) - wrong
    area = wrong + (errors - rate * before) * (digamma(given + 1) - digamma(before + 1))
    return area.sum(1) / given[:, -1]
