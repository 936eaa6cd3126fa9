"""Sounds that are no music: spectra, levels, rhythm and pitch as their kinds have them, the same at every call."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt, welch

from genrelab.audio.decode import SILENCE_DBFS, is_silent
from genrelab.audio.noises import F0_HZ, FAINT_DB, KINDS, LOUDEST_DB, QUIETEST_DB, clip

RATE, CLIP_S = 22050, 10.0
LOUD = [kind for kind in KINDS if kind != "silence"]
ENVELOPE_HZ = 100


@cache
def made(kind: str, number: int) -> np.ndarray:
    return clip(kind, number, CLIP_S, RATE)


def rms_db(wave: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(wave, dtype=float)))))


def slope_db(wave: np.ndarray, low_hz: float, high_hz: float) -> float:
    """dB an octave of the power density."""
    hz, power = welch(wave, RATE, nperseg=4096)
    inside = (hz >= low_hz) & (hz <= high_hz)
    return float(np.polyfit(np.log2(hz[inside]), 10 * np.log10(power[inside]), 1)[0])


def envelope(wave: np.ndarray) -> np.ndarray:
    """How loud the formants' band is, 100 times a second."""
    band = butter(4, (300, 3000), "band", fs=RATE, output="sos")
    power = sosfiltfilt(band, wave.astype(float)) ** 2
    block = RATE // ENVELOPE_HZ
    return np.sqrt(power[: len(power) // block * block].reshape(-1, block).mean(1))


def depth(wave: np.ndarray) -> float:
    heard = envelope(wave)
    return float(heard.std() / heard.mean())


def pitches(wave: np.ndarray) -> tuple[np.ndarray, int]:
    """The pitch in Hz, 50 to 500, of the loud frames that repeat themselves (.8 of the autocorrelation); all loud."""
    n, shortest, longest = 1024, RATE // 500, RATE // 50
    wave = sosfiltfilt(butter(4, 900, fs=RATE, output="sos"), wave.astype(float))
    frames = np.lib.stride_tricks.sliding_window_view(wave, n)[::512]
    frames = frames[(frames**2).mean(1) > (wave**2).mean()]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(n), 2 * n)) ** 2)[:longest]
    found = []
    for frame in frames:
        repeat = np.fft.irfft(np.abs(np.fft.rfft(frame * np.hanning(n), 2 * n)) ** 2)[:longest]
        repeat /= repeat[0] * window / window[0]
        begin = max(shortest, int(np.argmax(repeat < 0)))
        if repeat[begin:].max() > 0.8:
            lag = begin + int(np.argmax(repeat[begin:] > 0.9 * repeat[begin:].max()))
            while lag + 1 < longest and repeat[lag + 1] > repeat[lag]:
                lag += 1
            found.append(RATE / lag)
    return np.array(found), len(frames)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_the_same_at_every_call_and_no_other(kind: str) -> None:
    clips = [clip(kind, number, 1.0, RATE) for number in range(12)]
    assert all(wave.shape == (RATE,) and wave.dtype == np.float32 for wave in clips)
    assert all(np.array_equal(wave, clip(kind, number, 1.0, RATE)) for number, wave in enumerate(clips))
    assert len({wave.tobytes() for wave in clips}) == (12 if kind != "silence" else 7)  # six of them are nothing


