"""The beat grid of a song: heard by madmom-infer where the user has it and its weights, else by librosa.

librosa's tracker (Ellis 2007, Beat tracking by dynamic programming, JNMR 36(1)) takes the tempo as given and is easily
led to half or double of it, or to the off-beats. It is therefore run at several tempi, on the onsets of all bands and
with those of the bass, and each grid is taken as it is and moved by half a beat; the one is kept that the onsets, the
changes of chord and the bar lines (see `downbeats`) speak for most.
"""

from __future__ import annotations

import random
from importlib import metadata
from importlib.util import find_spec

import numpy as np

from genrelab.audio import decode, downbeats
from genrelab.audio.downbeats import RATE_HZ, SAMPLE_RATE, Sound
from genrelab.types import Beats

VERSION = 2  # of what stands here: raise it when an estimate changes
SHORTEST_S = 2.0
BPM = (45.0, 230.0)
PRIORS_BPM = (50, 70, 98, 137, 192)  # half an octave apart: librosa's tempo near each of them
TIGHTNESS = 400  # of librosa's tracker; its own 100 lets the beat wander
WINDOW_S = 0.07  # within which two grids say the same

# what speaks for a grid, see `_evidence`; fitted on half of the songs at hand
WEIGHTS = np.array([1.7, 0.38, 0.94, -0.69, 3.86, -0.99, 9.83, -15.2, 0.45])
# on steadiness, agreement, share and 1; fitted on the same half and on noises and tones, which have no beats
CONFIDENCE = np.array([2.53, 3.46, 0.57, -4.41])

MADMOM_RATE = 44100  # Hz; what its networks were trained at
MADMOM_FPS = 100


def estimator() -> str:
    """What `estimate` would use now, with versions: a part of the key of whatever keeps its results."""
    if _has_madmom():
        return f"madmom-infer {metadata.version('madmom-infer')} / {VERSION}"
    return f"librosa {metadata.version('librosa')} / {VERSION}"


def estimate(wave: np.ndarray, sample_rate: int) -> Beats:
    """The beats of (samples,) float32 mono at `sample_rate` Hz, with the place of each in its bar.

    librosa's confidence is the mean of the F-measures (70 ms) to be expected of the beats and of the first beats: it
    rises with how steadily the onsets repeat, how far the other grids agree and how clearly the bars stand out; noise
    and tones stay below 0.5. No beats and confidence 0 where the wave is shorter than 2 s, silent, holds NaN or Inf, or
    has no onsets. Deterministic; may be called from many threads. The first call compiles for some seconds.
    """
    source = estimator().split(" ", maxsplit=1)[0]
    wave = np.asarray(wave, dtype=np.float32).ravel()
    if len(wave) < SHORTEST_S * sample_rate or not np.isfinite(wave).all() or decode.is_silent(wave):
        return _none(source)
    return _by_librosa(wave, sample_rate) if source == "librosa" else _by_madmom(wave, sample_rate)


def _none(source: str) -> Beats:
    return Beats(np.zeros(0), np.zeros(0, dtype=np.int64), source, 0.0)


def _resampled(wave: np.ndarray, old: int, new: int) -> np.ndarray:
    import soxr

    return wave if old == new else soxr.resample(wave, old, new, "HQ")


# madmom-infer


def _has_madmom() -> bool:
    """Whether the package is there and, in its own cache, all weights unhurt, so that it would load nothing."""
    if find_spec("madmom_infer") is None:
        return False
    from madmom_infer import models

    files = [(models._cache_root() / file.relpath, file.sha256) for file in models._DOWNBEATS_BLSTM_FILES]
    return all(path.is_file() and models._sha256_of(path) == known for path, known in files)


def _by_madmom(wave: np.ndarray, sample_rate: int) -> Beats:
    """Recurrent networks and a dynamic Bayesian network (Böck, Krebs & Widmer 2016, ISMIR).

    The confidence is the square root of the mean probability that the networks give to a beat at the beats: near the
    F-measure to be expected.
    """
    from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor

    # made anew for each song: the layers keep a state, and building them costs a hundredth of the song
    activations = np.asarray(RNNDownBeatProcessor()(_resampled(wave, sample_rate, MADMOM_RATE)))
    found = DBNDownBeatTrackingProcessor(beats_per_bar=list(downbeats.METRES), fps=MADMOM_FPS)(activations)
    if len(found) < 2:
        return _none("madmom-infer")
    at_beats = np.clip(np.round(found[:, 0] * MADMOM_FPS).astype(int), 0, len(activations) - 1)
    confidence = float(np.sqrt(np.clip(activations[at_beats].sum(axis=1), 0, 1).mean()))
    return Beats(found[:, 0], found[:, 1].astype(np.int64), "madmom-infer", confidence)


