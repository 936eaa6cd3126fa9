"""What passes between the rooms of the house: frozen dataclasses, units in the names."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

GROUP_KEYS = ("group", "artist", "album", "track")  # what songs may share, coarsest first; never studio
SIDES = ("train", "val", "test")
MEASURE = "balanced_accuracy"  # what runs are ordered by, on the validation songs and never on the test side
NO_TAG = "no tag"  # the answer to a song of none of the genres


def digest(*parts: object) -> str:
    """12 hexadecimal digits that name any JSON-able values."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


def writable(name: str) -> bool:
    """Whether a name can be written down as UTF-8; Python reads others, bytes of other scripts, as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class UserError(Exception):
    """The user's words cannot be followed. The message is one line: what was given, what was expected, what to do."""

    def __str__(self) -> str:
        """One line whatever was given: a cell of a table may hold line breaks, or what a terminal obeys."""
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in super().__str__())


@dataclass(frozen=True, slots=True)  # a collection has a hundred thousand
class Track:
    """A row of a manifest: a song, or a window of one."""

    id: str
    path: Path  # absolute
    genres: tuple[str, ...]  # none: a song of no genre, for the test of what a run says of such
    weights: tuple[float, ...] | None = None  # of the genres, adding up to 1; None: not weighted
    artist: str | None = None
    album: str | None = None
    studio: str | None = None
    track: str | None = None  # rows of one recording share it
    group: str | None = None
    start_s: float = 0.0
    duration_s: float | None = None  # None: to the end of the file
    split: str | None = None  # the manifest's own side or fold
    tempo_bpm: float | None = None
    beats: Path | None = None  # absolute; CSV of time, beat_in_bar
    licence: str | None = None

    @property
    def genre(self) -> str | None:
        """The heaviest of its genres, else the first; None for a song of no genre."""
        if not self.genres:
            return None
        return self.genres[self.weights.index(max(self.weights))] if self.weights else self.genres[0]


@dataclass(frozen=True)
class Labels:
    """The truth about n songs, as a task reads it."""

    genres: tuple[str, ...]  # K
    truth: np.ndarray  # (n,) int64, 0..K-1 the song's main genre; K: none of them
    target: np.ndarray  # (n, K) float32, what the loss wants of each genre, 0..1

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: songs of one of the genres."""
        return self.truth < len(self.genres)


@dataclass(frozen=True)
class Unusable:
    """A track that is left out of a run, and why."""

    track: Track
    reason: str  # missing, empty, not audio, truncated, silent, shorter than a slice ...
    detail: str = ""


@dataclass(frozen=True)
class Beats:
    """The beat grid of one song."""

    times_s: np.ndarray  # (n_beats,), rising
    beat_in_bar: np.ndarray | None  # (n_beats,), from 1; None where the bar is not known
    source: str  # annotated, librosa, madmom ...
    confidence: float  # 0..1


@dataclass(frozen=True)
class Decision:
    """What a run says of one song: genres with probabilities, best first, or `no tag` with its reason."""

    genres: tuple[tuple[str, float], ...]
    no_tag: str | None = None  # the reason, where the answer is `no tag`
    n_said: int = 1  # how many of the genres are the answer

    @property
    def said(self) -> str:
        """The genres that it names, were it never `no tag`."""
        return "|".join(g for g, _ in self.genres[: self.n_said])

    @property
    def label(self) -> str:
        return NO_TAG if self.no_tag else self.said


@dataclass(frozen=True)
class Scores:
    """What a model says of B songs with N slices in all."""

    song: Tensor  # (B, K) log-scores
    slice: Tensor  # (N, K) log-scores, packed
    owner: Tensor  # (N,) the song of each slice
    embedding: Tensor  # (N, D)
    texture: Tensor | None = None  # (N, figures), where somebody asks for it

    def per_song(self, x: Tensor) -> Tensor:
        """The mean over each song's slices: (N, ...) -> (B, ...)."""
        total = x.new_zeros(len(self.song), *x.shape[1:]).index_add_(0, self.owner, x)
        count = x.new_zeros(len(self.song)).index_add_(0, self.owner, x.new_ones(len(x)))
        return total / count.reshape(-1, *[1] * (x.dim() - 1))
