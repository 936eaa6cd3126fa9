"""`data=ballroom data.path=DIR`: 698 excerpts of 30 s of eight dances, with annotated beats and bars.

    DIR/ChaChaCha/Albums-Cafe_Paradiso-05.wav           DIR is BallroomData, or the folder above
    DIR/Rumba-American/, Rumba-International/, Rumba-Misc/           one genre, Rumba
    DIR/../BallroomAnnotations/Albums-Cafe_Paradiso-05.beats         or data.annotations=

A line of a .beats file is a time in seconds and the place in the bar (`9.43 3`); older versions have the bar before it
(`9.43 9.3`). Artists are not known. The album is the file's name without its number; of Media-103414 it is Media-1034,
since its last two digits count from 01 to at most 22: no document says so.
Gouyon et al. 2006, An experimental comparison of audio tempo induction algorithms; the beats: Krebs, Böck & Widmer
2013, Rhythmic pattern modeling for beat and downbeat tracking in musical audio; the replicas: Sturm 2014.
"""

from __future__ import annotations

import csv
import logging
import os
import re
import shutil
from pathlib import Path
from statistics import median

from genrelab.data.download import fetched
from genrelab.data.sources.audio import audio_files
from genrelab.data.sources.collection import Collection, first_folder, need_some, shown
from genrelab.types import Track, UserError, digest

log = logging.getLogger(__name__)

FOLDERS = {  # -> the dance
    **{
        dance: dance
        for dance in ("ChaChaCha", "Jive", "Quickstep", "Rumba", "Samba", "Tango", "VienneseWaltz", "Waltz")
    },
    **dict.fromkeys(("Rumba-American", "Rumba-International", "Rumba-Misc"), "Rumba"),
}
REPLICAS = {  # -> the excerpt that it is a copy of
    "Albums-AnaBelen_Veneo-15": "Albums-AnaBelen_Veneo-03",
    "Albums-Ballroom_Magic-18": "Albums-Ballroom_Magic-03",
    "Albums-Chrisanne2-12": "Albums-AnaBelen_Veneo-11",
    "Albums-Fire-09": "Albums-Fire-08",
    "Albums-Latin_Jam-13": "Albums-Latin_Jam-04",
    "Albums-Latin_Jam-14": "Albums-Latin_Jam-08",
    "Albums-Latin_Jam-15": "Albums-Latin_Jam-06",
    "Albums-Latin_Jam2-13": "Albums-Latin_Jam2-05",
    "Albums-Latin_Jam2-14": "Albums-Latin_Jam2-02",
    "Albums-Latin_Jam2-15": "Albums-Latin_Jam2-07",
    "Media-103414": "Albums-Latin_Jam3-02",
    "Media-103415": "Media-103402",
    "Media-104705": "Albums-Secret_Garden-01",
}
MIRDATA, MIRDATA_BEATS = "B_1.0/audio", "B_1.0/annotations/beats"  # where it puts them
Grid = list[tuple[float, int]]  # time in s, place in the bar


