"""A genre is a distribution: over tempo, metre, form, space, and over the parts that its songs are made of.

Every part is named `sound/rhythm` (drums: `pattern/kit`), with a weight. Genres share sounds, rhythms and tempi on
purpose: no single part gives a genre away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Weights = Mapping[str, float]  # option -> weight; the weights need not add up to 1
Span = tuple[float, float]  # the lowest and the highest value, drawn uniformly

ELEMENTS = ("drums", "bass", "harmony", "lead")  # what a song may borrow from a neighbouring genre


@dataclass(frozen=True)
class Element:
    """One layer of a genre's music."""

    parts: Weights
    level_db: float  # the layer's loudness in the mix
    swing: Span = (0.0, 0.0)  # drums: how late every second 16th comes, as a share of a 16th
    drive: Span = (1.0, 1.0)  # drums: gain into the kick's distortion
    scales: Weights | None = None  # harmony
    progressions: Weights | None = None  # harmony: degrees of the scale, one a bar


@dataclass(frozen=True)
class Genre:
    """The distributions a genre's songs are drawn from."""

    name: str
    neighbours: tuple[str, ...]  # whom its songs borrow from
    tempo_bpm: tuple[tuple[float, float, float], ...]  # (low, high, weight) of each range
    waltz: float  # probability of 3 beats a bar instead of 4
    forms: Weights
    space: Span  # reverberation, as a share of the dry level
    room_s: Span  # decay to -60 dB
    pump: Span  # how deep the kick ducks the harmony, 0..1
    drums: Element
    bass: Element
    harmony: Element
    lead: Element


MINOR_LOOPS = {"0 5 2 6": 1.0, "0 3 4 0": 0.7, "0 5 3 4": 0.8, "0 6 5 6": 0.7, "0 0 5 4": 0.5}
DARK_LOOPS = {"0 0 1 0": 1.0, "0 0 0 5": 0.8, "0 1 0 6": 0.6, "0 5 1 0": 0.5}
CADENCES = {"0 3 4 0": 1.0, "0 5 3 4": 0.8, "0 4 5 2": 0.7, "0 1 4 0": 0.7, "0 3 1 4": 0.5}

HARDCORE = Genre(
    name="hardcore",
    neighbours=("electro", "dubstep"),
    tempo_bpm=((150, 188, 0.7), (138, 156, 0.3)),
    waltz=0.0,
    forms={"drop": 0.5, "groove": 0.3, "build": 0.2},
    space=(0.03, 0.25),
    room_s=(0.4, 1.4),
    pump=(0.1, 0.7),
    drums=Element(
        {"gabber/gabber": 0.4, "four/gabber": 0.2, "four/tr909": 0.2, "breaks/tr909": 0.2}, 0, (0, 0), (2, 7)
    ),
    bass=Element({"reese/off": 0.3, "acid/acid": 0.25, "sub/eighth": 0.2, "wobble/long": 0.1, "reese/long": 0.15}, -6),
    harmony=Element(
        {"hoover/stabs": 0.35, "supersaw/stabs": 0.25, "pad/hold": 0.2, "strings/hold": 0.1, "piano/loop": 0.1},
        -8,
        scales={"minor": 0.5, "phrygian": 0.35, "harmonic": 0.15},
        progressions=DARK_LOOPS,
    ),
    lead=Element({"hoover/riff": 0.3, "supersaw/phrase": 0.3, "acid/arp": 0.2, "square/arp": 0.2}, -7),
)

DUBSTEP = Genre(
    name="dubstep",
    neighbours=("rap", "electro", "hardcore"),
    tempo_bpm=((134, 150, 0.75), (118, 136, 0.25)),
    waltz=0.0,
    forms={"drop": 0.55, "groove": 0.25, "build": 0.2},
    space=(0.05, 0.35),
    room_s=(0.6, 2.2),
    pump=(0.0, 0.5),
    drums=Element(
        {"halftime/tr909": 0.35, "halftime/tr808": 0.25, "breaks/acoustic": 0.2, "twostep/tr909": 0.2},
        -1,
        (0, 0.25),
        (1, 3),
    ),
    bass=Element({"wobble/long": 0.35, "wobble/synco": 0.2, "reese/drop": 0.25, "sub/drop": 0.2}, -2),
    harmony=Element(
        {"pad/hold": 0.4, "supersaw/stabs": 0.2, "rhodes/loop": 0.2, "strings/hold": 0.2},
        -10,
        scales={"minor": 0.6, "phrygian": 0.25, "dorian": 0.15},
        progressions=DARK_LOOPS | MINOR_LOOPS,
    ),
    lead=Element(
        {"square/phrase": 0.2, "supersaw/phrase": 0.2, "bell/phrase": 0.25, "rapper/flow": 0.15, "hoover/riff": 0.2}, -9
    ),
)

