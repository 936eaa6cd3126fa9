"""What changes the sound itself, so that every front-end sees the same change."""

from __future__ import annotations

import numpy as np

from genrelab.audio import transforms
from genrelab.types import UserError


def share(key: str, given: float) -> float:
    if not 0 <= given <= 1:
        raise UserError(f"augment.{key}={given}: expected a share, 0 to 1")
    return given


class Production:
    """A share of the songs is mastered anew: equaliser, band limits, compressor, noise floor, level, codec.

    One chain holds for all slices that a song gives. `strength` is how far the chains reach: see audio.transforms.
    """

    def __init__(self, probability: float, strength: float) -> None:
        self.probability = share("production.probability", probability)
        self.strength = strength
        if not 0 <= strength <= 2:
            raise UserError(f"augment.production.strength={strength}: expected 0 (the level alone) to 2")

    def __call__(self, wave: np.ndarray, sample_rate: int, random: np.random.Generator) -> np.ndarray:
        if random.random() >= self.probability:
            return wave
        return transforms.remaster(wave, sample_rate, random, self.strength)


class PitchTempo:
    """A share of the songs is played faster or slower by up to `tempo` (a share of it), and higher or lower by up to
    `semitones`: both evenly drawn, each by itself."""

    def __init__(self, probability: float, tempo: float, semitones: float) -> None:
        self.probability = share("pitch_tempo.probability", probability)
        self.tempo, self.semitones = tempo, semitones
        if not 0 <= tempo < 1:
            raise UserError(f"augment.pitch_tempo.tempo={tempo}: expected a share of the tempo, 0 to below 1")
        if not 0 <= semitones <= 12:
            raise UserError(f"augment.pitch_tempo.semitones={semitones}: expected 0 to 12")

    def draw(self, random: np.random.Generator) -> tuple[float, float]:
        """How many times as fast, and how many semitones higher."""
        octaves, semitones = random.uniform(-1, 1, 2) * (np.log2(1 + self.tempo), self.semitones)
        if random.random() >= self.probability:
            return 1.0, 0.0
        return float(np.exp2(octaves)), float(semitones)

    def __call__(self, wave: np.ndarray, sample_rate: int, factor: float, semitones: float) -> np.ndarray:
        if (factor, semitones) == (1.0, 0.0):
            return wave
        return transforms.retune(wave, sample_rate, factor, semitones)
