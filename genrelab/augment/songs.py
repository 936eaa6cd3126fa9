"""Training songs whose sound is changed: waves are read instead of pictures, and drawn by the front-end on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genrelab import store
from genrelab.audio import pcm
from genrelab.augment.base import Augment
from genrelab.data.module import Batch, SongSlices
from genrelab.front.base import Learned
from genrelab.slice.base import cut
from genrelab.slice.wave import cut_waves

Take = tuple[np.ndarray, Tensor]  # a changed wave (samples,), and where its slices lie: (S, 2), seconds
SALT = 0x5EED  # what a song goes through is not drawn from the numbers that choose its slices


class AugmentedSongs(SongSlices):
    """The songs of the training side, their sound changed anew each epoch by (seed, epoch, song) alone.

    `whole` and `read` give them as they are.
    """

    def __init__(self, augment: Augment, sounds: Mapping[int, np.ndarray], sample_rate: int, *parts: Any) -> None:
        super().__init__(*parts)
        self.augment, self.sounds, self.sample_rate = augment, sounds, sample_rate
        self.hop = round(self.front.hop_s * sample_rate)
        self.alone = parts[3].kind == "slice"  # what lies beside a training slice may be tested

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        if not self.training:
            return super().__getitems__(positions)
        songs = [int(self.songs[p]) for p in positions]
        made = [own for _, own in store.each(songs, self.drawn)]
        n_slices = [sum(len(inside) for _, inside in takes) for takes, _ in made]
        return self.joined(made) | self.about(songs, n_slices)

    def drawn(self, i: int) -> tuple[list[Take], list[Tensor]]:
        """Song i's waves of now, and the pictures of its slices unless the model draws them."""
        front, takes = self.front, self.takes(i)
        if isinstance(front, Learned):
            return takes, []
        with torch.no_grad():
            pictures = [front(torch.from_numpy(wave)[None])[0].half().float() for wave, _ in takes]
        spans = [inside for _, inside in takes]
        return takes, [cut(p, s, front.hop_s, self.slicer.n_frames) for p, s in zip(pictures, spans, strict=True)]

    def joined(self, made: Sequence[tuple[list[Take], list[Tensor]]]) -> Batch:
        """What is drawn of some songs -> what `read` gives."""
        front, n_frames = self.front, self.slicer.n_frames
        if not isinstance(front, Learned):
            return {"x": torch.cat([x for _, cuts in made for x in cuts])}
        takes = [take for own, _ in made for take in own]
        sizes = {"hop": front.hop, "left": front.left, "right": front.right, "n_frames": n_frames}
        x, places = cut_waves([w for w, _ in takes], [inside for _, inside in takes], front.hop_s, **sizes)
        return {"x": x, "places": places}

    def takes(self, i: int) -> list[Take]:
        """Song i's changed waves, and where in them its slices lie: (S, 2), seconds. One wave, or one for each row of
        slices without a gap."""
        made = []
        for spans in runs(self.pick(i)):
            random = np.random.default_rng((self.seed, self.epoch, i, SALT))  # all of a song is changed alike
            factor, semitones = self.augment.speed(random)
            wave, inside, factor = self.piece(i, spans, factor)
            made.append((self.augment.wave(wave, self.sample_rate, random, (factor, semitones)), inside))
        return made

    def piece(self, i: int, spans: Tensor, factor: float) -> tuple[np.ndarray, Tensor, float]:
        """What must be heard of song i for a row of slices, where these lie once it is played `factor` times as fast,
        and the factor, lower where a song has too little for one slice.

        Windows keep their length: a fast song has fewer of them. Slices at beats go with the music, and keep their
        number.
        """
        wave, rate, hop = self.sounds[i], self.sample_rate, self.hop
        begin, final = float(spans[0, 0]), float(spans[-1, 1]) if self.alone else len(wave) / rate
        inside = spans - begin
        if self.slicer.needs_beats:
            inside = inside / factor
        else:
            room = final - (begin if self.alone else 0)
            while len(inside) > 1 and float(inside[-1, 1]) * factor > room + 1e-6:
                inside = inside[:-1]
            length = float(inside[-1, 1])
            factor = min(factor, max(room / length, 1e-3)) if factor > 1 else factor
            begin = max(0.0, min(begin, final - length * factor))
        first = math.floor(begin / self.front.hop_s + 1e-6)  # the frame that the slices begin at, or after
        step = float((inside[:, 1] - inside[:, 0]).max()) / self.front.hop_s / self.slicer.n_frames
        left, right = (math.ceil(c / self.front.hop_s - 1e-6) + math.ceil(step) for c in self.front.context_s)
        before = min(left, math.floor(first / factor))  # frames
        inside = inside + before * self.front.hop_s + (begin - first * self.front.hop_s) / factor
        start = round((first - before * factor) * hop)
        end = math.ceil(start + (float(inside[-1, 1]) * rate + (right + 1) * hop) * factor)
        return pcm.wave(wave[start:end]), inside, factor


def runs(spans: Tensor) -> list[Tensor]:
    """Rising spans (S, 2) in rows without a gap."""
    gaps = torch.nonzero(spans[1:, 0] > spans[:-1, 1] + 1e-6)[:, 0] + 1
    return list(torch.tensor_split(spans, gaps))
