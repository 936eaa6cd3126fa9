"""What is faster on this machine: measured once, remembered in the store."""

from __future__ import annotations

import ctypes
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from torch import nn

from genrelab.environment import processor


def keep_memory() -> None:
    """Tells glibc's malloc to keep freed pages: else every step's activations are unmapped and faulted in again."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for option, value in ((-3, 2**30), (-1, 2**31 - 1), (-2, 2**28)):  # MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD
        libc.mallopt(option, value)


def precision(store: Path, net: str, step: Callable[[], object], module: nn.Module) -> str:
    """`bf16-mixed` where a training step is more than a tenth faster so, else `32-true`.

    `step` runs one forward and backward pass; `net` names what was measured. The first answer is remembered.
    """
    path = store / "cache" / "machine.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    key = f"{net} on {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    with FileLock(path.with_suffix(".lock")):
        known = json.loads(path.read_text()) if path.exists() else {}
        if key not in known:
            seconds = {"32-true": 1e9, "bf16-mixed": 1e9}
            before = [b.clone() for b in module.buffers()]  # batch normalisation counts what it is timed with
            with torch.random.fork_rng():
                for _ in range(4):  # taken in turn, so that a drift of the machine meets both
                    for choice in tuple(seconds):
                        with torch.autocast("cpu", torch.bfloat16, enabled=choice == "bf16-mixed"):
                            start = time.perf_counter()
                            step()
                        seconds[choice] = min(seconds[choice], time.perf_counter() - start)
            module.zero_grad(set_to_none=True)
            with torch.no_grad():
                for buffer, value in zip(module.buffers(), before, strict=True):
                    buffer.copy_(value)
            choice = "bf16-mixed" if seconds["bf16-mixed"] < 0.9 * seconds["32-true"] else "32-true"
            known[key] = {"precision": choice, "ms": {k: round(1000 * v, 1) for k, v in seconds.items()}}
            partial = path.with_suffix(".tmp")
            partial.write_text(json.dumps(known, indent=1))
            partial.replace(path)
    return known[key]["precision"]
