"""Broken files from good ones: what disks, downloads, programs and people do to music."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import soundfile

RATE = 22050  # Hz
SECONDS = 1.5
Random = np.random.Generator
KINDS = {  # name -> libsndfile's format, subtype, suffix
    "wav": ("WAV", "PCM_16", ".wav"),
    "wav float": ("WAV", "FLOAT", ".wav"),
    "wav 24": ("WAVEX", "PCM_24", ".wav"),
    "wav adpcm": ("WAV", "IMA_ADPCM", ".wav"),
    "wav ulaw": ("WAV", "ULAW", ".wav"),
    "rf64": ("RF64", "PCM_16", ".wav"),
    "aiff": ("AIFF", "PCM_16", ".aiff"),
    "aifc": ("AIFF", "FLOAT", ".aif"),
    "au": ("AU", "PCM_16", ".au"),
    "caf": ("CAF", "PCM_16", ".wav"),
    "w64": ("W64", "PCM_16", ".wav"),
    "flac": ("FLAC", "PCM_16", ".flac"),
    "flac 24": ("FLAC", "PCM_24", ".flac"),
    "vorbis": ("OGG", "VORBIS", ".ogg"),
    "opus": ("OGG", "OPUS", ".opus"),
    "mp3": ("MP3", "MPEG_LAYER_III", ".mp3"),
}
BY_FFMPEG = {  # name -> its words, suffix; WMA, WebM and bare AAC are no formats of ours: they are refused by name
    "aac": (("-c:a", "aac", "-f", "mp4"), ".m4a"),
    "alac": (("-c:a", "alac", "-f", "mp4"), ".m4a"),
    "aac fragmented": (("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"), ".m4a"),
    "aac table first": (("-c:a", "aac", "-movflags", "+faststart", "-f", "mp4"), ".m4a"),
    "mp3 bare": (("-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-f", "mp3"), ".mp3"),
    "mp3 tagged": (("-c:a", "libmp3lame", "-q:a", "4", "-metadata", "title=x", "-f", "mp3"), ".mp3"),
    "ogg flac": (("-c:a", "flac", "-f", "ogg"), ".oga"),
    "wma": (("-c:a", "wmav2", "-f", "asf"), ".wma"),
    "webm": (("-c:a", "libopus", "-f", "webm"), ".webm"),
    "adts": (("-c:a", "aac", "-f", "adts"), ".aac"),
}


def sound(random: Random, rate: int = RATE, channels: int = 2, seconds: float = SECONDS) -> np.ndarray:
    """(frames, channels): a tone that rises, with noise."""
    t = np.arange(max(1, round(rate * seconds))) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t)[:, None]
    return tone + 0.05 * random.standard_normal((len(t), channels))


def encoded(kind: str, wave: np.ndarray, rate: int) -> bytes:
    """A whole file of a kind. Raises soundfile's error where the kind does not hold such a sound."""
    if kind in KINDS:  # Opus knows five rates
        rate = 24000 if kind == "opus" and rate not in (8000, 12000, 16000, 24000, 48000) else rate
        form, subtype, _ = KINDS[kind]
        file = io.BytesIO()
        soundfile.write(file, wave, rate, format=form, subtype=subtype)
        return file.getvalue()
    import tempfile

    words, suffix = BY_FFMPEG[kind]
    with tempfile.NamedTemporaryFile(suffix=suffix) as out:  # MP4 is written with a seek
        given = ["-f", "f32le", "-ar", str(rate), "-ac", str(wave.shape[1]), "-i", "-"]
        program = ["ffmpeg", "-v", "error", "-y", *given, *words, out.name]
        subprocess.run(program, input=wave.astype("<f4").tobytes(), check=True)
        return out.read()


def suffix_of(kind: str) -> str:
    return KINDS[kind][2] if kind in KINDS else BY_FFMPEG[kind][1]


@cache
def good() -> dict[str, bytes]:
    """A whole file of each kind, of 1.5 s; those of ffmpeg where it is there."""
    kinds = [*KINDS, *(BY_FFMPEG if shutil.which("ffmpeg") else ())]
    return {kind: encoded(kind, sound(np.random.default_rng(n)), RATE) for n, kind in enumerate(kinds)}


# -- what is done to them: (bytes, random) -> bytes --------------------------------------------------------------------


