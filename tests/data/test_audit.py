"""What an audit finds in tracks, sounds and a split, by cases that were made for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from genrelab.audio.fingerprint import Alike
from genrelab.data import audit
from genrelab.data.split import Split, crossings
from genrelab.store import Heard, Pictures
from genrelab.types import GROUP_KEYS, SIDES, Track


def track(i: int, genre: str = "a", **more: Any) -> Track:
    return Track(f"t{i}", Path(f"/none/{i}.wav"), (genre,), **more)


def split(sides: list[str], kind: str = "artist") -> Split:
    ids = tuple(f"t{i}" for i in range(len(sides)))
    return Split(kind, ids, tuple(sides), ids, 0, ())


def pictures(pieces: list[np.ndarray], keys: list[str]) -> Pictures:
    lengths = np.array([len(p) for p in pieces])
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return Pictures(np.concatenate(pieces), first, lengths, lengths.astype(float), tuple(keys))


def drawn(seed: int, n: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 4)).astype(np.float16)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([*SIDES, "unused", "mixed"])), min_size=1))
def test_the_groups_on_two_sides_are_those_that_the_split_counts(rows: list[tuple[str, str]]) -> None:
    tracks = [track(i, artist=artist) for i, (artist, _) in enumerate(rows)]
    made = split([side for _, side in rows])
    found = [s for s in audit.groups(tracks, [made]) if s.key == "artist"]
    assert len(found) == crossings(tracks, made)["artist"]
    for s in found:
        assert s.crosses
        assert s.songs == tuple(i for i, t in enumerate(tracks) if t.artist == s.value)


def test_of_a_split_by_slice_every_song_is_named() -> None:
    tracks = [track(i) for i in range(3)]
    found = audit.groups(tracks, [split(["mixed"] * 3, "slice")])
    assert [(s.key, s.value, s.sides) for s in found] == [("song", f"t{i}", SIDES) for i in range(3)]


def test_a_group_that_only_a_later_fold_parts_is_found() -> None:
    tracks = [track(i, artist="x") for i in range(2)]
    folds = [split(["train", "train"]), split(["train", "test"])]
    assert audit.groups(tracks, folds[:1]) == []
    (found,) = audit.groups(tracks, folds)
    assert found.sides == ("train", "test")


def test_studios_on_two_sides_are_shown_and_are_no_leak() -> None:
    tracks = [track(i, studio="x", artist=str(i)) for i in range(2)]
    shared = audit.groups(tracks, [split(["train", "test"])])
    assert [s.key for s in shared] == ["studio"]
    assert audit.Findings(tuple(tracks), tuple(shared), (), (), (), ()).leaks == {}


def test_equal_sounds_are_one_set_and_unknown_ones_are_none() -> None:
    made = split(["train", "test", "train", "train", "unused", "train"])
    found = audit.duplicates(["p", "p", "q", "q", None, None], [made])
    assert [(e.songs, e.sides, e.crosses) for e in found] == [
        ((0, 1), ("train", "test"), True),
        ((2, 3), ("train",), False),
    ]


def test_what_is_unused_leaks_to_nowhere() -> None:
    (found,) = audit.duplicates(["p", "p"], [split(["unused", "test"])])
    assert found.sides == ("test",)
    assert not found.crosses


def test_near_duplicates_leave_out_the_exact_and_put_the_unknown_first() -> None:
    tracks = [track(0, track="r"), track(1, track="r"), track(2), track(3)]
    pairs = [Alike(0, 1, 0.99, 0, 0, 1.0), Alike(2, 3, 0.8, 1, 2, 1.02), Alike(0, 2, 0.9, 0, 0, 1.0)]
    found = audit.nearly(tracks, pairs, ["p", "q", "p", "s"], [split(["train", "train", "test", "train"])])
    assert [(n.songs, n.crosses, n.same_recording) for n in found] == [((2, 3), True, False), ((0, 1), False, True)]


def test_one_recording_under_two_genres_is_known_by_its_name_by_its_sound_and_by_likeness() -> None:
    tracks = [track(0, "a", track="r"), track(1, "b", track="r"), track(2, "a"), track(3, "b"), track(4, "b")]
    made = [split(["train"] * 5)]
    exact = audit.duplicates(["1", "2", "3", "3", "5"], made)
    near = audit.nearly(tracks, [Alike(2, 4, 0.9, 0, 0, 1.0), Alike(3, 4, 0.9, 0, 0, 1.0)], [None] * 5, made)
    assert audit.two_genres(tracks, exact, near) == [
        ("column track", (0, 1)),
        ("the same sound", (2, 3)),
        ("nearly the same sound", (2, 4)),
    ]


def test_faults_are_named_with_their_measure() -> None:
    heard = [
        Heard("", 0.0, "truncated", "why"),
        *(Heard(str(i), s) for i, s in enumerate((30.0, 30.0, 30.0, 9.0, 1.0))),
    ]
    clean = np.zeros(6)
    measured = {
        "clipped_share": np.array([np.nan, 0.02, 0, 0, 0, 0]),
        "silent_share": np.where(np.arange(6) == 2, 0.5, clean),
    }
    found = audit.faults(heard, measured, shortest_s=2.56)
    assert [(f.song, f.what) for f in found] == [
        (0, "truncated"),
        (1, "clipped"),
        (2, "mostly silent"),
        (4, "short"),
        (5, "shorter than a slice"),
    ]
    assert found[1].detail == "2.00 % of the samples"


def test_a_split_of_the_usable_songs_leaves_the_others_unused() -> None:
    made = audit.placed(split(["test"]), [track(0), track(1)])
    assert made.sides == ("test", "unused")


def test_leaks_are_counted_by_kind() -> None:
    tracks = [track(i, artist="x") for i in range(2)]
    made = [split(["train", "test"])]
    exact = audit.duplicates(["p", "p"], made)
    found = audit.Findings(tuple(tracks), tuple(audit.groups(tracks, made)), tuple(exact), (), (), ())
    assert found.leaks == {"artist": 1, "exact duplicates": 1}


# what every run does


def test_fast_finds_a_group_on_two_sides() -> None:
    heard = pictures([drawn(0), drawn(1)], ["k0", "k1"])
    for key in GROUP_KEYS:
        tracks = [track(i, **{key: "x"}) for i in range(2)]
        assert audit.fast(tracks, heard, [split(["train", "test"])]) == "leaks"
        assert audit.fast(tracks, heard, [split(["train", "train"])]) == "clean"
    assert (
        audit.fast([track(0, studio="x"), track(1, artist="y", studio="x")], heard, [split(["train", "test"])])
        == "clean"
    )


def test_fast_finds_the_same_file_and_the_same_sound_in_another_file_also_under_another_genre() -> None:
    tracks = [track(0, "a", artist="x"), track(1, "b", artist="y")]
    apart = [split(["train", "test"])]
    assert audit.fast(tracks, pictures([drawn(0), drawn(0)], ["k", "k"]), apart) == "leaks"
    assert audit.fast(tracks, pictures([drawn(0), drawn(0)], ["k0", "k1"]), apart) == "leaks"
    assert audit.fast(tracks, pictures([drawn(0), drawn(1)], ["k0", "k1"]), apart) == "clean"


def test_fast_compares_whole_pictures_where_their_middles_agree() -> None:
    tracks = [track(0, artist="x"), track(1, artist="y")]
    other = drawn(0)
    other[0, 0] += 1
    assert audit.fast(tracks, pictures([drawn(0), other], ["k0", "k1"]), [split(["train", "test"])]) == "clean"


def test_fast_does_not_call_clean_what_it_knows_nothing_of() -> None:
    heard = pictures([drawn(0), drawn(1)], ["k0", "k1"])
    assert audit.fast([track(0), track(1)], heard, [split(["train", "test"])]) == "unaudited"
    assert audit.fast([track(0), track(1)], heard, [split(["mixed", "mixed"], "slice")]) == "leaks"
