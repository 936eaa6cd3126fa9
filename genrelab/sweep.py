"""A multirun: one parent run, its children below it, one table of them all at the end.

Every child writes its outcome to `result.json` in its Hydra folder, whatever launcher started it and whether it was
tracked or not; the parent's id travels in the environment, which Hydra sets for every job, in whatever process it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback

from genrelab import words
from genrelab.types import MEASURE, UserError

PARENT, RESUME, FOLDER = "GENRELAB_PARENT", "GENRELAB_RESUME_SWEEP", "GENRELAB_SWEEP_DIR"
BEGUN: dict[str, Any] = {}  # of this process's sweep: parent (its run), store, n_boot, seed, report
MARK = "begun"  # a file of a job's folder: which process has begun it
PATIENCE_S = 10.0  # for runs in other processes, from an interrupt to their end


def anew() -> None:
    """Forgets what this process, or who started it, has begun."""
    for name in (PARENT, FOLDER, RESUME):
        os.environ.pop(name, None)
    BEGUN.clear()


class Parent(Callback):
    """Makes the parent run, and with it the database's schema, before the children are started."""

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        del kwargs
        from omegaconf import OmegaConf

        from genrelab import cards, compose, paths
        from genrelab.report import notes
        from genrelab.track import write_json

        if hindered(config):  # its launcher will say so
            return
        BEGUN.update(n_boot=config.trainer.n_boot, seed=config.seed, store=paths.store_dir(config.store))
        BEGUN["report"] = compose.instantiate(config.report) if config.report else None
        store = BEGUN["store"]
        os.environ[FOLDER] = str(Path(config.hydra.sweep.dir).resolve())
        tracker = compose.instantiate(config.tracker)
        typed = [*config.hydra.overrides.task, *config.hydra.overrides.hydra]
        typed = [w for w in typed if w != "hydra.mode=MULTIRUN"]
        experiment = compose.data_name(config)
        tags = swept(config.hydra.runtime.choices, typed, config.seed) | {"kind": "sweep", "data": experiment}
        tags |= {"overrides": json.dumps(typed), "measure": compose.instantiate(config.task).measure}
        told = [w for w in words.of_run(typed) if not w.startswith("hydra")]
        # first what differs: a list shows the beginning of a name
        name = "sweep " + " ".join(sorted(told, key=lambda w: not re.search(r",|glob\(|\(.*:", w)))[:200]
        resumed = os.environ.get(PARENT)
        run = tracker.begin(store, experiment, name, tags, resume=resumed)
        os.environ[PARENT] = run.id
        BEGUN["parent"] = run
        run.describe(notes.of_sweep(cards.command("-m", *(w for w in typed if not w.startswith("store=")))))
        hand_down(config, {name: os.environ[name] for name in (PARENT, FOLDER, RESUME) if name in os.environ}, store)
        if not resumed:
            write_json(
                run.folder / "sweep.json", {"overrides": typed, "config": OmegaConf.to_container(config.hydra.sweeper)}
            )


def hindered(config: Any) -> str:
    """Why a sweep cannot begin under its launcher; "" where it can."""
    if config.jobs is not None and config.jobs < 1:
        return f"jobs={config.jobs}: expected how many runs go on at once, at least 1"
    if config.hydra.runtime.choices.get("hydra/launcher") == "slurm":
        lacking = [name for name in ("sbatch", "srun") if not shutil.which(name)]
        if lacking:
            return (
                f"hydra/launcher=slurm wants SLURM's {' and '.join(lacking)}, which this machine does not have: start "
                "the sweep on a machine of the cluster, or give hydra/launcher=processes"
            )
    return ""


def hand_down(config: Any, environment: Mapping[str, str], store: Path | None = None) -> None:
    """What the jobs of a sweep find in their environment, and as their store, in whatever process and folder they are:
    overrides that each is composed with, and that nobody has typed."""
    from omegaconf import open_dict, read_write

    new = {f"++hydra.job.env_set.{name}": value for name, value in environment.items()}
    new |= {"store": str(store)} if store else {}
    with read_write(config), open_dict(config):
        own = config.hydra.overrides.hydra
        kept = [w for w in own if w.partition("=")[0] not in new]
        config.hydra.overrides.hydra = [*kept, *(f"{key}={words.quote(value)}" for key, value in new.items())]


def elsewhere() -> bool:
    """Whether this process has a job of a sweep that another process has begun."""
    return FOLDER in os.environ and not BEGUN


def swept(choices: Mapping[str, Any], typed: list[str], seed: int) -> dict[str, object]:
    """The tags of a sweep's parts, those of a run; what differs from run to run stands as the user wrote it."""
    given = dict(w.split("=", 1) for w in typed if "=" in w)
    parts = {k: choices[k] for k in ("front", "slice", "net", "agg", "task", "split") if choices.get(k)}
    return {k: given.get(k, usual) for k, usual in (parts | {"seed": seed}).items()}


def results(folder: Path) -> list[dict[str, Any]]:
    """What the children wrote, in the order of their numbers."""
    files = sorted(folder.glob("*/result.json"), key=lambda p: (len(p.parent.name), p.parent.name))
    return [json.loads(f.read_text()) for f in files]


