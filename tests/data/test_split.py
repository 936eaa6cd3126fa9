"""Splits: what songs share never lies on two sides; every side holds every genre where the groups allow it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from genrelab.data.folds import grouped_folds
from genrelab.data.manifest import read_manifest
from genrelab.data.split import BySlice, Grouped, KFold, Split, crossings
from genrelab.data.split_given import FromFile, Official, write_split
from genrelab.types import SIDES, Track, UserError

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"


def song(i: int, genre: str, **more: str | None) -> Track:
    return Track(f"s{i}", Path(f"/s{i}.wav"), (genre,), **more)  # type: ignore[arg-type]


def corpus(n_artists: dict[str, int], songs: int = 4, **more: str) -> list[Track]:
    """`songs` songs of each of so many artists in each genre."""
    rows = [(genre, f"{genre}-{a}") for genre, n in n_artists.items() for a in range(n) for _ in range(songs)]
    return [song(i, genre, artist=artist, **more) for i, (genre, artist) in enumerate(rows)]


def genres_on(tracks: list[Track], split: Split, side: str) -> Counter[str]:
    return Counter(track.genres[0] for track, at in zip(tracks, split.sides, strict=True) if at == side)


def wrong(splitter: object, tracks: list[Track]) -> str:
    with pytest.raises(UserError) as caught:
        splitter.splits(tracks, 0)  # type: ignore[attr-defined]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def auto(n_folds: int = 4, test: object = None, by: str = "auto") -> Grouped:
    return Grouped(by, n_folds, test)


rows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 2**31), st.integers(3, 5), st.booleans())
def test_no_group_lies_on_two_sides(table: list[tuple[str, int]], seed: int, n_folds: int, many: bool) -> None:
    tracks = [song(i, genre, artist=f"x{group}") for i, (genre, group) in enumerate(table)]
    splitter = KFold("artist", n_folds) if many else auto(n_folds, by="artist")
    try:
        splits = splitter.splits(tracks, seed)
    except UserError as error:
        assert "genre" in str(error) or "val" in str(error)
        return
    assert splits == splitter.splits(tracks, seed)
    tested: Counter[str] = Counter()
    for split in splits:
        assert len(split.sides) == len(tracks)
        assert set(split.sides) <= set(SIDES)
        assert crossings(tracks, split) == {"artist": 0}
        tested.update(i for i, side in zip(split.ids, split.sides, strict=True) if side == "test")
        if not many:
            assert (
                set(genres_on(tracks, split, "train")) == set(genres_on(tracks, split, "test")) == {t for t, _ in table}
            )
            assert "val" in split.sides
    if many:
        assert tested == {track.id: 1 for track in tracks}


@settings(max_examples=40, deadline=None)
@given(rows, st.integers(0, 99), st.integers(2, 5))
def test_folds_are_whole_groups(table: list[tuple[str, int]], seed: int, n_folds: int) -> None:
    labels, groups = [row[0] for row in table], [str(row[1]) for row in table]
    folds = grouped_folds(labels, groups, n_folds, seed)
    assert set(folds) <= set(range(n_folds))
    assert len(set(zip(groups, folds, strict=True))) == len(set(groups))
    assert np.array_equal(folds, grouped_folds(labels, groups, n_folds, seed))


@pytest.mark.parametrize("seed", range(4))
def test_studios_tied_to_genres(seed: int) -> None:
    """24 studios, 4 at home in each of 6 genres, a tenth of the songs anywhere: a home studio of each on every fold."""
    rng = np.random.default_rng(seed)
    tracks = []
    for i in range(480):
        genre = i % 6
        studio = 4 * genre + rng.integers(4) if rng.random() < 0.9 else rng.integers(24)
        tracks.append(song(i, f"g{genre}", studio=f"{studio:02}"))
    for split in KFold("studio", 4).splits(tracks, seed):
        homes = Counter(
            int(s) // 4 for s in {t.studio for t, at in zip(tracks, split.sides, strict=True) if at == "test"}
        )  # type: ignore[arg-type]
        assert homes == dict.fromkeys(range(6), 1)
        assert crossings(tracks, split) == {"studio": 0}
        assert all(0.1 < n / 80 < 0.4 for n in genres_on(tracks, split, "test").values())


def test_every_fold_holds_every_genre_where_the_groups_allow_it() -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        tracks = []
        for genre in "abcde":  # exactly as many artists as folds, of very unequal size
            for artist in range(4):
                tracks += [song(len(tracks) + k, genre, artist=f"{genre}{artist}") for k in range(rng.integers(1, 30))]
        for split in KFold("artist", 4).splits(tracks, seed):
            assert set(genres_on(tracks, split, "test")) == set("abcde")
            assert set(genres_on(tracks, split, "train")) == set("abcde")


def test_a_split_of_few_groups_is_found_where_there_is_one() -> None:
    """Single moves and swaps of groups do not lead to it."""
    rows = ["c3", "d1", "d3", "b3", "a1", "c0", "a4", "c3", "b3", "b2", "b1", "c3", "d4"]
    tracks = [song(i, genre, artist=artist) for i, (genre, artist) in enumerate(rows)]
    for seed in range(4):
        (split,) = auto(by="artist").splits(tracks, seed)
        assert set(genres_on(tracks, split, "train")) == set(genres_on(tracks, split, "test")) == set("abcd")
        assert genres_on(tracks, split, "val")


def test_shares_and_seeds() -> None:
    tracks = corpus(dict.fromkeys("abc", 40), songs=1)
    (split,) = auto().splits(tracks, 0)
    assert Counter(split.sides) == {"train": 60, "val": 30, "test": 30}
    assert all(n == 10 for n in genres_on(tracks, split, "test").values())
    assert split.kind == "artist"
    assert split.groups == tuple(track.artist for track in tracks)
    digests = {auto().splits(tracks, seed)[0].digest for seed in range(5)}
    assert len(digests) == 5
    assert all(len(digest) >= 12 for digest in digests)
    shuffled = Split(split.kind, split.ids[::-1], split.sides[::-1], split.groups[::-1], 9, ())
    assert shuffled.digest == split.digest


def test_auto_takes_the_first_key_that_holds_and_says_so() -> None:
    tracks = corpus({"metal": 5, "pop": 6}, studio="s1")
    (split,) = auto().splits(tracks, 0)
    assert split.kind == "artist"
    assert "split by artist: metal 5, pop 6 artists" in split.notes
    grouped = [replace(t, group=f"{t.genres[0]}{i % 3}") for i, t in enumerate(tracks)]
    assert auto().splits(grouped, 0)[0].kind == "group"
    two = [replace(t, group=f"{t.genres[0]}{i % 2}") for i, t in enumerate(tracks)]
    assert auto().splits(two, 0)[0].kind == "artist"  # 2 values in a genre are not enough
    holes = [replace(t, artist=t.artist if i else None, track=t.id) for i, t in enumerate(tracks)]
    assert auto().splits(holes, 0)[0].kind == "track"  # one row without artist


def test_auto_falls_back_to_songs_never_to_studios() -> None:
    tracks = [song(i, "ab"[i % 2], studio=f"s{i % 7}", artist="one") for i in range(40)]
    (split,) = auto().splits(tracks, 0)
    assert split.kind == "song"
    assert split.groups == split.ids
    assert "split by song" in split.notes[0]
    assert "(a has 1 artist, fewer than 3)" in split.notes[0]


def test_song_keeps_windows_of_a_recording_together() -> None:
    tracks = [song(i, "ab"[i // 3 % 2], track=f"t{i // 3}") for i in range(60)]
    (split,) = auto(by="song").splits(tracks, 1)
    assert crossings(tracks, split) == {"track": 0}
    assert split.groups[:4] == ("t0", "t0", "t0", "t1")


def test_a_recording_on_two_sides_is_said() -> None:
    tracks = [song(i, "ab"[i % 2], artist=f"x{i}", track=f"t{i // 4}") for i in range(80)]
    (split,) = auto(by="artist").splits(tracks, 0)
    assert crossings(tracks, split)["track"] > 0
    assert any("recordings" in note and "leak" in note for note in split.notes)


def test_few_groups() -> None:
    tracks = corpus({"metal": 4, "pop": 9})
    (split,) = auto().splits(tracks, 0)
    assert any("unreliable" in note and "split=kfold" in note and "metal 4" in note for note in split.notes)
    assert not any("unreliable" in note for note in auto().splits(corpus({"metal": 5, "pop": 5}), 0)[0].notes)
    folds = KFold("auto", 5).splits(tracks, 0)
    assert len(folds) == 4
    assert [(split.fold, split.n_folds) for split in folds] == [(k, 4) for k in range(4)]
    assert any("4 folds instead of 5: metal has 4 artists" in note for note in folds[0].notes)


@pytest.mark.parametrize("seed", range(3))
def test_two_groups_in_a_genre(seed: int) -> None:
    tracks = corpus({"a": 2, "b": 2, "c": 2, "d": 2, "e": 7})
    (split,) = auto(by="artist").splits(tracks, seed)
    assert set(genres_on(tracks, split, "train")) == set(genres_on(tracks, split, "test")) == set("abcde")
    assert any("val holds no a, b, c, d" in note for note in split.notes)
    for fold in KFold("artist", 5).splits(tracks, seed):
        lacks = set("abcde") - set(genres_on(tracks, fold, "test"))
        assert all(any(genre in note for note in fold.notes if "test holds no" in note) for genre in lacks)


def test_impossible_splits_are_refused() -> None:
    said = wrong(auto(by="artist"), corpus({"metal": 1, "pop": 9}))
    assert "metal has 1 artist," in said
    assert "split=auto" in said
    assert "a, b have 1 artist each, 2 in all" in wrong(auto(by="artist"), corpus({"a": 1, "b": 1}))
    assert "metal has 1 artist," in wrong(KFold("artist", 5), corpus({"metal": 1, "pop": 9}))
    assert "too few" in wrong(auto(by="artist"), corpus({"a": 2, "b": 2}))
    assert "it has artist" in wrong(auto(by="album"), corpus({"a": 5, "b": 5}))
    holes = [*corpus({"a": 5, "b": 5}), song(99, "a")]
    assert "1 of 41" in wrong(auto(by="artist"), holes)
    assert "n_folds=2" in wrong(auto(2), corpus({"a": 5, "b": 5}))
    assert "no tracks" in wrong(auto(), [])
    assert "near it: artist" in wrong(auto(by="artists"), holes)


def test_named_test_values() -> None:
    tracks = corpus({"a": 5, "b": 5})
    (split,) = auto(test=["a-0", "b-3"]).splits(tracks, 0)
    tested = {track.artist for track, side in zip(tracks, split.sides, strict=True) if side == "test"}
    assert tested == {"a-0", "b-3"}
    assert set(genres_on(tracks, split, "train")) == set(genres_on(tracks, split, "val")) == {"a", "b"}
    assert crossings(tracks, split) == {"artist": 0}
    assert any("test holds no b" in note for note in auto(test="a-0").splits(tracks, 0)[0].notes)
    assert "near it: a-1" in wrong(auto(test=["a-11"]), tracks)
    assert "genre a would have no song in train" in wrong(auto(test=[f"a-{k}" for k in range(5)]), tracks)


def test_slices_of_a_split_song_lie_on_every_side_once() -> None:
    tracks = corpus({"a": 3, "b": 3})
    (split,) = BySlice(4).splits(tracks, 3)
    assert set(split.sides) == {"mixed"}
    n_all: Counter[str] = Counter()
    for i in range(len(tracks)):
        parts = {side: split.slices(i, 12, side) for side in SIDES}
        assert {side: len(part) for side, part in parts.items()} == {"train": 6, "val": 3, "test": 3}
        assert sorted(np.concatenate(list(parts.values()))) == list(range(12))
        assert all(np.array_equal(part, np.sort(part)) for part in parts.values())
        assert np.array_equal(parts["test"], split.slices(i, 12, "test"))
        n_all.update({side: len(split.slices(i, 1, side)) for side in SIDES})
    assert sum(n_all.values()) == len(tracks)
    assert len({tuple(split.slices(i, 12, "test")) for i in range(len(tracks))}) > 5  # not the same of every song
    assert len(split.slices(0, 0, "train")) == 0
    assert len(split.slices(0, 9, "unused")) == 0
    assert split.digest != BySlice(4).splits(tracks, 4)[0].digest
    assert crossings(tracks, split) == {"artist": 6}


def test_slices_of_a_whole_song() -> None:
    tracks = corpus({"a": 4, "b": 4})
    (split,) = auto().splits(tracks, 0)
    for i, at in enumerate(split.sides):
        assert {side: len(split.slices(i, 5, side)) for side in SIDES} == {**dict.fromkeys(SIDES, 0), at: 5}


def given_split(values: list[str | None]) -> list[Track]:
    return [song(i, "ab"[i % 2], split=value, artist=f"x{i // 2}") for i, value in enumerate(values)]


def test_official_sides() -> None:
    tracks = given_split(["train"] * 8 + ["Validation"] * 4 + [" TEST"] * 4 + ["unused"] * 2)
    (split,) = Official(4, None).splits(tracks, 0)
    assert Counter(split.sides) == {"train": 8, "val": 4, "test": 4, "unused": 2}
    assert split.kind == "official"
    assert split.groups == tuple(track.artist for track in tracks)


def test_official_without_val() -> None:
    tracks = given_split(["train"] * 32 + ["test"] * 8)
    (split,) = Official(4, None).splits(tracks, 0)
    assert Counter(split.sides) == {"train": 24, "val": 8, "test": 8}
    assert crossings(tracks, split) == {"artist": 0}
    assert any("no val is given: 8 songs" in note for note in split.notes)


@pytest.mark.parametrize("word", ["{}", "fold{}", "fold_{:02}", "{}.0"])
def test_official_folds(word: str) -> None:
    tracks = given_split([word.format(i // 4) for i in range(48)])  # 10 and 11 come after 9
    (split,) = Official(4, None).splits(tracks, 0)
    assert split.sides == ("train",) * 40 + ("val",) * 4 + ("test",) * 4
    assert any("test is 11, val is 10" in note for note in split.notes)
    (split,) = Official(4, OmegaConf.create([2, 11])).splits(tracks, 0)
    assert {side: split.sides.count(side) for side in SIDES} == {"train": 36, "val": 4, "test": 8}
    assert split.sides[40:44] == ("val",) * 4
    assert split.sides[8:12] == ("test",) * 4


def test_official_crossings_are_said() -> None:
    tracks = [song(i, "ab"[i % 2], split=("train", "test")[i % 2], artist=f"x{i // 2}") for i in range(40)]
    (split,) = Official(4, None).splits(tracks, 0)
    assert "20 values of artist lie on two sides of the official split" in split.notes
    assert split.groups == split.ids


def test_official_errors() -> None:
    assert "1 of 3" in wrong(Official(4, None), given_split(["train", "test", None]))
    assert "'later'" in wrong(Official(4, None), given_split(["train", "later"]))
    assert "no row is test" in wrong(Official(4, None), given_split(["train", "val"]))
    assert "every row is in fold 1" in wrong(Official(4, None), given_split(["1", "1"]))
    assert "'7'" in wrong(Official(4, 7), given_split(["1", "2", "3"]))
    assert "every fold" in wrong(Official(4, [1, 2]), given_split(["1", "2"]))
    assert "not folds" in wrong(Official(4, ["test"]), given_split(["train", "test"]))


@pytest.mark.parametrize("splitter", [auto(), BySlice(4), KFold("auto", 5)], ids=["auto", "slice", "kfold"])
def test_a_written_split_comes_back(tmp_path: Path, splitter: Grouped | BySlice | KFold) -> None:
    tracks = corpus({"a, é": 6, "b": 6})
    split = splitter.splits(tracks, 5)[-1]
    write_split(split, tmp_path / "split.csv")
    (again,) = FromFile(str(tmp_path / "split.csv")).splits(tracks[::-1], 0)
    assert again.digest == split.digest
    assert again.groups == split.groups[::-1]
    assert (again.kind, again.seed, again.n_folds, again.fold) == (split.kind, split.seed, split.n_folds, split.fold)
    assert np.array_equal(again.slices(len(tracks) - 1, 9, "test"), split.slices(0, 9, "test"))


def test_split_file_errors(tmp_path: Path) -> None:
    tracks = corpus({"a": 2, "b": 2}, songs=1)
    path = tmp_path / "split.csv"
    read = FromFile(str(path))
    assert "split.path=FILE.csv" in wrong(FromFile(None), tracks)
    assert "does not exist" in wrong(read, tracks)
    path.write_text("id,where\ns0,train\n")
    assert "no side column" in wrong(read, tracks)
    path.write_text("id,side\ns0,train\ns1,up\n")
    assert "row 3" in wrong(read, tracks)
    path.write_text("id,side\ns0,train\ns0,test\n")
    assert "s0" in wrong(read, tracks)
    path.write_text("id,side\ns0,train\ns1,test\nzz,val\n")
    assert "2 tracks have no row in it (first: s2, s3); 1 of its rows are no tracks (first: zz)" in wrong(read, tracks)
    path.write_text("id,side\ns0,train\ns1,test\ns2,mixed\ns3,val\n")
    assert "mixed" in wrong(read, tracks)
    path.write_text("id,side,seed\ns0,train,1\ns1,test,1\ns2,val,2\ns3,val,1\n")
    assert "seed must be one" in wrong(read, tracks)
    path.write_text("id,side\ns0,Train\ns1,test\ns2,valid\ns3,val\n")
    (split,) = read.splits(tracks, 8)
    assert (split.kind, split.sides, split.seed) == ("file", ("train", "test", "val", "val"), 8)


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "split").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_yaml_builds_its_splitter(path: Path) -> None:
    splitter = instantiate(OmegaConf.load(path))
    tracks = [replace(t, album=t.artist, studio=t.artist, group=t.artist, split=t.artist[-1])  # type: ignore[index]
              for t in corpus({"a": 6, "b": 6})]  # fmt: skip
    if path.stem == "file":
        assert "split.path" in wrong(splitter, tracks)
        return
    splits = splitter.splits(tracks, 0)
    assert len(splits) == (5 if path.stem == "kfold" else 1)
    by_name = {"auto": "group", "kfold": "group"}
    assert splits[0].kind == by_name.get(path.stem, path.stem)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the music sets do not lie beside the project")
@pytest.mark.parametrize(("name", "key"), [("games", "artist"), ("arranger", "group")])
def test_real_sets(name: str, key: str) -> None:
    tracks = read_manifest(SHARED / name / "manifest.csv")
    genres = {track.genres[0] for track in tracks}
    for split in [*auto().splits(tracks, 0), *KFold("auto", 5).splits(tracks, 0)]:
        assert split.kind == key
        assert crossings(tracks, split)[key] == 0
        assert crossings(tracks, split).get("track", 0) == 0
        for side in SIDES:
            assert set(genres_on(tracks, split, side)) == genres
