"""What makes a corpus harder, truth known: close genres, songs of two genres, genres of order, wrong labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genrelab.data.synth.genres import ELEMENTS, GENRES

# The aspects of a song that its genre decides; closeness moves each for itself.
ASPECTS = ("tempo", "metre", "form", "space", "pump", *ELEMENTS)

# Genres of order: who plays in the first half of the song, and who in the second (letters as in `arrange.FORMS`).
LOW, HIGH = "DB", "HL"
ORDERS = {"rising": (LOW, HIGH), "falling": (HIGH, LOW)}
SLICE_S = 2.56  # of `slice=fixed`: both halves fade to silence at its borders
SILENT_S, FADE_S = 0.4, 0.05  # each side of a border: more than half the window of any front-end; pcen remembers more

WEIGHTS = (0.5, 0.8)  # of a blend's heavier parent, where it is drawn


def circles(genres: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each genre those that it comes close to, itself among them: pairs, and three where the number is odd.

    In turn each genre takes the first of its neighbours that is there and free; those left over pair up in turn, and
    the last one joins its first neighbour (or the first genre).
    """
    found: dict[str, list[str]] = {}
    for wanted in (True, False):
        for name in genres:
            options = GENRES[name].neighbours if wanted else genres
            other = next((o for o in options if o in genres and o != name and o not in found), None)
            if name not in found and other:
                found[name] = found[other] = [name, other]
    for name in genres:
        if name not in found:  # at most one
            nearest = next((n for n in (*GENRES[name].neighbours, *genres) if n in found), None)
            found[name] = found[nearest] if nearest else []
            found[name].append(name)
    return {name: tuple(circle) for name, circle in found.items()}


def follow(name: str, circle: Sequence[str], closeness: float, rng: np.random.Generator) -> dict[str, str]:
    """For each aspect the genre that it follows: with probability `closeness` any of the circle, else the own one.

    At 1 the genres of a circle draw every aspect from one distribution, the mean of theirs.
    """
    moved, others = rng.random(len(ASPECTS)) < closeness, rng.choice(list(circle), len(ASPECTS))
    return {a: str(o) if m else name for a, m, o in zip(ASPECTS, moved, others, strict=True)}


def borrow(follows: Mapping[str, str], name: str, overlap: float, rng: np.random.Generator) -> dict[str, str]:
    """The same, with each element handed to a neighbour of the genre that it follows with probability `overlap`."""
    chance, neighbours = rng.random(len(ELEMENTS)), rng.choice(GENRES[name].neighbours, len(ELEMENTS)).tolist()
    place = rng.random(len(ELEMENTS))  # among the neighbours of a genre that is not the song's own
    out = dict(follows)
    for e, u, neighbour, at in zip(ELEMENTS, chance, neighbours, place, strict=True):
        if u < overlap:
            there = GENRES[follows[e]].neighbours
            out[e] = neighbour if follows[e] == name else there[int(at * len(there))]
    return out


def blend_of(others: Sequence[str], blend: float, weight: float | None, rng: np.random.Generator) -> tuple[str, float]:
    """The second genre of a song and the first one's weight; the name is empty for a song of one genre."""
    u, drawn, other = rng.random(), rng.uniform(*WEIGHTS), rng.choice(list(others)) if others else ""
    return (str(other), weight or round(float(drawn), 2)) if u < blend else ("", 1.0)


def written(name: str, others: Sequence[str], noise: float, rng: np.random.Generator) -> str:
    """The genre that the label names: with probability `noise` another one."""
    u, other = rng.random(), rng.choice(list(others)) if others else name
    return str(other) if u < noise else name


def hush(n_slices: int, sample_rate: int) -> np.ndarray:
    """Gain (n_slices * slice,) float32 that is 0 around every border of a slice, and 1 between."""
    n, fade = round(SLICE_S * sample_rate), round(FADE_S * sample_rate)
    silent = round(SILENT_S * sample_rate)
    ramp = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade) ** 2
    gain = np.concatenate([np.zeros(silent), ramp, np.ones(n - 2 * (silent + fade)), ramp[::-1], np.zeros(silent)])
    return np.tile(gain.astype(np.float32), n_slices)
