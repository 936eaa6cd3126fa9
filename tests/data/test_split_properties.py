"""Splits of any manifest: what songs share lies on one side, a written split comes back, validation is a fold whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrelab.data.split import KEYS, BySlice, Grouped, KFold, Split, auto_key, crossings
from genrelab.data.split_given import FromFile, Official, write_split
from genrelab.types import Track, UserError

Row = tuple[str, int, int, int, int, int]
manifests = st.lists(
    st.tuples(st.sampled_from("abc"), *[st.integers(0, n) for n in (9, 6, 4, 7, 2)]), min_size=1, max_size=40
)
SPLITTERS = {f"{kind} {by}": (Grouped(by, 4, None) if kind == "by" else KFold(by, 4))
             for kind in ("by", "kfold") for by in ("auto", "song", *KEYS)}  # fmt: skip


def tracks_of(table: Sequence[Row], sides: Sequence[str] = ("",)) -> list[Track]:
    """Two rows a recording; every key crosses every other one."""
    return [
        Track(
            f"s{i}", Path(f"/s{i}.wav"), (genre,), artist=f"x{artist}", album=f"l{album}", studio=f"s{studio}",
            group=f"g{group}", track=f"t{i // 2}", split=sides[side % len(sides)] or None,
        )
        for i, (genre, artist, album, studio, group, side) in enumerate(table)
    ]  # fmt: skip


def sides_of(split: Split) -> dict[str, set[str]]:
    """Of each value that the split respects: where its songs lie."""
    found: dict[str, set[str]] = {}
    for group, side in zip(split.groups, split.sides, strict=True):
        found.setdefault(group, set()).add(side)
    return found


def comes_back(split: Split, tracks: list[Track], folder: Path) -> None:
    write_split(split, folder / "split.csv")
    (again,) = FromFile(str(folder / "split.csv")).splits(tracks, split.seed + 1)
    assert (again.sides, again.groups, again.digest) == (split.sides, split.groups, split.digest)


@pytest.mark.parametrize("name", SPLITTERS)
@settings(max_examples=20, deadline=None)
@given(table=manifests, seed=st.integers(0, 2**31))
def test_no_value_of_the_key_lies_on_two_sides_whatever_the_manifest(
    name: str, table: list[Row], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tracks = tracks_of(table)
    try:
        splits = SPLITTERS[name].splits(tracks, seed)
    except UserError:
        return
    for split in splits:
        assert all(len(at) == 1 for at in sides_of(split).values())
        own = {"song": "track"}.get(split.kind, split.kind)
        assert crossings(tracks, split)[own] == 0
        assert split.groups == tuple(getattr(t, own) for t in tracks)
        comes_back(split, tracks, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("sides", [("1", "2", "3"), ("train", "test"), ("train", "val", "test")], ids=str)
@settings(max_examples=20, deadline=None)
@given(table=manifests, seed=st.integers(0, 2**31))
def test_what_an_official_split_shares_is_said_and_what_is_carved_of_it_shares_nothing(
    sides: tuple[str, ...], table: list[Row], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tracks = tracks_of(table, sides)
    try:
        (split,) = Official(4, None).splits(tracks, seed)
    except UserError:
        return
    across = crossings(tracks, split)
    for key, n in across.items():
        assert (f"{n} values of {key} lie on two sides of the official split" in split.notes) == (n > 0)
    if not across["track"]:
        assert all(len(at) == 1 for at in sides_of(split).values())
    if sides == ("train", "test"):
        rows = [i for i, side in enumerate(split.sides) if side in ("train", "val")]
        assert [tracks[i].split for i in rows] == ["train"] * len(rows)
        key, _ = auto_key([tracks[i] for i in rows])
        own = "track" if key == "song" else key
        at = [{getattr(tracks[i], own) for i in rows if split.sides[i] == side} for side in ("train", "val")]
        assert not at[0] & at[1]
    comes_back(split, tracks, tmp_path_factory.getbasetemp())


def test_intervals_of_an_official_split_are_drawn_over_what_it_keeps_whole() -> None:
    """Artists lie on both sides, recordings do not."""
    tracks = [
        Track(f"s{i}", Path(f"/s{i}.wav"), ("ab"[i // 2 % 2],), artist=f"x{i // 2 % 2}", track=f"t{i // 2}",
              split=("train", "test")[i // 4 % 2])
        for i in range(48)
    ]  # fmt: skip
    (split,) = Official(4, None).splits(tracks, 0)
    assert crossings(tracks, split) == {"artist": 2, "track": 0}
    assert split.groups == tuple(t.track for t in tracks)


def whole(n: int) -> list[Track]:
    return [Track(f"s{i}", Path(f"/s{i}.wav"), ("ab"[i % 2],), artist=f"x{i // 2 % 8}{i % 2}") for i in range(n)]


def test_folds_by_slice_are_one_split_that_tests_every_song() -> None:
    assert KFold("slice", 4).splits(whole(24), 5) == BySlice(4).splits(whole(24), 5)


def test_validation_of_a_fold_is_another_fold_whole() -> None:
    """So what validation chooses, no song of the outer test has chosen."""
    splits = KFold("artist", 4).splits(whole(64), 0)
    tested = [frozenset(i for i, side in zip(s.ids, s.sides, strict=True) if side == "test") for s in splits]
    for k, split in enumerate(splits):
        val = frozenset(i for i, side in zip(split.ids, split.sides, strict=True) if side == "val")
        assert val in tested[:k] + tested[k + 1 :]
