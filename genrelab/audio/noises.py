"""Sounds that are no music: noise, silence, a tone, speech. Made on the way, since users have no recordings of them.

`speech` is SYNTHETIC and no recording: a source-filter voice (Fant 1960, Acoustic Theory of Speech Production; Klatt
1980, Software for a cascade/parallel formant synthesizer, JASA 67) that says nothing in no language. Rosenberg pulses
(1971, Effect of glottal pulse shape on the quality of natural vowels, JASA 49) with jitter and shimmer pass resonances
that move between vowels (averages of Peterson & Barney 1952, Control methods used in a study of the vowels, JASA 24)
and consonants; syllables, phrases and pauses are drawn. It has the rhythm, the pitch and the formants of speech, not
its words, nasals have no antiformants, and nobody was asked whether it sounds human. `babble` is several such voices in
one invented room. A model that knows these apart from music has not been shown to know real talk apart.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import soxr

KINDS = ("white", "pink", "babble", "silence", "tone", "speech")

QUIETEST_DB, LOUDEST_DB = -40.0, -8.0  # RMS of full scale
FAINT_DB = (-85.0, -75.0)  # peak of a silence that is not digital; is_silent's -80 lies in the middle
F0_HZ = (80.0, 260.0)

_RATE = 22050  # Hz, at which voices are made
_HOP = 128  # 5.8 ms: a plosive's burst lasts two of them
_N_FFT = 4 * _HOP  # a Hann window of two hops and as much again for the resonances to ring
_LOWEST_HZ, _HIGHEST_HZ, _STEP_HZ = 150.0, 5200.0, 10.0  # formants that are tabled

# F1, F2, F3 in Hz, means of men: i I E ae A O U u V 3r
_VOWELS = np.array(
    [
        (270, 2290, 3010),
        (390, 1990, 2550),
        (530, 1840, 2480),
        (660, 1720, 2410),
        (730, 1090, 2440),
        (570, 840, 2410),
        (440, 1020, 2240),
        (300, 870, 2240),
        (640, 1190, 2390),
        (490, 1350, 1690),
    ],
    float,
)
_NEUTRAL = (500.0, 1500.0, 2500.0)


class _Consonant(NamedTuple):
    closed_s: float
    noise_s: float  # after the closure: a plosive's burst, a fricative's whole
    noise_db: float  # RMS beside that of vowels
    voicing: float  # amplitude beside a vowel's
    locus_hz: tuple[float, float, float]  # where the formants of the neighbours point to
    colour: tuple[float, float]  # the noise's centre in Hz and width in octaves


_CONSONANTS = (
    _Consonant(0.07, 0.012, -16, 0.0, (300, 850, 2200), (900, 1.0)),  # p
    _Consonant(0.065, 0.020, -11, 0.0, (300, 1800, 2700), (4500, 0.6)),  # t
    _Consonant(0.065, 0.025, -12, 0.0, (300, 2100, 2400), (1900, 0.35)),  # k
    _Consonant(0.06, 0.008, -20, 0.12, (280, 850, 2200), (700, 1.0)),  # b
    _Consonant(0.05, 0.012, -16, 0.12, (280, 1750, 2700), (4000, 0.7)),  # d
    _Consonant(0.05, 0.015, -16, 0.12, (280, 2100, 2400), (1800, 0.4)),  # g
    _Consonant(0.0, 0.11, -9, 0.0, (320, 1700, 2600), (6500, 0.35)),  # s
    _Consonant(0.0, 0.11, -8, 0.0, (320, 1900, 2500), (3500, 0.4)),  # sh
    _Consonant(0.0, 0.09, -22, 0.0, (320, 1000, 2200), (5000, 1.2)),  # f
    _Consonant(0.0, 0.07, -15, 0.25, (320, 1700, 2600), (6500, 0.4)),  # z
    _Consonant(0.065, 0.0, -99, 0.3, (270, 1000, 2200), (1000, 1.0)),  # m
    _Consonant(0.06, 0.0, -99, 0.3, (270, 1600, 2600), (1000, 1.0)),  # n
    _Consonant(0.055, 0.0, -99, 0.5, (360, 1150, 2700), (1000, 1.0)),  # l
    _Consonant(0.05, 0.0, -99, 0.5, (400, 1150, 1600), (1000, 1.0)),  # r
)


class _Tracks(NamedTuple):
    """What a voice does, a value a frame: (frames,), formants (frames, 3)."""

    voicing: np.ndarray
    breath: np.ndarray  # noise through the formants
    noise: np.ndarray  # noise of a narrow place
    formants_hz: np.ndarray
    f0_hz: np.ndarray
    colour: np.ndarray  # index into _CONSONANTS


def clip(kind: str, number: int, duration_s: float, sample_rate: int) -> np.ndarray:
    """The `number`-th clip (0, 1, ...) of a kind: (samples,) float32, full scale is 1, the same at every call.

    - `white`, `pink` (power 1/f): Gaussian, from 20 Hz up.
    - `babble`: 5 to 9 voices at levels of their own in a room. `speech`: one voice. Nothing above 11 kHz.
    - `tone`: a sine or a steady harmonic tone, fundamental 60 Hz to 5 kHz, every third with a slow vibrato.
    - `silence`: zeros (even numbers), or noise or mains hum with a peak of -85 to -75 dB of full scale (odd numbers).
      `decode.is_silent` draws its line at a peak of -80 dB: it calls the zeros silent, which `decode.inspect` refuses
      before a model hears them, and about half of the others; the rest is the faintest sound that a model is given.

    Every second clip of noise and voices is low-passed at 4 to 11 kHz, as recordings are. The RMS of all but silence
    lies between -40 and -8 dB of full scale, evenly up to where the peak would reach full scale (noise about -13 dB,
    speech -20 to -12 dB): nothing is clipped.

    Raises ValueError: another kind, a number below 0, less than a sample.
    """
    if kind not in KINDS:
        raise ValueError(f"kind of noise {kind!r}: expected one of {', '.join(KINDS)}")
    n = round(duration_s * sample_rate)
    if number < 0 or n < 1:
        raise ValueError(
            f"clip {number} of {duration_s:g} s at {sample_rate} Hz: expected a number from 0 on and at least a sample"
        )
    draw = np.random.default_rng([*kind.encode(), number])
    if kind == "silence":
        return _faint(draw, n, sample_rate) if number % 2 else np.zeros(n, np.float32)
    loudness = draw.random()
    if kind == "tone":
        return _levelled(_tone(draw, n, sample_rate), loudness)
    low_pass = (draw.uniform(4000, 11000), draw.uniform(6, 16)) if draw.random() < 0.5 else (np.inf, 1.0)
    room = np.ones(1)
    if kind == "speech":
        wave = _speech(draw, np.zeros(1), n, sample_rate)
    elif kind == "babble":
        room = _room(draw, sample_rate)
        wave = _speech(draw, draw.uniform(-12, 0, draw.integers(5, 10)), n, sample_rate)
    else:
        wave = draw.standard_normal(n, np.float32)
    return _levelled(_heard(wave, sample_rate, room, low_pass, pink=kind == "pink"), loudness)


def _levelled(wave: np.ndarray, loudness: float) -> np.ndarray:
    """At QUIETEST_DB (loudness 0) to the lower of LOUDEST_DB and what the peak allows (1)."""
    rms, peak = np.sqrt(np.mean(wave**2, dtype=float)), np.abs(wave).max()
    top_db = min(LOUDEST_DB, 20 * np.log10(rms / peak))
    return (wave * (10 ** ((QUIETEST_DB + loudness * (top_db - QUIETEST_DB)) / 20) / rms)).astype(np.float32)


def _heard(
    wave: np.ndarray, sample_rate: int, room: np.ndarray, low_pass: tuple[float, float], pink: bool
) -> np.ndarray:
    """Through the room (an impulse response), a high-pass of 20 Hz and `low_pass` (Hz, order), all Butterworth.

    The filter is circular: a room already rings when the clip begins.
    """
    f = np.fft.rfftfreq(len(wave), 1 / sample_rate)
    f[0] = f[1] / 2 if len(f) > 1 else 1.0
    cutoff_hz, order = low_pass
    with np.errstate(over="ignore"):
        gain = 1 / np.sqrt((1 + (20 / f) ** 4) * (1 + (f / cutoff_hz) ** (2 * order)))
    if pink:
        gain /= np.sqrt(f)
    spectrum = np.fft.rfft(wave) * gain.astype(np.float32)
    if len(room) > 1:
        spectrum *= np.fft.rfft(room, len(wave))
    return np.fft.irfft(spectrum, len(wave))


def _room(draw: np.random.Generator, sample_rate: int) -> np.ndarray:
    """An impulse response: the direct sound, then noise that decays by 60 dB in 0.3 to 0.9 s."""
    decay_s, wet = draw.uniform(0.3, 0.9), draw.uniform(0.5, 1.2)
    t = np.arange(round(0.8 * decay_s * sample_rate)) / sample_rate
    tail = draw.standard_normal(len(t)) * np.exp(-np.log(1000) * t / decay_s)
    tail *= wet / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return tail.astype(np.float32)


def _tone(draw: np.random.Generator, n: int, sample_rate: int) -> np.ndarray:
    f0 = np.exp(draw.uniform(np.log(60), np.log(min(5000.0, 0.4 * sample_rate))))
    n_partials = 1 if draw.random() < 0.5 else int(draw.integers(3, 13))
    slope, turn, vibrato_hz, depth = draw.uniform(0.8, 2), draw.random(), draw.uniform(0.3, 2), draw.uniform(1, 8) / 1e3
    t = np.arange(n) / sample_rate
    phase = f0 * t + turn
    if draw.random() < 1 / 3:
        phase += f0 * depth / (2 * np.pi * vibrato_hz) * np.sin(2 * np.pi * vibrato_hz * t)
    n_partials = max(1, min(n_partials, int(0.48 * sample_rate / f0)))
    cycles = 2 * np.pi * (phase % 1)
    return sum(np.sin(k * cycles + k * k) / k**slope for k in range(1, n_partials + 1))


def _faint(draw: np.random.Generator, n: int, sample_rate: int) -> np.ndarray:
    """Dither (triangular) or mains hum under it, its peak at FAINT_DB."""
    peak = 10 ** (draw.uniform(*FAINT_DB) / 20)
    hum, mains_hz = draw.random() < 0.5, 50 if draw.random() < 0.5 else 60
    wave = draw.random(n) - draw.random(n)
    if hum:
        t = np.arange(n) / sample_rate
        wave = 0.1 * wave + sum(np.sin(2 * np.pi * mains_hz * k * t + k) / k for k in (1, 2, 3))
    return (wave * (peak / np.abs(wave).max())).astype(np.float32)


# voices


def _speech(draw: np.random.Generator, levels_db: np.ndarray, n: int, sample_rate: int) -> np.ndarray:
    """As many people as levels, who speak at once on a faint floor of noise: (n,) float32, vowels at an RMS of about 1.

    They share one noise for what hisses in them, which is heard in one of them at a time, mostly.
    """
    floor = 10 ** (draw.uniform(-65, -45) / 20)
    n_frames = n * _RATE // sample_rate // _HOP + 3
    noise = draw.standard_normal(n_frames * _HOP, np.float32)
    hiss = _frames(noise)
    spectrum = sum(np.float32(10 ** (db / 20)) * _voice(draw, hiss) for db in levels_db)

    parts = np.fft.irfft(spectrum, _N_FFT).reshape(n_frames, 4, _HOP)
    wave = np.zeros((n_frames + 3, _HOP), np.float32)
    for k in range(4):
        wave[k : n_frames + k] += parts[:, k]
    made = wave.ravel()[_HOP : (n_frames + 1) * _HOP] + floor * noise
    return (made if sample_rate == _RATE else soxr.resample(made, _RATE, sample_rate, "HQ"))[:n]


def _voice(draw: np.random.Generator, hiss: np.ndarray) -> np.ndarray:
    """The spectra of one person who speaks, beside those of white noise: (frames, bins) complex64."""
    base_hz = np.exp(draw.uniform(np.log(95), np.log(210)))
    size = np.clip(1 + 0.22 * np.log2(base_hz / 110) + draw.normal(0, 0.03), 0.92, 1.25)  # high voice, short tract
    pace_hz = draw.uniform(3.5, 6)
    hoarse = np.float32(10 ** (draw.uniform(-34, -18) / 20))
    said = _said(draw, len(hiss), base_hz, pace_hz)

    spectrum = said.voicing[:, None] * _frames(_pulses(draw, np.repeat(said.f0_hz, _HOP)))
    breath = said.breath + hoarse * said.voicing
    breathed = np.flatnonzero(breath > 1e-4)
    spectrum[breathed] += breath[breathed, None] * hiss[breathed]
    table = _resonances()
    for formant in said.formants_hz.T:
        spectrum *= table[_row(formant * size)]
    spectrum *= table[_row(np.array(3400 * size))] * _upper(size)
    vowel = said.voicing > 0.5
    if vowel.any():  # not in a pause that is longer than the clip
        spectrum /= np.sqrt(np.mean(np.abs(spectrum[vowel]) ** 2) / (0.75 * _HOP))  # the Hann window's energy
    narrow = np.flatnonzero(said.noise > 1e-4)
    spectrum[narrow] += said.noise[narrow, None] * hiss[narrow] * _colours()[said.colour[narrow]]
    return spectrum


def _said(draw: np.random.Generator, n_frames: int, base_hz: float, pace_hz: float) -> _Tracks:
    """Phrases of syllables with pauses between. It begins somewhere within a phrase or its pause."""
    rows: list[tuple[float, ...]] = []  # time in s, voicing, breath, noise, F1, F2, F3, f0
    places: list[tuple[float, int]] = []  # time in s, index into _CONSONANTS
    t = -draw.uniform(0, 2)
    f0 = base_hz

    def consonant(target: np.ndarray) -> float:
        which = int(draw.integers(len(_CONSONANTS)))
        c = _CONSONANTS[which]
        at = tuple(0.65 * np.array(c.locus_hz) + 0.35 * target)  # it leans towards its vowel
        slow = draw.uniform(0.8, 1.2)
        opens, ends = t + slow * c.closed_s, t + slow * (c.closed_s + c.noise_s)
        loud = 10 ** (c.noise_db / 20)
        places.append((t, which))
        if c.closed_s:
            rows.append((t + 0.012, c.voicing, 0, 0, *at, f0))
            rows.append((opens - 0.004, c.voicing, 0, 0, *at, f0))
        if c.noise_s:
            rows.append((opens + (0.002 if c.closed_s else 0.03), c.voicing, 0, loud, *at, f0))
            rows.append((ends - 0.002, c.voicing, 0, 0.8 * loud, *at, f0))
            aspirated = bool(c.closed_s) and not c.voicing
            rows.append((ends + 0.012, c.voicing, 0.12 * aspirated, 0, *at, f0))
            ends += 0.012 + 0.025 * aspirated
        return ends

    while t < n_frames * _HOP / _RATE:
        n_syllables = int(draw.integers(4, 13))
        ending = 1.15 if draw.random() < 0.2 else 0.88  # a question rises
        for i in range(n_syllables):
            last = i == n_syllables - 1
            stress = draw.normal()
            length_s = np.exp(0.2 * stress) / pace_hz * (1.35 if last else 1.0)
            f0 = base_hz * (1.14 - 0.28 * i / n_syllables) * np.exp(0.06 * stress)
            vowel, glide = _VOWELS[draw.integers(len(_VOWELS))], _VOWELS[draw.integers(len(_VOWELS))]
            to = vowel + (0.6 * (glide - vowel) if draw.random() < 0.25 else 0.0)
            begins = t
            if draw.random() < 0.85:
                t = consonant(vowel)
            vowel_s = max(0.05, (length_s - (t - begins)) * (coda := 0.6 if draw.random() < 0.3 else 1.0))
            loud = 10 ** (1.6 * stress / 20) * (1.0 - 0.3 * i / n_syllables)
            rows.append((t + min(0.045, 0.35 * vowel_s), loud, 0, 0, *vowel, f0))
            f0 *= ending if last else np.exp(draw.normal(0, 0.03))
            rows.append((t + vowel_s - min(0.045, 0.35 * vowel_s), 0.8 * loud, 0, 0, *to, f0))
            t += vowel_s
            if coda < 1:
                t = consonant(to)
        rows.append((t + 0.04, 0, 0, 0, *_NEUTRAL, f0))
        t += draw.uniform(0.25, 0.8)
        rows.append((t - 0.02, 0, 0, 0, *_NEUTRAL, base_hz))

    columns = np.array(rows).T
    times = np.arange(n_frames) * _HOP / _RATE
    tracks = np.array([np.interp(times, columns[0], column) for column in columns[1:]], np.float32)
    place = np.searchsorted([time for time, _ in places], times, side="right") - 1
    voicing, breath, noise = tracks[:3]
    colour = np.array([i for _, i in places])[np.maximum(place, 0)]
    return _Tracks(voicing, breath, noise, tracks[3:6].T, np.clip(tracks[6], *F0_HZ), colour)


def _pulses(draw: np.random.Generator, f0_hz: np.ndarray) -> np.ndarray:
    """The derivative (lips radiate it) of Rosenberg's trigonometric pulses at a pitch (n,) in Hz: (n,) of power 1."""
    opening, closing = draw.uniform(0.34, 0.46), draw.uniform(0.12, 0.2)  # shares of a period
    phase = np.cumsum(f0_hz, dtype=float) / _RATE
    cycles = np.arange(int(phase[-1]) + 3)
    phase += np.interp(phase, cycles, draw.normal(0, 0.006, len(cycles))) + 0.5  # jitter
    cycle = phase.astype(np.int32)
    x = (phase - cycle).astype(np.float32)
    rise = 0.5 - 0.5 * np.cos(np.float32(np.pi / opening) * x)
    fall = np.cos(np.float32(np.pi / 2 / closing) * (x - np.float32(opening)))
    flow = np.where(x < opening, rise, np.where(x < opening + closing, fall, np.float32(0)))
    shimmer = 1 + draw.normal(0, 0.04, len(cycles)).astype(np.float32)
    pulses = np.diff(flow * shimmer[cycle], prepend=np.float32(0))
    return pulses / np.sqrt(np.mean(np.square(pulses)))  # else breath, which has power 1, would drown them


