"""Wavelets: the contract, the filter bank at the full rate in double precision, and PyWavelets' own transform."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.front.contract import check_front, inner, noise, tone
from tests.parts import SAMPLE_RATE, config, part

HOP = round(config("front/cwt")["hop_s"] * SAMPLE_RATE)


def gaussian(width: float) -> Callable[[np.ndarray], np.ndarray]:
    """cmor's spectrum over f / centre (C = 1)."""
    return lambda f: 2 * np.exp(-(math.pi**2) * width * (f - 1) ** 2) * (f > 0)


def mexican_hat(f: np.ndarray) -> np.ndarray:
    """mexh's analytic form over f / centre, the centre being omega = sqrt(2)."""
    return 2 * f**2 * np.exp(1 - f**2) * (f > 0)


def oracle(wave: np.ndarray, spectrum: Callable[[np.ndarray], np.ndarray], bin_hz: np.ndarray) -> np.ndarray:
    """The magnitude of every frame, (frames, F), from the whole wave's transform in double precision."""
    frames, silence = 1 + len(wave) // HOP, 2 * SAMPLE_RATE
    padded = np.pad(wave.astype(np.float64), silence)
    transform, hz = np.fft.fft(padded), np.fft.fftfreq(len(padded), 1 / SAMPLE_RATE)
    first = silence + HOP * np.arange(frames) - HOP // 2
    magnitude = []
    for centre in bin_hz:
        power = np.abs(np.fft.ifft(transform * spectrum(hz / centre))) ** 2
        total = np.concatenate([[0], np.cumsum(power)])
        magnitude.append(np.sqrt((total[first + HOP] - total[first]) / HOP))
    return np.array(magnitude).T


def magnitude(front: torch.nn.Module, wave: np.ndarray) -> np.ndarray:
    return front(torch.from_numpy(wave).float()[None])[0].T.double().clamp_min(0).sqrt().numpy()


