"""A studio is a production chain: equaliser, band limits, compressor, noise floor, limiter. It knows no genres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage, signal

BLOCK_S = 0.005  # the dynamics follow the level at this rate


@dataclass(frozen=True)
class Chain:
    """The settings of one studio."""

    name: str
    tilt_db_oct: float  # around 800 Hz
    shelf_db: float  # below 150 Hz
    peaks: tuple[tuple[float, float, float], ...]  # (centre Hz, gain dB, width in octaves)
    low_cut_hz: float
    high_cut_hz: float
    noise_dbfs: float
    noise_tilt_db_oct: float
    threshold_db: float  # compressor, against the song's own level
    ratio: float
    release_s: float
    level_dbfs: float  # loudness of the finished song
    ceiling_dbfs: float  # limiter


def chains(n_studios: int, rng: np.random.Generator) -> list[Chain]:
    """Draw `n_studios` chains. Every setting is stratified over the studios, so that no two sound alike by chance."""

    def spread(low: float, high: float) -> np.ndarray:
        return low + (high - low) * (rng.permutation(n_studios) + rng.random(n_studios)) / n_studios

    tilt, shelf = spread(-1.4, 1.4), spread(-6, 6)
    low_hz, low_db, low_oct = np.exp2(spread(7.8, 9.6)), spread(-7, 7), spread(0.5, 1.0)
    high_hz, high_db, high_oct = np.exp2(spread(10.2, 12.0)), spread(-7, 7), spread(0.4, 0.9)
    low_cut, high_cut = spread(20, 70), np.exp2(spread(np.log2(5000), np.log2(11000)))
    noise, noise_tilt = spread(-75, -45), spread(-3, 0.5)
    threshold, ratio, release = spread(-8, 4), np.exp2(spread(0.2, 2.6)), spread(0.05, 0.3)
    level, ceiling = spread(-23, -14), spread(-3, -0.5)
    digits = max(2, len(str(n_studios - 1)))
    return [
        Chain(
            name=f"studio-{i:0{digits}d}",
            tilt_db_oct=float(tilt[i]),
            shelf_db=float(shelf[i]),
            peaks=(
                (float(low_hz[i]), float(low_db[i]), float(low_oct[i])),
                (float(high_hz[i]), float(high_db[i]), float(high_oct[i])),
            ),
            low_cut_hz=float(low_cut[i]),
            high_cut_hz=float(high_cut[i]),
            noise_dbfs=float(noise[i]),
            noise_tilt_db_oct=float(noise_tilt[i]),
            threshold_db=float(threshold[i]),
            ratio=float(ratio[i]),
            release_s=float(release[i]),
            level_dbfs=float(level[i]),
            ceiling_dbfs=float(ceiling[i]),
        )
        for i in range(n_studios)
    ]


def _band(chain: Chain, hz: np.ndarray) -> np.ndarray:
    """Gain of the band limits at `hz` (Hz), 1 in the middle."""
    return 1 / np.sqrt(1 + (hz / chain.high_cut_hz) ** 24) / np.sqrt(1 + (chain.low_cut_hz / np.maximum(hz, 1)) ** 4)


def curve(chain: Chain, hz: np.ndarray) -> np.ndarray:
    """Gain of the equaliser and the band limits at `hz` (Hz), linear, same shape."""
    octave = np.log2(np.maximum(hz, 20) / 800)
    db = chain.tilt_db_oct * octave + chain.shelf_db / (1 + (hz / 150) ** 2)
    for centre_hz, gain_db, width in chain.peaks:
        db = db + gain_db * np.exp(-0.5 * ((octave - np.log2(centre_hz / 800)) / (width / 2)) ** 2)
    return (10 ** (db / 20) * _band(chain, hz)).astype(np.float32)


@lru_cache(maxsize=64)
def _cached_curve(chain: Chain, n: int, sample_rate: int) -> np.ndarray:
    return curve(chain, fft.rfftfreq(n, 1 / sample_rate))


@lru_cache(maxsize=64)
def _cached_noise(chain: Chain, sample_rate: int) -> np.ndarray:
    return _noise(chain, sample_rate)


def _noise(chain: Chain, sample_rate: int) -> np.ndarray:
    """A loop of the studio's noise, (65536,), at unit RMS, inside the studio's band."""
    n = 1 << 16
    hz = fft.rfftfreq(n, 1 / sample_rate)
    gain = 10 ** (chain.noise_tilt_db_oct * np.log2(np.maximum(hz, 20) / 800) / 20) * _band(chain, hz)
    phase = np.random.default_rng(65536).random(len(hz)) * 2j * np.pi
    loop = fft.irfft(gain * np.exp(phase), n)
    return (loop / np.sqrt(np.mean(loop**2))).astype(np.float32)


def glide(values: np.ndarray, block: int, n: int) -> np.ndarray:
    """Values at the block borders, (blocks + 1,) -> straight lines between them, (n,)."""
    ramp = np.arange(block, dtype=np.float32) / block
    return (values[:-1, None] + (values[1:] - values[:-1])[:, None] * ramp).ravel()[:n]


def _blocks(wave: np.ndarray, block: int) -> np.ndarray:
    """(n,) -> (blocks, block), the end filled with zeros."""
    return np.pad(wave, (0, -len(wave) % block)).reshape(-1, block)


def _at_borders(blocks: np.ndarray, pick: np.ufunc) -> np.ndarray:
    """(blocks,) -> (blocks + 1,): at each border, the picked one of its two neighbours."""
    return pick(np.append(blocks[0], blocks), np.append(blocks, blocks[-1]))


def compress(wave: np.ndarray, chain: Chain, sample_rate: int) -> np.ndarray:
    """Feed-forward compressor with a fast attack, on the level of short blocks. (n,) -> (n,)."""
    block = max(1, round(BLOCK_S * sample_rate))
    power = np.square(_blocks(wave, block)).mean(1)
    fast, slow = (
        signal.lfilter([1 - a], [1, -a], power) for a in np.exp(-BLOCK_S / np.array((0.008, chain.release_s)))
    )
    over_db = 10 * np.log10(np.maximum(fast, slow) / (power.mean() + 1e-12) + 1e-9) - chain.threshold_db
    gain_db = -(1 - 1 / chain.ratio) * np.logaddexp(0, over_db / 3) * 3  # a soft knee of some 6 dB
    gain = (10 ** (gain_db / 20)).astype(np.float32)
    return wave * glide(_at_borders(gain, np.minimum), block, len(wave))


def limit(wave: np.ndarray, ceiling_dbfs: float, sample_rate: int) -> np.ndarray:
    """Turn down what would pass the ceiling: no sample gets more gain than its block allows. (n,) -> (n,)."""
    block = max(1, round(BLOCK_S * sample_rate))
    peak = np.abs(_blocks(wave, block)).max(1)
    allowed = np.minimum(1, 10 ** (ceiling_dbfs / 20) / np.maximum(peak, 1e-9))
    gain = ndimage.uniform_filter1d(ndimage.minimum_filter1d(allowed, 9), 5)  # looks ahead; a mean of 5 of those minima
    return wave * glide(_at_borders(gain.astype(np.float32), np.minimum), block, len(wave))


def master(
    wave: np.ndarray, chain: Chain, gain_db: float, noise_at: int, sample_rate: int, once: bool = False
) -> np.ndarray:
    """The finished song. `wave` (n,) at any level -> (n,) float32 below the ceiling.

    `gain_db` is the song's own loudness against the studio's usual level, `noise_at` where the noise loop begins. A
    chain that is used `once` is not kept in memory.
    """
    size = fft.next_fast_len(len(wave) + 2048, real=True)
    gain = curve(chain, fft.rfftfreq(size, 1 / sample_rate)) if once else _cached_curve(chain, size, sample_rate)
    out = fft.irfft(fft.rfft(wave, size) * gain, size)[: len(wave)]
    out = compress(out, chain, sample_rate)
    target = 10 ** ((chain.level_dbfs + gain_db) / 20)
    out *= target / max(float(np.sqrt(np.mean(np.square(out)))), 1e-9)
    loop = (_noise if once else _cached_noise)(chain, sample_rate)
    hiss = np.resize(np.roll(loop, -noise_at), len(out))
    return limit(out + np.float32(10 ** (chain.noise_dbfs / 20)) * hiss, chain.ceiling_dbfs, sample_rate)
