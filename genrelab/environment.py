"""What a run's bits depend on beside its config, data and seed: versions, code, processor, threads."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from genrelab import paths
from genrelab.types import digest

FILE = "environment.json"  # among a run's artifacts
LEAST = ("torch", "torchaudio", "pytorch-lightning", "numpy", "scipy", "librosa", "soundfile", "soxr")
OPTIONAL = ("timm", "transformers", "torchcodec")  # extras that may make a run's pictures and weights
Environment = dict[str, Any]


def current(threads: int) -> Environment:
    """As it is now, with `threads` the number that training takes: plain values, one level deep in `versions`."""
    return {
        "versions": versions(),
        "git_commit": git_commit(),
        "source": source(),
        "processor": processor(),
        "instructions": _instructions(),
        "accelerator": _accelerator(),
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "threads": threads,
    }


def versions() -> dict[str, str]:
    """Python, genrelab and every library that it asks for, by name."""
    from genrelab import __version__

    try:
        asked = [r for r in metadata.requires("genrelab") or () if "extra ==" not in r]
    except metadata.PackageNotFoundError:  # a bare checkout
        asked = []
    names = {re.split(r"[^A-Za-z0-9._-]", r, maxsplit=1)[0].lower() for r in asked} | {*LEAST, *OPTIONAL}
    found = {"python": platform.python_version(), "genrelab": __version__}
    for name in sorted(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_commit() -> str:
    """The commit of the checkout that runs, with + where it was changed since; "" for an installed package."""
    at = ["git", "-C", str(paths.PACKAGE.parent)]
    try:
        commit = subprocess.run([*at, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run([*at, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def source() -> str:
    """12 hexadecimal digits that name genrelab's own code, which may have been changed since its commit."""
    files = sorted(paths.PACKAGE.rglob("*.py"))
    return digest([[str(f.relative_to(paths.PACKAGE)), f.read_text(encoding="utf-8")] for f in files])


def processor() -> str:
    """The model of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def threads_of(options: Mapping[str, Any], tags: Mapping[str, str]) -> int:
    """How many threads train: as the trainer's options say, else as the run had, else as OMP_NUM_THREADS says, else
    as many as there are cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(options["threads"] or tags.get("threads") or (asked if asked.isdigit() else 0) or os.cpu_count() or 1)


def cores() -> int:
    """The cores of this machine that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # a cluster may give it fewer than there are
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def at_once(jobs: int | None, gb: float) -> int:
    """How many runs go on at once on this machine: `jobs`, else one a core, as far as each has `gb` GB of memory."""
    if jobs is not None:
        return jobs
    memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return max(1, min(cores(), int(memory_gb / gb)))


def save(folder: Path, now: Environment) -> None:
    """Writes FILE; where a resumed run had another environment before, that one stays and the new one stands beside."""
    before = load(folder)
    if before is not None and different(before, now):
        now = before | {"resumed": [*before.get("resumed", []), now]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(now, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path) -> Environment | None:
    """The environment of a run from its artifacts; None where it was not recorded."""
    try:
        found: Environment = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def different(before: Environment, now: Environment) -> list[str]:
    """What is not the same, a phrase each: "torch 2.14.1 then, 2.15.0 now"."""
    flat = [{k: v for k, v in e.items() if k not in ("versions", "resumed")} | e["versions"] for e in (before, now)]
    names = {"git_commit": "commit", "source": "genrelab's source", "instructions": "instruction set"}
    lines = []
    for key in dict.fromkeys([*flat[1], *flat[0]]):
        then, today = (str(e.get(key, "") or "none") for e in flat)
        if then != today:
            lines.append(f"{names.get(key, key)} {then} then, {today} now")
    return lines


def _instructions() -> str:
    import torch

    return torch.backends.cpu.get_cpu_capability()


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""
