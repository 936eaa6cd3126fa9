"""Is the file whole? What RIFF, AIFF and Ogg containers say of themselves.

libsndfile opens a cut WAV, AIFF or Ogg file without a word and gives what is there, so their headers are read here.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_TAIL = 1 << 17  # two of the largest Ogg pages


def _unknown(size: int) -> bool:
    """A size that a writer to a pipe leaves behind because it cannot go back: it says nothing."""
    return size >= 0xFFFFF000 or 0x7FFFF000 <= size <= 0x7FFFFFFF


def _chunks(file: BinaryIO, n_bytes: int, head: bytes) -> str | None:
    """WAV (RIFF, RIFX, RF64) and AIFF: the sound chunk ends where the file does, or before."""
    order = "<" if head[:4] in (b"RIFF", b"RF64", b"BW64") else ">"
    (total,) = struct.unpack(order + "I", head[4:8])
    sound, pos, big = (b"SSND" if head[:4] == b"FORM" else b"data"), 12, None
    while pos + 8 <= n_bytes:
        file.seek(pos)
        name, size = struct.unpack(order + "4sI", file.read(8))
        if name == b"ds64" and len(ds64 := file.read(16)) == 16:
            (big,) = struct.unpack("<8xQ", ds64)
        if name == sound:
            if big is not None and size == 0xFFFFFFFF:
                size = big
            elif _unknown(size):
                return None
            there = n_bytes - pos - 8
            return f"its header says {size} bytes of sound, {there} are there" if size > there else None
        pos += 8 + size + (size & 1)
    if total + 8 > n_bytes and not _unknown(total):
        return f"its header says {total + 8} bytes, {n_bytes} are there"
    return None


def _ogg(file: BinaryIO, n_bytes: int) -> str | None:
    """Ogg (Vorbis, Opus, FLAC): the last page is whole and marked as the last."""
    file.seek(max(0, n_bytes - _TAIL))
    tail = file.read(_TAIL)
    pos = len(tail)
    while (pos := tail.rfind(b"OggS\0", 0, pos)) >= 0:
        if pos + 27 > len(tail):
            return "the last Ogg page is cut"
        if tail[pos + 5] > 7:  # the same letters inside of a packet
            continue
        table = tail[pos + 27 : pos + 27 + tail[pos + 26]]
        if len(table) < tail[pos + 26] or pos + 27 + len(table) + sum(table) > len(tail):
            return "the last Ogg page is cut"
        return None if tail[pos + 5] & 4 else "the last Ogg page is not marked as the end of the stream"
    return "no Ogg page near its end"


def why_truncated(file: BinaryIO) -> str | None:
    """A sentence where a WAV, AIFF or Ogg file holds less than it says of itself; None where it is whole or unknown.

    `file` is seekable. A size that was left open by a writer to a pipe says nothing, and nor do other containers.
    """
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if len(head) == 12 and (
        (head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:] == b"WAVE")
        or (head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"))
    ):
        return _chunks(file, n_bytes, head)
    return _ogg(file, n_bytes) if head[:4] == b"OggS" else None