class Ballroom(Collection):
    """`replicas`: whether the 13 known copies stay; then each shares `track` with its original."""

    holds = "the folder BallroomData, with ChaChaCha/Albums-Cafe_Paradiso-05.wav in it"

    def __init__(
        self,
        path: str | None,
        annotations: str | None,
        replicas: bool,
        download: bool,
        beats: str,
        unknown: str | None,
        tree: str | None,
    ) -> None:
        super().__init__(path, beats, unknown, tree)
        self._annotations, self.replicas, self.download = annotations, replicas, download

    def tracks(self, store: Path, progress: object) -> list[Track]:  # noqa: ARG002 - other sources need it
        """The excerpts by dance and name; their beats are written into the store as genrelab reads them.

        Raises UserError: no such folder, no dances in it, annotations that cannot be read; or `download` could not be.
        """
        root = self.root()
        if self.download:
            fetched("ballroom", ["audio", "beats"], root, Path(store))
        home = (
            first_folder(
                (root, root / "BallroomData", root / MIRDATA), lambda p: any((p / f).is_dir() for f in FOLDERS)
            )
            or root
        )
        songs = {song.stem: (song, dance) for f, dance in FOLDERS.items() for song in audio_files(home / f)}
        need_some(list(songs), root, self.holds, "folder like ChaChaCha with songs in it")
        copies = sorted(name for name, of in REPLICAS.items() if name in songs and of in songs)
        if copies and not self.replicas:
            log.warning(
                "ballroom: %d known replicas of other excerpts are left out: %s",
                len(copies),
                shown(copies, len(copies)),
            )
            songs = {name: found for name, found in songs.items() if name not in copies}
        grids = self._grids(root, home, sorted(songs))
        if grids and (without := sorted(songs.keys() - grids.keys())):
            log.warning("ballroom: %d songs have no annotated beats: %s", len(without), shown(without))
        folder = _kept(grids, Path(store)) if grids else None
        tracks = []
        for name, (song, dance) in sorted(songs.items(), key=lambda item: (item[1][1], item[0])):
            gaps_s = [b - a for (a, _), (b, _) in zip(grids.get(name, [])[:-1], grids.get(name, [])[1:], strict=True)]
            tracks.append(
                Track(
                    name,
                    song,
                    (dance,),
                    album=_album(name),
                    track=REPLICAS.get(name, name),
                    tempo_bpm=60 / median(gaps_s) if gaps_s else None,
                    beats=folder / f"{name}.csv" if folder and name in grids else None,
                )
            )
        return tracks

    def _grids(self, root: Path, home: Path, names: list[str]) -> dict[str, Grid]:
        """The annotated beats of the songs that have some."""
        if self._annotations is not None:
            given = Path(self._annotations).expanduser().absolute()
            places, told = [given, given / "BallroomAnnotations"], f"data.annotations={given}"
        else:
            near = [root, home, root.parent, home.parent]
            kinds = ("BallroomAnnotations", "BallroomAnnotations-master")
            places, told = [*(place / kind for place in near for kind in kinds), home, root / MIRDATA_BEATS], ""
        folder = first_folder(places, lambda place: any(place.glob("*.beats")))
        if folder is None and told:
            raise UserError(f"{told}: no .beats file there: give the folder BallroomAnnotations")
        if folder is None:
            log.warning("ballroom: no BallroomAnnotations beside the songs: beats will be estimated")
            return {}
        files = {name: folder / f"{name}.beats" for name in names}
        return {name: read_grid(file) for name, file in files.items() if file.is_file()}


def read_grid(path: Path) -> Grid:
    """The beats of a .beats file, in both versions. Raises UserError naming the line."""
    grid: Grid = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s+(?:\d+\.)?([1-9]\d*)\s*", line)
        if not found or (grid and float(found[1]) <= grid[-1][0]):
            raise UserError(
                f"{path}, line {number}: {line.strip()!r}, expected a rising time in s and the place in the bar: "
                "get the annotations again"
            )
        grid.append((float(found[1]), int(found[2])))
    if not grid:
        raise UserError(f"{path} has no beats: get the annotations again, or remove it")
    return grid


def _kept(grids: dict[str, Grid], store: Path) -> Path:
    """A folder in the store with a CSV of `time,beat_in_bar` a song. Its name tells what it holds: it never changes."""
    folder = store.absolute() / "data" / f"ballroom-beats-{digest(grids)}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    part.mkdir(exist_ok=True)
    for name, grid in grids.items():
        with (part / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("time", "beat_in_bar"), *grid])
    try:
        part.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(part)
    return folder


def _album(name: str) -> str:
    """Albums-Latin_Jam-06 -> Latin_Jam; Media-103414 -> Media-1034."""
    if match := re.fullmatch(r"Albums-(.+)-\d+", name):
        return match[1]
    return name[:-2] if re.fullmatch(r"Media-\d{6}", name) else name