def _frames(wave: np.ndarray) -> np.ndarray:
    """(frames * _HOP,) -> the spectra of Hann windows of two hops, which add up to one: (frames, bins) complex64."""
    padded = np.concatenate([np.zeros(_HOP, np.float32), wave])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _HOP)[::_HOP]
    return np.fft.rfft(windows * np.hanning(2 * _HOP + 1)[:-1].astype(np.float32), _N_FFT)


def _row(formant_hz: np.ndarray) -> np.ndarray:
    return np.rint((np.clip(formant_hz, _LOWEST_HZ, _HIGHEST_HZ) - _LOWEST_HZ) / _STEP_HZ).astype(np.intp)


def _resonance(formant_hz: np.ndarray) -> np.ndarray:
    """The transfer function of one formant, 1 at 0 Hz: (formants, bins) complex64."""
    half_width = (30 + 0.0225 * formant_hz)[:, None]  # Hz
    s = 1j * np.fft.rfftfreq(_N_FFT, 1 / _RATE)
    square = formant_hz[:, None] ** 2
    return ((square + half_width**2) / ((s + half_width) ** 2 + square)).astype(np.complex64)


@cache
def _resonances() -> np.ndarray:
    return _resonance(np.arange(_LOWEST_HZ, _HIGHEST_HZ + _STEP_HZ, _STEP_HZ))


def _upper(size: float) -> np.ndarray:
    """The fifth and higher formants of a tract of 17 cm / size, which lie 1 kHz apart: (bins,)."""
    return _resonance(np.arange(4500.0, 13000.0, 1000.0) * size).prod(axis=0)


@cache
def _colours() -> np.ndarray:
    """What a consonant's narrow place makes of white noise, power 1: (consonants, bins)."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(_N_FFT, 1 / _RATE), 1.0))
    centre, width = np.array([c.colour for c in _CONSONANTS]).T[:, :, None]
    gain = np.exp(-0.5 * ((octaves - np.log2(centre)) / width) ** 2) + 0.02
    return (gain / np.sqrt(np.mean(gain**2, axis=1, keepdims=True))).astype(np.float32)
