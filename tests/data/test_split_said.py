"""What a split says in words, how validation is carved out of what is left, and what counts as a crossing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from genrelab.data.split import (
    KEYS,
    BySlice,
    Grouped,
    KFold,
    Split,
    auto_key,
    carve_val,
    crossings,
    groups_per_genre,
    key_values,
    labels_of,
    lacking,
    many,
    named_values,
)
from genrelab.types import Track, UserError


def song(i: int, genre: str, **more: str | None) -> Track:
    return Track(f"s{i}", Path(f"/s{i}.wav"), (genre,), **more)  # type: ignore[arg-type]


def corpus(n_artists: dict[str, int], songs: int = 2) -> list[Track]:
    rows = [(genre, f"{genre}-{a}") for genre, n in n_artists.items() for a in range(n) for _ in range(songs)]
    return [song(i, genre, artist=artist) for i, (genre, artist) in enumerate(rows)]


def refused(splitter: Grouped | BySlice | KFold, tracks: Sequence[Track]) -> str:
    with pytest.raises(UserError) as caught:
        splitter.splits(tracks, 0)
    return str(caught.value)


def test_groups_are_counted_once_in_every_genre_that_they_lie_in() -> None:
    found = groups_per_genre(["b", "a", "b", "b", "a"], ["x", "x", "x", "y", "x"])
    assert found == {"a": 1, "b": 2}
    assert list(found) == ["a", "b"]  # in the order of their names


def test_of_many_genres_those_with_the_fewest_groups_are_named() -> None:
    ten = {f"g{i}": 20 - i for i in range(10)}
    assert many(ten, "artist") == ", ".join(f"g{i} {20 - i}" for i in range(10)) + " artists"
    assert "g0" not in many({**ten, "few": 2}, "artist")  # eleven: the one with the most groups is left out
    twelve = {"few": 2, **ten, "fewer": 1}
    said = ", ".join(f"g{i} {20 - i}" for i in range(9, 1, -1))
    assert many(twelve, "album") == f"fewer 1, few 2, {said} albums (and more in 2 other genres)"


def test_held_out_values_are_words_whatever_the_command_line_made_of_them() -> None:
    assert named_values(None) == []
    assert named_values("one, two") == ["one, two"]
    assert named_values(1987) == ["1987"]
    assert named_values(OmegaConf.create(["a", 2])) == ["a", "2"]


def test_a_song_of_several_genres_is_split_by_its_heaviest() -> None:
    both = replace(song(0, "a"), genres=("a", "b"), weights=(0.3, 0.7))
    assert labels_of([both, replace(both, weights=None)]) == ["b", "a"]


def test_keys_that_tracks_do_not_have_are_named_with_those_that_they_have() -> None:
    tracks = [song(i, "a", artist="x", studio="y") for i in range(3)]
    with pytest.raises(
        UserError, match=r"column album in the manifest, it has artist, studio: .*data\.columns\.album="
    ):
        key_values(tracks, "album")
    with pytest.raises(UserError, match="it has none of group, artist, album, track, studio"):
        key_values([song(0, "a")], "studio")
    with pytest.raises(UserError, match=r"on every row, 2 of 5 have none \(first: s3\)"):
        key_values([*tracks, song(3, "a"), song(4, "a")], "artist")
    named = [song(0, "a", track="t"), song(1, "a")]
    assert key_values(named, "song") == ("t", "s1")  # a recording without a name is its own


def test_auto_says_why_it_passed_over_a_key() -> None:
    tracks = [
        song(i, "ab"[i % 2], group="all", artist=None if i < 2 else "x", album=f"l{i // 2 % 4}") for i in range(24)
    ]
    for album, key, counts in ((True, "album", "a 4, b 4 albums"), (False, "song", "a 12, b 12 songs")):
        taken, why = auto_key(tracks if album else [replace(t, album=None) for t in tracks])
        assert taken == key
        assert counts in why
        assert "a has 1 group" in why and "artist lacks on 2 rows" in why
    bare = auto_key([song(i, "ab"[i % 2], studio="y") for i in range(8)])[1]
    assert "no column group, artist, album, track" in bare


def test_the_genre_with_the_fewest_groups_decides_wherever_its_name_stands() -> None:
    for few in ("a", "m", "z"):
        tracks = corpus({"a": 9, "m": 9, "z": 9} | {few: 2})
        key, why = auto_key(tracks)
        assert key == "song" and f"{few} has 2 artists" in why
        (split,) = Grouped("artist", 5, None).splits(corpus({"a": 9, "m": 9, "z": 9} | {few: 4}), 0)
        assert split.n_folds == 4


def test_a_single_split_tests_one_fold_of_those_that_the_fewest_groups_allow() -> None:
    tracks = corpus({"metal": 4, "pop": 9})
    (split,) = Grouped("artist", 6, None).splits(tracks, 0)
    assert split.n_folds == 4
    assert "4 folds instead of 6: metal has 4 artists" in split.notes
    (split,) = Grouped("artist", 4, None).splits(tracks, 0)
    assert split.n_folds == 4
    assert not any("instead" in note for note in split.notes)
    (split,) = Grouped("artist", 9, None).splits(corpus({"a": 2, "b": 9}), 0)
    assert split.n_folds == 3  # train, val and test, though a genre has two artists alone


def test_three_folds_are_the_fewest() -> None:
    tracks = corpus({"a": 5, "b": 5})
    for made in (Grouped("artist", 3, None), KFold("artist", 3), BySlice(3)):
        assert made.splits(tracks, 0)[0].n_folds == 3
    for made in (Grouped("artist", 2, None), KFold("artist", 2), BySlice(2), KFold("slice", 2)):
        assert "split.n_folds=2: expected at least 3" in refused(made, tracks)


def test_a_remedy_is_another_one_where_songs_are_already_split() -> None:
    said = refused(Grouped("song", 4, None), [song(0, "a"), *[song(i, "b") for i in range(1, 9)]])
    assert "a has 1 song, 9 in all" in said
    assert "take split=" not in said
    assert "take split=" in refused(Grouped("artist", 4, None), corpus({"a": 1, "b": 9}))


def test_few_groups_are_said_with_what_helps() -> None:
    tracks = corpus({"a": 4, "b": 5})
    (single,) = Grouped("artist", 4, None).splits(tracks, 0)
    (said,) = [note for note in single.notes if "few groups" in note]
    assert "(a 4 artists)" in said and "split=kfold pools them" in said
    (pooled,) = [note for note in KFold("artist", 4).splits(tracks, 0)[0].notes if "few groups" in note]
    assert "even pooled over the folds" in pooled and "split=kfold" not in pooled


def test_genres_that_a_side_lacks() -> None:
    assert lacking(["b", "a", "a", "c"], ["val", "val", "test", "test"], "val") == ["c"]
    assert lacking(["b", "a"], ["test", "test"], "val") == ["a", "b"]


def artists(n: dict[str, int], songs: int = 1) -> tuple[list[str], list[str]]:
    tracks = corpus(n, songs)
    return labels_of(tracks), [str(t.artist) for t in tracks]


@pytest.mark.parametrize(("n_folds", "n_val"), [(2, 10), (4, 5), (5, 4), (10, 2)])
def test_validation_is_an_nth_of_every_genre(n_folds: int, n_val: int) -> None:
    labels, groups = artists({"a": 20, "b": 20})
    val = carve_val(labels, groups, n_folds, 0)
    assert val.shape == (40,) and val.dtype == bool
    assert [int(val[np.array(labels) == genre].sum()) for genre in "ab"] == [n_val] * 2


def test_validation_is_no_smaller_than_an_artist_of_each_genre() -> None:
    labels, groups = artists({"a": 4, "b": 12}, songs=3)
    for seed in range(5):
        val = carve_val(labels, groups, 10, seed)
        here = {group for group, v in zip(groups, val, strict=True) if v}
        assert [sum(group.startswith(genre) for group in here) for genre in "ab"] == [1, 3]  # a quarter, not a tenth
        assert int(val.sum()) == 4 * 3  # whole artists


def test_a_genre_of_one_artist_is_learned_and_not_validated() -> None:
    labels, groups = artists({"a": 1, "b": 6, "c": 6})
    for seed in range(8):
        val = carve_val(labels, groups, 4, seed)
        assert {label for label, v in zip(labels, val, strict=True) if v} == {"b", "c"}


def test_what_train_can_spare_is_validated() -> None:
    """Of three folds two hold an artist of the rarer genre: one of these validates, and the other is learned from."""
    labels, groups = artists({"a": 2, "b": 6})
    for seed in range(8):
        val = carve_val(labels, groups, 4, seed)
        assert {label for label, v in zip(labels, val, strict=True) if v} == {"a", "b"}
        assert {label for label, v in zip(labels, val, strict=True) if not v} == {"a", "b"}


@pytest.mark.parametrize("seed", range(6))
def test_the_fold_that_validates_leaves_train_what_it_can(seed: int) -> None:
    """Where one artist of the rarer genre is tested, the fold of its other one does not validate."""
    tracks = corpus({"a": 2, "b": 6})
    for split in KFold("artist", 3).splits(tracks, seed):
        assert lacking(labels_of(tracks), split.sides, "train") == []
        assert {"train", "val", "test"} == set(split.sides)


def test_of_two_artists_that_are_not_held_out_one_validates() -> None:
    tracks = corpus({"a": 4})
    (split,) = Grouped("artist", 4, ["a-0", "a-2"]).splits(tracks, 0)
    sides = {t.artist: side for t, side in zip(tracks, split.sides, strict=True)}
    assert (sides["a-0"], sides["a-2"]) == ("test", "test")
    assert {sides["a-1"], sides["a-3"]} == {"train", "val"}
    assert "leaves 1 artist" in refused(Grouped("artist", 4, ["a-0", "a-1", "a-2"]), tracks)


def split_of(sides: Sequence[str], kind: str = "file") -> Split:
    ids = tuple(f"s{i}" for i in range(len(sides)))
    return Split(kind, ids, tuple(sides), ids, 0, ())


def test_crossings_count_values_on_two_of_three_sides() -> None:
    artist = ["x", "x", "y", "y", "z", "z", None]
    tracks = [song(i, "a", artist=name, album="one") for i, name in enumerate(artist)]
    split = split_of(["train", "test", "val", "val", "unused", "train", "test"])
    assert crossings(tracks, split) == {"artist": 1, "album": 1}  # what is not used crosses nothing
    everywhere = [replace(t, **dict.fromkeys(KEYS, "same")) for t in tracks]
    assert crossings(everywhere, split) == dict.fromkeys(KEYS, 1)
    assert crossings(tracks, split_of(["mixed"] * 7, "slice")) == {"artist": 3, "album": 1}
    assert crossings([song(0, "a")], split_of(["train"])) == {}


def test_slices_of_a_mixed_song_are_a_third_each_where_no_number_of_folds_is_known() -> None:
    split = split_of(["mixed"], "slice")
    sizes = {side: len(split.slices(0, 300, side)) for side in ("train", "val", "test")}
    assert sizes == {"train": 100, "val": 100, "test": 100}


def test_a_digest_is_of_who_lies_where_and_of_what_slices_hang_on() -> None:
    one = split_of(["train", "test"])
    assert one.digest == replace(one, kind="song", seed=9, n_folds=5, notes=("x",)).digest
    assert one.digest != split_of(["test", "train"]).digest
    mixed = split_of(["mixed", "mixed"], "slice")
    digests = {mixed.digest, replace(mixed, seed=1).digest, replace(mixed, n_folds=4).digest}
    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {16}


def test_a_split_by_slice_that_was_written_long_ago_means_the_same_slices() -> None:
    """A file of it holds ids, seed and number of folds alone: the slices are drawn anew from these."""
    split = Split("slice", ("song one", "song two"), ("mixed", "mixed"), ("a", "b"), 7, (), 4)
    assert [split.slices(i, 12, "test").tolist() for i in (0, 1)] == [[6, 9, 11], [3, 10, 11]]
    assert [split.slices(i, 12, "val").tolist() for i in (0, 1)] == [[4, 8, 10], [0, 2, 4]]
    assert split.digest == "9d0f2111720e3aff"