ELECTRO = Genre(
    name="electro",
    neighbours=("hardcore", "dubstep", "rap"),
    tempo_bpm=((112, 138, 0.8), (136, 152, 0.2)),
    waltz=0.0,
    forms={"groove": 0.45, "drop": 0.3, "build": 0.25},
    space=(0.03, 0.3),
    room_s=(0.4, 1.8),
    pump=(0.1, 0.8),
    drums=Element(
        {"four/tr909": 0.4, "four/tr808": 0.15, "electro/tr808": 0.25, "breaks/tr909": 0.2}, -1, (0, 0.2), (1, 2.5)
    ),
    bass=Element({"pluck/octave": 0.25, "acid/acid": 0.25, "reese/off": 0.25, "sub/eighth": 0.25}, -5),
    harmony=Element(
        {"supersaw/stabs": 0.3, "pad/hold": 0.3, "organ/stabs": 0.2, "piano/stabs": 0.2},
        -7,
        scales={"minor": 0.55, "dorian": 0.3, "major": 0.15},
        progressions=MINOR_LOOPS,
    ),
    lead=Element({"square/arp": 0.35, "pluck/arp": 0.35, "supersaw/phrase": 0.15, "bell/phrase": 0.15}, -7),
)

CLASSICAL = Genre(
    name="classical",
    neighbours=("soundtrack",),
    tempo_bpm=((56, 104, 0.5), (96, 152, 0.5)),
    waltz=0.45,
    forms={"arc": 0.75, "build": 0.25},
    space=(0.15, 0.5),
    room_s=(1.0, 2.6),
    pump=(0.0, 0.0),
    drums=Element({"none/orchestral": 0.75, "timpani/orchestral": 0.25}, -9),
    bass=Element({"contrabass/long": 0.5, "contrabass/walk": 0.2, "pizz/walk": 0.3}, -5),
    harmony=Element(
        {"piano/alberti": 0.3, "strings/hold": 0.25, "spiccato/pulse": 0.15, "piano/rise": 0.15, "organ/hold": 0.15},
        -3,
        scales={"major": 0.55, "harmonic": 0.3, "minor": 0.15},
        progressions=CADENCES,
    ),
    lead=Element({"violin/phrase": 0.35, "flute/phrase": 0.25, "piano/phrase": 0.25, "violin/long": 0.15}, -3),
)

SOUNDTRACK = Genre(
    name="soundtrack",
    neighbours=("classical", "electro"),
    tempo_bpm=((60, 100, 0.5), (96, 142, 0.5)),
    waltz=0.25,
    forms={"build": 0.55, "arc": 0.45},
    space=(0.2, 0.7),
    room_s=(1.6, 3.4),
    pump=(0.0, 0.15),
    drums=Element(
        {"none/orchestral": 0.3, "taiko/orchestral": 0.4, "timpani/orchestral": 0.15, "halftime/tr808": 0.15}, -4
    ),
    bass=Element({"contrabass/long": 0.45, "sub/long": 0.25, "reese/long": 0.15, "contrabass/eighth": 0.15}, -4),
    harmony=Element(
        {"pad/hold": 0.3, "strings/hold": 0.3, "spiccato/pulse": 0.15, "choir/hold": 0.15, "piano/rise": 0.1},
        -3,
        scales={"minor": 0.55, "harmonic": 0.15, "dorian": 0.15, "major": 0.15},
        progressions=MINOR_LOOPS | {"0 0 5 5": 0.8},
    ),
    lead=Element(
        {"brass/long": 0.3, "violin/long": 0.2, "choir/long": 0.15, "piano/phrase": 0.2, "flute/long": 0.15}, -6
    ),
)

RAP = Genre(
    name="rap",
    neighbours=("dubstep", "electro"),
    tempo_bpm=((76, 106, 0.6), (128, 150, 0.4)),
    waltz=0.02,
    forms={"verse": 0.75, "groove": 0.25},
    space=(0.02, 0.2),
    room_s=(0.3, 1.2),
    pump=(0.0, 0.3),
    drums=Element(
        {"boombap/acoustic": 0.35, "boombap/lofi": 0.2, "trap/tr808": 0.3, "halftime/tr808": 0.15},
        -2,
        (0.0, 0.4),
        (1, 2.5),
    ),
    bass=Element({"sub/synco": 0.3, "sub/drop": 0.3, "ebass/synco": 0.25, "ebass/eighth": 0.15}, -4),
    harmony=Element(
        {"rhodes/loop": 0.3, "piano/loop": 0.25, "strings/hold": 0.15, "organ/stabs": 0.1, "pad/hold": 0.2},
        -10,
        scales={"minor": 0.6, "dorian": 0.3, "harmonic": 0.1},
        progressions=MINOR_LOOPS,
    ),
    lead=Element({"rapper/flow": 0.7, "flute/phrase": 0.1, "bell/phrase": 0.2}, -3),
)

GENRES: dict[str, Genre] = {g.name: g for g in (HARDCORE, DUBSTEP, ELECTRO, CLASSICAL, SOUNDTRACK, RAP)}


TELLING = 8  # how far a blend's parts lean to those that no other genre plays


def telling(name: str, element: str) -> dict[str, float]:
    """A genre's parts of an element, each by its weight and by how surely it tells the genre."""
    shares = {}
    for genre in GENRES.values():
        parts = getattr(genre, element).parts
        shares[genre.name] = {part: weight / sum(parts.values()) for part, weight in parts.items()}
    played = {part: sum(share.get(part, 0.0) for share in shares.values()) for part in shares[name]}
    return {part: share * (share / played[part]) ** TELLING for part, share in shares[name].items()}
