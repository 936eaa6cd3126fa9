"""`doctor [--fix]`: what is wrong with a store, and what mends it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from genrelab import paths, room, track
from genrelab.health import base, cache, corpora, runs, spools
from genrelab.health.base import Finding
from genrelab.report.console import BAR, show
from genrelab.types import UserError

PARTS = (
    ("mlflow.db", "every run's tags and figures"),
    ("artifacts", "every run's answers, pictures and checkpoints"),
    ("cache/pictures", "made again when needed; --budget keeps it small"),
    ("cache/embeddings", "of net=frozen; made again when needed"),
    ("cache", "all of the cache, with what was measured of songs"),
    ("data", "music that was made or fetched"),
    ("spool", "what a server or the database could not be told yet"),
    ("logs", "what Hydra and runs with tracker=off wrote"),
    ("audits", "pages of audit"),
    (base.LOST, "what doctor found no use for: look, then delete it yourself"),
)
ROUNDS = 3  # what one fix brings to light is mended too
GB = 1e9


def run(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is wrong.")] = False,
    budget: Annotated[
        float | None,
        typer.Option(help="How many GB the cache may have; --fix deletes the pictures unused for longest."),
    ] = None,
    elsewhere: Annotated[
        bool, typer.Option("--elsewhere", help="Runs of other machines that are RUNNING are dead: you know it.")
    ] = False,
) -> int:
    """Say what is wrong with the store: runs left open, half-written files, gaps. Exit code 1: something is left."""
    from genrelab.report.health import findings_table, sizes_table

    store = paths.store_dir()
    if not any((store / name).exists() for name, _ in PARTS):
        what = "there is no such folder" if not store.exists() else "nothing of genrelab's is in it"
        raise UserError(f"no store in {store}: {what}; give the store with store=DIR")
    if budget is not None and not budget >= 0:
        raise UserError(f"--budget {budget}: expected a number of GB, 0 or more")
    found = list(_examined(store, budget, elsewhere))
    rows, mended = [], 0
    for _ in range(ROUNDS if fix else 0):
        done = [(f, *_mended(f)) for f in found if f.mend]
        rows += [(f.what, f.where, f.amount, said) for f, said, _ in done]
        mended += sum(well for *_, well in done)
        found = list(_examined(store, budget, elsewhere))
        if not any(f.mend for f in found) or not any(well for *_, well in done):
            break
    tried = {(what, where) for what, where, *_ in rows}
    rows += [(f.what, f.where, f.amount, f.remedy) for f in found if not fix or (f.what, f.where) not in tried]
    BAR.clear()
    if rows:
        short = [[re.sub(r"([0-9a-f]{8})[0-9a-f]{24}", "\\1…", cell) for cell in row] for row in rows]
        show(findings_table(short, fixed=fix))
        show("")
    show(sizes_table(_sizes(store)))
    show("")
    wrong = sum(f.wrong for f in found)
    show(_verdict(store, wrong, mended, fixable=any(f.mend and f.wrong for f in found), fix=fix))
    return 1 if wrong else 0


def _examined(store: Path, budget: float | None, elsewhere: bool) -> Iterator[Finding]:
    """All that there is to say of a store."""
    fault = runs.database(store)
    known, training, there = None, 0, []
    if fault:
        yield fault
    elif track.has_store(store):
        try:
            there = runs.open_runs(store)
            known = track.ids(store)
        except Exception as error:  # MLflow raises its own, whatever is wrong with a database that sqlite can read
            said = " ".join(str(error).split())[:200] or type(error).__name__
            yield Finding(f"MLflow cannot open the database ({said})", "mlflow.db", "", "nothing: see what MLflow says")
        else:
            yield from spools.examine(store)
            training = sum(not o.lost for o in there if not elsewhere or o.state == "alive")
            yield from runs.examine(store, there, elsewhere)
            yield from runs.artifacts(store)
            yield from runs.partials(store, there)
    yield from cache.examine(store, known, training)
    yield from cache.locks(store, training)
    yield from corpora.examine(store, training)
    if budget is not None:
        yield from cache.over_budget(store, budget * GB, training)


def _mended(finding: Finding) -> tuple[str, bool]:
    """What --fix did, and whether it could."""
    assert finding.mend
    try:
        return finding.mend(), True
    except (base.Busy, UserError) as error:
        return f"left alone: {error}", False
    except OSError as error:
        return f"failed: {error.strerror or error}", False


def _sizes(store: Path) -> list[tuple[str, str, str]]:
    rows = [(n, base.amount(room.size_of(store / n)), what) for n, what in PARTS if (store / n).exists()]
    untracked = base.folders(store / "logs" / "untracked")
    if untracked:
        size = base.amount(sum(map(room.size_of, untracked)))
        rows.append(("logs/untracked", size, f"{base.count(len(untracked), 'run')} of tracker=off, yours to delete"))
    return [*rows, ("the disk", base.amount(shutil.disk_usage(store).free), "free")]


def _verdict(store: Path, wrong: int, mended: int, *, fixable: bool, fix: bool) -> str:
    done = f"{mended} mended; " if mended else ""
    if not wrong:
        return f"{done}nothing is wrong with {store}" if not mended else f"{done}nothing else is wrong with {store}"
    left = f"{done}{wrong} thing{'s are' if wrong > 1 else ' is'} wrong with {store}"
    if fix:
        return left
    return f"{left}; {'--fix mends what can be mended' if fixable else '--fix can do nothing about it'}"
