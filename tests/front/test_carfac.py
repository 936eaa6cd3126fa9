"""CARFAC: the contract, the figures of the published implementation, and what its gain control does to a level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genrelab.front.carfac import RECEPTOR_IN_S, SMOOTH_S
from tests.front.contract import check_front, noise, tone
from tests.parts import SAMPLE_RATE, config, part

REFERENCE = np.load(Path(__file__).with_name("carfac_reference.npz"))
SEMITONE = 2 ** (1 / 12)


def signal() -> torch.Tensor:
    """A second of noise with a louder middle, a low tone and a chirp (1, samples): what the reference heard."""
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    wave = 0.03 * np.random.default_rng(7).standard_normal(SAMPLE_RATE)
    wave[8000:14000] *= 6
    wave += 0.1 * np.sin(2 * np.pi * 110 * t) + 0.1 * np.sin(2 * np.pi * (200 * t + 1900 * t**2))
    return torch.from_numpy(wave.astype(np.float32))[None]


def samples(wave: torch.Tensor, agc: bool) -> np.ndarray:
    """The activity of every sample (samples, F)."""
    return part("front/carfac", hop_s=1 / SAMPLE_RATE, agc=agc).activity(wave)[0, :-1].numpy()


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of the columns of two arrays (n, F)."""
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.linalg.norm(a, axis=0) / np.linalg.norm(b, axis=0)


def impulse_response(level: float, n: int, agc: bool) -> np.ndarray:
    wave = torch.zeros(1, n)
    wave[0, 0] = level
    return samples(wave, agc)


def test_contract() -> None:
    check_front(part("front/carfac"), SAMPLE_RATE)


def test_channels_are_the_references() -> None:
    front = part("front/carfac")
    assert front.n_bins == 71
    assert np.allclose(front.bin_hz, REFERENCE["pole_hz"], rtol=1e-5)


def test_best_frequencies_are_the_references() -> None:
    """Rising, and within a semitone: the peak near each pole of the spectrum of a faint click's activity.

    Half the difference to the opposite click is its linear part; after 25 cycles there is only rounding. The hair
    cell's two low-passes are undone: the reference's figures are the membrane's, and the highest channel, one stage
    alone, is so broad that they would move its peak by five semitones.
    """
    click = (impulse_response(0.003, 16384, agc=False) - impulse_response(-0.003, 16384, agc=False)) / 2
    click[np.arange(len(click))[:, None] * REFERENCE["pole_hz"] > 25 * SAMPLE_RATE] = 0
    for pole in (1 - 1 / (RECEPTOR_IN_S * SAMPLE_RATE), np.exp(-1 / (SMOOTH_S * SAMPLE_RATE))):
        click[1:] -= pole * click[:-1]
    spectrum, row_hz = np.abs(np.fft.rfft(click, 65536, axis=0)), np.fft.rfftfreq(65536, 1 / SAMPLE_RATE)
    away = np.abs(np.log2(np.maximum(row_hz, 1)[:, None] / REFERENCE["pole_hz"])) > 0.5
    best_hz = row_hz[np.where(away, 0, spectrum).argmax(0)]
    assert (np.diff(best_hz) > 0).all()
    ratio = best_hz / REFERENCE["best_hz"]
    assert ratio.max() < SEMITONE
    assert ratio.min() > 1 / SEMITONE


@pytest.mark.parametrize("level", [0.01, 1.0])
def test_impulse_responses_in_the_open_loop(level: float) -> None:
    """A faint click goes through linearly, a loud one through every nonlinearity. 25 cycles of each channel."""
    theirs, stride = REFERENCE[f"impulse_{level:g}"].astype(np.float64), REFERENCE["stride"]
    ours = impulse_response(level, int(stride.max()) * len(theirs), agc=False)
    ours = np.stack([ours[:: stride[c], c][: len(theirs)] for c in range(len(stride))], 1)
    assert correlations(ours, theirs).min() >= 0.999
    assert np.abs(ours).max(0) == pytest.approx(np.abs(theirs).max(0), rel=0.01)


