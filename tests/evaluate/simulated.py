"""Runs whose true difference is known: songs by groups, that are hard or easy for every run and for each of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from genrelab.evaluate.paired import Compared, compare
from genrelab.evaluate.tested import Decided, Pair

OF_GROUP, OF_RUN_ON_GROUP, OF_SONG, OF_RUN_ON_SONG = 1.0, 0.5, 1.0, 0.8  # standard deviations of what makes songs hard


@dataclass(frozen=True)
class World:
    """A run is right with the chance `reached` where the arm is the first, `reached` - `better` in every other one."""

    genres: int = 4
    groups: int = 12  # tested a genre
    songs: int = 3  # a group, on average; 1: in every one
    arms: int = 2
    seeds: int = 1
    pool: int = 0  # groups a genre of which every seed tests its own; 0: all test the same
    luck: float = 0.0  # standard deviation of a run's skill over seeds, where that of a song's hardness is 1.7
    better: float = 0.1
    reached: float = 0.69

    def drawn(self, rng: np.random.Generator) -> tuple[list[Decided], list[list[int]]]:
        """A block of runs for each split, and the arm of each run."""
        k, n = self.genres, max(self.pool, self.groups)
        sizes = rng.geometric(1 / self.songs, k * n) if self.songs > 1 else np.ones(k * n, int)
        genre = np.repeat(np.arange(k), n)
        group = np.repeat(np.arange(k * n), sizes)
        hard = rng.normal(0, OF_GROUP, k * n)[group] + rng.normal(0, OF_SONG, len(group))
        own = rng.normal(0, OF_RUN_ON_GROUP, (self.arms, k * n))[:, group]
        spread = np.sqrt(OF_GROUP**2 + OF_SONG**2 + OF_RUN_ON_GROUP**2 + OF_RUN_ON_SONG**2 + self.luck**2)
        skill = spread * norm.ppf(
            np.full((self.arms, 1), self.reached) - self.better * np.arange(self.arms).clip(0, 1)[:, None]
        )
        blocks, arms = [], list(range(self.arms))
        tested = np.concatenate([h * n + rng.permutation(n)[: self.groups] for h in range(k)])
        for _ in range(self.seeds):
            if self.pool:
                tested = np.concatenate([h * n + rng.permutation(n)[: self.groups] for h in range(k)])
            rows = np.isin(group, tested)
            level = skill + rng.normal(0, self.luck, (self.arms, 1))
            right = level + hard[rows] + own[:, rows] + rng.normal(0, OF_RUN_ON_SONG, (self.arms, rows.sum())) > 0
            truth = genre[group[rows]]
            said = np.where(right, truth, (truth + 1) % k) if k > 1 else np.where(right, 0, 1)
            blocks.append(Decided(group[rows].astype(str), truth, said, k, "balanced_accuracy"))
        if self.pool:
            return blocks, [arms] * self.seeds
        first = blocks[0]
        together = np.concatenate([b.decided for b in blocks])
        return [Decided(first.groups, first.truth, together, k, first.metric)], [arms * self.seeds]

    def compared(self, rng: np.random.Generator, n_boot: int = 400) -> list[Compared]:
        """The first arm less every other one."""
        blocks, arms = self.drawn(rng)
        places = [(i, j * self.arms) for i, own in enumerate(arms) for j in range(len(own) // self.arms)]
        asked = [[Pair(i, start, start + other) for i, start in places] for other in range(1, self.arms)]
        return compare(blocks, arms, asked, n_boot=n_boot, seed=int(rng.integers(1 << 31)))


def coverage(world: World, n_runs: int, seed: int = 0) -> float:
    """How often the interval of the first comparison holds the true difference."""
    return sum(_held(world, (seed, r)) for r in range(n_runs)) / n_runs


def _held(world: World, key: tuple[int, ...]) -> bool:
    found = world.compared(np.random.default_rng(key))[0]
    return found.lo - 1e-9 <= world.better <= found.hi + 1e-9
