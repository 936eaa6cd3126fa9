"""The frames of an MP3 file: how many there are, and how many its header says.

libsndfile guesses the length of a file without a Xing/Info header from its first frame's bit rate and then stops there:
two thirds of a variable-bit-rate song can be lost without a word. So the frames are counted here.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_KBPS = {  # layer III, by MPEG version
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by version bits
# a lookahead, since one header may begin inside of another; a long run of 0xff is passed at the speed of C
_HEADER = re.compile(rb"\xff(?=[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef])", re.DOTALL)
_SEARCH = 1 << 16  # bytes after the tags in which the first frame must lie


@dataclass(frozen=True)
class Mpeg:
    """What a walk over the frames of an MP3 file found."""

    n_frames: int  # whole frames of sound in the file
    n_claimed: int | None  # frames that a Xing, Info or VBRI header says; None: no such header, or without a count
    first: int  # byte at which the sound begins
    has_xing: bool  # a header that libsndfile reads by itself

    @property
    def truncated(self) -> bool:
        """Fewer frames than the header says; some encoders count the header itself, so one may lack."""
        return self.n_claimed is not None and self.n_frames < self.n_claimed - 1


def _frame(data: bytes, pos: int) -> tuple[int, int] | None:
    """(size in bytes, key that all frames of a stream share) of the layer III frame at `pos`, or None."""
    if pos + 4 > len(data) or data[pos] != 0xFF or data[pos + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[pos + 1] >> 3 & 3, data[pos + 1] >> 1 & 3
    rate, bitrate = data[pos + 2] >> 2 & 3, data[pos + 2] >> 4
    if version == 1 or layer != 1 or rate == 3 or bitrate in (0, 15):
        return None
    kbps = _KBPS[1 if version == 3 else 2][bitrate]
    size = (144000 if version == 3 else 72000) * kbps // _RATES_HZ[version][rate] + (data[pos + 2] >> 1 & 1)
    return size, version << 2 | rate


def _next(data: bytes, pos: int, stop: int, key: int | None = None) -> int | None:
    """The first frame from `pos` on that another frame of its kind, or the end of the file, follows."""
    for match in _HEADER.finditer(data, pos, stop + 2):
        at = match.start()
        if (here := _frame(data, at)) and key in (None, here[1]):
            then = _frame(data, at + here[0])
            if (then and then[1] == here[1]) or (key is not None and at + here[0] == len(data)):
                return at
    return None


def _side_info(data: bytes, pos: int) -> int:
    """Bytes from a frame's start to where a Xing header stands."""
    mpeg1, mono = data[pos + 1] >> 3 & 3 == 3, data[pos + 3] >> 6 == 3
    return 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))


def walk(data: bytes) -> Mpeg | None:
    """Counts the frames of a whole file's bytes; None where no MPEG layer III stream begins near its start."""
    pos = 0
    while data[pos : pos + 3] == b"ID3" and len(data) >= pos + 10:
        size = sum((b & 0x7F) << shift for b, shift in zip(data[pos + 6 : pos + 10], (21, 14, 7, 0), strict=True))
        pos += 10 + size + (10 if data[pos + 5] & 0x10 else 0)
    start = _next(data, pos, pos + _SEARCH)
    if start is None:
        return None
    size, key = _frame(data, start) or (0, 0)
    xing, vbri = start + _side_info(data, start), start + 36
    claimed, has_xing, pos = None, data[xing : xing + 4] in (b"Xing", b"Info"), start
    if has_xing and data[xing + 7] & 1:
        (claimed,) = struct.unpack_from(">I", data, xing + 8)
    elif not has_xing and data[vbri : vbri + 4] == b"VBRI":
        (claimed,) = struct.unpack_from(">I", data, vbri + 14)
    if has_xing or claimed is not None:
        pos += size
    first, n, at = pos, 0, pos if pos < len(data) else None
    while at is not None:
        here = _frame(data, at)
        if here and here[1] == key:
            n += at + here[0] <= len(data)
            at += here[0]
        else:
            at = _next(data, at + 1, len(data), key)
    return Mpeg(n, claimed, first, has_xing and bool(claimed))


def with_count(data: bytes, mpeg: Mpeg) -> bytes:
    """The sound of `data` behind a header frame that says how many frames there are, so that all of it is decoded."""
    head = bytearray(data[mpeg.first : mpeg.first + 4])
    head[1] |= 1  # no checksum
    head[2] = 0x90 | head[2] & 0x0C  # 128 or 80 kbit/s: room for the header at every rate
    size, _ = _frame(bytes(head), 0) or (0, 0)
    frame = bytes(head).ljust(_side_info(bytes(head), 0), b"\0") + b"Xing" + struct.pack(">II", 1, mpeg.n_frames)
    return frame.ljust(size, b"\0") + data[mpeg.first :]
