"""What a music file says of itself: ID3 (MP3, WAV, AIFF), Vorbis comments (FLAC, Ogg, Opus) or MP4 atoms (M4A)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 200  # letters of a genre: what is longer is damage, or a story
ID3 = {"genre": "TCON", "albumartist": "TPE2", "artist": "TPE1", "album": "TALB", "title": "TIT2", "bpm": "TBPM"}
VORBIS = {name: name for name in ID3}
MP4 = {"genre": "©gen", "albumartist": "aART", "artist": "©ART", "album": "©alb", "title": "©nam", "bpm": "tmpo"}


@dataclass(frozen=True)
class Tags:
    """None where a file does not say it."""

    genres: tuple[str, ...] = ()
    albumartist: str | None = None
    artist: str | None = None
    album: str | None = None
    title: str | None = None
    tempo_bpm: float | None = None


def read_tags(path: Path) -> Tags:
    """The tags of a file; empty where it has none, or none that can be read, whatever they do to their reader: a few kB
    of them may unpack into gigabytes."""
    from genrelab.audio import guarded
    from genrelab.audio.decode import AudioError

    if not path.is_file():  # a FIFO would wait for ever
        return Tags()
    try:
        return guarded.call(_read, path, decodes=False)
    except AudioError:
        return Tags()


def _read(name: str) -> Tags:
    import mutagen
    from mutagen.id3 import ID3 as Frames
    from mutagen.mp4 import MP4Tags

    file = mutagen.File(name)
    tags: Any = None if file is None else file.tags
    if tags is None:
        return Tags()
    if isinstance(tags, Frames):
        said = {ours: [str(text) for frame in tags.getall(key) for text in frame.text] for ours, key in ID3.items()}
    else:
        names = MP4 if isinstance(tags, MP4Tags) else VORBIS
        said = {ours: [str(text) for text in tags.get(key) or ()] for ours, key in names.items()}
    one = {ours: next((text.strip() for text in texts if text.strip()), None) for ours, texts in said.items()}
    return Tags(
        genres_of(said["genre"]), one["albumartist"], one["artist"], one["album"], one["title"], _tempo(one["bpm"])
    )


def genres_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The genres of tags: several in one divided by `;`, `/` or NUL, and the numbers of ID3 by their names.

    `(17)`, `17` and `(17)(9)` are numbers; `(4)Eurodisco` is both; `Unknown` is none. Each once, whatever its case.
    """
    from mutagen.id3 import TCON

    found: dict[str, str] = {}
    for text in texts:
        for part in re.split(r"[;/\0]", text):
            if len(part) > LONGEST:
                continue
            for name in TCON(encoding=3, text=[part.strip()]).genres:
                for genre in re.split(r"[;/]", name):  # ID3's own Pop/Funk
                    plain = " ".join(genre.split())
                    if plain and plain.casefold() != "unknown":
                        found.setdefault(plain.casefold(), plain)
    return tuple(found.values())


def _tempo(text: str | None) -> float | None:
    """Beats per minute; None for none, and for the 0 that some programs write."""
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return value if 20 <= value <= 400 else None
