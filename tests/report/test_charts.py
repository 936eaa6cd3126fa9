"""Charts of a page: a value lies where its axis says, and names are text."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genrelab.report.charts import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Chart,
    Reached,
    hertz,
    numbers,
    percents,
    tracks,
)

EVIL = "<script>alert(1)</script>&\"'"
UNIT = percents("")


def drawn(chart: Chart) -> ElementTree.Element:
    """The chart's SVG, parsed: it is well formed."""
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", chart.html("a chart"), re.S)[0])  # type: ignore[index]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_the_numbers_of_an_axis_lie_on_it(low: float, span: float, whole: bool) -> None:
    axis = numbers("x", [low, low + span], whole=whole)
    assert axis.low <= low
    assert axis.high >= low + span - 1e-9 * abs(low + span)
    at = axis.place([t for t, _ in axis.ticks])
    assert ((at >= -1e-6) & (at <= 1 + 1e-6)).all()
    assert len(axis.ticks) <= 7
    if whole:
        assert all(float(t).is_integer() for t, _ in axis.ticks)


def test_axes_of_shares_and_of_hertz() -> None:
    assert [t for _, t in percents("").ticks] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    assert [t for _, t in percents("", 0, 0.05).ticks] == ["0 %", "1 %", "2 %", "3 %", "4 %", "5 %"]
    assert [t for _, t in hertz("", 90, 2100).ticks] == ["100", "200", "500", "1k", "2k"]
    np.testing.assert_allclose(hertz("", 10, 1000).place([10, 100, 1000]), [0, 0.5, 1])
    one = numbers("", [3.0])
    assert one.low < 3 < one.high
    assert numbers("", [math.nan]).low == 0


def test_a_point_lies_where_its_axes_say() -> None:
    chart = Chart(Axis("x", 0, 10, ()), Axis("y", 0, 1, ()), height=200).dots([0, 10, 5], [0, 1, math.nan], "a")
    one, two = (c.attrib for c in drawn(chart).iter("circle"))  # what has no value is not drawn
    assert (float(one["cx"]), float(one["cy"])) == (LEFT, 200 - BOTTOM)
    assert (float(two["cx"]), float(two["cy"])) == (WIDTH - RIGHT, TOP)


def test_a_line_is_broken_where_a_value_lacks_and_steps_hold() -> None:
    (path,) = re.findall(r'd="([^"]*)"', Chart(UNIT, UNIT).line([0, 0.5, 0.7, 1], [0, math.nan, 1, 1], "a").marks[0])
    assert (path.count("M"), path.count("L")) == (2, 1)
    (path,) = re.findall(r'd="([^"]*)"', Chart(UNIT, UNIT).line([0, 0.5, 1], [0, 1, 1], "a", steps=True).marks[0])
    first, second, third = re.split("[ML]", path)[1:]
    assert second.split()[1].split("V")[0] == first.split()[1]  # along at the old height, then up
    assert "V" in third


def test_bars_stand_on_the_ground() -> None:
    chart = Chart(UNIT, UNIT, height=200).bars(np.array([0, 0.5, 1]), np.array([0.5, 0]), "x")
    (path,) = re.findall(r'd="([^"]*)"', chart.marks[0])
    ground, top = 200 - BOTTOM, TOP + (200 - TOP - BOTTOM) / 2
    assert path == f"M{LEFT:.1f} {ground:.1f}V{top:.1f}H{LEFT + (WIDTH - LEFT - RIGHT) / 2:.1f}V{ground:.1f}Z"


def test_names_are_text() -> None:
    chart = Chart(Axis(EVIL, 0, 1, ((0.5, EVIL),)), UNIT).key(EVIL, "a").say(0, 0, EVIL)
    assert "<script" not in chart.html(EVIL)
    assert {t.text for t in drawn(chart).iter("text")} >= {EVIL}
    assert "<script" not in tracks([Reached(EVIL, 0.5)], mark=(EVIL, 0.5))


def test_tracks_lie_on_one_scale() -> None:
    made = tracks([Reached("a", 0.75, 0.7, 0.8, ours=True), Reached("b", 0.6)], low=0.5, mark=("chance", 0.5))
    assert re.findall(r'<b style="left:([\d.]+)%', made) == ["50.0", "20.0"]
    assert re.findall(r'<i style="left:([\d.]+)%;width:([\d.]+)%', made) == [("40.0", "20.0")]  # b has no interval
    assert "75.0 [70.0, 80.0]" in made and ">60.0<" in made
    assert made.count('<u style="left:0.0%">') == 2
    assert ">–<" in tracks([Reached("lacks", math.nan)])


@pytest.mark.parametrize("value", [-3.0, 0.2])
def test_a_minus_is_a_minus(value: float) -> None:
    said = "".join(t for _, t in numbers("", [value, value - 2]).ticks)
    assert "-" not in said and "\N{MINUS SIGN}" in said
