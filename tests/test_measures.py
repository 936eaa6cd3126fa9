"""What is measured of songs is kept by their sound."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from genrelab import measures
from genrelab.audio import measure
from genrelab.audio.measure import COLUMNS
from genrelab.types import Track
from tests.conftest import RATE, wave

Measured = Callable[..., pd.DataFrame]


def quiet(what: str, done: int, of: int) -> None:
    pass


@pytest.fixture
def tracks(tmp_path: Path) -> list[Track]:
    made = []
    for n, genre in enumerate(("low", "high", "noise")):
        path = tmp_path / f"{genre}.wav"
        soundfile.write(path, wave(genre, n, 0, 3.0), RATE, subtype="PCM_16")
        made.append(Track(genre, path, (genre,)))
    return made


@pytest.fixture
def measured(tmp_path: Path) -> Measured:
    def called(tracks: list[Track], **options: Any) -> pd.DataFrame:
        options = {"sample_rate": 22050, "store": tmp_path / "store", "progress": quiet} | options
        return measures.measured(tracks, **options)

    return called


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the waves that are measured."""
    seen: list[int] = []
    real = measure.measure

    def counted(wave: np.ndarray, *rest: int, tempo: bool) -> dict[str, float]:
        seen.append(len(wave))
        return real(wave, *rest, tempo=tempo)

    monkeypatch.setattr(measure, "measure", counted)
    return seen


def test_a_row_a_track_in_order_with_what_was_measured_of_its_wave(tracks: list[Track], measured: Measured) -> None:
    for order in (tracks, tracks[::-1]):
        found = measured(order)
        assert tuple(found.columns) == COLUMNS
        for track, (_, row) in zip(order, found.iterrows(), strict=True):
            want = measure.measure(soundfile.read(track.path, dtype="float32")[0], RATE)
            np.testing.assert_allclose(row.to_numpy(float), [want[c] for c in COLUMNS])


def test_what_was_measured_once_is_read(tracks: list[Track], measured: Measured, count: list[int]) -> None:
    first = measured(tracks)
    assert len(count) == 3
    pd.testing.assert_frame_equal(measured(tracks), first)
    assert len(count) == 3


def test_other_code_another_rate_and_another_file_are_measured_anew(
    tracks: list[Track], measured: Measured, count: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(tracks)
    soundfile.write(tracks[0].path, wave("low", 7, 0, 2.0), RATE, subtype="PCM_16")
    changed = measured(tracks)
    assert changed["duration_s"].tolist() == [2.0, 3.0, 3.0]
    assert len(count) == 4
    measured(tracks, sample_rate=16000)
    assert len(count) == 7
    monkeypatch.setattr(measure, "version", lambda: "another")
    measured(tracks)
    assert len(count) == 10


def test_a_copy_under_another_name_is_not_measured_again(
    tracks: list[Track], measured: Measured, count: list[int], tmp_path: Path
) -> None:
    measured(tracks)
    copy = tmp_path / "copy.wav"
    copy.write_bytes(tracks[0].path.read_bytes())
    found = measured([Track("copy", copy, ("low",)), tracks[0]])
    assert len(count) == 3
    pd.testing.assert_series_equal(found.iloc[0], found.iloc[1], check_names=False)


def test_a_tempo_that_every_track_knows_is_not_estimated(
    tracks: list[Track], measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [replace(track, tempo_bpm=100.0 + n) for n, track in enumerate(tracks)]
    estimated = measured([*told[:-1], tracks[-1]])  # one lacks
    assert not set(estimated["tempo_bpm"]) & {100.0, 101.0, 102.0}
    monkeypatch.setattr(measure, "tempo_bpm", lambda *_: 1 / 0)
    found = measured(told)
    assert found["tempo_bpm"].tolist() == [100.0, 101.0, 102.0]
    rest = [c for c in COLUMNS if c != "tempo_bpm"]
    pd.testing.assert_frame_equal(found[rest], estimated[rest])


def test_a_window_is_measured_as_a_window(tracks: list[Track], measured: Measured) -> None:
    window = Track("w", tracks[0].path, ("low",), start_s=1.0, duration_s=1.5)
    assert measured([window, tracks[0]])["duration_s"].tolist() == [1.5, 3.0]


def test_what_cannot_be_decoded_is_nan_with_its_reason(tracks: list[Track], measured: Measured, tmp_path: Path) -> None:
    broken, silent = tmp_path / "broken.wav", tmp_path / "silent.wav"
    broken.write_bytes(b"not a song at all")
    soundfile.write(silent, np.zeros(RATE), RATE)
    others = [Track("b", broken, ("low",)), Track("s", silent, ("low",)), Track("m", tmp_path / "none.wav", ("low",))]
    found = measured([*others, tracks[0]])
    assert found.iloc[:3].isna().all(axis=None)
    assert found.iloc[3]["duration_s"] == 3.0
    heard, said = measures.kept(others, "x", "1", lambda w, r: b"", store=tmp_path / "store", progress=quiet)
    assert [h.reason for h in heard] == ["not audio", "silent", "missing"]
    assert said == [None] * 3


def test_a_file_of_any_rate_is_heard_at_its_own(tmp_path: Path, measured: Measured) -> None:
    path = tmp_path / "wide.wav"
    hiss = 0.1 * np.random.default_rng(0).standard_normal(48000 * 3)
    soundfile.write(path, hiss, 48000, subtype="PCM_16")
    assert measured([Track("wide", path, ("x",))])["bandwidth_hz"][0] > 23000


def test_two_at_once_measure_everything_once(tracks: list[Track], measured: Measured, count: list[int]) -> None:
    found: list[pd.DataFrame] = []
    both = [threading.Thread(target=lambda: found.append(measured(tracks))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert len(count) == 3
    pd.testing.assert_frame_equal(found[0], found[1])


def test_progress_is_told_to_the_end(tracks: list[Track], measured: Measured) -> None:
    told: list[tuple[str, int, int]] = []
    measured(tracks, progress=lambda *said: told.append(said))
    assert told == [("measuring songs", n, 3) for n in (1, 2, 3)]
