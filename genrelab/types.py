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
CHOSEN_BY = "val/song/balanced_accuracy"  # the figure that orders runs; never one of the test side


def digest(*parts: object) -> str:
    """12 hexadecimal digits that name any JSON-able values."""
    return hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


class UserError(Exception):
    """The user's words cannot be followed. The message is one line: what was given, what was expected, what to do."""


@dataclass(frozen=True)
class Track:
    """A row of a manifest: a song, or a window of one."""

    id: str
    path: Path  # absolute
    genres: tuple[str, ...]  # at least one
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

    @property
    def label(self) -> str:
        return "no tag" if self.no_tag else self.genres[0][0]


@dataclass(frozen=True)
class Scores:
    """What a model says of B songs with N slices in all."""

    song: Tensor  # (B, K) log-scores
    slice: Tensor  # (N, K) log-scores, packed
    owner: Tensor  # (N,) the song of each slice
    embedding: Tensor  # (N, D)
