"""What a run's decisions hang on: how much worse they get when a cue is taken away, and what its embeddings tell.

One answer stands for a song under a cue that has several versions: the mean over these. A fall is the figure of the
songs as they are less that of the changed ones, so its interval is paired: one draw of groups serves both, and all cues
(see `intervals`). The intervals of the falls hold for all cues at once with 95 %: the more cues are tried, the sooner
one would else be found by chance. They are the sup-t band of the bootstrap, as wide in standard errors as the
largest deviation of any cue in 95 % of the draws. Those of single genres hold each for itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.groups import group_indices
from genrelab.evaluate.intervals import FEW_GROUPS
from genrelab.evaluate.multilabel import lrap
from genrelab.evaluate.weighted import LEVEL, group_weights, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MARGIN = 0.02  # what a cue has to cost at least, to be one
N_FOLDS = 5
SHIFT_CLIP = 1e-12


@dataclass(frozen=True)
class Asked:
    """n songs and what a run said of them; the figure of a song is whether it was right, or of songs that may have
    several genres its label ranking average precision."""

    target: NDArray  # (n, K) bool
    groups: NDArray  # (n,) which songs belong together
    before: NDArray  # (n, K) probabilities
    thresholds: NDArray | None = None  # (n, K) or (K,), where a song may have several genres


@dataclass(frozen=True)
class Fall:
    """What it costs to take a cue away; shares, 0..1."""

    cue: str
    before: float
    after: float
    fall: float
    lo: float
    hi: float
    stays: float  # the share of the songs of which the same is said
    shift: float  # Jensen-Shannon divergence of the probabilities, bits, mean over the songs
    genres: tuple[tuple[float, float, float], ...]  # fall, lo and hi of each; NaN for a genre without a song
    n: int
    n_groups_min: int

    @property
    def reliable(self) -> bool:
        return self.n_groups_min >= FEW_GROUPS

    @property
    def named(self) -> bool:
        """Whether this is a cue: it costs more than MARGIN for sure."""
        return self.n_groups_min > 1 and bool(self.lo > MARGIN)  # a genre of one group adds no width


def falls(asked: Asked, after: Mapping[str, ArrayLike], *, n_boot: int, seed: int) -> list[Fall]:
    """A fall a cue. `after`: cue -> (V, n, K) probabilities of the V versions of each song."""
    member = np.asarray(asked.target, dtype=bool)
    n, k = member.shape
    single = asked.thresholds is None
    here = right(asked, asked.before)
    said = {cue: np.asarray(p, dtype=float) for cue, p in after.items()}
    there = np.stack([np.mean([right(asked, p) for p in versions], axis=0) for versions in said.values()], 1)  # (n, C)
    lost = here[:, None] - there
    strata = member.argmax(1) if single else None
    weights = group_weights(asked.groups, strata, n_boot, seed)
    ones = np.ones((1, n))
    at, drawn = (_of_genres(lost, member, w) for w in (ones, weights))  # (., K, C)
    totals = [_in_all(lost, member, w, single) for w in (ones, weights)]
    lo, hi = simultaneous(totals[0][0], totals[1])
    before = float(_in_all(here[:, None], member, ones, single)[0, 0])
    least = _n_groups_min(member, asked.groups)
    found = []
    for c, (cue, versions) in enumerate(said.items()):
        own = tuple((float(at[0, g, c]), *percentile_interval(drawn[:, g, c], float(at[0, g, c]))) for g in range(k))
        fall = float(totals[0][0, c])
        stays = float(np.mean([same(asked, p) for p in versions]))
        shift = float(np.mean([shifted(asked.before, p, several=not single) for p in versions]))
        found.append(Fall(cue, before, before - fall, fall, float(lo[c]), float(hi[c]), stays, shift, own, n, least))
    return found


def right(asked: Asked, p: ArrayLike) -> NDArray[np.float64]:
    """(n,) the figure of each song, 0..1."""
    p, member = np.asarray(p, dtype=float), np.asarray(asked.target, dtype=bool)
    if asked.thresholds is None:
        return member[np.arange(len(p)), p.argmax(1)].astype(float)
    return lrap(member, p)


def same(asked: Asked, p: ArrayLike) -> NDArray[np.bool_]:
    """(n,) whether the same is said as before."""
    p = np.asarray(p, dtype=float)
    if asked.thresholds is None:
        return p.argmax(1) == asked.before.argmax(1)
    return ((p > asked.thresholds) == (asked.before > asked.thresholds)).all(1)


def shifted(before: ArrayLike, after: ArrayLike, *, several: bool) -> NDArray[np.float64]:
    """(n,) the Jensen-Shannon divergence of two answers, bits, 0..1; of several genres the mean over them."""
    p, q = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if several:
        p, q = np.stack([p, 1 - p], 2), np.stack([q, 1 - q], 2)  # (n, K, 2): is it, or is it not
    m = (p + q) / 2

    def towards_m(x: NDArray) -> NDArray:
        return np.where(x > 0, x * np.log2(np.maximum(x, SHIFT_CLIP) / np.maximum(m, SHIFT_CLIP)), 0).sum(-1)

    found = (towards_m(p) + towards_m(q)) / 2
    return found.mean(1) if several else found


def simultaneous(at: ArrayLike, drawn: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of 95 % intervals that hold for all C figures at once. at: (C,); drawn: (n_boot, C), NaN where nothing
    can be said."""
    point, draws = np.asarray(at, dtype=float), np.asarray(drawn, dtype=float)
    there = draws[np.isfinite(draws).all(1)]
    if not len(there):
        return np.full(len(point), np.nan), np.full(len(point), np.nan)
    error = there.std(0)
    off = np.divide(np.abs(there - point), error, out=np.zeros_like(there), where=error > 0)
    wide = np.quantile(off.max(1), LEVEL) * error
    return point - wide, point + wide


