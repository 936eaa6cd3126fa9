"""Drum kits, rendered once a song, and the patterns they play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from genrelab.data.synth.instruments import noise


@dataclass(frozen=True)
class Kit:
    """How a kit's drums sound."""

    kick_hz: tuple[float, float]  # where the sweep begins and where it ends
    kick_sweep_s: float
    kick_s: float  # decay
    click: float
    drive: float  # into the kick's distortion; 0: none
    snare_hz: float
    snare_s: float
    snare_noise: float  # share of noise
    snare_band_hz: tuple[float, float]
    hat_hz: float  # high-pass
    hat_s: float
    open_s: float
    tom_hz: float


KITS = {
    "tr808": Kit((130, 48), 0.03, 0.38, 0.15, 0.0, 185, 0.10, 0.75, (900, 7000), 6000, 0.030, 0.22, 95),
    "tr909": Kit((210, 55), 0.035, 0.20, 0.5, 0.3, 200, 0.13, 0.7, (700, 9000), 5200, 0.045, 0.28, 110),
    "acoustic": Kit((120, 62), 0.015, 0.13, 0.6, 0.0, 210, 0.12, 0.6, (500, 6000), 4000, 0.055, 0.35, 120),
    "lofi": Kit((110, 58), 0.02, 0.15, 0.3, 0.4, 180, 0.14, 0.6, (400, 3500), 3000, 0.04, 0.20, 100),
    "gabber": Kit((420, 58), 0.03, 0.26, 0.8, 2.5, 220, 0.12, 0.8, (1000, 9000), 5000, 0.040, 0.25, 120),
    "orchestral": Kit((95, 44), 0.02, 0.55, 0.2, 0.0, 190, 0.16, 0.8, (600, 6000), 3500, 0.300, 1.2, 78),
}

# Sixteenths of a bar: x loud, o softer, - barely there.
PATTERNS: dict[str, dict[str, str]] = {
    "gabber": {
        "kick": "x...x...x...x.x.",
        "snare": "....x.......x...",
        "open": "..x...x...x...x.",
        "hat": "o.o.o.o.o.o.o.o.",
    },
    "four": {
        "kick": "x...x...x...x...",
        "clap": "....x.......x...",
        "open": "..x...x...x...x.",
        "hat": "o.-o-.o-o.-oo.o-",
    },
    "breaks": {"kick": "x.x.......x.....", "snare": "....x..o.o..x..o", "hat": "x.x.x.x.x.x.x.x."},
    "halftime": {"kick": "x.........o.....", "snare": "........x.......", "hat": "x.o.x.o.x.o.x.oo"},
    "twostep": {"kick": "x.........x.....", "snare": "....x.......x...", "hat": "..x.o.x-..x.o.x-"},
    "electro": {
        "kick": "x.....x...x.....",
        "clap": "....x.......x...",
        "hat": "xoxoxoxoxoxoxoxo",
        "tom": "...........o..o.",
    },
    "boombap": {"kick": "x......o..x.....", "snare": "....x.......x..-", "hat": "x.o.x.o.x.o.x.o."},
    "trap": {
        "kick": "x.....o...x.....",
        "clap": "........x.......",
        "hat": "xoxoxoxxxoxoxxxx",
        "open": "..............o.",
    },
    "taiko": {"tom": "x..o..x.o.x.o.oo", "kick": "x.......x......."},
    "timpani": {"tom": "x...........o.o."},
    "none": {},
}


def _cut(at: int, n: int) -> np.ndarray:
    return np.resize(noise()[at % 60000 :], n)


def _filtered(wave: np.ndarray, band_hz: float | tuple[float, float], sample_rate: int) -> np.ndarray:
    edge = np.minimum(band_hz, 0.45 * sample_rate)
    sos = signal.butter(2, edge, "bandpass" if edge.ndim else "highpass", fs=sample_rate, output="sos")
    return signal.sosfilt(sos.astype(np.float32), wave)


def _falling(
    hz: tuple[float, float], sweep_s: float, decay_s: float, sample_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """A sine whose pitch falls and its time axis in seconds, both (samples,)."""
    t = np.arange(int(4 * decay_s * sample_rate), dtype=np.float32) / sample_rate
    turns = hz[1] * t + (hz[0] - hz[1]) * sweep_s * (1 - np.exp(-t / sweep_s))
    return np.sin(2 * np.pi * turns) * np.exp(-t / decay_s), t


def strike(name: str, sample_rate: int, *, drive: float, tune: float, tone: float, at: int) -> dict[str, np.ndarray]:
    """The kit's one-shots by drum, each (samples,) float32.

    `drive` is the gain into the kick's distortion, `tune` and `tone` move pitches and filters (factors around 1),
    `at` picks the noise.
    """
    kit = KITS[name]
    start_hz, end_hz = kit.kick_hz
    kick, t = _falling((start_hz * tone, end_hz * tune), kit.kick_sweep_s, kit.kick_s / tune, sample_rate)
    kick = kick + kit.click * 0.5 * np.exp(-t / 0.003) * _cut(at, len(t))
    if kit.drive:
        kick = np.tanh(kick * (1 + kit.drive * drive)) * np.exp(-np.maximum(t - kit.kick_s, 0) / 0.05)
    tom, t = _falling((kit.tom_hz * 1.4 * tune, kit.tom_hz * tune), 0.05, kit.kick_s * 0.8, sample_rate)
    tom = tom + 0.15 * np.exp(-t / 0.01) * _cut(at + 1, len(t))
    body, t = _falling((kit.snare_hz * 1.5 * tune, kit.snare_hz * tune), 0.01, kit.snare_s, sample_rate)
    low_hz, high_hz = kit.snare_band_hz
    rattle = _filtered(_cut(at + 2, len(t)), (low_hz * tone, high_hz * tone), sample_rate)
    snare = (1 - kit.snare_noise) * body + kit.snare_noise * rattle * np.exp(-t / kit.snare_s)
    slaps = sum(np.exp(-np.abs(t - d) / 0.004) * (t >= d) for d in (0.0, 0.011, 0.022))
    clap = rattle * (slaps + 0.7 * np.exp(-np.maximum(t - 0.03, 0) / kit.snare_s) * (t > 0.03))
    t = np.arange(int(4 * kit.open_s * sample_rate), dtype=np.float32) / sample_rate
    metal = _filtered(_cut(at + 3, len(t)), kit.hat_hz * tone, sample_rate)
    n_hat = min(len(t), int(5 * kit.hat_s * sample_rate))
    one_shots = {
        "kick": kick,
        "tom": 0.9 * tom,
        "snare": 0.8 * snare,
        "clap": 0.6 * clap,
        "hat": 0.3 * metal[:n_hat] * np.exp(-t[:n_hat] / kit.hat_s),
        "open": 0.3 * metal * np.exp(-t / kit.open_s),
        "crash": 0.4 * metal * np.exp(-t / (2 * kit.open_s)),
    }
    return {drum: wave.astype(np.float32) for drum, wave in one_shots.items()}
