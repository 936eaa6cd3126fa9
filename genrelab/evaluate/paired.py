"""Differences of runs on the same test songs: interval, test, and what so many songs could have shown at all.

**Interval.** The standard error comes from the bootstrap of `intervals`: whole groups are drawn, within genres, once
for all runs, so that what is hard for both cancels. Songs are not drawn again within their groups (see there why). The
interval is the difference -+ t times that error, Student's t with as many degrees of freedom as there are groups less
the genres that they are drawn within. Percentiles would take the error for known and be too narrow where groups are few
(Hesterberg 2015, What teachers should know about the bootstrap, The American Statistician 69, 371-386). How often the
interval holds the truth was measured: COVERAGE.

**Test.** The answers of whole groups change sides, and **several comparisons** are judged together: see `permuted`.

**Several seeds.** Two trained models may differ by the luck of their seeds. Runs of one arm, equal but for the seed,
are one draw each of what training gives (a random effect): figure = arm + split + luck. The variance of luck is what
the runs scatter around arms and splits, less what the choice of test groups alone would scatter (moments, as in
DerSimonian & Laird 1986, Controlled Clinical Trials 7, 177-188). It is taken to be the same for every arm, since two
seeds of one say next to nothing about it. Groups keep their name from split to split, so that what is tested under
several seeds is one draw and not several. Added to the variance of the groups, luck gives the error; degrees of freedom
by Satterthwaite (1946, Biometrics Bulletin 2, 110-114); the p-value is that of the interval. Swapping groups would
answer another question: whether these trained models differ, not the arms. It is kept as `p_songs`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.coverage import covered
from genrelab.evaluate.groups import group_indices
from genrelab.evaluate.intervals import FEW_GROUPS
from genrelab.evaluate.permuted import SAME, holm, swapped
from genrelab.evaluate.weighted import LEVEL, group_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genrelab.evaluate.tested import Pair, Tested

ALPHA = 1 - LEVEL
WORK, LEAST_DRAWS = 25_000_000, 500  # songs x genres x draws of a ranking, which is slow: an error known to 3 %
POWER = 0.8  # of the smallest difference that could have been seen


@dataclass(frozen=True)
class Compared:
    """The mean of metric(a) - metric(b) over the pairs of a comparison, -1..1; 0.041 is said as 4.1 points."""

    points: float
    se: float
    df: float
    lo: float  # NaN, with hi and se, where no genre has two groups
    hi: float
    p: float  # two-sided
    p_holm: float
    p_songs: float  # of these trained models: the answers of whole groups change sides
    exact: bool  # all outcomes of that were counted
    songs_lo: float  # of these trained models: without the luck of the seeds
    songs_hi: float
    detectable: float  # the smallest difference that is seen with a power of 80 %
    n_songs: int
    n_groups: int
    n_groups_min: int  # in the genre that has the fewest
    n_strata: int  # genres within which groups were drawn; 1: groups do not lie in one genre each
    n_differing: int  # groups on which the runs do not gain the same
    n_pairs: int
    seed_sd: float  # of a run's metric over seeds, 0..1; NaN where no arm has a second run

    @property
    def reliable(self) -> bool:
        return self.n_groups_min >= FEW_GROUPS

    @property
    def seeds(self) -> bool:
        """Whether the luck of the seeds is in the interval and in p."""
        return not math.isnan(self.seed_sd)

    @property
    def coverage(self) -> float | None:
        """How often such intervals hold the truth; None for a genre with one group, which adds no error."""
        return covered(self.n_strata, self.n_groups if self.n_strata == 1 else self.n_groups_min)

    @property
    def told_apart(self) -> bool:
        """Both the interval and the test, among all comparisons, say that there is a difference."""
        return bool(self.p_holm <= ALPHA + SAME and (self.lo > 0 or self.hi < 0))


def compare(
    blocks: Sequence[Tested],
    arms: Sequence[Sequence[int]],
    comparisons: Sequence[Sequence[Pair]],
    *,
    n_boot: int,
    seed: int,
) -> list[Compared]:
    """Each comparison, its p-value among all of them (`among`).

    blocks: the runs of each split, all with the same metric and genres; arms: of every block, the arm of each of its
    runs; comparisons: the pairs whose mean difference is asked for.
    """
    drawn = _Drawn.of(blocks, n_boot, seed)
    luck = _Luck.of(drawn, np.concatenate([np.asarray(a) for a in arms]))
    swaps = np.random.default_rng(seed)
    return among([_one(blocks, drawn, luck, pairs, swaps, len(comparisons)) for pairs in comparisons])


def among(found: Sequence[Compared]) -> list[Compared]:
    """The same comparisons with p-values by Holm over all of them."""
    adjusted = holm([c.p for c in found])
    return [replace(c, p_holm=float(p)) for c, p in zip(found, adjusted, strict=True)]


@dataclass(frozen=True)
class _Drawn:
    """The figures of all R runs, as they are and under the same B draws of groups."""

    points: NDArray  # (R,)
    figures: NDArray  # (B, R)
    block: NDArray  # (R,)
    start: NDArray  # (blocks,) the first run of each

    @classmethod
    def of(cls, blocks: Sequence[Tested], n_boot: int, seed: int) -> _Drawn:
        keys = [np.unique(np.asarray(b.groups).astype(str)) for b in blocks]
        names = np.unique(np.concatenate(keys))
        strata, _ = _strata(blocks, names)
        truth = np.asarray(blocks[0].truth)
        if truth.ndim > 1:
            n_boot = min(n_boot, max(LEAST_DRAWS, WORK // truth.size))
        weights = group_weights(names, strata, n_boot, seed)
        ones = np.ones((1, len(names)))
        points, figures, block = [], [], []
        for i, (b, own) in enumerate(zip(blocks, keys, strict=True)):
            at = np.searchsorted(names, own)
            points.append(b.figures(ones[:, at])[0])
            figures.append(b.figures(weights[:, at]))
            block += [i] * len(points[-1])
        start = np.cumsum([0, *(len(p) for p in points[:-1])])
        flat = np.concatenate(points), np.concatenate(figures, axis=1)
        return cls(*flat, np.array(block), start)


def _strata(blocks: Sequence[Tested], names: NDArray) -> tuple[NDArray | None, NDArray]:
    """The genre of each group where every song has one genre and every group one; and how many groups a genre has."""
    held = [(np.searchsorted(names, np.asarray(b.groups).astype(str)), np.asarray(b.truth)) for b in blocks]
    if held[0][1].ndim == 1:
        both = np.concatenate([np.stack([g, t]) for g, t in held], axis=1)
        pairs = np.unique(both, axis=1)
        counts = np.bincount(pairs[1])
        if len(pairs[0]) == len(names):
            return pairs[1], counts[counts > 0]
        return None, counts[counts > 0]
    there = np.zeros((len(names), held[0][1].shape[1]), dtype=bool)
    for g, t in held:
        np.logical_or.at(there, g, t)
    counts = there.sum(0)
    return None, counts[counts > 0]


@dataclass(frozen=True)
class _Luck:
    """What the runs scatter around arms and splits, beyond what the choice of test groups scatters them."""

    variance: float  # NaN where no arm has a second run
    spread: float  # the mean square that it was taken from
    df: int

    @property
    def sd(self) -> float:
        return math.sqrt(self.variance) if self.df else float("nan")

    @classmethod
    def of(cls, drawn: _Drawn, arm: NDArray) -> _Luck:
        arms, blocks = group_indices(arm), drawn.block
        design = np.hstack([np.eye(arms.max() + 1)[arms], np.eye(blocks.max() + 1)[blocks]])
        df = len(arms) - int(np.linalg.matrix_rank(design))
        if not df:
            return cls(float("nan"), float("nan"), 0)
        rest = np.eye(len(arms)) - design @ np.linalg.pinv(design)
        spread = float(((rest @ drawn.points) ** 2).sum() / df)
        moved = (drawn.figures - drawn.figures.mean(0)) @ rest
        by_groups = float((moved**2).sum(1).mean() / df)
        return cls(max(0.0, spread - by_groups), spread, df)


@dataclass(frozen=True)
class _Error:
    """Of a weighted sum of the runs' figures."""

    at: float
    se: float
    df: float
    groups_se: float  # without the luck of the seeds
    groups_df: float
    n_strata: int
    counts: NDArray  # (genres,) groups of each
    names: NDArray  # of the groups

    @classmethod
    def of(cls, own: Sequence[Tested], drawn: _Drawn, luck: _Luck, share: NDArray) -> _Error:
        """own: the blocks of the runs that have a share, (R,)."""
        names = np.unique(np.concatenate([np.asarray(b.groups).astype(str) for b in own]))
        strata, counts = _strata(own, names)
        n_strata = 1 if strata is None else len(counts)
        by_groups = variance = float((drawn.figures @ share).var(ddof=1))
        df = groups_df = float(max(len(names) - n_strata, 1))
        if luck.df:
            weight = float((share**2).sum())
            variance += weight * luck.variance
            # the spread, not the variance: that nothing was left of it does not mean that it is known to be nothing
            unsure = by_groups**2 / df + min(weight * luck.spread, variance) ** 2 / luck.df
            df = max(1.0, variance**2 / unsure) if unsure > 0 else df
        at = float(drawn.points @ share)
        return cls(at, math.sqrt(variance), df, math.sqrt(by_groups), groups_df, n_strata, counts, names)


