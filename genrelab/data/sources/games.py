"""`data=games`: real recordings, the labelled music of free games, out of Debian packages."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from filelock import FileLock

from genrelab.data import debian
from genrelab.data.manifest import read_manifest
from genrelab.data.sources.audio import audio_files, is_song
from genrelab.data.sources.base import Source
from genrelab.types import Track, UserError

log = logging.getLogger(__name__)

VERSION = 1  # raise it when the same packages no longer give the same rows
COLUMNS = ("path", "genre", "id", "artist", "track", "start_s", "duration_s", "licence", "title", "package", "tag")
MB = 1_000_000
SMALLEST = 64_000  # bytes; no music of half a minute is smaller
STEMS = ("guitar", "rhythm", "bass", "drums")  # beside a `song`: its players one by one

Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True)
class Recording:
    path: Path
    package: str
    name: str  # of the recording, in its package
    duration_s: float
    artist: str | None
    title: str | None
    tags: tuple[str, ...]  # what the file says of its genre


class Games(Source):
    """Windows of recordings. The genre is the file's own tag; where it has none that of its package."""

    @property
    def name(self) -> str:
        return "games"

    def __init__(
        self,
        *,
        packages: Mapping[str, str | None],
        only: Sequence[str] | None,
        tags: Mapping[str, Sequence[str]],
        no_genre: Sequence[str],
        window_s: float,
        n_windows: int,
        beats: str,
        unknown: str | None,
        tree: str | None,
    ) -> None:
        super().__init__(beats, unknown, tree)
        wanted = list(packages) if only is None else [p for p in packages if any(fnmatchcase(p, w) for w in only)]
        if not wanted:
            raise UserError(f"data.only={only}: expected names out of data.packages: {', '.join(packages)}")
        self.packages = {str(p): packages[p] for p in wanted}
        self.genre_of = {str(word).lower(): genre for genre, words in tags.items() for word in words}
        self.no_genre = [str(word).lower() for word in no_genre]
        fits = not isinstance(window_s, bool) and isinstance(window_s, (int, float)) and window_s >= 1
        if not fits:
            raise UserError(f"data.window_s={window_s}: expected seconds, at least 1")
        if isinstance(n_windows, bool) or not isinstance(n_windows, int) or n_windows < 1:
            raise UserError(f"data.n_windows={n_windows}: expected a whole number, at least 1")
        self.window_s, self.n_windows = float(window_s), n_windows

    def tracks(self, store: Path, progress: Progress | None = None) -> list[Track]:
        """The windows; fetches the packages that the store lacks. Raises UserError where that cannot be done."""
        return read_manifest(self.manifest(store, progress))

    def manifest(self, store: Path, progress: Progress | None = None) -> Path:
        """The manifest.csv of these packages, written last. Packages that apt does not know are named and left out."""
        root = Path(store) / "data" / "games"
        whole = self._path(root, self.packages)
        if whole.is_file():
            return whole
        debian.need_programs("data=games")
        there = debian.known(list(self.packages))
        lacking = [name for name in self.packages if name not in there]
        if not there:
            raise UserError(
                f"data.packages: apt knows none of {', '.join(lacking)}: run apt-get update, or name packages that "
                "your Debian has"
            )
        if lacking:
            log.warning("games: apt does not know %s: left out", ", ".join(lacking))
        path = self._path(root, there)
        (root / "packages").mkdir(parents=True, exist_ok=True)
        with FileLock(root / "lock"):
            if not path.is_file():
                folders = self._fetched(there, root / "packages", progress or (lambda *_: None))
                self._write(path, folders)
        return path

    def _path(self, root: Path, names: Mapping[str, object]) -> Path:
        own = {name: self.packages[name] for name in self.packages if name in names}
        parts = (VERSION, own, self.genre_of, self.no_genre, self.window_s, self.n_windows)
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
        return root / digest / "manifest.csv"

    def _fetched(self, there: Mapping[str, debian.Package], folder: Path, progress: Progress) -> dict[str, Path]:
        """Name in `data.packages` -> the folder with its audio files. A package's file is not kept beside them."""
        todo = [p for p in there.values() if not (folder / p.folder).is_dir()]
        total = sum(p.size for p in todo)
        if todo:
            sizes = ", ".join(f"{p.name} {p.size / MB:.0f} MB" for p in todo)
            log.warning("games: %d packages to fetch, %.0f MB in all: %s", len(todo), total / MB, sizes)
            free = shutil.disk_usage(folder).free
            if free < 2 * total:
                raise UserError(
                    f"data=games: {2 * total / MB:.0f} MB are needed while {folder} is filled, {free / MB:.0f} are "
                    "free: give another store=DIR, or fewer packages with data.only"
                )
        done = 0
        for package in todo:
            what, before = f"fetching MB, {package.name}", done

            def shown(there: int, what: str = what, before: int = before) -> None:
                progress(what, (before + there) // MB, -(-total // MB))

            file = debian.fetch(package, folder, shown)
            debian.unpack(file, folder / package.folder, _wanted)
            file.unlink()
            done += package.size
        return {name: folder / package.folder for name, package in there.items()}

    def _write(self, path: Path, folders: Mapping[str, Path]) -> None:
        """The rows, and beside them what was left out and why."""
        rows: list[tuple[object, ...]] = []
        left: list[tuple[str, str]] = []
        for name, folder in folders.items():
            package = folder.name.partition("_")[0]
            licence = debian.licence(next(folder.glob("usr/share/doc/*/copyright"), folder / "copyright"))
            for file, recording in _recordings(folder, package).items():
                where = f"{package}: {file.relative_to(folder).as_posix()}"
                genre, why = (None, recording) if isinstance(recording, str) else self._genre(recording, name)
                if isinstance(recording, str) or genre is None:
                    left.append((where, why))
                    continue
                windows = self._windows(recording.duration_s)
                if not windows:
                    left.append((where, f"shorter than {self.window_s:g} s"))
                relative = f"../packages/{file.relative_to(folder.parent).as_posix()}"
                track, tag = f"{package}.{recording.name}", "|".join(recording.tags)
                who = recording.artist or package
                about = (licence, recording.title or "", package, tag)
                rows += [
                    (relative, genre, f"{track}.{i}", who, track, f"{start:.3f}", f"{self.window_s:g}", *about)
                    for i, start in enumerate(windows)
                ]
        if not rows:
            raise UserError("data=games: no recording in these packages has a genre: give more with data.only")
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_csv(path.with_name("left_out.csv"), ("file", "reason"), sorted(left))
        _write_csv(path, COLUMNS, sorted(rows, key=lambda row: str(row[2])))
        if left:
            reasons = Counter(reason for _, reason in left)
            listed = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
            log.warning("games: %d files left out (%s), see %s", len(left), listed, path.with_name("left_out.csv"))

    def _genre(self, recording: Recording, package: str) -> tuple[str | None, str]:
        """The genre, or none and why: the tag's, by the words in it; the package's where the tag says nothing."""
        tags = [tag for tag in recording.tags if tag.lower() not in self.no_genre]
        if not tags:
            return self.packages[package], "without a genre tag"
        found = {
            genre
            for tag in tags
            for word, genre in self.genre_of.items()
            if re.search(rf"\b{re.escape(word)}\b", tag.lower())
        }
        if len(found) == 1:
            return found.pop(), ""
        return None, f"with the tag {'|'.join(tags)}"

    def _windows(self, duration_s: float) -> list[float]:
        """Where the windows begin: evenly over the recording, none over another."""
        n = min(self.n_windows, int(duration_s / self.window_s))
        spare = (duration_s - n * self.window_s) / n if n else 0.0
        return [round(spare / 2 + i * (self.window_s + spare), 3) for i in range(n)]


def _wanted(path: str, size: int) -> bool:
    name = path.rsplit("/", maxsplit=1)[-1]
    return (is_song(name) and size >= SMALLEST) or (path.startswith("usr/share/doc/") and name == "copyright")


def _recordings(folder: Path, package: str) -> dict[Path, Recording | str]:
    """Each audio file's recording, or why it is none."""
    import mutagen
    import soundfile

    files = audio_files(folder)
    names = Counter(file.stem for file in files)
    found: dict[Path, Recording | str] = {}
    for file in files:
        if file.stem in STEMS and file.with_stem("song").is_file():
            found[file] = "one player of a song"
            continue
        try:
            about = soundfile.info(file)
            tagged = mutagen.File(file, easy=True)
        except (soundfile.LibsndfileError, mutagen.MutagenError):
            found[file] = "not audio"
            continue
        tags = {k: [str(v).strip() for v in values] for k, values in dict((tagged and tagged.tags) or {}).items()}
        own = {key: next((v for v in tags.get(key, []) if v), None) for key in ("artist", "title")}
        twice = names[file.stem] > 1
        name = file.parent.name if twice and file.stem == "song" else file.stem
        found[file] = Recording(
            file,
            package,
            f"{file.parent.name}.{name}" if twice and name == file.stem else name,
            about.frames / about.samplerate,
            own["artist"],
            own["title"],
            tuple(dict.fromkeys(v for v in tags.get("genre", []) if v)),
        )
    return found


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    part.replace(path)