def test_another_process_makes_the_same_clips() -> None:
    code = (
        "import hashlib; from genrelab.audio.noises import KINDS, clip; "
        "print(*[hashlib.sha256(clip(k, 3, .5, 16000).tobytes()).hexdigest() for k in KINDS])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out == [hashlib.sha256(clip(kind, 3, 0.5, 16000).tobytes()).hexdigest() for kind in KINDS]


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("kind", KINDS)
def test_other_rates_and_lengths(kind: str, rate: int) -> None:
    for length_s in (1 / rate, 0.01, 2.37):
        wave = clip(kind, 1, length_s, rate)
        assert wave.shape == (round(length_s * rate),) and np.isfinite(wave).all() and np.abs(wave).max() <= 1


@pytest.mark.parametrize("kind", LOUD)
def test_levels_fill_their_range_and_nothing_is_clipped(kind: str) -> None:
    waves = [made(kind, number) for number in range(20)]
    levels = [rms_db(wave) for wave in waves]
    assert min(levels) > QUIETEST_DB - 0.01 and max(levels) < LOUDEST_DB + 0.01
    assert np.ptp(levels) > 12 and not any(is_silent(wave) for wave in waves)
    for wave in waves:
        at_peak = np.abs(wave) == np.abs(wave).max()
        assert np.abs(wave).max() <= 1 + 1e-6
        assert np.count_nonzero(at_peak[1:] & at_peak[:-1]) <= 1  # clipping has plateaus


@pytest.mark.parametrize(("kind", "expected"), [("white", 0.0), ("pink", -10 * np.log10(2))])
def test_white_is_flat_and_pink_falls_by_three_decibels_an_octave(kind: str, expected: float) -> None:
    for number in range(10):
        assert slope_db(made(kind, number), 60, 3000) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize("kind", ["white", "pink"])
def test_half_of_the_noises_are_low_passed_as_recordings_are(kind: str) -> None:
    dull = [slope_db(made(kind, number), 8000, 10500) < -15 for number in range(20)]
    assert 5 <= sum(dull) <= 15


@pytest.mark.parametrize("kind", ["babble", "speech"])
def test_voices_have_nothing_above_eleven_kilohertz(kind: str) -> None:
    power, hz = spectrum(clip(kind, 0, 3.0, 44100), 44100)
    assert power[hz > 11300].sum() < 1e-6 * power.sum()


def spectrum(wave: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Power and its frequencies in Hz, both (bins,)."""
    power = np.abs(np.fft.rfft(wave.astype(float) * np.hanning(len(wave)))) ** 2
    return power, np.fft.rfftfreq(len(wave), 1 / rate)


def test_every_second_silence_is_digital_and_the_others_lie_around_the_line_of_is_silent() -> None:
    nothing, faint = [made("silence", n) for n in range(0, 40, 2)], [made("silence", n) for n in range(1, 40, 2)]
    assert not any(wave.any() for wave in nothing) and all(map(is_silent, nothing))
    peaks = [20 * np.log10(np.abs(wave).max()) for wave in faint]
    assert min(peaks) >= FAINT_DB[0] - 0.01 and max(peaks) <= FAINT_DB[1] + 0.01
    assert [is_silent(wave) for wave in faint] == [peak < SILENCE_DBFS for peak in peaks]
    assert 4 <= sum(map(is_silent, faint)) <= 16
    hz = np.fft.rfftfreq(int(CLIP_S * RATE), 1 / RATE)
    loudest = [hz[np.abs(np.fft.rfft(wave)).argmax()] for wave in faint]
    assert {50.0, 60.0} <= {float(f) for f in loudest}  # mains hum in some, noise in others
    assert any(f > 70 for f in loudest)


def test_a_tone_is_harmonic_above_its_fundamental() -> None:
    """All of its power lies near multiples of the lowest partial, which lies in the stated range."""
    fundamentals, partials = [], []
    for number in range(30):
        power, hz = spectrum(made("tone", number), RATE)
        lowest = hz[np.argmax(power > 0.003 * power.max())]
        near = (hz > 0.97 * lowest) & (hz < 1.03 * lowest)
        f0 = float(np.sum(hz[near] * power[near]) / power[near].sum())
        order = np.maximum(np.rint(hz / f0), 1)
        inside = np.abs(hz - order * f0) <= 0.01 * order * f0 + 5  # a vibrato leans .8 %, and has side bands
        assert power[inside].sum() > 0.999 * power.sum(), number
        assert power[near].sum() > 0.1 * power.sum()
        fundamentals.append(f0)
        partials.append(len(set(order[power > 1e-4 * power.max()])))
    assert min(fundamentals) > 58 and max(fundamentals) < 5050 and max(fundamentals) > 8 * min(fundamentals)
    assert 5 <= partials.count(1) <= 25 and max(partials) >= 6


def test_speech_has_the_rhythm_of_syllables_and_its_pauses() -> None:
    """Modulation is strongest at 2 to 8 Hz, syllables (Houtgast & Steeneken 1985); the floor shows between phrases."""
    total = 0.0
    for number in range(20):
        heard = envelope(made("speech", number))
        hz, power = welch(heard / heard.mean(), ENVELOPE_HZ, nperseg=256)
        total = total + power
        quiet = 20 * np.log10(heard / np.sqrt(np.mean(heard**2)) + 1e-9) < -25
        edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]])))
        pauses_s = (edges[1::2] - edges[::2]) / ENVELOPE_HZ
        assert 0.1 < quiet.mean() < 0.5 and 2 <= np.count_nonzero(pauses_s > 0.2) <= 8
    above = hz > 0.5
    assert 2 <= hz[above][np.argmax((hz * total)[above])] <= 8  # power a share of the frequency, as ears have it
    octave = [(hz * total)[(hz >= low) & (hz < 2 * low)].mean() for low in (0.5, 2, 16)]
    assert octave[1] > 1.2 * octave[0] and octave[1] > 3 * octave[2]


def test_speech_has_a_pitch_in_the_range_of_voices() -> None:
    medians = []
    for number in range(20):
        found, n_loud = pitches(made("speech", number))
        assert len(found) > 0.9 * n_loud  # vowels are voiced
        assert np.mean((found > 0.97 * F0_HZ[0]) & (found < 1.03 * F0_HZ[1])) > 0.9
        assert np.percentile(found, 95) > 1.12 * np.percentile(found, 5)  # it rises and falls
        medians.append(np.median(found))
    assert min(medians) < 130 and max(medians) > 190
    noise, n_loud = pitches(made("white", 0))
    assert len(noise) < 0.05 * n_loud


def test_babble_is_many_voices_and_goes_on_without_pauses() -> None:
    speech, babble, white = ([depth(made(kind, n)) for n in range(20)] for kind in ("speech", "babble", "white"))
    assert min(speech) > 1.2 * max(babble) and min(babble) > 2 * max(white)
    for number in range(20):
        found, n_loud = pitches(made("babble", number))
        assert len(found) < 0.9 * n_loud


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_takes_a_small_part_of_its_length(kind: str) -> None:
    clip(kind, 0, CLIP_S, RATE)  # tables are made
    taken_s = []
    for number in range(3):
        begins = time.process_time()
        clip(kind, number, CLIP_S, RATE)
        taken_s.append(time.process_time() - begins)
    assert min(taken_s) < 0.2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("brown", 0, 1.0, RATE), "'brown'.*white, pink, babble, silence, tone, speech"),
        (("white", -1, 1.0, RATE), "clip -1"),
        (("white", 0, 0.0, RATE), "at least a sample"),
        (("silence", 0, 1e-6, RATE), "at least a sample"),
        (("tone", 0, -1.0, RATE), "at least a sample"),
    ],
)
def test_what_cannot_be_made_is_said(words: tuple[str, int, float, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        clip(*words)
