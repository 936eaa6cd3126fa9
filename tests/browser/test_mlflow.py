"""MLflow's own pages on a store, in a real browser: what genrelab wrote is where a user looks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from genrelab import views
from tests.browser.conftest import SCHEMES, watch
from tests.commands.test_ui import free_port
from tests.conftest import TINY, Said, Songs, program, runs_of

# MLflow's page asks who is logged in, which a server without logins answers with 404; Chromium logs every 404
NOT_OURS = "/ajax-api/2.0/mlflow/users/current"
PATIENCE_MS = 60_000  # for what a page draws, on a machine that is busy
WIDE_PX = 3400  # MLflow draws the columns that are in sight only


@dataclass(frozen=True)
class Pages:
    """MLflow's pages on a store with a sweep, as `ui` serves them."""

    address: str
    link: str  # that `ui` prints
    parent: Any
    runs: list[Any]  # below it


@pytest.fixture(scope="module")
def pages(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    from genrelab.cli import main

    store = tmp_path_factory.mktemp("pages") / "store"
    words = [*songs.words, *TINY, "trainer.max_epochs=1", "agg=vote,gru", "-m", f"store={store}"]
    assert main(words) == 0
    parent, *runs = runs_of(store)
    process = program("ui", "--port", free_port(), f"store={store}")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        name, link = process.stdout.readline().split(": ")
        assert name.strip() == "tones"
        yield Pages(address, link.strip(), parent, runs)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert "Traceback" not in err


@contextmanager
def tab(browser: Any, address: str, scheme: str = "light") -> Iterator[Any]:
    """A window in which MLflow's pages are opened; what goes wrong in it is said at its end."""
    with browser.new_context(viewport={"width": WIDE_PX, "height": 1000}) as context:
        dark = json.dumps(scheme == "dark")
        toggle = f"localStorage.setItem('_mlflow_dark_mode_toggle_enabled', '{dark}')"
        context.add_init_script(f"if (self === top) {toggle}")  # a card's frame has no storage
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        seen = watch(page)
        yield page
    assert not [e for e in seen.errors if NOT_OURS not in e]
    assert not [r for r in seen.requests if not r.startswith(address)]


def cells(page: Any) -> list[dict[str, str]]:
    """The run list's rows as they stand, by column, from left to right."""
    page.locator(".ag-center-cols-container .ag-row").first.wait_for()
    rows: dict[str, dict[str, str]] = {}
    for cell in page.locator(".ag-row .ag-cell").all():
        row = cell.locator("xpath=..").get_attribute("row-index") or ""
        rows.setdefault(row, {})[cell.get_attribute("col-id") or ""] = cell.inner_text()
    return [rows[k] for k in sorted(rows, key=int)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_run_list_shows_the_columns_that_are_wanted_first(
    browser: Any, pages: Pages, shots: Path, scheme: str
) -> None:
    with tab(browser, pages.address, scheme) as page:
        page.goto(pages.link)
        shown = cells(page)
        headers = page.locator(".ag-header-cell[col-id]").all()
        drawn = sorted((h.bounding_box()["x"], h.get_attribute("col-id")) for h in headers)
        page.screenshot(path=shots / f"mlflow-runs-{scheme}.png")
    wanted = list(views.columns())
    assert [c for _, c in drawn if c in wanted] == wanted
    by_name = {r["attributes.`Run Name`"].split()[-1]: r for r in shown[:2]}
    reached = [float(r["metrics.`val/song/balanced_accuracy`"]) for r in shown[:2]]
    assert reached == sorted(reached, reverse=True)
    for run in pages.runs:
        row = by_name[run.info.run_name]
        for part in views.PARTS:
            assert row[f"tags.`{part}`"] == run.data.tags[part]
        for name in wanted[len(views.PARTS) :]:
            figure = run.data.metrics[name.removeprefix("metrics.`").removesuffix("`")]
            assert float(row[name]) == pytest.approx(figure, rel=1e-3)
    assert len(shown) == 3  # with the parent, which has no figure
    assert shown[2]["tags.`agg`"] == "vote,gru"


def test_the_runs_of_a_sweep_lie_below_it(browser: Any, pages: Pages) -> None:
    at = f"{pages.address}/#/experiments/{pages.parent.info.experiment_id}/runs?workflowType=machine_learning"
    with tab(browser, pages.address) as page:
        page.goto(at)
        (row,) = cells(page)
        name = "attributes.`Run Name`"
        assert pages.parent.info.run_name in row[name]
        page.locator(".ag-pinned-left-cols-container .ag-row").locator("button, [role=button]").first.click()
        page.get_by_text(pages.runs[0].info.run_name).first.wait_for()
        assert {r[name].split()[-1] for r in cells(page)[1:]} == {r.info.run_name for r in pages.runs}


def test_two_runs_are_compared(browser: Any, pages: Pages, shots: Path) -> None:
    with tab(browser, pages.address) as page:
        page.goto(pages.link)
        rows = page.locator(".ag-pinned-left-cols-container .ag-row")
        for run in pages.runs:
            rows.filter(has_text=run.info.run_name).locator("input[type=checkbox]").first.check()
        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_text("Comparing 2 Runs").wait_for()
        for run in pages.runs:
            page.get_by_text(run.info.run_id).first.wait_for()
            page.get_by_text(run.info.run_name).first.wait_for()
        reached = compared(page, "test/song/balanced_accuracy")
        sizes = compared(page, "cost/parameters")
        page.screenshot(path=shots / "mlflow-compare-light.png", full_page=True)
    for shown, key, within in (
        (reached, "test/song/balanced_accuracy", 6e-3),  # two decimals
        (sizes, "cost/parameters", 0.5),
    ):
        assert sorted(shown) == pytest.approx(sorted(r.data.metrics[key] for r in pages.runs), abs=within)
    assert sizes[0] != sizes[1]  # else one run's figures could stand there twice


def compared(page: Any, metric: str) -> list[float]:
    """Both runs' figures; MLflow draws of a long table what is scrolled to."""
    names, values = page.locator("[role=grid]").all()[-2:]
    for top in range(0, 6000, 200):
        values.evaluate("(grid, top) => { grid.scrollTop = top }", top)
        page.wait_for_timeout(100)
        label = names.locator("a").filter(has_text=re.compile(f"^{metric}$"))
        if label.count():
            at = label.locator("xpath=..").evaluate("cell => cell.style.top")
            return [float(c.inner_text()) for c in values.locator(f"div[style*=' top: {at};']").all()]
    raise AssertionError(f"the comparison has no {metric}")


def test_a_run_says_what_it_is_and_of_what(browser: Any, pages: Pages, shots: Path) -> None:
    run = pages.runs[0]
    with tab(browser, pages.address) as page:
        page.goto(f"{pages.address}/{views.of_run(run.info.experiment_id, run.info.run_id)}")
        page.get_by_text("Show more").click()
        page.get_by_text("Repeat it:").wait_for()
        page.get_by_role("link", name="sweep agg=vote,gru").first.wait_for()
        said = page.locator("body").inner_text()
        page.screenshot(path=shots / "mlflow-run-light.png", full_page=True)
        card = page.get_by_role("link", name="The run's card")
        assert card.get_attribute("href") == views.of_run(run.info.experiment_id, run.info.run_id, "card.html")
    figure = 100 * run.data.metrics["test/song/balanced_accuracy"]
    assert f"Test: balanced accuracy per song {figure:.1f} %, 95 % interval [" in said
    assert f"tones ({run.data.tags['data_digest']})" in said


def test_the_card_opens_in_mlflows_frame(browser: Any, pages: Pages, shots: Path) -> None:
    run = pages.runs[0]
    with tab(browser, pages.address) as page:
        page.goto(f"{pages.address}/{views.of_run(run.info.experiment_id, run.info.run_id, 'card.html')}")
        inside = page.frame_locator("iframe#html")
        inside.locator("h1").wait_for()
        assert run.info.run_name in inside.locator("h1").inner_text()
        page.screenshot(path=shots / "mlflow-card-light.png")


def test_the_data_set_is_described(browser: Any, pages: Pages) -> None:
    with tab(browser, pages.address) as page:
        page.goto(pages.link)
        page.get_by_text("48 songs of 3 genres").wait_for()


def test_a_store_from_before_there_were_views_gets_one(call: Callable[..., Said], pages: Pages) -> None:
    from genrelab.commands import ui

    key = views.PREFIX + views.key()
    words = {"experiment_id": pages.parent.info.experiment_id, "key": key}
    ui._asked(pages.address, "experiments/delete-experiment-tag", words)
    (line,) = ui._links(pages.address)
    assert line == f"tones: {pages.link}"
    there = ui._asked(pages.address, "experiments/search", {"max_results": 10})["experiments"]
    (tags,) = [e["tags"] for e in there if e["name"] == "tones"]
    assert key in {t["key"] for t in tags}
