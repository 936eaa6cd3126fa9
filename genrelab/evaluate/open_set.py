"""Figures of a classifier that also meets songs of none of its genres. A score is higher for what is surer known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate import weighted
from genrelab.evaluate.metrics import from_confusion

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

METRICS = ("auroc", "fpr95", "oscr", "open_macro_f1")


def auroc(known: ArrayLike, unknown: ArrayLike) -> float:
    """How often a known song's score is above an unknown one's, ties half; (n,) and (m,) scores."""
    score, is_known = _joined(known, unknown)
    return float(weighted.auroc(is_known, score, np.ones((1, len(score))))[0])


def fpr_at(known: ArrayLike, unknown: ArrayLike, tpr: float = 0.95) -> float:
    """The share of unknown songs that is kept where at least `tpr` of the known ones are."""
    score, is_known = _joined(known, unknown)
    return float(_fpr(is_known, score, np.ones((1, len(score))), tpr)[0])


def oscr(known: ArrayLike, known_right: ArrayLike, unknown: ArrayLike) -> float:
    """Area under the rate of known songs kept and right against that of unknown songs kept (Dhamija et al. 2018)."""
    score, is_known = _joined(known, unknown)
    right = np.concatenate(
        [np.asarray(known_right, dtype=bool), np.zeros(len(score) - int(is_known.sum()), dtype=bool)]
    )
    return float(_oscr(is_known, right, score, np.ones((1, len(score))))[0])


def open_macro_f1(truth: ArrayLike, decided: ArrayLike, n_genres: int) -> float:
    """Macro F1 with `no tag`, n_genres, as a class of its own; truth and decided: (n,) 0..n_genres."""
    t, d = np.asarray(truth), np.asarray(decided)
    return float(_macro_f1(t, d, n_genres, np.ones((1, len(t))))[0])


def figures(
    score: ArrayLike,
    right: ArrayLike,
    is_known: ArrayLike,
    truth: ArrayLike,
    decided: ArrayLike,
    groups: ArrayLike,
    n_boot: int,
    seed: int,
) -> dict[str, tuple[float, float, float]]:
    """Every metric of METRICS with its 95 % interval, by a bootstrap over whole groups within genres.

    score: (n,); right: (n,) whether the likeliest genre is the true one; is_known: (n,) bool; truth, decided: (n,)
    0..K, K being `no tag`. NaN where there are no known or no unknown songs.
    """
    s, k = np.asarray(score, dtype=float), np.asarray(is_known, dtype=bool)
    r, t, d = np.asarray(right, dtype=bool) & k, np.asarray(truth), np.asarray(decided)
    if k.all() or not k.any():
        return dict.fromkeys(METRICS, (float("nan"),) * 3)
    n_genres = int(t.max())

    def all_of(weights: NDArray) -> dict[str, NDArray]:
        return {
            "auroc": weighted.auroc(k, s, weights),
            "fpr95": _fpr(k, s, weights, 0.95),
            "oscr": _oscr(k, r, s, weights),
            "open_macro_f1": _macro_f1(t, d, n_genres, weights),
        }

    points = {name: float(value[0]) for name, value in all_of(np.ones((1, len(s)))).items()}
    drawn = all_of(weighted.group_weights(groups, t, n_boot, seed))
    return {name: (at, *weighted.percentile_interval(drawn[name], at)) for name, at in points.items()}


def _joined(known: ArrayLike, unknown: ArrayLike) -> tuple[NDArray, NDArray]:
    k, u = np.asarray(known, dtype=float), np.asarray(unknown, dtype=float)
    return np.concatenate([k, u]), np.arange(len(k) + len(u)) < len(k)


def _fpr(known: NDArray, score: NDArray, weights: NDArray, tpr: float) -> NDArray[np.float64]:
    if known.all() or not known.any():
        return np.full(len(weights), np.nan)
    order = np.argsort(-score[known])
    kept = np.cumsum(weights[:, known][:, order], 1)
    at = (kept >= tpr * kept[:, -1:] * (1 - 1e-12)).argmax(1)
    limit = score[known][order][at]  # (W,)
    own = weights[:, ~known]
    with np.errstate(invalid="ignore"):  # NaN where no unknown song has weight
        return (own * (score[~known] >= limit[:, None])).sum(1) / own.sum(1)


def _oscr(known: NDArray, right: NDArray, score: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """The area is the share of known songs that are right times how often such a one is above an unknown one."""
    if known.all() or not known.any():
        return np.full(len(weights), np.nan)
    if not right.any():
        return np.zeros(len(weights))
    rows = right | ~known
    above = weighted.auroc(right[rows], score[rows], weights[:, rows])
    with np.errstate(invalid="ignore"):
        share = weights[:, right].sum(1) / weights[:, known].sum(1)
    nothing = (share == 0) & (weights[:, ~known].sum(1) > 0)
    return np.where(nothing, 0.0, above * share)  # NaN where no known or no unknown song has weight


def _macro_f1(truth: NDArray, decided: NDArray, n_genres: int, weights: NDArray) -> NDArray[np.float64]:
    n = n_genres + 1
    cells = np.zeros((len(truth), n * n))
    cells[np.arange(len(truth)), truth * n + decided] = 1
    return from_confusion((weights @ cells).reshape(-1, n, n))["macro_f1"]
