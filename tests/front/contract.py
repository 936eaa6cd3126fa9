"""What every front-end must do. A new one is tested by a line: check_front(part("front/mine"), SAMPLE_RATE)."""

from __future__ import annotations

import copy
import inspect
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from genrelab.front.base import Front
from genrelab.front.fixed import Fixed


def tone(hz: float, sample_rate: int, seconds: float, level: float = 1.0) -> Tensor:
    """A sine (1, samples)."""
    t = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return (level * torch.sin(2 * math.pi * hz * t)).float()[None]


def noise(n_songs: int, n_samples: int, seed: int = 0) -> Tensor:
    """White noise of standard deviation 0.1."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(0.1 * random.standard_normal((n_songs, n_samples), dtype=np.float32))


def long_enough_s(front: Front) -> float:
    """A second around which every frame has its context."""
    return 1 + sum(front.context_s)


def inner(front: Front, picture: Tensor) -> Tensor:
    """The frames whose context lies within the wave, (..., frames)."""
    left, right = (math.ceil(c / front.hop_s) for c in front.context_s)
    return picture[..., left : picture.shape[-1] - right]


def loudness(front: Front, wave: Tensor) -> Tensor:
    """What says where a sound lies, (B, F, frames): a fixed front-end's power, before an amplitude like PCEN moves the
    maximum to the onset; the picture of others."""
    return front.power(wave).transpose(1, 2) if isinstance(front, Fixed) else front(wave)


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Nowhere further apart than a share of the picture's own variation, whatever its unit."""
    return bool((a - b).abs().max() <= tolerance * a.std())


def check_front(front: Front, sample_rate: int) -> None:
    """The contract of a front-end that the rest of the house relies on."""
    front.eval()
    check_attributes(front, sample_rate)
    check_buffers(front)
    check_version(front)
    check_refusals(front)
    if front.learned:
        check_gradients(front, sample_rate)
    with torch.no_grad():
        check_shape(front, sample_rate)
        check_extremes(front, sample_rate)
        check_batch(front, sample_rate)
        check_context(front, sample_rate)
        if not front.learned:  # what a learned one shows is what it learned
            check_click(front, sample_rate)
        if front.bin_hz is not None:
            check_tones(front, sample_rate)
        if front.unit == "dB":
            check_decibels(front, sample_rate)


def check_attributes(front: Front, sample_rate: int) -> None:
    assert front.n_bins > 0
    assert front.hop_s > 0
    hop = front.hop_s * sample_rate
    assert hop == pytest.approx(round(hop), abs=1e-6), (
        "frame t is not at t * hop_s: hop_s is no whole number of samples"
    )
    assert len(front.context_s) == 2
    assert min(front.context_s) >= 0
    assert front.scale[0] < front.scale[1]
    assert front.unit
    if front.bin_hz is not None:
        assert front.bin_hz.shape == (front.n_bins,)
        assert (front.bin_hz.diff() > 0).all()
        assert front.bin_hz[0] >= 0
        assert front.bin_hz[-1] <= sample_rate / 2
    assert front.learned == any(p.requires_grad for p in front.parameters())


def check_buffers(front: Front) -> None:
    """Every tensor moves with the model: it is a parameter or a buffer. bin_hz stays: it is for people."""
    for name, module in front.named_modules():
        for key, value in vars(module).items():
            if key.startswith("_") and key[1:] in ("parameters", "buffers", "modules"):
                continue
            parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
            held = any(isinstance(v, Tensor) for v in parts)
            assert not held or key == "bin_hz", f"{name}.{key} is a tensor that is no buffer: it would not move"


