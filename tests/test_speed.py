"""What is faster here: measured once, remembered, and it leaves no trace in the training that follows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genrelab import speed
from genrelab.speed import Choice


class Step:
    """A training step that takes as long as it is told to: `ms`, and more for each dial that stands so."""

    def __init__(self, more_ms: dict[str, float] | None = None) -> None:
        self.more_ms = more_ms  # None: it computes, and takes as long as that takes
        self.times, self.batch = 0, torch.ones(2, 4, 4, 4)
        self.net = nn.Sequential(nn.Conv2d(4, 4, 2), nn.Flatten(), nn.Linear(36, 2), nn.Dropout())

    def __call__(self) -> None:
        self.times += 1
        if self.more_ms is None:
            self.net(self.batch).float().sum().backward()
            return
        layout = self.net[0].weight.is_contiguous(memory_format=torch.channels_last)
        set_to = {
            "bf16-mixed": torch.is_autocast_enabled("cpu"),
            "32-true": not torch.is_autocast_enabled("cpu"),
            "channels_last": layout,
            "contiguous": not layout,
            str(torch.get_num_threads()): True,
        }
        time.sleep((20 + sum(ms for what, ms in self.more_ms.items() if set_to.get(what))) / 1000)


@pytest.fixture(autouse=True)
def threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    speed.keep_memory()


def chosen(store: Path, step: Step, what: str = "net", **dials: Any) -> Choice:
    return speed.choose(store, what, step, step.net, dials, threads=2)


@pytest.mark.parametrize(
    ("more_ms", "expected"),
    [
        ({}, Choice(threads=2)),
        ({"32-true": 30}, Choice("bf16-mixed", threads=2)),
        ({"channels_last": 30}, Choice(memory_format="contiguous", threads=2)),
        ({"2": 30}, Choice(threads=1)),
        ({"32-true": 30, "2": 30}, Choice("bf16-mixed", threads=1)),
    ],
)
def test_the_faster_ones_are_taken_set_and_remembered(
    tmp_path: Path, more_ms: dict[str, float], expected: Choice
) -> None:
    step = Step(more_ms)
    found = chosen(tmp_path, step, keep_memory=True)
    assert found == expected
    assert torch.get_num_threads() == expected.threads
    layout = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}[expected.memory_format]
    assert step.net[0].weight.is_contiguous(memory_format=layout)
    (known,) = json.loads((tmp_path / "cache" / "machine.json").read_text()).values()
    assert known["precision"] == expected.precision
    assert known["ms"]["precision=bf16-mixed"] >= 20

    times = step.times
    step.more_ms = {"bf16-mixed": 50, "1": 50}  # a second measurement would say the opposite
    assert chosen(tmp_path, step, keep_memory=True) == expected
    assert step.times == times


def test_what_is_set_by_hand_is_not_measured(tmp_path: Path) -> None:
    step = Step({"32-true": 30, "2": 30})
    dials = {"precision": "32-true", "threads": 2, "memory_format": "contiguous", "keep_memory": False}
    assert chosen(tmp_path, step, **dials) == Choice("32-true", "contiguous", 2, False)
    assert step.times == 0
    free = chosen(tmp_path, step, "other", precision="32-true")
    assert (free.precision, free.threads) == ("32-true", 1)


def test_a_slow_step_is_timed_but_once_for_each_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "BUDGET_S", 0.0)
    step = Step({})
    chosen(tmp_path, step, keep_memory=True)
    assert step.times == 6  # both of three dials


def test_hands_come_before_what_a_run_had(tmp_path: Path) -> None:
    options = {"precision": "auto", "threads": None, "memory_format": "contiguous", "keep_memory": "auto"}
    tags = {"precision": "bf16-mixed", "threads": "3", "memory_format": "channels_last", "keep_memory": "false"}
    assert speed.given(options, {}) == {"memory_format": "contiguous"}
    expected = {"precision": "bf16-mixed", "threads": 3, "memory_format": "contiguous", "keep_memory": False}
    assert speed.given(options, tags) == expected
    assert speed.given(Choice("bf16-mixed", "contiguous", 2, False).tags, {}) == {
        "precision": "bf16-mixed",
        "memory_format": "contiguous",
        "threads": 2,
        "keep_memory": False,
    }
    assert speed.given({"keep_memory": True}, tags)["keep_memory"] is True


def test_each_net_has_its_own_answer(tmp_path: Path) -> None:
    slow, fast = Step({"bf16-mixed": 30}), Step({"32-true": 30})
    assert chosen(tmp_path, slow, "a").precision == "32-true"
    assert chosen(tmp_path, fast, "b").precision == "bf16-mixed"
    assert chosen(tmp_path, fast, "a").precision == "32-true"


def test_measuring_leaves_no_trace(tmp_path: Path) -> None:
    """Neither gradients nor a moved random generator: a first run and a second train alike."""
    step = Step()
    before = torch.get_rng_state()
    chosen(tmp_path, step)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in step.net.parameters())


def test_measuring_leaves_what_a_net_counts_as_it_was(tmp_path: Path) -> None:
    """Batch normalisation keeps statistics of what it was timed with; a repeated run is not timed."""
    step = Step()
    step.net = nn.Sequential(nn.Conv2d(4, 2, 2), nn.BatchNorm2d(2))
    before = [b.clone() for b in step.net.buffers()]
    chosen(tmp_path, step)
    assert step.times >= 2
    assert all(torch.equal(a, b) for a, b in zip(step.net.buffers(), before, strict=True))


def test_keeping_memory_is_harmless() -> None:
    for keep in (True, False, True):
        speed.keep_memory(keep)
        assert torch.ones(1 << 22).sum() == 1 << 22
