"""M4A by torchcodec and ffmpeg: level, length, windows, what is not whole; and what is said where they lack."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrelab.audio import decode, mp4
from genrelab.audio.decode import AudioError, load, own_rate
from tests.data.sources.music import encode, needs_ffmpeg, needs_torchcodec

pytestmark = needs_ffmpeg
RATE = 44100


def tones(seconds: float, *hertz: float) -> np.ndarray:
    """A sine of amplitude 0.3 a channel: (samples, channels)."""
    time_s = np.arange(int(seconds * RATE)) / RATE
    return np.stack([0.3 * np.sin(2 * np.pi * f * time_s) for f in hertz], axis=1)


def reason(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        load(path, 22050)
    return caught.value.reason


@needs_torchcodec
@pytest.mark.parametrize("n_channels", [1, 2])
def test_the_mono_of_equal_channels_is_as_loud_as_one_of_them(tmp_path: Path, n_channels: int) -> None:
    path = encode(tmp_path / "a.m4a", tones(2, *[440.0] * n_channels), RATE)
    wave = load(path, RATE)
    assert wave.dtype == np.float32
    assert np.sqrt(np.mean(wave[RATE // 2 : -RATE // 2] ** 2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


@needs_torchcodec
def test_opposite_channels_cancel(tmp_path: Path) -> None:
    both = tones(2, 440.0)
    lossless = encode(tmp_path / "a.m4a", np.hstack([both, -both]), RATE, "-c:a", "alac")
    assert np.abs(load(lossless, RATE)).max() < 1e-4


@needs_torchcodec
@pytest.mark.parametrize("codec", ["aac", "alac"])
@pytest.mark.parametrize("seconds", [1.0, 2.345])
def test_it_begins_and_ends_where_the_sound_did(tmp_path: Path, codec: str, seconds: float) -> None:
    said = tones(seconds, 440.0, 660.0)
    path = encode(tmp_path / "a.m4a", said, RATE, "-c:a", codec)
    wave = load(path, RATE)
    mono = said.mean(axis=1)
    assert 0 <= len(wave) - len(mono) < 4096  # ALAC's last frame is filled up in the header, too
    assert np.corrcoef(wave[: len(mono)], mono)[0, 1] > 0.999  # not late by a sample
    assert len(load(path, 22050)) == pytest.approx(len(wave) / 2, abs=1)
    assert own_rate(path) == RATE


@needs_torchcodec
def test_a_window_is_that_part_of_the_whole(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((2 * RATE, 2))
    path = encode(tmp_path / "a.m4a", noise, RATE)
    whole = load(path, RATE)
    assert np.array_equal(load(path, RATE, 0.5, 1.0), whole[RATE // 2 : RATE // 2 + RATE])
    assert np.array_equal(load(path, RATE, 1.5), whole[3 * RATE // 2 :])
    with pytest.raises(AudioError, match="empty"):
        load(path, RATE, 5.0)


@needs_torchcodec
@pytest.mark.parametrize("codec", ["aac", "alac"])
@pytest.mark.parametrize("seconds", [60.0, 120.01, 150.4])
def test_decoding_in_parts_is_decoding_in_one_go(tmp_path: Path, codec: str, seconds: float) -> None:
    from torchcodec.decoders import AudioDecoder

    noise = 0.1 * np.random.default_rng(0).standard_normal((int(seconds * 16000), 2))
    path = encode(tmp_path / "a.m4a", noise, 16000, "-c:a", codec)
    whole = AudioDecoder(str(path)).get_all_samples().data.numpy().mean(axis=0)
    wave = load(path, 16000)
    assert abs(len(wave) - len(noise)) <= 4096
    assert np.array_equal(wave, whole[: len(wave)])


@needs_torchcodec
@pytest.mark.parametrize("options", [(), ("-movflags", "+faststart")], ids=["table last", "table first"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, options: tuple[str, ...], share: float) -> None:
    path = encode(tmp_path / "a.m4a", tones(2, 440.0, 660.0), RATE, *options)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert reason(path) == "truncated"


@needs_torchcodec
def test_without_its_table_of_contents_it_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x10mdat" + bytes(8))
    assert reason(path) == "truncated"
    path.write_bytes(b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x02mdat" + bytes(8))
    assert reason(path) == "truncated"
    path.write_bytes(b"\0\0\0\x10ftypM4A \0\0\0\0" + b"\0\0\0\x08moov")
    assert reason(path) == "not audio"


@needs_torchcodec
def test_a_film_without_sound_is_not_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.m4a"
    picture = ["-f", "lavfi", "-i", "color=red:s=32x32:d=1", "-c:v", "mpeg4", "-f", "mp4"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, str(path)], check=True)
    assert reason(path) == "not audio"


@needs_torchcodec
def test_the_name_of_the_file_does_not_matter(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", tones(1, 440.0), RATE)
    assert len(load(path.rename(tmp_path / "b.wav"), RATE)) == RATE
    soundfile.write(tmp_path / "c.wav", tones(1, 440.0), RATE)
    assert len(load((tmp_path / "c.wav").rename(tmp_path / "c.m4a"), RATE)) == RATE
    assert decode.decoder(tmp_path / "c.m4a") == decode.DECODER
    assert "torchcodec" in decode.decoder(tmp_path / "b.wav") and "ffmpeg" in decode.decoder(tmp_path / "b.wav")


def test_where_torchcodec_lacks_the_file_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.m4a", tones(1, 440.0), RATE)
    monkeypatch.setattr(mp4, "decoder", lambda: None)
    for read in (lambda: load(path, 22050), lambda: own_rate(path)):
        with pytest.raises(AudioError) as caught:
            read()
        assert caught.value.reason == "not decodable"
        assert "genrelab[aac]" in caught.value.detail and "ffmpeg" in caught.value.detail


@needs_torchcodec
def test_the_store_hears_it_once_torchcodec_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genrelab.store import pictures
    from genrelab.types import Track
    from tests.parts import config, part

    track = Track("a", encode(tmp_path / "a.m4a", tones(3, 440.0), RATE), ("rock",))
    options = {"sample_rate": 22050, "min_s": 1.0, "store": tmp_path / "store", "progress": lambda *_: None}

    def hear() -> tuple[list[Track], list[str], float]:
        usable, made, unusable = pictures([track], part("front/mel"), config("front/mel"), **options)
        return usable, [one.reason for one in unusable], round(made.seconds_made, 2)

    with monkeypatch.context() as without:
        without.setattr(mp4, "decoder", lambda: None)
        assert hear() == ([], ["not decodable"], 0)  # left out, not fatal
    assert hear() == ([track], [], 3)
    assert hear() == ([track], [], 0)  # and then no more
