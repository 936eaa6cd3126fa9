"""Which songs a corpus holds: their artists, albums and studios, their tempo, and what they borrow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from genrelab.audio.studio import Chain, chains
from genrelab.data.synth.dials import ORDERS, SILENT_S, blend_of, borrow, circles, follow, written
from genrelab.data.synth.genres import GENRES, Genre, Weights, telling

# Who shares an offset of style, and how far it reaches (standard deviations that together make one).
ARTIST, ALBUM, SONG = 0.6, 0.3, 0.74
TASTE = 0.7  # how far an artist's preference among a genre's parts strays from the genre's (log weights)


@dataclass(frozen=True)
class Style:
    """How this song departs from its genre: artist, album and song together. Standard normal numbers."""

    tempo: float
    bright: float
    space: float
    swing: float
    drive: float
    tune: float
    drums: float  # this and the next three: the layer's loudness
    bass: float
    harmony: float
    lead: float


@dataclass(frozen=True)
class SongSpec:
    """Everything that a song's samples depend on."""

    id: str
    genre: str  # the true one; of two parents the heavier
    written: str  # what the label says
    artist: str
    album: str
    tempo_bpm: float
    beats_per_bar: int
    phase: float  # where in the bar the song begins, 0..1
    plays: Mapping[str, str]  # aspect -> the genre it follows: the own one, unless genres come close or it is borrowed
    style: Style
    taste: tuple[int, ...]  # key of the artist's preferences
    key: tuple[int, ...]  # key of everything else that is drawn for the song
    chain: Chain  # the studio
    song_s: float
    sample_rate: int
    halves: tuple[str, ...] = ()  # who plays in the first half and who in the second, for a genre of order
    partner: SongSpec | None = None  # the lighter parent of a blend: its players over this song's tempo and chords
    weight: float = 1.0  # this genre's share of the mix's energy
    telling: bool = False  # a parent of a blend plays what tells its genre

    def of(self, aspect: str) -> Genre:
        """The genre that decides an aspect of the song."""
        return GENRES[self.plays[aspect]]

    def part(self, element: str) -> str:
        """What an element plays, as in `genres`."""
        parts = telling(self.plays[element], element) if self.telling else getattr(self.of(element), element).parts
        return self.choose(parts, f"{element} part")

    @property
    def label(self) -> str:
        """The manifest's cell: a genre, or two with their weights."""
        if self.partner is None:
            return self.written
        return f"{self.written}:{self.weight:g}|{self.partner.genre}:{round(1 - self.weight, 6):g}"

    @property
    def passage(self) -> SongSpec:
        """What both halves of a genre of order play."""
        return replace(self, halves=(), song_s=self.song_s / 2)

    @property
    def n_samples(self) -> int:
        return round(self.song_s * self.sample_rate)

    @property
    def bar_s(self) -> float:
        return self.beats_per_bar * 60 / self.tempo_bpm

    def rng(self, what: str) -> np.random.Generator:
        """The generator of one aspect of the song; aspects do not disturb each other."""
        return np.random.default_rng((*self.key, crc32(what.encode())))

    def choose(self, options: Weights, what: str) -> str:
        """One of the options, by the genre's weights bent by the artist's taste."""
        taste = np.random.default_rng((*self.taste, crc32(" ".join(options).encode())))
        weight = np.array(list(options.values())) * np.exp(TASTE * taste.standard_normal(len(options)))
        return str(self.rng(what).choice(list(options), p=weight / weight.sum()))

    def beats(self) -> tuple[np.ndarray, np.ndarray]:
        """The beats inside the song: times (n,) in seconds, and places in the bar (n,) from 1.

        Halves count for themselves; the beat before the border between them is left out where it is silent.
        """
        if self.halves:
            time_s, place = self.passage.beats()
            heard = time_s < self.passage.song_s - SILENT_S
            return np.append(time_s[heard], self.passage.song_s + time_s), np.append(place[heard], place)
        beat_s = 60 / self.tempo_bpm
        first = int(np.ceil(self.phase * self.beats_per_bar))
        last = int(np.floor(self.phase * self.beats_per_bar + self.song_s / beat_s)) + 1
        beat = np.arange(first, last + 1)
        time_s = (beat - self.phase * self.beats_per_bar) * beat_s
        inside = time_s < self.song_s
        return time_s[inside], beat[inside] % self.beats_per_bar + 1


