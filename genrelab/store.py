"""Pictures computed once, memory-mapped, shared by every run of a sweep.

    cache/files.sqlite                     what is known of each file: usable or not, digest, duration
    cache/pictures/mel-1f2e3d4c5b6a/       one front-end with one configuration
        pictures.f16                       all frames of all songs, one after another: (rows, F), float16
        index.sqlite                       which rows are whose
    cache/pictures/wave-6a5b4c3d2e1f/      what learned front-ends hear: samples instead of frames, (rows, 1), int16

A picture's rows are written and flushed before the index names them, so a killed writer leaves nothing that is read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from genrelab.audio import decode
from genrelab.front.base import FULL_SCALE, Front, samples
from genrelab.types import Track, Unusable, digest

Progress = Callable[[str, int, int], None]  # what, done, of how many
COMMIT_EVERY = 32  # songs: what an interrupt loses at most


@dataclass(frozen=True, slots=True)
class Heard:
    """What decoding one track found."""

    key: str  # digest of the file and the window; what a picture is filed under
    duration_s: float
    reason: str = ""  # why the track cannot be used; "" where it can
    detail: str = ""


@dataclass(frozen=True)
class Pictures:
    """The stored pictures of some tracks, in the tracks' order."""

    rows: np.ndarray  # (all rows of the file, F) float16, memory-mapped; of waves (all samples, 1) int16
    first: np.ndarray  # (n,) each track's first row
    n_frames: np.ndarray  # (n,)
    duration_s: np.ndarray  # (n,)
    keys: tuple[str, ...]
    seconds_made: float = 0.0  # of sound that had to be decoded now
    _windows: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __getitem__(self, i: int) -> torch.Tensor:
        """Track i's picture (F, frames), float32; of waves its samples (1, samples), full scale 1."""
        own = self.stored(i).astype(np.float32).T
        return torch.from_numpy(own / FULL_SCALE if self.rows.dtype == np.int16 else own)

    def windows(self, n: int) -> np.ndarray:
        """(rows - n + 1, n, F): the n rows from each row on, not copied; what is taken of it is."""
        if n not in self._windows:
            shape = (max(0, len(self.rows) - n + 1), n, self.rows.shape[1])
            self._windows[n] = np.lib.stride_tricks.as_strided(
                self.rows, shape, (self.rows.strides[0], *self.rows.strides), writeable=False
            )
        return self._windows[n]

    def stored(self, i: int) -> np.ndarray:
        """Track i's rows as they are stored, not copied."""
        return self.rows[self.first[i] : self.first[i] + self.n_frames[i]]


