"""The page of a comparison in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, Songs, runs_of

PageOf = Callable[..., list[Path]]


@pytest.fixture(scope="module")
def comparison(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a multirun ends with."""
    from genrelab.cli import main

    store = tmp_path_factory.mktemp("compared") / "store"
    assert main(["-m", *songs.words, *TINY, "trainer.max_epochs=1", "agg=vote,mean,stats", f"store={store}"]) == 0
    (parent,) = [r for r in runs_of(store) if r.data.tags["kind"] == "sweep"]
    return Path(parent.info.artifact_uri.removeprefix("file://")) / "comparison.html"


def test_it_lies_well_everywhere(page_of: PageOf, comparison: Path) -> None:
    def look(page: Any) -> None:
        assert page.locator("h1").is_visible() and page.locator(".lead").is_visible()
        assert page.locator("section").count() >= 3
        assert page.locator("#differences .track, #levels .track").count() >= 4
        for arm in ("vote", "mean", "stats"):
            assert page.locator("#levels").get_by_text(arm, exact=True).first.is_visible()

    assert len(page_of(comparison, "comparison", look)) == 5
