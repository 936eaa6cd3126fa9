"""The page of a song in a real browser: its playhead, its numbers, its evidence, and one sound at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.conftest import RATE, Said, Trained, wave

Call = Callable[..., Said]
PageOf = Callable[..., list[Path]]


def test_a_song_is_followed_its_evidence_lit_and_heard_alone(
    call: Call, trained: Trained, page_of: PageOf, tmp_path: Path
) -> None:
    song, page = tmp_path / 'é <i> & "1" #.wav', tmp_path / "page.html"
    soundfile.write(song, np.concatenate([wave("low", 1, 1), wave("high", 1, 1)]), RATE)
    said = call("tag", song, "--page", page, f"store={trained.store}")
    assert said.code == 0, said.err

    def look(tab: Any) -> None:
        assert tab.locator("h1").inner_text() == 'é <i> & "1" #'
        broken = "() => [...document.images].filter((i) => !i.complete || !i.naturalWidth).length"
        assert tab.evaluate(broken) == 0
        first = tab.locator("#chance0 em")
        tab.evaluate("seek(0.5)")
        early = first.inner_text()
        box = tab.locator(".picture").bounding_box()
        where = {"x": 0.75 * box["width"], "y": 0.8 * box["height"]}  # second 9 of 12: the other half
        tab.locator(".picture").click(position=where)
        assert abs(tab.evaluate("audio.currentTime") - 9) < 0.1
        assert first.inner_text() != early
        assert tab.locator(".mask[data-on]").count() == 0
        assert tab.locator("#alone").is_disabled()
        tab.locator("[data-evidence='0']").click()
        assert tab.locator(".mask[data-on]").count() == 1
        assert tab.locator(".mask[data-on]").is_visible()
        tab.locator("#alone").click()
        assert tab.evaluate("sounds.indexOf(audio)") == 1
        assert abs(tab.evaluate("audio.currentTime") - 9) < 0.1  # goes on where it was
        tab.locator("#play").click()
        tab.wait_for_function("() => audio.currentTime > 9.1")
        near = tab.locator(".near audio").first
        near.evaluate("(own) => own.play()")
        tab.wait_for_function("() => audio.paused")  # one sound at a time
        near.evaluate("(own) => own.pause()")
        tab.locator("[data-evidence='off']").click()
        assert tab.evaluate("sounds.indexOf(audio)") == 0
        assert tab.locator(".mask[data-on]").count() == 0

    page_of(page, "tag", look)


def test_noise_silence_and_a_folder(call: Call, trained: Trained, page_of: PageOf, tmp_path: Path) -> None:
    songs = tmp_path / "songs & <i>"
    songs.mkdir()
    soundfile.write(songs / "noise.wav", 0.3 * np.random.default_rng(0).uniform(-1, 1, 9 * RATE) ** 3, RATE)
    soundfile.write(songs / "silent.wav", np.zeros(6 * RATE), RATE)
    soundfile.write(songs / "low.wav", wave("low", 1, 1), RATE)
    (songs / "broken.mp3").write_text("words")
    said = call("tag", songs, "--page", tmp_path / "out", f"store={trained.store}")
    assert said.code == 1
    page_of(tmp_path / "out" / "silent.html", "tag-silent")
    page_of(tmp_path / "out" / "noise.html", "tag-noise")

    def look(tab: Any) -> None:
        assert tab.locator("h1").inner_text() == "songs & <i>"
        assert tab.locator("tbody a").all_inner_texts() == ["low.wav", "noise.wav", "silent.wav"]
        for link in tab.locator("tbody a").all():
            assert (tmp_path / "out" / str(link.get_attribute("href"))).is_file()

    page_of(tmp_path / "out" / "index.html", "tag-folder", look)
