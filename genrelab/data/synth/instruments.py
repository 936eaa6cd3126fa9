"""Pitched sounds: wavetables whose rows run from dark to bright, so that a filter sweep is a walk over the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SIZE_BITS = 11
SIZE = 1 << SIZE_BITS  # samples of one period
ROWS_PER_OCTAVE = 4
N_ROWS = 7 * ROWS_PER_OCTAVE + 1  # cutoffs from the 1st to the 128th harmonic
REACH = 2.2  # a row holds harmonics up to this many times its cutoff


@dataclass(frozen=True)
class Voice:
    """An instrument: a wave, an envelope, and a low-pass filter that moves from `open_hz` to `rest_hz`."""

    wave: str
    attack_s: float
    decay_s: float
    sustain: float
    release_s: float
    open_hz: float
    rest_hz: float
    sweep_s: float = 0.2
    reso: float = 0.0  # gain at the cutoff
    unison_cents: tuple[float, ...] = (0.0,)
    vibrato_cents: float = 0.0
    breath: float = 0.0  # noise beside the tone
    lfo_oct: float = 0.0  # how far an LFO pulls the cutoff down (dubstep's wobble)
    octave: int = 0


VOICES = {
    # bass
    "sub": Voice("sine", 0.008, 2.0, 0.6, 0.05, 400, 400),
    "wobble": Voice("saw", 0.005, 9.0, 1.0, 0.04, 3200, 3200, reso=1.5, unison_cents=(-6, 6), lfo_oct=4.2),
    "reese": Voice("saw", 0.01, 9.0, 1.0, 0.06, 900, 600, unison_cents=(-14, 13)),
    "acid": Voice("saw", 0.003, 0.3, 0.5, 0.02, 2600, 350, 0.09, reso=3.0),
    "ebass": Voice("triangle", 0.004, 0.7, 0.2, 0.04, 1800, 500, 0.15),
    "contrabass": Voice("string", 0.07, 3.0, 0.8, 0.15, 1500, 1200, 0.4, unison_cents=(-4, 4)),
    "pizz": Voice("string", 0.003, 0.22, 0.0, 0.05, 2200, 300, 0.08),
    # harmony and lead
    "pad": Voice("saw", 0.45, 9.0, 1.0, 0.6, 1500, 1500, unison_cents=(-9, 8)),
    "strings": Voice("string", 0.16, 5.0, 0.85, 0.3, 3600, 3600, unison_cents=(-7, 6)),
    "spiccato": Voice("string", 0.008, 0.16, 0.0, 0.06, 5000, 1200, 0.08, unison_cents=(-6, 6)),
    "piano": Voice("piano", 0.003, 0.9, 0.0, 0.12, 6000, 900, 0.3),
    "organ": Voice("organ", 0.01, 9.0, 1.0, 0.05, 5000, 5000),
    "rhodes": Voice("tine", 0.004, 1.3, 0.0, 0.1, 3000, 900, 0.25),
    "choir": Voice("choir", 0.25, 9.0, 1.0, 0.4, 6000, 6000, unison_cents=(-9, 9)),
    "supersaw": Voice("saw", 0.004, 0.6, 0.6, 0.08, 8000, 5000, 0.2, unison_cents=(-16, 0, 15)),
    "hoover": Voice("square", 0.01, 0.9, 0.7, 0.06, 2500, 5000, 0.12, unison_cents=(-22, 3, 24)),
    "pluck": Voice("saw", 0.003, 0.2, 0.0, 0.05, 6000, 400, 0.08),
    "square": Voice("square", 0.003, 0.25, 0.4, 0.03, 7000, 3500, 0.15),
    "bell": Voice("bell", 0.002, 0.8, 0.0, 0.2, 9000, 4000, 0.4, octave=1),
    "brass": Voice("brass", 0.07, 4.0, 0.85, 0.15, 700, 2600, 0.12, unison_cents=(-5, 5)),
    "violin": Voice("string", 0.07, 5.0, 0.9, 0.12, 5500, 5500, vibrato_cents=18, octave=1),
    "flute": Voice("flute", 0.05, 5.0, 0.9, 0.1, 5000, 5000, vibrato_cents=10, breath=0.008, octave=1),
    "rapper": Voice("speech", 0.012, 0.5, 0.6, 0.03, 9000, 9000, breath=0.5),
}

VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (390, 1990, 2550), (570, 840, 2410), (440, 1020, 2240))  # formants, Hz


def _formants(hz: np.ndarray, centres: Sequence[float], width: float) -> np.ndarray:
    out = np.full(len(hz), 0.02)
    for weight, centre in zip((1.0, 0.5, 0.3, 0.2), centres, strict=False):
        out += weight * np.exp(-0.5 * ((hz - centre) / (width * centre)) ** 2)
    return out


# Amplitudes of the harmonics h = 1..128 of a tone at hz; the body of a string or a voice stays where it is.
WAVES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "saw": lambda h, _: 1 / h,
    "sine": lambda h, _: (h == 1) + 0.05 * (h == 2),
    "square": lambda h, _: (h % 2) / h,
    "triangle": lambda h, _: (h % 2) / h**2 + 0.2 * (h == 2),
    "piano": lambda h, _: h**-1.15 * np.abs(np.sin(np.pi * h / 7.6)),
    "organ": lambda h, _: np.isin(h, (1, 2, 3, 4, 6, 8)) * h**-0.4,
    "tine": lambda h, _: h**-2.2 + 0.12 * (h == 7),
    "flute": lambda h, _: np.where(h < 6, 2.2**-h * (2 - h % 2), 0),
    "bell": lambda h, _: (h == 4) + 0.6 * (h == 11) + 0.35 * (h == 22) + 0.2 * (h == 35),  # a fundamental 4 times lower
    "brass": lambda h, hz: h**-0.8 * (1 + np.exp(-0.5 * ((h * hz - 1100) / 500) ** 2)),
    "string": lambda h, hz: h**-0.75 * (0.35 + _formants(h * hz, (290, 500, 1200, 2800), 0.3)),
    "choir": lambda h, hz: h**-0.5 * _formants(h * hz, (600, 1050, 2600), 0.12),
}
BODIES = ("string", "choir", "speech", "brass")  # waves that depend on the pitch


@lru_cache(maxsize=512)
def _table(wave: str, midi: int, reso: float) -> np.ndarray:
    """The wave at each brightness (or vowel), (N_ROWS, SIZE); `midi` is 0 where the pitch does not matter."""
    h, rows = np.arange(1, 129.0), np.arange(N_ROWS)[:, None]
    hz = 440 * 2 ** ((midi - 69) / 12)
    if wave == "speech":
        vowel = [_formants(h * hz, VOWELS[r % len(VOWELS)], 0.1) * h**-0.4 for r in range(N_ROWS)]
        gain = np.stack(vowel) * (h * hz < 5000)
    else:
        away = np.log2(h) - rows / ROWS_PER_OCTAVE
        low_pass = 1 / np.sqrt(1 + np.exp2(6 * away)) + reso * np.exp(-0.5 * (away / 0.25) ** 2)
        gain = WAVES[wave](h, hz) * low_pass * (away < np.log2(REACH))
        if wave == "bell":
            gain = np.broadcast_to(WAVES[wave](h, hz), gain.shape) * np.exp2(-0.25 * np.maximum(away, 0) ** 2)
    spectrum = np.zeros((N_ROWS, SIZE // 2 + 1), complex)
    spectrum[:, 1:129] = gain * np.exp(1j * 2.4 * h**2)  # spread phases: no spike at the start of a period
    return (np.fft.irfft(spectrum, SIZE) * SIZE / 4).astype(np.float32)


@lru_cache(maxsize=4)
def noise(bits: int = 17) -> np.ndarray:
    """White noise to cut pieces from, (2**bits,)."""
    return np.random.default_rng(bits).standard_normal(1 << bits, dtype=np.float32)


def _envelope(voice: Voice, t: np.ndarray, n_release: int) -> np.ndarray:
    env = voice.sustain + (1 - voice.sustain) * np.exp(t * np.float32(-1 / voice.decay_s))
    n_attack = min(len(t), int(voice.attack_s / t[1]) + 1) if len(t) > 1 else len(t)
    env[:n_attack] *= np.linspace(0, 1, n_attack, dtype=np.float32)
    env[-n_release:] *= np.linspace(1, 0, n_release, dtype=np.float32) ** 2
    return env


def play(
    voice: Voice,
    midis: Sequence[float],
    dur_s: float,
    sample_rate: int,
    *,
    bright_oct: float = 0.0,
    lfo_hz: float = 0.0,
    colour: int = 0,
) -> np.ndarray:
    """A note or a chord, (samples,) float32, with its release after `dur_s`. `midis` are semitones, 69 is 440 Hz.

    `bright_oct` opens the filter, `lfo_hz` is the wobble's rate, `colour` the vowel of speech.
    """
    n_release = max(8, int(voice.release_s * sample_rate))
    n = max(8, int(dur_s * sample_rate)) + n_release
    t = np.arange(n, dtype=np.float32) / np.float32(sample_rate)
    sweep: np.ndarray | None = None  # cutoff against rest_hz, in rows
    if voice.open_hz != voice.rest_hz:
        sweep = np.exp(t * np.float32(-1 / voice.sweep_s))
        sweep *= np.float32(ROWS_PER_OCTAVE * np.log2(voice.open_hz / voice.rest_hz))
    if voice.lfo_oct and lfo_hz:
        wobble = np.cos(t * np.float32(2 * np.pi * lfo_hz)) - np.float32(1)
        sweep = wobble * np.float32(ROWS_PER_OCTAVE * voice.lfo_oct / 2)
    out = np.zeros(n, np.float32)
    for midi in midis:
        hz = 440 * 2 ** ((midi + 12 * voice.octave - 69) / 12) / (4 if voice.wave == "bell" else 1)
        table = _table(voice.wave, round(midi + 12 * voice.octave) if voice.wave in BODIES else 0, voice.reso)
        top = max(0, min(N_ROWS - 1, int(ROWS_PER_OCTAVE * np.log2(sample_rate / 2 / REACH / hz))))
        rest = ROWS_PER_OCTAVE * (np.log2(voice.rest_hz / hz) + bright_oct)
        if voice.wave == "speech":
            start: np.ndarray | int = colour % len(VOWELS) * SIZE
        elif sweep is None:
            start = int(np.clip(rest, 0, top)) * SIZE
        else:
            start = np.clip(sweep + np.float32(rest), 0, top).astype(np.int32) << SIZE_BITS
        for k, cents in enumerate(voice.unison_cents):
            step = np.uint32(2**32 * hz * 2 ** (cents / 1200) / sample_rate)
            phase = np.arange(n, dtype=np.uint32) * step + np.uint32((0.618 * k + 0.37 * midi) % 1 * 2**32)
            if voice.vibrato_cents:
                depth = hz * np.log(2) / 1200 * voice.vibrato_cents / (2 * np.pi * 5.3) * 2**32
                bend = np.sin(t * np.float32(2 * np.pi * 5.3)) * np.minimum(t * 3, 1) * np.float32(depth)
                phase += bend.astype(np.int64).astype(np.uint32)
            index = (phase >> np.uint32(32 - SIZE_BITS)).astype(np.int32)
            out += table.ravel().take(index + start)
    out *= _envelope(voice, t, n_release) / np.float32(np.sqrt(len(midis) * len(voice.unison_cents)))
    if voice.breath:
        _breathe(out, voice, t, round(midis[0]) + 7 * colour)
    return out


def _breathe(out: np.ndarray, voice: Voice, t: np.ndarray, where: int) -> None:
    """Add the noise of the breath, or of the consonant at the head of a syllable, in place."""
    n = len(out) if voice.wave != "speech" else min(len(out), int(0.05 / t[1]))
    at = where * 997 % (1 << 16)
    hiss = np.diff(np.resize(noise()[at:], n + 1))  # high-passed
    fade = np.linspace(1, 0, n, dtype=np.float32)
    hiss *= fade * np.float32(voice.breath * (where % 4) / 3) if voice.wave == "speech" else np.float32(voice.breath)
    out[:n] += hiss
