"""M4A: AAC or ALAC in MP4, which libsndfile does not read: decoded by torchcodec, that is by ffmpeg's libraries."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

NEEDS = "M4A takes torchcodec and ffmpeg's libraries: pip install 'genrelab[aac]', and on Debian apt-get install ffmpeg"
PART_S = 60.0
NO_FRAMES = "No audio frames were decoded"  # torchcodec's words
SLACK = 4096  # samples that the header may be off by: two of the longest AAC frames


@cache
def decoder() -> str | None:
    """torchcodec and ffmpeg with their versions; None where one of them lacks or does not load. The first call takes
    seconds."""
    try:
        import torchcodec.decoders
        from torchcodec._core import get_ffmpeg_library_versions
    except (ImportError, OSError, RuntimeError):  # RuntimeError: none of its libraries finds ffmpeg's
        return None
    return f"torchcodec {torchcodec.__version__}, ffmpeg {get_ffmpeg_library_versions()['ffmpeg_version']}"


def is_mp4(head: bytes) -> bool:
    """Whether a file that begins with these 8 bytes or more is an MP4, whatever its name."""
    return head[4:8] == b"ftyp"


def why_truncated(file: BinaryIO) -> str | None:
    """A box that reaches behind the file's end, or no table of contents; None where all boxes are there."""
    n_bytes, pos, names = os.fstat(file.fileno()).st_size, 0, set()
    while pos + 8 <= n_bytes:
        file.seek(pos)
        size, name = struct.unpack(">I4s", file.read(8))
        if size == 1 and pos + 16 <= n_bytes:
            (size,) = struct.unpack(">Q", file.read(8))
        names.add(name)
        if size == 0:  # to the file's end
            break
        if size < 8:
            return f"no MP4 box at byte {pos}"
        pos += size
    if pos > n_bytes:
        return f"its boxes say {pos} bytes, {n_bytes} are there"
    return None if b"moov" in names else "its table of contents (moov) lacks"


def plain(error: Exception, path: Path) -> str:
    """What torchcodec says without its own files and the song's: `Invalid data found when processing input`."""
    line = " ".join(str(error).split())
    line = re.sub(r"^\w+, \S+\.cpp:\d+, ", "", line)
    return line.rpartition(str(path))[2].strip(" :'\"") or type(error).__name__


def rate_of(path: Path) -> int:
    """The sample rate, Hz. Raises RuntimeError where there is no sound in it."""
    from torchcodec.decoders import AudioDecoder

    rate = AudioDecoder(str(path)).metadata.sample_rate
    if not rate:
        raise RuntimeError("it does not say its sample rate")
    return int(rate)


def read(path: Path, afford: Callable[[int, int], None]) -> tuple[np.ndarray, int, int]:
    """The whole file as (samples,) float32 mono, its sample rate, and the samples that its header speaks of.

    Always from its beginning: behind a seek AAC differs by its noise substitution. Channels are averaged here, since
    ffmpeg's own mono of two channels is 3 dB louder; PART_S at a time, or eight channels of an hour would lie in
    memory together. `afford(samples, rate)` raises where the header speaks of too many. Raises RuntimeError where it
    does not decode.
    """
    from torchcodec.decoders import AudioDecoder

    file = AudioDecoder(str(path))
    said_s, rate = file.metadata.duration_seconds_from_header, file.metadata.sample_rate
    if said_s is None or not rate:
        raise RuntimeError("it does not say its length")
    afford(round(said_s * rate), rate)
    parts, begin_s = [np.zeros(0, np.float32)], 0.0
    while begin_s < said_s:
        try:
            heard = file.get_samples_played_in_range(begin_s, begin_s + PART_S)
        except RuntimeError as error:
            if NO_FRAMES in str(error) and begin_s:  # behind the last frame
                break
            raise
        parts.append(heard.data.numpy().mean(axis=0, dtype=np.float32))
        rate = int(heard.sample_rate)
        begin_s += PART_S
        if len(parts[-1]) < PART_S * rate:
            break
    n = round(said_s * rate)
    return np.concatenate(parts)[:n], int(rate), n  # behind the end lies what fills AAC's last frame
