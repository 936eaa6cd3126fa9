"""What can be measured of a sound without knowing music: how it was produced, how fast it is, how long.

A genre that can be told from these alone is told by its studios, codecs or excerpts: they are what a model has to beat,
and what an audit looks at. All of mono: the mean over the channels.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np

from genrelab.audio import beats, decode
from genrelab.types import digest

HEARD_AT = 22050  # Hz; the rate at which MFCCs are taken, where no other is named
N_MFCC = 20
FLOOR_LUFS = -70.0  # below the absolute gate of ITU-R BS.1770 nothing counts
FLOOR_DB = -120.0  # of full scale; what stands for digital silence
BLOCK_S = 0.4  # of the loudness; shorter sounds are repeated up to it
FRAME_S = 0.05  # of the noise floor and of silence
QUIET_DBFS = -60.0  # a frame whose peak is lower is silent
QUIETEST = 5.0  # per cent of the frames that sound: their level is the noise floor
FLAT = 2**-15  # samples that differ by less are equal: a step of 16 bits
FLAT_RUN = 3  # equal samples at the peak, one after another, that make a flat top
CLIPPABLE = 0.1  # a peak below -20 dBFS was not clipped here
N_FFT_S = 0.093  # of the long-term spectrum: bins of 10.8 Hz
BANDWIDTH_DB = 80.0  # below the spectrum's strongest part
CLIFF_DB, CLIFF_HZ = 18.0, 600.0  # a fall of so much over so little is a codec's or a filter's edge
CLIFF_FROM_HZ = 2000.0  # below this, music falls as steeply
CLIFF_NOISE_DB = 60.0  # and what lies above an edge is as far below the strongest part at least
TILT_HZ = (100.0, 10000.0)

MFCC_MEANS = tuple(f"mfcc_mean_{i:02d}" for i in range(N_MFCC))
MFCC_STDS = tuple(f"mfcc_std_{i:02d}" for i in range(N_MFCC))
PRODUCTION = ("loudness_lufs", "crest_db", "tilt_db_per_octave", "bandwidth_hz", "noise_floor_db", "clipped_share")
COLUMNS = (*PRODUCTION, "silent_share", "tempo_bpm", "duration_s", *MFCC_MEANS, *MFCC_STDS)
GROUPS = MappingProxyType(  # what belongs together, for a baseline or an audit
    {
        "production": PRODUCTION,
        "tempo": ("tempo_bpm",),
        "duration": ("duration_s",),
        "loudness": ("loudness_lufs",),
        "bandwidth": ("bandwidth_hz",),
        "mfcc": (*MFCC_MEANS, *MFCC_STDS),
    }
)


def version() -> str:
    """Changes whenever `measure` may give another answer: with this file, with the tempo and with the libraries."""
    libraries = [metadata.version(name) for name in ("torchaudio", "librosa", "scipy")]
    return digest(Path(__file__).read_text(encoding="utf-8"), beats.estimator(), decode.DECODER, libraries)


def measure(wave: np.ndarray, sample_rate: int, heard_at: int = HEARD_AT, *, tempo: bool = True) -> dict[str, float]:
    """All COLUMNS of (samples,) float32 mono at `sample_rate` Hz, which should be the file's own: what lies above
    11 kHz tells codecs apart. MFCCs are of the sound at `heard_at` Hz, since their bands depend on the rate.

    loudness_lufs             integrated, ITU-R BS.1770; -70 where nothing passes its gate
    crest_db                  peak over RMS
    tilt_db_per_octave        slope of the long-term spectrum's density: 0 white, -3 pink
    bandwidth_hz              where the long-term spectrum ends: a codec's cut-off
    noise_floor_db            level of the quietest twentieth of the frames that are not digital silence, dBFS
    clipped_share             share of the samples in flat tops or above full scale
    silent_share              share of the frames below -60 dBFS
    tempo_bpm                 NaN where no beats are heard, or where nobody asks: it is half of the work
    mfcc_mean_*, mfcc_std_*   over the song
    All but tempo_bpm are finite for any finite sound.
    """
    wave = np.ascontiguousarray(wave, dtype=np.float32).ravel()
    if not len(wave):
        raise ValueError("no samples to measure")
    hz, db = spectrum_db(wave, sample_rate)
    width_hz = bandwidth_hz(hz, db)
    frames = _frames(wave, max(1, round(FRAME_S * sample_rate)))
    found = {
        "loudness_lufs": loudness_lufs(wave, sample_rate),
        "crest_db": _db(float(np.abs(wave).max())) - _db(_rms(wave)),
        "tilt_db_per_octave": tilt_db_per_octave(hz, db, width_hz),
        "bandwidth_hz": width_hz,
        "noise_floor_db": _noise_floor_db(frames),
        "clipped_share": clipped_share(wave),
        "silent_share": float((np.abs(frames).max(1) < 10 ** (QUIET_DBFS / 20)).mean()),
        "tempo_bpm": tempo_bpm(wave, sample_rate) if tempo else float("nan"),
        "duration_s": len(wave) / sample_rate,
    }
    return found | mfcc(wave, sample_rate, heard_at)


def loudness_lufs(wave: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness of a mono sound, by torchaudio."""
    import torch
    from torchaudio.functional import loudness

    needed = int(np.ceil(BLOCK_S * sample_rate)) + 1
    if len(wave) < needed:
        wave = np.resize(wave, needed)
    with torch.no_grad():
        found = float(loudness(torch.from_numpy(np.array(wave, dtype=np.float32))[None], sample_rate))
    return max(found, FLOOR_LUFS) if np.isfinite(found) else FLOOR_LUFS


