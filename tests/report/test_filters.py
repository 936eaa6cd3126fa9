"""The picture of learned filters: what is given is drawn where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from genrelab.report import style
from genrelab.report.filters import LOWEST_HZ, filters_picture

CENTRE_HZ = np.array([100.0, 1000.0, 5000.0, 0.0])
WIDTH_HZ = np.array([40.0, 132.64, 600.0, 25.0])


def axes_of(figure):
    (axes,) = figure.axes
    return axes


def drawn(axes, label: str) -> np.ndarray:
    (found,) = [c for c in axes.collections if c.get_label() == label]
    return np.asarray(found.get_offsets())


def test_every_filter_is_drawn_where_it_was_and_where_it_is() -> None:
    axes = axes_of(filters_picture(CENTRE_HZ, WIDTH_HZ, "leaf", (CENTRE_HZ + 50, WIDTH_HZ / 2)))
    shown = np.maximum(CENTRE_HZ, LOWEST_HZ)  # a logarithmic axis has no zero
    assert np.allclose(drawn(axes, "learned"), np.stack([shown, WIDTH_HZ], 1))
    assert np.allclose(drawn(axes, "before training"), np.stack([CENTRE_HZ + 50, WIDTH_HZ / 2], 1))
    ways = [line.get_xydata() for line in axes.get_lines() if len(line.get_xydata()) == 2]
    for k, way in enumerate(ways):
        assert np.allclose(way, [[CENTRE_HZ[k] + 50, WIDTH_HZ[k] / 2], [shown[k], WIDTH_HZ[k]]])
    assert len(ways) == 4
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "Hz" in axes.get_xlabel()
    assert "Hz" in axes.get_ylabel()


def test_the_ear_is_132_6_hz_wide_at_1_khz() -> None:
    """Glasberg & Moore (1990): 24.7 (4.37 + 1) Hz at 1 kHz."""
    axes = axes_of(filters_picture(CENTRE_HZ, WIDTH_HZ, "leaf", (CENTRE_HZ, WIDTH_HZ)))
    (ear,) = [line for line in axes.get_lines() if "ERB" in str(line.get_label())]
    hz, width_hz = ear.get_xydata().T
    assert np.interp(1000, hz, width_hz) == pytest.approx(132.64, rel=1e-3)
    assert hz.max() >= CENTRE_HZ.max()


def test_the_same_picture_is_the_same_file(tmp_path) -> None:
    one, two = (
        style.save(filters_picture(CENTRE_HZ, WIDTH_HZ, "leaf", (CENTRE_HZ, WIDTH_HZ)), tmp_path / name)
        for name in ("one.png", "two.png")
    )
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(("centre", "width"), [([100.0], [40.0, 50.0]), ([], [])])
def test_what_does_not_fit_is_refused(centre: list[float], width: list[float]) -> None:
    with pytest.raises(ValueError, match="expected one each"):
        filters_picture(centre, width, "leaf", (CENTRE_HZ, WIDTH_HZ))
