"""Decoding: what goes in comes out at the right pitch, level and length; what is not whole is refused by name."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrelab.audio import mp3
from genrelab.audio.decode import DECODER, AudioError, file_digest, inspect, is_silent, load

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
}
LEVEL = 0.3


def tone(rate: int, seconds: float = 1.0, channels: int = 1, hz: float = 440.0) -> np.ndarray:
    wave = LEVEL * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def noise(rate: int, seconds: float) -> np.ndarray:
    """A sweep with noise: no two places of it are alike."""
    t = np.arange(round(rate * seconds)) / rate
    return 0.3 * np.sin(2 * np.pi * (200 + 300 * t) * t) + 0.05 * np.random.default_rng(0).standard_normal(len(t))


def write(path: Path, wave: np.ndarray, rate: int, **more: object) -> Path:
    kind, subtype = FORMATS[path.suffix[1:]]
    soundfile.write(path, wave, rate, format=kind, subtype=more.pop("subtype", subtype), **more)
    return path


def pitch_hz(wave: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 8 * len(wave)))
    return float(spectrum.argmax() * rate / (8 * len(wave)))


def reason(path: Path, **window: float) -> str:
    with pytest.raises(AudioError) as caught:
        load(path, 22050, **window)
    assert str(path) not in str(caught.value)  # who calls knows the path; the reason is counted
    return caught.value.reason


@pytest.mark.parametrize(
    ("suffix", "rate"),
    [(s, r) for s in FORMATS for r in (8000, 44100, 48000) if (s, r) != ("opus", 44100)],  # Opus has no 44.1 kHz
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_keeps_its_pitch_level_and_length(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    wave = load(write(tmp_path / f"a.{suffix}", tone(rate, channels=channels), rate), 22050)
    assert wave.dtype == np.float32
    assert wave.ndim == 1
    assert abs(len(wave) - 22050) <= 2
    middle = wave[4000:-4000]
    assert abs(pitch_hz(middle, 22050) - 440) < 1
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(LEVEL, rel=0.03)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "aiff"])
@pytest.mark.parametrize("channels", [3, 4, 5, 6])
def test_many_channels_are_averaged(tmp_path: Path, suffix: str, channels: int) -> None:
    wave = load(write(tmp_path / f"a.{suffix}", tone(48000, channels=channels), 48000), 22050)
    middle = wave[4000:-4000]
    assert abs(pitch_hz(middle, 22050) - 440) < 1
    bass = suffix in ("ogg", "opus") and channels == 6  # both keep only the lowest notes of the sixth
    heard = 5 / 6 if bass else 1
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(LEVEL * heard, rel=0.05)


def test_mean_of_channels_and_exact_samples(tmp_path: Path) -> None:
    both = np.random.default_rng(1).uniform(-0.9, 0.9, (150_000, 2)).astype(np.float32)  # longer than a block
    path = write(tmp_path / "a.wav", both, 22050, subtype="FLOAT")
    assert np.allclose(load(path, 22050), both.mean(axis=1), atol=1e-7)
    opposite = write(tmp_path / "b.wav", tone(22050) * [1, -1], 22050, subtype="FLOAT")
    assert np.abs(load(opposite, 22050)).max() < 1e-6


@pytest.mark.parametrize("rate", [44100, 48000, 8000, 11025, 96000])
def test_a_tone_above_nyquist_vanishes_and_length_follows(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", tone(rate, 1.5, hz=0.42 * rate), rate)
    wave = load(path, 16000)
    assert abs(len(wave) - 24000) <= 1
    level = np.sqrt(2 * np.mean(wave[4000:-4000] ** 2))
    assert level == pytest.approx(LEVEL, rel=0.02) if 0.42 * rate < 7000 else level < 1e-3


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_window_is_a_cut_of_the_whole(tmp_path: Path, suffix: str) -> None:
    rate = 48000
    path = write(tmp_path / f"a.{suffix}", noise(rate, 6), rate)
    whole = load(path, rate)
    for start_s, duration_s in ((0.0, 1.0), (2.5, 1.25), (5.5, 3.0), (0.1, None)):
        window = load(path, rate, start_s, duration_s)
        first = round(start_s * rate)
        want = whole[first:] if duration_s is None else whole[first : first + round(duration_s * rate)]
        assert len(window) == len(want)
        assert np.abs(window - want).max() < 1e-4
    assert reason(path, start_s=7.0) == "empty"


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.97, 0.999])
@pytest.mark.parametrize("window", [{}, {"duration_s": 0.05}], ids=["whole", "window"])
def test_truncated(tmp_path: Path, suffix: str, part: float, window: dict[str, float]) -> None:
    path = write(tmp_path / f"a.{suffix}", noise(48000, 4), 48000)
    load(path, 22050, **window)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    assert reason(path, **window) == "truncated"


@pytest.mark.parametrize("kind", ["RF64", "WAVEX", "RIFX"])
def test_truncated_kinds_of_wav(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.wav"
    more = {"format": "WAV", "endian": "BIG"} if kind == "RIFX" else {"format": kind}
    soundfile.write(path, noise(22050, 1), 22050, subtype="PCM_16", **more)
    assert len(load(path, 22050)) == 22050
    path.write_bytes(path.read_bytes()[:20000])
    assert reason(path) == "truncated"


def test_a_wav_of_open_length_and_a_cut_tag_are_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(22050, 1), 22050)
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff" * 4  # what ffmpeg leaves when it writes to a pipe
    path.write_bytes(data)
    assert len(load(path, 22050)) == 22050
    path.write_bytes(write(path, noise(22050, 1), 22050).read_bytes() + b"LIST\xff\x00\x00\x00INFO")
    assert len(load(path, 22050)) == 22050


def test_flac_damaged_on_the_way_and_flac_of_open_length(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(44100, 4), 44100)
    data = bytearray(path.read_bytes())
    hole = data.copy()
    hole[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    path.write_bytes(hole)
    assert reason(path) == "truncated"
    data[21] &= 0xF0  # the number of samples in the first block of metadata
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert reason(path) == "not readable"


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
@pytest.mark.parametrize("rate", [44100, 22050, 8000])
def test_mp3_without_a_header_gives_every_sample(tmp_path: Path, mode: str, rate: int) -> None:
    wave = np.concatenate([np.zeros(rate), noise(rate, 4)])  # cheap frames first: libsndfile's guess is far off
    path = write(tmp_path / "a.mp3", wave, rate, bitrate_mode=mode, compression_level=0.5)
    want = load(path, rate)
    data = path.read_bytes()
    whole = mp3.walk(data)
    assert whole is not None
    assert whole.n_frames == whole.n_claimed
    path.write_bytes(b"ID3\x03\x00\x00\x00\x00\x01\x00" + bytes(128) + data[whole.first :])
    bare = load(path, rate)
    assert len(want) <= len(bare) <= len(want) + 2400
    shift = len(bare) - len(want)
    assert min(np.abs(bare[k : k + len(want)][:-1200] - want[:-1200]).max() for k in range(shift + 1)) < 1e-3
    path.write_bytes(data[whole.first : len(data) // 2])  # cannot be known
    assert len(load(path, rate)) < 0.8 * len(want)


def test_mp3_vbri_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", noise(44100, 3), 44100)
    data = path.read_bytes()
    whole = mp3.walk(data)
    assert whole is not None
    vbri = data[:4] + bytes(32) + b"VBRI" + struct.pack(">HHHII", 1, 0, 75, len(data), whole.n_frames)
    path.write_bytes(vbri.ljust(whole.first, b"\0") + data[whole.first :])
    assert abs(len(load(path, 44100)) - 3 * 44100) < 2500
    path.write_bytes(path.read_bytes()[: len(data) // 2])
    assert reason(path) == "truncated"


def test_reasons(tmp_path: Path) -> None:
    assert reason(tmp_path / "nowhere.wav") == "missing"
    (tmp_path / "link.wav").symlink_to(tmp_path / "nowhere.wav")
    assert reason(tmp_path / "link.wav") == "missing"
    (tmp_path / "zero.wav").touch()
    assert reason(tmp_path / "zero.wav") == "empty"
    assert reason(write(tmp_path / "none.wav", np.zeros(0), 22050)) == "empty"
    assert reason(tmp_path) == "not a file"
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    assert reason(tmp_path / "loop.wav") == "not readable"
    assert reason(tmp_path / "zero.wav" / "under.wav") == "missing"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert reason(tmp_path / "pipe.wav") == "not a file"
    with pytest.raises(AudioError, match="not a file"):
        file_digest(tmp_path / "pipe.wav")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(22050), 22050)
    path.chmod(0)
    assert reason(path) == "not readable"


@pytest.mark.parametrize("suffix", [*FORMATS, "raw", "m4a"])
@pytest.mark.parametrize(
    "junk",
    [b"hello world\n" * 100, b"\x89PNG\r\n\x1a\n" + bytes(3000), b"\xff\xd8\xff\xe0" * 500, bytes(5000), b"ID3", b"x"],
    ids=["text", "png", "jpeg", "zeros", "id3", "x"],
)
def test_junk(tmp_path: Path, suffix: str, junk: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(junk)
    assert reason(path) == "not audio"
    path.write_bytes(np.random.default_rng(0).bytes(20000))
    assert reason(path) == "not audio"
    assert capfd.readouterr().err == ""  # libmpg123 would print its guesses


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf(tmp_path: Path, bad: float) -> None:
    wave = tone(22050)
    wave[100] = bad
    path = write(tmp_path / "a.wav", wave, 22050, subtype="FLOAT")
    assert reason(path) == "not audio"


def test_silence_loads_and_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros((22050, 2)), 44100)
    wave = load(path, 22050)
    assert len(wave) == 11025
    assert is_silent(wave)
    with pytest.raises(AudioError) as caught:
        inspect(path, 22050)
    assert caught.value.reason == "silent"
    assert is_silent(np.full(9, 0.99e-4, np.float32))
    assert not is_silent(np.full(9, -1.01e-4, np.float32))
    assert is_silent(np.zeros(0, np.float32))
    loud = write(tmp_path / "b.wav", tone(44100), 44100)
    assert np.array_equal(inspect(loud, 22050), load(loud, 22050))


def test_the_name_of_the_file_does_not_matter(tmp_path: Path) -> None:
    for suffix in FORMATS:
        path = write(tmp_path / f"a.{suffix}", tone(48000), 48000)
        odd = path.rename(tmp_path / f"ä [b] #1 ~ {suffix}.mp3")
        assert abs(len(load(odd, 22050)) - 22050) <= 2
        assert len(file_digest(odd)) == 32


def test_digest_and_decoder(tmp_path: Path) -> None:
    a, b = (write(tmp_path / f"{name}.wav", tone(8000), 8000) for name in "ab")
    assert file_digest(a) == file_digest(b)
    b.write_bytes(b.read_bytes()[:-1] + b"\x01")
    assert file_digest(a) != file_digest(b)
    assert "libsndfile" in DECODER
    assert "soxr" in DECODER


@pytest.mark.parametrize("window", [(-1.0, None), (0.0, 0.0), (0.0, -2.0)])
def test_impossible_windows(tmp_path: Path, window: tuple[float, float | None]) -> None:
    with pytest.raises(ValueError, match="start"):
        load(write(tmp_path / "a.wav", tone(8000), 8000), 8000, *window)


SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the music sets do not lie beside the project")
def test_real_recordings_are_whole() -> None:
    songs = sorted(SHARED.glob("*/*/*.ogg"))[::12]
    assert songs
    for song in songs:
        wave = inspect(song, 22050)
        assert 10 < len(wave) / 22050 < 40
