"""Tests that try to break genrelab. `make test` runs a fast sample of each; `pytest -m faults` runs them whole and
says how often it tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import COUNT, run_whole

HERE = Path(__file__).parent
LONG = ("test_soak.py", "test_killed.py", "test_jobs.py", "test_determinism.py")  # begin first, so that none is left


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """tries(fast, whole): how often to try, in a fast sample or in `pytest -m faults`."""
    return lambda fast, whole: whole if run_whole(request.config) else fast


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[..., None]:
    """count("kills survived", n=1): the summary at the end prints the sums."""

    def add(what: str, n: int = 1) -> None:
        request.node.user_properties.append((COUNT + what, n))

    return add
