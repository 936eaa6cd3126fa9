"""Mel frequency: the contract, and the same figures as torchaudio and librosa."""

from __future__ import annotations

import pytest
import torch

from tests.front.contract import check_front, inner, noise, tone
from tests.parts import SAMPLE_RATE, config, part

CONFIG = config("front/mel")
HOP = round(CONFIG["hop_s"] * SAMPLE_RATE)
FULL_SCALE = (torch.hann_window(CONFIG["n_fft"]).sum() / 2) ** 2  # |X|^2 of a full-scale sine: our 0 dB


def test_contract() -> None:
    check_front(part("front/mel"), SAMPLE_RATE)


def power(wave: torch.Tensor) -> torch.Tensor:
    """Our picture as torchaudio and librosa scale it."""
    return 10 ** (part("front/mel")(wave).double() / 10) * FULL_SCALE


def test_equals_torchaudio() -> None:
    from torchaudio.transforms import MelSpectrogram

    theirs = MelSpectrogram(
        SAMPLE_RATE,
        CONFIG["n_fft"],
        hop_length=HOP,
        f_min=CONFIG["f_min"],
        f_max=CONFIG["f_max"],
        n_mels=CONFIG["n_bins"],
        norm="slaney",
        mel_scale="slaney",
        pad_mode="reflect",
    )
    wave = noise(2, SAMPLE_RATE)
    assert torch.allclose(power(wave), theirs(wave).double(), rtol=1e-4, atol=0)


def test_equals_librosa() -> None:
    import librosa

    wave = noise(1, SAMPLE_RATE)
    theirs = librosa.feature.melspectrogram(
        y=wave[0].numpy(),
        sr=SAMPLE_RATE,
        n_fft=CONFIG["n_fft"],
        hop_length=HOP,
        fmin=CONFIG["f_min"],
        fmax=CONFIG["f_max"],
        n_mels=CONFIG["n_bins"],
        center=True,
        pad_mode="reflect",
    )
    assert torch.allclose(power(wave)[0], torch.from_numpy(theirs).double(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("row", [41, 200, 801])
def test_a_full_scale_tone_reads_what_the_bank_weighs_it(row: int) -> None:
    """The power of a tone at a row's centre is 1/4, 1, 1/4 there and beside it (Hann), weighted by the triangles."""
    front = part("front/mel")
    picture = inner(front, front(tone(row * SAMPLE_RATE / CONFIG["n_fft"], SAMPLE_RATE, 0.5)))[0]
    expected = torch.tensor([0.25, 1.0, 0.25]) @ front.filters.bank[row - 1 : row + 2]
    loudest = int(expected.argmax())
    assert torch.allclose(picture[loudest], 10 * expected[loudest].log10(), atol=0.01)


def test_every_bin_hears_something() -> None:
    """No triangle falls between two rows of the transform: a bin that is always empty would teach a net nothing."""
    assert (part("front/mel").filters.bank.sum(0) > 0).all()


@pytest.mark.parametrize("wrong", [{"f_max": 12000}, {"f_min": 5000, "f_max": 4000}, {"f_min": -1}])
def test_frequencies_outside_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"front\.f_min=.*front\.f_max=.*not within 0 \.\. 11025 Hz"):
        part("front/mel", **wrong)
