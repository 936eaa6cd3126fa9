"""From a song's plan to its notes: sections, chords, bass line, melody, drum hits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genrelab.data.synth.drums import PATTERNS
from genrelab.data.synth.plan import SongSpec

STEPS_PER_BEAT = 4

# A section says who plays: Drums, Bass, Harmony, Lead; a small letter plays softly. Songs are cuts of these cycles.
FORMS = {
    "drop": ("Hl", "dH", "DBhL", "DBHL"),
    "groove": ("DBh", "DBhL", "DBH", "bHL"),
    "build": ("Hb", "dHbL", "DBHL", "H"),
    "verse": ("dH", "DBhL", "DBHL", "HL"),
    "arc": ("H", "HL", "DHBL", "hBL"),
}

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}

# Sixteenths of a bar. Bass: degrees above the root. Harmony: x the chord, a digit one of its notes.
# Lead: x a note of the melody, a digit a note of the chord. Several lines: the song takes one.
RHYTHMS: dict[str, tuple[str, ...]] = {
    "long": ("0...............", "0.......0......."),
    "eighth": ("0.0.0.0.0.0.0.0.",),
    "off": ("..0...0...0...0.", "..0..00...0..00."),
    "octave": ("0.7.0.7.0.7.0.7.", "0..70..70..70..7"),
    "synco": ("0..0..4...0.7...", "0.....0..0..4..."),
    "walk": ("0...2...4...2...", "0...4...7...4..."),
    "acid": ("00.70.04.0700.47", "0.070.0.0470.07."),
    "drop": ("0.........0..4..", "0..0......4....."),
    "hold": ("x...............",),
    "stabs": ("..x...x...x...x.", "x..x..x...x..x..", "...x..x....x..x."),
    "loop": ("x..x..x.....x...", "x.....x...x.....", "x...x...x..x...."),
    "pulse": ("x.x.x.x.x.x.x.x.", "x.xxx.xxx.xxx.xx"),
    "alberti": ("0.2.1.2.0.2.1.2.", "0.1.2.1.0.1.2.1."),
    "rise": ("0.1.2.3.2.1.2.3.", "0123210301232103"),
    "arp": ("0120120120120123", "0213021302130213", "0.123.120.123.12"),
    "riff": ("x..x..x.x...x.x.", "x.xx..x.x.xx..x."),
    "phrase": ("x...x.x.x.....x.", "x..x..x...x.x...", "..x.x.x.x...x...", "x.......x.x.x..."),
    "sung": ("x.......x.......", "x...........x...", "x..............."),
}
GATE = {"stabs": 0.45, "pulse": 0.5, "off": 0.7, "octave": 0.6, "acid": 0.6, "arp": 0.7, "riff": 0.8, "eighth": 0.8}
CENTRE = {"bass": 36, "harmony": 58, "lead": 69}  # semitones
WOBBLES = (0.5, 1, 1.5, 2, 3, 4)  # LFO turns a beat


@dataclass(frozen=True)
class Note:
    """A note or a chord."""

    at_s: float
    dur_s: float
    midis: tuple[float, ...]
    velocity: float
    lfo_hz: float = 0.0
    colour: int = 0


@dataclass(frozen=True)
class Bar:
    """A bar of the song: when, who plays, on which degree of the scale."""

    at_s: float
    layers: str
    root: int
    last: bool  # of its section
    first: bool

    def gain(self, element: str) -> float:
        """How loud an element plays here, 0..1."""
        letter = element[0]
        return 1.0 if letter.upper() in self.layers else 0.45 if letter in self.layers else 0.0


@dataclass(frozen=True)
class Score:
    """What the whole song shares."""

    song: SongSpec
    bars: tuple[Bar, ...]
    scale: tuple[int, ...]
    tonic: int  # 0..11
    swing_s: float

    @property
    def n_steps(self) -> int:
        return self.song.beats_per_bar * STEPS_PER_BEAT

    @property
    def step_s(self) -> float:
        return 60 / self.song.tempo_bpm / STEPS_PER_BEAT

    def time(self, bar: Bar, step: int) -> float:
        """Seconds; every second sixteenth swings."""
        return bar.at_s + step * self.step_s + (step % 2) * self.swing_s

    def pitch(self, degree: int, centre: float) -> int:
        """The degree of the scale in the octave nearest the centre, in semitones."""
        pitch = self.tonic + self.scale[degree % 7]
        return int(pitch + 12 * round((centre - pitch) / 12))


def score(song: SongSpec) -> Score:
    """Draw the song's form and harmony."""
    harmony, drums = song.of("harmony").harmony, song.of("drums").drums
    assert harmony.scales and harmony.progressions
    rng = song.rng("form")
    n_bars = int(np.ceil(song.song_s / song.bar_s + song.phase))
    cycle = FORMS[song.choose(song.of("form").forms, "form choice")]
    n_sections = min(n_bars, int(rng.integers(2, 5)))
    starts = (
        [0, *np.sort(rng.choice(np.arange(1, n_bars), n_sections - 1, replace=False)).tolist()] if n_bars > 1 else [0]
    )
    turn = int(rng.integers(len(cycle)))
    section = np.searchsorted(starts, np.arange(n_bars), side="right") - 1
    degrees = [int(d) for d in song.choose(harmony.progressions, "progression").split()]
    slow = 1 + int(rng.random() < 0.25)  # bars a chord
    bars = tuple(
        Bar(
            at_s=(b - song.phase) * song.bar_s,
            layers=cycle[(turn + section[b]) % len(cycle)],
            root=degrees[b // slow % len(degrees)],
            last=b + 1 in starts,
            first=b in starts and b > 0,
        )
        for b in range(n_bars)
    )
    low, high = drums.swing
    swing = np.clip(low + (high - low) * (0.5 + 0.35 * song.style.swing), 0, 0.5)
    step_s = 60 / song.tempo_bpm / STEPS_PER_BEAT
    return Score(song, bars, SCALES[song.choose(harmony.scales, "scale")], int(rng.integers(12)), float(swing * step_s))


def _varied(line: str, rng: np.random.Generator, drop: float, add: float, what: str) -> str:
    """The line with a few notes left out and a few added, so that no two songs play quite the same."""
    u = rng.random(len(line))
    return "".join(
        ("." if c != "." and u[i] < drop and i else what if c == "." and u[i] < add else c) for i, c in enumerate(line)
    )


def _onsets(line: str, n_steps: int) -> list[tuple[int, str, int]]:
    """(step, sign, steps to the next onset) of a line in a bar of `n_steps`."""
    at = [i for i, c in enumerate(line[:n_steps]) if c != "."]
    return [(i, line[i], j - i) for i, j in zip(at, [*at[1:], n_steps], strict=False)]


def chord(piece: Score, root: int, rich: bool) -> tuple[int, ...]:
    """Three or four notes around the harmony's centre, low to high."""
    centre = CENTRE["harmony"]
    degrees = (root, root + 2, root + 4, *((root + 6,) if rich else ()))
    return tuple(sorted(piece.pitch(d, centre + 2 * i) for i, d in enumerate(degrees)))


def bass(piece: Score, rhythm: str) -> list[Note]:
    """The bass line."""
    rng = piece.song.rng("bass")
    line = _varied(str(rng.choice(RHYTHMS[rhythm])), rng, 0.08, 0.02, "0")
    lfo_hz = rng.choice(WOBBLES, 4) * piece.song.tempo_bpm / 60
    gate = GATE.get(rhythm, 0.95)
    return [
        Note(
            piece.time(bar, step),
            length * piece.step_s * gate,
            (float(piece.pitch(bar.root, CENTRE["bass"]) + _interval(piece, bar.root, int(sign))),),
            bar.gain("bass"),
            lfo_hz=float(lfo_hz[b % 4]),
        )
        for b, bar in enumerate(piece.bars)
        if bar.gain("bass")
        for step, sign, length in _onsets(line, piece.n_steps)
    ]


def _interval(piece: Score, root: int, degrees: int) -> int:
    """Semitones from a degree of the scale to one `degrees` above it."""
    high, low = root + degrees, root
    return piece.scale[high % 7] - piece.scale[low % 7] + 12 * (high // 7 - low // 7)


def harmony(piece: Score, rhythm: str) -> list[Note]:
    """Chords, whole or broken."""
    rng = piece.song.rng("harmony")
    line, rich = str(rng.choice(RHYTHMS[rhythm])), bool(rng.random() < 0.4)
    line = line if rhythm == "hold" else _varied(line, rng, 0.08, 0.0, "x")
    gate, notes = GATE.get(rhythm, 1.0), []
    for bar in piece.bars:
        midis = chord(piece, bar.root, rich)
        for step, sign, length in _onsets(line, piece.n_steps) if bar.gain("harmony") else ():
            tones = midis if sign == "x" else ((*midis, midis[0] + 12)[int(sign)],)
            accent = 1.0 if step % STEPS_PER_BEAT == 0 else 0.8
            at_s, dur_s = piece.time(bar, step), length * piece.step_s * gate
            notes.append(Note(at_s, dur_s, tuple(map(float, tones)), accent * bar.gain("harmony")))
    return notes


def lead(piece: Score, rhythm: str) -> list[Note]:
    """A melody of two motifs (a a b a), a broken chord, or the syllables of a rapper."""
    rng = piece.song.rng("lead")
    if rhythm == "flow":
        return _flow(piece, rng)
    lines = RHYTHMS["sung" if rhythm == "long" else rhythm]
    motifs = [_varied(str(rng.choice(lines)), rng, 0.1, 0.05, "x") for _ in range(2)]
    walks = [np.cumsum(rng.choice((-2, -1, -1, 0, 1, 1, 2), 16)).clip(-5, 5) for _ in range(2)]
    centre, gate, notes = CENTRE["lead"] + int(rng.integers(-4, 5)), GATE.get(rhythm, 0.9), []
    for b, bar in enumerate(piece.bars):
        which = int(b % 4 == 2)
        for k, (step, sign, length) in enumerate(_onsets(motifs[which], piece.n_steps) if bar.gain("lead") else ()):
            if sign == "x":
                walk = int(walks[which][k])
                degree = bar.root + (walk - walk % 2 if step % 8 == 0 else walk)  # a chord's note on the strong beats
                midi = piece.pitch(bar.root, centre) + _interval(piece, bar.root, degree - bar.root)
            else:
                midi = piece.pitch(bar.root + 2 * (int(sign) % 3), centre) + 12 * (int(sign) // 3)
            at_s, dur_s = piece.time(bar, step), length * piece.step_s * gate
            notes.append(Note(at_s, dur_s, (float(midi),), (0.8 + 0.2 * (step % 4 == 0)) * bar.gain("lead")))
    return notes


def _flow(piece: Score, rng: np.random.Generator) -> list[Note]:
    """Syllables on the sixteenths (or eighths, where those are too fast), a breath at the end of the bar."""
    base, every = int(rng.integers(43, 56)), 1 if piece.step_s > 0.13 else 2
    density, notes = rng.uniform(0.6, 0.9), []
    steps = np.arange(0, piece.n_steps, every)
    for bar in piece.bars:
        spoken = (rng.random(len(steps)) < density) & (steps < piece.n_steps - rng.integers(0, 4))
        tune = base + rng.choice((0, 0, 1, 2, -1, 4), len(steps)) - np.round(3 * steps / piece.n_steps)
        vowels = rng.integers(0, 5, len(steps))
        for step, midi, vowel in zip(steps[spoken], tune[spoken], vowels[spoken], strict=True):
            if bar.gain("lead"):
                at_s, dur_s = piece.time(bar, int(step)), piece.step_s * every * 0.85
                accent = (0.75 + 0.25 * (step % 4 == 0)) * bar.gain("lead")
                notes.append(Note(at_s, dur_s, (float(midi),), accent, colour=int(vowel)))
    return notes


def hits(piece: Score, pattern: str) -> list[tuple[str, float, float]]:
    """(drum, time in seconds, velocity); a fill at the end of a section, a crash at the next."""
    rng, out = piece.song.rng("drums"), []
    loud = {"x": 1.0, "o": 0.6, "-": 0.3}
    lines = {
        drum: _varied(line, rng, 0.05, 0.04 if drum != "clap" else 0, "-") for drum, line in PATTERNS[pattern].items()
    }
    fill = bool(rng.random() < 0.7) and "snare" in lines
    for bar in piece.bars:
        if not bar.gain("drums"):
            continue
        soft = bar.gain("drums") < 1
        for drum, line in lines.items():
            if soft and drum in ("kick", "clap"):
                continue  # softly: without the weight
            out += [(drum, piece.time(bar, s), loud[c] * bar.gain("drums")) for s, c, _ in _onsets(line, piece.n_steps)]
        if bar.first and lines:
            out.append(("crash", bar.at_s, 0.7))
        if bar.last and fill:
            half = range(piece.n_steps // 2, piece.n_steps)
            out += [("snare", piece.time(bar, s), 0.3 + 0.5 * (s - half[0]) / len(half)) for s in half]
    return out