# librosa


def _by_librosa(wave: np.ndarray, sample_rate: int) -> Beats:
    sound = downbeats.listen(_resampled(wave, sample_rate, SAMPLE_RATE))
    grids = _candidates(sound)
    if not grids:
        return _none("librosa")
    scores = np.array([_evidence(sound, grid) for grid in grids]) @ WEIGHTS
    best = grids[int(np.argmax(scores))]
    belief = np.exp(scores - scores.max())
    places, _, share = downbeats.bars(sound, best)
    agreement = float(np.sum(belief * [_alike(best, grid) for grid in grids]) / belief.sum())
    odds = float(CONFIDENCE @ [_steadiness(sound, best), agreement, share, 1.0])
    return Beats(_refined(sound, best), places, "librosa", float(1 / (1 + np.exp(-odds))))


def _tempi_bpm(sound: Sound) -> list[float]:
    """Tempi that the onsets repeat at, 4 % apart or more: the likeliest near each of PRIORS_BPM."""
    import librosa

    again = librosa.autocorrelate(sound.onset - sound.onset.mean(), max_size=int(RATE_HZ * 60 / 30))
    again = np.maximum(again, 0)[:, None]
    tempi: list[float] = []
    for prior in PRIORS_BPM:
        told = librosa.feature.tempo(tg=again, sr=SAMPLE_RATE, hop_length=downbeats.HOP, start_bpm=prior, std_bpm=0.25)
        bpm = float(told[0])
        if BPM[0] <= bpm <= BPM[1] and all(abs(bpm / other - 1) >= 0.04 for other in tempi):
            tempi.append(bpm)
    return tempi


def _candidates(sound: Sound) -> list[np.ndarray]:
    """Grids of at least 4 beats in seconds: librosa's at each tempo, from two envelopes, and half a beat on."""
    import librosa

    if not sound.onset.any():
        return []
    bass = downbeats.standard(sound.onset) + downbeats.standard(sound.onsets[0])
    end_s = (len(sound.onset) - 1) / RATE_HZ
    grids = []
    for bpm in _tempi_bpm(sound):
        lead = round(2 * RATE_HZ * 60 / bpm)  # the tracker must begin within half a beat: let it do so before the song
        for envelope in (sound.onset, bass - bass.min()):
            _, frames = librosa.beat.beat_track(
                onset_envelope=np.pad(envelope, (lead, 0)),
                sr=SAMPLE_RATE,
                hop_length=downbeats.HOP,
                bpm=bpm,
                tightness=TIGHTNESS,
                trim=False,
            )
            times_s = (frames[frames >= lead] - lead) / RATE_HZ
            if len(times_s) >= 5:
                grids += [times_s, _half_on(times_s, end_s)]
    return grids


def _half_on(times_s: np.ndarray, end_s: float) -> np.ndarray:
    """The middles between beats, and those before the first and after the last where they lie in the song."""
    middles = (times_s[1:] + times_s[:-1]) / 2
    outer = np.array([1.5 * times_s[0] - times_s[1] / 2, 1.5 * times_s[-1] - times_s[-2] / 2])
    return np.concatenate([outer[:1][outer[:1] >= 0], middles, outer[1:][outer[1:] <= end_s]])


def _evidence(sound: Sound, times_s: np.ndarray) -> np.ndarray:
    """What speaks for a grid: (9,).

    The onset strength at the beats and half way between, of all bands and of the bass, in standard deviations; the
    tempo in octaves above 120 and its square; the change of chroma at the beats and half way; how far bars stand out.
    """
    gaps_s = np.diff(times_s)
    half_s = times_s[:-1] + gaps_s / 2
    beat_s = float(np.median(gaps_s))
    octaves = np.log2(60 / beat_s / 120)
    envelopes = [downbeats.standard(e) for e in (sound.smooth_onset, sound.smooth_bass)]
    return np.array(
        [
            *[downbeats.at(e, t).mean() for e in envelopes for t in (times_s, half_s)],
            octaves,
            octaves**2,
            *[downbeats.harmonic_change(sound, t, beat_s / 2).mean() for t in (times_s, half_s)],
            downbeats.bars(sound, times_s)[1],
        ]
    )


