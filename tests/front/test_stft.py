"""Linear frequency: the contract, the rows of a Fourier transform, and levels by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tests.front.contract import check_front, inner, noise, tone
from tests.parts import SAMPLE_RATE, part


def test_contract() -> None:
    check_front(part("front/stft"), SAMPLE_RATE)


def test_time_is_kept_where_the_hop_is_no_whole_number_of_samples() -> None:
    check_front(part("front/stft", sample_rate=11025, n_fft=1024), 11025)


def test_256_with_128_bins_is_128_of_its_129_rows() -> None:
    front = part("front/stft", n_fft=256, n_bins=128)
    wave, window = noise(2, SAMPLE_RATE), torch.hann_window(256)
    rows = torch.stft(wave, 256, front.hop, window=window, center=True, pad_mode="reflect", return_complex=True)
    expected = 20 * (rows.abs() / (window.sum() / 2)).log10()
    assert rows.shape[1] == 129
    assert torch.allclose(front(wave), expected[:, :128].clamp_min(-100), atol=1e-3)


def test_pooling_is_the_mean_power_of_equal_rows() -> None:
    fine, coarse = part("front/stft", n_bins=1024), part("front/stft", n_bins=128)
    wave = noise(1, SAMPLE_RATE)
    power = 10 ** (fine(wave) / 10)
    assert torch.allclose(coarse(wave), 10 * power.reshape(1, 128, 8, -1).mean(2).log10(), atol=1e-3)
    assert torch.allclose(coarse.bin_hz, fine.bin_hz.reshape(128, 8).mean(1))


@pytest.mark.parametrize("row", [100, 403, 900])
def test_a_full_scale_tone_is_0_db(row: int) -> None:
    """At the centre of a row it reads 0 dB, and -6 dB in the rows beside it (the transform of a Hann window is
    1/4, 1/2, 1/4). Eight rows pooled hold 1 + 1/4 + 1/4 of its power: 10 log10(1.5 / 8) = -7.3 dB."""
    hz = row * SAMPLE_RATE / 2048
    fine, coarse = part("front/stft", n_bins=1024), part("front/stft", n_bins=128)
    wave = tone(hz, SAMPLE_RATE, 0.5)
    rows = inner(fine, fine(wave))[0]
    assert torch.allclose(rows[row], torch.tensor(0.0), atol=0.01)
    assert torch.allclose(rows[[row - 1, row + 1]], torch.tensor(20 * math.log10(1 / 2)), atol=0.01)
    assert rows[[row - 2, row + 2]].max() < -60
    assert row % 8 not in (0, 7), "both neighbours lie in the same bin"
    assert torch.allclose(inner(coarse, coarse(wave))[0, row // 8], torch.tensor(10 * math.log10(1.5 / 8)), atol=0.01)


def test_bins_that_do_not_divide_the_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"front\.n_bins=100 does not divide the 1024 rows of front\.n_fft=2048"):
        part("front/stft", n_bins=100)


def test_the_shortest_wave() -> None:
    front = part("front/stft")
    assert front(noise(1, 1025)).shape == (1, 128, 3)
    with pytest.raises(ValueError, match="front=stft needs at least 1025 samples, got 1024"):
        front(noise(1, 1024))


def test_blocks_leave_no_seam() -> None:
    """Frames are transformed 64 at a time; the picture of a part equals that part of the picture."""
    front = part("front/stft")
    wave = noise(1, 200 * front.hop)
    whole, late = front(wave), front(wave[:, 30 * front.hop :])
    assert torch.equal(whole[..., 40:], late[..., 10:])
