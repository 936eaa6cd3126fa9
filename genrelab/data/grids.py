"""The beat grid of every song: from its annotation, else estimated once and kept in the store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from genrelab.types import Beats, Track, UserError, digest

KINDS = ("auto", "annotated", "estimated", "shifted", "wrong")
Progress = Callable[[str, int, int], None]  # what, done, of how many


def checked(kind: str) -> str:
    """`kind` if it is one of KINDS. Raises UserError."""
    if kind not in KINDS:
        raise UserError(f"data.beats={kind}: expected one of {', '.join(KINDS)}")
    return kind


def grids(
    tracks: Sequence[Track],
    keys: Sequence[str],
    durations_s: Sequence[float],
    kind: str,
    *,
    sample_rate: int,
    store: Path,
    progress: Progress,
) -> list[Beats | None]:
    """The tracks' beats, within each track's window; None where only annotated ones are wanted and there are none.

    auto: the annotated, else the estimated; shifted and wrong: what auto gives, moved by half a bar or brought to
    another tempo. `keys` name the tracks' sound, as the store does.
    """
    from genrelab.audio import beats

    found: list[Beats | None] = [None] * len(tracks)
    if kind != "estimated":
        found = [_annotated(t, d) for t, d in zip(tracks, durations_s, strict=True)]
    if kind != "annotated":
        unknown = [i for i, f in enumerate(found) if f is None]
        heard = _estimated([tracks[i] for i in unknown], [keys[i] for i in unknown], sample_rate, store, progress)
        for i, grid in zip(unknown, heard, strict=True):
            found[i] = grid
    if kind == "shifted":
        return [f and beats.shifted(f) for f in found]
    if kind == "wrong":
        told = zip(found, durations_s, keys, strict=True)
        return [f and beats.wrong(f, d, seed=int(digest(k), 16)) for f, d, k in told]
    return found


def _annotated(track: Track, duration_s: float) -> Beats | None:
    """The beats of a track's file that lie in the track, in seconds from its begin."""
    from genrelab.data.manifest import read_beats

    if track.beats is None:
        return None
    grid = read_beats(track.beats)
    times_s = grid.times_s - track.start_s
    inside = (times_s >= 0) & (times_s <= duration_s)
    places = None if grid.beat_in_bar is None else grid.beat_in_bar[inside]
    return Beats(times_s[inside], places, grid.source, grid.confidence)


def _estimated(
    tracks: Sequence[Track], keys: Sequence[str], sample_rate: int, store: Path, progress: Progress
) -> list[Beats]:
    """Estimated beats, from cache/beats.sqlite where they are known."""
    from genrelab.audio import beats, decode, pcm
    from genrelab.store import each, waves

    path = store / "cache" / "beats.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    by = digest(beats.estimator(), decode.DECODER, sample_rate)
    with sqlite3.connect(path, timeout=60) as db:
        db.execute(
            "create table if not exists beats (key text, estimator text, said text, primary key (key, estimator))"
        )
        known = {k: _read(said) for k, said in db.execute("select key, said from beats where estimator = ?", (by,))}
    todo = list({k: i for i, k in enumerate(keys) if k not in known}.values())

    sounds = waves({i: tracks[i] for i in todo}, sample_rate, store, progress) if todo else {}

    def listen(i: int) -> Beats:
        return beats.estimate(pcm.wave(sounds[i]), sample_rate)

    for n, (i, grid) in enumerate(each(todo, listen), 1):
        known[keys[i]] = grid
        with sqlite3.connect(path, timeout=60) as db:
            db.execute("insert or replace into beats values (?, ?, ?)", (keys[i], by, _written(grid)))
        progress("finding beats", n, len(todo))
    return [known[k] for k in keys]


def _written(grid: Beats) -> str:
    places = None if grid.beat_in_bar is None else grid.beat_in_bar.tolist()
    return json.dumps([grid.times_s.tolist(), places, grid.source, grid.confidence])


def _read(said: str) -> Beats:
    times_s, places, source, confidence = json.loads(said)
    return Beats(np.array(times_s), None if places is None else np.array(places, dtype=np.int64), source, confidence)
