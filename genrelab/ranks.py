"""One training over several processes, each with a part of every batch: Lightning's DDP, under the environments that
it knows. On one machine the first process starts the others; torchrun and SLURM start them all.

The first (rank 0) does what a run does, the others follow it (`followers`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrelab.types import UserError

if TYPE_CHECKING:
    from genrelab.compose import Config

READY = "ready"  # a follower says so where it is about to train
GRACE_S = 10.0
USUAL = {"strategy": "auto", "devices": 1, "num_nodes": 1}  # of runs that were made before there were such words
OURS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")


def outside() -> tuple[int, int]:
    """(rank, processes) where torchrun or SLURM has started several processes, else (0, 1)."""
    for rank, world, mark in (
        ("RANK", "WORLD_SIZE", "TORCHELASTIC_RUN_ID"),
        ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_ID"),
    ):
        if mark in os.environ and int(os.environ.get(world, "1")) > 1:
            return int(os.environ.get(rank, "0")), int(os.environ[world])
    return 0, 1


def _asked(options: Config) -> tuple[Any, Any, Any]:
    """strategy, devices, num_nodes."""
    strategy, devices, nodes = (options.get(k, usual) for k, usual in USUAL.items())
    return strategy, devices, nodes


def is_shared(config: Config) -> bool:
    """Whether a training is spread over processes."""
    return bool(_asked(config["trainer"])[0] != "auto")


def here(options: Config) -> int:
    """How many processes of a training are on this machine."""
    import torch

    (strategy, devices, nodes), world = _asked(options), outside()[1]
    if strategy == "auto":
        return 1
    if devices == "auto":
        return int(world // nodes) if world > 1 else max(1, torch.cuda.device_count())
    return int(devices)


def follows(config: Config) -> bool:
    """Whether this process is another one's follower, which torchrun or SLURM has started."""
    return is_shared(config) and outside()[0] > 0


@contextmanager
def beside(folder: Path, n: int, told: dict[str, Any]) -> Iterator[None]:
    """Starts the other n - 1 processes of this machine, and waits until they are about to train; ends them after.

    told: what `follow` needs. Raises RuntimeError where one of them ends with an error, with its last line.
    """
    if n == 1 or "LOCAL_RANK" in os.environ or outside()[1] > 1:  # a follower starts nobody
        yield
        return
    words = folder / "ranks.json"
    words.write_text(json.dumps(told), encoding="utf-8")
    started: list[tuple[subprocess.Popen[str], Path]] = []
    with _group(n):
        try:
            for rank in range(1, n):
                log = folder / f"rank-{rank}.log"
                with log.open("w") as file:
                    started.append((_started(words, rank, file), log))
            for process, log in started:
                assert process.stdout
                if process.stdout.readline().strip() != READY:
                    raise RuntimeError(_fell(process, log))
            yield
            for process, log in started:
                if process.wait(GRACE_S):
                    raise RuntimeError(_fell(process, log))
                log.unlink()
        except Exception as error:
            if fallen := [(p, log) for p, log in started if p.poll()]:  # the cause of what this process met
                raise RuntimeError(_fell(*fallen[0])) from error
            raise
        finally:
            for process, _ in started:
                process.kill()
                process.communicate()
            words.unlink(missing_ok=True)


@contextmanager
def _group(n: int) -> Iterator[None]:
    """This process as the first of n here, as Lightning and those that it starts see it in the environment."""
    import torch.distributed
    from pytorch_lightning.plugins.environments import LightningEnvironment

    before = {k: os.environ.get(k) for k in OURS}
    port = str(LightningEnvironment().main_port)
    os.environ.update(dict(zip(OURS, ("127.0.0.1", port, "0", "0", str(n)), strict=True)))
    try:
        yield
    finally:
        if torch.distributed.is_initialized():  # the next training founds its own
            torch.distributed.destroy_process_group()
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


def _started(words: Path, rank: int, log: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "genrelab", "rank", str(words)],
        env=os.environ | {"LOCAL_RANK": str(rank)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # an interrupt is for the first of them, which ends the others
    )


def _fell(process: subprocess.Popen[str], log: Path) -> str:
    """What became of a follower."""
    code = process.wait(GRACE_S)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"another process of the training ended with {code}: {said[-1] if said else 'it said nothing'} ({log})"


def check(options: Config) -> None:
    """Raises UserError for words about processes that do not fit."""
    strategy, devices, nodes = _asked(options)
    if strategy not in ("auto", "ddp"):
        raise UserError(f"trainer.strategy={strategy}: expected auto (one process) or ddp")
    if devices != "auto" and not _is_count(devices):
        raise UserError(f"trainer.devices={devices}: expected a whole number, at least 1, or auto")
    if not _is_count(nodes):
        raise UserError(f"trainer.num_nodes={nodes}: expected a whole number, at least 1")
    world = outside()[1]
    if strategy == "auto":
        if devices not in (1, "auto") or nodes != 1:
            raise UserError(f"trainer.devices={devices}: several processes want trainer=ddp")
    elif nodes > 1 and world == 1:
        raise UserError(f"trainer.num_nodes={nodes}: processes on several machines are started by srun or torchrun")
    elif world > 1 and devices != "auto" and world != devices * nodes:
        raise UserError(
            f"trainer.devices={devices} on {nodes} machines are {devices * nodes} processes, but {world} were started: "
            "leave trainer.devices=auto, or give both alike"
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def that_share(options: Config) -> int:
    """How many processes of this machine share the threads that one would have; torchrun and SLURM share them out."""
    return here(options) if options["threads"] is None and outside()[1] == 1 else 1


def sizes(options: Config) -> dict[str, Any]:
    """What Lightning's Trainer is told of processes."""
    strategy, devices, nodes = _asked(options)
    if strategy == "auto":
        return {"devices": devices}
    return {"devices": here(options), "num_nodes": nodes, "strategy": strategy}


def environments(config: Config) -> list[Any]:
    """What Lightning must know of who starts the processes; torchrun's and SLURM's it finds by itself."""
    if not is_shared(config) or outside()[1] > 1:
        return []
    from pytorch_lightning.plugins.environments import LightningEnvironment

    class Here(LightningEnvironment):
        """This machine, on which `beside` starts them."""

        @property
        def creates_processes_externally(self) -> bool:
            return True

    return [Here()]
