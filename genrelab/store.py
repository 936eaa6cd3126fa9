"""Pictures computed once, memory-mapped, shared by every run of a sweep.

    cache/files.sqlite                     what is known of each file: usable or not, digest, duration
    cache/pictures/mel-1f2e3d4c5b6a/       one front-end with one configuration
        pictures.f16                       all frames of all songs, one after another: (rows, F), float16
        index.sqlite                       which rows are whose
    cache/pictures/wave-6a5b4c3d2e1f/      decoded songs: samples instead of frames, (rows, 1), int16

Pictures are drawn from the kept samples, so that a second front-end decodes nothing, and a learned one or an
augmentation hears the same. A picture's rows are written and flushed before the index names them, so a killed writer
leaves nothing that is read. Songs are decoded in processes of their own (`audio.guarded`), which may die. Processes
that share the work (`prepare.shards`) write into one file at the same time, each into rows that it has taken before.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from genrelab import room
from genrelab.audio import decode, guarded, pcm
from genrelab.front.base import Front
from genrelab.types import Track, Unusable, digest

Progress = Callable[[str, int, int], None]  # what, done, of how many
Share = tuple[int, int]  # which part, from 0, of how many
COMMIT_EVERY = 32  # songs: what an interrupt loses at most
APART = 2**16  # bytes: machines that share a folder write whole pages, which must not be another's


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
    seconds_made: float = 0.0  # of sound that had to be decoded or drawn now
    held: object = None  # what keeps the file from making way for another
    _windows: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __getitem__(self, i: int) -> torch.Tensor:
        """Track i's picture (F, frames), float32; of waves its samples (1, samples), full scale 1."""
        own = self.stored(i)
        return torch.from_numpy((pcm.wave(own) if own.dtype == np.int16 else own.astype(np.float32)).T)

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
        """None where nothing is known. A file that is not there takes no decoder and no row: it may come."""
        try:
            stat = track.path.stat()
            stamp = stat.st_size, stat.st_mtime_ns
        except (FileNotFoundError, NotADirectoryError) as error:
            return Heard("", 0.0, "missing", error.strerror or "")
        except OSError:
            stamp = -1, -1
        row = self.db.execute(
            "select size, mtime_ns, decoder, key, duration_s, reason, detail from files"
            " where path = ? and start_s = ? and length_s = ?",
            (str(track.path), track.start_s, track.duration_s or -1),
        ).fetchone()
        return Heard(*row[3:]) if row and row[:3] == (*stamp, decode.decoder(track.path)) else None

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
        self.held = room.hold(folder)
        self.folder, self.n_bins, self.dtype = folder, n_bins, dtype
        self.data = folder / ("samples.i16" if dtype is np.int16 else "pictures.f16")
        self.db = sqlite3.connect(folder / "index.sqlite", timeout=60)
        self.db.execute("create table if not exists pictures (key text primary key, first integer, n_frames integer)")
        if not self.db.execute("pragma user_version").fetchone()[0]:
            self.db.execute(f"pragma user_version = {n_bins}")  # who looks after the store knows no front-end

    def places(self) -> dict[str, tuple[int, int]]:
        """Key -> (first row, number of rows)."""
        return {k: (first, n) for k, first, n in self.db.execute("select key, first, n_frames from pictures")}

    @contextmanager
    def writing(self, share: Share | None = None) -> Iterator[Callable[[Sequence[tuple[str, np.ndarray]]], None]]:
        """The function it gives appends pictures (frames, F) under their keys.

        One process at a time; with a share of the work, one process a share.
        """
        with ExitStack() as locks:
            locks.enter_context(room.lock(self.folder / ".lock", share))
            self.data.touch()
            file = locks.enter_context(self.data.open("r+b"))
            with self.db:
                self.db.execute(
                    "create table if not exists taken (one integer primary key check (one = 1), rows integer)"
                )
                end = "select coalesce(max(first + n_frames), 0) from pictures"
                at_least = f"max(({end}), coalesce((select rows from taken), 0))" if share else f"({end})"
                self.db.execute(f"insert or replace into taken values (1, {at_least})")
            known = set(self.places())

            def append(pictures: Sequence[tuple[str, np.ndarray]]) -> None:
                new = {k: p for k, p in pictures if k not in known}  # the same sound may stand in a manifest twice
                if not new:
                    return
                known.update(new)
                n_frames = [len(p) for p in new.values()]
                first = self._take(sum(n_frames), APART if share else 1) + np.cumsum([0, *n_frames[:-1]])
                self.write(file, int(first[0]), list(new.values()))
                with self.db:
                    rows = zip(new, first.tolist(), n_frames, strict=True)
                    self.db.executemany("insert or ignore into pictures values (?, ?, ?)", rows)

            yield append

    def write(self, file: IO[bytes], first: int, pictures: Sequence[np.ndarray]) -> None:
        """Writes pictures (frames, F) from a row on, and waits until the disk has them."""
        file.seek(first * 2 * self.n_bins)
        for picture in pictures:
            file.write(np.ascontiguousarray(picture, dtype=self.dtype).tobytes())
        file.flush()
        os.fsync(file.fileno())

    def _take(self, n_rows: int, apart: int) -> int:
        """The first of so many rows that nobody else will write, the first that begins `apart` bytes after the last."""
        row_bytes = 2 * self.n_bins
        with self.db:
            self.db.execute("begin immediate")
            (end,) = self.db.execute("select rows from taken").fetchone()
            first = -(-(-(-end * row_bytes // apart) * apart) // row_bytes)
            self.db.execute("update taken set rows = ?", (first + n_rows,))
        return int(first)

    def rows(self) -> np.ndarray:
        """All whole rows (n, F), memory-mapped, read only; a writer may be in the middle of the next."""
        n = self.data.stat().st_size // (2 * self.n_bins)
        if not n:
            return np.zeros((0, self.n_bins), self.dtype)
        return np.memmap(self.data, self.dtype, "r", shape=(n, self.n_bins))


def front_digest(front: Front, config: Mapping[str, Any], sample_rate: int) -> str:
    return digest(dict(config), front.version(), sample_rate, decode.DECODER, pcm.FULL_SCALE)


def shelf_of_waves(store: Path, sample_rate: int) -> Shelf:
    """Where decoded songs are kept."""
    what = digest(sample_rate, decode.DECODER, pcm.FULL_SCALE)
    return Shelf(store / "cache" / "pictures" / f"wave-{what}", 1, np.int16)


def pictures(
    tracks: Sequence[Track],
    front: Front,
    config: Mapping[str, Any],
    *,
    sample_rate: int,
    min_s: float,
    store: Path,
    progress: Progress,
    budget_gb: float | None = None,
    share: Share | None = None,
) -> tuple[list[Track], Pictures, list[Unusable]]:
    """The usable tracks with their pictures, and the others with their reasons. Computes what is not stored yet.

    A learned front-end's pictures change with every step: what is stored for it is the wave. Above budget_gb, what was
    unused for longest makes room; where that is not enough, decoded songs are not kept. share: of how many processes
    that fill the store side by side this is which; the tracks are its own.
    """
    files = Files(store / "cache" / "files.sqlite")
    if front.learned:
        name, shelf = "wave", shelf_of_waves(store, sample_rate)
    else:
        name = type(front).__name__.lower()
        folder = f"{name}-{front_digest(front, config, sample_rate)}"
        shelf = Shelf(store / "cache" / "pictures" / folder, front.n_bins, np.float16)
    heard = {i: h for i, t in enumerate(tracks) if (h := files.find(t))}
    places, seconds = shelf.places(), 0.0

    def todo() -> list[int]:
        return [i for i in range(len(tracks)) if i not in heard or not (heard[i].reason or heard[i].key in places)]

    if todo():
        sounds = shelf if front.learned else shelf_of_waves(store, sample_rate)
        with ExitStack() as stack:
            keep = stack.enter_context(sounds.writing(share))
            draw = keep if shelf is sounds else stack.enter_context(shelf.writing(share))
            heard |= {i: h for i in todo() if (h := files.find(tracks[i]))}
            places, kept = shelf.places(), sounds.places()  # another process may have written while we waited
            there, work = sounds.rows(), todo()

            def ready(i: int) -> tuple[tuple[int, int], Heard, np.ndarray | None, np.ndarray | None]:
                known = heard.get(i)
                first, n = kept.get(known.key, (0, 0)) if known else (0, 0)
                wave = there[first : first + n, 0] if n else None
                return _stamp(tracks[i].path), *_hear(tracks[i], front, sample_rate, known, wave)

            done = []
            for n, (i, made) in enumerate(each(work, ready), 1):
                done.append((i, *made))
                progress(f"hearing songs ({name})", n, len(work))
                if n % COMMIT_EVERY and n < len(work):
                    continue
                if shelf is sounds or _there_is_room(store, budget_gb):
                    keep([(found.key, wave[:, None]) for _, _, found, wave, _ in done if wave is not None])
                draw([(found.key, picture) for _, _, found, _, picture in done if picture is not None])
                files.add([(tracks[i], stamp, found) for i, stamp, found, *_ in done])
                heard |= {i: found for i, _, found, *_ in done}
                seconds += sum(found.duration_s for _, _, found, *_ in done)
                done = []
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
    rows = shelf.rows() if usable else np.zeros((0, shelf.n_bins), shelf.dtype)
    durations = np.array([heard[i].duration_s for i in usable])
    found = Pictures(rows, where[:, 0], where[:, 1], durations, keys, seconds, shelf.held)
    return [tracks[i] for i in usable], found, unusable


def waves(tracks: Mapping[int, Track], sample_rate: int, store: Path, progress: Progress) -> dict[int, np.ndarray]:
    """The samples (n,) of tracks, int16, by their numbers, memory-mapped; heard now where they are not kept yet."""
    _, there, _ = pictures(
        list(tracks.values()), _Wave(), {}, sample_rate=sample_rate, min_s=0.0, store=store, progress=progress
    )
    return {i: there.stored(n)[:, 0] for n, i in enumerate(tracks)}


class _Wave(Front):
    """What is kept for front-ends that are learned."""

    learned, n_bins = True, 1


def _hear(
    track: Track, front: Front, sample_rate: int, known: Heard | None, kept: np.ndarray | None
) -> tuple[Heard, np.ndarray | None, np.ndarray | None]:
    """What is known of a track, its samples (n,) where they were not kept, and its picture (frames, F) unless the
    front-end is learned; neither where the track cannot be used."""
    wave = None
    if known is None or kept is None:
        try:
            wave, of_file = guarded.call(pcm.hear, track.path, sample_rate, track.start_s, track.duration_s)
        except decode.AudioError as error:
            return Heard("", 0.0, error.reason, error.detail), None, None
        kept, known = wave, Heard(digest(of_file, track.start_s, track.duration_s), len(wave) / sample_rate)
    if front.learned:
        return known, wave, None
    try:
        with torch.no_grad():
            picture = front(torch.from_numpy(pcm.wave(kept))[None].to(device_of(front)))[0].cpu()
    except ValueError:  # shorter than one window of this front-end: a picture without frames, since others may take it
        return known, wave, np.zeros((0, front.n_bins), np.float16)
    return known, wave, picture.T.half().numpy()


def device_of(front: Front) -> torch.device:
    """Where a front-end computes."""
    return next((b.device for b in front.buffers()), torch.device("cpu"))


def _there_is_room(store: Path, budget_gb: float | None) -> bool:
    return budget_gb is None or room.make(store / "cache", 1e9 * budget_gb) <= 0


def each(items: Sequence[int], work: Callable[[int], Any]) -> Iterator[tuple[int, Any]]:
    """(item, result) in order, over as many threads as cores: decoding and transforms let go of the interpreter."""
    threads, workers = torch.get_num_threads(), os.cpu_count() or 1
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(workers)
    ahead: deque[tuple[int, Future[Any]]] = deque()  # who takes the results may be slower than who makes them
    try:
        for item in items:
            ahead.append((item, pool.submit(work, item)))
            if len(ahead) > 4 * workers:
                first, made = ahead.popleft()
                yield first, made.result()
        for first, made in ahead:
            yield first, made.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)
