"""A cut of a picture: exact on the frame grid, honest between frames, free of aliases where it shrinks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genrelab.slice.base import cut, on_grid, resample, taps
from tests.parts import part

HOP_S = 0.02


def span(begin_s: float, end_s: float) -> Tensor:
    return torch.tensor([[begin_s, end_s]], dtype=torch.float64)


def ramp(n_frames: int) -> Tensor:
    """A picture (2, frames) whose values are its times in seconds, and their negatives."""
    t = torch.arange(n_frames, dtype=torch.float32) * HOP_S
    return torch.stack([t, -t])


@pytest.mark.parametrize("hop_s", [2.56, 1.28, 0.02])
def test_on_the_grid_it_is_indexing(hop_s: float) -> None:
    picture = torch.randn(5, 1501, generator=torch.Generator().manual_seed(0))
    spans = part("slice/fixed", hop_s=hop_s).spans(30.0)
    slices = cut(picture, spans, HOP_S, 128)
    step = round(hop_s / HOP_S)
    assert slices.shape == (len(spans), 5, 128)
    for i in range(len(spans)):
        assert torch.equal(slices[i], picture[:, i * step : i * step + 128])


def test_no_span_no_slice() -> None:
    assert cut(torch.zeros(5, 10), torch.zeros(0, 2, dtype=torch.float64), HOP_S, 128).shape == (0, 5, 128)


def test_what_is_on_the_grid() -> None:
    assert on_grid(span(0.4, 2.96), HOP_S, 128).tolist() == [20]
    assert on_grid(span(0.41, 2.97), HOP_S, 128) is None  # begins between two frames
    assert on_grid(span(0.4, 2.94), HOP_S, 128) is None  # a frame too short
    assert on_grid(torch.cat([span(0.4, 2.96), span(0.41, 2.97)]), HOP_S, 128) is None


@pytest.mark.parametrize(
    ("begin_s", "length_s"),
    [(1.013, 2.56), (1.0, 1.7), (0.513, 0.9), (1.013, 5.12), (2.007, 7.68)],
    ids=["shifted", "stretched", "shifted and stretched", "shrunk by 2", "shrunk by 3"],
)
def test_a_ramp_keeps_its_times(begin_s: float, length_s: float) -> None:
    slices = cut(ramp(600), span(begin_s, begin_s + length_s), HOP_S, 128)
    expected = begin_s + torch.arange(128, dtype=torch.float64) * length_s / 128
    assert torch.allclose(slices[0, 0].double(), expected, rtol=0, atol=1e-5)
    assert torch.equal(slices[0, 1], -slices[0, 0])


@settings(deadline=None)
@given(begin_s=st.floats(0.3, 2), length_s=st.floats(0.1, 9))
def test_a_ramp_of_any_tempo_is_right(begin_s: float, length_s: float) -> None:
    """To a thousandth of a frame, also where a span shrinks by a ratio that is not whole."""
    slices = cut(ramp(700), span(begin_s, begin_s + length_s), HOP_S, 128)
    expected = begin_s + torch.arange(128, dtype=torch.float64) * length_s / 128
    assert (slices[0, 0].double() - expected).abs().max() < 1e-3 * HOP_S


@settings(deadline=None)
@given(begin=st.floats(-20, 300), ratio=st.floats(0.01, 12))
def test_weights_are_a_mean_at_the_right_place(begin: float, ratio: float) -> None:
    frames, weight = taps(torch.tensor([[begin, begin + 16 * ratio]], dtype=torch.float64), 16)
    at = begin + torch.arange(16, dtype=torch.float64) * ratio
    assert weight.min() >= 0
    assert torch.allclose(weight.sum(2)[0], torch.ones(16, dtype=torch.float64), rtol=0, atol=1e-12)
    assert torch.allclose((weight * frames).sum(2)[0], at, rtol=0, atol=1e-9)
    assert ((frames - at[:, None]).abs()[weight > 0] <= max(1, ratio) + 1e-9).all()


def test_the_grid_is_no_special_case() -> None:
    """Indexing equals the interpolation of the same span."""
    picture = torch.randn(5, 300, generator=torch.Generator().manual_seed(0))
    spans = torch.tensor([[0.0, 128.0], [7.0, 135.0], [172.0, 300.0]], dtype=torch.float64)
    indexed = cut(picture, spans * HOP_S, HOP_S, 128)
    assert torch.allclose(resample(picture.expand(3, -1, -1), spans, 128), indexed, rtol=0, atol=1e-6)


def test_a_shift_of_the_picture_is_a_shift_of_the_span() -> None:
    picture = torch.randn(5, 400, generator=torch.Generator().manual_seed(0))
    for length_s in (1.7, 2.56, 4.1):
        here = cut(picture, span(0.813, 0.813 + length_s), HOP_S, 128)
        there = cut(picture.roll(37, 1), span(0.813 + 37 * HOP_S, 0.813 + 37 * HOP_S + length_s), HOP_S, 128)
        assert torch.allclose(here, there, rtol=0, atol=1e-5)


@pytest.mark.parametrize("ratio", [1.4, 1.8, 2.7, 3.9])
def test_what_fewer_frames_cannot_carry_vanishes(ratio: float) -> None:
    """In periods a frame of the cut: 0.5 is its Nyquist. A triangle passes the square of a sinc: 0.97 at 0.1, 0.05 at
    0.8, nothing at 1 and the next whole numbers. Beyond the picture's own Nyquist there is nothing to measure."""
    t = torch.arange(1000, dtype=torch.float64)
    where = torch.tensor([[100.3, 100.3 + 128 * ratio]], dtype=torch.float64)

    def left(periods: float) -> float:
        waves = [f(2 * math.pi * periods / ratio * t) for f in (torch.sin, torch.cos)]
        a, b = cut(torch.stack(waves), where * HOP_S, HOP_S, 128)[0]
        return float((a.square() + b.square()).mean().sqrt())

    assert left(0.1) > 0.95
    folding = [p for p in (0.8, 0.9, 1.0, 1.2, 1.5, 1.9) if p < ratio / 2]
    assert all(left(p) < 0.1 for p in folding), [left(p) for p in folding]
    assert folding or ratio < 2