def plan(
    *,
    genres: list[str],
    n_songs: int,
    song_s: float,
    n_artists_per_genre: int,
    n_albums_per_artist: int,
    n_studios: int,
    studio_genre_correlation: float,
    overlap: float,
    seed: int,
    sample_rate: int,
    order_only: bool,
    blend: float,
    blend_weight: float | None,
    closeness: float,
    label_noise: float,
) -> list[SongSpec]:
    """The songs of a corpus, genres in turn. The music of a song does not depend on the studios, nor on `n_songs`.

    The dials act on draws that are made anyway, so that a corpus at another correlation or overlap is the same corpus
    with some songs recorded elsewhere, or borrowing more: two runs on them are paired. With `order_only` every artist
    plays both genres of order, to the music of one of `genres`.
    """
    studios = chains(n_studios, _rng(seed, "studios"))
    labels = list(ORDERS) if order_only else genres
    homes, near = home_studios(labels, n_studios, seed), circles(genres)
    digits = max(3, len(str((n_songs - 1) // len(labels))))
    songs = []
    for i in range(n_songs):
        label, number = labels[i % len(labels)], i // len(labels)
        artist = number % n_artists_per_genre
        album = number // n_artists_per_genre % n_albums_per_artist
        name = genres[artist % len(genres)] if order_only else label  # whose music it is
        key = _key(seed, label, "song", number)
        rng = np.random.default_rng(key)
        where = _rng(seed, label, "studio", number)
        style = _style(seed, name, artist, album, rng)
        own = follow(name, near[name], closeness, _rng(seed, label, "closeness", number))
        others = [other for other in labels if other != label]
        song = SongSpec(
            id=f"{label}-{number:0{digits}d}",
            genre=label,
            written=written(label, others, label_noise, _rng(seed, label, "label", number)),
            artist=f"{name}-a{artist:02d}",
            album=f"{name}-a{artist:02d}-b{album}",
            tempo_bpm=_tempo(GENRES[own["tempo"]], style.tempo, rng),
            beats_per_bar=3 if rng.random() < GENRES[own["metre"]].waltz else 4,
            phase=round(float(rng.random()), 6),
            plays=borrow(own, name, overlap, rng),
            style=style,
            taste=_key(seed, name, "artist", artist),
            key=key,
            chain=studios[_studio(homes[label], n_studios, studio_genre_correlation, where)],
            song_s=song_s,
            sample_rate=sample_rate,
            halves=ORDERS[label] if order_only else (),
        )
        other, weight = blend_of(others, blend, blend_weight, _rng(seed, label, "blend", number))
        if other:  # nobody borrows: a loan would be a third genre
            theirs = follow(other, near[other], closeness, _rng(seed, label, "partner's closeness", number))
            song = replace(song, plays=own, telling=True)
            key = _key(seed, label, "partner", number)
            partner = replace(song, genre=other, written=other, plays=theirs, key=key)
            song = replace(song, partner=partner, weight=weight)
        songs.append(song)
    return songs


def home_studios(genres: list[str], n_studios: int, seed: int) -> dict[str, list[int]]:
    """Which studios are home to which genre: dealt out at random, each to one genre."""
    dealt = np.array_split(_rng(seed, "homes").permutation(n_studios), len(genres))
    return {genre: sorted(map(int, own)) for genre, own in zip(genres, dealt, strict=True)}


def _key(seed: int, *what: str | int) -> tuple[int, ...]:
    return (seed, *(w if isinstance(w, int) else crc32(w.encode()) for w in what))


def _rng(seed: int, *what: str | int) -> np.random.Generator:
    return np.random.default_rng(_key(seed, *what))


def _style(seed: int, genre: str, artist: int, album: int, rng: np.random.Generator) -> Style:
    n = len(Style.__dataclass_fields__)
    z = (
        ARTIST * _rng(seed, genre, "artist", artist).standard_normal(n)
        + ALBUM * _rng(seed, genre, "album", artist, album).standard_normal(n)
        + SONG * rng.standard_normal(n)
    )
    return Style(*(round(float(v), 6) for v in np.clip(z, -2.5, 2.5)))


def _tempo(genre: Genre, z: float, rng: np.random.Generator) -> float:
    """The style's place in one of the genre's tempo ranges, in beats a minute."""
    low, high, weight = np.array(genre.tempo_bpm).T
    which = rng.choice(len(weight), p=weight / weight.sum())
    place = 1 / (1 + np.exp(-1.7 * z))  # a normal number to an even share of the range
    return round(float(low[which] + (high[which] - low[which]) * place), 2)


def _studio(home: list[int], n_studios: int, correlation: float, rng: np.random.Generator) -> int:
    """At home with probability `correlation`, else anywhere (which may be at home too)."""
    at_home, own, any_one = rng.random() < correlation, rng.choice(home), rng.integers(n_studios)
    return int(own if at_home else any_one)