def sounds(seconds: float) -> dict[str, np.ndarray]:
    """White noise, noise that falls with frequency, a harmonic tone, and a burst that begins at once."""
    n = round(seconds * SAMPLE_RATE)
    white = noise(1, n)[0].numpy().astype(np.float64)
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(30 + np.arange(n // 2 + 1)), n)
    t = np.arange(n) / SAMPLE_RATE
    harmonic = sum(np.sin(2 * math.pi * 110 * k * t) / k for k in range(1, 60))
    return {"white": white, "pink": pink / np.abs(pink).max(), "harmonic": harmonic / 4, "burst": white * (t % 1 > 0.7)}


def error(ours: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(ours - expected) / np.linalg.norm(expected))


def test_contract() -> None:
    check_front(part("front/cwt"), SAMPLE_RATE)


def test_equals_the_full_rate() -> None:
    """By default, with every sound: all bins together, and with noise every bin by itself."""
    front = part("front/cwt", amplitude="power")
    for name, wave in sounds(2).items():
        ours, expected = magnitude(front, wave), oracle(wave, gaussian(16), front.bin_hz.double().numpy())
        assert error(ours, expected) < 2e-4, name
        if name != "harmonic":  # between its partials nothing is to be heard
            worst = max(error(a, b) for a, b in zip(ours.T, expected.T, strict=True))
            assert worst < (2e-3 if name == "burst" else 2e-4), name  # silence beside a loud frame is less exact


@pytest.mark.parametrize(
    ("wavelet", "spectrum"), [("cmor16-1.0", gaussian(16)), ("cmor1.5-1.0", gaussian(1.5)), ("mexh", mexican_hat)]
)
@pytest.mark.parametrize(("quality", "limit"), [("draft", 1e-3), ("good", 2e-4), ("exact", 3e-5)])
def test_quality(wavelet: str, spectrum: Callable[[np.ndarray], np.ndarray], quality: str, limit: float) -> None:
    """Each setting's error is what it states; wavelets that end below half the sample rate."""
    f_max = {"cmor16-1.0": 9000, "cmor1.5-1.0": 5000, "mexh": 3000}[wavelet]
    front = part("front/cwt", wavelet=wavelet, quality=quality, amplitude="power", n_bins=48, f_max=f_max)
    for name, wave in sounds(2).items():
        expected = oracle(wave, spectrum, front.bin_hz.double().numpy())
        stated = 1e-4 if wavelet == "mexh" and quality == "exact" else limit
        assert error(magnitude(front, wave), expected) < stated, name


@pytest.mark.parametrize("wavelet", ["cmor1.5-1.0", "morl", "mexh"])
def test_a_wavelet_that_is_cut_at_half_the_sample_rate(wavelet: str) -> None:
    """What the cut lets ring beyond the margins is lost: still below 1e-3."""
    front = part("front/cwt", wavelet=wavelet, amplitude="power", n_bins=32, f_min=500)
    morlet = gaussian(2 * 5**2 / (2 * math.pi) ** 2)
    spectrum = {"cmor1.5-1.0": gaussian(1.5), "morl": morlet, "mexh": mexican_hat}[wavelet]
    wave = sounds(3)["white"]
    assert error(magnitude(front, wave), oracle(wave, spectrum, front.bin_hz.double().numpy())) < 1e-3


@pytest.mark.parametrize(
    ("wavelet", "limit"),
    [("cmor16-1.0", 0.03), ("cmor1.5-1.0", 0.03), ("cgau8", 0.03), ("shan1.5-1.0", 0.05), ("fbsp2-1.5-1.0", 0.03)],
)
def test_agrees_with_pywavelets(wavelet: str, limit: float) -> None:
    """PyWavelets integrates samples of psi: its own error against the formula is some percent in the bass."""
    import pywt

    from genrelab.front.wavelets import wavelet_of

    front = part("front/cwt", wavelet=wavelet, amplitude="power", n_bins=10, f_min=100, f_max=4000)
    wave = sounds(2)["white"]
    psi, scales = pywt.ContinuousWavelet(wavelet), wavelet_of(wavelet).centre * SAMPLE_RATE / front.bin_hz.numpy()
    psi.lower_bound, psi.upper_bound = max(psi.upper_bound, 16) * np.array([-1.0, 1.0])  # cmor16 outlasts its bounds
    theirs, _ = pywt.cwt(wave, scales, psi, method="fft", precision=18)
    total = np.pad(np.cumsum(np.abs(theirs) ** 2, 1), ((0, 0), (1, 0)))
    first = HOP * np.arange(5, len(wave) // HOP - 5) - HOP // 2
    expected = np.sqrt((total[:, first + HOP] - total[:, first]) / HOP).T
    ours = magnitude(front, wave)[5 : len(wave) // HOP - 5]
    for bin_ours, bin_theirs in zip(ours.T, expected.T, strict=True):
        scale = (bin_ours @ bin_theirs) / (bin_theirs @ bin_theirs)  # theirs has the wavelet's energy, not its peak
        assert error(scale * bin_theirs, bin_ours) < limit


def test_chunks_equal_one_pass() -> None:
    """A minute cut into pieces with their context is the minute."""
    front = part("front/cwt", amplitude="power")
    wave = noise(1, 60 * SAMPLE_RATE)
    whole = front(wave)
    context, step = math.ceil(front.context_s[0] / front.hop_s), 700
    for start in range(0, whole.shape[-1], step):
        first = max(0, start - context)
        piece = front(wave[:, first * HOP : (start + step + context) * HOP])[..., start - first :][..., :step]
        expected = whole[..., start : start + step]
        assert torch.allclose(piece[..., : expected.shape[-1]].sqrt(), expected.sqrt(), rtol=1e-3, atol=1e-5)
        assert piece.sqrt().sub(expected.sqrt()).norm() < 1e-4 * expected.sqrt().norm()


def test_a_full_scale_sine_at_a_centre_reads_1() -> None:
    front = part("front/cwt", amplitude="power")
    for row in (20, 64, 100, 127):
        picture = inner(front, front(tone(float(front.bin_hz[row]), SAMPLE_RATE, 2.5)))[0]
        assert torch.allclose(picture[row], torch.tensor(1.0), atol=1e-3)
        assert int(picture.mean(1).argmax()) == row


def test_gradients() -> None:
    """Every sample's derivative is the finite difference; silence has a finite one."""
    front = part("front/cwt", amplitude="power", n_bins=6, f_min=200, f_max=6000).double()
    wave = noise(1, 3 * HOP).double().requires_grad_()
    weight = torch.linspace(1, 2, 6 * 4, dtype=torch.float64).reshape(1, 6, 4)

    def loss(x: Tensor) -> Tensor:
        return (front(x) * weight).sum()

    (gradient,) = torch.autograd.grad(loss(wave), wave)
    for at in (0, HOP, 2 * HOP + 17):
        step = torch.zeros_like(wave)
        step[0, at] = 1e-4
        assert gradient[0, at].item() == pytest.approx(
            ((loss(wave + step) - loss(wave - step)) / 2e-4).item(), rel=1e-6
        )
    silence = torch.zeros(1, 3 * HOP, requires_grad=True)
    part("front/cwt")(silence).sum().backward()
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


@pytest.mark.parametrize("amplitude", ["power", "db", "log", "pcen"])
def test_a_click_in_silence(amplitude: str) -> None:
    """No power is negative, however loud the next frame: every scale stays finite."""
    wave = torch.zeros(1, SAMPLE_RATE)
    wave[0, SAMPLE_RATE // 2 :: 5000] = 1
    picture = part("front/cwt", amplitude=amplitude)(wave)
    assert picture.isfinite().all()
    assert picture.min() >= part("front/cwt", amplitude=amplitude).scale[0]


def test_an_even_hop() -> None:
    """The ends of its frames count half, so that they stay centred."""
    sample_rate, hop = 16000, 320
    front = part("front/cwt", sample_rate=sample_rate, amplitude="power", n_bins=8, f_min=200, f_max=6000)
    wave = noise(1, sample_rate)[0].numpy()
    padded = np.pad(wave.astype(np.float64), sample_rate)
    transform, hz = np.fft.fft(padded), np.fft.fftfreq(len(padded), 1 / sample_rate)
    box = np.concatenate([[0.5], np.ones(hop - 1), [0.5]]) / hop
    for ours, centre in zip(magnitude(front, wave).T, front.bin_hz.tolist(), strict=True):
        power = np.abs(np.fft.ifft(transform * gaussian(16)(hz / centre))) ** 2
        expected = np.sqrt(np.convolve(power, box, "same")[sample_rate::hop][: len(ours)])
        assert error(ours, expected) < 2e-4


@pytest.mark.parametrize("wrong", [{"f_max": 12000}, {"f_min": 5000, "f_max": 4000}, {"f_min": 0}])
def test_frequencies_outside_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"front\.f_min=.*front\.f_max=.*not within 0 \.\. 11025 Hz"):
        part("front/cwt", **wrong)


@pytest.mark.parametrize("wrong", [{"wavelet": "nope"}, {"quality": "best"}, {"n_bins": 1}])
def test_wrong_words_are_refused(wrong: dict[str, object]) -> None:
    ((key, value),) = wrong.items()
    with pytest.raises(ValueError, match=rf"^front\.{key}={value}: expected [^\n]+$"):
        part("front/cwt", **wrong)
