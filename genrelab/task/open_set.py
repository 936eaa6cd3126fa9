"""One genre a song, or none of them: songs of genres that training never met, whose right answer is `no tag`."""

from __future__ import annotations

from collections.abc import Sequence

from genrelab.task.single import Single
from genrelab.types import Track, UserError


class OpenSet(Single):
    """As `single` on the known genres. The songs of the `unknown` ones, and those of no genre, are never in training
    or validation and always in the test."""

    def __init__(
        self,
        slice_weight: float,
        label_smoothing: float,
        unknown: Sequence[str] | str,
        score: str,
        keep: float,
        neighbours: int,
    ) -> None:
        super().__init__(slice_weight, label_smoothing, score, keep, neighbours)
        self.unknown = [unknown] if isinstance(unknown, str) else [str(g) for g in unknown]

    def genres(self, tracks: Sequence[Track]) -> tuple[str, ...]:
        there = sorted({str(t.genre) for t in tracks if t.genres})
        for genre in self.unknown:
            if genre not in there:
                raise UserError(f"task.unknown: the data have no genre {genre!r}; there are {', '.join(there)}")
        if not self.unknown and all(t.genres for t in tracks):
            raise UserError(
                "task=open_set needs songs of none of the genres: "
                f"hold genres out (task.unknown=[{there[0]}]), or give data.unknown=FOLDER or a manifest"
            )
        known = tuple(g for g in there if g not in self.unknown)
        if len(known) < 2:
            raise UserError(f"task.unknown leaves {len(known)} of {len(there)} genres to learn, expected at least 2")
        return self.bounded(known, len(tracks))
