"""Where a bar begins, heard from what changes at each beat; and the features of a song that beats are found in.

What is known to mark a first beat is measured at every beat: the bass drum (Goto 2001, An audio-based real-time beat
tracking system for music with or without drum-sounds, JNMR 30(2)), a change of chord (the same), and a change of the
spectrum from one beat to the next (Davies & Plumbley 2006, A spectral difference approach to downbeat extraction in
musical audio, EUSIPCO). Each metre and phase is scored by the contrast of these between its first beats and the others,
and by how alike the beats a bar apart are. How much each counts was fitted once on half of the songs at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

SAMPLE_RATE = 22050  # Hz; everything is heard at this one
HOP = 220  # samples; 100.2 frames a second
N_FFT = 1024  # 46 ms: short enough to place an onset
N_MELS = 64
N_FFT_CHROMA, HOP_CHROMA = 4096, 880
RATE_HZ = SAMPLE_RATE / HOP
BANDS = (0, 6, 28, 64)  # mel bands, 30 Hz to 11 kHz: bass drum and bass, middle, high
BLOCK = 128  # frames at a time, so that their spectra stay in the processor's cache
GROUP = 16  # mel bands weighed at a time: of the rows, only those that one of them hears

METRES = (3, 4)
WEIGHTS = np.array([2.42, 0.87, 4.96, 1.63, 5.56, -0.08])  # on what `evidence` gives


@dataclass(frozen=True)
class Sound:
    """What is heard of a song, at RATE_HZ frames a second but for the chroma (a fourth of it)."""

    onsets: np.ndarray  # (3, frames) onset strength of the bands, dB a frame
    onset: np.ndarray  # (frames,) their mean over all mel bands
    mel: np.ndarray  # (N_MELS, frames) dB above the floor, 0 or more
    chroma: np.ndarray  # (12, chroma frames)

    @cached_property
    def smooth_onset(self) -> np.ndarray:
        return smooth(self.onset)

    @cached_property
    def smooth_bass(self) -> np.ndarray:
        return smooth(self.onsets[0])

    @cached_property
    def mel_sums(self) -> np.ndarray:
        return _sums(self.mel)

    @cached_property
    def chroma_sums(self) -> np.ndarray:
        return _sums(self.chroma)


def listen(wave: np.ndarray) -> Sound:
    """The features of (samples,) at SAMPLE_RATE. Filters, onset strength and chroma are librosa's."""
    import librosa

    mel = np.concatenate([_weighed(power) for power in _powers(wave, N_FFT, HOP)]).T
    mel_db = librosa.power_to_db(mel, amin=1e-8, top_db=80)
    # the frames are short and lie at their middle: librosa's own shift by half a frame would come late
    onsets = librosa.onset.onset_strength_multi(S=mel_db, sr=SAMPLE_RATE, hop_length=HOP, center=False, channels=BANDS)
    chroma = np.concatenate([p @ _chroma_bank() for p in _powers(wave, N_FFT_CHROMA, HOP_CHROMA)]).T
    return Sound(
        onsets=onsets,
        onset=np.diff(BANDS) @ onsets / N_MELS,
        mel=mel_db - mel_db.min(),
        chroma=librosa.util.normalize(chroma, norm=np.inf, axis=0),
    )


def _powers(wave: np.ndarray, n_fft: int, hop: int) -> Iterator[np.ndarray]:
    """Power spectra of the wave in centred Hann frames, BLOCK of them at a time: (frames, rows) float32."""
    import scipy.fft
    import scipy.signal

    window = scipy.signal.get_window("hann", n_fft).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, n_fft // 2), n_fft)[::hop]
    for first in range(0, len(frames), BLOCK):
        spectrum = scipy.fft.rfft(frames[first : first + BLOCK] * window)
        yield spectrum.real**2 + spectrum.imag**2


@cache
def _mel_bank() -> list[tuple[slice, np.ndarray]]:
    """librosa's mel filters in groups: the rows that a group hears, and their weights (rows, bands)."""
    import librosa

    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=30, fmax=SAMPLE_RATE / 2)
    groups = []
    for n in range(0, N_MELS, GROUP):
        own = bank[n : n + GROUP]
        heard = np.flatnonzero(own.any(axis=0))
        rows = slice(int(heard[0]), int(heard[-1]) + 1)
        groups.append((rows, np.ascontiguousarray(own[:, rows].T)))
    return groups


@cache
def _chroma_bank() -> np.ndarray:
    """(rows, 12) float32"""
    import librosa

    return np.ascontiguousarray(librosa.filters.chroma(sr=SAMPLE_RATE, n_fft=N_FFT_CHROMA, tuning=0.0).T)


