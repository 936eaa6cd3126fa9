"""`data=library data.path=DIR`: the user's own music, by the tags in its files.

Any folders below DIR, with MP3, FLAC, Ogg, Opus, M4A, WAV or AIFF. What genrelab makes of the tags:

- genres: all in the tag; `data.fold` folds sub-genres into genres. Genres that differ in case alone are one.
- artist: the album's artist where it is given and not `Various Artists`, else the song's. A guest on one song then
  does not make another artist.
- album: with its artist where an album's artist is given, so that two `Greatest Hits` are two albums.
- track: artist and title, so that one song of two albums is one recording.
Where only some songs lack the artist or the album, their folder stands for it: it keeps what may belong together on one
side of a split.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from genrelab.data.manifest import slug
from genrelab.data.sources.audio import audio_files
from genrelab.data.sources.base import read_yaml
from genrelab.data.sources.collection import Collection, Progress, need_some, shown
from genrelab.data.sources.tags import Tags, read_tags
from genrelab.types import Track, UserError

log = logging.getLogger(__name__)

VARIOUS = frozenset({"various artists", "various", "va", "v.a.", "verschiedene", "compilation"})


class Library(Collection):
    """`fold`: a yaml of genres and the sub-genres that become them. `min_songs`: a genre of fewer is left out."""

    holds = "the folder of your music"

    def __init__(
        self,
        path: str | None,
        fold: str | None,
        min_songs: int,
        beats: str,
        unknown: str | None,
        tree: str | None,
    ) -> None:
        super().__init__(path, beats, unknown, tree)
        if isinstance(min_songs, bool) or not isinstance(min_songs, int) or min_songs < 1:
            raise UserError(f"data.min_songs={min_songs}: expected a whole number, at least 1")
        self._fold, self.min_songs = fold, min_songs

    @property
    def name(self) -> str:
        """What the runs are filed under: the folder's name."""
        return slug(self.path.resolve().name)

    def tracks(self, store: Path, progress: Progress) -> list[Track]:  # noqa: ARG002 - other sources need it
        """The tagged songs, by path; the id is the path below the folder.

        Raises UserError: no such folder, no song with a genre, no genre with enough songs, a fold that is none.
        """
        root = self.root()
        fold = read_fold(self._fold)
        files = audio_files(root)
        need_some(files, root, self.holds, "music file")
        tracks, dumb = [], []
        for n, file in enumerate(files, 1):
            tags, name = read_tags(file), file.relative_to(root).as_posix()
            if tags.genres:
                tracks.append(_track(name, file, tags))
            else:
                dumb.append(name)
            progress("reading tags", n, len(files))
        if dumb:
            log.warning("library: %d files without a genre in their tags are left out: %s", len(dumb), shown(dumb))
        if not tracks:
            raise UserError(
                f"data.path={root}: none of its {len(files)} music files has a genre in its tags: "
                "tag them, or take data=folder or data=manifest"
            )
        folded = _common(_folded([track.genres for track in tracks], fold))
        tracks = [replace(track, genres=genres) for track, genres in zip(tracks, folded, strict=True)]
        return _filled(self._frequent(tracks))

    def _frequent(self, tracks: Sequence[Track]) -> list[Track]:
        """The songs without the genres that have too few."""
        counts = Counter(genre for track in tracks for genre in track.genres)
        rare = {genre: n for genre, n in counts.items() if n < self.min_songs}
        kept = [replace(t, genres=tuple(g for g in t.genres if g not in rare)) for t in tracks]
        kept = [track for track in kept if track.genres]
        if rare:
            names = [f"{genre} {n}" for genre, n in sorted(rare.items(), key=lambda item: (-item[1], item[0]))]
            log.warning(
                "library: %d genres of fewer than %d songs are left out, and with them %d songs: %s "
                "(fold them into others with data.fold, or take data.min_songs)",
                *(len(rare), self.min_songs, len(tracks) - len(kept), shown(names, 20)),
            )
        if not kept:
            raise UserError(
                f"data.min_songs={self.min_songs}: no genre has so many songs, the most are "
                f"{', '.join(f'{g} {n}' for g, n in counts.most_common(3))}: take fewer, or fold them with data.fold"
            )
        return kept


