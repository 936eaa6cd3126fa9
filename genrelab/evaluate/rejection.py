"""How surely a song is of a known kind: eight scores, each higher for what is more surely known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SCORES = ("max_softmax", "max_logit", "energy", "entropy", "knn", "mahalanobis", "vote_share", "texture")
CHUNK = 512  # songs compared at a time


@dataclass(frozen=True)
class Evidence:
    """What the scores of n songs are made of."""

    logits: NDArray  # (n, K)
    probabilities: NDArray  # (n, K)
    embedding: NDArray  # (n, D)
    texture: NDArray  # (n, E)
    vote_share: NDArray  # (n,) of a song's slices, that of the commonest first choice


@dataclass(frozen=True)
class Normals:
    """A normal distribution for each genre, all of one covariance."""

    means: NDArray  # (K, D) of each genre that has songs
    precision: NDArray  # (D, D) inverse of the covariance within genres

    @classmethod
    def fit(cls, x: ArrayLike, truth: ArrayLike) -> Normals:
        """x: (n, D) of training songs; truth: (n,) their genres.

        The covariance is shrunk towards a sphere (Ledoit & Wolf 2004), so that it can be inverted with fewer songs than
        dimensions, and a dimension in which no training song moves is far but not infinitely far.
        """
        from sklearn.covariance import LedoitWolf

        z, t = np.asarray(x, dtype=float), np.asarray(truth)
        genres = np.unique(t)
        means = np.stack([z[t == k].mean(0) for k in genres])
        within = z - means[np.searchsorted(genres, t)]
        if not within.any():  # a song a genre: nothing is known of how songs differ
            return cls(means, np.eye(z.shape[1]))
        found = LedoitWolf(assume_centered=True).fit(within)
        covariance = found.covariance_ + 1e-6 * np.trace(found.covariance_) / z.shape[1] * np.eye(z.shape[1])
        return cls(means, np.linalg.inv(covariance))

    def nearness(self, x: ArrayLike) -> NDArray[np.float64]:
        """(n,) minus the squared Mahalanobis distance to the nearest genre's mean (Lee, Lee, Lee & Shin 2018)."""
        z = np.asarray(x, dtype=float)
        away = [np.einsum("nd,de,ne->n", z - m, self.precision, z - m) for m in self.means]
        return -np.min(away, axis=0)


@dataclass(frozen=True)
class Known:
    """What is remembered of the training songs."""

    directions: NDArray  # (n, D) their embeddings at length 1
    embeddings: Normals
    textures: Normals
    neighbours: int

    @classmethod
    def fit(cls, embedding: ArrayLike, texture: ArrayLike, truth: ArrayLike, neighbours: int) -> Known:
        """embedding: (n, D) and texture: (n, E) of training songs; truth: (n,) their genres; neighbours: of `knn`."""
        directions = _directions(np.asarray(embedding, dtype=float))
        return cls(directions, Normals.fit(embedding, truth), Normals.fit(texture, truth), neighbours)

    def knn(self, embedding: NDArray) -> NDArray[np.float64]:
        """(n,) minus the distance to the k-th nearest training song on the unit sphere (Sun, Ming, Zhu & Li 2022)."""
        k = min(self.neighbours, len(self.directions)) - 1
        z, found = _directions(np.asarray(embedding, dtype=float)), []
        for part in np.split(z, range(CHUNK, len(z), CHUNK)):
            square = 2 - 2 * part @ self.directions.T
            found.append(np.sqrt(np.partition(np.maximum(square, 0), k, axis=1)[:, k]))
        return -np.concatenate(found)

    def state(self) -> dict[str, NDArray]:
        """Plain arrays, for a file."""
        return {
            "directions": self.directions,
            "embeddings/means": self.embeddings.means,
            "embeddings/precision": self.embeddings.precision,
            "textures/means": self.textures.means,
            "textures/precision": self.textures.precision,
            "neighbours": np.array(self.neighbours),
        }

    @classmethod
    def from_state(cls, state: dict[str, NDArray]) -> Known:
        """What `state` gave."""
        embeddings, textures = (
            Normals(state[f"{of}/means"], state[f"{of}/precision"]) for of in ("embeddings", "textures")
        )
        return cls(state["directions"], embeddings, textures, int(state["neighbours"]))


def scores(evidence: Evidence, known: Known) -> dict[str, NDArray[np.float64]]:
    """Every score of SCORES, (n,); energy: Liu, Wang, Owens & Li 2020; max softmax: Hendrycks & Gimpel 2017."""
    from scipy.special import logsumexp, xlogy

    p = np.asarray(evidence.probabilities, dtype=float)
    share = p / p.sum(1, keepdims=True).clip(1e-12)  # of several genres, which do not add up to 1
    return {
        "max_softmax": p.max(1),
        "max_logit": np.asarray(evidence.logits, dtype=float).max(1),
        "energy": logsumexp(np.asarray(evidence.logits, dtype=float), axis=1),
        "entropy": xlogy(share, share).sum(1),
        "knn": known.knn(evidence.embedding),
        "mahalanobis": known.embeddings.nearness(evidence.embedding),
        "vote_share": np.asarray(evidence.vote_share, dtype=float),
        "texture": known.textures.nearness(evidence.texture),
    }


def threshold(score: ArrayLike, keep: float) -> float:
    """The largest threshold that keeps at least a share `keep` of (n,) scores, kept being score >= threshold."""
    s = np.sort(np.asarray(score, dtype=float))[::-1]
    return float(s[max(0, int(np.ceil(keep * len(s) - 1e-9)) - 1)])


def _directions(z: NDArray) -> NDArray[np.float64]:
    return z / np.linalg.norm(z, axis=1, keepdims=True).clip(1e-9)
