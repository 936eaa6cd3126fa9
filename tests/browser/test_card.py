"""A run's card in a real browser: it lies well, and plays its mistakes, as from disk so in MLflow's frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.browser.conftest import watch
from tests.conftest import GENRES, RATE, TINY, Said, runs_of, wave, write_manifest

Call = Callable[..., Said]
PageOf = Callable[..., list[Path]]
FRAME = "<!doctype html><meta charset=utf-8><style>html,body,iframe{height:100%;width:100%;margin:0;border:0}</style>"
PLAYED = """async (audio) => {
  audio.muted = true;
  await audio.play();
  audio.currentTime = 2;
  await new Promise((done) => audio.addEventListener("timeupdate", () => audio.currentTime > 2 && done()));
  await new Promise(requestAnimationFrame);
  const seen = audio.closest(".mistake").querySelector(".seen");
  return [audio.duration, parseFloat(seen.style.getPropertyValue("--now"))];
}"""


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of a run on songs whose genres nobody can hear: mistakes are certain."""
    from genrelab.cli import main

    folder, rows = tmp_path_factory.mktemp("card"), []
    for genre in GENRES:
        for artist in range(4):
            path = folder / f"{genre} {artist} <b>&é.wav"
            soundfile.write(path, wave(genre, artist, 0), RATE)
            rows.append([path.name, GENRES[(GENRES.index(genre) + artist) % 3], f"{genre} {artist}"])
    table = write_manifest(folder / "songs.csv", rows)
    assert main(["data=manifest", f"data.path={table}", *TINY, "card=full", f"store={folder / 'store'}"]) == 0
    (run,) = runs_of(folder / "store")
    return Path(run.info.artifact_uri.removeprefix("file://")) / "card.html"


def test_it_lies_well_everywhere(page_of: PageOf, card: Path) -> None:
    def look(page: Any) -> None:
        assert page.locator(".mistake").count() >= 1
        assert page.locator("b").filter(has_text="é").count() == 0  # a name is no markup
        for words in ("Can it be trusted?", "How good?", "By genre", "The worst mistakes", "Do it again"):
            assert page.get_by_role("heading", name=words).is_visible()
        assert page.locator("svg.chart").count() >= 4
        small = page.evaluate(
            "() => [...document.querySelectorAll('svg.chart text')].map((t) => t.getBoundingClientRect().height)"
        )
        assert min(small) > 8  # px: it can be read on a phone
        drawn = page.evaluate("() => [...document.images].map((i) => i.naturalWidth)")
        assert drawn and min(drawn) > 1

    assert len(page_of(card, "card", look)) == 5


def test_an_excerpt_plays_can_be_sought_and_shows_where(browser: Any, card: Path) -> None:
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        seen = watch(page)
        page.goto(card.as_uri())
        sounds = page.locator(".mistake audio")
        for k in (0, 1):  # the excerpt, the evidence alone
            duration, now = sounds.nth(k).evaluate(PLAYED)
            assert duration == pytest.approx(5.12, abs=0.3)
            assert 100 * 2 / duration <= now < 100
        assert sounds.nth(0).evaluate("(audio) => audio.paused")  # one at a time
        assert not seen.errors


@pytest.mark.parametrize("sandbox", ["allow-scripts", ""], ids=["mlflow", "no-scripts"])
def test_it_works_in_a_frame_as_mlflows_and_without_scripts(
    browser: Any, card: Path, tmp_path: Path, sandbox: str
) -> None:
    """MLflow shows an artifact as a blob in an iframe that may run scripts and is of no origin."""
    (tmp_path / "frame.html").write_text(FRAME + f'<iframe sandbox="{sandbox}"></iframe>', encoding="utf-8")
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        seen = watch(page)
        page.goto((tmp_path / "frame.html").as_uri())
        page.evaluate(
            "(html) => { document.querySelector('iframe').src ="
            " URL.createObjectURL(new Blob([html], { type: 'text/html' })); }",
            card.read_text(encoding="utf-8"),
        )
        inside = page.frame_locator("iframe")
        inside.get_by_role("heading", name="The worst mistakes").wait_for()
        assert inside.locator(".mistake audio").count() >= 2
        if sandbox:
            duration, now = inside.locator(".mistake audio").first.evaluate(PLAYED)
            assert 0 < now < 100 and duration > 4
            button = inside.locator("[data-copy]").first
            button.click()
            assert button.text_content() == "Copied"
            assert not seen.errors
