"""What only `pytest -m faults` has the time for."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def only_whole(tries: Callable[[int, int], int], unless: bool = False) -> None:
    """Leaves the test out of the fast sample, where `unless` does not keep it in."""
    if not unless and not tries(0, 1):
        pytest.skip("not in the fast sample: pytest -m faults")
