"""A training step never waits for the device that computes it: nothing in it asks for a value."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from genrelab import compose
from genrelab.learner import Learner
from tests.parts import names

ASK = ("gru", "lstm", "stretch")  # how long each song is, since their kernels want it of the host
CHECKS = ("vote",)  # one_hot looks at its range on a processor, and on no other device
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique2")


class Asked(TorchDispatchMode):
    """The operations whose result the host must know, on tensors that are not the host's own."""

    def __init__(self, hosts: list[torch.Tensor]) -> None:
        super().__init__()
        self.hosts, self.found = {t.data_ptr() for t in hosts}, []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            t is not None and t.dtype == torch.bool for t in args[1]
        )
        if name in WAITS or by_mask:
            first = next(a for a in args if isinstance(a, torch.Tensor))
            if not (first.dtype == torch.bool and first.dim() == 1 and name == "nonzero"):  # the layout, on the host
                self.found.append(name)
        return func(*args, **(kwargs or {}))


def learner(*words: str) -> tuple[Learner, dict[str, torch.Tensor]]:
    config = compose.composed([*words, "slice.length_s=0.64"])
    model = compose.build(config, list("abc"), several=False)
    task, optimizer = compose.instantiate(config["task"]), compose.instantiate(config["optim"]["optimizer"])
    counts = [2, 3, 1]
    batch = {
        "x": torch.randn(sum(counts), *model.slice_shape),
        "n_slices": torch.tensor(counts),
        "index": torch.arange(3),
        "truth": torch.tensor([0, 1, 2]),
        "target": torch.eye(3),
    }
    made = Learner(model, task, optimizer, None, 0, {})
    made.train()
    made.training_step(batch, 0)  # the first batch's statistics
    return made, batch


@pytest.mark.parametrize("agg", [n for n in names("agg") if n not in ASK + CHECKS])
def test_no_step_waits(agg: str) -> None:
    made, batch = learner(f"agg={agg}")
    with Asked([batch["n_slices"]]) as asked:
        made.training_step(batch, 0)
    assert asked.found == []
    assert made._collect("train")["train/loss"] > 0


def test_a_step_that_waits_is_found() -> None:
    x = torch.randn(4)
    with Asked([]) as asked:
        float(x.sum())
        x[x > 0]
    assert asked.found == ["_local_scalar_dense", "index"]


def test_counts_stay_with_the_host() -> None:
    made, batch = learner()
    moved = made.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert moved["x"].device.type == moved["target"].device.type == "meta"
    assert moved["n_slices"].device.type == moved["index"].device.type == "cpu"
