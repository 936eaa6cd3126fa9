"""The figures of each genre by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.weighted import average_precision, group_weights, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Genre:
    """0..1; NaN where nothing can be said: recall without songs, precision where the genre is never the answer."""

    name: str
    n: int  # songs that have it
    n_groups: int
    recall: float
    lo: float  # of the recall's 95 % interval
    hi: float
    precision: float
    f1: float
    average_precision: float  # of its probability over all songs


def by_genre(
    truth: ArrayLike,
    said: ArrayLike,
    probabilities: ArrayLike,
    groups: ArrayLike,
    genres: Sequence[str],
    *,
    n_boot: int,
    seed: int,
) -> list[Genre]:
    """Recall with its interval (bootstrap over the groups of the genre's songs), precision, F1, average precision.

    truth, said: (n, K) bool, which genres a song has and which it was given; probabilities: (n, K); groups: (n,).
    """
    t, s, p = np.asarray(truth, bool), np.asarray(said, bool), np.asarray(probabilities, float)
    g = np.asarray(groups)
    if not t.shape == s.shape == p.shape or t.shape != (len(g), len(genres)):
        raise ValueError(f"truth {t.shape}, said {s.shape}, probabilities {p.shape}, {len(g)} groups: expected (n, K)")
    found = []
    for k, name in enumerate(genres):
        own = t[:, k]
        n, n_said, n_right = int(own.sum()), int(s[:, k].sum()), int((own & s[:, k]).sum())
        recall, lo, hi = (float("nan"),) * 3
        if n:
            recall, right = n_right / n, s[own, k].astype(float)
            weights = group_weights(g[own], None, n_boot, seed)
            lo, hi = percentile_interval(weights @ right / weights.sum(1), recall)
        precision = n_right / n_said if n_said else float("nan")
        f1 = 2 * n_right / (n + n_said) if n else float("nan")
        ranked = float(average_precision(own, p[:, k], np.ones((1, len(own))))[0]) if n else float("nan")
        found.append(Genre(name, n, len(np.unique(g[own])), recall, lo, hi, precision, f1, ranked))
    return found