def reached(
    blocks: Sequence[Tested], arms: Sequence[Sequence[int]], *, n_boot: int, seed: int
) -> dict[int, tuple[float, float, float]]:
    """Of each arm the mean metric of its runs, 0..1, and the ends of its interval; arguments as `compare`."""
    drawn = _Drawn.of(blocks, n_boot, seed)
    of_run = np.concatenate([np.asarray(a) for a in arms])
    luck = _Luck.of(drawn, of_run)
    found = {}
    for arm in np.unique(of_run):
        share = (of_run == arm) / (of_run == arm).sum()
        error = _Error.of([blocks[i] for i in np.unique(drawn.block[of_run == arm])], drawn, luck, share)
        lo, hi = _interval(error.at, error.se, error.df)
        found[int(arm)] = error.at, float(np.clip(lo, 0, 1)), float(np.clip(hi, 0, 1))
    return found


def _one(
    blocks: Sequence[Tested],
    drawn: _Drawn,
    luck: _Luck,
    pairs: Sequence[Pair],
    rng: np.random.Generator,
    n_comparisons: int,
) -> Compared:
    from scipy.stats import t

    share = np.zeros(len(drawn.points))
    for pair in pairs:
        share[drawn.start[pair.block] + pair.a] += 1 / len(pairs)
        share[drawn.start[pair.block] + pair.b] -= 1 / len(pairs)
    own = [blocks[i] for i in dict.fromkeys(pair.block for pair in pairs)]
    error = _Error.of(own, drawn, luck, share)
    p_songs, exact, n_differing = swapped(blocks, pairs, error.names, error.at, rng, n_comparisons)
    p = _p_of(error.at, error.se, error.df) if luck.df else p_songs
    lo, hi = _interval(error.at, error.se, error.df)
    songs_lo, songs_hi = _interval(error.at, error.groups_se, error.groups_df)
    return Compared(
        points=error.at,
        se=error.se,
        df=error.df,
        lo=lo,
        hi=hi,
        p=p,
        p_holm=p,
        p_songs=p_songs,
        exact=exact,
        songs_lo=songs_lo,
        songs_hi=songs_hi,
        detectable=float(t.ppf(1 - ALPHA / 2, error.df) + t.ppf(POWER, error.df)) * error.se,
        n_songs=sum(len(b.groups) for b in own),
        n_groups=len(error.names),
        n_groups_min=int(error.counts.min()),
        n_strata=error.n_strata,
        n_differing=n_differing,
        n_pairs=len(pairs),
        seed_sd=luck.sd,
    )


def _interval(points: float, se: float, df: float) -> tuple[float, float]:
    from scipy.stats import t

    half = t.ppf(1 - ALPHA / 2, df) * se
    return float(np.clip(points - half, -1, 1)), float(np.clip(points + half, -1, 1))


def _p_of(points: float, se: float, df: float) -> float:
    from scipy.stats import t

    if se > 0:
        return float(2 * t.sf(abs(points) / se, df))
    return float("nan") if math.isnan(se) or abs(points) > SAME else 1.0
