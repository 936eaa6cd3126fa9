"""What is drawn for a clip, its chart in MMA's words, and where its beats lie."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from genrelab.data.arranger.styles import STYLES

KEYS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
PROGRESSIONS = {  # a chord a bar: semitones above the key, then MMA's name of the kind. Every style plays them all
    "primary": "0 5 7 0",
    "axis": "0 7 9m 5",
    "fifties": "0 9m 5 7",
    "minor_pop": "9m 5 0 7",
    "blues": "07 07 07 07 57 57 07 07 77 57 07 77",
    "two_five": "2m7 77 0M7 0M7",
    "turnaround": "0M7 9m7 2m7 77",
    "canon": "0 7 9m 4m 5 0 5 7",
    "andalusian": "9m 7 5 4",
    "mixolydian": "0 10 5 0",
    "circle": "47 97 27 77",
    "minor": "0m 5m 77 0m",
}
START_BARS = 2  # a clip begins in one of as many bars after the first: not always on the bar line


@dataclass(frozen=True)
class Clip:
    """Everything that a clip's samples depend on, but for the sampling rate."""

    id: str
    style: str
    group: str  # the style file
    grooves: tuple[str, ...]  # of that file, in turn
    studio: str  # the soundfont
    tempo_bpm: int
    beats_per_bar: int
    key: str
    progression: str
    seed: int  # of what mma draws for itself
    start_s: float  # where the clip begins in what the chart plays
    length_s: float

    @property
    def beat_s(self) -> float:
        """As MIDI has it: whole microseconds."""
        return int(60_000_000 / self.tempo_bpm) / 1e6

    @property
    def n_bars(self) -> int:
        """Enough for the clip, and one more: the last chord is still held where it ends."""
        return math.ceil((self.start_s + self.length_s) / (self.beat_s * self.beats_per_bar)) + 1

    @property
    def chart(self) -> str:
        """The chart: the grooves take turns every four bars. No count-in: the first bar begins at 0 s."""
        chords = [_chord(self.key, degree) for degree in PROGRESSIONS[self.progression].split()]
        lines = [f"RndSeed {self.seed}", f"Tempo {self.tempo_bpm}"]
        for bar in range(self.n_bars):
            if bar % 4 == 0:
                lines.append(f"Groove {self.group}:{self.grooves[bar // 4 % len(self.grooves)]}")
            lines.append(f"{bar + 1} {chords[bar % len(chords)]}")
        return "\n".join(lines) + "\n"

    @property
    def beats(self) -> list[tuple[float, int]]:
        """Seconds from the clip's beginning, and the place in the bar, from 1."""
        first = math.ceil(self.start_s / self.beat_s - 1e-9)
        last = math.ceil((self.start_s + self.length_s) / self.beat_s - 1e-9)
        return [(max(n * self.beat_s - self.start_s, 0.0), n % self.beats_per_bar + 1) for n in range(first, last)]


def _chord(key: str, degree: str) -> str:
    """`77` in C is G7: seven semitones up, a seventh chord."""
    found = re.fullmatch(r"(10|11|\d)(.*)", degree)
    assert found, degree
    return KEYS[(KEYS.index(key) + int(found[1])) % 12] + found[2]


def clips(styles: Sequence[str], n_per_style: int, length_s: float, fonts: Sequence[str], seed: int) -> list[Clip]:
    """The clips, style by style. A larger corpus begins with the clips of a smaller one.

    Within a style the files take turns, and so do the fonts, each in rounds of an order drawn anew: every font has its
    share of every style, and a file does not tell the font.
    """
    return [
        _clip(style, i, length_s, _turn(fonts, i, seed, style, "font"), seed)
        for style in styles
        for i in range(n_per_style)
    ]


def _clip(name: str, i: int, length_s: float, font: str, seed: int) -> Clip:
    style = STYLES[name]
    rng = _rng(seed, name, "clip", i)
    group = _turn(list(style.files), i, seed, name, "file")
    tempo_bpm = int(rng.integers(style.bpm[0], style.bpm[1] + 1))
    bar_s = style.beats_per_bar * 60 / tempo_bpm
    return Clip(
        id=f"{name}-{i:03d}",
        style=name,
        group=group,
        grooves=tuple(rng.permutation(style.files[group])[:2].tolist()),
        studio=font,
        tempo_bpm=tempo_bpm,
        beats_per_bar=style.beats_per_bar,
        key=KEYS[rng.integers(len(KEYS))],
        progression=list(PROGRESSIONS)[rng.integers(len(PROGRESSIONS))],
        seed=int(rng.integers(1, 2**28)),
        start_s=round(float(rng.uniform(1, 1 + START_BARS)) * bar_s, 3),
        length_s=length_s,
    )


def _turn(words: Sequence[str], i: int, seed: int, style: str, what: str) -> str:
    """The i-th of the words that take turns."""
    return words[_rng(seed, style, what, i // len(words)).permutation(len(words))[i % len(words)]]


def _rng(seed: int, style: str, what: str, n: int) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(style.encode()), crc32(what.encode()), n])
