"""LEAF: the contract, cuts that equal the whole, and filtering at the full rate as the oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genrelab.front import leaf
from genrelab.front.leaf import Leaf
from genrelab.slice.wave import cut_waves
from tests.front.contract import check_front, noise, tone
from tests.parts import SAMPLE_RATE, config, part

CONFIG = config("front/leaf")


def moved(amount: float, **overrides: float) -> Leaf:
    """A front-end whose parameters have gone their own ways."""
    torch.manual_seed(0)
    front = part("front/leaf", **overrides)
    with torch.no_grad():
        for weight in front.parameters():
            weight.normal_(0, amount)
    return front.eval()


def test_contract() -> None:
    check_front(part("front/leaf"), SAMPLE_RATE)


@pytest.mark.parametrize("amount", [0.0, 0.5])
@pytest.mark.parametrize("begin", [0, 37, 73])
def test_a_slice_with_its_context_is_the_cut_of_the_whole(begin: int, amount: float) -> None:
    front, n = moved(amount), 2 * SAMPLE_RATE
    wave = noise(1, n, seed=5)
    span = torch.tensor([[begin, begin + 28.0]], dtype=torch.float64) * front.hop_s
    sizes = {"hop": front.hop, "left": front.left, "right": front.right, "n_frames": 28}
    x, _ = cut_waves([wave[0].numpy()], [span], front.hop_s, **sizes)
    with torch.no_grad():
        assert torch.allclose(front.inner(x), front(wave)[..., begin : begin + 28], atol=1e-5)


def test_blocks_equal_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    front, wave = moved(0.2), noise(3, 2 * SAMPLE_RATE)
    with torch.no_grad():
        whole = front(wave)
        monkeypatch.setattr(leaf, "BLOCK_FRAMES", 50)
        monkeypatch.setattr(leaf, "WAVES", 2)
        assert torch.allclose(front(wave), whole, atol=1e-5)


def test_the_first_filters_are_mel_spaced() -> None:
    centre_hz, width_hz = part("front/leaf").filters()
    mel = 2595 * torch.log10(1 + centre_hz / 700)
    step = mel.diff().mean()
    assert torch.allclose(mel.diff(), step, rtol=1e-2)
    low, high = (2595 * math.log10(1 + CONFIG[key] / 700) for key in ("f_min", "f_max"))
    assert float(mel[0] - step) == pytest.approx(low, abs=0.5)
    assert float(mel[-1] + step) == pytest.approx(high, abs=0.5)
    # half power of a Gaussian that is one half where the root of a triangle is
    spacing = (centre_hz[2:] - centre_hz[:-2]) / 2
    wide = width_hz[1:-1] > 30
    assert torch.allclose(width_hz[1:-1][wide], (1.5 * spacing / math.sqrt(2))[wide], rtol=1e-2)


def full_rate(front: Leaf, wave: Tensor, n_frames: int) -> Tensor:
    """Energies (F, n_frames) by complex Gabor filters and low-passes at every sample, in double precision."""
    hz, width_hz = front.centre_hz().double()[:, None], front.width_hz().double()[:, None]
    t = torch.arange(-2500, 2501, dtype=torch.float64) / SAMPLE_RATE
    deviation_s = math.sqrt(2 * math.log(2)) / (math.pi * width_hz)
    envelope = (-0.5 * (t / deviation_s).square()).exp() / (math.sqrt(2 * math.pi) * deviation_s * SAMPLE_RATE)
    gabor = torch.polar(envelope, 2 * math.pi * hz * t)
    pool_s = (0.4 * front.log_pool.double().exp()).clamp(0.15, 0.5)[:, None] * CONFIG["pool_s"] / 2
    pool = (-0.5 * (t / pool_s).square()).exp()
    size = 1 << (wave.shape[1] + len(t)).bit_length()
    same = slice(len(t) // 2, len(t) // 2 + wave.shape[1])
    spectrum, energies = torch.fft.fft(wave[0].double(), size), []
    for kernel, low in zip(gabor, pool / pool.sum(1, keepdim=True), strict=True):
        power = torch.fft.ifft(spectrum * torch.fft.fft(kernel, size))[same].abs().square()
        energies.append(torch.fft.irfft(torch.fft.rfft(power, size) * torch.fft.rfft(low, size), size)[same])
    return torch.stack(energies)[:, front.margin * front.hop :: front.hop][:, :n_frames]


@pytest.mark.parametrize(("amount", "tolerance"), [(0.0, 3e-5), (0.6, 3e-3)])
@pytest.mark.parametrize("sound", ["noise", "clicks"])
def test_energies_equal_filtering_every_sample(amount: float, tolerance: float, sound: str) -> None:
    """A band's relative error over 36 frames, as the docstring states it."""
    front, n_frames = moved(amount), 36
    wave = noise(1, front.left + 4 * front.hop + 1 + front.right, seed=3)
    if sound == "clicks":
        wave = 1e-3 * wave
        wave[0, ::3001] = 1
    with torch.no_grad():
        expected, ours = full_rate(front, wave, n_frames), front.energies(wave, n_frames)[0]
    assert ((ours - expected).norm(dim=1) / expected.norm(dim=1)).max() < tolerance


