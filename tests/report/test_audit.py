"""The page of an audit: all that is on it, as text, without a network."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrelab.report import audit
from genrelab.report.audit import Alone, Section, Sheet, Spread, html, verdict, write

EVIL = '<script>alert("x")</script>'


def section(rows: tuple[tuple[object, ...], ...], **more: object) -> Section:
    made = Section("Groups", "groups", "About.", ("value", "sides", "songs"), rows, "None found.", bad=True)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
def sheet() -> Sheet:
    values = tuple((g, np.random.default_rng(n).normal(-20 + 5 * n, 2, 30)) for n, g in enumerate(("rock", "jazz")))
    return Sheet(
        "songs",
        {"artist": 2},
        (("songs", "60"),),
        (section((("Ann", "train test", "a b"),)),),
        (Spread("Loudness", "LUFS", values), Spread("Nothing", "s", (("rock", np.zeros(0)),))),
        (Alone("tempo", 0.7, 0.6, 0.8),),
        0.5,
        ("A note.",),
    )


def test_whatever_a_name_holds_is_text(sheet: Sheet) -> None:
    evil = Sheet(
        EVIL,
        {},
        ((EVIL, EVIL),),
        (section(((EVIL, EVIL, EVIL),), title=EVIL, about=EVIL),),
        (Spread(EVIL, EVIL, ((EVIL, np.arange(5.0)),)),),
        (Alone(EVIL, 0.5, 0.4, 0.6),),
        0.5,
        (EVIL,),
    )
    page = html(evil)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 10


def test_the_page_names_nothing_outside_of_it(sheet: Sheet) -> None:
    page = html(sheet)
    assert not re.search(r"https?:|//\w|src=|url\(|@import", page)
    assert "default-src 'none'" in page


def test_the_verdict_stands_at_the_head(sheet: Sheet) -> None:
    assert "<b>The split leaks:</b> 2 artists on two sides." in html(sheet)
    clean = html(replace(sheet, leaks={}))
    assert "<b>No leak:</b> nothing was found on two sides of the split." in clean


def test_counts_are_said_in_words() -> None:
    assert verdict({"artist": 1, "track": 2, "near duplicates": 1}) == (
        "1 artist, 2 recordings, 1 near duplicate on two sides"
    )


def test_a_long_table_is_cut_and_says_where_the_rest_is(sheet: Sheet) -> None:
    n = audit.MOST_ROWS + 7
    rows = tuple((f"artist {i}", "train", "x") for i in range(n))
    page = html(replace(sheet, sections=(section(rows),)))
    assert page.count("<td>artist ") == audit.MOST_ROWS
    assert "and 7 more in groups.csv" in page
    assert f"<summary>{audit.MOST_ROWS - audit.FIRST_ROWS} more</summary>" in page


def test_of_many_songs_the_first_are_named(sheet: Sheet) -> None:
    page = html(replace(sheet, sections=(section((("Ann", "train test", "a b c d e f"),)),)))
    assert "<td>a b c and 3 more</td>" in page


def test_an_empty_table_says_so(sheet: Sheet) -> None:
    assert "None found." in html(replace(sheet, sections=(section(()),)))


def test_what_is_measured_of_nobody_is_not_drawn_and_unknown_intervals_are_left_out(sheet: Sheet) -> None:
    page = html(replace(sheet, alone=(Alone("tempo", 0.7, float("nan"), float("nan")),)))
    assert "Nothing" not in page
    assert "nan" not in page
    assert "left:70.0%" in page


def test_the_median_of_a_genre_is_drawn_where_it_lies() -> None:
    values = np.array([0.0, 5.0, 10.0])
    page = audit._spread(Spread("x", "y", (("g", values),)))
    x = float(re.findall(r'<line x1="([\d.]+)"', page)[0])
    assert x == pytest.approx(50, abs=0.1)
    assert ">5.0</span>" in page


def test_csvs_hold_every_row_and_every_song(sheet: Sheet, tmp_path: Path) -> None:
    rows = tuple((f"artist {i}", "train", "a b c d e f") for i in range(200))
    written = write(replace(sheet, sections=(section(rows),)), tmp_path / "deep" / "folder")
    assert [p.name for p in written] == ["audit.html", "groups.csv", "alone.csv"]
    with written[1].open(encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["value", "sides", "songs"], *[list(map(str, r)) for r in rows]]
    with written[2].open(encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == ["tempo", "0.7", "0.6", "0.8", "0.5"]
