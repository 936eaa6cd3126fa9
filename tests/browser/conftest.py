"""Debian's chromium, driven by playwright: pages as people see them, with what went wrong in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

WIDTHS_PX = {"wide": 1280, "phone": 390}
SCHEMES = ("light", "dark")
INLINE = ("data:", "blob:", "about:")  # what a page carries with it
Look = Callable[[Any], None]


@dataclass
class Watch:
    """What a tab said and asked for since it was opened."""

    errors: list[str] = field(default_factory=list)  # of its console and its scripts
    requests: list[str] = field(default_factory=list)  # of anything but what the page carries with it


def watch(page: Any) -> Watch:
    """Begins to listen to a tab; before it goes anywhere."""
    seen = Watch()
    page.on("console", lambda m: seen.errors.append(f"{m.text} ({m.location['url']})") if m.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(f"{error}"))
    page.on("request", lambda r: seen.requests.append(r.url) if not r.url.startswith(INLINE) else None)
    return seen


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium. Where it lacks the test is skipped, but in CI it fails: there nobody would see that it never ran."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no chromium: apt-get install chromium")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    # the package ends before the next begins: while playwright's loop runs, no other asyncio loop can, in this thread
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=as_root)
        yield started
        started.close()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """Where screenshots are put: $GENRELAB_SCREENSHOTS, to be looked at, or the test's own folder."""
    folder = Path(os.environ.get("GENRELAB_SCREENSHOTS") or tmp_path / "screenshots").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page_of(browser: Any, shots: Path) -> Callable[..., list[Path]]:
    """page_of(file, name, look=None): opens a page from the disk wide and on a phone, in light, dark and in print.

    In each it must say no error, ask for nothing but itself, lie on the screen without being pushed sideways, and be
    as light or as dark as was asked. `look(page)`, where given, is called in each with playwright's page, before the
    screenshot. Returns the screenshots, NAME-{wide,phone}-{light,dark}.png and NAME-print.png.
    """

    def opened(file: Path, name: str, look: Look | None = None) -> list[Path]:
        kept = []
        for width, px in WIDTHS_PX.items():
            for scheme in SCHEMES:
                kept.append(shots / f"{name}-{width}-{scheme}.png")
                _visit(browser, file, kept[-1], look, px, scheme)
        kept.append(shots / f"{name}-print.png")
        _visit(browser, file, kept[-1], None, 794, "light", media="print")  # A4's width
        return kept

    return opened


def _visit(
    browser: Any, file: Path, shot: Path, look: Look | None, px: int, scheme: str, media: str = "screen"
) -> None:
    """Opens the file in a window of its own and says what is wrong with it there."""
    address, where = file.absolute().as_uri(), shot.stem
    with browser.new_context(viewport={"width": px, "height": 900}, color_scheme=scheme, offline=True) as context:
        page = context.new_page()
        seen = watch(page)
        page.emulate_media(media=media)
        page.goto(address)
        page.wait_for_load_state("networkidle")
        if look:
            look(page)
        page.screenshot(path=shot, full_page=True)
        pushed = page.evaluate(
            "() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
            " - document.documentElement.clientWidth"
        )
    assert not seen.errors, f"{where}: {seen.errors}"
    asked = [r for r in seen.requests if r.partition("#")[0] != address]
    assert not asked, f"{where} asks for {asked}"
    assert pushed <= 0, f"{where} is {pushed} px wider than the screen"
    edge = float(np.median(matplotlib.image.imread(shot)[:, :4, :3]))  # 0..1, the page's own paper
    assert (edge > 0.5) == (scheme == "light"), f"{where}: the page's edge is {'light' if edge > 0.5 else 'dark'}"