def test_gradients_equal_differences() -> None:
    """Of every kind of parameter, against central differences."""
    front = moved(0.3, n_bins=8)
    wave, target = noise(1, SAMPLE_RATE), torch.linspace(-1, 1, 51)

    def of() -> Tensor:
        return (front(wave)[0] * target).sum()

    of().backward()
    for name, weight in front.named_parameters():
        for k in (2, 6):
            step = 1e-2
            with torch.no_grad():
                weight[k] += step
                up = of()
                weight[k] -= 2 * step
                down = of()
                weight[k] += step
            assert float(weight.grad[k]) == pytest.approx(float(up - down) / (2 * step), rel=0.02, abs=2e-3), name


def test_a_tone_is_a_quarter_of_its_power_and_a_louder_song_looks_alike() -> None:
    front = part("front/leaf")
    at = 60
    wave = tone(float(front.filters()[0][at]), SAMPLE_RATE, 2)
    with torch.no_grad():
        energy = front.energies(wave, 60)
        assert torch.allclose(energy[0, at], torch.tensor(0.25), rtol=1e-3)  # half of a cosine is at -f
        assert int(energy[0].mean(1).argmax()) == at
        loud, quiet = (front(level * wave)[0, at, 45:55] for level in (1.0, 0.1))
    assert torch.allclose(loud, quiet, rtol=0.25)  # 20 dB less: a gain of alpha = 0.96 leaves 0.8 dB


def test_it_learns_to_tell_tones() -> None:
    """Low from high, at any loudness, in a few steps; and the filters move."""
    torch.manual_seed(0)
    front, head = part("front/leaf", n_bins=16), torch.nn.Linear(16, 2)
    start_hz, start_width_hz = (x.clone() for x in front.filters())
    optimizer = torch.optim.Adam([*front.parameters(), *head.parameters()], 0.02)
    generator = torch.Generator().manual_seed(0)
    length = front.left + 9 * front.hop + 1 + front.right
    t = torch.arange(length) / SAMPLE_RATE

    def batch() -> tuple[Tensor, Tensor]:
        truth = torch.randint(2, (8,), generator=generator)
        hz = torch.where(truth == 1, 2000, 300) * (0.8 + 0.45 * torch.rand(8, generator=generator))
        level = 10 ** (-2 * torch.rand(8, generator=generator))
        hiss = 1e-3 * torch.randn(8, length, generator=generator)
        return level[:, None] * (2 * math.pi * hz[:, None] * t).sin() + hiss, truth

    for _ in range(30):
        wave, truth = batch()
        loss = torch.nn.functional.cross_entropy(head(front.inner(wave).mean(2)), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        wave, truth = batch()
        assert (head(front.inner(wave).mean(2)).argmax(1) == truth).float().mean() > 0.9
    centre_hz, width_hz = front.filters()
    assert ((centre_hz - start_hz).abs() > 0.01 * start_width_hz).any()
    assert ((width_hz / start_width_hz).log().abs() > 0.01).any()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"f_max": 12000}, r"front\.f_min=60, front\.f_max=12000: not within 0 \.\. 11025 Hz"),
        ({"window_s": 0}, r"front\.window_s=0: expected more than 0"),
        ({"history_s": 0.001}, r"front\.history_s=0\.001: expected at least one frame"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        part("front/leaf", **wrong)
