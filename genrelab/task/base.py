"""What every task is: it reads the labels, owns the loss and the figure that orders runs, and decides by a rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from torch import Tensor

from genrelab.evaluate import METRICS
from genrelab.evaluate.answers import Answers
from genrelab.evaluate.rejection import SCORES
from genrelab.task.rule import Rule
from genrelab.types import MEASURE, Labels, Scores, Track, UserError

MOST_GENRES = 10_000  # more are titles, or whatever else was taken for genres


class Task:
    """The loss of the song's scores where the aggregator is trained, plus slice_weight times that of the slices.

    A vote trains on its slices alone, whatever the weight. `score`, `keep` and `neighbours` make the rule by which a
    run says `no tag` (see Rule).
    """

    several: ClassVar[bool] = False  # genres a song: probabilities are sigmoids, else softmax
    measure: ClassVar[str] = MEASURE  # what its runs are ordered by
    metrics: ClassVar[tuple[str, ...]] = (*METRICS, "log_loss")

    def __init__(self, slice_weight: float, score: str, keep: float, neighbours: int) -> None:
        if score not in SCORES:
            raise UserError(f"task.score={score}: there is no such score; there are {', '.join(SCORES)}")
        if not 0 < keep <= 1:
            raise UserError(f"task.keep={keep}: expected a share of the known songs, above 0 and at most 1")
        if neighbours < 1:
            raise UserError(f"task.neighbours={neighbours}: expected a whole number, at least 1")
        self.slice_weight, self.score, self.keep, self.neighbours = slice_weight, score, keep, neighbours

    def labels(self, tracks: Sequence[Track]) -> Labels:
        """The genres of the tracks, by name, and the truth about each. Raises UserError for songs it cannot place."""
        return self.placed(tracks, self.genres(tracks))

    def genres(self, tracks: Sequence[Track]) -> tuple[str, ...]:
        """The genres to learn, by name. Raises UserError for songs that have none, and where they are too many."""
        strange = [t.id for t in tracks if not t.genres]
        if strange:
            raise UserError(
                f"{len(strange)} songs have no genre (first: {strange[0]}): songs of data.unknown want task=open_set"
            )
        found = {g for t in tracks for g in t.genres} if self.several else {str(t.genre) for t in tracks}
        return self.bounded(tuple(sorted(found)), len(tracks))

    @staticmethod
    def bounded(genres: tuple[str, ...], n: int) -> tuple[str, ...]:
        """The genres of n songs. Raises UserError where nobody could mean so many."""
        if len(genres) > MOST_GENRES:
            raise UserError(
                f"{n} songs have {len(genres)} genres (first: {genres[0]}), at most {MOST_GENRES} can be learned: "
                "give the column that holds the genre"
            )
        return genres

    def placed(self, tracks: Sequence[Track], genres: tuple[str, ...]) -> Labels:
        """The truth about tracks, some of which may be of none of the genres."""
        number = {g: k for k, g in enumerate(genres)}
        truth = np.array([number.get(str(t.genre), len(genres)) for t in tracks], dtype=np.int64)
        target = np.zeros((len(tracks), len(genres)), np.float32)
        for row, track, k in zip(target, tracks, truth, strict=True):
            if k < len(genres):
                self.fill(row, track, number)
        return Labels(genres, truth, target)

    def fill(self, row: np.ndarray, track: Track, number: dict[str, int]) -> None:
        """Writes what the loss wants of a known track into its row (K,)."""
        raise NotImplementedError

    def entropy(self, scores: Tensor, target: Tensor) -> Tensor:
        """(n, K) scores and targets -> the loss, a scalar."""
        raise NotImplementedError

    def loss(
        self, scores: Scores, target: Tensor, trained: bool, shares: tuple[Tensor | float, Tensor | float] = (1.0, 1.0)
    ) -> Tensor:
        """Scores of B songs with N slices, target (B, K) -> the loss, a scalar; every slice counts alike.

        shares: what these songs, and these slices, count for beside those of other processes; 1 in the mean.
        """
        slices = shares[1] * self.entropy(scores.slice.float(), target[scores.owner])
        if not trained:
            return slices
        return shares[0] * self.entropy(scores.song.float(), target) + self.slice_weight * slices

    def rule(self, train: Answers, val: Answers) -> Rule:
        """How a run of this task decides: chosen on its training and validation songs."""
        return Rule.fitted(train, val, score=self.score, keep=self.keep, neighbours=self.neighbours)
