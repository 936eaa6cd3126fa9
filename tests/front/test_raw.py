"""The raw waveform: the contract, cuts that equal the whole, filters that are read back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genrelab.slice.wave import cut_waves
from tests.front.contract import check_front, noise, tone
from tests.parts import SAMPLE_RATE, part


def settled() -> torch.nn.Module:
    """With the statistics of a first batch, as training leaves it."""
    torch.manual_seed(0)
    front = part("front/raw")
    with torch.no_grad():
        front.train()(noise(2, SAMPLE_RATE))
    return front.eval()


def test_contract() -> None:
    check_front(settled(), SAMPLE_RATE)


@pytest.mark.parametrize("begin", [0, 37, 73])
def test_a_slice_with_its_context_is_the_cut_of_the_whole(begin: int) -> None:
    front, n = settled(), 2 * SAMPLE_RATE
    wave = noise(1, n, seed=5)
    span = torch.tensor([[begin, begin + 28.0]], dtype=torch.float64) * front.hop_s
    sizes = {"hop": front.hop, "left": front.left, "right": front.right, "n_frames": 28}
    x, _ = cut_waves([wave[0].numpy()], [span], front.hop_s, **sizes)
    with torch.no_grad():
        assert torch.allclose(front.inner(x), front(wave)[..., begin : begin + 28], atol=1e-5)


def test_a_filter_is_read_back() -> None:
    front, t = part("front/raw"), np.arange(441) / SAMPLE_RATE
    window = np.hanning(441)
    for k, hz in enumerate((200.0, 1000.0, 5000.0)):
        front.filter.weight.data[k, 0] = torch.from_numpy(window * np.sin(2 * np.pi * hz * t))
    centre_hz, width_hz = front.filters()
    assert centre_hz.shape == width_hz.shape == (128,)
    assert centre_hz[:3].tolist() == pytest.approx([200, 1000, 5000], abs=4)
    assert width_hz[:3].tolist() == pytest.approx([1.44 * SAMPLE_RATE / 441] * 3, rel=0.06)  # the main lobe of Hann


def test_it_learns_to_tell_tones() -> None:
    """Low from high, at any phase and loudness, in a few steps."""
    torch.manual_seed(0)
    front, head = part("front/raw"), torch.nn.Linear(128, 2)
    random = np.random.default_rng(0)
    optimizer = torch.optim.Adam([*front.parameters(), *head.parameters()], 1e-3)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        truth = random.integers(2, size=16)
        hz = np.where(truth, 2000, 300) * random.uniform(0.8, 1.25, 16)
        level = 10 ** random.uniform(-2, 0, 16)
        waves = [
            tone(f, SAMPLE_RATE, 0.3, a).roll(int(random.integers(4000)), 1) for f, a in zip(hz, level, strict=True)
        ]
        return torch.cat(waves), torch.from_numpy(truth)

    for _ in range(80):
        wave, truth = batch()
        loss = torch.nn.functional.cross_entropy(head(front(wave).mean(2)), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        wave, truth = batch()
        assert (head(front(wave).mean(2)).argmax(1) == truth).float().mean() > 0.9


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"stride": 20}, r"front\.stride=20: expected a divisor of the hop, 441 samples"),
        ({"filter_s": 0.0}, r"front\.filter_s=0, .*expected a sample"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        part("front/raw", **wrong)


def test_phase_does_not_matter() -> None:
    """A tone that begins elsewhere gives the same picture but for what two beating samples leave."""
    front, wave = settled(), tone(1000, SAMPLE_RATE, 0.5)
    with torch.no_grad():
        a, b = (front(wave.roll(k, 1))[..., 5:-5] for k in (0, 6))
        assert (a - b).abs().mean() < 0.05 * a.std()
