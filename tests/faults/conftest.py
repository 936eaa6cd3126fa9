"""Tests that try to break genrelab. `make test` runs a fast sample of each; `pytest -m faults` runs them whole and
says how often it tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
COUNT = "count: "  # before what is counted, in a test's properties: they come from processes of the tests, too


LONG = ("test_soak.py", "test_killed.py", "test_jobs.py", "test_determinism.py")  # begin first, so that none is left


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def _whole(config: pytest.Config) -> bool:
    return config.getoption("markexpr") == "faults"


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """tries(fast, whole): how often to try, in a fast sample or in `pytest -m faults`."""
    return lambda fast, whole: whole if _whole(request.config) else fast


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[..., None]:
    """count("kills survived", n=1): the summary at the end prints the sums."""

    def add(what: str, n: int = 1) -> None:
        request.node.user_properties.append((COUNT + what, n))

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts: Counter[str] = Counter()
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if getattr(report, "when", "") == "call":
            for name, n in report.user_properties:
                if name.startswith(COUNT):
                    counts[name.removeprefix(COUNT)] += n
    if counts:
        terminalreporter.section("faults: " + ("whole" if _whole(config) else "a fast sample"))
        for what, n in counts.items():
            terminalreporter.line(f"{n:>8,}  {what}")
