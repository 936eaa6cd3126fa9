"""Windows that follow the beat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from genrelab.slice.fixed import Fixed
from genrelab.types import Beats


@dataclass
class AtBeats:
    """What `slice=beats` and `slice=bars` share: some successive pieces, beats or bars, make a slice.

    A piece that leaves the song, or that lasts less than shortest_s or more than longest_s, is dropped; slices begin
    anew after it. A song that has no slice at its beats, or whose beats have a confidence below min_confidence, is cut
    by `fallback`. Raises ValueError for sizes that cannot be.
    """

    shortest_s: float
    longest_s: float
    min_confidence: float  # 0..1
    n_frames: int
    max_per_song: int | None
    jitter: bool
    fallback: Fixed
    min_s: float = field(init=False)
    needs_beats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.n_frames < 1:
            raise ValueError(f"slice.n_frames={self.n_frames}: expected at least 1")
        if not 0 < self.shortest_s < self.longest_s:
            raise ValueError(
                f"slice.shortest_s={self.shortest_s:g}, slice.longest_s={self.longest_s:g}: expected above 0, "
                "and the shortest below the longest"
            )
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"slice.min_confidence={self.min_confidence:g}: expected 0 .. 1")
        if self.fallback.n_frames != self.n_frames:
            raise ValueError(
                f"slice.fallback.n_frames={self.fallback.n_frames}, slice.n_frames={self.n_frames}: expected the same, "
                "for one net sees both"
            )
        self.min_s = self.fallback.min_s

    @property
    def n_pieces(self) -> int:
        """How many pieces make a slice."""
        raise NotImplementedError

    def pieces(self, beats: Beats) -> tuple[Tensor, Tensor]:
        """Where each piece begins and the last one ends, (P + 1,) in seconds, and which are whole, (P,)."""
        raise NotImplementedError

    def spans(self, duration_s: float, beats: Beats | None) -> Tensor:
        """Spans (S, 2) in seconds within a song: at its beats where `follows` says so, else by the fallback.

        S is 0 only where the song is shorter than min_s and has no slice at its beats.
        """
        found = self._found(beats, duration_s)
        return found if len(found) else self.fallback.spans(duration_s)

    def follows(self, beats: Beats | None, duration_s: float) -> bool:
        """Whether a song is cut at its beats."""
        return len(self._found(beats, duration_s)) > 0

    def _found(self, beats: Beats | None, duration_s: float) -> Tensor:
        """Spans (S, 2) of the slices at the beats; none where the beats are not trusted."""
        starts: list[int] = []
        borders = torch.zeros(0, dtype=torch.float64)
        if beats is not None and beats.confidence >= self.min_confidence:
            borders, whole = self.pieces(beats)
            lasts = borders.diff()
            inside = (borders[:-1] >= 0) & (borders[1:] <= duration_s + 1e-6)  # rounding
            good = (whole & inside & (lasts >= self.shortest_s) & (lasts <= self.longest_s)).tolist()
            at = 0
            while at + self.n_pieces <= len(good):
                if all(good[at : at + self.n_pieces]):
                    starts.append(at)
                    at += self.n_pieces
                else:
                    at += 1
        first = torch.tensor(starts, dtype=torch.long)
        return torch.stack([borders[first], borders[first + self.n_pieces]], 1)


@dataclass
class BeatWindows(AtBeats):
    """Slices of n_beats successive beats from the first beat on, whatever the bar; a piece is a beat."""

    n_beats: int

    def __post_init__(self) -> None:
        if self.n_beats < 1:
            raise ValueError(f"slice.n_beats={self.n_beats}: expected at least 1")
        super().__post_init__()

    @property
    def n_pieces(self) -> int:
        return self.n_beats

    def pieces(self, beats: Beats) -> tuple[Tensor, Tensor]:
        times = torch.as_tensor(beats.times_s, dtype=torch.float64)
        return times, torch.ones(max(0, len(times) - 1), dtype=torch.bool)