def _of_genres(values: NDArray, member: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """(W, K, C) weighted means of (n, C) values over the songs of each genre (n, K)."""
    total = np.stack([weights @ (values * m[:, None]) for m in member.T], 1)
    count = weights @ member.astype(float)  # (W, K)
    return np.divide(total, count[..., None], out=np.full(total.shape, np.nan), where=count[..., None] > 0)


def _in_all(values: NDArray, member: NDArray, weights: NDArray, single: bool) -> NDArray[np.float64]:
    """(W, C): every genre counts alike; where a song may have several, every song."""
    if not single:
        return weights @ values / weights.sum(1, keepdims=True)
    genres = _of_genres(values, member, weights)
    there = np.isfinite(genres)
    n = there.sum(1)
    return np.divide(np.where(there, genres, 0).sum(1), n, out=np.full(n.shape, np.nan), where=n > 0)


def _n_groups_min(member: NDArray, groups: ArrayLike) -> int:
    """The number of groups in the genre that has the fewest, among those that occur."""
    g = group_indices(groups)
    return min(len(np.unique(g[m])) for m in member.T if m.any())


@dataclass(frozen=True)
class Reading:
    """How well something is read off the embeddings of songs that the reader has not seen: balanced accuracy."""

    what: str  # studio, artist, genre
    reached: float
    lo: float
    hi: float
    chance: float
    by_genre: float  # what a reader reaches that is told the song's true genre and nothing else; NaN of genre itself
    held_out: str  # what the reader's songs share with none that it is asked about
    n: int
    n_classes: int


def reading(
    what: str,
    z: ArrayLike,
    value: ArrayLike,
    held: ArrayLike,
    held_out: str,
    genre: ArrayLike,
    space: ArrayLike,
    *,
    n_boot: int,
    seed: int,
) -> Reading | None:
    """Logistic regression on (n, D) embeddings, cross-validated with whole `held` (n,) left out; None where there are
    no two values with two of those each.

    value: (n,) strings; genre: (n,) numbers; space: (n,) which model an embedding is of: each is read by itself.
    """
    z, value, held, genre, space = (np.asarray(x) for x in (z, value, held, genre, space))
    used, hit, hit_by_genre, chances = [], [], [], []
    for s in np.unique(space):
        rows = np.flatnonzero(space == s)
        often = [v for v in np.unique(value[rows]) if len(np.unique(held[rows][value[rows] == v])) > 1]
        rows = rows[np.isin(value[rows], often)]
        if len(often) < 2:
            continue
        chances += [1 / len(often)] * len(rows)
        used.append(rows)
        told = np.eye(int(genre.max()) + 1)[genre[rows]]
        hit.append(_read(z[rows], value[rows], held[rows], seed))
        hit_by_genre.append(_read(told, value[rows], held[rows], seed))
    if not used:
        return None
    rows = np.concatenate(used)
    member = value[rows][:, None] == np.unique(value[rows])
    weights = group_weights(held[rows], None, n_boot, seed)

    def balanced(hits: list[NDArray], w: NDArray) -> NDArray:
        return _in_all(np.concatenate(hits)[:, None].astype(float), member, w, single=True)[:, 0]

    ones = np.ones((1, len(rows)))
    reached = float(balanced(hit, ones)[0])
    lo, hi = percentile_interval(balanced(hit, weights), reached)
    told_of = float("nan") if what == "genre" else float(balanced(hit_by_genre, ones)[0])
    return Reading(what, reached, lo, hi, float(np.mean(chances)), told_of, held_out, len(rows), member.shape[1])


def _read(x: NDArray, value: NDArray, held: NDArray, seed: int) -> NDArray[np.bool_]:
    """(n,) whether each value is read right by a reader that was not taught on its held group."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fewest = min(len(np.unique(held[value == v])) for v in np.unique(value))
    folds = StratifiedGroupKFold(min(N_FOLDS, max(2, fewest)), shuffle=True, random_state=seed)
    said = np.empty(len(value), dtype=value.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer members than folds, of a fit that could go on
        for taught, asked in folds.split(x, value, held):
            if len(np.unique(value[taught])) < 2:
                said[asked] = value[taught][0]
                continue
            reader = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=500))
            said[asked] = reader.fit(x[taught], value[taught]).predict(x[asked])
    return said == value