def truncated(data: bytes, random: Random) -> bytes:
    return data[: random.integers(1, len(data))]


def bits_flipped(data: bytes, random: Random) -> bytes:
    """A few anywhere."""
    return _flipped(data, random, len(data))


def head_flipped(data: bytes, random: Random) -> bytes:
    """A few where headers lie."""
    return _flipped(data, random, min(len(data), 256))


def _flipped(data: bytes, random: Random, until: int) -> bytes:
    found = np.frombuffer(data, np.uint8).copy()
    for at in random.integers(0, until, int(2 ** random.uniform(0, 7))):
        found[at] ^= 1 << random.integers(8)
    return found.tobytes()


def number_changed(data: bytes, random: Random) -> bytes:
    """Two, four or eight bytes of the head become a number that a parser may trip over."""
    size = int(random.choice([2, 4, 8]))
    at = int(random.integers(0, min(len(data), 512) - size))
    numbers = [0, 1, 2**15, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1]
    number = int(numbers[random.integers(len(numbers))]) % 2 ** (8 * size)
    order = "little" if random.random() < 0.5 else "big"
    return data[:at] + number.to_bytes(size, order) + data[at + size :]  # type: ignore[arg-type]


def zeroed(data: bytes, random: Random) -> bytes:
    """A run of zeros, as a disk leaves it that was full."""
    begin, end = sorted(random.integers(0, len(data), 2))
    return data[:begin] + bytes(int(end - begin)) + data[end:]


def noisy(data: bytes, random: Random) -> bytes:
    """A run of noise."""
    begin, end = sorted(random.integers(0, len(data), 2))
    return data[:begin] + random.bytes(int(end - begin)) + data[end:]


def head_lost(data: bytes, random: Random) -> bytes:
    return data[random.integers(1, len(data)) :]


def piece_lost(data: bytes, random: Random) -> bytes:
    begin, end = sorted(random.integers(0, len(data), 2))
    return data[:begin] + data[end:]


def twice(data: bytes, random: Random) -> bytes:
    """Itself behind a part of itself."""
    return truncated(data, random) + data


def garbage_before(data: bytes, random: Random) -> bytes:
    return random.bytes(int(random.integers(1, 5000))) + data


def garbage_behind(data: bytes, random: Random) -> bytes:
    return data + random.bytes(int(random.integers(1, 5000)))


def tag_before(data: bytes, random: Random) -> bytes:
    """An ID3 tag that says any size."""
    return b"ID3\x04\0" + random.bytes(1) + bytes(random.integers(0, 128, 4).tolist()) + random.bytes(50) + data


def other_end(data: bytes, random: Random) -> bytes:
    """The beginning of one file, the end of another."""
    others = list(good().values())
    other = others[random.integers(len(others))]
    return truncated(data, random) + head_lost(other, random)


def text(data: bytes, random: Random) -> bytes:
    """What a web site says where a file is not there."""
    return b"<!DOCTYPE html><title>404</title>" + random.bytes(int(random.integers(0, 200)))


def noise(data: bytes, random: Random) -> bytes:
    return random.bytes(int(random.integers(1, 3000)))


def empty(data: bytes, random: Random) -> bytes:
    return b""


DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(truncated, bits_flipped, head_flipped, number_changed, zeroed, noisy, head_lost, piece_lost, twice),
    *(garbage_before, garbage_behind, tag_before, other_end, text, noise, empty),
)
SELDOM = (text, noise, empty)  # one is like the other
SUFFIXES = sorted({suffix_of(kind) for kind in (*KINDS, *BY_FFMPEG)})


