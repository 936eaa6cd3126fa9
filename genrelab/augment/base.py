"""What a training song goes through that no validation or test song does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genrelab.augment.mixup import Mixup
from genrelab.augment.spec import Spec
from genrelab.augment.wave import PitchTempo, Production


@dataclass(frozen=True)
class Augment:
    """Any of four; those of the wave come first, as the music is played before it is mastered.

    What changes a wave is drawn by (seed, epoch, song), what changes pictures in the order of training's steps.
    """

    pitch_tempo: PitchTempo | None = None
    production: Production | None = None
    mixup: Mixup | None = None
    spec: Spec | None = None

    @property
    def on_wave(self) -> bool:
        return bool(self.pitch_tempo or self.production)

    @property
    def on_pictures(self) -> bool:
        return bool(self.mixup or self.spec)

    def speed(self, random: np.random.Generator) -> tuple[float, float]:
        """How many times as fast a song is played now, and how many semitones higher."""
        return self.pitch_tempo.draw(random) if self.pitch_tempo else (1.0, 0.0)

    def wave(
        self, wave: np.ndarray, sample_rate: int, random: np.random.Generator, speed: tuple[float, float]
    ) -> np.ndarray:
        """A wave (samples,) of a song -> (round(samples / how many times as fast),), float32."""
        if self.pitch_tempo:
            wave = self.pitch_tempo(wave, sample_rate, *speed)
        return self.production(wave, sample_rate, random) if self.production else wave

    def pictures(self, x: Tensor, n_slices: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised slices (N, F, T) of B songs and their targets (B, K) -> the same shapes, for this step."""
        if self.mixup:
            x, target = self.mixup(x, n_slices, target)
        return (self.spec(x) if self.spec else x), target
