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
    key = f"{net} on {_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    with FileLock(path.with_suffix(".lock")):
        known = json.loads(path.read_text()) if path.exists() else {}
        if key not in known:
            seconds = {"32-true": 1e9, "bf16-mixed": 1e9}
            with torch.random.fork_rng():
                for _ in range(4):  # taken in turn, so that a drift of the machine meets both
                    for choice in tuple(seconds):
                        with torch.autocast("cpu", torch.bfloat16, enabled=choice == "bf16-mixed"):
                            start = time.perf_counter()
                            step()
                        seconds[choice] = min(seconds[choice], time.perf_counter() - start)
            module.zero_grad(set_to_none=True)
            choice = "bf16-mixed" if seconds["bf16-mixed"] < 0.9 * seconds["32-true"] else "32-true"
            known[key] = {"precision": choice, "ms": {k: round(1000 * v, 1) for k, v in seconds.items()}}
            partial = path.with_suffix(".tmp")
            partial.write_text(json.dumps(known, indent=1))
            partial.replace(path)
    return known[key]["precision"]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
