"""95 % intervals of the metrics, and of the difference of two runs: a bootstrap over groups of songs.

Songs of one artist (or album, or recording) resemble each other, so a test set of 200 songs by 10 artists holds far
less than 200 independent answers. What is resampled is therefore the group, whole: its songs, and their slices, come
along as they are. Resampling the songs again within the drawn groups would count the variance between songs twice,
since the spread of the group figures already holds it (Davison & Hinkley 1997, Bootstrap Methods and their
Application, section 3.8: of the two strategies, leaving the second stage as it is comes closer to the true variance).

Where every group lies in one genre, groups are drawn within each genre, so that a resample never loses a genre.
From n groups n - 1 are drawn and weighted by n / (n - 1): drawing n would make the variance (n - 1) / n of what it
should be, half of it with two groups (Rao & Wu 1988, Resampling inference with complex survey data, JASA 83, 231-241).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.groups import group_indices
from genrelab.evaluate.metrics import METRICS, class_indices, confusion, from_confusion
from genrelab.evaluate.weighted import LEVEL, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NOTHING = (float("nan"), float("nan"))  # the interval of what cannot be said
FEW_GROUPS = 5  # with fewer in a genre the word is "unreliable"
CHUNK = 4_000_000  # weights drawn at once: 32 MB


@dataclass(frozen=True)
class Interval:
    """A 95 % interval; [NaN, NaN] where no genre has two groups, so that nothing can be said."""

    lo: float
    hi: float
    n_groups_min: int  # the number of groups in the genre that has the fewest

    @property
    def reliable(self) -> bool:
        return self.n_groups_min >= FEW_GROUPS


@dataclass(frozen=True)
class Predictions:
    """What one run decided on its test songs (or slices: then the group is at least the song)."""

    ids: Sequence[str]  # (n,), each once
    truth: NDArray  # (n,) 0..K-1
    decided: NDArray  # (n,) 0..K, where K is "no tag"
    groups: NDArray  # (n,) which rows belong together
    n_classes: int

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.truth), len(self.decided), len(self.groups)}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(
                f"ids, truth, decided and groups hold {sorted(lengths)} rows: expected as many, at least 1"
            )
        if len(set(self.ids)) < len(self.ids):
            raise ValueError("an id occurs twice: expected each row once")


@dataclass(frozen=True)
class Difference:
    """A metric of run a less that of run b, with its 95 % interval."""

    metric: str
    points: float  # -1..1; 0.041 is said as 4.1 points
    lo: float
    hi: float
    paired: bool  # on the same songs
    n: int  # songs of a; of both, where paired
    n_other: int  # songs of b
    n_groups_min: int  # over both

    @property
    def reliable(self) -> bool:
        return self.n_groups_min >= FEW_GROUPS


def bootstrap(
    truth: ArrayLike,
    decided: ArrayLike,
    groups: ArrayLike,
    n_classes: int,
    *,
    n_boot: int,
    seed: int,
    weights: ArrayLike | None = None,
) -> dict[str, Interval]:
    """The 95 % percentile interval of every metric, by a bootstrap over whole groups (see the module).

    truth: (n,) 0..K-1; decided: (n,) 0..K; groups: (n,) strings or numbers, for slices the group (else the song) that
    each belongs to; weights: (n,), 1 each where not given. The interval is widened where need be to hold its point.
    A genre with one group adds no variance: see `Interval.reliable`.
    """
    t = class_indices(truth, n_classes, "truth")
    d = class_indices(decided, n_classes + 1, "decided")
    g = group_indices(groups)
    _same_length(t, d, g)
    w = np.ones(len(t)) if weights is None else np.asarray(weights, dtype=float)
    n_groups_min = _n_groups_min(t, g)
    point = from_confusion(confusion(t, d, n_classes, w, no_tag=True))
    drawn = _resampled(t, d[None], g, n_classes, n_boot=n_boot, rng=np.random.default_rng(seed), w=w)
    if drawn is None:
        return {name: Interval(float("nan"), float("nan"), n_groups_min) for name in METRICS}
    figures = from_confusion(drawn[:, 0])
    return {name: Interval(*percentile_interval(figures[name], float(point[name])), n_groups_min) for name in METRICS}


def difference(a: Predictions, b: Predictions, metric: str, *, n_boot: int, seed: int) -> Difference:
    """metric(a) - metric(b), 0..1, with its 95 % percentile interval, widened where need be to hold its point.

    Paired where both hold the same ids: one draw of groups serves both, so that what is hard for both cancels. Where
    the two group the songs differently, songs that either holds together stay together; where that leaves too few
    groups, as with artists that go from studio to studio, see `_crossed`. Otherwise each is resampled by itself, which
    is too wide rather than too narrow where some songs are shared.
    """
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r}: expected one of {', '.join(METRICS)}")
    rng = np.random.default_rng(seed)
    sides = [_Side.of(a), _Side.of(b)]
    points = sides[0].figure(metric) - sides[1].figure(metric)
    paired = set(a.ids) == set(b.ids)
    if paired:
        n_groups_min, (lo, hi) = _paired(a, b, sides, metric, points, n_boot=n_boot, rng=rng)
    else:
        n_groups_min = min(_n_groups_min(side.truth, side.groups) for side in sides)
        one, two = (side.drawn(metric, n_boot, rng) for side in sides)
        lo, hi = NOTHING if one is None or two is None else percentile_interval(one - two, points)
    return Difference(metric, points, lo, hi, paired, len(a.ids), len(b.ids), n_groups_min)


@dataclass(frozen=True)
class _Side:
    """Predictions as indices."""

    truth: NDArray
    decided: NDArray
    groups: NDArray
    n_classes: int

    @classmethod
    def of(cls, p: Predictions) -> _Side:
        t = class_indices(p.truth, p.n_classes, "truth")
        return cls(t, class_indices(p.decided, p.n_classes + 1, "decided"), group_indices(p.groups), p.n_classes)

    def figure(self, metric: str) -> float:
        return float(from_confusion(confusion(self.truth, self.decided, self.n_classes, no_tag=True))[metric])

    def drawn(self, metric: str, n_boot: int, rng: np.random.Generator) -> NDArray | None:
        ones = np.ones(len(self.truth))
        c = _resampled(self.truth, self.decided[None], self.groups, self.n_classes, n_boot=n_boot, rng=rng, w=ones)
        return None if c is None else from_confusion(c[:, 0])[metric]


def _paired(
    a: Predictions,
    b: Predictions,
    sides: list[_Side],
    metric: str,
    points: float,
    *,
    n_boot: int,
    rng: np.random.Generator,
) -> tuple[int, tuple[float, float]]:
    """The smallest number of groups in a genre, and the interval of the difference under draws that serve both."""
    one, two = sides
    row_of = {song: row for row, song in enumerate(b.ids)}
    order = np.asarray([row_of[song] for song in a.ids])
    if one.n_classes != two.n_classes or not np.array_equal(one.truth, two.truth[order]):
        raise ValueError("the same ids have other true genres in the two sets: expected one labelling")
    ways = one.groups, two.groups[order]
    both = np.stack([one.decided, two.decided[order]])

    def drawn(groups: NDArray) -> NDArray | None:
        """(n_boot,) differences."""
        c = _resampled(one.truth, both, groups, one.n_classes, n_boot=n_boot, rng=rng, w=np.ones(len(groups)))
        return None if c is None else from_confusion(c)[metric] @ np.array([1.0, -1.0])

    groups = _joined(*ways)
    least = _n_groups_min(one.truth, groups)
    is_nested = int(groups.max()) in (int(g.max()) for g in ways)
    if least < FEW_GROUPS and not is_nested:
        return min(_n_groups_min(one.truth, g) for g in ways), _crossed(ways, drawn, points)
    found = drawn(groups)
    return least, NOTHING if found is None else percentile_interval(found, points)


def _crossed(
    ways: tuple[NDArray, NDArray], drawn: Callable[[NDArray], NDArray | None], points: float
) -> tuple[float, float]:
    """The interval where two groupings cross: the variance by the one and by the other, less that of what lies in the
    same group of both, which each of them holds; Student's t with as many degrees of freedom as the coarser one has
    groups less one (Cameron, Gelbach & Miller 2011, Robust inference with multiway clustering, JBES 29, 238-249)."""
    from scipy.stats import t

    cells = np.unique(np.stack(ways, 1), axis=0, return_inverse=True)[1].ravel()
    found = [drawn(groups) for groups in (*ways, cells)]
    if any(f is None for f in found):
        return NOTHING
    one, two, within = (float(np.var(f, ddof=1)) for f in found if f is not None)
    error = float(np.sqrt(max(one + two - within, one, two)))
    half = float(t.ppf((1 + LEVEL) / 2, min(int(g.max()) for g in ways))) * error
    return max(-1.0, points - half), min(1.0, points + half)


def _resampled(
    truth: NDArray,
    decided: NDArray,
    groups: NDArray,
    n_classes: int,
    *,
    n_boot: int,
    rng: np.random.Generator,
    w: NDArray,
) -> NDArray[np.float64] | None:
    """Confusion matrices of resampled groups; None where no stratum has two groups.

    truth: (n,); decided: (M, n), M sets of decisions on the same rows; groups: (n,) 0..G-1; w: (n,).
    Returns (n_boot, M, K, K + 1).
    """
    m, k = len(decided), n_classes
    genre_of = np.full(int(groups.max()) + 1, -1)
    genre_of[groups] = truth
    nested = bool((genre_of[groups] == truth).all())  # no row contradicts the genre of its group's last row
    out = np.zeros((n_boot, m, k, k + 1))
    varies = False
    for genre in np.unique(truth) if nested else [None]:
        rows = np.flatnonzero(truth == genre) if nested else np.arange(len(truth))
        local = np.unique(groups[rows], return_inverse=True)[1]
        n_groups = int(local.max()) + 1
        n_true = 1 if nested else k  # within one genre a single line of the matrix is filled
        line = np.zeros(len(rows), dtype=np.intp) if nested else truth[rows]
        size = n_true * (k + 1)
        counts = np.stack(
            [
                np.bincount(local * size + line * (k + 1) + d[rows], weights=w[rows], minlength=n_groups * size)
                for d in decided
            ]
        )  # (M, G * size)
        counts = counts.reshape(m, n_groups, size).transpose(1, 0, 2).reshape(n_groups, -1)
        varies |= n_groups > 1
        drawn = _drawn_sums(counts, n_boot, rng).reshape(n_boot, m, n_true, k + 1)
        if nested:
            out[:, :, genre] = drawn[:, :, 0]
        else:
            out += drawn
    return out if varies else None


def _drawn_sums(counts: NDArray, n_boot: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sums over groups drawn with replacement. counts: (G, cells) -> (n_boot, cells)."""
    n = len(counts)
    if n == 1:
        return np.repeat(counts, n_boot, axis=0)
    # groups with the same counts are interchangeable, so they are drawn as one: 100,000 single slices become K cells
    patterns, times = np.unique(counts, axis=0, return_counts=True)
    out = np.empty((n_boot, counts.shape[1]))
    step = max(1, CHUNK // len(patterns))
    for start in range(0, n_boot, step):
        stop = min(start + step, n_boot)
        drawn = rng.multinomial(n - 1, times / n, size=stop - start)  # (chunk, patterns)
        out[start:stop] = drawn.astype(float) @ patterns
    return out * (n / (n - 1))


def _n_groups_min(truth: NDArray, groups: NDArray) -> int:
    """The number of groups in the genre that has the fewest, among the genres that occur."""
    pairs = np.unique(np.stack([truth, groups]), axis=1)
    return int(np.unique(pairs[0], return_counts=True)[1].min())


def _joined(a: NDArray, b: NDArray) -> NDArray[np.intp]:
    """(n,) groups in which rows stay together that either grouping holds together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n_a, n_b = int(a.max()) + 1, int(b.max()) + 1
    links = coo_array((np.ones(len(a)), (a, n_a + b)), shape=(n_a + n_b, n_a + n_b))
    return connected_components(links, directed=False)[1][a].astype(np.intp)


def _same_length(*arrays: NDArray) -> None:
    if len({len(a) for a in arrays}) > 1:
        raise ValueError(f"truth, decided and groups hold {[len(a) for a in arrays]} rows: expected as many")
