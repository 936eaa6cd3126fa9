"""Slices that follow the beat: which bars count, what falls back, and one rhythm at three tempi."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genrelab.slice.base import cut
from genrelab.types import Beats
from tests.parts import SAMPLE_RATE, part


def beats(times_s: object, beat_in_bar: object = None, confidence: float = 1.0) -> Beats:
    bar = None if beat_in_bar is None else np.asarray(beat_in_bar)
    return Beats(np.asarray(times_s, dtype=np.float64), bar, "annotated", confidence)


def steady(bpm: float, n_beats: int, metre: int = 4, first: int = 1, begin_s: float = 0.0) -> Beats:
    """n_beats beats, the first of which is beat `first` of its bar."""
    counted = np.arange(n_beats)
    return beats(begin_s + counted * 60 / bpm, (counted + first - 1) % metre + 1)


def same(spans: Tensor, expected: list[tuple[float, float]]) -> None:
    assert spans.dtype == torch.float64
    assert spans.tolist() == [pytest.approx(e) for e in expected]


def test_a_slice_a_bar_and_no_part_of_one() -> None:
    """A pick-up of 2 beats, 3 bars of 2 s, and a bar whose end nobody marked."""
    same(part("slice/bars").spans(30, steady(120, 18, first=3, begin_s=0.1)), [(1.1, 3.1), (3.1, 5.1), (5.1, 7.1)])


def test_a_bar_in_another_metre_is_dropped() -> None:
    numbers = [1, 2, 3, 4, 1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 1]
    same(part("slice/bars").spans(30, beats(np.arange(15) * 0.5, numbers)), [(0, 2), (3, 5), (5, 7)])


def test_the_metre_is_the_songs() -> None:
    assert len(part("slice/bars").spans(30, steady(120, 13, metre=3))) == 4
    tie = beats(np.arange(8) * 0.5, [1, 2, 3, 1, 2, 3, 4, 1])
    same(part("slice/bars").spans(30, tie), [(0, 1.5)])  # of 3 and 4 the smaller


def test_a_bar_outside_of_the_song_is_dropped() -> None:
    same(part("slice/bars").spans(5.9, steady(120, 17, begin_s=-1)), [(1, 3), (3, 5)])
    assert len(part("slice/bars").spans(6.0, steady(120, 13))) == 3  # to the sample


def test_an_absurd_length_is_no_bar() -> None:
    slicer = part("slice/bars", shortest_s=1, longest_s=3)
    times = np.cumsum([0, *[0.5] * 4, *[0.2] * 4, *[0.5] * 4, *[0.9] * 4])
    same(slicer.spans(30, beats(times, np.arange(17) % 4 + 1)), [(0, 2), (2.8, 4.8)])


def test_slices_of_more_bars_hold_no_gap() -> None:
    numbers = [1, 2, 3, 4] * 3 + [1, 2] + [1, 2, 3, 4] * 2 + [1]
    same(part("slice/bars", n_bars=2).spans(30, beats(np.arange(len(numbers)) * 0.5, numbers)), [(0, 4), (7, 11)])


def test_windows_of_beats_need_no_downbeat() -> None:
    times = 0.3 + np.arange(11) * 0.5
    same(part("slice/beats").spans(30, beats(times)), [(0.3, 2.3), (2.3, 4.3)])
    same(part("slice/beats", n_beats=8).spans(30, beats(times)), [(0.3, 4.3)])
    gap = np.concatenate([np.arange(4) * 0.5, 10 + np.arange(5) * 0.5])  # nobody beats for 8.5 s
    same(part("slice/beats").spans(30, beats(gap)), [(10, 12)])


FALLS_BACK = {
    "no beats": None,
    "not sure": beats(np.arange(17) * 0.5, np.arange(17) % 4 + 1, confidence=0.1),
    "no beat at all": beats([], []),
    "one beat": beats([1.0], [1]),
    "beyond the song": steady(120, 17, begin_s=28.5),
}


@pytest.mark.parametrize("why", FALLS_BACK)
@pytest.mark.parametrize("choice", ["bars", "beats"])
def test_a_song_without_trusted_beats_falls_back(choice: str, why: str) -> None:
    slicer = part(f"slice/{choice}")
    assert not slicer.follows(FALLS_BACK[why], 30)
    assert torch.equal(slicer.spans(30, FALLS_BACK[why]), slicer.fallback.spans(30))


def test_a_song_without_bars_falls_back_from_bars_alone() -> None:
    for known in (beats(np.arange(17) * 0.5), beats(np.arange(17) * 0.5, np.full(17, 2))):
        assert not part("slice/bars").follows(known, 30)
        assert part("slice/beats").follows(known, 30)
    assert part("slice/bars").follows(steady(120, 5), 30)


def test_confidence_at_the_threshold_is_enough() -> None:
    slicer = part("slice/bars", min_confidence=0.25)
    assert slicer.follows(beats(np.arange(5) * 0.5, [1, 2, 3, 4, 1], confidence=0.25), 30)
    assert not slicer.follows(beats(np.arange(5) * 0.5, [1, 2, 3, 4, 1], confidence=0.249), 30)


def test_who_needs_beats() -> None:
    assert [part(f"slice/{c}").needs_beats for c in ("fixed", "bars", "beats")] == [False, True, True]
    assert not part("slice/fixed").follows(steady(120, 17), 30)


@settings(deadline=None)
@given(
    choice=st.sampled_from(["bars", "beats"]),
    steps=st.lists(st.floats(0.01, 3), max_size=60),
    numbers=st.lists(st.integers(1, 4), min_size=61, max_size=61),
    begin_s=st.floats(-3, 10),
    more_s=st.floats(0, 60),
    confidence=st.floats(0, 1),
)
def test_any_beats_give_slices_inside_the_song(
    choice: str, steps: list[float], numbers: list[int], begin_s: float, more_s: float, confidence: float
) -> None:
    """One at least from min_s on, none of them outside of the song or over another, all at beats or none."""
    slicer = part(f"slice/{choice}")
    times = begin_s + np.cumsum([0.0, *steps])
    duration_s = slicer.min_s + more_s
    heard = beats(times, numbers[: len(times)], confidence)
    spans = slicer.spans(duration_s, heard)
    assert len(spans) >= 1
    assert spans.min() >= 0
    assert spans.max() <= duration_s + 2e-5
    assert (spans[:, 1] > spans[:, 0]).all()
    assert (spans[1:, 0] >= spans[:-1, 1] - 1e-9).all()
    if slicer.follows(heard, duration_s):
        assert np.isin(spans.numpy(), times).all()
    else:
        assert torch.equal(spans, slicer.fallback.spans(duration_s))


@pytest.mark.parametrize(
    ("choice", "wrong", "said"),
    [
        ("bars", {"n_bars": 0}, r"slice\.n_bars=0"),
        ("beats", {"n_beats": 0}, r"slice\.n_beats=0"),
        ("bars", {"n_frames": 0, "fallback": {"n_frames": 8}}, r"slice\.n_frames=0"),
        ("bars", {"shortest_s": 9}, r"slice\.shortest_s=9.*longest_s=8"),
        ("beats", {"shortest_s": 0}, r"slice\.shortest_s=0"),
        ("bars", {"min_confidence": 1.5}, r"slice\.min_confidence=1\.5.*0 \.\. 1"),
        ("bars", {"fallback": {"n_frames": 64}}, r"slice\.fallback\.n_frames=64, slice\.n_frames=128"),
    ],
)
def test_nonsense_is_refused_by_name(choice: str, wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        part(f"slice/{choice}", **wrong)


def test_the_least_and_the_most_that_make_sense_are_taken() -> None:
    one = {"n_frames": 1, "fallback": {"n_frames": 1}}
    assert len(part("slice/bars", **one, n_bars=1, min_confidence=0).spans(30, steady(120, 5))) == 1
    sure = part("slice/beats", **one, n_beats=1, min_confidence=1)
    assert sure.follows(steady(120, 2), 30)
    assert not sure.follows(beats([0, 0.5], confidence=0.999), 30)
    with pytest.raises(ValueError, match=r"slice\.shortest_s=2, slice\.longest_s=2: expected"):
        part("slice/bars", shortest_s=2, longest_s=2)


# --- One rhythm, three tempi ---

TEMPI = (80, 100, 140)
PATTERN = [  # sound, beat in the bar, notated length in beats
    *[("kick", 0, 1), ("kick", 1.5, 0.5), ("kick", 2.5, 0.5), ("snare", 1, 0.5), ("snare", 3, 1)],
    *[("hat", beat, 0.5) for beat in range(4)],
]
DECAY_S = {"kick": 0.09, "snare": 0.06, "hat": 0.02}  # of an amplitude to 1 / e, as a drum's: the same at any tempo


def played(bpm: float, held: bool, n_bars: int = 4, begin_s: float = 0.7) -> tuple[Tensor, Beats]:
    """The rhythm with noise drawn anew for every hit and a floor of -60 dB: the wave (samples,) and its beats.

    held: a sound lasts as long as its note; else it rings off like a drum, whatever the tempo.
    """
    random, beat_s = np.random.default_rng(bpm), 60 / bpm
    wave = 1e-3 * random.standard_normal(int((begin_s + n_bars * 4 * beat_s + 1) * SAMPLE_RATE))
    for bar, (sound, at, length) in itertools.product(range(n_bars), PATTERN):
        n = round((length * beat_s if held else 0.5) * SAMPLE_RATE)
        t = np.arange(n) / SAMPLE_RATE
        ramps = np.minimum(1, np.minimum(t / 0.002, (t[-1] - t) / 0.005))
        envelope = ramps if held else np.exp(-t / DECAY_S[sound])
        noise = random.standard_normal(n)
        made = {
            "kick": 0.8 * sum(np.sin(2 * np.pi * 60 * k * t) / k for k in (1, 2, 3)),
            "snare": 0.3 * noise + 0.3 * np.sin(2 * np.pi * 190 * t),
            "hat": 0.3 * np.diff(noise, prepend=0),
        }[sound]
        first = round((begin_s + (4 * bar + at) * beat_s) * SAMPLE_RATE)
        wave[first : first + n] += (envelope * made)[: len(wave) - first]
    return torch.from_numpy(wave).float(), steady(bpm, 4 * n_bars + 1, begin_s=begin_s)


def likeness(choice: str, held: bool) -> dict[tuple[int, int], Tensor]:
    """Cosines (S, S) between all slices of two tempi, each bin's mean over time removed."""
    front, slicer, flat = part("front/mel"), part(f"slice/{choice}"), {}
    for bpm in TEMPI:
        wave, known = played(bpm, held)
        slices = cut(front(wave[None])[0], slicer.spans(len(wave) / SAMPLE_RATE, known), front.hop_s, slicer.n_frames)
        flat[bpm] = torch.nn.functional.normalize((slices - slices.mean(2, keepdim=True)).flatten(1), dim=1)
    return {(a, b): flat[a] @ flat[b].T for a, b in itertools.combinations(TEMPI, 2)}


def test_one_rhythm_at_three_tempi_is_one_bar_picture() -> None:
    """Notes as written, that last for their share of the bar: every bar of a tempo is like every bar of another."""
    bars, fixed = likeness("bars", held=True), likeness("fixed", held=True)
    assert {pair: len(c) for pair, c in bars.items()} == dict.fromkeys(bars, 4)
    assert min(float(c.min()) for c in bars.values()) >= 0.95
    assert max(float(c.max()) for c in fixed.values()) < 0.5


def test_drums_that_ring_as_long_at_any_tempo_are_nearly_one_bar_picture() -> None:
    """A drum and the front-end's window (93 ms) last for seconds, not for beats: they fill 1.75 times as much of a bar
    at 140 as at 80. That no cut can mend; a bar still is far nearer to a bar than a window to a window."""
    bars, fixed = likeness("bars", held=False), likeness("fixed", held=False)
    assert bars[80, 100].mean() >= 0.95
    assert min(float(c.min()) for c in bars.values()) > 0.8
    assert max(float(c.max()) for c in fixed.values()) < 0.5
    assert bars[80, 100].mean() > bars[100, 140].mean() > bars[80, 140].mean()  # the nearer in tempo, the more alike