def read_fold(given: str | None) -> dict[str, str]:
    """Sub-genre, in lower case, -> genre, of a yaml as in `rock: [hard rock, punk]`. Raises UserError."""
    if given is None:
        return {}
    path = Path(given).expanduser().absolute()
    read = read_yaml(path, "data.fold", "a yaml of genres and their sub-genres (rock: [punk, grunge])")
    if not isinstance(read, dict) or not all(isinstance(subs, list) for subs in read.values()):
        raise UserError(
            f"data.fold={path}: expected a list of sub-genres behind each genre, as in rock: [punk, grunge]"
        )
    fold: dict[str, str] = {}
    for genre, subs in read.items():
        for sub in [genre, *subs]:
            if isinstance(sub, (dict, list)) or sub is None:
                raise UserError(f"data.fold={path}: behind {genre} stands {sub!r}, expected names of sub-genres")
            if fold.setdefault(_plain(sub), str(genre)) != str(genre):
                raise UserError(f"data.fold={path}: {sub} is folded into {fold[_plain(sub)]} and {genre}: choose one")
    return fold


def _folded(genres: Sequence[tuple[str, ...]], fold: dict[str, str]) -> list[tuple[str, ...]]:
    """Each song's genres with sub-genres replaced; says how many songs of which were."""
    into: dict[str, Counter[str]] = {}
    for one in genres:
        for genre in one:
            target = fold.get(_plain(genre))
            if target is not None and _plain(target) != _plain(genre):
                into.setdefault(target, Counter())[_plain(genre)] += 1
    for target, subs in into.items():
        log.warning("library: folded into %s: %s", target, ", ".join(f"{sub} {n}" for sub, n in subs.most_common()))
    there = {_plain(genre) for one in genres for genre in one}
    if unused := [sub for sub, target in fold.items() if sub not in there and sub != _plain(target)]:
        log.warning("library: data.fold names sub-genres that no song has: %s", shown(unused, 10))
    return [tuple(dict.fromkeys(fold.get(_plain(genre), genre) for genre in one)) for one in genres]


def _common(genres: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Spellings that differ in case alone become the commonest of them, each genre once a song."""
    spelled: dict[str, Counter[str]] = {}
    for one in genres:
        for genre in one:
            spelled.setdefault(_plain(genre), Counter())[genre] += 1
    best = {plain: min(counts, key=lambda g: (-counts[g], g)) for plain, counts in spelled.items()}
    return [tuple(dict.fromkeys(best[_plain(genre)] for genre in one)) for one in genres]


def _track(name: str, file: Path, tags: Tags) -> Track:
    by = tags.albumartist
    artist = by if by and _plain(by) not in VARIOUS else tags.artist
    return Track(
        name,
        file,
        tags.genres,
        artist=_plain(artist) if artist else None,
        album=_plain(f"{by} - {tags.album}" if by else tags.album) if tags.album else None,
        track=_plain(f"{artist} - {tags.title}") if artist and tags.title else None,
        tempo_bpm=tags.tempo_bpm,
    )


def _filled(tracks: Iterable[Track]) -> list[Track]:
    """The songs' folder for the artist or the album that only some of them have."""
    found = list(tracks)
    for key in ("artist", "album"):
        holes = [track.id for track in found if not getattr(track, key)]
        if holes and len(holes) < len(found):
            log.warning(
                "library: %d songs have no %s in their tags, their folder stands for it: %s",
                *(len(holes), key, shown(holes)),
            )
            stands = {t.id: f"folder {Path(t.id).parent.as_posix()}" for t in found}
            if key == "artist":
                found = [replace(t, artist=t.artist or stands[t.id]) for t in found]
            else:
                found = [replace(t, album=t.album or stands[t.id]) for t in found]
    return found


def _plain(text: object) -> str:
    """For comparing: case and runs of spaces do not count."""
    return " ".join(str(text).split()).casefold()
