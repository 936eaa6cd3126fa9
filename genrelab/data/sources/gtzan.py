"""`data=gtzan data.path=DIR`: GTZAN, ten genres of 100 clips of 30 s.

    DIR/blues/blues.00000.wav            or .au; DIR may also be the folder above `genres` or `genres_original`
    DIR/classical/classical.00000.wav

Tzanetakis & Cook 2002, Musical genre classification of audio signals. Its faults: Sturm 2012, An analysis of the GTZAN
music genre dataset, found 50 exact replicas, 22 excerpts of one recording as another, 13 versions, and 43 labels that
are wrong with 63 that are doubtful. The fault-filtered lists of 930 clips (443, 197 and 290), which lie in torchaudio,
leave the repetitions and the distorted clips out. What remains in them: the doubtful labels, and few artists in some
genres; artists are not known to the files, so that split=artist is not possible: take split=official.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from genrelab.audio import decode, guarded
from genrelab.data.download import fetched
from genrelab.data.sources.collection import Collection, first_folder, need_some, shown
from genrelab.types import Track

log = logging.getLogger(__name__)

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
PLACES = (".", "genres", "genres_original", "Data/genres_original", "gtzan_genre/genres")  # the last is mirdata's
BROKEN = "jazz.00054"  # damaged in the copies as WAV that go around; the first AU is whole
FILE = re.compile(rf"(({'|'.join(GENRES)})\.\d{{5}})\.(wav|au|mp3|flac|ogg)", re.IGNORECASE)


class Gtzan(Collection):
    """`filtered`: only the clips of the fault-filtered lists. Their sides are Track.split either way."""

    holds = "GTZAN's folder, with blues/blues.00000.wav in it"

    def __init__(
        self, path: str | None, filtered: bool, download: bool, beats: str, unknown: str | None, tree: str | None
    ) -> None:
        super().__init__(path, beats, unknown, tree)
        self.filtered, self.download = filtered, download

    def tracks(self, store: Path, progress: object) -> list[Track]:  # noqa: ARG002 - other sources need it
        """The clips by genre and number. Clips beside the lists, where all are taken, are `unused` in split=official.

        Raises UserError: no such folder, none of the files in it; or `download` could not be.
        """
        root = self.root()
        if self.download:
            fetched("gtzan_genre", ["all"], root, Path(store))
        home = first_folder((root / place for place in PLACES), lambda p: any((p / g).is_dir() for g in GENRES)) or root
        found: dict[str, Path] = {}
        for genre in GENRES:
            for file in sorted((home / genre).glob("*"), reverse=True):  # .wav before .au where both are there
                if match := FILE.fullmatch(file.name):
                    found.setdefault(match[1].lower(), file)
        need_some(list(found), root, self.holds, "file like blues/blues.00000.wav")
        sides = official()
        if self.filtered and (lacking := sorted(sides.keys() - found.keys())):
            log.warning("gtzan: %d of the %d listed clips are not there: %s", len(lacking), len(sides), shown(lacking))
        if BROKEN in found and (why := _broken(found[BROKEN])):
            log.warning("gtzan: %s, known to be damaged in some copies, is damaged here (%s): left out", BROKEN, why)
            del found[BROKEN]
        ids = [i for i in sorted(found) if i in sides or not self.filtered]
        return [Track(i, found[i], (i.split(".")[0],), split=sides.get(i, "unused")) for i in ids]


def official() -> dict[str, str]:
    """The side of each clip of the fault-filtered lists."""
    from torchaudio.datasets import gtzan

    lists = {"train": gtzan.filtered_train, "val": gtzan.filtered_valid, "test": gtzan.filtered_test}
    return {clip: side for side, clips in lists.items() for clip in clips}


def _broken(path: Path) -> str:
    """Why a file cannot be used; "" where it can."""
    try:
        guarded.inspect(path, guarded.own_rate(path))
    except decode.AudioError as error:
        return str(error)
    return ""
