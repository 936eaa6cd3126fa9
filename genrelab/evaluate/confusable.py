"""Which pairs of genres a run can tell apart, and which it cannot with so many songs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.weighted import auroc, group_weights, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Pair:
    """Two genres among the test songs; the interval is of this pair alone, not of all pairs at once."""

    a: str
    b: str
    auroc: float  # how often a song of a is more a than b, compared with one of b; .5 is chance
    lo: float
    hi: float
    a_as_b: float  # share of a's songs that are taken for b
    b_as_a: float
    n_a: int  # songs
    n_b: int
    n_groups: int  # of the genre that has fewer

    @property
    def separable(self) -> bool:
        """Whether the interval lies above chance; not where there is none."""
        return self.lo > 0.5

    @property
    def verdict(self) -> str:
        if self.lo != self.lo:
            return "not known: a group each"
        return "told apart" if self.separable else f"not separable with {self.n_a + self.n_b} songs"


def pairs(
    truth: ArrayLike, probabilities: ArrayLike, groups: ArrayLike, genres: Sequence[str], n_boot: int, seed: int
) -> list[Pair]:
    """Every pair of genres that both have test songs, the worst told apart first.

    truth: (n,) 0..K-1; probabilities: (n, K); groups: (n,).
    """
    t, g = np.asarray(truth), np.asarray(groups)
    log_p = np.log(np.maximum(np.asarray(probabilities, dtype=float), 1e-12))
    said, found = log_p.argmax(1), []
    for a, b in combinations(range(len(genres)), 2):
        rows = (t == a) | (t == b)
        is_a = t[rows] == a
        if is_a.all() or not is_a.any():
            continue
        odds = log_p[rows, a] - log_p[rows, b]
        at = float(auroc(is_a, odds, np.ones((1, len(odds))))[0])
        weights = group_weights(g[rows], t[rows], n_boot, seed)
        lo, hi = percentile_interval(auroc(is_a, odds, weights), at)
        taken = (float((said[t == a] == b).mean()), float((said[t == b] == a).mean()))
        least = min(len(np.unique(g[t == k])) for k in (a, b))
        counts = (int(is_a.sum()), int((~is_a).sum()))
        found.append(Pair(genres[a], genres[b], at, lo, hi, *taken, *counts, least))
    return sorted(found, key=lambda p: p.auroc)
