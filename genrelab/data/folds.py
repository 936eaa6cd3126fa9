"""Stratified grouped folds on plain arrays: no group on two folds, every genre on each where the groups allow it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import permutations, product

import numpy as np

_TRIES = 50  # seeds of which the best is taken
_WORK = 40_000  # groups x seeds at most: a corpus of many small groups balances at once
_SWAPS = 64  # groups up to which pairs are swapped, too
_EXACT = 8  # groups up to which every single split is looked at, where none was found: 3 ** 8 of them
_GOOD = 0.02  # of a genre's songs: a balance that needs no further seed


class _Table:
    """Songs per group and genre, and the two questions asked of an assignment of groups to folds."""

    def __init__(self, labels: Sequence[str], groups: Sequence[str], n_folds: int) -> None:
        _, self.label = np.unique(np.asarray(labels, object), return_inverse=True)
        _, self.group = np.unique(np.asarray(groups, object), return_inverse=True)
        self.n_groups, self.n_folds = int(self.group.max()) + 1, n_folds
        self.songs = np.zeros((self.n_groups, int(self.label.max()) + 1))  # (groups, genres)
        np.add.at(self.songs, (self.group, self.label), 1)

    def shares(self, fold: np.ndarray) -> np.ndarray:
        """(folds, genres): which part of a genre's songs lies on a fold; `fold` is (groups,)."""
        count = np.zeros((self.n_folds, self.songs.shape[1]))
        np.add.at(count, fold, self.songs)
        return count / count.sum(axis=0)

    def even(self, fold: np.ndarray) -> tuple[float, ...]:
        """Worse is larger: (fold, genre) pairs without a song; then the largest distance of a share from 1/n."""
        shares = self.shares(fold)
        return float((shares == 0).sum()), float(np.abs(shares - 1 / self.n_folds).max()), 0.0

    def sides(self, fold: np.ndarray) -> tuple[tuple[float, ...], tuple[int, int]]:
        """Worse is larger, for a single split; and the (test, val) folds that make it best.

        Genres that lack in test or train; an empty val; genres that lack in val; then the distance of all shares from
        1/n, then that of test and val alone, so that an artist with half of a genre's songs is rather learned from.
        """
        shares = self.shares(fold)
        here = shares > 0
        distance = np.abs(shares - 1 / self.n_folds).max(axis=1)
        best: tuple[tuple[float, ...], tuple[int, int]] | None = None
        for test, val in permutations(range(self.n_folds), 2):
            train = np.delete(here, [test, val], axis=0).any(axis=0)
            bad = float((~here[test]).sum() + (~train).sum())
            empty, lacks = float(not here[val].any()), float((~here[val]).sum())
            score = (bad, empty, lacks, float(distance.max()), float(max(distance[test], distance[val])))
            if best is None or score < best[0]:
                best = score, (test, val)
        assert best is not None
        return best


def _candidates(table: _Table, seed: int) -> Iterator[np.ndarray]:
    """Folds of the groups, (groups,), from scikit-learn's stratified grouped folds under seeds derived from `seed`."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = table.n_groups == len(table.group)  # each song its own group: exact and fast
    kind = StratifiedKFold if alone else StratifiedGroupKFold
    tries = max(1, min(_TRIES, _WORK // table.n_groups))
    if min(table.n_groups, max(np.bincount(table.label))) < table.n_folds:  # scikit-learn refuses
        yield np.random.default_rng(seed).permutation(table.n_groups) % table.n_folds
        return
    for random_state in np.random.SeedSequence(seed).generate_state(tries):
        folds = kind(n_splits=table.n_folds, shuffle=True, random_state=int(random_state))
        fold = np.zeros(table.n_groups, int)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a genre with fewer songs than folds: the score says it
            for k, (_, rows) in enumerate(folds.split(table.label, table.label, table.group)):
                fold[table.group[rows]] = k
        yield fold


def _mended(table: _Table, fold: np.ndarray, *, single: bool) -> np.ndarray:
    """Moves, then swaps, of groups while they bring a lacking genre back; what scikit-learn's greedy way may miss."""

    def score(trial: np.ndarray) -> tuple[float, ...]:
        return table.sides(trial)[0] if single else table.even(trial)

    best, now = fold, score(fold)
    for _ in range(2 * table.n_folds):
        trials: list[np.ndarray] = []
        for group in range(min(table.n_groups, 4 * _SWAPS)):
            for k in range(table.n_folds):
                if k != best[group]:
                    trials.append(best.copy())
                    trials[-1][group] = k
        if table.n_groups <= _SWAPS:
            for a in range(table.n_groups):
                for b in range(a):
                    if best[a] != best[b]:
                        trials.append(best.copy())
                        trials[-1][[a, b]] = best[[b, a]]
        scores = [score(trial) for trial in trials]
        if not trials or min(scores) >= now:
            break
        now = min(scores)
        best = trials[scores.index(now)]
    return best


def _best(table: _Table, seed: int, *, single: bool) -> np.ndarray:
    """The best candidate, (groups,) of folds; mended where a genre lacks somewhere."""
    best: tuple[tuple[float, ...], np.ndarray] | None = None
    for fold in _candidates(table, seed):
        score = table.sides(fold)[0] if single else table.even(fold)
        if best is None or score < best[0]:
            best = score, fold
        if not any(best[0][:-2]) and best[0][-2] <= _GOOD:
            break
    assert best is not None
    return _mended(table, best[1], single=single) if any(best[0][:-2]) else best[1]


def _of_all(table: _Table) -> np.ndarray:
    """The best of all single splits, (groups,): 0 train, 1 test, 2 val; ordered as in `_Table.sides`."""
    every = np.array([*product(range(3), repeat=table.n_groups)])
    train, test, val = ((every == side) @ table.songs / table.songs.sum(axis=0) for side in range(3))
    bad = (train == 0).sum(axis=1) + (test == 0).sum(axis=1)
    distance = np.abs(np.hstack([test, val]) - 1 / table.n_folds).max(axis=1)
    return every[np.lexsort((distance, (val == 0).sum(axis=1), (val == 0).all(axis=1), bad))[0]]


def grouped_folds(labels: Sequence[str], groups: Sequence[str], n_folds: int, seed: int) -> np.ndarray:
    """(songs,) fold 0 .. n_folds-1 of each song: no group on two folds, genres as even as the groups allow.

    StratifiedGroupKFold under up to 50 seeds derived from `seed`; the best has every genre on every fold and then the
    smallest distance of a genre's share from 1/n_folds.
    """
    table = _Table(labels, groups, n_folds)
    return _best(table, seed, single=False)[table.group]


def single_split(labels: Sequence[str], groups: Sequence[str], n_folds: int, seed: int) -> np.ndarray:
    """(songs,) of "train", "val", "test": of grouped folds one is test, one val, the rest train.

    Test and train hold every genre where the groups allow it, then val does.
    """
    table = _Table(labels, groups, n_folds)
    fold = _best(table, seed, single=True)
    (bad, empty, *_), (test, val) = table.sides(fold)
    if (bad or empty) and table.n_groups <= _EXACT:
        fold, test, val = _of_all(table), 1, 2
    return np.select([fold == test, fold == val], ["test", "val"], "train")[table.group]
