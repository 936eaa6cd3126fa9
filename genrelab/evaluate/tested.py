"""What several runs said of the same test songs, and their figure where songs are weighted or swapped between two runs.

`M` runs, `n` songs in `G` groups, `K` genres, `W` weightings. Songs are weighted and swapped by the group, whole (see
`intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from genrelab.evaluate import metrics, multilabel
from genrelab.evaluate.groups import group_indices

if TYPE_CHECKING:
    from numpy.typing import NDArray

ADDITIVE = ("accuracy", "balanced_accuracy", "lrap")  # sums over songs, whichever run each of them is told by
CHUNK = 400_000  # figures held at once: what lies near the processor is summed faster


@dataclass(frozen=True)
class Pair:
    """Runs a and b of one of the blocks, by their places in it."""

    block: int
    a: int
    b: int


class Tested(Protocol):
    """The answers of M runs of one split."""

    @property
    def groups(self) -> NDArray:
        """(n,) the group of each song."""

    @property
    def truth(self) -> NDArray:
        """(n,) 0..K-1, or (n, K) bool where a song may have several genres."""

    @property
    def of_group(self) -> NDArray[np.intp]:
        """(n,) 0..G-1, in the order of the groups' names."""

    def figures(self, weights: NDArray) -> NDArray[np.float64]:
        """(W, M) the metric of each run, 0..1, under weights (W, G) of the groups."""

    def gains(self, a: int, b: int) -> NDArray[np.float64] | None:
        """(n,) what each song adds to the metric of run a less that of b; None where the metric is no sum."""

    def swapped(self, a: int, b: int, kept: NDArray) -> NDArray[np.float64]:
        """(W,) the metric of a less that of b, where the groups that `kept` (W, G) calls False change sides."""


@dataclass(frozen=True)
class Decided:
    """Of songs that have one genre: metric is one of `metrics.METRICS`."""

    groups: NDArray
    truth: NDArray  # (n,) 0..K-1
    decided: NDArray  # (M, n) 0..K, where K is "no tag"
    n_classes: int
    metric: str

    @cached_property
    def of_group(self) -> NDArray[np.intp]:
        return group_indices(self.groups)

    @cached_property
    def counts(self) -> NDArray[np.float64]:
        """(M, G, K * (K + 1)) the confusion of each run within each group."""
        k, n_groups = self.n_classes, int(self.of_group.max()) + 1
        said = self.decided
        if self.metric in ADDITIVE:  # for which one wrong answer is as good as another, and the table mostly empty
            said = np.where(said == self.truth, said, k)
        cell = (self.of_group * k + self.truth) * (k + 1)
        size = n_groups * k * (k + 1)
        made = np.stack([np.bincount(cell + one, minlength=size) for one in said])
        return made.reshape(len(said), n_groups, -1).astype(float)

    def figures(self, weights: NDArray) -> NDArray[np.float64]:
        return np.stack([self._of(weights, one) for one in self.counts], 1)

    def _of(self, weights: NDArray, counts: NDArray) -> NDArray[np.float64]:
        """(W,) from the counts of one run, (G, cells)."""
        k, there = self.n_classes, counts.any(0)
        out = np.empty(len(weights))
        step = max(1, CHUNK // counts.shape[1])
        for start in range(0, len(weights), step):
            part = weights[start : start + step]
            table = np.zeros((len(part), counts.shape[1]))
            table[:, there] = part @ counts[:, there]
            out[start : start + step] = metrics.from_confusion(table.reshape(-1, k, k + 1))[self.metric]
        return out

    def gains(self, a: int, b: int) -> NDArray[np.float64] | None:
        if self.metric not in ADDITIVE:
            return None
        gained = (self.decided[a] == self.truth).astype(float) - (self.decided[b] == self.truth)
        if self.metric == "accuracy":
            return gained / len(gained)
        of_genre = np.bincount(self.truth, minlength=self.n_classes)
        return gained / of_genre[self.truth] / np.count_nonzero(of_genre)

    def swapped(self, a: int, b: int, kept: NDArray) -> NDArray[np.float64]:
        one, two, stay = self.counts[a], self.counts[b], kept.astype(float)
        return self._mixed(stay, one, two) - self._mixed(stay, two, one)

    def _mixed(self, stay: NDArray, one: NDArray, two: NDArray) -> NDArray[np.float64]:
        return self._of(np.hstack([stay, 1 - stay]), np.vstack([one, two]))


@dataclass(frozen=True)
class Ranked:
    """Of songs that may have several genres: metric is one of `multilabel.METRICS`."""

    groups: NDArray
    truth: NDArray  # (n, K) bool
    chances: NDArray  # (M, n, K)
    thresholds: NDArray  # (M, n, K)
    metric: str

    @cached_property
    def of_group(self) -> NDArray[np.intp]:
        return group_indices(self.groups)

    def figures(self, weights: NDArray) -> NDArray[np.float64]:
        rows = range(len(self.chances))
        return np.stack([self._of(weights[:, self.of_group], self.truth, *self._run(m)) for m in rows], 1)

    def _run(self, m: int) -> tuple[NDArray, NDArray]:
        return self.chances[m], self.thresholds[m]

    def _of(self, weights: NDArray, truth: NDArray, chances: NDArray, cut: NDArray) -> NDArray[np.float64]:
        """(W,) under weights (W, rows)."""
        step = max(1, CHUNK // weights.shape[1])
        parts = [weights[i : i + step] for i in range(0, len(weights), step)]
        made = [multilabel.under(truth, chances, cut, part, (self.metric,))[self.metric] for part in parts]
        return np.concatenate(made)

    def gains(self, a: int, b: int) -> NDArray[np.float64] | None:
        if self.metric not in ADDITIVE:
            return None
        gained = multilabel.lrap(self.truth, self.chances[a]) - multilabel.lrap(self.truth, self.chances[b])
        return gained / len(gained)

    def swapped(self, a: int, b: int, kept: NDArray) -> NDArray[np.float64]:
        """As the Protocol has it. Where songs are ranked by a genre's scores, they change sides by their place in each
        run's own ranking, so that two runs whose scores are of other sizes can be mixed."""
        stay = kept[:, self.of_group].astype(float)
        truth = np.vstack([self.truth, self.truth])
        sides = [self._run(m) for m in (a, b)]
        if self.metric == "macro_f1":
            sides = [((p > cut).astype(float), np.full(cut.shape, 0.5)) for p, cut in sides]
        elif self.metric not in ADDITIVE:
            sides = [(_places(p), cut) for p, cut in sides]
        chances, cut = (np.vstack(part) for part in zip(*sides, strict=True))
        here, there = np.hstack([stay, 1 - stay]), np.hstack([1 - stay, stay])
        return self._of(here, truth, chances, cut) - self._of(there, truth, chances, cut)


def _places(chances: NDArray) -> NDArray[np.float64]:
    """(n, K) the place of each song in the ranking of each genre, the same for equals."""
    from scipy.stats import rankdata

    return rankdata(chances, method="average", axis=0)
