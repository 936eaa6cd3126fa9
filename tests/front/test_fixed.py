"""Amplitudes: the formulas, librosa's PCEN, and every fixed front-end with each of them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from genrelab.front.base import Front
from genrelab.front.fixed import AMPLITUDES, Fixed, pcen
from tests.front.contract import (
    check_batch,
    check_context,
    check_device,
    check_extremes,
    check_front,
    check_shape,
)
from tests.parts import SAMPLE_RATE, config, names, part

HOP_S = 0.02
FRONTS = [name for name in names("front") if "_target_" in config(f"front/{name}")]  # bars is a choice of others
PROCESSOR_ONLY = {"carfac"}  # a compiled loop, wherever the wave lies
BY_VALUE = {"leaf"}  # sizes follow from its weights, so that shapes alone do not tell what it computes


@cache
def built(name: str) -> Front:
    return part(f"front/{name}")


FIXED = [name for name in FRONTS if not built(name).learned]


class Given(Fixed):
    """A front-end whose power is the wave itself: only the amplitude is left to test."""

    hop_s = HOP_S

    def power(self, wave: Tensor) -> Tensor:
        return wave[..., None]


def scaled(amplitude: str, power: Tensor) -> Tensor:
    """(frames,) -> (frames,)"""
    return Given(amplitude, -100.0)(power[None])[0, 0]


def powers(frames: int = 400, seed: int = 0) -> Tensor:
    """Powers over seven decades (frames,)."""
    return torch.from_numpy(10.0 ** np.random.default_rng(seed).uniform(-7, 0, frames)).float()


def test_every_yaml_is_a_fixed_or_a_learned_front_end() -> None:
    assert {"stft", "logfreq", "mel", "cqt", "chroma", "mfcc"} <= set(FIXED)
    assert all(isinstance(built(name), Fixed) for name in FIXED)


def test_power_is_left_as_it_is() -> None:
    assert torch.equal(scaled("power", powers()), powers())


def test_decibels() -> None:
    power = torch.tensor([1.0, 0.1, 2.0, 1e-10, 1e-11, 0.0])
    expected = torch.tensor([0.0, -10.0, 10 * math.log10(2), -100.0, -100.0, -100.0])
    assert torch.allclose(scaled("db", power), expected, atol=1e-4)


def test_logarithm() -> None:
    """log10(1 + 10,000 power), exact for the smallest powers too."""
    power = torch.tensor([0.0, 1e-12, 1e-4, 9e-4, 1.0])
    expected = torch.tensor([0.0, 1e-8 / math.log(10), math.log10(2), 1.0, math.log10(10001)])
    assert torch.allclose(scaled("log", power), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("first", [None, 0.0, 1.0])
def test_pcen_equals_librosa(first: float | None) -> None:
    """To 1e-4, also after a start at full scale, where rounding could drown what follows."""
    import librosa
    from scipy.signal import lfilter_zi

    power = torch.stack([powers(seed=s) for s in range(3)], -1)[None]
    if first is not None:
        power[:, 0], power[:, 1:] = first, 1e-7 * power[:, 1:]
    magnitude = 2.0**31 * power[0].T.double().sqrt().numpy()
    frames = 0.4 / HOP_S
    b = (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    theirs = librosa.pcen(
        magnitude, sr=50, hop_length=1, gain=0.98, bias=2, power=0.5, time_constant=0.4, eps=1e-6,
        zi=lfilter_zi([b], [1, b - 1])[:, None] * magnitude[:, :1],
    )  # fmt: skip
    assert torch.allclose(pcen(power, HOP_S)[0].T.double(), torch.from_numpy(theirs), rtol=1e-4, atol=1e-4)


def test_pcen_removes_a_static_gain_and_decibels_keep_it() -> None:
    """20 dB less, in shares of the spread of the picture."""
    power = powers()
    moved = {
        a: float((scaled(a, power) - scaled(a, power / 100)).abs().mean() / scaled(a, power).std()) for a in AMPLITUDES
    }
    assert moved["pcen"] < 0.1
    assert moved["db"] > 0.8
    assert moved["db"] > 10 * moved["pcen"]


def test_pcen_hears_no_onset_where_a_song_begins() -> None:
    steady = scaled("pcen", torch.full((200,), 0.01))
    assert torch.allclose(steady, steady[:1].expand(200), rtol=1e-4)


def test_pcen_forgets_in_the_time_that_context_s_states() -> None:
    """A loud past weighs less than 1e-3 of the value once it is older than the context says."""
    front = Given("pcen", -100.0)
    front.context_s = (0.5, 0.25)
    assert front.power_context_s == (0.5, 0.25)
    left, right = front.context_s
    assert (left, right) == (pytest.approx(5.3), 0.25)
    power = powers(1000)
    other = power.clone()
    other[:100] = 1
    late, early = 100 + round((left - 0.5) / HOP_S), 105
    change = (scaled("pcen", power) - scaled("pcen", other)).abs() / (1e-3 + scaled("pcen", power).abs())
    assert change[late:].max() < 1e-3
    assert change[early : early + 5].max() > 0.1


@pytest.mark.parametrize("amplitude", AMPLITUDES)
def test_silence_and_its_gradient_are_finite(amplitude: str) -> None:
    power = torch.cat([torch.zeros(20), powers(50), torch.zeros(20)]).requires_grad_()
    picture = scaled(amplitude, power)
    assert picture.isfinite().all()
    picture.sum().backward()
    assert power.grad is not None
    assert power.grad.isfinite().all()


@pytest.mark.parametrize("amplitude", AMPLITUDES)
def test_half_precision_keeps_the_picture(amplitude: str) -> None:
    """The store's rounding is below a thousandth of the scale for anything from silence to full scale."""
    picture, front = scaled(amplitude, powers()), Given(amplitude, -100.0)
    assert (picture.half().float() - picture).abs().max() < 1e-3 * (front.scale[1] - front.scale[0])
    assert front.scale[0] <= picture.min()
    assert picture.max() <= front.scale[1]


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("amplitude", AMPLITUDES)
def test_every_fixed_front_end_takes_every_amplitude(name: str, amplitude: str) -> None:
    front = part(f"front/{name}", amplitude=amplitude).eval()
    with torch.no_grad():
        check_shape(front, SAMPLE_RATE)
        check_extremes(front, SAMPLE_RATE)
        check_batch(front, SAMPLE_RATE)


