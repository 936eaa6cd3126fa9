"""What in a data set and its split makes a figure better than it should be: found by comparing, never by training.

A split leaks where a group (group, artist, album, recording), the same decoded sound, or nearly the same sound lies on
two of train, val and test. Songs on side "unused" lie nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genrelab.data.split import KEYS, Split
from genrelab.types import GROUP_KEYS, SIDES, Track

if TYPE_CHECKING:
    import numpy as np

    from genrelab.audio.fingerprint import Alike
    from genrelab.store import Heard, Pictures

CLIPPED = 0.001  # share of samples in flat tops from which a song is named
QUIET = 0.3  # share of silent frames from which a song is named
SHORT = 0.5  # of the data set's median duration


@dataclass(frozen=True)
class Shared:
    """A value of a key, or a sound, that several songs share, and the sides on which they lie."""

    key: str  # group, artist, album, track, studio; song: the slices of one; sound: decoded samples
    value: str
    songs: tuple[int, ...]
    sides: tuple[str, ...]  # of the first split in which there are two of them

    @property
    def crosses(self) -> bool:
        return len(self.sides) > 1


@dataclass(frozen=True)
class Near:
    """Two songs that hold nearly the same sound."""

    songs: tuple[int, int]
    likeness: float  # 0..1
    at_s: tuple[float, float]  # where in each
    tempo: float  # of the first over the second
    sides: tuple[str, ...]
    same_recording: bool  # says the manifest

    @property
    def crosses(self) -> bool:
        return len(self.sides) > 1


@dataclass(frozen=True)
class Fault:
    """A song that cannot be used, or should be looked at."""

    song: int
    what: str  # missing, truncated ..., silent, short, clipped, mostly silent
    detail: str


@dataclass(frozen=True)
class Findings:
    """All of an audit that needs no figure: indices are of `tracks`."""

    tracks: tuple[Track, ...]
    shared: tuple[Shared, ...]  # groups on two sides, and studios
    exact: tuple[Shared, ...]
    near: tuple[Near, ...]
    two_genres: tuple[tuple[str, tuple[int, ...]], ...]  # how it is known, and the songs
    faults: tuple[Fault, ...]

    @property
    def leaks(self) -> dict[str, int]:
        """What lies on two sides, and how much of it; studios are no group that a split is asked to respect."""
        found: dict[str, int] = {}
        for s in self.shared:
            if s.key in LEAKING and s.crosses:
                found[s.key] = found.get(s.key, 0) + 1
        found["exact duplicates"] = sum(e.crosses for e in self.exact)
        found["near duplicates"] = sum(n.crosses for n in self.near)
        return {k: n for k, n in found.items() if n}


LEAKING = (*GROUP_KEYS, "song")


def on_sides(songs: Sequence[int], splits: Sequence[Split]) -> tuple[str, ...]:
    """The sides that songs lie on, in the first split where they are on several, else in the first."""
    found = []
    for split in splits:
        sides = {s for i in songs for s in (SIDES if split.sides[i] == "mixed" else (split.sides[i],))}
        found.append(tuple(s for s in SIDES if s in sides))
        if len(found[-1]) > 1:
            return found[-1]
    return found[0] if found else ()


def groups(tracks: Sequence[Track], splits: Sequence[Split]) -> list[Shared]:
    """The values of every key that lie on two sides; of a split by slice, every song."""
    found = []
    for key in KEYS:
        members: dict[str, list[int]] = {}
        for i, track in enumerate(tracks):
            if value := getattr(track, key):
                members.setdefault(value, []).append(i)
        for value, songs in members.items():
            if len(sides := on_sides(songs, splits)) > 1:
                found.append(Shared(key, value, tuple(songs), sides))
    for i, track in enumerate(tracks):
        if any(split.sides[i] == "mixed" for split in splits):
            found.append(Shared("song", track.id, (i,), on_sides([i], splits)))
    return found


def duplicates(sounds: Sequence[str | None], splits: Sequence[Split]) -> list[Shared]:
    """Songs whose sound has the same name; None is not known."""
    members: dict[str, list[int]] = {}
    for i, sound in enumerate(sounds):
        if sound is not None:
            members.setdefault(sound, []).append(i)
    return [Shared("sound", k, tuple(v), on_sides(v, splits)) for k, v in members.items() if len(v) > 1]


def nearly(
    tracks: Sequence[Track], pairs: Sequence[Alike], sounds: Sequence[str | None], splits: Sequence[Split]
) -> list[Near]:
    """Pairs of songs that sound alike and are not equal; those that the manifest does not know come first."""
    found = []
    for p in pairs:
        i, j = p.first, p.second
        if sounds[i] is None or sounds[i] != sounds[j]:
            known = tracks[i].track is not None and tracks[i].track == tracks[j].track
            sides = on_sides([i, j], splits)
            found.append(Near((i, j), p.likeness, (p.first_s, p.second_s), p.tempo, sides, known))
    return sorted(found, key=lambda n: (n.same_recording, not n.crosses, -n.likeness))


def two_genres(
    tracks: Sequence[Track], exact: Sequence[Shared], near: Sequence[Near]
) -> list[tuple[str, tuple[int, ...]]]:
    """One recording under several genres: by the column `track`, by equal sound, by nearly equal sound."""
    by_track: dict[str, list[int]] = {}
    for i, track in enumerate(tracks):
        if track.track:
            by_track.setdefault(track.track, []).append(i)
    sets = [("column track", tuple(v)) for v in by_track.values()]
    sets += [("the same sound", e.songs) for e in exact]
    sets += [("nearly the same sound", n.songs) for n in near if not n.same_recording]
    return [(how, songs) for how, songs in sets if len({frozenset(tracks[i].genres) for i in songs}) > 1]


def faults(heard: Sequence[Heard], measured: dict[str, np.ndarray], shortest_s: float) -> list[Fault]:
    """Songs that cannot be decoded, or are silent, shorter than a slice or than half the median, clipped, or quiet."""
    import numpy as np

    durations = np.array([h.duration_s for h in heard if not h.reason])
    median_s = float(np.median(durations)) if len(durations) else 0.0
    found = []
    for i, h in enumerate(heard):
        if h.reason:
            found.append(Fault(i, h.reason, h.detail))
            continue
        if h.duration_s + 1e-6 < shortest_s:
            found.append(Fault(i, "shorter than a slice", f"{h.duration_s:.2f} s, a slice needs {shortest_s:g} s"))
        elif h.duration_s < SHORT * median_s:
            found.append(Fault(i, "short", f"{h.duration_s:.1f} s, half of the songs have {median_s:.1f} s or more"))
        if (share := measured["clipped_share"][i]) >= CLIPPED:
            found.append(Fault(i, "clipped", f"{100 * share:.2f} % of the samples"))
        if (share := measured["silent_share"][i]) >= QUIET:
            found.append(Fault(i, "mostly silent", f"{100 * share:.0f} % below -60 dBFS"))
    return found


def placed(split: Split, tracks: Sequence[Track]) -> Split:
    """A split of some of the tracks as one of all: the others are unused."""
    side = dict(zip(split.ids, split.sides, strict=True))
    group = dict(zip(split.ids, split.groups, strict=True))
    ids = tuple(t.id for t in tracks)
    sides, own = tuple(side.get(i, "unused") for i in ids), tuple(group.get(i, i) for i in ids)
    return Split(split.kind, ids, sides, own, split.seed, split.notes, split.n_folds, split.fold)


# the fast part, which every run does


def fast(tracks: Sequence[Track], pictures: Pictures, splits: Sequence[Split]) -> str:
    """`leaks`, `clean` or `unaudited`: whether a group or the same sound lies on two sides, whatever its genres.

    The same sound is the same file and window, or another file whose picture is the same in every cell, as a WAV and
    the FLAC made of it. `clean` has not looked for near duplicates (other codecs, tempi, masterings, overlapping
    windows): `python -m genrelab audit` does. `unaudited`: the songs have none of the columns group, artist, album and
    track, so that nothing is known of what they share.
    """
    if any(s.key in LEAKING for s in groups(tracks, splits)):
        return "leaks"
    if any(d.crosses for d in duplicates(_sounds(pictures), splits)):
        return "leaks"
    return "clean" if any(getattr(t, key) for t in tracks for key in GROUP_KEYS) else "unaudited"


def _sounds(pictures: Pictures) -> list[str | None]:
    """A name of each song's picture: equal ones have the same. The middle rows tell most of them apart."""
    import hashlib

    def name(rows: np.ndarray) -> str:
        return hashlib.blake2b(rows.tobytes(), digest_size=12).hexdigest()

    keys = pictures.keys
    first_of: dict[str, int] = {}
    alike: dict[tuple[int, str], list[str]] = {}
    for i, key in enumerate(keys):
        if first_of.setdefault(key, i) == i:
            rows = pictures.stored(i)
            middle = len(rows) // 2
            alike.setdefault((len(rows), name(rows[middle : middle + 16])), []).append(key)
    names = {}
    for own in alike.values():
        for key in own:
            rows = pictures.stored(first_of[key])
            names[key] = key if len(own) == 1 or not len(rows) else name(rows)
    return [names[k] for k in keys]
