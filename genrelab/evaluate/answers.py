"""What a model said of the songs of one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate import metrics, multilabel
from genrelab.evaluate.calibration import apply
from genrelab.evaluate.rejection import Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Answers:
    """Of n songs with N slices in all, song after song, over K genres; log-scores, so that a temperature can follow."""

    index: NDArray  # (n,) the songs, by their place in the manifest
    truth: NDArray  # (n,) 0..K-1, K: none of the genres
    target: NDArray  # (n, K) 0..1
    n_slices: NDArray  # (n,)
    song: NDArray  # (n, K) log-scores
    slice: NDArray  # (N, K) log-scores
    embedding: NDArray  # (n, D) mean over the song's slices
    texture: NDArray  # (n, figures) mean over the song's slices
    logits: NDArray  # (n, K) of the song where the aggregator is trained, else the mean over its slices
    several: bool  # genres a song: probabilities are sigmoids, else softmax

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """One after another."""
        names = [f.name for f in fields(cls) if f.name != "several"]
        return cls(**{n: np.concatenate([getattr(p, n) for p in parts]) for n in names}, several=parts[0].several)

    @property
    def known(self) -> NDArray:
        """(n,) bool: songs of one of the genres."""
        return self.truth < self.song.shape[1]

    @property
    def owner(self) -> NDArray:
        """(N,) the place of each slice's song among these."""
        return np.repeat(np.arange(len(self.n_slices)), self.n_slices)

    def of(self, songs: NDArray) -> Answers:
        """The answers of some songs, (n,) bool."""
        return self.taken(np.flatnonzero(songs))

    def taken(self, places: NDArray) -> Answers:
        """The answers of the songs at these places (m,) among them, in that order."""
        first = np.cumsum(self.n_slices) - self.n_slices
        cut = [np.arange(f, f + n) for f, n in zip(first[places], self.n_slices[places], strict=True)]
        rows = np.concatenate([np.zeros(0, np.int64), *cut])
        parts = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("slice", "several")}
        return Answers(**{k: v[places] for k, v in parts.items()}, slice=self.slice[rows], several=self.several)

    @property
    def of_known(self) -> Answers:
        """The answers of the songs of known genres."""
        return self if self.known.all() else self.of(self.known)

    def probabilities(self, temperature: float = 1.0) -> NDArray:
        """(n, K), of the songs."""
        return apply(self.song, temperature, self.several)

    def slice_probabilities(self) -> NDArray:
        """(N, K)"""
        return apply(self.slice, 1.0, self.several)

    @property
    def vote_share(self) -> NDArray:
        """(n,) the share of a song's slices whose first choice is the commonest one."""
        n, k = self.song.shape
        votes = np.bincount(self.owner * k + self.slice.argmax(1), minlength=n * k).reshape(n, k)
        return votes.max(1) / self.n_slices

    def evidence(self, temperature: float = 1.0) -> Evidence:
        """What scores of knownness look at."""
        return Evidence(self.logits, self.probabilities(temperature), self.embedding, self.texture, self.vote_share)

    def figures(self, side: str, thresholds: NDArray | None = None) -> dict[str, float]:
        """Metric names of the contract -> figures, per song and per slice; of the songs of known genres alone.

        thresholds: (K,) of the probabilities, where a song may have several genres; .5 where not given.
        """
        own = self.of_known
        if self.several:
            cut = np.full(self.song.shape[1], 0.5) if thresholds is None else thresholds
            there = own.target > 0
            song = multilabel.scores(there, own.probabilities(), cut)
            slices = multilabel.scores(there[own.owner], own.slice_probabilities(), cut)
        else:
            song = metrics.scores(own.truth, own.probabilities())
            slices = metrics.scores(own.truth[own.owner], own.slice_probabilities())
        return {f"{side}/song/{k}": v for k, v in song.items()} | {f"{side}/slice/{k}": v for k, v in slices.items()}
