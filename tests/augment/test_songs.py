"""Training songs whose sound is changed: the same by (seed, epoch, song), at the place of the stored picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from genrelab import store
from genrelab.augment.base import Augment
from genrelab.augment.songs import AugmentedSongs, runs
from genrelab.augment.wave import PitchTempo
from genrelab.data.module import SongSlices
from genrelab.data.split import Split
from genrelab.store import waves
from genrelab.types import Beats, Labels, Track
from tests.parts import part

RATE = 22050
LENGTHS_S = (8.1, 5.3, 2.6, 11.0)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> list[Track]:
    """Noise with a pulse of its own, and a chord."""
    folder, made = tmp_path_factory.mktemp("songs"), []
    for i, length_s in enumerate(LENGTHS_S):
        t = np.arange(round(length_s * RATE)) / RATE
        hiss = np.random.default_rng(i).normal(0, 0.1, len(t)) * (1 + np.sin(2 * np.pi * (1 + i) * t))
        path = folder / f"{i}.wav"
        soundfile.write(path, hiss + 0.2 * np.sin(2 * np.pi * 330 * (1 + i / 5) * t), RATE, subtype="PCM_16")
        made.append(Track(str(i), path, ("a",)))
    return made


def sides(
    tracks: Sequence[Track],
    folder: Path,
    augment: Augment,
    front: str = "mel",
    slicing: str = "fixed",
    kind: str = "song",
    seed: int = 0,
    **options: Any,
) -> tuple[SongSlices, AugmentedSongs]:
    """The songs as they are and as augmented."""
    made, slicer = part(f"front/{front}"), part(f"slice/{slicing}", **({"max_per_song": 2} | options))
    own = {"sample_rate": RATE, "min_s": 2.56, "store": folder / "store", "progress": lambda *_: None}
    tracks, pictures, _ = store.pictures(tracks, made, {"front": front}, **own)
    bars = Beats(np.arange(44) * 0.45 + 0.31, np.arange(44) % 4 + 1, "annotated", 1.0) if slicing == "bars" else None
    spans = [slicer.spans(float(d), bars) for d in pictures.duration_s]
    ids = tuple(t.id for t in tracks)
    side = "mixed" if kind == "slice" else "train"
    split = Split(kind, ids, (side,) * len(ids), ids, 0, ())
    labels = Labels(("a",), np.zeros(len(ids), np.int64), np.ones((len(ids), 1), np.float32))
    parts = (pictures, spans, labels, split, "train", slicer, made, seed)
    sounds = waves(dict(enumerate(tracks)), RATE, folder / "store", lambda *_: None)
    return SongSlices(*parts), AugmentedSongs(augment, sounds, RATE, *parts)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folder")


@pytest.mark.parametrize("front", ["mel", "stft", "logfreq"])
@pytest.mark.parametrize("slicing", ["fixed", "bars"])
def test_without_a_change_the_picture_is_the_stored_one(
    tracks: list[Track], folder: Path, front: str, slicing: str
) -> None:
    plain, augmented = sides(tracks, folder, Augment(), front, slicing)
    for epoch in range(3):
        plain.epoch = augmented.epoch = epoch
        theirs, mine = (s.__getitems__(range(len(s))) for s in (plain, augmented))
        assert mine["n_slices"].tolist() == theirs["n_slices"].tolist()
        assert mine["x"].shape == theirs["x"].shape
        # samples of 84 dB in the store and half precision; a bin without sound may differ by more
        loud = theirs["x"] > -70
        assert loud.float().mean() > 0.8
        assert float((mine["x"] - theirs["x"])[loud].abs().max()) < 0.13
        assert float((mine["x"] - theirs["x"]).abs().mean()) < 0.02


@pytest.mark.parametrize("slicing", ["fixed", "bars"])
def test_without_a_change_a_learned_front_end_hears_the_stored_wave(
    tracks: list[Track], folder: Path, slicing: str
) -> None:
    plain, augmented = sides(tracks, folder, Augment(), "raw", slicing)
    theirs, mine = (s.__getitems__(range(len(s))) for s in (plain, augmented))
    if slicing == "fixed":
        assert torch.equal(mine["x"], theirs["x"])
        assert mine["places"] is theirs["places"] is None
        return
    drawn = []
    for batch in (theirs, mine):
        from genrelab.slice.base import resample

        picture = augmented.front.inner(batch["x"])
        drawn.append(resample(picture, batch["places"][:, :2], augmented.slicer.n_frames, batch["places"][:, 2]))
    assert torch.allclose(*drawn, atol=1e-4)


def test_a_song_goes_through_the_same_by_seed_epoch_and_song_alone(tracks: list[Track], folder: Path) -> None:
    augment = part("augment/all")

    def at(epoch: int, position: int, alone: bool, seed: int = 0) -> torch.Tensor:
        _, songs = sides(tracks, folder, augment, seed=seed)
        songs.epoch = epoch
        before = [] if alone else [3, 0]
        batch = songs.__getitems__([*before, position])
        n = batch["n_slices"].tolist()
        return batch["x"][sum(n[:-1]) :]

    assert torch.equal(at(1, 1, True), at(1, 1, False))  # neither the batch nor what was drawn before matters
    assert not torch.equal(at(1, 1, True), at(2, 1, True))
    assert not torch.equal(at(1, 1, True), at(1, 1, True, seed=1))


def test_validation_takes_songs_as_they_are(tracks: list[Track], folder: Path) -> None:
    plain, augmented = sides(tracks, folder, part("augment/all", production={"probability": 1}))
    theirs, mine = (s.whole().__getitems__(range(len(s))) for s in (plain, augmented))
    assert torch.equal(mine["x"], theirs["x"])
    trained = augmented.__getitems__(range(len(augmented)))["x"]
    assert len(trained) and not any(torch.allclose(t, p) for t in trained for p in theirs["x"].float())


class Faster(PitchTempo):
    """The same factor for every song."""

    def __init__(self, factor: float) -> None:
        super().__init__(1.0, 0.5, 0)
        self.factor = factor

    def draw(self, random: np.random.Generator) -> tuple[float, float]:
        return self.factor, 0.0


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_windows_keep_their_length_and_hold_faster_music(tracks: list[Track], folder: Path, factor: float) -> None:
    """The longest song pulses at 4 Hz."""
    _, songs = sides(tracks, folder, Augment(Faster(factor)), max_per_song=3)
    (wave, inside), *none = songs.takes(3)
    assert not none
    assert torch.allclose(inside[:, 1] - inside[:, 0], torch.full((len(inside),), 2.56, dtype=torch.float64))
    assert len(wave) / RATE + 1e-3 >= float(inside[-1, 1])
    part_of = wave[round(float(inside[0, 0]) * RATE) : round(float(inside[-1, 1]) * RATE)]
    power = np.square(part_of)[: len(part_of) // 441 * 441].reshape(-1, 441).mean(1)
    spectrum = np.abs(np.fft.rfft(power - power.mean(), 1 << 14))
    hz = np.arange(len(spectrum)) * 50 / (1 << 14)
    band = (hz > 2) & (hz < 7)
    assert hz[band][spectrum[band].argmax()] == pytest.approx(4 * factor, rel=0.03)


def test_a_fast_song_has_fewer_windows_and_one_that_has_a_single_one_is_slowed_down(
    tracks: list[Track], folder: Path
) -> None:
    _, songs = sides(tracks, folder, Augment(Faster(1.25)), max_per_song=9)
    batch = songs.__getitems__(range(4))
    assert batch["n_slices"].tolist() == [2, 1, 1, 3]  # 8.1, 5.3, 2.6 and 11.0 s over 1.25 hold so many of 2.56 s
    assert len(batch["x"]) == 7
    ((wave, _),) = songs.takes(2)
    assert len(wave) == pytest.approx(2.56 * RATE, rel=0.03)


def test_slices_at_beats_go_with_the_music(tracks: list[Track], folder: Path) -> None:
    plain, songs = sides(tracks, folder, Augment(Faster(1.25)), slicing="bars")
    ((_, inside),) = songs.takes(0)
    spans = plain.pick(0)
    assert inside[:, 1] - inside[:, 0] == pytest.approx((spans[:, 1] - spans[:, 0]) / 1.25)


def test_one_chain_holds_for_all_of_a_song_where_slices_are_missing(tracks: list[Track], folder: Path) -> None:
    _, songs = sides(tracks, folder, part("augment/production", production={"probability": 1}), max_per_song=4)
    songs.rows = np.delete(songs.rows, songs.begin[3] + 2)  # the last song's third slice
    songs.count[3] -= 1
    songs.jitter = False
    heard: list[float] = []

    class Said(Augment):
        def wave(self, wave: np.ndarray, rate: int, random: np.random.Generator, speed: Any) -> np.ndarray:
            heard.append(random.random())
            return wave

    songs.augment = Said()
    assert len(songs.takes(3)) == 2
    assert heard[0] == heard[1]


def test_with_split_slice_nothing_of_another_side_is_played(tracks: list[Track], folder: Path) -> None:
    """A fast take of the middle slices may not go on into the last one."""
    _, songs = sides(tracks, folder, Augment(Faster(1.25)), kind="slice", max_per_song=3)
    assert songs.alone
    spans = songs.spans[3][1:3]
    wave, inside, factor = songs.piece(3, spans, 1.25)
    assert len(inside) == 1
    reach = songs.front.context_s[1] + 3 * songs.front.hop_s
    heard_s = len(wave) / RATE
    assert heard_s - float(inside[0, 0]) * factor <= float(spans[-1, 1] - spans[0, 0]) + reach


def test_rows_of_spans_end_where_a_gap_begins() -> None:
    spans = torch.tensor([[0.0, 1], [1, 2], [3, 4], [3.5, 5], [6, 7]])
    assert [r.tolist() for r in runs(spans)] == [[[0, 1], [1, 2]], [[3, 4], [3.5, 5]], [[6, 7]]]
