"""What a run says of sounds that are no music is counted as `tag` would say it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from genrelab import foreign
from genrelab.audio import noises
from genrelab.audio.decode import is_silent
from genrelab.foreign import CLIP_S, N_CLIPS, answered, refused
from genrelab.types import Beats

RATE = 8000
FEW = {"white": 3, "silence": 6, "tone": 4}


@dataclass
class Slicer:
    min_s: float = 1.0
    needs_beats: bool = False


@dataclass
class Hearer:
    """A model that says how loud a wave is, and keeps what it was asked."""

    slicer: Slicer = field(default_factory=Slicer)
    heard: list[np.ndarray] = field(default_factory=list)
    beats: list[Beats | None] = field(default_factory=list)

    def slices(self, wave: torch.Tensor, sample_rate: int, beats: Beats | None) -> tuple[torch.Tensor, None, None]:
        assert sample_rate == RATE and wave.dtype == torch.float32
        self.heard.append(wave.numpy())
        self.beats.append(beats)
        return wave[: len(wave) // 4 * 4].reshape(4, 1, -1), None, None

    def tell(self, x: torch.Tensor, n_slices: torch.Tensor, places: None) -> torch.Tensor:
        assert n_slices.tolist() == [len(x)] == [4] and not torch.is_grad_enabled()
        return x.abs().max()

    def answers(self, scores: torch.Tensor, n_slices: torch.Tensor) -> float:
        return float(scores)


@dataclass
class Louder:
    """A rule that gives a tag above a peak."""

    than: float

    def accepts(self, said: float) -> np.ndarray:
        return np.array([said > self.than])


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    monkeypatch.setattr(foreign, "N_CLIPS", FEW)
    monkeypatch.setattr(foreign, "CLIP_S", 1.0)
    return FEW


def waves(kind: str, length_s: float = 1.0) -> list[np.ndarray]:
    return [noises.clip(kind, i, length_s, RATE) for i in range(FEW[kind])]


def test_who_refuses_all_refuses_all_and_hears_nothing_silent(few: dict[str, int]) -> None:
    model: Any = Hearer()
    assert refused(model, Louder(9.0), RATE) == {kind: (n, n) for kind, n in few.items()}
    assert len(model.heard) == sum(few.values()) - sum(map(is_silent, waves("silence")))
    assert not any(map(is_silent, model.heard))


def test_who_accepts_all_still_gives_silence_no_tag(few: dict[str, int]) -> None:
    model: Any = Hearer()
    n_silent = sum(map(is_silent, waves("silence")))
    assert 3 <= n_silent < few["silence"]  # some of the silences are not digital, and are heard
    assert refused(model, Louder(-1.0), RATE) == {"white": (0, 3), "silence": (n_silent, 6), "tone": (0, 4)}


def test_the_counts_are_those_of_the_rule(few: dict[str, int]) -> None:
    peaks = {kind: [float(np.abs(wave).max()) for wave in waves(kind)] for kind in few}
    line = float(np.median(peaks["tone"]))
    model: Any = Hearer()
    counts = {kind: (sum(peak <= line for peak in own), few[kind]) for kind, own in peaks.items()}
    assert refused(model, Louder(line), RATE) == counts
    assert counts["tone"][0] == 2 and counts["silence"] == (6, 6)


def test_clips_are_long_enough_for_a_slice(few: dict[str, int]) -> None:
    model: Any = Hearer(Slicer(min_s=1.5))
    refused(model, Louder(0.0), RATE)
    assert {len(wave) for wave in model.heard} == {int(1.5 * RATE)}


@pytest.mark.parametrize("needs_beats", [False, True])
def test_beats_are_looked_for_where_the_slicer_wants_them(needs_beats: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Beats(np.array([0.1, 0.6]), None, "estimated", 1.0)
    wave = np.linspace(0, 0.5, 2 * RATE, dtype=np.float32)
    looked: list[tuple[bool, int]] = []
    monkeypatch.setattr(foreign, "estimate", lambda w, rate: looked.append((w is wave, rate)) or found)
    model: Any = Hearer(Slicer(needs_beats=needs_beats))
    assert answered(model, wave, RATE) == 0.5
    assert model.beats == [found if needs_beats else None]
    assert looked == ([(True, RATE)] if needs_beats else [])


def test_a_hundred_clips_are_noise_and_every_kind_is_there() -> None:
    assert set(N_CLIPS) == set(noises.KINDS)
    assert N_CLIPS["white"] + N_CLIPS["pink"] + N_CLIPS["babble"] == 100
    assert CLIP_S > 2.56  # some slices, and pauses of speech
