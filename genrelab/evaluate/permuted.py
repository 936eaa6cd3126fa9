"""Could chance have made the difference? The answers of whole groups change sides between two runs.

Were the two equally good, then of every group it would be chance which answers are whose (Fisher's permutation test;
for single songs and accuracy it is McNemar's exact test). All outcomes are counted where they are few; else they are
drawn, and p = (1 + as far) / (1 + drawn), which is never 0 (Phipson & Smyth 2010, Permutation p-values should never be
zero, Statistical Applications in Genetics and Molecular Biology 9, 39). Over several comparisons: Holm 1979, A simple
sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 65-70.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from genrelab.evaluate.tested import Pair, Tested

N_SWAPS = 10_000  # drawn, where the metric is a sum over songs
EXACT = 100_000  # outcomes up to which all are counted
SAME = 1e-9  # two sums of the same shares in another order
CHUNK = 4_000_000  # signs held at once
WORK = 4_000_000  # songs x genres x swaps of a ranking: what takes about a third of a second
LEAST_SWAPS, SWAPS_EACH = 200, 25  # at least, and for each comparison: Holm's smallest p can still be below .05


def swapped(
    blocks: Sequence[Tested],
    pairs: Sequence[Pair],
    names: NDArray,
    points: float,
    rng: np.random.Generator,
    n_comparisons: int = 1,
) -> tuple[float, bool, int]:
    """The p-value of groups that change sides in all pairs at once, whether it is exact, and how many groups count.

    names: of the groups of all blocks of the pairs, sorted; points: the difference; n_comparisons: judged together.
    """
    at = [np.searchsorted(names, np.unique(np.asarray(blocks[p.block].groups).astype(str))) for p in pairs]
    gained = [blocks[p.block].gains(p.a, p.b) for p in pairs]
    if all(g is not None for g in gained):
        by_group = np.zeros(len(names))
        for pair, own, gain in zip(pairs, at, gained, strict=True):
            by_group[own] += np.bincount(blocks[pair.block].of_group, gain) / len(pairs)
        by_group[np.abs(by_group) < SAME] = 0.0
        return *sign_flip(by_group, rng), int(np.count_nonzero(by_group))
    n_free = len(names)
    exact = 2**n_free <= LEAST_SWAPS
    if exact:
        kept = (np.arange(2**n_free)[:, None] >> np.arange(n_free)) % 2 == 0
    else:
        work = sum(np.asarray(blocks[p.block].truth).size for p in pairs)
        n_swaps = int(np.clip(WORK / work, max(LEAST_SWAPS, SWAPS_EACH * n_comparisons), N_SWAPS))
        kept = rng.random((n_swaps, n_free)) < 0.5
    told = [blocks[p.block].swapped(p.a, p.b, kept[:, own]) for p, own in zip(pairs, at, strict=True)]
    as_far = int((np.abs(np.mean(told, axis=0)) >= abs(points) - SAME).sum())
    return (as_far / len(kept) if exact else (1 + as_far) / (1 + len(kept))), exact, n_free


def sign_flip(gains: ArrayLike, rng: np.random.Generator) -> tuple[float, bool]:
    """The two-sided p-value of the sum of gains (G,), each as likely positive as negative; and whether it is exact."""
    from scipy.stats import binom

    size = np.abs(np.asarray(gains, dtype=float))
    size = size[size > SAME]
    reached = abs(float(np.sum(gains))) - SAME
    values, times = np.unique(np.round(size, 12), return_counts=True)
    if np.log2(times + 1).sum() <= math.log2(EXACT):  # groups of one size are interchangeable
        sums, chance = np.zeros(1), np.ones(1)
        for value, n in zip(values, times, strict=True):
            k = np.arange(n + 1)
            sums = (sums[:, None] + value * (2 * k - n)).ravel()
            chance = (chance[:, None] * binom.pmf(k, n, 0.5)).ravel()
        return min(1.0, float(chance[np.abs(sums) >= reached].sum())), True
    as_far, step = 0, max(1, CHUNK // len(size))
    for start in range(0, N_SWAPS, step):
        signs = rng.integers(0, 2, (min(step, N_SWAPS - start), len(size)), dtype=np.int8)
        as_far += int((np.abs((2.0 * signs - 1) @ size) >= reached).sum())
    return (1 + as_far) / (1 + N_SWAPS), False


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's adjusted p-values, in the order given; NaN is no comparison and stays NaN."""
    given = np.asarray(p, dtype=float)
    adjusted = np.full(len(given), np.nan)
    there = np.flatnonzero(~np.isnan(given))
    order = there[np.argsort(given[there])]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted
