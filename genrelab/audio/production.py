"""The sound that a studio gives: what its songs have in common in their spectra beside the music.

Band levels in dB are taken as music plus studio, where the music of a song is that of its artist, and fitted by least
squares: an artist who worked in two studios tells them apart. A song is moved to another studio by the difference of
the two, as an equaliser without phase. Dynamics and noise stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LOWEST_HZ, PER_OCTAVE = 40.0, 3
RIDGE = 1.0  # songs: of a studio with fewer, little is believed
MOST_DB = 24.0


def centres(sample_rate: int) -> np.ndarray:
    """(F,) Hz, third octaves up to a little below half the sample rate."""
    n = int(PER_OCTAVE * np.log2(0.45 * sample_rate / LOWEST_HZ)) + 1
    return LOWEST_HZ * 2 ** (np.arange(n) / PER_OCTAVE)


def levels(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """(samples,) -> (F,) dB of full scale in each band."""
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2 / max(1, len(wave)) ** 2
    hz = np.arange(len(power)) * sample_rate / max(1, len(wave))
    edges = centres(sample_rate) * 2 ** (-0.5 / PER_OCTAVE)
    edges = np.append(edges, edges[-1] * 2 ** (1 / PER_OCTAVE))
    sums = np.append(np.cumsum(power), power.sum())[np.searchsorted(hz, edges) - 1]
    return 10 * np.log10(np.maximum(np.diff(sums), 1e-12))


def fitted(levels_db: np.ndarray, studios: Sequence[str], artists: Sequence[str]) -> dict[str, np.ndarray]:
    """(n, F) levels of songs -> studio -> (F,) dB, how its songs differ from what their artists sound like."""
    names, studio = np.unique(np.asarray(studios), return_inverse=True)
    artist = np.unique(np.asarray(artists), return_inverse=True)[1]
    n_artists = int(artist.max()) + 1
    here = np.zeros((len(studio), len(names)))
    here[np.arange(len(studio)), studio] = 1
    n_songs = np.bincount(artist, minlength=n_artists)[:, None]

    def within(x: np.ndarray) -> np.ndarray:
        """Less the mean of each artist."""
        sums = np.zeros((n_artists, x.shape[1]))
        np.add.at(sums, artist, x)
        return x - (sums / n_songs)[artist]

    x, y = within(here), within(np.asarray(levels_db, dtype=float))
    effects = np.linalg.solve(x.T @ x + RIDGE * np.eye(len(names)), x.T @ y)
    return dict(zip(names.tolist(), effects, strict=True))


def equalised(wave: np.ndarray, sample_rate: int, gain_db: np.ndarray) -> np.ndarray:
    """(samples,) with the gain of each band (F,), smooth between the bands and the same beyond them."""
    size = len(wave) + sample_rate // 10
    hz = np.fft.rfftfreq(size, 1 / sample_rate)
    octave = np.log2(np.maximum(hz, 1.0))
    db = np.interp(octave, np.log2(centres(sample_rate)), np.clip(gain_db, -MOST_DB, MOST_DB))
    return np.fft.irfft(np.fft.rfft(wave, size) * 10 ** (db / 20), size)[: len(wave)].astype(np.float32)