def damaged(n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """n files (a name that says what was done, its bytes); the same for the same seed. One in eight has the ending of
    another kind."""
    random = np.random.default_rng(seed)
    kinds = list(good())
    chance = np.array([0.2 if damage in SELDOM else 1.0 for damage in DAMAGES])
    for i in range(n):
        kind = kinds[i % len(kinds)]
        damage = DAMAGES[random.choice(len(DAMAGES), p=chance / chance.sum())]
        data = damage(good()[kind], random)
        if random.random() < 0.2:
            data = DAMAGES[random.integers(len(DAMAGES) - len(SELDOM))](data, random) if len(data) > 1000 else data
        suffix = str(random.choice(SUFFIXES)) if random.random() < 1 / 8 else suffix_of(kind)
        yield f"{i:05d} {kind} {damage.__name__}{suffix}", data


# -- headers that lie --------------------------------------------------------------------------------------------------


def lying() -> dict[str, bytes]:
    """Headers that claim ten hours of sound, or more channels than there are atoms."""
    wav, flac, mp3 = good()["wav"], good()["flac"], good()["mp3"]
    hours = 10 * 3600
    found = {
        "wav of ten hours.wav": wav[:40] + struct.pack("<I", 4 * RATE * hours) + wav[44:],
        "wav of 65535 channels.wav": wav[:22] + struct.pack("<H", 65535) + wav[24:],
        "wav of no channels.wav": wav[:22] + struct.pack("<H", 0) + wav[24:],
        "wav at 0 Hz.wav": wav[:24] + struct.pack("<I", 0) + wav[28:],
        "wav at 4 GHz.wav": wav[:24] + struct.pack("<I", 2**32 - 1) + wav[28:],
        "wav of blocks of 0 bytes.wav": wav[:32] + struct.pack("<H", 0) + wav[34:],
        "wav of 0 bits.wav": wav[:34] + struct.pack("<H", 0) + wav[36:],
        "flac of ten hours.flac": flac_with(flac, n_samples=RATE * hours),
        "flac of 2^36 samples.flac": flac_with(flac, n_samples=2**36 - 1),
        "flac at 1 Hz.flac": flac_with(flac, rate=1),
    }
    for order, sign in (("be", ">"), ("le", "<")):
        au = struct.pack(f"{sign}4sIIIII", *((b".snd" if sign == ">" else b"dns."), 24, 2**32 - 1, 3, RATE, 2**31))
        found[f"au of 2^31 channels {order}.au"] = au + bytes(10000)
        found[f"au of 1024 channels {order}.wav"] = au[:20] + struct.pack(f"{sign}I", 1024) + bytes(10240)
    caf = good()["caf"]
    at = caf.index(b"desc") + 12
    found["caf of 2^31 channels.wav"] = caf[: at + 24] + struct.pack(">I", 2**31) + caf[at + 28 :]
    found["caf at 1e300 Hz.wav"] = caf[:at] + struct.pack(">d", 1e300) + caf[at + 8 :]
    found["caf at nan Hz.wav"] = caf[:at] + struct.pack(">d", float("nan")) + caf[at + 8 :]
    xing = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    found["mp3 of ten hours.mp3"] = mp3[: xing + 8] + struct.pack(">I", 38 * hours) + mp3[xing + 12 :]
    if "aac" in good():
        aac = good()["aac"]
        for box, field in ((b"mvhd", 16), (b"mdhd", 16), (b"tkhd", 24)):
            where = aac.index(box) + 4 + field
            found[f"m4a of ten hours in {box.decode()}.m4a"] = (
                aac[:where] + struct.pack(">I", min(2**32 - 1, RATE * hours)) + aac[where + 4 :]
            )
        where = aac.index(b"stts") + 12  # the first run of samples: how many, how long each is
        found["m4a of 2^31 frames in stts.m4a"] = aac[:where] + struct.pack(">I", 2**31) + aac[where + 4 :]
        where = aac.index(b"stsz") + 12
        found["m4a of 2^32 sizes in stsz.m4a"] = aac[:where] + struct.pack(">I", 2**32 - 1) + aac[where + 4 :]
        where = aac.index(b"mp4a", aac.index(b"stsd")) + 20
        found["m4a of 65535 channels.m4a"] = aac[:where] + struct.pack(">H", 65535) + aac[where + 2 :]
    opus = bytearray(good()["opus"])
    head = opus.index(b"OpusHead")
    opus[head + 9] = 255
    found["opus of 255 channels.opus"] = bytes(opus)
    return found


def flac_with(data: bytes, n_samples: int | None = None, rate: int | None = None) -> bytes:
    """FLAC's STREAMINFO with other numbers in it: 20 bits of rate, 3 of channels, 5 of bits, 36 of samples."""
    (packed,) = struct.unpack(">Q", data[18:26])
    if n_samples is not None:
        packed = packed >> 36 << 36 | n_samples
    if rate is not None:
        packed = packed & (1 << 44) - 1 | rate << 44
    return data[:18] + struct.pack(">Q", packed) + data[26:]
