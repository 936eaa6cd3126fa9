"""What is faster on this machine: measured at the first training, remembered in the store."""

from __future__ import annotations

import ctypes
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn

from genrelab.environment import processor

AUTO = ("auto", None)  # what a dial says that shall be measured
GAIN = 0.9  # another choice must take less than so much of the time
ROUNDS = 4
BUDGET_S = 2.0  # for all that is measured; every choice is timed once even so
DEFAULT_BYTES = 2**17  # glibc's own thresholds


@dataclass(frozen=True)
class Choice:
    """How a training computes."""

    precision: str = "32-true"
    memory_format: str = "channels_last"
    threads: int = 1
    keep_memory: bool = True

    @property
    def tags(self) -> dict[str, str]:
        """As a run says it, in the words of the trainer's options."""
        return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in asdict(self).items()}


def keep_memory(keep: bool = True) -> None:
    """Tells glibc's malloc to keep freed pages: else every step's activations are unmapped and faulted in again."""
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    kept = (2**30, 2**31 - 1, 2**28)
    for option, value in zip((-3, -1, -2), kept if keep else 3 * (DEFAULT_BYTES,), strict=True):
        libc.mallopt(option, value)  # MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD


def formatted(module: nn.Module, memory_format: str) -> None:
    """Lays a net's pictures out channel by channel, or with the channels of a point side by side."""
    lasts = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
    module.to(memory_format=lasts[memory_format])


def given(options: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """The dials that are not to be measured: set by hand, else taken over from the run that is repeated or goes on."""
    found: dict[str, Any] = {}
    for field in fields(Choice):
        value = options.get(field.name)
        value = tags.get(field.name) if value in AUTO else value
        if value is not None:
            word = str(value).lower()
            found[field.name] = int(word) if field.name == "threads" else word
            if field.name == "keep_memory":
                found[field.name] = word == "true"
    return found


def choose(
    store: Path,
    what: str,
    step: Callable[[], object],
    net: nn.Module,
    dials: Mapping[str, Any],
    threads: int,
    *,
    anywhere: bool = False,
) -> Choice:
    """The faster choices for a training step, each other than the first only where it saves a tenth; remembered.

    One dial after another: precision, memory format, threads (up to `threads`), malloc. `step` runs one forward and
    backward pass of `net`; `what` names what is measured; `dials` are set already; `anywhere`: what was chosen on one
    machine holds on every other that has this store. They are set as chosen afterwards.
    """
    path = store / "cache" / "machine.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    key = what if anywhere else f"{what} on {processor()}, {threads} threads, torch {torch.__version__}"
    first = replace(Choice(threads=threads), **dials)
    with FileLock(path.with_suffix(".lock")):
        known = json.loads(path.read_text()) if path.exists() else {}
        if key not in known:
            with _untouched(net):
                chosen, ms = _measured(first, _options(first, dials), step, net)
            known[key] = asdict(chosen) | {"ms": ms}
            partial = path.with_suffix(".tmp")
            partial.write_text(json.dumps(known, indent=1))
            partial.replace(path)
    chosen = Choice(**{f.name: known[key].get(f.name, getattr(first, f.name)) for f in fields(Choice)})
    chosen = replace(chosen, **dials)
    use(chosen, net)
    return chosen


def use(choice: Choice, net: nn.Module) -> None:
    """Sets all of them but the precision, which a step is run in."""
    formatted(net, choice.memory_format)
    keep_memory(choice.keep_memory)
    torch.set_num_threads(choice.threads)


def _options(first: Choice, dials: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The other values of each dial that is free."""
    others: dict[str, list[Any]] = {
        "precision": ["bf16-mixed"],
        "memory_format": ["contiguous"],
        "threads": sorted({max(1, first.threads // 2)} - {first.threads}),
        "keep_memory": [False] if platform.libc_ver()[0] == "glibc" else [],
    }
    return {k: v for k, v in others.items() if k not in dials}


def _measured(
    first: Choice, options: Mapping[str, list[Any]], step: Callable[[], object], net: nn.Module
) -> tuple[Choice, dict[str, float]]:
    """The best found, and the milliseconds of each that was timed."""
    chosen, began = first, time.perf_counter()
    ms: dict[str, float] = {}

    def seconds(choice: Choice) -> float:
        use(choice, net)
        with torch.autocast("cpu", torch.bfloat16, enabled=choice.precision == "bf16-mixed"):
            start = time.perf_counter()
            step()
        return time.perf_counter() - start

    for dial, values in options.items():
        for value in values:
            other = replace(chosen, **{dial: value})
            taken: dict[Choice, list[float]] = {chosen: [], other: []}
            for n in range(ROUNDS):  # taken in turn, so that a drift of the machine meets both
                if n and time.perf_counter() - began > BUDGET_S:
                    break
                for choice, times in taken.items():
                    times.append(seconds(choice))
            best = {choice: min(times) for choice, times in taken.items()}
            ms |= {f"{dial}={getattr(c, dial)}": round(1000 * s, 1) for c, s in best.items()}
            if best[other] < GAIN * best[chosen]:
                chosen = other
    return chosen, ms


@contextmanager
def _untouched(net: nn.Module) -> Iterator[None]:
    """A net that is timed learns nothing, and the random numbers go on as if it were not."""
    before = [b.clone() for b in net.buffers()]  # batch normalisation counts what it is timed with
    with torch.random.fork_rng():
        yield
    net.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, value in zip(net.buffers(), before, strict=True):
            buffer.copy_(value)
