"""Pages that genrelab writes, in a real browser: no error, no network, nothing pushed off a phone's screen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.conftest import GENRES, RATE, Said, Songs, wave, write_manifest

Call = Callable[..., Said]
PageOf = Callable[..., list[Path]]
HEAD = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
PAPER = "<style>:root{color-scheme:light dark} body{margin:8px}</style>"


def test_a_page_without_fault_is_let_through_and_kept(page_of: PageOf, tmp_path: Path) -> None:
    file = tmp_path / "é #1 &.html"
    file.write_text(f"{HEAD}{PAPER}<h1>well</h1>")
    kept = page_of(file, "well")
    names = {"well-wide-light", "well-wide-dark", "well-phone-light", "well-phone-dark", "well-print"}
    assert {p.stem for p in kept} == names
    assert all(p.is_file() for p in kept)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("<script>nothing.there()</script>", "nothing is not defined"),
        ("<script>console.error('no picture')</script>", "no picture"),
        ("<img src=beside.png>", "beside.png"),
        ("<script>fetch('http://127.0.0.1:9/').catch(() => 0)</script>", "127.0.0.1"),
        ("<p style='width:600px'>wide", "wider than the screen"),
        ("<style>body{background:#fff}</style>", "the page's edge is light"),
    ],
)
def test_a_page_with_a_fault_is_told(page_of: PageOf, tmp_path: Path, fault: str, said: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"{HEAD}{PAPER}{fault}")
    with pytest.raises(AssertionError, match=said):
        page_of(file, "fault")


def test_look_draws_plays_and_turns_lines_off(call: Call, page_of: PageOf, tmp_path: Path) -> None:
    song, page = tmp_path / 'é <i> & "1" #.wav', tmp_path / "look.html"
    soundfile.write(song, wave("low", 1, 1), RATE)
    beats = tmp_path / "beats.csv"
    beats.write_text("time,beat_in_bar\n" + "".join(f"{i / 2},{i % 4 + 1}\n" for i in range(12)))
    said = call("look", song, "--front", "mel,chroma", "--beats", beats, "--out", page)
    assert said.code == 0, said.err

    def look(tab: Any) -> None:
        assert tab.title()
        assert tab.locator("h1").inner_text() == 'é <i> & "1" #'
        assert [h.split()[0] for h in tab.locator("figcaption h2").all_inner_texts()] == ["mel", "chroma"]
        broken = "() => [...document.images].filter((i) => !i.complete || !i.naturalWidth).length"
        assert tab.evaluate(broken) == 0
        line = tab.locator("[data-lines=beats]")
        line.click()
        assert line.get_attribute("aria-pressed") == "false"
        line.click()
        tab.locator("#play").click()
        tab.wait_for_function("() => document.querySelector('audio').currentTime > 0.05")
        tab.locator("#play").click()

    page_of(page, "look", look)


def test_audit_says_what_leaks(call: Call, songs: Songs, page_of: PageOf, tmp_path: Path) -> None:
    rows = [[str(p), g, f"{g} {p.stem[0]}"] for g in GENRES for p in sorted((songs.folder / g).iterdir())]
    again = tmp_path / "again <i>.wav"  # one sound, two genres
    shutil.copy(rows[0][0], again)
    rows.append([str(again), GENRES[-1], "someone"])
    table = write_manifest(tmp_path / "songs.csv", rows)
    words = ["data=manifest", f"data.path={table}", "split=song", "--out", tmp_path / "audit"]
    said = call("audit", *words, f"store={tmp_path / 'store'}")
    assert said.code in (0, 1), said.err
    (page,) = (tmp_path / "audit").glob("*.html")

    def look(tab: Any) -> None:
        assert "songs" in tab.locator("h1").inner_text()
        assert "again <i>" in tab.locator("body").inner_text()

    page_of(page, "audit", look)