class Files:
    """What is known of audio files, by path, size and time of change."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(path, timeout=60)
        self.db.execute(
            "create table if not exists files (path text, start_s real, length_s real, size integer, mtime_ns integer,"
            " decoder text, key text, duration_s real, reason text, detail text, primary key (path, start_s, length_s))"
        )

    def find(self, track: Track) -> Heard | None:
        row = self.db.execute(
            "select size, mtime_ns, decoder, key, duration_s, reason, detail from files"
            " where path = ? and start_s = ? and length_s = ?",
            (str(track.path), track.start_s, track.duration_s or -1),
        ).fetchone()
        return Heard(*row[3:]) if row and row[:3] == (*_stamp(track.path), decode.decoder(track.path)) else None

    def add(self, said: Sequence[tuple[Track, tuple[int, int], Heard]]) -> None:
        """Tracks, their files' stamps before they were heard, and what was found; in one go, since others wait."""
        rows = [
            (
                *(str(t.path), t.start_s, t.duration_s or -1, *stamp, decode.decoder(t.path)),
                *(h.key, h.duration_s, h.reason, h.detail),
            )
            for t, stamp, h in said
        ]
        with self.db:
            self.db.executemany("insert or replace into files values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


class Shelf:
    """The pictures of one front-end: one growing file and its index."""

    def __init__(self, folder: Path, n_bins: int, dtype: type[np.generic]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.n_bins, self.dtype = folder, n_bins, dtype
        self.data = folder / ("samples.i16" if dtype is np.int16 else "pictures.f16")
        self.db = sqlite3.connect(folder / "index.sqlite", timeout=60)
        self.db.execute("create table if not exists pictures (key text primary key, first integer, n_frames integer)")
        if not self.db.execute("pragma user_version").fetchone()[0]:
            self.db.execute(f"pragma user_version = {n_bins}")  # who looks after the store knows no front-end
        os.utime(folder)  # last used: now

    def places(self) -> dict[str, tuple[int, int]]:
        """Key -> (first row, number of rows)."""
        return {k: (first, n) for k, first, n in self.db.execute("select key, first, n_frames from pictures")}

    @contextmanager
    def writing(self) -> Iterator[Callable[[Sequence[tuple[str, np.ndarray]]], None]]:
        """One process at a time; the function it gives appends pictures (frames, F) under their keys."""
        with FileLock(self.folder / ".lock"):
            self.data.touch()
            with self.data.open("r+b") as file:
                row_bytes = 2 * self.n_bins
                end = self.db.execute("select max(first + n_frames) from pictures").fetchone()[0] or 0

                def append(pictures: Sequence[tuple[str, np.ndarray]]) -> None:
                    nonlocal end
                    file.seek(end * row_bytes)
                    index = []
                    for key, picture in pictures:
                        file.write(np.ascontiguousarray(picture, dtype=self.dtype).tobytes())
                        index.append((key, end, len(picture)))
                        end += len(picture)
                    file.flush()
                    os.fsync(file.fileno())
                    with self.db:
                        self.db.executemany("insert or ignore into pictures values (?, ?, ?)", index)

                yield append

    def rows(self) -> np.ndarray:
        """All whole rows (n, F), memory-mapped, read only; a writer may be in the middle of the next."""
        n = self.data.stat().st_size // (2 * self.n_bins)
        return np.memmap(self.data, self.dtype, "r", shape=(n, self.n_bins))


def front_digest(front: Front, config: Mapping[str, Any], sample_rate: int) -> str:
    return digest(dict(config), front.version(), sample_rate, decode.DECODER)


def pictures(
    tracks: Sequence[Track],
    front: Front,
    config: Mapping[str, Any],
    *,
    sample_rate: int,
    min_s: float,
    store: Path,
    progress: Progress,
) -> tuple[list[Track], Pictures, list[Unusable]]:
    """The usable tracks with their pictures, and the others with their reasons. Computes what is not stored yet.

    A learned front-end's pictures change with every step: what is stored for it is the wave.
    """
    if front.learned:
        name, what = "wave", digest(sample_rate, decode.DECODER, FULL_SCALE)
    else:
        name, what = type(front).__name__.lower(), front_digest(front, config, sample_rate)
    n_bins, dtype = (1, np.int16) if front.learned else (front.n_bins, np.float16)
    shelf = Shelf(store / "cache" / "pictures" / f"{name}-{what}", n_bins, dtype)
    files = Files(store / "cache" / "files.sqlite")
    heard = {i: h for i, t in enumerate(tracks) if (h := files.find(t))}
    places, seconds = shelf.places(), 0.0

    def todo() -> list[int]:
        return [i for i in range(len(tracks)) if i not in heard or not (heard[i].reason or heard[i].key in places)]

    if todo():
        with shelf.writing() as append:
            places = shelf.places()  # another process may have written while we waited
            work = todo()
            batch: list[tuple[str, np.ndarray]] = []
            said: list[tuple[Track, tuple[int, int], Heard]] = []
            results = each(work, lambda i: (_stamp(tracks[i].path), *_hear(tracks[i], front, sample_rate)))
            for n, (i, (stamp, found, picture)) in enumerate(results, 1):
                heard[i] = found
                said.append((tracks[i], stamp, found))
                seconds += found.duration_s if picture is not None else 0.0
                if picture is not None and found.key not in places:  # the same sound may stand in a manifest twice
                    batch.append((found.key, picture))
                    places[found.key] = (-1, -1)
                progress(f"hearing songs ({name})", n, len(work))
                if n % COMMIT_EVERY == 0 or n == len(work):
                    append(batch)
                    files.add(said)
                    batch, said = [], []
        places = shelf.places()

    usable, unusable = [], []
    for i, track in enumerate(tracks):
        h = heard[i]
        if h.reason:
            unusable.append(Unusable(track, h.reason, h.detail))
        elif h.duration_s + 1e-6 < min_s:
            unusable.append(Unusable(track, "shorter than a slice", f"{h.duration_s:.2f} s, a slice needs {min_s:g} s"))
        elif not places[h.key][1]:
            unusable.append(Unusable(track, "shorter than a slice", f"{h.duration_s:.2f} s, front={name} needs more"))
        else:
            usable.append(i)
    keys = tuple(heard[i].key for i in usable)
    where = np.array([places[k] for k in keys], dtype=np.int64).reshape(-1, 2)
    rows = shelf.rows() if usable else np.zeros((0, n_bins), dtype)
    durations = np.array([heard[i].duration_s for i in usable])
    made = Pictures(rows, where[:, 0], where[:, 1], durations, keys, seconds)
    return [tracks[i] for i in usable], made, unusable


def _hear(track: Track, front: Front, sample_rate: int) -> tuple[Heard, np.ndarray | None]:
    """Decodes a track and draws its picture (frames, F), or its samples (n, 1) where the front-end is learned; none
    where the track cannot be used."""
    try:
        wave = decode.inspect(track.path, sample_rate, track.start_s, track.duration_s)
        key = digest(decode.file_digest(track.path), track.start_s, track.duration_s)
    except decode.AudioError as error:
        return Heard("", 0.0, error.reason, error.detail), None
    duration_s = len(wave) / sample_rate
    if front.learned:
        return Heard(key, duration_s), samples(wave)[:, None]
    try:
        with torch.no_grad():
            picture = front(torch.from_numpy(wave)[None])[0]
    except ValueError:  # shorter than one window of this front-end: a picture without frames, since others may take it
        return Heard(key, duration_s), np.zeros((0, front.n_bins), np.float16)
    return Heard(key, duration_s), picture.T.half().numpy()


def each(items: Sequence[int], work: Callable[[int], Any]) -> Iterator[tuple[int, Any]]:
    """(item, result) in order, over as many threads as cores: decoding and transforms let go of the interpreter."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        yield from zip(items, pool.map(work, items), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)