def _refined(sound: Sound, times_s: np.ndarray) -> np.ndarray:
    """Beats at the top of the parabola through the strongest onset frame within 20 ms, where there is a peak."""
    envelope = sound.smooth_onset
    frames = np.round(times_s * RATE_HZ).astype(int)
    near = np.clip(frames[:, None] + np.arange(-2, 3), 1, len(envelope) - 2)
    top = near[np.arange(len(near)), envelope[near].argmax(axis=1)]
    left, middle, right = envelope[top - 1], envelope[top], envelope[top + 1]
    bend = left - 2 * middle + right
    peak = (middle >= left) & (middle >= right) & (bend < 0)
    moved = (top + 0.5 * (left - right) / np.where(peak, bend, 1.0)) / RATE_HZ
    return np.where(peak, moved, times_s)


def _steadiness(sound: Sound, times_s: np.ndarray) -> float:
    """The autocorrelation of the onsets at one, two and four beats, their mean: 1 for a loop, about 0 for noise."""
    onset = downbeats.standard(sound.smooth_onset)
    beat = float(np.median(np.diff(times_s))) * RATE_HZ
    found = []
    for n_beats in (1, 2, 4):
        lags = round(n_beats * beat) + np.arange(-2, 3)
        found.append(max((float((onset[lag:] * onset[:-lag]).mean()) for lag in lags if lag < len(onset)), default=0.0))
    return float(np.mean(found))


def _alike(a_s: np.ndarray, b_s: np.ndarray) -> float:
    """How far two grids say the same, 0..1: 2 pairs within WINDOW_S over the number of beats of both."""
    near = np.abs(a_s[:, None] - b_s[None, :]) <= WINDOW_S
    return 2 * min(near.any(axis=1).sum(), near.any(axis=0).sum()) / (len(a_s) + len(b_s))


# grids that are wrong on purpose, for controlled studies


def shifted(beats: Beats) -> Beats:
    """The same tempo, every bar line half a bar away; where bars are not known, every beat half a beat away.

    A bar of an even number of beats keeps its beats and is counted from another one; half of an odd bar lies between
    two beats, so that the beats move by half a beat, too.
    """
    source = f"{beats.source}, shifted"
    times_s, places = beats.times_s, beats.beat_in_bar
    if len(times_s) < 2:
        return Beats(times_s, places, source, beats.confidence)
    if places is None:
        return Beats((times_s[1:] + times_s[:-1]) / 2, None, source, beats.confidence)
    metre = int(places.max())
    places = (places - 1 + metre - metre // 2) % metre + 1
    if metre % 2 == 0:
        return Beats(times_s, places, source, beats.confidence)
    return Beats((times_s[1:] + times_s[:-1]) / 2, places[:-1], source, beats.confidence)


def wrong(beats: Beats, duration_s: float, seed: int) -> Beats:
    """A grid of another tempo and the same metre over the whole `duration_s`: steady, from a phase of its own.

    The tempo is the median one times a factor out of [0.70, 0.85] or [1.18, 1.43], far from half, same and double;
    the same for the same seed.
    """
    source = f"{beats.source}, wrong"
    if len(beats.times_s) < 2:
        return Beats(beats.times_s, beats.beat_in_bar, source, beats.confidence)
    draw = random.Random(seed)
    factor = draw.choice([draw.uniform(0.70, 0.85), draw.uniform(1.18, 1.43)])
    beat_s = float(np.median(np.diff(beats.times_s))) / factor
    times_s = np.arange(draw.uniform(0, beat_s), duration_s, beat_s)
    if beats.beat_in_bar is None:
        return Beats(times_s, None, source, beats.confidence)
    metre = int(beats.beat_in_bar.max())
    return Beats(times_s, (np.arange(len(times_s)) + draw.randrange(metre)) % metre + 1, source, beats.confidence)
