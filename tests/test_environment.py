"""What a run's bits depend on is recorded, and what has changed is named."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import genrelab
from genrelab import environment
from tests.conftest import Trained, client


def test_versions_of_what_computes_are_there() -> None:
    found = environment.versions()
    assert found["python"] == platform.python_version()
    assert found["genrelab"] == genrelab.__version__
    assert found["numpy"] == np.__version__
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert {"torchaudio", "pytorch-lightning", "librosa", "scipy", "soxr"} <= found.keys()


def test_a_run_has_its_environment(trained: Trained) -> None:
    tags = client(trained.store).get_run(trained.id).data.tags
    assert tags["threads"] == "1"
    assert tags["precision"] == "32-true"
    assert tags["genrelab"] == genrelab.__version__
    recorded = environment.load(trained.folder)
    assert recorded is not None
    assert environment.different(recorded, environment.current(1) | {"source": recorded["source"]}) == []


def test_differences_are_said_one_by_one() -> None:
    now = environment.current(2)
    then: dict[str, Any] = now | {"threads": 4, "versions": now["versions"] | {"torch": "1.0", "gone": "3"}}
    assert environment.different(then, now) == [
        "threads 4 then, 2 now",
        f"torch 1.0 then, {now['versions']['torch']} now",
        "gone 3 then, none now",
    ]


def test_changed_code_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part.py").write_text("a = 1\n")
    monkeypatch.setattr(environment.paths, "PACKAGE", tmp_path)
    before = environment.source()
    assert environment.source() == before
    (tmp_path / "part.py").write_text("a = 2\n")
    assert environment.source() != before


@pytest.mark.parametrize(
    ("option", "tag", "asked", "expected"),
    [(3, "2", "5", 3), (None, "2", "5", 2), (None, None, "5", 5), (None, None, "", os.cpu_count()), (1, None, "5", 1)],
)
def test_threads_are_those_asked_for_else_those_of_then(
    option: int | None, tag: str | None, asked: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert environment.threads_of({"threads": option}, {"threads": tag} if tag else {}) == expected


def test_a_run_that_went_on_elsewhere_has_both(tmp_path: Path) -> None:
    first, second = environment.current(1), environment.current(2)
    environment.save(tmp_path, first)
    environment.save(tmp_path, first)
    assert environment.load(tmp_path) == first
    environment.save(tmp_path, second)
    recorded = environment.load(tmp_path)
    assert recorded is not None
    assert recorded["threads"] == 1
    assert recorded["resumed"] == [second]


def test_a_run_without_one_says_so(tmp_path: Path) -> None:
    assert environment.load(tmp_path) is None
    (tmp_path / environment.FILE).write_text("{half")
    assert environment.load(tmp_path) is None
