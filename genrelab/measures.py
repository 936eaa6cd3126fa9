"""What is measured of the songs of a data set, once: kept in the store by the sound that it was measured of.

    cache/sounds.sqlite     what is known of each file at its own sample rate
    cache/measures.sqlite   what was measured of each sound, by what did it

Not the pictures' cache/files.sqlite: lengths differ by a sample from one rate to another, and a run's slices must not
depend on whether its songs had been measured before.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genrelab import room
from genrelab.audio import decode, guarded
from genrelab.store import COMMIT_EVERY, Files, Heard, Progress, Share, _stamp, each
from genrelab.types import Track, digest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Work = Callable[["np.ndarray", int], bytes]  # a wave and its sample rate -> what is kept of it


def measured(
    tracks: Sequence[Track], *, sample_rate: int, store: Path, progress: Progress, share: Share | None = None
) -> pd.DataFrame:
    """A row a track, in their order, with the columns of `audio.measure.COLUMNS`; NaN where it cannot be decoded.

    Measured at each file's own rate, but for the MFCCs: those are of the sound at `sample_rate` Hz. Where the manifest
    knows every track's tempo, that is taken and none is estimated.
    """
    import numpy as np
    import pandas as pd

    from genrelab.audio import measure

    def work(wave: np.ndarray, own_rate: int) -> bytes:
        found = measure.measure(wave, own_rate, sample_rate, tempo=not annotated)
        return json.dumps([None if np.isnan(found[c]) else found[c] for c in measure.COLUMNS]).encode()

    annotated = all(t.tempo_bpm for t in tracks)
    version = digest(measure.version(), sample_rate, annotated)
    _, said = kept(tracks, "measuring songs", version, work, store=store, progress=progress, share=share)
    nothing = [None] * len(measure.COLUMNS)
    rows = [nothing if s is None else json.loads(s) for s in said]
    table = pd.DataFrame(rows, columns=list(measure.COLUMNS), dtype=float)
    if annotated:
        table["tempo_bpm"] = [
            float(t.tempo_bpm or 0) if s is not None else np.nan for t, s in zip(tracks, said, strict=True)
        ]
    return table


def kept(
    tracks: Sequence[Track],
    what: str,
    version: str,
    work: Work,
    *,
    store: Path,
    progress: Progress,
    share: Share | None = None,
) -> tuple[list[Heard], list[bytes | None]]:
    """What is known of each track's file, and `work(wave, sample_rate)` of its sound at the file's own rate.

    None where the file cannot be used. Done once for a sound and a version, by one process at a time, or one
    a share of the work.
    """
    cache = store / "cache"
    files = Files(cache / "sounds.sqlite")
    shelf = _Shelf(cache / "measures.sqlite", digest(what, version))
    heard = {i: h for i, t in enumerate(tracks) if (h := files.find(t))}
    said = shelf.all()

    def todo() -> list[int]:
        return [i for i in range(len(tracks)) if i not in heard or not (heard[i].reason or heard[i].key in said)]

    if todo():
        with room.lock(cache / "measures.lock", share):
            said = shelf.all()  # another process may have measured while we waited
            heard |= {i: h for i in todo() if (h := files.find(tracks[i]))}
            waiting, new, stamps = todo(), {}, []
            results = each(waiting, lambda i: (_stamp(tracks[i].path), *_hear(tracks[i], work, said)))
            for n, (i, (stamp, found, value)) in enumerate(results, 1):
                heard[i] = found
                stamps.append((tracks[i], stamp, found))
                if value is not None and found.key not in said:
                    said[found.key] = new[found.key] = value
                progress(what, n, len(waiting))
                if n % COMMIT_EVERY == 0 or n == len(waiting):
                    shelf.add(new)
                    files.add(stamps)
                    new, stamps = {}, []
    everyone = [heard[i] for i in range(len(tracks))]
    return everyone, [None if h.reason else said[h.key] for h in everyone]


class _Shelf:
    """Values by the key of the sound, of one way to measure."""

    def __init__(self, path: Path, by: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.by = by
        self.db = sqlite3.connect(path, timeout=60)
        self.db.execute("create table if not exists said (way text, key text, value blob, primary key (way, key))")

    def all(self) -> dict[str, bytes]:
        return dict(self.db.execute("select key, value from said where way = ?", (self.by,)))

    def add(self, values: dict[str, bytes]) -> None:
        with self.db:
            rows = [(self.by, k, v) for k, v in values.items()]
            self.db.executemany("insert or replace into said values (?, ?, ?)", rows)


def _hear(track: Track, work: Work, said: Mapping[str, bytes]) -> tuple[Heard, bytes | None]:
    """Decodes a track at its file's own rate and measures it, unless its sound is known under another name."""
    try:
        sample_rate = guarded.own_rate(track.path)
        wave = guarded.inspect(track.path, sample_rate, track.start_s, track.duration_s)
        key = digest(decode.file_digest(track.path), track.start_s, track.duration_s)
    except decode.AudioError as error:
        return Heard("", 0.0, error.reason, error.detail), None
    return Heard(key, len(wave) / sample_rate), said[key] if key in said else work(wave, sample_rate)