@pytest.mark.parametrize("name", ["mel", "cqt"])
@pytest.mark.parametrize("amplitude", AMPLITUDES)
def test_the_whole_contract_holds_for_every_amplitude(name: str, amplitude: str) -> None:
    check_front(part(f"front/{name}", amplitude=amplitude), SAMPLE_RATE)


@pytest.mark.parametrize("name", FIXED)
def test_a_frame_hears_its_context_and_the_smoothers_memory(name: str) -> None:
    """The share of the past grows where the present is quieter, as in the low channels of an ear that hears noise."""
    with torch.no_grad():
        check_context(part(f"front/{name}", amplitude="pcen").eval(), SAMPLE_RATE, tolerance=1e-3)


@pytest.mark.parametrize("name", sorted(set(FRONTS) - PROCESSOR_ONLY - BY_VALUE))
def test_every_tensor_is_where_the_wave_is(name: str) -> None:
    check_device(part(f"front/{name}").eval(), SAMPLE_RATE)
    if name in FIXED:
        check_device(part(f"front/{name}", amplitude="pcen").eval(), SAMPLE_RATE)


def test_unknown_amplitudes_and_floors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"front\.amplitude=loud: expected one of power, db, log, pcen"):
        part("front/mel", amplitude="loud")
    with pytest.raises(ValueError, match=r"front\.floor_db=0: expected less than 0"):
        part("front/mel", floor_db=0)
