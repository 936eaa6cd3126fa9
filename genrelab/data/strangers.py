"""Songs beside a split: those of none of the genres go to the test; a run, or its training alone, may have fewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from genrelab.data.manifest import near
from genrelab.data.split import Split
from genrelab.types import GROUP_KEYS, Track, UserError


def limited(tracks: list[Track], limit: int | None) -> list[Track]:
    """At most `limit` tracks, every genre alike, spread evenly over its rows so that its groups stay."""
    if limit is None or len(tracks) <= limit:
        return tracks
    by_genre: dict[str | None, list[int]] = {}
    for i, track in enumerate(tracks):
        by_genre.setdefault(track.genre, []).append(i)
    each = max(1, limit // len(by_genre))
    kept = {own[j * len(own) // min(each, len(own))] for own in by_genre.values() for j in range(min(each, len(own)))}
    return [t for i, t in enumerate(tracks) if i in kept]


def fewer(split: Split, tracks: Sequence[Track], n: int) -> Split:
    """At most n songs on the training side, every genre alike; the smaller set lies within the larger one.

    Songs leave group by group where they can, so that fewer songs are also fewer artists. Raises UserError for a split
    by slice, whose songs lie on every side, and below a song a genre.
    """
    if split.kind == "slice":
        raise UserError(f"limit_train={n}: with split=slice every song is in training; take another split")
    by_genre: dict[str | None, list[int]] = {}
    for i, (track, side) in enumerate(zip(tracks, split.sides, strict=True)):
        if side == "train":
            by_genre.setdefault(track.genre, []).append(i)
    if n < len(by_genre):
        raise UserError(f"limit_train={n}: expected at least a song for each of the {len(by_genre)} genres")
    kept: set[int] = set()
    for own in by_genre.values():
        order = sorted(own, key=lambda i: (crc32(f"{split.seed} {split.groups[i]}".encode()), split.groups[i], i))
        kept.update(order[: n // len(by_genre)])
    sides = ["unused" if side == "train" and i not in kept else side for i, side in enumerate(split.sides)]
    return replace(split, sides=tuple(sides), notes=(*split.notes, f"training has {len(kept)} songs (limit_train={n})"))


def of_studio(split: Split, tracks: Sequence[Track], studio: str) -> Split:
    """Training and validation keep the songs of one studio alone; the test stays whole.

    Raises UserError for a studio that there is not, where that leaves a genre without training songs, and for a split
    by slice, whose songs lie on every side.
    """
    if split.kind == "slice":
        raise UserError(f"train_studio={studio}: with split=slice every song is tested; take another split")
    there = sorted({t.studio for t in tracks if t.studio})
    if studio not in there:
        known = near(studio, there) if there else "the songs name no studio"
        raise UserError(f"train_studio={studio}: no song is of it; {known}")
    out = [side in ("train", "val") and t.studio != studio for t, side in zip(tracks, split.sides, strict=True)]
    sides = ["unused" if o else side for o, side in zip(out, split.sides, strict=True)]
    for kept in ("train", "val"):
        left = {t.genre for t, side in zip(tracks, sides, strict=True) if side == kept}
        lost = sorted({str(t.genre) for t in tracks} - {str(g) for g in left})
        if lost and (kept == "train" or not left):
            raise UserError(
                f"train_studio={studio}: {kept} would have no song of {lost[0]}: take another split or studio"
            )
    n = sum(side == "train" for side in sides)
    return replace(split, sides=tuple(sides), notes=(*split.notes, f"training has {n} songs (train_studio={studio})"))


def with_strangers(splits: Sequence[Split], tracks: Sequence[Track], known: np.ndarray) -> list[Split]:
    """Splits of the known tracks -> splits of all tracks, (n,): the others are in the test.

    Of k folds each tests its share of them, whole groups. One whose group (artist, or what the split goes by) known
    tracks have too is tested where those are, and left out where they are in training or validation: it would be no
    stranger there.
    """
    made = []
    for split in splits:
        own, n_folds = iter(zip(split.sides, split.groups, strict=True)), len(splits)
        met = set(split.groups)
        learnt = {g for g, side in zip(split.groups, split.sides, strict=True) if side in ("train", "val")}
        sides, groups = [], []
        for track, is_known in zip(tracks, known, strict=True):
            if is_known:
                side, group = next(own)
            else:
                group = _group(track, split.kind, met)
                here = group in met or split.fold is None or crc32(group.encode()) % n_folds == split.fold
                side = "test" if here and group not in learnt else "unused"
            sides.append(side)
            groups.append(group)
        n_in = sum(side == "test" and not k for side, k in zip(sides, known, strict=True))
        n_met = sum(g in learnt and not k for g, k in zip(groups, known, strict=True))
        notes = [*split.notes, f"{n_in} songs of none of the genres are in the test"]
        if n_met:
            notes.append(f"{n_met} songs of none of the genres are left out: their {split.kind} is in training")
        ids = tuple(track.id for track in tracks)
        made.append(replace(split, ids=ids, sides=tuple(sides), groups=tuple(groups), notes=tuple(notes)))
    return made


def _group(track: Track, kind: str, met: set[str]) -> str:
    """What a stranger shares with known tracks; of an official or a given split nobody knows which key it kept."""
    if own := getattr(track, kind, None):
        return str(own)
    shared = (getattr(track, key) for key in GROUP_KEYS)
    return next((v for v in shared if v in met), track.track or track.id)