def test_activity_in_the_closed_loop() -> None:
    """The last samples of a second, when the gain control has long moved, and the mean of every frame."""
    theirs = REFERENCE["activity"].astype(np.float64)
    assert correlations(samples(signal(), agc=True)[-len(theirs) :], theirs).min() >= 0.999
    frames = part("front/carfac").activity(signal())[0].numpy()
    assert correlations(frames, REFERENCE["frames"]).min() >= 0.999
    assert np.allclose(frames, REFERENCE["frames"], rtol=1e-3, atol=1e-3)


def steady(level_db: float, agc: bool = True) -> np.ndarray:
    """Mean activity of a tone at 1 kHz in its second half second (F,)."""
    wave = tone(1000, SAMPLE_RATE, 1, 10 ** (level_db / 20))
    return part("front/carfac", agc=agc).activity(wave)[0, 25:-1].mean(0).numpy()


def test_40_db_in_are_less_than_20_db_out() -> None:
    quiet, loud = steady(-60), steady(-20)
    assert 0 < 20 * np.log10(loud.max() / quiet.max()) < 20
    assert np.allclose([quiet, loud], REFERENCE["steady"], rtol=5e-3, atol=1e-3)


def test_the_loop_turns_a_tone_down() -> None:
    """And leaves a whisper alone."""
    assert steady(-60).max() < 0.7 * steady(-60, agc=False).max()
    assert steady(-100).max() == pytest.approx(steady(-100, agc=False).max(), rel=0.01)


def test_a_full_scale_tone_is_about_one() -> None:
    front = part("front/carfac", amplitude="power")
    for c in (15, 35, 55):
        power = front(tone(float(front.bin_hz[c]), SAMPLE_RATE, 1))[0, :, 25:-1].mean(1)
        assert 0.8 < power.max() < 1.2


def test_silence_is_rest() -> None:
    assert part("front/carfac").activity(torch.zeros(1, SAMPLE_RATE)).abs().max() < 1e-5


def test_what_comes_later_is_not_heard() -> None:
    """Any length gives the same frames: a frame whose samples are all there does not hear the end."""
    front, wave = part("front/carfac"), noise(1, 9013)
    whole = front(wave)
    for n in (4411, 4630, 4631, 8999):
        there = (n - front.hop + front.hop // 2) // front.hop
        assert torch.equal(front(wave[:, :n])[..., :there], whole[..., :there])


def test_frames_are_means_of_samples() -> None:
    wave = noise(1, 4000)
    hop, activity = 441, samples(wave, agc=True)
    frames = part("front/carfac").activity(wave)[0].numpy()
    for k in range(len(frames)):
        span = activity[max(0, k * hop - hop // 2) : k * hop + hop // 2 + 1]
        assert np.allclose(frames[k], span.mean(0), atol=1e-4)


@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_other_sample_rates(sample_rate: int) -> None:
    """A tone lands in its channel where the gain control spreads over five channels, and where channels are more."""
    front = part("front/carfac", sample_rate)
    picture = front(tone(1000, sample_rate, 1, 0.1))[0, :, 25:].mean(1)
    assert abs(int(picture.argmax()) - int((front.bin_hz - 1000).abs().argmin())) <= 1


def test_the_widest_steps_leave_lanes_empty() -> None:
    front = part("front/carfac", erb_per_step=2)
    assert front.n_bins < config("front/carfac")["erb_per_step"] * 71
    picture = front(tone(float(front.bin_hz[9]), SAMPLE_RATE, 1, 0.1))[0, :, 25:].mean(1)
    assert abs(int(picture.argmax()) - 9) <= 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"f_min": 0}, r"front\.f_min=0: expected"),
        ({"f_min": 10000}, r"front\.f_min=10000: expected"),
        ({"erb_per_step": 0}, r"front\.erb_per_step=0: expected"),
        ({"sample_rate": 6000}, r"front=carfac with sample_rate=6000: expected 8000"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        part("front/carfac", **wrong)