def test_a_whole_song_at_once_equals_span_by_span() -> None:
    picture = torch.randn(5, 900, generator=torch.Generator().manual_seed(0))
    spans = torch.tensor([[0.013, 1.7], [1.7, 3.913], [3.913, 12.0], [15.2, 17.99]], dtype=torch.float64)
    alone = torch.cat([cut(picture, s[None], HOP_S, 128) for s in spans])
    assert torch.allclose(cut(picture, spans, HOP_S, 128), alone, rtol=0, atol=1e-6)
    frames = spans / HOP_S
    assert torch.allclose(resample(picture.expand(4, -1, -1), frames, 128), alone, rtol=0, atol=1e-6)


def test_beyond_the_picture_its_last_frame_stays() -> None:
    """A song ends up to a hop after its last frame; a cut that ends there reads nothing that is not the song's."""
    picture = ramp(100)
    slices = cut(picture, torch.tensor([[0.013, 1.999], [1.5, 1.999], [1.97, 5.0]], dtype=torch.float64), HOP_S, 128)
    assert slices.isfinite().all()
    assert slices[:, 0].max() <= 99 * HOP_S + 1e-6
    assert slices[2, 0, -1] == pytest.approx(99 * HOP_S)
    assert cut(picture, span(2.0, 4.56), HOP_S, 128)[0, 0].tolist() == pytest.approx([99 * HOP_S] * 128)


def test_what_is_not_the_songs_own_is_not_read() -> None:
    pictures = torch.randn(2, 3, 60, generator=torch.Generator().manual_seed(0))
    spoiled = pictures.clone()
    spoiled[0, :, 40:] = torch.nan
    spans, own = torch.tensor([[3.3, 45.0], [3.3, 45.0]], dtype=torch.float64), torch.tensor([40, 60])
    slices = resample(spoiled, spans, 16, own)
    assert torch.allclose(slices[:1], resample(pictures[:1, :, :40], spans[:1], 16), rtol=0, atol=1e-6)
    assert torch.allclose(slices[1:], resample(pictures[1:], spans[1:], 16), rtol=0, atol=1e-6)


def test_gradients_flow_through_a_cut() -> None:
    random = torch.Generator().manual_seed(0)
    pictures = torch.randn(3, 4, 50, generator=random, dtype=torch.float64, requires_grad=True)
    spans = torch.tensor([[1.3, 30], [2, 40.2], [-3, 60]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: resample(x, spans, 16), pictures)


def test_shrinking_does_not_fold_over() -> None:
    """10 Hz in a picture of 50 frames/s; a quarter of them, 12.5 frames/s, carries 6.25 Hz at most. Every fourth frame
    would show the 10 Hz at full strength as 2.5 Hz. A triangle of 2 * 4 frames, a mean of 4 taken twice, leaves
    (sin(4 w / 2) / (4 sin(w / 2)))^2 of it, with w = 2 pi 10 / 50: 6.25 %."""
    t = torch.arange(1000) * HOP_S
    fast, slow = torch.sin(2 * math.pi * 10 * t)[None], torch.sin(2 * math.pi * 0.5 * t)[None]
    where = span(1.0, 1.0 + 4 * 128 * HOP_S)
    naive = fast[:, 50 : 50 + 4 * 128 : 4]
    shrunk = cut(fast, where, HOP_S, 128)[0]
    assert naive.std() > 0.6
    left = (math.sin(0.8 * math.pi) / (4 * math.sin(0.2 * math.pi))) ** 2
    assert float(shrunk.std() / naive.std()) == pytest.approx(left, rel=0.01)
    kept = cut(slow, where, HOP_S, 128)[0]
    assert torch.allclose(kept, slow[:, 50 : 50 + 4 * 128 : 4], atol=0.02)  # what is slow stays


@settings(deadline=None)
@given(duration_s=st.floats(0.5, 12), where=st.floats(0, 1), share=st.floats(0.05, 1))
def test_edges_stay_inside(duration_s: float, where: float, share: float) -> None:
    """Interpolation never leaves the range of the values, at either end of a song; constants stay."""
    n_frames = 1 + int(duration_s / HOP_S)
    picture = torch.randn(3, n_frames, generator=torch.Generator().manual_seed(n_frames))
    picture[2] = -37.5
    length_s = share * duration_s
    begin_s = where * (duration_s - length_s)
    slices = cut(picture, span(begin_s, begin_s + length_s), HOP_S, 128)
    assert slices.shape == (1, 3, 128)
    assert slices.isfinite().all()
    for row in (0, 1):
        assert slices[0, row].min() >= picture[row].min() - 1e-5
        assert slices[0, row].max() <= picture[row].max() + 1e-5
    assert torch.allclose(slices[0, 2], torch.tensor(-37.5), atol=1e-4)
