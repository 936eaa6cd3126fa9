"""Logarithmic frequency: the contract, levels, and an axis that is equal in pitch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.front.contract import check_front, inner, noise, tone
from tests.parts import SAMPLE_RATE, config, part

CONFIG = config("front/logfreq")


def test_contract() -> None:
    check_front(part("front/logfreq"), SAMPLE_RATE)


def test_bins_are_equal_steps_of_pitch_from_c1() -> None:
    hz = part("front/logfreq").bin_hz.double()
    assert float(hz[0]) == pytest.approx(CONFIG["f_min"])
    assert torch.allclose(
        (hz[1:] / hz[:-1]).log(), torch.tensor(11025 / CONFIG["f_min"]).double().log() / 128, rtol=1e-4
    )


def test_no_bin_is_empty_and_no_row_is_lost() -> None:
    bank = part("front/logfreq").filters.bank
    assert (bank.sum(0) > 0).all()
    rows = np.arange(len(bank)) * SAMPLE_RATE / CONFIG["n_fft"]
    assert (bank.sum(1)[(rows >= CONFIG["f_min"]) & (rows < 0.99 * CONFIG["f_max"])] > 0).all()


def test_a_full_scale_tone_at_a_bins_centre_has_power_1() -> None:
    front = part("front/logfreq", amplitude="power")
    for k in (6, 20, 50, 90, 126):  # below, a low tone beats with its image
        picture = inner(front, front(tone(float(front.bin_hz[k]), SAMPLE_RATE, 1)))[0]
        assert torch.allclose(picture[k], torch.tensor(1.0), atol=0.02)


def test_a_tone_of_any_pitch_is_loudest_within_one_bin() -> None:
    """Also in the bass, where bins are closer than rows of the transform."""
    front = part("front/logfreq", amplitude="power")
    for hz in np.geomspace(CONFIG["f_min"] * 1.1, 100, 30):
        loudest = int(inner(front, front(tone(hz, SAMPLE_RATE, 1)))[0].mean(1).argmax())
        assert abs(loudest - int((front.bin_hz - hz).abs().argmin())) <= 1


def test_the_picture_is_the_banks_of_torchs_transform() -> None:
    front, wave = part("front/logfreq", amplitude="power"), noise(2, SAMPLE_RATE)
    rows = torch.stft(wave, front.n_fft, front.hop, window=front.window, return_complex=True).abs().square()
    expected = front.filters.bank.T @ (rows * (2 / front.window.sum()) ** 2)
    assert torch.allclose(front(wave), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("wrong", [{"f_max": 12000}, {"f_min": 5000, "f_max": 4000}, {"n_fft": 1024}])
def test_frequencies_outside_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"front\.f_min=.*front\.f_max=.*front\.n_fft=.* \.\. 11025 Hz"):
        part("front/logfreq", **wrong)
