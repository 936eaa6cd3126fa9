"""Which songs a corpus holds: their artists, albums and studios, their tempo, and what they borrow."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from genrelab.data.synth.genres import ELEMENTS, GENRES, Genre, Weights
from genrelab.data.synth.studio import Chain, chains

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
    genre: str
    artist: str
    album: str
    tempo_bpm: float
    beats_per_bar: int
    phase: float  # where in the bar the song begins, 0..1
    drums: str  # the genre that each element follows: the song's own, unless it is borrowed
    bass: str
    harmony: str
    lead: str
    style: Style
    taste: tuple[int, ...]  # key of the artist's preferences
    key: tuple[int, ...]  # key of everything else that is drawn for the song
    chain: Chain  # the studio
    song_s: float
    sample_rate: int

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
        """The beats inside the song: times (n,) in seconds, and places in the bar (n,) from 1."""
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
) -> list[SongSpec]:
    """The songs of a corpus, genres in turn. The music of a song does not depend on the studios, nor on `n_songs`.

    The dials act on draws that are made anyway, so that a corpus at another correlation or overlap is the same corpus
    with some songs recorded elsewhere, or borrowing more: two runs on them are paired.
    """
    studios = chains(n_studios, _rng(seed, "studios"))
    homes = home_studios(genres, n_studios, seed)
    digits = max(3, len(str((n_songs - 1) // len(genres))))
    songs = []
    for i in range(n_songs):
        name, number = genres[i % len(genres)], i // len(genres)
        artist = number % n_artists_per_genre
        album = number // n_artists_per_genre % n_albums_per_artist
        genre, key = GENRES[name], _key(seed, name, "song", number)
        rng = np.random.default_rng(key)
        where = _rng(seed, name, "studio", number)
        style = _style(seed, name, artist, album, rng)
        songs.append(
            SongSpec(
                id=f"{name}-{number:0{digits}d}",
                genre=name,
                artist=f"{name}-a{artist:02d}",
                album=f"{name}-a{artist:02d}-b{album}",
                tempo_bpm=_tempo(genre, style.tempo, rng),
                beats_per_bar=3 if rng.random() < genre.waltz else 4,
                phase=round(float(rng.random()), 6),
                **_elements(genre, overlap, rng),
                style=style,
                taste=_key(seed, name, "artist", artist),
                key=key,
                chain=studios[_studio(homes[name], n_studios, studio_genre_correlation, where)],
                song_s=song_s,
                sample_rate=sample_rate,
            )
        )
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


def _elements(genre: Genre, overlap: float, rng: np.random.Generator) -> dict[str, str]:
    """For each element, the genre that it follows: a neighbour with probability `overlap`."""
    return {
        e: neighbour if u < overlap else genre.name
        for e, u, neighbour in zip(
            ELEMENTS, rng.random(len(ELEMENTS)), rng.choice(genre.neighbours, len(ELEMENTS)).tolist(), strict=True
        )
    }


def _studio(home: list[int], n_studios: int, correlation: float, rng: np.random.Generator) -> int:
    """At home with probability `correlation`, else anywhere (which may be at home too)."""
    at_home, own, any_one = rng.random() < correlation, rng.choice(home), rng.integers(n_studios)
    return int(own if at_home else any_one)
