"""`python -m genrelab prepare data=... front=...`: fills the store, trains nothing; `-m` in shards."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from genrelab import compose, disk, jobs, launching, paths, shards, sweep, words
from genrelab.report.console import BAR, say, show
from genrelab.report.table import shards_table, unusable_table
from genrelab.types import UserError

HELP = """\
python -m genrelab prepare [group=choice ...] [key=value ...]

Decodes, draws and measures the songs as a run by the same words would, and stops there. What the store has is not made
again, so it can be interrupted and repeated. In shards, side by side by any launcher, on machines that share the store:

  python -m genrelab prepare data=folder data.path=DIR front=mel
  python -m genrelab prepare -m front=mel prepare.shards=4 'prepare.shard=range(0,4)' hydra/launcher=processes"""
ROWS: list[dict[str, Any]] = []  # of the shards of this process


def main(argv: Sequence[str]) -> int:
    """Runs Hydra on the words; returns the exit code."""
    if {"--help", "-h"} & set(argv):
        print(HELP)
        return 0
    sweep.anew()
    ROWS.clear()
    try:
        return _filled(argv)
    except UserError as error:
        say(f"genrelab: {error}")
        return 2
    except KeyboardInterrupt:
        BAR.clear()
        say("interrupted; what was made so far is kept, and the same words go on")
        return 130


def _filled(argv: Sequence[str]) -> int:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        launching.launch([*words.quoted(argv), "hydra.callbacks.sweep._target_=genrelab.shards.Begin"], job)
    except (HydraException, OmegaConfBaseException) as error:
        raise words.complaint(error, argv) from error
    if sweep.FOLDER not in os.environ:
        return int(ROWS[-1]["code"])
    rows = sweep.results(Path(os.environ[sweep.FOLDER]))
    show(shards_table(rows))
    return 1 if not rows or any(r["status"] == "FAILED" for r in rows) else 0


def job(cfg: Any) -> None:
    """One shard, or all songs; its outcome is written and never raised, so that the other shards go on."""
    from hydra.core.hydra_config import HydraConfig

    from genrelab.track import write_json

    compose.register()  # a process of its own has not done so
    runtime = HydraConfig.get()
    config = compose.plain(cfg, runtime.runtime.choices, runtime.overrides.task)
    folder = Path(runtime.runtime.output_dir)
    with jobs.logged(folder / jobs.LOG) if sweep.elsewhere() else nullcontext():
        row = _attempt(config)
    ROWS.append(row)
    if sweep.FOLDER in os.environ:
        write_json(folder / "result.json", row)


def _attempt(config: compose.Config) -> dict[str, Any]:
    """What became of a shard."""
    row = sweep.row("prepare", "", "", {}, config["overrides"]) | {"code": 0}
    try:
        words.fitting(config["overrides"], config)
        filled = shards.fill(config, BAR)
        row |= filled.row()
        if filled.unusable:
            show(unusable_table(filled.unusable))
        say(filled.told)
    except UserError as error:
        row |= {"status": "FAILED", "reason": str(error), "code": 2}
        say(f"genrelab: {error}")
    except Exception as error:
        reason = disk.complaint(error, paths.store_dir(config["store"]))
        row |= {"status": "FAILED", "reason": reason or f"{type(error).__name__}: {error}".splitlines()[0], "code": 1}
        BAR.clear()
        if reason:
            say(f"genrelab: {reason}")
        else:
            traceback.print_exc()
    return row
