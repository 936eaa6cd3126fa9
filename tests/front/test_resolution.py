"""How finely front-ends tell frequencies apart: measured widths against theory."""

from __future__ import annotations

import math
import time

import pytest
import torch
from torch import Tensor

from genrelab.front.base import Learned
from genrelab.front.resolution import resolution, sentence
from tests.parts import SAMPLE_RATE, config, names, part

HANN = 1.4382  # half-power width of a Hann window's transform, in 1 / its length
Q = (2 ** (2 / 12) + 1) / (2 ** (2 / 12) - 1)


def nearest(bin_hz: Tensor, hz: float) -> float:
    return float(bin_hz[(bin_hz - hz).abs().argmin()])


def test_rows_of_a_transform_are_as_wide_as_its_window_says() -> None:
    rows = resolution(part("front/stft", n_bins=1024))
    for row in rows:
        assert row.width_hz == pytest.approx(HANN * SAMPLE_RATE / 2048, rel=0.01)
        assert row.bins_per_octave == pytest.approx(row.hz * math.log(2) / (SAMPLE_RATE / 2048), rel=0.01)


def test_pooled_rows_are_as_wide_as_they_are_together() -> None:
    """Eight rows; the lowest bin would reach below 0 Hz, where it ends: half a row less."""
    low, *others = resolution(part("front/stft"))
    together = 8 * SAMPLE_RATE / 2048
    assert low.width_hz == pytest.approx(7 / 8 * together, rel=0.02)
    for row in others:
        assert row.width_hz == pytest.approx(together, rel=0.02)


def test_constant_q() -> None:
    front = part("front/cqt")
    for row in resolution(front):
        assert row.bins_per_octave == pytest.approx(12, rel=0.01)
        assert row.width_hz == pytest.approx(HANN * nearest(front.bin_hz, row.hz) / Q, rel=0.01)


def test_logarithmic_frequency() -> None:
    """In the treble a triangle of half width d is .586 d wide on each side at half its height; in the bass the window
    widens it, never below the window's own width."""
    front, n_fft = part("front/logfreq"), config("front/logfreq")["n_fft"]
    low, _, high = resolution(front)
    ratio = float(front.bin_hz[1] / front.bin_hz[0])
    for row in (low, high):
        assert row.bins_per_octave == pytest.approx(math.log(2) / math.log(ratio), rel=0.01)
    centre = nearest(front.bin_hz, 4000)
    assert high.width_hz == pytest.approx(centre * (ratio**0.5 - ratio**-0.5), rel=0.02)
    window = HANN * SAMPLE_RATE / n_fft
    assert low.width_hz is not None
    assert window < low.width_hz < 1.5 * window


def test_mel() -> None:
    """Slaney's scale: 1 mel is 66.7 Hz below 1 kHz and a 27th part of log 6.4 above."""
    front = part("front/mel")
    top = 15 + 27 * math.log(11025 / 1000) / math.log(6.4)
    mels = (top - 20 / (200 / 3)) / 129  # from bin to bin
    low, middle, high = resolution(front)
    assert middle.bins_per_octave == pytest.approx(440 * math.log(2) / (mels * 200 / 3), rel=0.05)
    step = math.exp(mels * math.log(6.4) / 27) - 1
    assert high.bins_per_octave == pytest.approx(math.log(2) / math.log1p(step), rel=0.05)
    assert high.width_hz == pytest.approx(nearest(front.bin_hz, 4000) * step, rel=0.1)
    for row in (low, middle):  # triangles 25 Hz wide at half height, through a window of 15.5 Hz
        assert mels * 200 / 3 < row.width_hz < 1.5 * mels * 200 / 3


def test_classes_and_coefficients_have_no_width() -> None:
    assert [tuple(row) for row in resolution(part("front/chroma", n_bins=24))] == [
        (40, 24, None),
        (440, 24, None),
        (4000, 24, None),
    ]
    assert [tuple(row) for row in resolution(part("front/mfcc"))] == [(hz, None, None) for hz in (40, 440, 4000)]


def test_where_a_front_end_does_not_reach_there_is_no_figure() -> None:
    rows = resolution(part("front/cqt", n_bins=48))
    assert rows[1].width_hz is not None
    assert rows[2][1:] == (None, None)
    assert "4000 Hz: 12 / 12 / - bins an octave, 3.2 / 37 / - Hz wide" in sentence(part("front/cqt", n_bins=48))


def test_a_learned_front_end_says_the_width_of_the_nearest_filter() -> None:
    class Three(Learned):
        n_bins, hop_s, bin_hz = 3, 0.02, None

        def filters(self) -> tuple[Tensor, Tensor]:
            return torch.tensor([5000.0, 30.0, 500.0]), torch.tensor([900.0, 10.0, 100.0])

    assert [tuple(r) for r in resolution(Three())] == [(40, None, 10), (440, None, 100), (4000, None, 900)]
    assert sentence(Three()) == "3 bins, 50 frames/s; at 40 / 440 / 4000 Hz: 10 / 100 / 900 Hz wide"


def test_sentences() -> None:
    said = {name: sentence(part(f"front/{name}")) for name in ("cqt", "chroma", "mfcc", "stft")}
    assert said["cqt"] == (
        "84 bins, 50 frames/s; at 40 / 440 / 4000 Hz: 12 bins an octave, 3.2 / 37 / 328 Hz wide"
    )  # fmt: skip
    assert said["stft"] == (
        "128 bins, 50 frames/s; at 40 / 440 / 4000 Hz: 0.32 / 3.5 / 32 bins an octave, 75 / 86 / 86 Hz wide"
    )
    assert said["chroma"] == "12 bins, 50 frames/s; at 40 / 440 / 4000 Hz: 12 bins an octave"
    assert said["mfcc"] == "20 bins, 50 frames/s; a bin is no frequency"


@pytest.mark.parametrize("name", [name for name in names("front") if "_target_" in config(f"front/{name}")])
def test_every_front_end_has_a_sentence(name: str) -> None:
    """Another amplitude says the same: what is measured is the power."""
    front = part(f"front/{name}")
    said = sentence(front)
    assert said.startswith(f"{front.n_bins} bins, 50 frames/s; ")
    if not front.learned:
        assert sentence(part(f"front/{name}", amplitude="pcen")) == said


@pytest.mark.parametrize("name", ["mel", "stft", "logfreq", "cqt"])
def test_is_quick(name: str) -> None:
    """In the processor's time, of one or two threads, since other work may run beside a test."""
    front = part(f"front/{name}")
    sentence(front)
    began = time.process_time()
    sentence(front)
    assert time.process_time() - began < 2
