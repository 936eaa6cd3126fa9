"""Beat grids: the annotated one first, an estimated one once, a wrong one where a study wants it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrelab.audio import beats as estimation
from genrelab.data.grids import KINDS, checked, grids
from genrelab.types import Beats, Track, UserError
from tests.parts import SAMPLE_RATE

ESTIMATED = Beats(np.array([0.5, 1.0, 1.5]), np.array([1, 2, 3]), "a guess", 0.4)


def track(folder: Path, name: str, annotated: bool, start_s: float = 0.0) -> Track:
    path = folder / f"{name}.wav"
    soundfile.write(path, np.full(4 * SAMPLE_RATE, 0.1, np.float32), SAMPLE_RATE)
    if annotated:
        rows = [f"{0.25 + 0.5 * k},{1 + k % 4}" for k in range(8)]
        (folder / f"{name}.csv").write_text("time,beat_in_bar\n" + "\n".join(rows))
    beats = folder / f"{name}.csv" if annotated else None
    return Track(name, path, ("x",), start_s=start_s, beats=beats)


@pytest.fixture
def guesses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples each call of the estimator was given."""
    calls: list[int] = []

    def estimate(wave: np.ndarray, sample_rate: int) -> Beats:
        calls.append(len(wave))
        return ESTIMATED

    monkeypatch.setattr(estimation, "estimate", estimate)
    return calls


def found(folder: Path, kind: str, start_s: float = 0.0) -> list[Beats | None]:
    tracks = [track(folder, "known", True, start_s), track(folder, "unknown", False)]
    options = {"sample_rate": SAMPLE_RATE, "store": folder / "store", "progress": lambda *_: None}
    return grids(tracks, ["k1", "k2"], [4.0 - start_s, 4.0], kind, **options)


def test_the_annotated_grid_comes_first(tmp_path: Path, guesses: list[int]) -> None:
    known, unknown = found(tmp_path, "auto")
    assert known is not None
    assert unknown is not None
    assert (known.source, unknown.source) == ("annotated", "a guess")
    assert known.confidence == 1
    assert unknown.times_s.tolist() == ESTIMATED.times_s.tolist()
    assert guesses == [4 * SAMPLE_RATE]


def test_only_annotated_only_estimated(tmp_path: Path, guesses: list[int]) -> None:
    known, unknown = found(tmp_path, "annotated")
    assert known is not None
    assert unknown is None
    assert not guesses
    assert [g and g.source for g in found(tmp_path, "estimated")] == ["a guess", "a guess"]


def test_an_estimate_is_made_once(tmp_path: Path, guesses: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(tmp_path, "auto")[1]
    second = found(tmp_path, "auto")[1]
    assert len(guesses) == 1
    assert first is not None
    assert second is not None
    assert first.beat_in_bar is not None
    assert second.beat_in_bar is not None
    assert (first.times_s == second.times_s).all()
    assert (first.beat_in_bar == second.beat_in_bar).all()
    assert first.confidence == second.confidence
    monkeypatch.setattr(estimation, "estimator", lambda: "another, better one")
    found(tmp_path, "auto")
    assert len(guesses) == 2


def test_a_window_begins_at_its_own_second_0(tmp_path: Path, guesses: list[int]) -> None:
    known = found(tmp_path, "auto", start_s=1.5)[0]
    assert known is not None
    assert known.beat_in_bar is not None
    assert known.times_s.tolist() == [0.25, 0.75, 1.25, 1.75, 2.25]
    assert known.beat_in_bar.tolist() == [4, 1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["shifted", "wrong"])
def test_a_wrong_grid_is_wrong(tmp_path: Path, guesses: list[int], kind: str) -> None:
    right, bad = found(tmp_path, "auto")[0], found(tmp_path, kind)[0]
    assert right is not None
    assert bad is not None
    assert kind in bad.source
    bars = [set(b.times_s[b.beat_in_bar == 1].round(3)) for b in (right, bad) if b.beat_in_bar is not None]
    assert len(bars) == 2
    assert bars[0] != bars[1]
    tempos = [60 / np.median(np.diff(b.times_s)) for b in (right, bad)]
    assert (tempos[1] == pytest.approx(tempos[0])) == (kind == "shifted")
    again = found(tmp_path, kind)[0]
    assert again is not None
    assert (again.times_s == bad.times_s).all()


def test_a_word_that_is_none() -> None:
    assert all(checked(k) == k for k in KINDS)
    with pytest.raises(UserError, match=r"data\.beats=right: expected one of auto, annotated"):
        checked("right")
