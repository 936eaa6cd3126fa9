"""Bytes -> mono float32 at one sample rate.

WAV, FLAC, Ogg Vorbis, Opus, MP3 and AIFF of any rate and number of channels, by libsndfile; M4A by torchcodec and
ffmpeg where they are installed. A file that is not whole is refused, since a song's end that silently lacks would be a
song of another length in every table.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import soundfile
import soxr

from genrelab.audio import mp3, mp4
from genrelab.audio.container import why_truncated
from genrelab.types import writable

T = TypeVar("T")
Reason = Literal[
    "missing",
    "empty",
    "not audio",
    "truncated",
    "silent",
    "not readable",
    "not a file",
    "not decodable",
    "too long",
    "too slow",  # this and what follows says `guarded`
    "too large",
    "crashes the decoder",
]

# of all files but MP4, see `decoder`
DECODER = (
    f"soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}, soxr {soxr.__version__} HQ"
)
LOUDEST = 100.0  # of a sample, 40 dB above full scale: more is damage, or integers that were written as they are
SLOWEST_HZ, FASTEST_HZ = 1000, 1_000_000  # sample rates that somebody meant
SILENCE_DBFS = -80.0  # a peak below this is silence: under the noise of a 14-bit recording

MOST_BYTES = 3 << 30  # of a sound at its own rate and at the one asked for: 3.4 hours from 44.1 kHz to 22.05 kHz

_BLOCK = 1 << 16  # frames read at a time: six channels of an hour never lie in memory together
_WIDE = 1 << 20  # samples read at a time where there are more than 16 channels
_UNKNOWN = 1 << 48  # libsndfile's "no idea how many frames" is 2**63 - 1
_VORBIS_BLOCK = 8192  # frames, the longest


class AudioError(Exception):
    """A file cannot be used. `reason` is one of a few fixed words, `detail` a sentence for the user (may be empty)."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def _check_file(path: Path) -> None:
    """Refuses what is not a regular file before it is opened: opening a FIFO would wait for ever."""
    try:
        status = os.stat(path)  # noqa: PTH116 - says why, where Path.exists() swallows it
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError("missing", error.strerror or "") from error
    except ValueError as error:  # a NUL byte in the name, or what no file system's name is
        raise AudioError("missing", "no file can have this name") from error
    except OSError as error:
        raise AudioError("not readable", error.strerror or str(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise AudioError("not a file", "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device")
    if status.st_size == 0:
        raise AudioError("empty", "0 bytes")
    if not writable(str(path)):  # no decoder opens it, no table holds it
        raise AudioError("not readable", "its name is not UTF-8: rename it")


def _source(path: Path) -> str | io.BytesIO:
    """What libsndfile shall open: the path, or the bytes of an MP3 with its frame count put before it.

    Raises AudioError: not readable, truncated (WAV, AIFF, Ogg, MP3 by what their headers say), not audio (an MP3 by
    name without MPEG frames: libmpg123 would print on stderr).
    """
    try:
        with path.open("rb") as file:
            if cut := why_truncated(file):
                raise AudioError("truncated", cut)
            file.seek(0)
            head = file.read(4)
            is_mp3 = head[:3] == b"ID3" or (head[0] == 0xFF and head[:2] not in (b"\xff\xfe",))
            if not is_mp3 and (path.suffix.lower() != ".mp3" or head in (b"RIFF", b"fLaC", b"OggS", b"FORM")):
                return str(path)
            file.seek(0)
            data = file.read()
    except OSError as error:
        raise AudioError("not readable", error.strerror or str(error)) from error
    mpeg = mp3.walk(data)
    if mpeg is None:
        layer_1_or_2 = len(data) > 1 and data[0] == 0xFF and data[1] >> 1 & 3 in (2, 3)
        if layer_1_or_2 or b"fLaC" in data[: 1 << 20]:  # a FLAC may stand behind an ID3 tag
            return str(path)
        raise AudioError("not audio", "no MPEG frames in it")
    if mpeg.truncated:
        raise AudioError("truncated", f"its header says {mpeg.n_claimed} MPEG frames, {mpeg.n_frames} are there")
    return str(path) if mpeg.has_xing else io.BytesIO(mp3.with_count(data, mpeg))


def _open(path: Path) -> soundfile.SoundFile:
    _check_file(path)
    source = _source(path)
    try:
        file = soundfile.SoundFile(source)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: soundfile takes `.raw` for headerless samples
        if not os.access(path, os.R_OK):
            raise AudioError("not readable", "permission denied") from error
        what = getattr(error, "error_string", str(error)).strip().rstrip(".")
        raise AudioError("not audio", f"{what}: wanted WAV, FLAC, OGG, Opus, MP3, AIFF or M4A") from error
    if file.format == "RAW":  # without a header libsndfile takes what is called .au or .snd for a telephone's noise
        file.close()
        raise AudioError("not audio", "no header that is known: wanted WAV, FLAC, OGG, Opus, MP3, AIFF or M4A")
    try:
        _check_rate(file.samplerate)
    except AudioError:
        file.close()
        raise
    return file


def _check_rate(rate: int) -> None:
    if not SLOWEST_HZ <= rate <= FASTEST_HZ:
        raise AudioError("not audio", f"its header says a sample rate of {rate} Hz")


def _mono(file: soundfile.SoundFile, first: int, n: int) -> np.ndarray:
    """Frames `first` .. `first + n` (fewer at the file's end), mean over channels: (frames,) float32."""
    if first:
        file.seek(first)
    weights = np.full(file.channels, 1 / file.channels, np.float32)
    most = min(_BLOCK, _WIDE // file.channels)
    wave, done = np.empty(n, np.float32), 0  # what is not written takes no memory
    while done < n:
        block = file.read(min(most, n - done), dtype="float32", always_2d=True)
        if not len(block):
            break
        wave[done : done + len(block)] = block[:, 0] if file.channels == 1 else block @ weights
        done += len(block)
    return wave[:done]


def _afford(n: int, rate: int, sample_rate: int) -> None:
    """Raises AudioError where `n` frames at `rate` Hz, as a header says them, would take too much memory."""
    if 4 * n * (1 + sample_rate / rate) > MOST_BYTES:
        most_h = MOST_BYTES / 4 / (rate + sample_rate) / 3600
        raise AudioError(
            "too long",
            f"its header says {n / rate / 3600:.1f} h of sound, at most {most_h:.1f} h are decoded: "
            "name windows of it in a manifest (start_s, duration_s)",
        )


def decoder(path: str | os.PathLike[str]) -> str:
    """What decodes this file, with versions."""
    if not is_mp4(Path(path)):
        return DECODER
    return f"{mp4.decoder() or 'nothing'}, soxr {soxr.__version__} HQ"


def is_mp4(path: Path) -> bool:
    """Whether ffmpeg decodes a file, by its first bytes; False where they cannot be read, which `_open` explains."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a FIFO would wait for ever
            return False
        with path.open("rb") as file:
            return mp4.is_mp4(file.read(8))
    except (OSError, ValueError):
        return False


def _by_ffmpeg(path: Path, work: Callable[[Path], T]) -> T:
    """What `work` finds in an MP4. Raises AudioError: truncated, not decodable, not audio."""
    with path.open("rb") as file:
        if cut := mp4.why_truncated(file):
            raise AudioError("truncated", cut)
    if mp4.decoder() is None:
        raise AudioError("not decodable", mp4.NEEDS)
    try:
        return work(path)
    except (RuntimeError, ValueError) as error:
        if "allocate memory" in str(error):
            raise MemoryError from error
        raise AudioError("not audio", f"ffmpeg cannot decode this MP4: {mp4.plain(error, path)}") from error


def own_rate(path: str | os.PathLike[str]) -> int:
    """The sample rate that a file was written at, Hz. Raises AudioError as `load` does."""
    path = Path(path)
    if is_mp4(path):
        rate = _by_ffmpeg(path, mp4.rate_of)
        _check_rate(rate)
        return rate
    with _open(path) as file:
        return int(file.samplerate)


def _from_sound_file(path: Path, sample_rate: int, start_s: float, duration_s: float | None) -> tuple[np.ndarray, int]:
    with _open(path) as file:
        rate, n_file = file.samplerate, file.frames
        if n_file == 0:
            raise AudioError("empty", "no frames")
        if n_file > _UNKNOWN:
            raise AudioError(
                "not readable", "its header does not know its length (written to a pipe?): encode it again"
            )
        first, n = _window(n_file, rate, start_s, duration_s)
        _afford(n, rate, sample_rate)
        try:
            wave = _mono(file, first, n)
            if file.format == "OGG":  # its pages were looked at; libsndfile drops the end of some whole files
                whole = len(wave) >= n - _VORBIS_BLOCK
            elif first + n < n_file:  # the window is inside: is the file's end there, too?
                file.seek(n_file - 1)
                whole = len(wave) == n and len(file.read(1)) == 1
            else:
                whole = len(wave) == n
        except soundfile.SoundFileError as error:
            raise AudioError("truncated", f"decoding stops before {n_file / rate:.3f} s") from error
    if not whole:
        raise AudioError("truncated", f"its header says {n_file} frames, fewer decode")
    return wave, rate


def _from_mp4(path: Path, sample_rate: int, start_s: float, duration_s: float | None) -> tuple[np.ndarray, int]:

    def afford(n: int, rate: int) -> None:
        _check_rate(rate)
        _afford(n, rate, sample_rate)

    wave, rate, n_said = _by_ffmpeg(path, lambda p: mp4.read(p, afford))
    if len(wave) < n_said - mp4.SLACK:
        raise AudioError("truncated", f"its header says {n_said} samples, {len(wave)} decode")
    if not len(wave):
        raise AudioError("empty", "no frames")
    first, n = _window(len(wave), rate, start_s, duration_s)
    return wave[first : first + n], rate


def _window(n_file: int, rate: int, start_s: float, duration_s: float | None) -> tuple[int, int]:
    """The first frame of a window and how many it has."""
    first = round(start_s * rate)
    if first >= n_file:
        raise AudioError("empty", f"the window begins at {start_s:g} s, the file ends at {n_file / rate:.3f} s")
    return first, n_file - first if duration_s is None else min(max(1, round(duration_s * rate)), n_file - first)


def load(
    path: str | os.PathLike[str], sample_rate: int, start_s: float = 0.0, duration_s: float | None = None
) -> np.ndarray:
    """A file, or a window of it, as (samples,) float32 mono at `sample_rate` Hz; full scale is 1.

    Only the window [start_s, start_s + duration_s) is decoded (with a seek, exact to the sample; of an M4A all is),
    clipped to the file's end; None means to the end. Channels are averaged. Silence is not refused here (see
    `inspect`).

    Raises AudioError with the reason: missing, not a file, not readable (also a FLAC that was written to a pipe and
    does not know its length), empty (no bytes, no frames, or a window behind the file's end), not audio (unknown
    format; NaN, Inf or absurdly loud samples; an absurd rate), truncated. Truncated means: WAV and AIFF hold less sound
    than their header says; FLAC fewer frames than it says, or it fails to decode; the last Ogg page lacks or is not the
    end of the stream (Vorbis, Opus); MP3 holds fewer frames than its Xing, Info or VBRI header says; an M4A lacks a box
    or decodes to less than its header says. It cannot be known of an MP3 without such a header, of a WAV whose length
    was left open, nor of damage outside of the window that keeps the length. Not decodable: an M4A without torchcodec.
    Too long: more than MOST_BYTES of sound, by its header.
    """
    path = Path(path)
    if start_s < 0 or (duration_s is not None and duration_s <= 0):
        raise ValueError(f"a window of start_s={start_s}, duration_s={duration_s}: expected start >= 0, duration > 0")
    read = _from_mp4 if is_mp4(path) else _from_sound_file
    wave, rate = read(path, sample_rate, start_s, duration_s)
    if not len(wave):
        raise AudioError("empty", "no frames")
    if not np.isfinite(wave).all():
        raise AudioError("not audio", "NaN or Inf samples")
    if (peak := max(float(wave.max()), -float(wave.min()))) > LOUDEST:
        raise AudioError("not audio", f"samples of {peak:.2g} times full scale: damaged, or write it with full scale 1")
    return wave if rate == sample_rate else soxr.resample(wave, rate, sample_rate, "HQ")


def is_silent(wave: np.ndarray) -> bool:
    """Whether the peak of (samples,) lies below SILENCE_DBFS, in dB of full scale (1.0)."""
    return not len(wave) or float(np.abs(wave).max()) < 10 ** (SILENCE_DBFS / 20)


def inspect(
    path: str | os.PathLike[str], sample_rate: int, start_s: float = 0.0, duration_s: float | None = None
) -> np.ndarray:
    """`load`, which also refuses silence (peak below SILENCE_DBFS): AudioError("silent")."""
    wave = load(path, sample_rate, start_s, duration_s)
    if is_silent(wave):
        raise AudioError("silent", f"peak below {SILENCE_DBFS:g} dB of full scale")
    return wave


def file_digest(path: str | os.PathLike[str]) -> str:
    """BLAKE2b of the file's bytes, 32 hex digits. Raises AudioError: missing, not a file, not readable, empty."""
    path = Path(path)
    _check_file(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise AudioError("not readable", error.strerror or str(error)) from error
