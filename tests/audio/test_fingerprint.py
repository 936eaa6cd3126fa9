"""Near duplicates of made music: melodies of random notes, their re-encodings, and other melodies by the same band."""

from __future__ import annotations

import io
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from genrelab.audio import fingerprint
from genrelab.audio.fingerprint import Alike, alike

RATE = 22050
N_SONGS = 8
LENGTH_S = 20.0


def melody(seed: int, length_s: float = LENGTH_S) -> np.ndarray:
    """Notes of a fourth of a second from one scale in one timbre, over the same drum: songs differ in their notes."""
    random = np.random.default_rng(seed)
    n = RATE // 4
    time_s = np.arange(n) / RATE
    notes = []
    for _ in range(round(length_s * 4)):
        pitches = 220 * 2 ** (random.choice([0, 2, 4, 7, 9, 12, 14, 16, 19, 21, 24], 2, replace=False) / 12)
        notes.append(
            sum(np.exp(-3 * time_s * k) * np.sin(2 * np.pi * k * p * time_s) / k for p in pitches for k in (1, 2, 3))
        )
    drum = np.tile(np.exp(-np.arange(n) / 800) * np.sin(2 * np.pi * 60 * time_s), len(notes))
    wave = 0.1 * np.concatenate(notes) + 0.2 * drum
    return (wave + 0.002 * random.standard_normal(len(wave))).astype(np.float32)


def through_mp3(wave: np.ndarray) -> np.ndarray:
    held = io.BytesIO()
    soundfile.write(held, wave / np.abs(wave).max(), RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.7)
    held.seek(0)
    return soundfile.read(held, dtype="float32")[0]


def equalised(wave: np.ndarray) -> np.ndarray:
    """3 dB up and down, in turns of three octaves."""
    hz = np.maximum(np.fft.rfftfreq(len(wave), 1 / RATE), 20)
    gain_db = 3 * np.sin(2 * np.pi * np.log2(hz / 20) / 3)
    return np.fft.irfft(np.fft.rfft(wave) * 10 ** (gain_db / 20), len(wave)).astype(np.float32)


def faster(wave: np.ndarray, factor: float = 1.02) -> np.ndarray:
    return librosa.effects.time_stretch(wave, rate=factor)


WAYS = {
    "codec": through_mp3,
    "equaliser": equalised,
    "tempo": faster,
    "slower": lambda w: faster(w, 0.98),
    "all": lambda w: through_mp3(equalised(faster(w))),
    "gain": lambda w: 0.1 * w,
    "window": lambda w: w[8 * RATE :],
}


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    return [melody(seed) for seed in range(N_SONGS)]


@pytest.fixture(scope="module")
def prints(songs: list[np.ndarray]) -> list[np.ndarray]:
    return [fingerprint.fingerprint(w, RATE) for w in songs]


def test_songs_of_one_band_are_not_taken_for_one(prints: list[np.ndarray]) -> None:
    assert alike(prints) == []


@pytest.mark.parametrize("way", WAYS)
def test_every_copy_finds_its_song_and_no_other(way: str, songs: list[np.ndarray], prints: list[np.ndarray]) -> None:
    copies = [fingerprint.fingerprint(WAYS[way](w), RATE) for w in songs[:4]]
    found = alike([*prints, *copies])
    assert sorted((p.first, p.second) for p in found) == [(i, N_SONGS + i) for i in range(4)]


def test_windows_that_overlap_by_half_say_where(songs: list[np.ndarray]) -> None:
    wave = np.concatenate([songs[0], songs[1]])
    a, b = wave[: 20 * RATE], wave[10 * RATE : 30 * RATE]
    (found,) = alike([fingerprint.fingerprint(w, RATE) for w in (a, b)])
    assert found.first_s - found.second_s == pytest.approx(10.0, abs=0.25)
    assert found.tempo == 1.0


def test_the_tempo_of_a_copy_is_told(songs: list[np.ndarray], prints: list[np.ndarray]) -> None:
    (found,) = alike([prints[0], fingerprint.fingerprint(faster(songs[0], 1.02), RATE)])
    assert found.tempo == pytest.approx(1 / 1.02, abs=0.011)


def test_a_song_at_another_sample_rate_is_itself(songs: list[np.ndarray], prints: list[np.ndarray]) -> None:
    import soxr

    other = fingerprint.fingerprint(soxr.resample(songs[0], RATE, 44100, "HQ"), 44100)
    (found,) = alike([prints[0], other])
    assert found.likeness > 0.98


def test_silence_tones_and_short_sounds_are_alike_to_nothing() -> None:
    time_s = np.arange(20 * RATE) / RATE
    dull = [np.zeros(20 * RATE), np.sin(2 * np.pi * 440 * time_s), melody(0, 5.0), np.ones(9)]
    twice = [fingerprint.fingerprint(w.astype(np.float32), RATE) for w in (*dull, *dull)]
    assert alike(twice) == []
    assert alike([]) == []


def test_equal_songs_are_wholly_alike_in_any_order(prints: list[np.ndarray]) -> None:
    for order in ([prints[0], prints[1], prints[0]], [prints[0], prints[0], prints[1]]):
        (found,) = alike(order)
        assert isinstance(found, Alike)
        assert found.likeness == pytest.approx(1.0, abs=1e-5)
        assert found.first < found.second


SHARED = Path(__file__).parents[3] / "shared" / "data" / "games"


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the music set does not lie beside the project")
def test_copies_of_real_clips_that_the_threshold_was_not_set_on() -> None:
    import csv

    from genrelab.audio import decode

    with (SHARED / "manifest.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    order = np.random.default_rng(0).permutation(len(rows))
    chosen = order[60:120]  # the first 60 were looked at when SAME was set
    prints = [fingerprint.fingerprint(decode.load(SHARED / r["path"], RATE), RATE) for r in rows]
    ways = {k: WAYS[k] for k in ("codec", "equaliser", "tempo", "slower", "all", "window")}
    n_found = n_wrong = 0
    for way, changed in ways.items():
        copies = [fingerprint.fingerprint(changed(decode.load(SHARED / rows[i]["path"], RATE)), RATE) for i in chosen]
        pairs = {(p.first, p.second - len(rows)) for p in alike([*prints, *copies]) if p.first < len(rows) <= p.second}
        found = sum((int(i), n) in pairs for n, i in enumerate(chosen))
        wrong = sum(rows[a]["track"] != rows[chosen[n]]["track"] for a, n in pairs)
        print(way, found, wrong)
        n_found, n_wrong = n_found + found, n_wrong + wrong
    assert (n_found, n_wrong) == fingerprint.FOUND_WRONG
