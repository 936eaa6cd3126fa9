"""Split -> batches: which slices of a song, the same on every machine and after every resume, never beyond the song."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genrelab.data.module import Songs, SongSlices, loader
from genrelab.data.split import Split
from genrelab.front.base import Front
from genrelab.slice.base import cut
from genrelab.store import Pictures
from genrelab.types import Labels
from tests.parts import part

F, T, HOP_S = 3, 5, 0.02
FRONT = Front()
FRONT.hop_s = HOP_S
SLICE = {"length_s": T * HOP_S, "hop_s": T * HOP_S, "n_frames": T, "max_per_song": 3, "jitter": True}


def stored(durations_s: Sequence[float]) -> Pictures:
    """Pictures whose first bin says which song it is, the second at which frame; strange rows lie between."""
    n_frames = np.array([1 + int(d / HOP_S + 1e-6) for d in durations_s])
    first = np.cumsum(n_frames + 4) - n_frames
    rows = np.full((int((n_frames + 4).sum()) + 4, F), np.nan, np.float16)
    for i, (begin, n) in enumerate(zip(first, n_frames, strict=True)):
        rows[begin : begin + n] = np.stack([np.full(n, i), np.arange(n), np.sin(np.arange(n))], 1)
    return Pictures(rows, first, n_frames, np.array(durations_s), tuple(map(str, range(len(n_frames)))))


def labelled(truth: Sequence[int], n_genres: int = 3) -> Labels:
    """One genre a song; a truth of n_genres is a song of none of them."""
    return Labels(tuple("abc"[:n_genres]), np.array(truth), np.eye(n_genres + 1, dtype=np.float32)[truth, :n_genres])


def side(
    durations_s: Sequence[float],
    name: str = "train",
    kind: str = "song",
    truth: Sequence[int] = (),
    seed: int = 0,
    **slicing: Any,
) -> SongSlices:
    n = len(durations_s)
    ids = tuple(f"s{i}" for i in range(n))
    mixed = "mixed" if kind == "slice" else name
    split = Split(kind, ids, (mixed,) * n, ids, seed, ())
    slicer = part("slice/fixed", **SLICE | slicing)
    spans = [slicer.spans(d) for d in durations_s]
    return SongSlices(stored(durations_s), spans, labelled(list(truth) or [0] * n), split, name, slicer, FRONT, seed)


def frames(data: SongSlices, position: int) -> np.ndarray:
    """The frames (S, T) that a song gives; checks that they are its own."""
    batch = data[position]
    assert (batch["x"][:, 0] == float(batch["index"][0])).all()
    return batch["x"][:, 1].float().numpy()


@settings(deadline=None, max_examples=60)
@given(
    duration_s=st.floats(T * HOP_S, 3),
    most=st.one_of(st.none(), st.integers(1, 8)),
    hop_frames=st.integers(1, 12),
    epoch=st.integers(0, 5),
)
def test_training_takes_neighbours_within_the_song(
    duration_s: float, most: int | None, hop_frames: int, epoch: int
) -> None:
    data = side([duration_s], max_per_song=most, hop_s=hop_frames * HOP_S)
    data.epoch = epoch
    taken = frames(data, 0)
    n_all = len(data.spans[0])
    assert len(taken) == min(most or n_all, n_all)
    assert (np.diff(taken, axis=1) == 1).all()
    assert (np.diff(taken[:, 0]) == hop_frames).all()
    assert taken.min() >= 0
    assert taken.max() < data.pictures.n_frames[0]
    assert (data.pick(0)[:, 1] <= duration_s + 1e-5).all()


def test_every_slice_and_every_shift_comes_up() -> None:
    data = side([0.1 * 8 + 0.06])
    begins, shifts = set(), set()
    for data.epoch in range(300):
        begin = int(frames(data, 0)[0, 0])
        begins.add(begin)
        shifts.add(begin % T)
    assert shifts == set(range(T))
    # 3 of 8 neighbours, shifted within 8 * 5 + 3 frames: from frame 0 to frame 43 - 3 * 5
    assert begins == set(range(28 + 1))


def test_the_same_epoch_gives_the_same_batch_and_another_does_not() -> None:
    durations = [2.0, 1.3, 0.7, 3.1]
    a, b = side(durations), side(durations)
    a.epoch = b.epoch = 3
    b.pick(1)  # what was drawn before does not matter: a resumed run sees what an undisturbed one would have seen
    for key, value in a.__getitems__([2, 0, 3]).items():
        assert torch.equal(value, b.__getitems__([2, 0, 3])[key])
    b.epoch = 4
    assert not torch.equal(a.__getitems__([2, 0, 3])["x"], b.__getitems__([2, 0, 3])["x"])
    other_seed = side(durations, seed=1)
    other_seed.epoch = 3
    assert not torch.equal(a.__getitems__([2, 0, 3])["x"], other_seed.__getitems__([2, 0, 3])["x"])


def test_songs_draw_for_themselves() -> None:
    data = side([3.0] * 8)
    assert len({float(data.pick(i)[0, 0]) for i in range(8)}) > 4


def test_a_song_does_not_depend_on_the_songs_beside_it() -> None:
    data = side([2.0, 1.3, 0.7, 3.1])
    assert torch.equal(data.__getitems__([3, 1])["x"][3:], data[1]["x"])


def test_no_shift_where_wanted_or_where_slices_are_split() -> None:
    for options in ({"jitter": False}, {"kind": "slice"}, {"name": "val"}):
        data = side([3.0, 2.2], **options)
        for data.epoch in range(20):
            assert (frames(data, 0)[:, 0] % T == 0).all()


def test_a_slice_split_gives_each_side_its_own_slices() -> None:
    sides = {name: side([3.03, 2.2], name, kind="slice", max_per_song=None) for name in ("train", "val", "test")}
    for song in range(2):
        taken = [set(frames(data, song)[:, 0] / T) for data in sides.values()]
        assert all(taken)
        assert sum(map(len, taken)) == len(set.union(*taken)) == len(sides["train"].spans[song])


@pytest.mark.parametrize("name", ["val", "test"])
def test_validation_takes_all_slices(name: str) -> None:
    data = side([3.03, 0.1, 1.0], name)
    batch = data.__getitems__([0, 1, 2])
    assert batch["n_slices"].tolist() == [30, 1, 10]
    assert batch["x"].shape == (41, F, T)
    assert batch["x"].dtype == torch.float16  # as it is stored: the model makes it wider
    assert torch.equal(batch["x"][:30, 1].flatten().float(), torch.arange(150.0))


def test_truth_and_index_follow_the_songs() -> None:
    data = side([1.0, 0.05, 2.0, 3.0], "val", truth=[0, 1, 2, 1])
    assert data.songs.tolist() == [0, 2, 3]  # a song without a slice is not there
    batch = data.__getitems__([2, 0])
    assert batch["index"].tolist() == [3, 0]
    assert batch["truth"].tolist() == [1, 0]
    assert batch["target"].tolist() == [[0, 1, 0], [1, 0, 0]]


def test_targets_of_several_genres_and_of_none_are_read_as_they_are() -> None:
    data = side([1.0, 1.0, 2.0], "test", truth=[0, 3, 2])
    soft = np.array([[0.6, 0.4, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], np.float32)
    data.labels = replace(data.labels, target=soft)
    assert data.labels.known.tolist() == [True, False, True]
    batch = data.__getitems__([1, 0])
    assert batch["target"].dtype == torch.float32
    assert np.array_equal(batch["target"].numpy(), soft[[1, 0]])
    assert batch["truth"].tolist() == [3, 0]


def test_whole_songs_of_the_training_side_are_as_validation_has_them() -> None:
    data = side([2.0, 1.3, 0.7])
    whole, val = data.whole(), side([2.0, 1.3, 0.7], "val")
    for key, value in val.__getitems__([0, 1, 2]).items():
        assert torch.equal(whole.__getitems__([0, 1, 2])[key], value)
    assert data.training and data.jitter and len(data[0]["x"]) == 3  # the side itself is as it was


def test_slices_that_are_known_already_come_with_the_same_truth() -> None:
    data = side([1.0, 0.5, 2.0], "val", truth=[0, 1, 2])
    batch, about = data.__getitems__([2, 0]), data.about([2, 0], [20, 10])
    assert set(batch) == {*about, "x"}
    assert all(torch.equal(batch[key], value) for key, value in about.items())


def test_other_sides_are_not_there() -> None:
    split = Split("song", ("a", "b", "c"), ("train", "test", "unused"), ("a", "b", "c"), 0, ())
    slicer = part("slice/fixed", **SLICE)
    data = {
        name: SongSlices(stored([1.0] * 3), [slicer.spans(1.0)] * 3, labelled([0] * 3), split, name, slicer, FRONT, 0)
        for name in ("train", "val", "test")
    }
    assert {name: d.songs.tolist() for name, d in data.items()} == {"train": [0], "val": [], "test": [1]}


@pytest.mark.parametrize("hop_s", [0.1, 0.04, 0.033])
def test_reading_equals_cutting(hop_s: float) -> None:
    """On the frame grid by index from the memory map, elsewhere by interpolation: both are `cut`."""
    data = side([1.0, 2.05, 0.3], "val", hop_s=hop_s)
    x = data.read([2, 0, 1], [data.spans[i] for i in (2, 0, 1)])["x"]
    expected = torch.cat([cut(data.pictures[i], data.spans[i], HOP_S, T) for i in (2, 0, 1)])
    assert torch.equal(x.float(), expected)
    assert x.isfinite().all()


COUNTS = (132, 92, 20)
TRUTH = np.repeat(range(3), COUNTS)


def epoch_of(data: SongSlices, balance: bool, at_least: int, epoch: int = 0) -> list[int]:
    songs = Songs(data, balance, at_least)
    songs.set_epoch(epoch)
    order = list(songs)
    assert len(order) == len(songs)
    return order


@pytest.mark.parametrize("at_least", [0, 244, 480, 1001])
def test_balanced_epochs(at_least: int) -> None:
    data = side([0.5] * len(TRUTH), truth=TRUTH)
    order = epoch_of(data, True, at_least)
    total = max(at_least, sum(COUNTS))
    assert len(order) == total
    genres = Counter(TRUTH[order].tolist())
    assert max(genres.values()) - min(genres.values()) <= 1
    times = Counter(order)
    for k, count in enumerate(COUNTS):
        own = [times[i] for i in np.flatnonzero(k == TRUTH).tolist()]
        assert max(own) <= math.ceil(genres[k] / count)  # in rounds: none again before all had their turn
        assert min(own) >= genres[k] // count


@pytest.mark.parametrize("at_least", [0, 480, 500])
def test_plain_epochs(at_least: int) -> None:
    data = side([0.5] * len(TRUTH), truth=TRUTH)
    times = Counter(epoch_of(data, False, at_least))
    rounds = max(at_least, 244) / 244
    assert len(times) == 244
    assert set(times.values()) <= {math.floor(rounds), math.ceil(rounds)}


def test_epochs_differ_and_repeat() -> None:
    data = side([0.5] * len(TRUTH), truth=TRUTH)
    first, second = epoch_of(data, True, 480, 0), epoch_of(data, True, 480, 1)
    assert first != second
    assert first == epoch_of(data, True, 480, 0)
    assert data.epoch == 0
    genres = TRUTH[first]
    assert (genres[1:] != genres[:-1]).mean() > 0.5  # shuffled, not genre after genre


def test_every_song_of_a_large_genre_comes_up_over_the_epochs() -> None:
    data = side([0.5] * len(TRUTH), truth=TRUTH)
    seen = set().union(*(epoch_of(data, True, 0, epoch) for epoch in range(12)))
    assert len(seen) == len(TRUTH)


def test_positions_are_of_the_side_and_not_of_the_manifest() -> None:
    """Songs without a slice shift the positions; the genre of a position is that of its song."""
    data = side([0.05, 0.5, 0.05, 0.5, 0.5], truth=[0, 0, 1, 1, 1])
    order = epoch_of(data, True, 100)
    assert set(order) == {0, 1, 2}
    assert Counter(data.labels.truth[data.songs[order]].tolist()) == {0: 50, 1: 50}


def test_loader() -> None:
    data = side([0.5] * len(TRUTH), truth=TRUTH)
    batches = list(loader(data, 16, True, 0))
    assert [len(b["truth"]) for b in batches] == [16] * 15 + [4]
    assert batches[0]["x"].shape == (48, F, T)
    val = side([0.5, 0.7, 0.2], "val")
    (batch,) = loader(val, 16, True, 0)
    assert batch["index"].tolist() == [0, 1, 2]
    assert batch["n_slices"].tolist() == [5, 7, 2]
