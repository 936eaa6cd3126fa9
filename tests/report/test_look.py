"""A look at a song: seconds and frames agree, the page needs nothing but itself, names are text."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from genrelab.report import look
from genrelab.report.page import SCRIPT, html
from genrelab.types import Beats

RATE, HOP_S = 8000, 0.02
HZ = np.geomspace(50, 3500, 40)
EVIL = '<b>&"x"</script>\'é#@@AUDIO@@'


def panel(name: str = "mel", n_bins: int = 40, unit: str = "dB", frames: int = 201) -> look.Panel:
    values = np.random.default_rng(1).uniform(-70, -3, (n_bins, frames)).astype(np.float32)
    hz = HZ if n_bins == 40 else None
    names = look.PITCHES if n_bins == 12 else ()
    return look.Panel(name, "bins & frames", "", values, hz, names, HOP_S, unit)


def sheet(**changed: object) -> look.Sheet:
    wave = np.sin(np.arange(4 * RATE) / 9).astype(np.float32)
    beats = Beats(np.arange(1, 30) * 0.5, np.arange(29) % 4 + 1, "annotated", 1.0)
    spans = np.array([[10.0, 12.0], [12.0, 14.0]])
    made = look.Sheet("song", (("length", "0:04"),), wave, RATE, 10.0, beats, spans, (panel(), panel("chroma", 12)))
    return replace(made, **changed)  # type: ignore[arg-type]


@given(st.integers(0, 5000), st.floats(-0.49, 0.49), st.sampled_from([0.01, 0.02, 0.0213]), st.floats(0, 500))
def test_the_frame_at_a_second_is_the_one_centred_nearest(frame: int, off: float, hop_s: float, start_s: float) -> None:
    second = look.frame_s(frame + off, hop_s, start_s)
    assert look.frame_at(second, hop_s, 6000, start_s) == frame


def test_a_picture_reaches_half_a_hop_beyond_its_outer_frames() -> None:
    assert look.extent_s(panel(), 10.0) == pytest.approx((9.99, 14.01))
    assert look.frame_at(9.0, HOP_S, 201, 10.0) == 0
    assert look.frame_at(99.0, HOP_S, 201, 10.0) == 200


def test_lines_are_those_of_the_excerpt_and_a_bar_is_no_beat() -> None:
    bars, beats, borders = look.grid_lines(sheet())
    np.testing.assert_allclose(bars, [10.5, 12.5])
    np.testing.assert_allclose(beats, [10, 11, 11.5, 12, 13, 13.5, 14])
    np.testing.assert_allclose(borders, [10, 12, 14])


def test_slices_that_overlap_lie_in_rows_of_their_own() -> None:
    assert look.lanes(np.array([[0, 2], [2, 4], [4, 6]])) == ([0, 0, 0], 1)
    assert look.lanes(np.array([[0, 2], [1, 3], [2, 4]])) == ([0, 1, 0], 2)


def test_the_envelope_holds_the_extremes() -> None:
    wave = np.zeros(1000, np.float32)
    wave[123], wave[877] = 0.5, -0.25
    low, high = look.envelope(wave, 100)
    assert (high.argmax(), high.max(), low.argmin(), low.min()) == (12, 1.0, 87, -0.5)


def test_a_png_is_read_back_as_its_colours() -> None:
    index = np.arange(256, dtype=np.uint8).reshape(8, 32)
    drawn = imread(io.BytesIO(look.png(index, look.palette())))
    np.testing.assert_array_equal(np.round(drawn[..., :3] * 255), look.palette()[index])
    assert len(np.unique(look.palette(), axis=0)) == 256  # the page tells a value by its colour


def test_a_long_song_is_pooled_by_means() -> None:
    values = np.arange(2 * 40_001, dtype=float).reshape(2, -1)
    pooled, k = look.pooled(values)
    assert k == 3
    assert pooled.shape == (2, 13_334)
    np.testing.assert_allclose(pooled[0, :2], [1, 4])


def test_the_files_have_their_sizes(tmp_path: Path) -> None:
    paths = look.write(sheet(title="a $b$ _{c}"), tmp_path / "page", lambda *_: None)
    assert [p.name for p in paths] == ["mel.png", "chroma.png", "all.png"]
    for path, n, tall in zip(paths, (1, 1, 2), (look.ALONE_IN, look.ALONE_IN, look.STACKED_IN), strict=True):
        assert imread(path).shape[:2] == look.size_px(n, tall)[::-1]


def test_the_pictures_lie_below_one_another_on_one_axis() -> None:
    figure = look.stacked_picture(sheet())
    axes = [a for a in figure.axes if a.get_images()]
    boxes = [a.get_position() for a in axes]
    assert boxes[0].y0 > boxes[1].y1
    assert {(a.get_xlim(), b.x0, b.x1) for a, b in zip(axes, boxes, strict=True)} == {
        ((10.0, 14.0), boxes[0].x0, boxes[0].x1)
    }
    assert axes[0].get_images()[0].get_extent() == pytest.approx([9.99, 14.01, -0.5, 39.5])
    assert [t.get_text() for t in axes[1].get_yticklabels()] == list("CDEFGAB")


def test_the_page_holds_all_and_asks_for_nothing() -> None:
    page = html(sheet(), b"sound", "audio/mpeg")
    assert not re.search(r"https?:|@import|url\(", page)
    assert not [a for a in re.findall(r'(?:src|href)="([^"]*)"', page) if not a.startswith(("data:", "#"))]
    assert "default-src 'none'" in page  # a browser holds the page to it
    assert base64.b64encode(b"sound").decode() in page
    assert page.count("<img ") == 2
    images = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert [imread(io.BytesIO(base64.b64decode(i))).shape[:2] for i in images] == [(120, 201), (120, 201)]
    for name in ("bars", "beats", "slices"):
        assert f'data-lines="{name}"' in page
        assert f'<path id="{name}"' in page
    assert 'id="bars" d="M0.5000 0V1M2.5000 0V1"' in page
    bare = html(sheet(beats=None, spans=np.zeros((0, 2))), b"", "audio/mpeg")
    assert 'data-lines="' not in bare.replace(SCRIPT, "")


def test_images_lie_where_their_frames_are() -> None:
    page = html(sheet(), b"", "audio/mpeg")
    left, width = map(float, re.search(r"left:(-?[\d.]+)%;width:([\d.]+)%", page).groups())  # type: ignore[union-attr]
    assert left / 100 * 4 == pytest.approx(-HOP_S / 2)
    assert width / 100 * 4 == pytest.approx(201 * HOP_S)


def test_names_are_text() -> None:
    page = html(sheet(title=EVIL, facts=(("length", EVIL),), panels=(replace(panel(EVIL), unit=EVIL),)), b"", "a/b")
    assert "<b>&" not in page
    assert page.count("</script>") == 2
    assert unescape(re.search(r"<h1>(.*?)</h1>", page)[1]) == EVIL  # type: ignore[index]
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert data["panels"][0]["unit"] == EVIL


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_the_script_parses(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text(SCRIPT, encoding="utf-8")
    assert subprocess.run(["node", "--check", tmp_path / "page.js"]).returncode == 0
