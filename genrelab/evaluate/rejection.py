"""How surely a song is of a known kind: eight scores, each higher for what is more surely known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SCORES = ("max_softmax", "max_logit", "energy", "entropy", "knn", "mahalanobis", "vote_share", "texture")
CHUNK = 512  # songs compared at a time
SAME = 0.1  # of the usual distance between two songs: nearer than that is the same recording, coded anew perhaps


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
    whiten: NDArray  # (E, E) brings textures to where the covariance within genres is the unit sphere
    textures: NDArray  # (n, E) there
    neighbours: int

    @classmethod
    def fit(cls, embedding: ArrayLike, texture: ArrayLike, truth: ArrayLike, neighbours: int) -> Known:
        """embedding: (n, D) and texture: (n, E) of training songs; truth: (n,) their genres; neighbours: of what
        looks for the nearest ones."""
        whiten = np.linalg.cholesky(Normals.fit(texture, truth).precision)
        textures = np.asarray(texture, dtype=float) @ whiten
        return cls(_directions(embedding), Normals.fit(embedding, truth), whiten, textures, neighbours)

    def knn(self, embedding: ArrayLike) -> NDArray[np.float64]:
        """(n,) minus the distance to the k-th nearest training song on the unit sphere (Sun, Ming, Zhu & Li 2022)."""
        return -_to_nearest(_directions(embedding), self.directions, self.neighbours)

    def nearest(self, embedding: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The training songs from the nearest to the farthest of a song (D,), and their distances: 1 is what lies
        between two training songs as a rule."""
        away = _away(_directions(np.asarray(embedding)[None])[0], self.directions)
        order = np.argsort(away, kind="stable")
        return order, away[order]

    def met(self, embedding: ArrayLike, texture: ArrayLike) -> int | None:
        """The training song that a song (D,), (E,) is, as far as embedding and texture can tell, or None."""
        near = _away(_directions(np.asarray(embedding)[None])[0], self.directions)
        near = np.maximum(near, _away(np.asarray(texture, dtype=float) @ self.whiten, self.textures))
        return int(near.argmin()) if near.min() < SAME else None

    def texture(self, texture: ArrayLike) -> NDArray[np.float64]:
        """(n,) minus the Mahalanobis distance to the k-th nearest training song."""
        return -_to_nearest(np.asarray(texture, dtype=float) @ self.whiten, self.textures, self.neighbours)

    def state(self) -> dict[str, NDArray]:
        """Plain arrays, for a file."""
        return {
            "directions": self.directions,
            "embeddings/means": self.embeddings.means,
            "embeddings/precision": self.embeddings.precision,
            "textures/whiten": self.whiten,
            "textures/songs": self.textures,
            "neighbours": np.array(self.neighbours),
        }

    @classmethod
    def from_state(cls, state: dict[str, NDArray]) -> Known:
        """What `state` gave."""
        embeddings = Normals(state["embeddings/means"], state["embeddings/precision"])
        textures = state["textures/whiten"], state["textures/songs"]
        return cls(state["directions"], embeddings, *textures, neighbours=int(state["neighbours"]))


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
        "texture": known.texture(evidence.texture),
    }


def threshold(score: ArrayLike, keep: float) -> float:
    """The largest threshold that keeps at least a share `keep` of (n,) scores, kept being score >= threshold."""
    s = np.sort(np.asarray(score, dtype=float))[::-1]
    return float(s[max(0, int(np.ceil(keep * len(s) - 1e-9)) - 1)])


def _to_nearest(x: NDArray, songs: NDArray, k: int) -> NDArray[np.float64]:
    """(n,) from each of x (n, D) to the k-th nearest of the songs (m, D), the farthest where there are fewer."""
    at, length, found = min(k, len(songs)) - 1, np.square(songs).sum(1), []
    for part in np.split(x, range(CHUNK, len(x), CHUNK)):
        square = np.square(part).sum(1)[:, None] + length - 2 * part @ songs.T
        found.append(np.sqrt(np.partition(np.maximum(square, 0), at, axis=1)[:, at]))
    return np.concatenate(found)


def _away(x: NDArray, songs: NDArray) -> NDArray[np.float64]:
    """(n,) from x (D,) to the songs (n, D), in units of the median distance between two of them."""
    some = songs[:: -(-len(songs) // CHUNK)]
    square = np.square(some).sum(1)
    apart = np.sqrt(np.maximum(square[:, None] + square - 2 * some @ some.T, 0))[np.triu_indices(len(some), 1)]
    return np.linalg.norm(songs - x, axis=1) / max(float(np.median(apart)) if len(apart) else 0.0, 1e-9)


def _directions(embedding: ArrayLike) -> NDArray[np.float64]:
    z = np.asarray(embedding, dtype=float)
    return z / np.linalg.norm(z, axis=1, keepdims=True).clip(1e-9)
