"""How right the best model could look against written labels some of which are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.weighted import group_weights, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Ceiling:
    """The accuracy that labels as wrong as these leave to a model that is always right."""

    ceiling: float
    lo: float
    hi: float

    @property
    def noise(self) -> float:
        """The estimated share of wrong labels."""
        return 1 - self.ceiling


def ceiling(truth: ArrayLike, probabilities: ArrayLike, groups: ArrayLike, n_boot: int, seed: int) -> Ceiling:
    """Confident learning (Northcutt, Jiang & Chuang 2021): a song counts as another genre's where its probability for
    that genre reaches the mean probability which songs labelled so have; the joint is scaled to the labels' counts.

    truth: (n,) the written genre; probabilities: (n, K) by a model that never saw the songs; groups: (n,). A song that
    reaches no genre's mean says nothing. What a weak model mistakes with confidence counts as a wrong label too, so
    the ceiling is too low where the model is weak, most of all between close genres: read it as a lower bound.
    """
    t, p = np.asarray(truth), np.asarray(probabilities, dtype=float)
    k = p.shape[1]
    usual = np.array([p[t == j, j].mean() if (t == j).any() else np.inf for j in range(k)])
    over = np.where(p >= usual - 1e-9, p, -1.0)  # the mean of equals may come out a little above them
    meant = over.argmax(1)
    counted = over.max(1) >= 0
    cells = np.zeros((len(t), k * k))
    cells[np.flatnonzero(counted), (t * k + meant)[counted]] = 1
    labelled = np.eye(k)[t]

    def right(weights: NDArray) -> NDArray:
        joint, n = (weights @ cells).reshape(-1, k, k), weights @ labelled  # (W, written, meant), (W, K)
        row = joint.sum(2)
        share = np.divide(np.diagonal(joint, axis1=1, axis2=2), row, out=np.ones_like(row), where=row > 0)
        return (share * n).sum(1) / n.sum(1)

    at = float(right(np.ones((1, len(t))))[0])
    return Ceiling(at, *percentile_interval(right(group_weights(groups, t, n_boot, seed)), at))