def spectrum_db(wave: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and the long-term density of a sound, dB of full scale squared per Hz, by Welch's method."""
    from scipy.fft import next_fast_len
    from scipy.signal import welch

    n = min(len(wave), next_fast_len(max(16, round(N_FFT_S * sample_rate)), real=True))
    hz, density = welch(wave, sample_rate, window="blackmanharris", nperseg=n, detrend=False)
    return hz, 10 * np.log10(np.maximum(density, 1e-20))


def bandwidth_hz(hz: np.ndarray, db: np.ndarray) -> float:
    """The highest frequency within 80 dB of the spectrum's strongest part; or, if it lies lower, the edge where a
    codec or a filter cuts (18 dB within 600 Hz, and nothing but faint noise above)."""
    from scipy.ndimage import uniform_filter1d

    step = float(hz[1] - hz[0]) if len(hz) > 1 else 1.0
    smooth = uniform_filter1d(db, max(1, round(100 / step)), mode="nearest")
    top = float(smooth.max())
    above = np.flatnonzero(smooth >= top - BANDWIDTH_DB)
    end = int(above[-1])
    reach = max(1, round(CLIFF_HZ / step))
    if len(smooth) > 2 * reach:
        fall = smooth[:-reach] - smooth[reach:]  # over the next 600 Hz
        highest_above = np.maximum.accumulate(smooth[::-1])[::-1][reach:]
        from_hz = hz[:-reach] >= CLIFF_FROM_HZ
        edges = np.flatnonzero((fall >= CLIFF_DB) & (highest_above <= top - CLIFF_NOISE_DB) & from_hz)
        if len(edges):
            run = edges[: 1 + int(np.argmax(np.diff(edges, append=edges[-1] + 2) > 1))]  # the first edge, whole
            steepest = int(run[np.argmax(fall[run])])
            fallen = smooth[steepest:] < smooth[steepest] - CLIFF_DB / 2
            end = min(end, steepest + int(np.argmax(fallen)))
    return float(hz[end])


def tilt_db_per_octave(hz: np.ndarray, db: np.ndarray, width_hz: float) -> float:
    """Slope of the density over third octaves from 100 Hz to 10 kHz, or to where the sound ends; 0 where none fits."""
    n_bands = int(3 * np.log2(min(TILT_HZ[1], 0.9 * width_hz) / TILT_HZ[0])) if width_hz > 0 else 0
    edges = TILT_HZ[0] * 2 ** (np.arange(max(0, n_bands) + 1) / 3)
    power = 10 ** (db / 10)
    octave, level = [], []
    for low, high in pairwise(edges):
        inside = (hz >= low) & (hz < high)
        if inside.any():
            octave.append(np.log2(low / TILT_HZ[0]))
            level.append(10 * np.log10(power[inside].mean()))
    return float(np.polyfit(octave, level, 1)[0]) if len(octave) >= 3 else 0.0


def clipped_share(wave: np.ndarray) -> float:
    """Share of the samples beyond full scale, or in flat tops: 3 or more in a row at the sound's own peak."""
    size = np.abs(wave)
    peak = float(size.max())
    if peak < CLIPPABLE:
        return 0.0
    clipped = size > 1.0
    for sign in (1, -1):
        at_peak = np.concatenate([[0], (sign * wave >= peak - FLAT).astype(np.int8), [0]])
        first, behind = (np.flatnonzero(np.diff(at_peak) == d) for d in (1, -1))
        for a, b in zip(first, behind, strict=True):
            if b - a >= FLAT_RUN:
                clipped[a:b] = True
    return float(clipped.mean())


def tempo_bpm(wave: np.ndarray, sample_rate: int) -> float:
    """Beats a minute of the estimated beats; NaN where none are heard."""
    times_s = beats.estimate(wave, sample_rate).times_s
    return 60 / float(np.median(np.diff(times_s))) if len(times_s) > 1 else float("nan")


def mfcc(wave: np.ndarray, sample_rate: int, heard_at: int) -> dict[str, float]:
    """Mean and standard deviation of librosa's MFCCs over the song, heard at `heard_at` Hz."""
    import librosa
    import soxr

    heard = wave if sample_rate == heard_at else soxr.resample(wave, sample_rate, heard_at, "HQ")
    if len(heard) < 2048:
        heard = np.pad(heard, (0, 2048 - len(heard)))
    found = librosa.feature.mfcc(y=heard, sr=heard_at, n_mfcc=N_MFCC)
    values = (*found.mean(1), *found.std(1))
    return dict(zip((*MFCC_MEANS, *MFCC_STDS), map(float, values), strict=True))


def same_sound(wave: np.ndarray) -> str:
    """A digest of decoded samples: equal for a WAV and the FLAC made of it, and for a file whose tags were changed."""
    steps = np.round(np.asarray(wave, dtype=np.float64) * 2**15).astype("<i4")
    return hashlib.blake2b(steps.tobytes(), digest_size=12).hexdigest()


def _frames(wave: np.ndarray, n: int) -> np.ndarray:
    """(frames, n), the rest left out; a shorter sound is one frame."""
    return wave[None] if len(wave) < n else wave[: len(wave) // n * n].reshape(-1, n)


def _noise_floor_db(frames: np.ndarray) -> float:
    sounding = frames[np.abs(frames).max(1) >= 10 ** (decode.SILENCE_DBFS / 20)]
    if not len(sounding):
        return FLOOR_DB
    return _db(float(np.percentile(np.sqrt((sounding.astype(np.float64) ** 2).mean(1)), QUIETEST)))


def _rms(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(wave.astype(np.float64) ** 2)))


def _db(size: float) -> float:
    return max(FLOOR_DB, 20 * float(np.log10(max(size, 1e-12))))
