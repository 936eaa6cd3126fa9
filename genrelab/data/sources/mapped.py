"""Another collection under the names of a run's genres: what `eval` listens to."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from genrelab.data.sources.base import Source, read_yaml
from genrelab.types import NO_TAG, Track, UserError


def read_map(path: Path) -> dict[str, str]:
    """A yaml of `their genre: our genre`; one that is null, or nothing, is left out. Raises UserError for another."""
    found = read_yaml(path, "data.map", "a yaml of their genres and the run's (rock: metal)")
    if not isinstance(found, dict) or any(isinstance(v, dict | list) for v in found.values()):
        raise UserError(f"data.map={path}: expected a line a genre, theirs and the run's, as in rock: metal")
    return {str(k): "" if v is None else str(v) for k, v in found.items()}


@dataclass
class Mapped:
    """A source whose songs have the names of `genres`: by the map, else by their own.

    Songs of none of the genres are left out and counted in `left_out`, or kept under their own names where `unknown`.
    """

    source: Source
    names: Mapping[str, str]
    genres: Sequence[str]
    unknown: bool
    left_out: dict[str, int] = field(default_factory=dict)  # their genre -> songs

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def beats(self) -> str:
        return self.source.beats

    def strangers(self) -> list[Track]:
        """None: they are among the tracks."""
        return []

    def tree(self) -> None:
        return None

    def tracks(self, store: Path, progress: Any) -> list[Track]:
        """Raises UserError where the map and the genres do not fit."""
        given = self.source.tracks(store, progress)
        self._check({g for t in given for g in t.genres})
        self.left_out.clear()
        found = []
        for track in given:
            own = self._renamed(track)
            if own is not None:
                found.append(own)
            else:
                self.left_out[str(track.genre)] = self.left_out.get(str(track.genre), 0) + 1
        if not any(g in self.genres for t in found for g in t.genres):
            theirs = ", ".join(sorted({g for t in given for g in t.genres})[:12])
            raise UserError(
                f"no genre of {self.name} ({theirs}) is one of the run's ({', '.join(self.genres)}): "
                "give data.map=FILE.yaml, a line a genre, as in rock: metal"
            )
        strange = [replace(t, genres=(NO_TAG,), weights=None) for t in self.source.strangers()] if self.unknown else []
        return found + strange

    def _check(self, there: set[str]) -> None:
        for theirs, ours in self.names.items():
            if theirs not in there:
                near = difflib.get_close_matches(theirs, there, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UserError(
                    f"data.map: {self.name} has no genre {theirs!r}; it has {', '.join(sorted(there))}{hint}"
                )
            if ours and ours not in self.genres:
                raise UserError(f"data.map: {theirs}: {ours}: the run's genres are {', '.join(self.genres)}")

    def _renamed(self, track: Track) -> Track | None:
        """The track under the run's names; None for one that is left out."""
        weights = track.weights or (1.0,) * len(track.genres)
        kept: dict[str, float] = {}
        for genre, weight in zip(track.genres, weights, strict=True):
            ours = self.names.get(genre, genre)
            if ours in self.genres:
                kept[ours] = kept.get(ours, 0.0) + weight
        if not kept:
            return replace(track, genres=track.genres or (NO_TAG,)) if self.unknown else None
        total = sum(kept.values())
        return replace(
            track, genres=tuple(kept), weights=tuple(w / total for w in kept.values()) if track.weights else None
        )
