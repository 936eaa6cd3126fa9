"""What can be done to a recording: pure functions of a mono wave (samples,) float32, the same for the same arguments.

None of them clips: what passes full scale is left so.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np

from genrelab.audio import studio
from genrelab.audio.encode import MP3_RATES

WINDOW = 2048  # samples at 16 kHz and above, of the split into tones and strokes
OVERLAP_S = 0.025  # of the windows that a wave is stretched by, which are twice as long
MARGIN = 2.0  # how many times louder a tone must be than a stroke, or a stroke than a tone, to be kept whole
CODEC_SHARE = 0.1  # of remastered waves that were an MP3
KBPS = (32, 192)


def gain(wave: np.ndarray, db: float) -> np.ndarray:
    """Louder by `db`."""
    return (wave * np.float32(10 ** (db / 20))).astype(np.float32)


def band_limit(wave: np.ndarray, sample_rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """What lies between two frequencies, without a delay: 6 dB less at each, 96 dB an octave beyond.

    A limit at 0 Hz, or at half the sample rate and above, cuts nothing.
    """
    from scipy import signal

    if not low_hz < high_hz:
        raise ValueError(f"band_limit: {low_hz:g} to {high_hz:g} Hz: expected the lower frequency first")
    out = wave.astype(float)
    for hz, kind in ((low_hz, "highpass"), (high_hz, "lowpass")):
        if 0 < hz < sample_rate / 2:
            sos = signal.butter(8, hz, kind, fs=sample_rate, output="sos")
            out = signal.sosfiltfilt(sos, out, padlen=min(len(out) - 1, sample_rate // 10))
    return out.astype(np.float32)


def stretch_time(wave: np.ndarray, sample_rate: int, factor: float) -> np.ndarray:
    """`factor` times as fast at the same pitch: (round(samples / factor),)."""
    return _overlapped(wave, sample_rate, factor, round(len(wave) / factor))


def shift_pitch(wave: np.ndarray, sample_rate: int, semitones: float) -> np.ndarray:
    """Higher by `semitones`, equally tempered, at the same tempo and of the same length."""
    return retune(wave, sample_rate, 1.0, semitones)


def retune(wave: np.ndarray, sample_rate: int, factor: float, semitones: float) -> np.ndarray:
    """`factor` times as fast and higher by `semitones`, in one go: (round(samples / factor),)."""
    import soxr

    n, ratio = round(len(wave) / factor), 2 ** (semitones / 12)
    longer = _overlapped(wave, sample_rate, factor / ratio, round(n * ratio))
    if ratio == 1:
        return longer
    return _fitted(soxr.resample(longer, sample_rate * ratio, sample_rate, "HQ"), n)


def codec(wave: np.ndarray, sample_rate: int, kbps: float) -> np.ndarray:
    """To MP3 of a constant bitrate and back, to the sample where it was.

    Bitrates that MP3 lacks at this sample rate (it has 8 to 160 kbit/s from 16 to 24 kHz, up to 320 above) become the
    nearest that it has. At a rate that MP3 lacks altogether the wave goes through the next higher one.
    """
    import soxr

    rate = next((r for r in MP3_RATES if r >= sample_rate), MP3_RATES[-1])
    if rate != sample_rate:
        there = soxr.resample(wave.astype(np.float32), sample_rate, rate, "HQ")
        return _fitted(soxr.resample(codec(there, rate, kbps), rate, sample_rate, "HQ"), len(wave))
    near = min(_bitrates(rate), key=lambda b: abs(b - kbps))
    # the end is flushed only in whole frames
    heard = _through_mp3(np.pad(wave.astype(np.float32), (0, 4096)), rate, near)
    return _fitted(heard[_delay(rate, near) :], len(wave))


def without_drums(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """The tones alone: what lasts in time (median filters, Fitzgerald 2010)."""
    return _separated(wave, sample_rate, 0)


def without_harmony(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """The strokes alone: what is short and spread over frequency (median filters, Fitzgerald 2010)."""
    return _separated(wave, sample_rate, 1)


def remaster(wave: np.ndarray, sample_rate: int, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Through a production chain that has never been: equaliser, band limits, compressor, noise floor, level, limiter.

    A share of the waves, CODEC_SHARE of them at full strength, was an MP3 at last. The ranges are wider than those of
    the studios of data=synth. `strength` scales gains, compression and the share; at 0 nothing but the level changes.
    """
    nyquist = sample_rate / 2

    def around(reach: float) -> float:
        return float(strength * rng.uniform(-reach, reach))

    def log(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    high_cut = log(min(3500, 0.4 * nyquist), 1.2 * nyquist)
    chain = studio.Chain(
        name="",
        tilt_db_oct=around(2.5),
        shelf_db=around(9),
        peaks=((log(150, 900), around(9), rng.uniform(0.4, 1.5)), (log(900, 5000), around(9), rng.uniform(0.4, 1.5))),
        low_cut_hz=log(10, 120) if strength else 1.0,
        high_cut_hz=high_cut if strength else 100 * nyquist,
        noise_dbfs=rng.uniform(-85, -40) if strength else -200,
        noise_tilt_db_oct=rng.uniform(-6, 2),
        threshold_db=rng.uniform(-12, 4),
        ratio=log(1, 8) ** strength,
        release_s=log(0.03, 0.4),
        level_dbfs=rng.uniform(-28, -11),
        ceiling_dbfs=rng.uniform(-3, -0.1),
    )
    encoded, kbps = rng.random() < strength * CODEC_SHARE, log(*KBPS)
    out = studio.master(wave, chain, 0.0, int(rng.integers(1 << 16)), sample_rate, once=True)
    return codec(out, sample_rate, kbps) if encoded else out.astype(np.float32)


def _window(wave: np.ndarray, sample_rate: int) -> int:
    """About 50 to 90 ms, a power of 2, not longer than the wave."""
    window = WINDOW if sample_rate >= 16000 else WINDOW // 2
    return max(16, min(window, 1 << (len(wave).bit_length() - 1)))


def _overlapped(wave: np.ndarray, sample_rate: int, factor: float, n: int) -> np.ndarray:
    """`factor` times as fast, of `n` samples: windows half over one another, each moved to where it goes on best from
    the one before (WSOLA: Verhelst & Roelands 1993). Strokes stay strokes; a phase vocoder takes 10 dB off some.
    """
    from scipy import fft

    if not factor > 0:
        raise ValueError(f"{factor} times as fast: expected a positive factor")
    if factor == 1:
        return _fitted(wave.astype(np.float32), n)
    window = 2 * max(8, round(OVERLAP_S * sample_rate))
    hop, reach = window // 2, window // 4
    n_windows = n // hop + 2
    before = hop + reach
    after = max(0, int((n_windows + 1) * hop * max(factor, 1)) + 2 * window - len(wave))
    padded = np.pad(wave.astype(np.float32), (before, after))
    shape = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    size = fft.next_fast_len(window + 2 * reach, real=True)
    out, last = np.zeros((n_windows + 1) * hop, np.float32), reach - hop  # where the first would go on: at no offset
    for k in range(n_windows):
        at = round(k * hop * factor)  # of the first sample that may be taken
        there = padded[at : at + window + 2 * reach]
        wanted = padded[last + hop : last + hop + window]
        alike = fft.irfft(fft.rfft(there, size) * fft.rfft(wanted, size).conj(), size)[: 2 * reach + 1]
        power = np.cumsum(np.square(there, dtype=np.float64))
        power = power[window - 1 :] - np.concatenate([[0.0], power[:-window]])
        alike = alike / np.sqrt(power + 1e-9)
        best = int(alike.argmax())
        last = at + (best if alike[best] > alike[reach] + 1e-6 else reach)  # silence is not moved
        out[k * hop : k * hop + window] += shape * padded[last : last + window]
    return _fitted(out[hop:], n)


def _separated(wave: np.ndarray, sample_rate: int, which: int) -> np.ndarray:
    import librosa

    window = _window(wave, sample_rate)
    picture = librosa.stft(wave.astype(np.float32), n_fft=window)
    kept = librosa.decompose.hpss(picture, margin=MARGIN)[which]
    return _fitted(librosa.istft(kept, n_fft=window, length=len(wave)), len(wave))


def _fitted(wave: np.ndarray, n: int) -> np.ndarray:
    """(samples,) -> (n,) float32, cut off or filled with zeros at the end."""
    return np.pad(wave[:n], (0, max(0, n - len(wave)))).astype(np.float32)


def _bitrates(sample_rate: int) -> tuple[int, ...]:
    """Those of MPEG-1 or of MPEG-2 (2.5 below 16 kHz), layer III, in kbit/s."""
    if sample_rate >= 32000:
        return (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    return (8, 16, 24, 32, 40, 48, 56, 64, *((80, 96, 112, 128, 144, 160) if sample_rate >= 16000 else ()))


def _through_mp3(wave: np.ndarray, sample_rate: int, kbps: int) -> np.ndarray:
    """The decoded file, which may begin with the codec's delay: files of low bitrates do not note it."""
    import soundfile

    lowest, *_, highest = _bitrates(sample_rate)
    level = min((highest - kbps) / (highest - lowest), 0.999)  # as libsndfile counts, which refuses 1
    file = io.BytesIO()
    options = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": level}
    soundfile.write(file, wave, sample_rate, **options)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


@lru_cache(maxsize=64)
def _delay(sample_rate: int, kbps: int) -> int:
    """How many samples later a wave leaves the codec. Found on noise: a wave may look like itself at another place."""
    n = 1 << 15
    noise = np.cumsum(np.random.default_rng(0).normal(0, 1e-3, n)).astype(np.float32)
    heard = _fitted(_through_mp3(noise, sample_rate, kbps), n)
    alike = np.fft.irfft(np.fft.rfft(np.diff(heard), 2 * n) * np.fft.rfft(np.diff(noise), 2 * n).conj())
    return int(alike[:n].argmax())