def check_device(front: Front, sample_rate: int) -> None:
    """Nothing in the way from wave to picture is made on another device than the wave's: torch's `meta` device
    computes shapes alone, and refuses a tensor of the processor as a graphics card would."""
    moved = copy.deepcopy(front).to("meta")
    n = round(long_enough_s(front) * sample_rate)
    with torch.no_grad():
        picture = moved(torch.zeros(2, n, device="meta"))
    assert picture.device.type == "meta"
    assert picture.shape == (2, front.n_bins, 1 + n // round(front.hop_s * sample_rate))


def check_version(front: Front) -> None:
    """The same code has the same version; another line in its file, or in the base's, has another."""
    before, source = front.version(), inspect.getsource
    assert front.version() == before
    for module in (inspect.getmodule(type(front)), inspect.getmodule(Front)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inspect, "getsource", lambda of, m=module: source(of) + ("\n# changed" if of is m else ""))
            assert front.version() != before
    assert front.version() == before


def check_refusals(front: Front) -> None:
    """What is no batch of waves, or too short, is refused by the front-end's name."""
    name = type(front).__name__.lower()
    with pytest.raises(ValueError, match=f"front={name} .*too short"):
        front(torch.zeros(1, 1))
    with pytest.raises(ValueError, match=rf"front={name} .*\(4410,\)"):
        front(torch.zeros(4410))


def check_shape(front: Front, sample_rate: int) -> None:
    hop, n = round(front.hop_s * sample_rate), round(long_enough_s(front) * sample_rate)
    for n_samples in (n // hop * hop - 1, n // hop * hop, n // hop * hop + 1):
        picture = front(noise(2, n_samples))
        assert picture.shape == (2, front.n_bins, 1 + n_samples // hop)
        assert picture.dtype == torch.float32


def check_extremes(front: Front, sample_rate: int) -> None:
    n = round(long_enough_s(front) * sample_rate)
    square = tone(100, sample_rate, n / sample_rate).sign()
    for wave in (torch.zeros(1, n), torch.ones(1, n), square, torch.full((1, n), 1e-30)):
        picture = front(wave)
        assert picture.isfinite().all()
        assert picture.half().isfinite().all()  # the store keeps half precision
    if front.unit == "dB":
        assert torch.allclose(front(torch.zeros(1, n)), torch.tensor(float(front.scale[0])), atol=1e-3)


def check_batch(front: Front, sample_rate: int) -> None:
    """A song's picture does not depend on the songs beside it, to 1e-5 of the values or of the scale."""
    wave = noise(3, round(long_enough_s(front) * sample_rate))
    wave[1] *= 1e-3
    together, alone = front(wave), torch.cat([front(w[None]) for w in wave])
    assert torch.allclose(together, alone, rtol=1e-5, atol=1e-5 * min(1.0, front.scale[1] - front.scale[0]))


def check_context(front: Front, sample_rate: int, tolerance: float = 2e-4) -> None:
    """A frame hears its context and, but for a share of the picture's variation, nothing beyond it."""
    frame = math.ceil(front.context_s[0] / front.hop_s) + 10
    n = round((frame * front.hop_s + front.context_s[1] + 0.3) * sample_rate)
    centre = round(frame * front.hop_s * sample_rate)
    first = math.floor(centre - front.context_s[0] * sample_rate) - 1
    last = math.ceil(centre + front.context_s[1] * sample_rate) + 2
    wave, other = noise(1, n, seed=1), noise(1, n, seed=2)
    other[:, first:last] = wave[:, first:last]
    a, b = front(wave)[..., frame], front(other)[..., frame]
    assert close(a, b, tolerance)
    other[:, centre] += 1
    assert not close(a, front(other)[..., frame], 2e-2)


def check_click(front: Front, sample_rate: int) -> None:
    """A click at second t is loudest in the frame whose centre is second t."""
    n = round((long_enough_s(front) + 1) * sample_rate)
    for frame in (math.ceil(front.context_s[0] / front.hop_s) + k for k in (5, 50)):
        wave = torch.zeros(1, n)
        wave[0, round(frame * front.hop_s * sample_rate)] = 1
        assert int(loudness(front, wave)[0].mean(0).argmax()) == frame


def check_tones(front: Front, sample_rate: int) -> None:
    """A tone is loudest in a bin whose centre is nearest to it, or in the next one: a tone between two bins may
    lie in either, and filters that overlap do not weigh both alike."""
    assert front.bin_hz is not None
    low, high = float(front.bin_hz[min(2, front.n_bins - 1)]), float(front.bin_hz[-2])
    for hz in np.geomspace(max(low, 20.0), high, 9):
        picture = inner(front, loudness(front, tone(hz, sample_rate, long_enough_s(front))))[0]
        loudest, nearest = int(picture.mean(1).argmax()), int((front.bin_hz - hz).abs().argmin())
        assert abs(loudest - nearest) <= 1, f"{hz:.0f} Hz lies in bin {loudest}, bin_hz says {nearest}"


def check_decibels(front: Front, sample_rate: int) -> None:
    """A tenth of the amplitude is 20 dB less."""
    hz = 1000.0 if front.bin_hz is None else float(front.bin_hz[front.n_bins // 2])
    loud, quiet = (inner(front, front(tone(hz, sample_rate, long_enough_s(front), level))) for level in (1.0, 0.1))
    heard = quiet > front.scale[0] + 1
    assert heard.any()
    assert torch.allclose(loud[heard] - quiet[heard], torch.tensor(20.0), atol=0.01)
    assert loud.max() <= front.scale[1] + 0.01


def check_gradients(front: Front, sample_rate: int) -> None:
    """What is learned can be: every parameter gets a gradient that is neither zero nor NaN."""
    front.zero_grad(set_to_none=True)
    front(noise(2, round(long_enough_s(front) * sample_rate))).square().mean().backward()
    for name, weight in front.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, name
            assert weight.grad.isfinite().all(), name
            assert weight.grad.abs().sum() > 0, name
    front.zero_grad(set_to_none=True)
