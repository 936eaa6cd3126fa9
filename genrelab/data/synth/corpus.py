"""`data=synth`: a corpus of procedural songs in the store, with a manifest that tells the truth about each."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import soundfile

from genrelab.data.manifest import read_manifest
from genrelab.data.sources.base import Source, made_once
from genrelab.data.synth.dials import ORDERS, SLICE_S
from genrelab.data.synth.genres import GENRES
from genrelab.data.synth.plan import SongSpec, plan
from genrelab.data.synth.render import render
from genrelab.types import Track, UserError

VERSION = 1  # raise it when the same parameters no longer give the same samples
COLUMNS = ("path", "genre", "id", "artist", "album", "studio", "track", "tempo_bpm", "beats_per_bar", "beats")
DIALS = ("order_only", "blend", "blend_weight", "closeness", "label_noise")  # all at rest where false, 0 or null
CHUNK = 8  # songs a worker makes before it reports

N = TypeVar("N", int, float)
Progress = Callable[[str, int, int], None]  # what, done, of how many


class Synth(Source):
    """Procedural songs. Made once for each set of parameters, then found in the store."""

    @property
    def name(self) -> str:
        return "synth"

    def __init__(
        self,
        *,
        genres: Sequence[str],
        n_songs: int,
        song_s: float,
        n_artists_per_genre: int,
        n_albums_per_artist: int,
        n_studios: int,
        studio_genre_correlation: float,
        overlap: float,
        seed: int,
        sample_rate: int,
        order_only: bool,
        blend: float,
        blend_weight: float | None,
        closeness: float,
        label_noise: float,
        n_jobs: int | None,
        beats: str,
        unknown: str | None,
        tree: str | None,
    ) -> None:
        super().__init__(beats, unknown, tree)
        self.genres, self.n_jobs = [str(g) for g in genres], n_jobs
        self.n_songs = _number("n_songs", n_songs, int)
        self.song_s = _number("song_s", song_s, float)
        self.n_artists_per_genre = _number("n_artists_per_genre", n_artists_per_genre, int)
        self.n_albums_per_artist = _number("n_albums_per_artist", n_albums_per_artist, int)
        self.n_studios = _number("n_studios", n_studios, int)
        self.studio_genre_correlation = _number("studio_genre_correlation", studio_genre_correlation, float)
        self.overlap = _number("overlap", overlap, float)
        self.seed = _number("seed", seed, int)
        self.sample_rate = _number("sample_rate", sample_rate, int)
        self.order_only = order_only
        self.blend = _number("blend", blend, float)
        self.blend_weight = None if blend_weight is None else _number("blend_weight", blend_weight, float)
        self.closeness = _number("closeness", closeness, float)
        self.label_noise = _number("label_noise", label_noise, float)
        self._validate()

    def _validate(self) -> None:
        unknown = [g for g in self.genres if g not in GENRES]
        if unknown or not self.genres or len(set(self.genres)) < len(self.genres):
            given = ", ".join(self.genres) or "none"
            raise UserError(f"data.genres: {given}; expected different genres out of {', '.join(GENRES)}")
        for key in ("n_songs", "n_artists_per_genre", "n_albums_per_artist"):
            _expect(key, getattr(self, key), getattr(self, key) >= 1, "at least 1")
        for key in ("studio_genre_correlation", "overlap", "blend", "closeness", "label_noise"):
            _expect(key, getattr(self, key), 0 <= getattr(self, key) <= 1, "from 0 to 1")
        _expect("order_only", self.order_only, isinstance(self.order_only, bool), "true or false")
        n_genres = len(ORDERS if self.order_only else self.genres)
        _expect("n_studios", self.n_studios, self.n_studios >= n_genres, f"at least one a genre, {n_genres}")
        _expect("song_s", self.song_s, 1 <= self.song_s <= 3600, "seconds, from 1 to 3600")
        _expect("seed", self.seed, self.seed >= 0, "0 or more")
        _expect("sample_rate", self.sample_rate, self.sample_rate >= 4000, "Hz, at least 4000")
        self._validate_dials(n_genres)
        fits = self.n_jobs is None or _number("n_jobs", self.n_jobs, int) >= 1
        _expect("n_jobs", self.n_jobs, fits, "null (every core) or at least 1")

    def _validate_dials(self, n_genres: int) -> None:
        def rests(key: str, where: str) -> None:
            _expect(key, getattr(self, key), not getattr(self, key), f"0 {where}")

        weight = self.blend_weight
        _expect("blend_weight", weight, weight is None or 0.5 <= weight <= 0.99, "null (drawn), or from 0.5 to 0.99")
        if n_genres == 1:
            for key in ("blend", "closeness", "label_noise"):
                rests(key, "with one genre in data.genres")
        if self.label_noise:
            rests("blend", "with data.label_noise: a wrong label has no weights")
        if self.order_only:
            for key in ("blend", "closeness"):
                rests(key, "with data.order_only=true: its genres differ in order alone")
            n_slices = round(self.song_s / SLICE_S)
            even = n_slices % 2 == 0 and abs(self.song_s - n_slices * SLICE_S) < 1e-6
            example = f"an even number of slices of {SLICE_S} s with data.order_only=true, such as {4 * SLICE_S}"
            _expect("song_s", self.song_s, even and n_slices > 0, example)
            whole = f"a multiple of 25 Hz with data.order_only=true: {SLICE_S} s are then whole samples"
            _expect("sample_rate", self.sample_rate, self.sample_rate % 25 == 0, whole)

    @property
    def parameters(self) -> dict[str, object]:
        """What decides the samples; `n_jobs`, and what every source has, do not."""
        return {k: v for k, v in vars(self).items() if k not in ("n_jobs", "beats") and not k.startswith("_")}

    @property
    def digest(self) -> str:
        """12 hex digits of the parameters and the generator's version.

        A dial at rest changes nothing and is left out, so that a new dial makes no older corpus again.
        """
        moved = {k: v for k, v in self.parameters.items() if v or k not in DIALS}
        text = json.dumps({"version": VERSION, **moved}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def songs(self) -> list[SongSpec]:
        """What the corpus holds, before a sample is made."""
        return plan(**self.parameters)  # type: ignore[arg-type]

    def manifest(self, store: Path, progress: Progress | None = None) -> Path:
        """The corpus' manifest.csv; makes the corpus under the store if it is not complete there."""
        return made_once(Path(store) / "data" / f"synth-{self.digest}", lambda part: self._fill(part, progress))

    def _fill(self, part: Path, progress: Progress | None) -> None:
        for sub in ("songs", "beats"):
            (part / sub).mkdir(parents=True, exist_ok=True)
        songs = self.songs()
        self._make(songs, part, progress)
        self._write_manifest(part / "manifest.csv", songs)

    def _write_manifest(self, path: Path, songs: list[SongSpec]) -> None:
        """A row a song: `genres` with weights instead of `genre` where songs are blends, `true_genre` beside noise."""
        columns = ["genres" if self.blend and column == "genre" else column for column in COLUMNS]
        if self.label_noise:
            _write_csv(path, (*columns, "true_genre"), ((*_row(song), song.genre) for song in songs))
        else:
            _write_csv(path, columns, map(_row, songs))

    def tracks(self, store: Path, progress: Progress | None = None) -> list[Track]:
        """The corpus, made where it is not there yet."""
        return read_manifest(self.manifest(store, progress))

    def _make(self, songs: list[SongSpec], folder: Path, progress: Progress | None) -> None:
        """Write the songs that the folder lacks."""
        for left in (folder / "songs").glob("*.part"):  # of processes that were killed
            left.unlink(missing_ok=True)
        todo = [song for song in songs if not (folder / "songs" / f"{song.id}.wav").is_file()]
        n_jobs = min(self.n_jobs or os.cpu_count() or 1, -(-len(todo) // CHUNK))
        done = len(songs) - len(todo)
        chunks = [todo[i : i + CHUNK] for i in range(0, len(todo), CHUNK)]
        for n in _each(chunks, folder, n_jobs):
            done += n
            if progress:
                progress("making songs", done, len(songs))


def _number(key: str, given: Any, kind: type[N]) -> N:
    """The given value as that kind of number; a whole one is not rounded."""
    try:
        value = kind(given)
        fits = not isinstance(given, (str, bool)) and value == given
    except (TypeError, ValueError, OverflowError):
        fits = False
    _expect(key, given, fits, "a whole number" if kind is int else "a number")
    return value


def _expect(key: str, given: object, fits: bool, expected: str) -> None:
    if not fits:
        raise UserError(f"data.{key}={given}: expected {expected}")


def _each(chunks: list[list[SongSpec]], folder: Path, n_jobs: int) -> Iterable[int]:
    """Make the chunks in `n_jobs` processes; yield how many songs each held, as it is finished."""
    if n_jobs <= 1:
        yield from (_make_songs(chunk, folder) for chunk in chunks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context, initializer=_attend) as pool:
        left: set[Future[int]] = set()
        try:
            with _interrupts_wait():
                left |= {pool.submit(_make_songs, chunk, folder) for chunk in chunks}
            while left:
                done, left = wait(left, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenProcessPool:
            raise UserError(
                "a process that made songs was killed, perhaps for its memory: the same words go on where it was; "
                "data.n_jobs=1 takes the least"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Interrupts come when this is over. Processes that are started meanwhile never hear those of a terminal."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _attend() -> None:
    """A process that makes songs ends with the one that started it, however that ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _make_songs(songs: list[SongSpec], folder: Path) -> int:
    """Write the songs and their beats; a file that has its name is whole. Returns how many."""
    for song in songs:
        time_s, beat_in_bar = song.beats()
        beats = [(f"{t:.4f}", int(b)) for t, b in zip(time_s, beat_in_bar, strict=True)]
        _write_csv(folder / "beats" / f"{song.id}.csv", ("time", "beat_in_bar"), beats)
        path = folder / "songs" / f"{song.id}.wav"
        part = path.with_suffix(f".{os.getpid()}.part")  # its own: another one may outlive a process that was killed
        made = io.BytesIO()  # libsndfile does not say that a disk was full
        soundfile.write(made, render(song), song.sample_rate, subtype="PCM_16", format="WAV")
        try:
            part.write_bytes(made.getbuffer())
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.replace(path)
    return len(songs)


def _row(song: SongSpec) -> tuple[object, ...]:
    beats, wav = f"beats/{song.id}.csv", f"songs/{song.id}.wav"
    grid = (f"{song.tempo_bpm:.2f}", song.beats_per_bar, beats)
    return (wav, song.label, song.id, song.artist, song.album, song.chain.name, song.id, *grid)


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
