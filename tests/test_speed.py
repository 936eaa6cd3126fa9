"""What is faster here: measured once, remembered, and it leaves no trace in the training that follows."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from genrelab import speed


class Step:
    """A training step that takes as long as it is told to, in half precision and in full."""

    def __init__(self, half_ms: float, full_ms: float) -> None:
        self.half_s, self.full_s = half_ms / 1000, full_ms / 1000
        self.times, self.batch = 0, torch.ones(1, 4)
        self.net = nn.Sequential(nn.Linear(4, 2), nn.Dropout())

    def __call__(self) -> None:
        self.times += 1
        self.net(self.batch).float().sum().backward()
        time.sleep(self.half_s if torch.is_autocast_enabled("cpu") else self.full_s)


@pytest.mark.parametrize(
    ("half_ms", "full_ms", "faster"), [(5, 20, "bf16-mixed"), (20, 5, "32-true"), (20, 20, "32-true")]
)
def test_the_faster_one_is_taken_and_remembered(tmp_path: Path, half_ms: float, full_ms: float, faster: str) -> None:
    step = Step(half_ms, full_ms)
    assert speed.precision(tmp_path, "net", step, step.net) == faster
    assert step.times >= 2
    (known,) = json.loads((tmp_path / "cache" / "machine.json").read_text()).values()
    assert known["precision"] == faster
    assert known["ms"]["bf16-mixed"] >= half_ms
    assert known["ms"]["32-true"] >= full_ms

    times = step.times
    step.half_s, step.full_s = step.full_s, step.half_s  # a second measurement would say the opposite
    assert speed.precision(tmp_path, "net", step, step.net) == faster
    assert step.times == times


def test_each_net_has_its_own_answer(tmp_path: Path) -> None:
    slow, fast = Step(20, 5), Step(5, 20)
    assert speed.precision(tmp_path, "a", slow, slow.net) == "32-true"
    assert speed.precision(tmp_path, "b", fast, fast.net) == "bf16-mixed"
    assert speed.precision(tmp_path, "a", fast, fast.net) == "32-true"


def test_measuring_leaves_no_trace(tmp_path: Path) -> None:
    """Neither gradients nor a moved random generator: a first run and a second train alike."""
    step = Step(0, 0)
    before = torch.get_rng_state()
    speed.precision(tmp_path, "net", step, step.net)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(p.grad is None for p in step.net.parameters())


def test_measuring_leaves_what_a_net_counts_as_it_was(tmp_path: Path) -> None:
    """Batch normalisation keeps statistics of what it was timed with; a repeated run is not timed."""
    step = Step(0, 0)
    step.net = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))
    step.batch = torch.randn(8, 4)
    before = [b.clone() for b in step.net.buffers()]
    speed.precision(tmp_path, "net", step, step.net)
    assert step.times >= 2
    assert all(torch.equal(a, b) for a, b in zip(step.net.buffers(), before, strict=True))


def test_keeping_memory_is_harmless() -> None:
    for _ in range(2):
        speed.keep_memory()
    assert torch.ones(1 << 22).sum() == 1 << 22
