"""What Lightning's start does not load, and that it still asks for what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from lightning_utilities.core.imports import RequirementCache

from genrelab.lightning import UNUSED, without


def test_training_starts_without_what_it_never_uses() -> None:
    """In a process of its own, whatever the tests before have loaded."""
    asked = f"import sys, genrelab.fit; print([m for m in {UNUSED!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_others_are_answered_truly_and_afterwards_all_are() -> None:
    with without(("numpy",)):
        assert not RequirementCache("numpy>=1")
        assert RequirementCache("torch")
        assert not RequirementCache("no-such-package")
    assert RequirementCache("numpy>=1")


def test_an_error_within_leaves_no_trace() -> None:
    with pytest.raises(KeyError), without(("numpy",)):
        raise KeyError
    assert RequirementCache("numpy")


def test_a_version_that_asks_in_another_way_works_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(RequirementCache, "_check_requirement")
    with without(("numpy",)):
        pass
    assert not hasattr(RequirementCache, "_check_requirement")
