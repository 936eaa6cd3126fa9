"""Mel-frequency cepstral coefficients: the contract, torchaudio's and librosa's figures."""

from __future__ import annotations

import math

import pytest
import torch

from tests.front.contract import check_front, noise, tone
from tests.parts import SAMPLE_RATE, config, part

CONFIG = config("front/mfcc")
HOP = round(CONFIG["hop_s"] * SAMPLE_RATE)
MEL = {"n_fft": CONFIG["n_fft"], "hop_length": HOP, "n_mels": CONFIG["n_mels"]}
FULL_SCALE = float(torch.hann_window(CONFIG["n_fft"]).sum() / 2) ** 2  # |X|^2 of a full-scale sine: our 0 dB


def ours(wave: torch.Tensor) -> torch.Tensor:
    """Our coefficients with decibels against 1, as the others have them: the mean of the mel spectrum is higher."""
    picture = part("front/mfcc")(wave)
    picture[:, 0] += 10 * math.log10(FULL_SCALE) * CONFIG["n_mels"] ** 0.5
    return picture


@pytest.mark.parametrize("n_bins", [20, 40])
def test_contract(n_bins: int) -> None:
    check_front(part("front/mfcc", n_bins=n_bins), SAMPLE_RATE)


def test_equals_torchaudio() -> None:
    from torchaudio.transforms import MFCC

    bank = {"f_min": CONFIG["f_min"], "f_max": CONFIG["f_max"], "norm": "slaney", "mel_scale": "slaney"}
    theirs = MFCC(SAMPLE_RATE, CONFIG["n_bins"], melkwargs=MEL | bank | {"pad_mode": "reflect"})
    wave = noise(1, SAMPLE_RATE)
    assert torch.allclose(ours(wave), theirs(wave), rtol=1e-4, atol=1e-4 * CONFIG["n_mels"] ** 0.5)


def test_equals_librosa() -> None:
    import librosa

    wave = noise(1, SAMPLE_RATE)
    theirs = librosa.feature.mfcc(
        y=wave[0].numpy(), sr=SAMPLE_RATE, n_mfcc=CONFIG["n_bins"], fmin=CONFIG["f_min"], fmax=CONFIG["f_max"],
        pad_mode="reflect", **MEL,
    )  # fmt: skip
    assert torch.allclose(ours(wave)[0], torch.from_numpy(theirs), rtol=1e-4, atol=1e-4 * CONFIG["n_mels"] ** 0.5)


def test_all_coefficients_keep_the_energy_of_the_mel_spectrum() -> None:
    """The transform is orthonormal."""
    wave = noise(1, SAMPLE_RATE)
    mel = part("front/mel", n_bins=CONFIG["n_mels"])(wave)
    whole = part("front/mfcc", n_bins=CONFIG["n_mels"])(wave)
    assert torch.allclose(whole.square().sum(1), mel.square().sum(1), rtol=1e-4)


@pytest.mark.parametrize("amplitude", ["power", "db", "log", "pcen"])
def test_the_scale_holds_every_coefficient(amplitude: str) -> None:
    front = part("front/mfcc", amplitude=amplitude)
    for wave in (torch.zeros(1, SAMPLE_RATE), noise(1, SAMPLE_RATE), tone(440, SAMPLE_RATE, 1)):
        picture = front(wave)
        assert front.scale[0] <= picture.min()
        assert picture.max() <= front.scale[1]


def test_louder_changes_the_first_coefficient_alone() -> None:
    front, wave = part("front/mfcc"), noise(1, SAMPLE_RATE)
    change = front(wave) - front(wave / 10)
    assert torch.allclose(change[:, 0], torch.tensor(20 * CONFIG["n_mels"] ** 0.5), rtol=1e-4)
    assert change[:, 1:].abs().max() < 0.02


@pytest.mark.parametrize("n_bins", [0, 129])
def test_more_coefficients_than_mel_bins_are_refused(n_bins: int) -> None:
    with pytest.raises(ValueError, match=rf"front\.n_bins={n_bins}: expected 1 \.\. 128"):
        part("front/mfcc", n_bins=n_bins)
