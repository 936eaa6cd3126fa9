"""Which parameters of a search mattered, by a random forest that was fitted to its trials.

What the forest foretells of trials that it did not see (out of bag) is divided over the parameters as the functional
ANOVA divides its variance over the whole space: by the variance that a parameter has by itself, all others averaged
out (Hutter, Hoos & Leyton-Brown, "An efficient approach for assessing hyperparameter importance", ICML 2014). Optuna
2.10, which hydra-optuna-sweeper 1.3 wants, has a functional ANOVA too, but it does not run with numpy 2.4.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_TREES = 32
N_POINTS = 128  # of the space, over which the other parameters are averaged
N_PLACES = 8  # along a parameter that is a number


@dataclass(frozen=True)
class Importance:
    """Of each of P parameters, 0..1: its part of the variance between trials. What is left to `skill` belongs to
    parameters that act together, what is left to 1 to nothing that the forest could learn."""

    share: np.ndarray  # (P,)
    lo: np.ndarray  # (P,) and hi: four of five bootstrap draws of the trials lie between
    hi: np.ndarray
    chance: np.ndarray  # (P,) what 19 of 20 parameters like it reach that mean nothing: itself, shuffled
    skill: float  # of the forest on trials that it did not see: 1 is perfect, 0 no better than the mean of the others


def importance(columns: Sequence[np.ndarray], y: np.ndarray, n_draws: int, seed: int) -> Importance:
    """What each parameter explains of the results y (n,), by n_draws bootstrap draws and as many shuffles of each.

    columns: a parameter each, (n, 1) numbers 0..1 or (n, levels) with a one in the column of its level.
    """
    random, every = np.random.default_rng(seed), range(len(columns))
    share, skill = _fanova(columns, y, every, random)
    drawn, chance = [], []
    for _ in range(n_draws):
        those = random.integers(0, len(y), len(y))
        # a trial that is drawn twice is in and out of the bag at once: the skill is that of the trials themselves
        drawn.append(_fanova([c[those] for c in columns], y[those], every, random)[0] * skill)
    for j in every:
        reached = []
        for _ in range(n_draws):
            shuffled = random.permutation(columns[j])
            (luck,), lucky = _fanova([*columns[:j], shuffled, *columns[j + 1 :]], y, [j], random)
            reached.append(luck * lucky)
        chance.append(np.quantile(reached, 0.95))
    lo, hi = np.quantile(drawn, [0.1, 0.9], axis=0)
    return Importance(share * skill, lo, hi, np.array(chance), skill)


def _fanova(
    columns: Sequence[np.ndarray], y: np.ndarray, those: Sequence[int], random: np.random.Generator
) -> tuple[np.ndarray, float]:
    """The share of the forest's variance that each of those parameters has by itself, and the forest's skill."""
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(N_TREES, oob_score=True, random_state=int(random.integers(2**31)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials, some are in every tree
        forest.fit(np.column_stack(columns), y)
    space = _spread(columns)
    asked, sizes = [np.column_stack(space)], []
    for j in those:
        places = _places(columns[j].shape[1])
        sizes.append(len(places))
        for place in places:
            held = np.broadcast_to(place, (N_POINTS, len(place)))
            asked.append(np.column_stack([*space[:j], held, *space[j + 1 :]]))
    foretold = forest.predict(np.concatenate(asked)).reshape(-1, N_POINTS)
    own = np.array([curve.var() for curve in np.split(foretold[1:].mean(1), np.cumsum(sizes)[:-1])])
    total = max(foretold[0].var(), own.sum())
    return (own / total if total > 1e-12 else own * 0), _skill(forest.oob_prediction_, y)


def _spread(columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Points spread evenly over the whole space: of each parameter (N_POINTS, width)."""
    from scipy.stats.qmc import Sobol

    points = Sobol(len(columns), scramble=False).random(N_POINTS)
    widths = [c.shape[1] for c in columns]
    return [p[:, None] if w == 1 else np.eye(w)[(p * w).astype(int)] for p, w in zip(points.T, widths, strict=True)]


def _places(width: int) -> np.ndarray:
    """Places along a parameter's numbers, or its levels: (places, width)."""
    return (np.arange(N_PLACES)[:, None] + 0.5) / N_PLACES if width == 1 else np.eye(width)


def _skill(left_out: np.ndarray, y: np.ndarray) -> float:
    """1 - the squared errors of the out-of-bag predictions over those of the mean of the other trials; at least 0."""
    n, told = len(y), np.isfinite(left_out)
    others = (y.sum() - y) / (n - 1)
    error = ((y - others) ** 2)[told].sum()
    return max(0.0, float(1 - ((y - left_out) ** 2)[told].sum() / error)) if error > 1e-12 else 0.0
