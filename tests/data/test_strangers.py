"""Songs of none of the genres are in the test alone; fewer songs in training are some of the more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrelab.data.split import BySlice, Grouped, KFold, Split
from genrelab.data.strangers import fewer, of_studio, with_strangers
from genrelab.types import SIDES, Track, UserError

GENRES = "abc"


def song(i: int, genre: str | None, artist: str | None, **more: str) -> Track:
    return Track(f"s{i}", Path(f"/s{i}.wav"), (genre,) if genre else (), artist=artist, **more)  # type: ignore[arg-type]


def known_songs(n_artists: int = 6, songs: int = 3) -> list[Track]:
    rows = [(g, f"{g}{a}") for g in GENRES for a in range(n_artists) for _ in range(songs)]
    return [song(i, genre, artist) for i, (genre, artist) in enumerate(rows)]


def sides_of(split: Split, tracks: list[Track], side: str) -> list[Track]:
    return [track for track, at in zip(tracks, split.sides, strict=True) if at == side]


# artists of the known songs are a0 .. c5; x0 .. x7 are nobody there
foreign = st.lists(st.sampled_from([f"x{k}" for k in range(8)] + ["a0", "a1", "b3", "c5"]), max_size=25)


def mixed(artists: list[str], seed: int) -> tuple[list[Track], list[Track], np.ndarray]:
    """Known songs; these and the others in a drawn order; which are known."""
    tracks = known_songs()
    tracks += [song(1000 + i, None, artist) for i, artist in enumerate(artists)]
    tracks = [tracks[i] for i in np.random.default_rng(seed).permutation(len(tracks))]
    known = np.array([bool(track.genres) for track in tracks])
    return [track for track in tracks if track.genres], tracks, known


@settings(deadline=None, max_examples=80)
@given(foreign, st.integers(0, 99))
def test_strangers_are_in_the_test_and_nowhere_else(artists: list[str], seed: int) -> None:
    own, tracks, known = mixed(artists, seed)
    lots = np.random.default_rng(seed).choice([*SIDES, "unused"], 18)
    side_of = dict(zip(sorted({str(track.artist) for track in own}), map(str, lots), strict=True))
    groups = tuple(str(track.artist) for track in own)
    sides = tuple(side_of[group] for group in groups)
    splits = [Split("artist", tuple(track.id for track in own), sides, groups, seed, ("a note",))]
    (split,) = with_strangers(splits, tracks, known)
    assert split.ids == tuple(track.id for track in tracks)
    of_known = [side for side, k in zip(split.sides, known, strict=True) if k]
    assert tuple(of_known) == splits[0].sides  # the known songs lie where they lay
    learnt = {track.artist for side in ("train", "val") for track in sides_of(split, tracks, side)}
    assert all(track.genres for side in ("train", "val") for track in sides_of(split, tracks, side))
    for track, side, group, is_known in zip(tracks, split.sides, split.groups, known, strict=True):
        assert group == track.artist
        if not is_known:
            assert side == ("unused" if track.artist in learnt else "test")
    n_in, n_met = (sum(a not in learnt for a in artists), sum(a in learnt for a in artists))
    assert f"{n_in} songs of none of the genres are in the test" in split.notes
    assert any(f"{n_met} songs of none of the genres are left out" in note for note in split.notes) == (n_met > 0)
    assert split.notes[0] == "a note"


@settings(deadline=None, max_examples=25)
@given(foreign, st.integers(0, 99), st.integers(3, 5))
def test_folds_share_the_strangers_out_group_by_group(artists: list[str], seed: int, n_folds: int) -> None:
    own, tracks, known = mixed(artists, seed)
    folds = with_strangers(KFold("artist", n_folds).splits(own, seed), tracks, known)
    tested: Counter[str] = Counter()
    where: dict[str | None, set[int | None]] = {}
    for split in folds:
        learnt = {track.artist for side in ("train", "val") for track in sides_of(split, tracks, side)}
        for track in sides_of(split, tracks, "test"):
            tested[track.id] += 1
            if not track.genres:
                assert track.artist not in learnt
                where.setdefault(track.artist, set()).add(split.fold)
    assert all(tested[track.id] == 1 for track in tracks)  # one by a known artist where that artist is tested
    assert all(len(at) == 1 for at in where.values())


def test_many_strangers_are_spread_over_all_folds() -> None:
    own = known_songs()
    tracks = own + [song(1000 + i, None, f"y{i}") for i in range(200)]
    folds = with_strangers(KFold("artist", 4).splits(own, 0), tracks, np.array([bool(t.genres) for t in tracks]))
    for split in folds:
        assert 30 <= sum(not track.genres for track in sides_of(split, tracks, "test")) <= 70


def test_a_stranger_without_the_key_counts_for_its_recording_else_for_itself() -> None:
    own = known_songs()
    tracks = [*own, song(1000, None, None, track="tape"), song(1001, None, None)]
    known = np.array([bool(track.genres) for track in tracks])
    (split,) = with_strangers(Grouped("artist", 4, None).splits(own, 0), tracks, known)
    assert split.groups[-2:] == ("tape", "s1001") and split.sides[-2:] == ("test", "test")


@pytest.mark.parametrize("kind", ["official", "file"])
def test_of_a_given_split_a_stranger_by_a_learnt_artist_is_none(kind: str) -> None:
    """Whatever key the given sides kept: here artists."""
    own = known_songs()
    groups = tuple(str(track.artist) for track in own)
    sides = tuple("test" if group.endswith("0") else "train" for group in groups)
    split = Split(kind, tuple(track.id for track in own), sides, groups, 0, ())
    tracks = [*own, song(1000, None, "a0"), song(1001, None, "a1"), song(1002, None, "x1", track="tape")]
    (made,) = with_strangers([split], tracks, np.array([bool(track.genres) for track in tracks]))
    assert made.sides[-3:] == ("test", "unused", "test")
    assert made.groups[-3:] == ("a0", "a1", "tape")


def test_windows_of_a_learnt_recording_are_no_strangers() -> None:
    own = [song(i, "ab"[i % 2], None, track=f"t{i}") for i in range(40)]
    splits = Grouped("song", 4, None).splits(own, 0)
    tracks = own + [song(1000 + i, None, None, track=f"t{i}") for i in range(40)]
    (split,) = with_strangers(splits, tracks, np.array([bool(track.genres) for track in tracks]))
    wanted = {"train": "unused", "val": "unused", "test": "test"}
    assert [wanted[side] for side in split.sides[:40]] == list(split.sides[40:])


def test_by_slice_strangers_are_whole_in_the_test() -> None:
    own = known_songs(2)
    tracks = [*own, song(1000, None, "x")]
    (split,) = with_strangers(BySlice(4).splits(own, 0), tracks, np.array([True] * len(own) + [False]))
    assert {side: len(split.slices(len(own), 8, side)) for side in SIDES} == {"train": 0, "val": 0, "test": 8}
    assert len(split.slices(0, 8, "train")) == 4


# fewer songs in training

table = st.lists(st.tuples(st.sampled_from(GENRES), st.integers(0, 5)), min_size=3, max_size=60)
lots = st.sampled_from(["train", "train", "train", "val", "test", "unused"])


@settings(deadline=None, max_examples=100)
@given(table.flatmap(lambda t: st.tuples(st.just(t), st.lists(lots, min_size=len(t), max_size=len(t)))), st.data())
def test_fewer_songs_are_some_of_the_more(drawn: tuple[list[tuple[str, int]], list[str]], data: st.DataObject) -> None:
    rows, at = drawn
    tracks = [song(i, genre, f"{genre}{artist}") for i, (genre, artist) in enumerate(rows)]
    groups = tuple(str(track.artist) for track in tracks)
    split = Split("artist", tuple(t.id for t in tracks), tuple(at), groups, data.draw(st.integers(0, 9)), ("a note",))
    all_of = Counter(track.genre for track in sides_of(split, tracks, "train"))
    n, m = sorted(data.draw(st.lists(st.integers(max(1, len(all_of)), len(rows) + 3), min_size=2, max_size=2)))
    small, large = fewer(split, tracks, n), fewer(split, tracks, m)
    kept = {track.id for track in sides_of(small, tracks, "train")}
    assert len(kept) <= n
    assert kept <= {track.id for track in sides_of(large, tracks, "train")}
    for before, after in zip(split.sides, small.sides, strict=True):
        assert after == before or (before, after) == ("train", "unused")
    left = Counter(track.genre for track in sides_of(small, tracks, "train"))
    assert left == {genre: min(have, n // len(all_of)) for genre, have in all_of.items()}
    for genre in all_of:  # whole groups, but for one
        parts = [
            (sum(t.id in kept for t in own), len(own))
            for own in ([t for t in sides_of(split, tracks, "train") if t.artist == f"{genre}{a}"] for a in range(6))
        ]
        assert sum(0 < n_kept < n_own for n_kept, n_own in parts) <= 1
    assert small.notes == ("a note", f"training has {len(kept)} songs (limit_train={n})")


def test_fewer_songs_are_fewer_artists_and_another_seed_keeps_others() -> None:
    tracks = known_songs(12)
    ids, kept = tuple(track.id for track in tracks), set()
    for seed in range(6):
        split = Split("artist", ids, ("train",) * len(tracks), tuple(str(t.artist) for t in tracks), seed, ())
        kept.add(frozenset(track.artist for track in sides_of(fewer(split, tracks, 18), tracks, "train")))
    assert len(kept) > 3 and all(len(artists) == 6 for artists in kept)


def test_fewer_songs_than_genres_and_a_split_by_slice_are_refused() -> None:
    tracks = known_songs()
    (split,) = Grouped("artist", 4, None).splits(tracks, 0)
    assert Counter(t.genre for t in sides_of(fewer(split, tracks, 3), tracks, "train")) == dict.fromkeys(GENRES, 1)
    with pytest.raises(UserError, match=r"^limit_train=2: .* 3 genres$"):
        fewer(split, tracks, 2)
    with pytest.raises(UserError, match=r"^limit_train=9: .*split=slice.*"):
        fewer(BySlice(4).splits(tracks, 0)[0], tracks, 9)


def test_strangers_do_not_count_among_fewer() -> None:
    own = known_songs()
    tracks = own + [song(1000 + i, None, f"y{i}") for i in range(9)]
    known = np.array([bool(track.genres) for track in tracks])
    (split,) = with_strangers(Grouped("artist", 4, None).splits(own, 0), tracks, known)
    small = fewer(split, tracks, 6)
    assert sides_of(small, tracks, "test") == sides_of(split, tracks, "test")
    assert Counter(t.genre for t in sides_of(small, tracks, "train")) == dict.fromkeys(GENRES, 2)


def test_training_and_validation_hear_one_studio_and_the_test_stays() -> None:
    tracks = [replace(t, studio="AB"[i % 2]) for i, t in enumerate(known_songs(12))]
    (split,) = Grouped("artist", 4, None).splits(tracks, 0)
    kept = of_studio(split, tracks, "B")
    for track, before, after in zip(tracks, split.sides, kept.sides, strict=True):
        assert after == (before if before == "test" or track.studio == "B" else "unused")
    n = sum(side == "train" for side in kept.sides)
    assert kept.notes[-1] == f"training has {n} songs (train_studio=B)" and kept.digest != split.digest


def test_a_studio_that_is_not_there_or_has_not_every_genre_is_refused() -> None:
    tracks = known_songs()
    (split,) = Grouped("artist", 4, None).splits(tracks, 0)
    with pytest.raises(UserError, match=r"^train_studio=A: no song is of it; the songs name no studio$"):
        of_studio(split, tracks, "A")
    some = [replace(t, studio="A" if t.genre == GENRES[0] else "Abbey") for t in tracks]
    with pytest.raises(UserError, match=r"^train_studio=abby: no song is of it; near it: Abbey"):
        of_studio(split, some, "abby")
    with pytest.raises(UserError, match=rf"^train_studio=A: train would have no song of {GENRES[1]}: "):
        of_studio(split, some, "A")
    with pytest.raises(UserError, match=r"^train_studio=A: .*split=slice.*"):
        of_studio(BySlice(4).splits(tracks, 0)[0], some, "A")