def _weighed(power: np.ndarray) -> np.ndarray:
    """(frames, rows) -> (frames, N_MELS)"""
    return np.concatenate([power[:, rows] @ weights for rows, weights in _mel_bank()], axis=1)


def standard(values: np.ndarray) -> np.ndarray:
    """Less the mean, over the standard deviation; zeros where nothing changes."""
    return (values - values.mean()) / max(float(values.std()), 1e-6)


def smooth(envelope: np.ndarray) -> np.ndarray:
    """Over 5 frames, 50 ms: an onset counts although the beat lies a frame beside it."""
    kernel = np.array([1, 2, 4, 2, 1]) / 10
    return np.convolve(envelope, kernel, "same")


def at(envelope: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """The envelope at the times, between its frames by a line; its ends beyond them."""
    return np.interp(times_s * RATE_HZ, np.arange(len(envelope)), envelope)


def _sums(picture: np.ndarray) -> np.ndarray:
    """(bins, frames) -> (frames + 1, bins): of all frames before each."""
    return np.concatenate([np.zeros((1, len(picture))), np.cumsum(picture.T, axis=0, dtype=np.float64)])


def change(sums: np.ndarray, frames: np.ndarray, width: float) -> np.ndarray:
    """Cosine distance, 0..1, of what lies `width` frames before and after each of the (n,) places in a picture, of
    which `_sums` are given."""
    n = len(sums) - 1
    before, here, after = (np.clip(np.round(frames + d), 0, n).astype(int) for d in (-width, 0, width))
    a, b = sums[here] - sums[before], sums[after] - sums[here]
    norms = np.sqrt(np.einsum("nb,nb->n", a, a) * np.einsum("nb,nb->n", b, b))
    return np.where(norms > 1e-9, 1 - np.einsum("nb,nb->n", a, b) / np.maximum(norms, 1e-9), 0.0)


def harmonic_change(sound: Sound, times_s: np.ndarray, width_s: float) -> np.ndarray:
    """How much the chroma changes at each time: (n,)."""
    rate_hz = SAMPLE_RATE / HOP_CHROMA
    return change(sound.chroma_sums, times_s * rate_hz, width_s * rate_hz)


def evidence(sound: Sound, times_s: np.ndarray) -> tuple[list[tuple[int, int]], np.ndarray]:
    """The metres and phases (index of the first bar line) that may be, and what speaks for each: (n, 6) numbers.

    Contrast, in standard deviations, of the low onsets, the change of chroma over one beat and over two, and the change
    of the mel spectrum; likeness of the onset patterns of beats a bar apart; whether it is 3/4.
    """
    beat_s = float(np.median(np.diff(times_s)))
    marks = np.stack(
        [
            standard(at(sound.smooth_bass, times_s)),
            standard(harmonic_change(sound, times_s, beat_s)),
            standard(harmonic_change(sound, times_s, 2 * beat_s)),
            standard(change(sound.mel_sums, times_s * RATE_HZ, beat_s * RATE_HZ)),
        ]
    )
    quarters_s = times_s[:, None] + beat_s * np.arange(4) / 4
    patterns = np.concatenate([at(band, quarters_s) for band in sound.onsets], axis=1)  # (n_beats, 12)
    patterns = (patterns - patterns.mean(axis=0)) / (patterns.std(axis=0) + 1e-6)
    choices, said = [], []
    for metre in METRES:
        likeness = float((patterns[metre:] * patterns[:-metre]).mean()) if len(times_s) > metre else 0.0
        for phase in range(metre):
            first = np.arange(len(times_s)) % metre == phase
            contrast = marks[:, first].mean(axis=1) - marks[:, ~first].mean(axis=1) if first.any() else np.zeros(4)
            choices.append((metre, phase))
            said.append([*contrast, likeness, metre == 3])
    return choices, np.array(said, dtype=np.float64)


def bars(sound: Sound, times_s: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The place of each of the (n_beats,) beats in its bar, from 1; how far the best choice of metre and phase stands
    above the mean of all; and its share of their softmax, 0..1. Takes 4 beats or more."""
    choices, said = evidence(sound, times_s)
    scores = said @ WEIGHTS
    best = int(np.argmax(scores))
    metre, phase = choices[best]
    places = (np.arange(len(times_s)) - phase) % metre + 1
    return places, float(scores[best] - scores.mean()), float(1 / np.exp(scores - scores[best]).sum())
