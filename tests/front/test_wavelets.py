"""Spectra from PyWavelets' samples: the closed formulas of the literature."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genrelab.front.wavelets import wavelet_of

OMEGA = 2 * math.pi * np.linspace(0.01, 2, 500)


def formula(name: str) -> tuple[np.ndarray, float]:
    """|Psi| over OMEGA up to a factor, and the frequency of its peak; by hand from each family's definition."""
    if name.startswith("cmor"):
        width, centre = map(float, name.removeprefix("cmor").split("-"))
        return np.exp(-width * (OMEGA - 2 * math.pi * centre) ** 2 / 4), centre
    if name == "morl":
        return np.exp(-((OMEGA - 5) ** 2) / 2) + np.exp(-((OMEGA + 5) ** 2) / 2), 5 / (2 * math.pi)
    if name == "mexh":
        return OMEGA**2 * np.exp(-(OMEGA**2) / 2), math.sqrt(2) / (2 * math.pi)
    n = int(name[4:])
    if name.startswith("gaus"):
        return OMEGA**n * np.exp(-(OMEGA**2) / 4), math.sqrt(2 * n) / (2 * math.pi)
    return OMEGA**n * np.exp(-((OMEGA - 1) ** 2) / 4), (1 + math.sqrt(1 + 8 * n)) / 2 / (2 * math.pi)


@pytest.mark.parametrize("name", ["cmor1.5-1.0", "cmor16-1.0", "morl", "mexh", "gaus1", "gaus5", "cgau2", "cgau8"])
def test_equals_the_closed_formula(name: str) -> None:
    ours, (expected, peak) = wavelet_of(name), formula(name)
    response = np.abs(ours.response(OMEGA / (2 * math.pi)))
    assert ours.centre == pytest.approx(peak, rel=1e-4)
    assert np.allclose(response / response.max(), expected / expected.max(), atol=2e-6)


@pytest.mark.parametrize("name", ["cmor16-1.0", "mexh", "gaus3", "cgau1", "shan1.5-1.0", "fbsp2-1.5-1.0"])
def test_a_full_scale_sine_at_the_centre_has_power_1(name: str) -> None:
    """Half its amplitude lies at either sign; a real wavelet's analytic form hears the positive one alone."""
    ours = wavelet_of(name)
    both = np.abs(ours.response(np.array([ours.centre, -ours.centre]))) / 2
    assert np.hypot(*both) == pytest.approx(1)
    if name in ("mexh", "gaus3"):
        assert both[1] == 0


def test_half_length_holds_the_energy() -> None:
    """|psi|^2 of cmorB is a Gaussian: erfc(t sqrt(2 / B)) lies outside t."""
    for width, tolerance in ((1.5, 1e-3), (16.0, 1e-4)):
        length = wavelet_of(f"cmor{width}-1.0").half_length(tolerance)
        assert math.erfc(length * math.sqrt(2 / width)) == pytest.approx(tolerance**2, rel=0.5)


def test_shannon_is_a_box() -> None:
    ours = wavelet_of("shan1.5-1.0")
    assert ours.centre == pytest.approx(1, abs=1e-3)
    response = np.abs(ours.response(np.array([0.15, 0.4, 1.0, 1.6, 1.85])))
    assert np.allclose(response, [0, 2, 2, 2, 0], atol=0.03)


@pytest.mark.parametrize("name", ["nope", "cmor", "cmor1.5", "cmor0-1", "shan0-1", "db4", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^front\.wavelet={name}: expected .*cgau1, .*cmorB-C, .*mexh, morl, shanB-C$"
    ):
        wavelet_of(name)


def test_an_endless_wavelet_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^front\.wavelet=cmor100000-1: .*take another bandwidth$"):
        wavelet_of("cmor100000-1")
