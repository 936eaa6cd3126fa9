"""What a run may hold on to, and what takes it away from a recording: the cues that `probe` tries.

Every cue has one version of a wave or several, whose answers are averaged. A version is as long as its wave, so that a
song gives as many slices as before: what is too long is cut, and what is too short begins anew at its end.

`remaster` brings a song to other studios of the same data (see `production`), `new_chain` to one that nobody has. The
two are not the same: a run that never looked at the studio is lost, too, where a song sounds like nothing it has heard.
Only the former says that the studio tells it the genre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from genrelab.audio import transforms
from genrelab.types import Beats

Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]  # wave, sample rate, chance -> wave

N_STUDIOS = 5  # other studios that a song is moved to
N_CHAINS = 3  # production chains which no studio of the data has
N_ORDERS = 5  # of its slices
TREBLE_HZ, BASS_HZ = 4000.0, 200.0
TEMPO, SEMITONES, LEVEL_DB, KBPS = 0.06, 1.0, 6.0, 64.0


@dataclass(frozen=True)
class Version:
    """One way to change a wave, and what that does to its beats."""

    change: Change
    speed: float = 1.0  # how many times as fast
    backwards: bool = False

    def wave(self, wave: np.ndarray, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
        """(samples,) -> (samples,)"""
        return np.resize(self.change(wave, sample_rate, rng), len(wave))

    def beats(self, beats: Beats | None, duration_s: float) -> Beats | None:
        """The beats of the changed wave, in seconds."""
        if beats is None:
            return None
        times_s, places = beats.times_s / self.speed, beats.beat_in_bar
        if self.backwards:
            times_s = duration_s - times_s[::-1]
            places = None if places is None else _mirrored(places)
        inside = times_s <= duration_s
        return Beats(times_s[inside], None if places is None else places[inside], beats.source, beats.confidence)


@dataclass(frozen=True)
class Cue:
    """`noun` names it in a sentence, with its verb; `deed` is what takes it away.

    Two cues have no version of the wave: `orders` is how many times the slices are put in another order, `moves` to how
    many other studios of the data a song is moved.
    """

    noun: str
    deed: str
    versions: tuple[Version, ...] = ()
    orders: int = 0
    moves: int = 0


def _mirrored(places: np.ndarray) -> np.ndarray:
    """(n,) places of beats in their bars, played from the end: what began a bar begins one again."""
    out, place = np.zeros_like(places), 1
    for i, was in enumerate(places[::-1]):
        place = 1 if was == 1 else place + 1
        out[i] = place
    return out


def _low_pass(wave: np.ndarray, sample_rate: int, _: np.random.Generator) -> np.ndarray:
    return transforms.band_limit(wave, sample_rate, 0.0, TREBLE_HZ)


def _high_pass(wave: np.ndarray, sample_rate: int, _: np.random.Generator) -> np.ndarray:
    return transforms.band_limit(wave, sample_rate, BASS_HZ, sample_rate / 2)


def _faster(wave: np.ndarray, sample_rate: int, _: np.random.Generator, factor: float) -> np.ndarray:
    return transforms.stretch_time(wave, sample_rate, factor)


def _higher(wave: np.ndarray, sample_rate: int, _: np.random.Generator, semitones: float) -> np.ndarray:
    return transforms.shift_pitch(wave, sample_rate, semitones)


def _louder(wave: np.ndarray, _rate: int, _: np.random.Generator, db: float) -> np.ndarray:
    return transforms.gain(wave, db)


def _without_drums(wave: np.ndarray, sample_rate: int, _: np.random.Generator) -> np.ndarray:
    return transforms.without_drums(wave, sample_rate)


def _without_harmony(wave: np.ndarray, sample_rate: int, _: np.random.Generator) -> np.ndarray:
    return transforms.without_harmony(wave, sample_rate)


def _mp3(wave: np.ndarray, sample_rate: int, _: np.random.Generator) -> np.ndarray:
    return transforms.codec(wave, sample_rate, KBPS)


def _backwards(wave: np.ndarray, _rate: int, _: np.random.Generator) -> np.ndarray:
    return np.ascontiguousarray(wave[::-1])


def _both(change: Callable[..., np.ndarray], key: str, *values: float) -> tuple[Version, ...]:
    return tuple(Version(partial(change, **{key: v})) for v in values)


CUES = {
    "remaster": Cue("the studio is", "remastering", moves=N_STUDIOS),
    "new_chain": Cue(
        "a production as it knows it is", "a chain that it never heard", (Version(transforms.remaster),) * N_CHAINS
    ),
    "no_drums": Cue("the drums are", "taking the drums away", (Version(_without_drums),)),
    "no_harmony": Cue("the harmony is", "taking the harmony away", (Version(_without_harmony),)),
    "low_pass": Cue(f"what lies above {TREBLE_HZ:g} Hz is", "cutting it off", (Version(_low_pass),)),
    "high_pass": Cue(f"what lies below {BASS_HZ:g} Hz is", "cutting it off", (Version(_high_pass),)),
    "tempo": Cue(
        "the exact tempo is",
        f"{100 * TEMPO:g} % faster or slower",
        tuple(Version(partial(_faster, factor=f), f) for f in (1 + TEMPO, 1 - TEMPO)),
    ),
    "pitch": Cue("the exact pitch is", "a semitone up or down", _both(_higher, "semitones", SEMITONES, -SEMITONES)),
    "gain": Cue("loudness is", f"{LEVEL_DB:g} dB up or down", _both(_louder, "db", LEVEL_DB, -LEVEL_DB)),
    "mp3": Cue("what MP3 loses is", f"{KBPS:g} kbit/s and back", (Version(_mp3),)),
    "shuffle": Cue("the order of the slices is", "shuffling them", orders=N_ORDERS),
    "reverse": Cue("the direction of time is", "playing it backwards", (Version(_backwards, backwards=True),)),
}