def compared(rows: list[dict[str, Any]], run: Any) -> list[Any]:
    """The finished runs beside one another, as `compare` does it: what there is to show; page and figures in `run`."""
    from genrelab import comparison
    from genrelab.report.compare import outcome

    if len(rows) < 2 or run is None:
        return []
    try:
        known = [run.client.get_run(r["run_id"]).data.tags if run.client else {} for r in rows]
        entries = [comparison.of_row(r, tags) for r, tags in zip(rows, known, strict=True)]
        result = outcome(entries, n_boot=BEGUN["n_boot"], factors=True)
        facts = [("data", run.experiment)] if run.experiment else []
        again = f"compare --sweep {run.id[:8]}" if run.id else f"-m {run.name.removeprefix('sweep ')}"
        return comparison.told(result, run.folder, run.name, facts, f"python -m genrelab {again}", run)
    except UserError as error:
        return [f"not compared: {error}"]


def abandon(reason: str) -> None:
    """Ends the parent of a sweep that cannot go on, and what other processes have left open below it."""
    if run := BEGUN.pop("parent", None):
        if run.client:
            close(BEGUN["store"], open_below(BEGUN["store"], run.id, PATIENCE_S), "KILLED", reason)
        run.finish("KILLED", reason)


def open_below(store: Path, parent: str, patience_s: float, overrides: list[str] | None = None) -> list[Any]:
    """The runs below another that nobody has ended, folds too, after a wait for the processes that write them.

    overrides: of those with these alone.
    """
    from genrelab import process, track

    until = time.monotonic() + patience_s
    while True:
        there = track.children(store, parent)
        there += [fold for run in there if run.kind == "kfold" for fold in track.children(store, run.id)]
        left = [run for run in there if run.status == "RUNNING"]
        if overrides is not None:
            left = [run for run in left if run.tags.get("overrides") == json.dumps(overrides)]
        if not any(process.state(r.tags.get(track.PROCESS, "")) in ("alive", "elsewhere") for r in left):
            return left
        if time.monotonic() >= until:
            return left
        time.sleep(0.2)


def close(store: Path, left: list[Any], status: str, reason: str) -> None:
    """Ends runs whose processes could not."""
    from genrelab import track

    for record in left:
        track.end(store, record, status, reason, int(1000 * time.time()))


def finish() -> tuple[int, list[Any]]:
    """Ends the parent; returns the exit code (1 where a child failed) and what there is to show."""
    from genrelab.report import kept, style
    from genrelab.report.folds import nested
    from genrelab.report.table import sweep_table

    rows = results(Path(os.environ[FOLDER]))
    failed = [r for r in rows if r["status"] != "FINISHED"]
    beside = compared([r for r in rows if r["status"] == "FINISHED"], BEGUN.get("parent"))
    for row, name in zip(rows, distinct(rows), strict=True):
        row["name"] = name
    tables: list[Any] = [sweep_table(rows), *beside]
    done = [r for r in rows if r["status"] == "FINISHED"]
    if said := nested(done, BEGUN["n_boot"], BEGUN["seed"]):
        tables.append(said)
    if BEGUN["report"] and done:
        more, drawing = BEGUN["report"](done, BEGUN["n_boot"], BEGUN["seed"])
        tables += more
        if "parent" in BEGUN:
            at = style.save(drawing, BEGUN["parent"].folder / "pictures" / "sweep.png")
            tables.append(f"picture: {at}")
    os.environ.pop(PARENT, None)
    if run := BEGUN.pop("parent", None):
        kept.save(tables, run.folder)
        best = max(((r["figures"].get(f"val/song/{r['measure']}", 0.0), r["measure"]) for r in done), default=None)
        run.metrics(
            {"children": len(rows), "failed": len(failed)} | ({f"best/val/song/{best[1]}": best[0]} if best else {})
        )
        run.finish(
            "FAILED" if failed else "FINISHED", f"{len(failed)} of {len(rows)} children failed" if failed else ""
        )
    return (1 if failed or not rows else 0), tables


def distinct(rows: list[dict[str, Any]]) -> list[str]:
    """The rows' names, each with the overrides that tell it from others of its name, or with its number if many do."""
    names = [r["name"] for r in rows]
    if len(set(names)) == len(names):
        return names
    words = [set(r["overrides"]) for r in rows]
    common = set.intersection(*words)
    own = [sorted(w - common) if len(w - common) <= 3 else [f"#{i}"] for i, w in enumerate(words, 1)]
    return [n if names.count(n) == 1 else " ".join([n, *w]) for n, w in zip(names, own, strict=True)]


def begun_before(folder: Path) -> bool:
    """Whether this very job was begun already: its process was killed, and whoever launched it has started it anew."""
    from genrelab import process

    mark = folder / MARK
    before = mark.exists()
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(process.here(), encoding="utf-8")
    return before


def finished_child(store: Path, overrides: list[str], again: bool = False) -> tuple[Any, Any]:
    """(the finished child of this sweep with these overrides, else the one that was cut off), either may be None.

    Both are None in a sweep that is not resumed, unless the job is done `again`. Raises UserError where another process
    of this machine writes it.
    """
    from genrelab import track

    if not os.environ.get(PARENT) or not (os.environ.get(RESUME) or again):
        return None, None
    same = [c for c in track.children(store, os.environ[PARENT]) if c.tags.get("overrides") == json.dumps(overrides)]
    done = next((c for c in same if c.status == "FINISHED"), None)
    cut_off = next((c for c in reversed(same) if c.status != "FINISHED"), None)
    if cut_off and not done:
        track.idle(cut_off)
    return done, cut_off


def row(
    name: str,
    run_id: str,
    folder: Path | str,
    figures: Mapping[str, float],
    overrides: list[str],
    measure: str = MEASURE,
) -> dict[str, Any]:
    return {
        "name": name,
        "run_id": run_id,
        "folder": str(folder),
        "status": "FINISHED",
        "reason": "",
        "figures": dict(figures),
        "overrides": overrides,
        "measure": measure,
    }
