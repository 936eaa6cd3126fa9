"""Writes a genre into a music file: ID3 (MP3, WAV, AIFF), Vorbis comments (FLAC, Ogg, Opus) or MP4 atoms (M4A).

All other tags and every sample stay as they are, which is looked at before the new file takes the old one's place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from genrelab.audio import decode, guarded

RUN, BEFORE = "GENRELAB_RUN", "GENRELAB_GENRE_BEFORE"  # tags of ours: who said it, and what the file said before
MP4 = "----:com.apple.iTunes:"  # what programs that show such tags of an MP4 look for


class TagError(Exception):
    """A file could not be tagged, and is as it was; a sentence for the user."""


def tag_copy(path: Path, target: Path, genres: Sequence[str], run: str) -> None:
    """Writes a tagged copy of a file. Raises TagError, also where the target is there already."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch(exist_ok=False)
    except FileExistsError as error:
        raise TagError(f"{target} is there already") from error
    except OSError as error:
        raise TagError(f"cannot write {target}: {error.strerror or error}") from error
    try:
        _put(path, target, genres, run)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def tag_in_place(path: Path, genres: Sequence[str], run: str) -> None:
    """Writes tags into a file, by a copy beside it that takes its place once it was found whole. Raises TagError."""
    path = path.resolve()  # the file itself, not a link to it
    if not os.access(path, os.W_OK):
        raise TagError("it is read-only")
    _put(path, path, genres, run)


def _put(path: Path, target: Path, genres: Sequence[str], run: str) -> None:
    """A tagged copy of `path` in the place of `target`, whole or not at all."""
    stem = target.stem.encode()[:200].decode(errors="ignore")  # a name has 255 bytes at most
    partial = target.with_name(f".{stem}.genrelab-{os.getpid()}{path.suffix}")
    before = path.stat()
    try:
        partial.touch(exist_ok=False)  # a link of that name would lead elsewhere
    except OSError as error:
        raise TagError(f"cannot write {partial}: {error.strerror or error}") from error
    try:
        shutil.copy2(path, partial)
        partial.chmod(before.st_mode | 0o200)
        _write(partial, genres, run)
        if "/".join(_genres(_opened(partial))) != "/".join(genres):  # what ID3 2.3 puts between several
            raise TagError("the genre could not be read back")
        if not _sound_alike(path, partial):
            raise TagError("the sound would have changed")
        _owned(partial, before)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        now = path.stat()
        if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
            raise TagError("somebody else changed the file meanwhile")
        partial.replace(target)
    except OSError as error:
        raise TagError(error.strerror or str(error)) from error
    finally:
        partial.unlink(missing_ok=True)


def _owned(path: Path, like: os.stat_result) -> None:
    """The owner and the rights that the file had."""
    with suppress(OSError):  # not everybody may give a file away
        os.chown(path, like.st_uid, like.st_gid)
    path.chmod(like.st_mode)


def _opened(path: Path) -> Any:
    """A file as mutagen has it, with tags. Raises TagError where its kind holds none."""
    import mutagen

    what = path.suffix.lstrip(".").upper() or "such"
    try:
        file = mutagen.File(path)
        if file is not None and file.tags is None:
            file.add_tags()
    except Exception as error:  # whatever a damaged file does to the reader
        raise TagError(f"its tags cannot be read: {error or type(error).__name__}") from error
    if _kind(file) is None:
        raise TagError(f"{what} files hold no tags that can be written; MP3, FLAC, Ogg, Opus, M4A, WAV and AIFF do")
    return file


def _kind(file: Any) -> str | None:
    """How a file holds its tags: id3, vorbis, mp4; None for anything else."""
    from mutagen.flac import FLAC
    from mutagen.id3 import ID3
    from mutagen.mp4 import MP4 as Mp4
    from mutagen.ogg import OggFileType

    kinds = {"vorbis": isinstance(file, FLAC | OggFileType), "mp4": isinstance(file, Mp4)}
    kinds["id3"] = isinstance(getattr(file, "tags", None), ID3)
    return next((kind for kind, so in kinds.items() if so), None)


def _write(path: Path, genres: Sequence[str], run: str) -> None:
    """Replaces the genre; what it was is kept, once."""
    file = _opened(path)
    kind = _kind(file)
    mine = {RUN: [run]}
    if not _has(file, RUN) and (before := _genres(file)):
        mine[BEFORE] = before
    try:
        if kind == "id3":
            _write_id3(file, genres, mine)
        elif kind == "vorbis":
            file.tags["genre"] = list(genres)
            file.tags.update({name.lower(): values for name, values in mine.items()})
            file.save()
        else:
            file.tags["©gen"] = list(genres)
            file.tags.update({MP4 + name: [v.encode() for v in values] for name, values in mine.items()})
            file.save()
    except OSError:
        raise
    except Exception as error:
        raise TagError(f"its tags cannot be written: {error or type(error).__name__}") from error


def _write_id3(file: Any, genres: Sequence[str], mine: dict[str, list[str]]) -> None:
    """In the version that the tags had, 2.3 for 2.2: old players know no other."""
    from mutagen.id3 import TCON, TXXX

    tags, version = file.tags, file.tags.version
    tags.setall("TCON", [TCON(encoding=3, text=list(genres))])
    for name, values in mine.items():
        tags.setall(f"TXXX:{name}", [TXXX(encoding=3, desc=name, text=values)])
    if version[:2] in ((2, 2), (2, 3)):
        tags.update_to_v23()
        file.save(v2_version=3)
    else:
        file.save()


def _genres(file: Any) -> list[str]:
    """What a file says of its genre, as it stands there."""
    if _kind(file) == "id3":
        return [str(t) for frame in file.tags.getall("TCON") for t in frame.genres]
    return [str(t) for t in file.tags.get("genre" if _kind(file) == "vorbis" else "©gen") or ()]


def _has(file: Any, name: str) -> bool:
    """Whether there is a tag of ours in a file."""
    if _kind(file) == "id3":
        return bool(file.tags.getall(f"TXXX:{name}"))
    return (name if _kind(file) == "vorbis" else MP4 + name) in file.tags


def _sound_alike(one: Path, two: Path) -> bool:
    """Whether two files decode to the same samples. Raises TagError where one of them does not."""
    try:
        rates = [guarded.own_rate(p) for p in (one, two)]
        return rates[0] == rates[1] and np.array_equal(guarded.load(one, rates[0]), guarded.load(two, rates[0]))
    except decode.AudioError as error:
        raise TagError(f"it does not decode: {error}") from error
