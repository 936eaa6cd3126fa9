"""`rerun RUN`: the same config, data and seed once more, and whether the answers are the same to the bit."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths, track
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError, digest

if TYPE_CHECKING:
    from genrelab.compose import Config, Prepared
    from genrelab.report.rerun import Compared

NAMED = 3  # songs that are named
REPLAYED = ("precision", "threads", "memory_format", "keep_memory")  # measured by a run, and taken over


@dataclass(frozen=True)
class Replay:
    """A tracker whose new runs have what the earlier run, or each of its folds, had measured."""

    tracker: Any
    record: track.Record
    folds: Mapping[str, track.Record]

    def begin(
        self, store: Path, experiment: str, name: str, tags: Mapping[str, object], resume: str | None = None
    ) -> track.Run:
        own = self.folds[str(tags["fold"])] if "fold" in tags else self.record
        known = {k: own.tags[k] for k in REPLAYED if k in own.tags}
        return self.tracker.begin(store, experiment, name, {**tags, **known, "rerun_of": own.id}, resume=resume)


def run(run: Annotated[str, typer.Argument(help="The run to repeat: an id, a name, last or best.")]) -> int:
    """Train a finished run once more and compare the answers to the bit. Exit code 1: they differ, and how."""
    from genrelab import compose, environment, revisit, runs, sweep

    store = paths.store_dir()
    record, folds = whole(store, run)
    config = revisit.config_of(record, store)
    prepared = songs_as_then(record, config)
    split_as_then(record, config, prepared)
    then, threads = environment.load(record.folder), environment.threads_of(config["trainer"], record.tags)
    for line in warnings(record, then, threads):
        say(line)

    for name in (sweep.PARENT, sweep.FOLDER, sweep.RESUME):
        os.environ.pop(name, None)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tracker = Replay(compose.instantiate(config["tracker"]), record, folds)
    try:
        row = runs.train(config, tracker)
    except (KeyboardInterrupt, SystemExit):  # Lightning leaves with the latter
        goal = runs.OPEN[0].id if runs.OPEN else ""
        _end("KILLED", "interrupted")
        BAR.clear()
        say(f"interrupted; go on with python -m genrelab resume={goal}" if goal else "interrupted")
        return 130
    except UserError as error:
        _end("FAILED", str(error))
        raise
    except Exception as error:
        _end("FAILED", f"{type(error).__name__}: {error}".splitlines()[0])
        traceback.print_exc()
        say("genrelab: the run failed; the lines above are a fault of genrelab or of a part, not of your words")
        return 1
    again = track.find(store, row["run_id"])
    found = compare(store, record, again, folds)
    differences = environment.different(then, environment.load(again.folder) or then) if then else []
    return _report(store, record, again, found, differences)


def whole(store: Path, word: str) -> tuple[track.Record, dict[str, track.Record]]:
    """The run that a word means, and its folds by number. Raises UserError for what cannot be repeated."""
    record = track.find(store, word)
    named = f"{record.name} ({record.id[:8]})"
    if record.kind == "sweep":
        first = next((c for c in track.children(store, record.id) if c.status == "FINISHED"), None)
        example = f": rerun {first.id[:8]} ({first.name}), for one" if first else ""
        raise UserError(f"{named} is a sweep, which is many runs: repeat one of them{example}")
    if record.kind == "fold":
        raise UserError(f"{named} is a fold of a k-fold run: repeat that one, rerun {record.parent}")
    if record.kind not in track.WHOLE:
        raise UserError(f"{named} is no training ({record.kind}): give a run that was trained")
    if record.status != "FINISHED":
        raise UserError(f"{named} was cut off ({record.status}): finish it first, resume={record.id}")
    folds = {}
    if record.kind == "kfold":
        folds = {m.tags["fold"]: m for m in track.models(store, record)}
    for one in (record, *folds.values()):
        if not (one.folder / "predictions.parquet").is_file():
            raise UserError(f"the answers of {one.name} ({one.id[:8]}) are gone from {one.folder}: train it again")
    return record, folds


def songs_as_then(record: track.Record, config: Config) -> Prepared:
    """The run's songs. Raises UserError where they are others by now, and says which."""
    from genrelab import compose, environment, revisit

    prepared = compose.prepare(config, BAR)
    then, now = record.tags.get("data_digest"), prepared.digest
    if then == now:
        return prepared
    models = [c for c in track.children(Path(config["store"]), record.id) if c.kind == "fold"] or [record]
    before, today = set(revisit.sides(models[0]).index), {t.id for t in prepared.tracks}
    said = [
        f"{len(ids)} {word} ({_names(ids)})" for word, ids in (("gone", before - today), ("new", today - before)) if ids
    ]
    what = ", ".join(said) or "the same names with other sound, labels or columns"
    recorded = environment.load(record.folder)
    if not said and (recorded is None or recorded.get("source") != environment.source()):
        what += ", or named otherwise by another genrelab"
    raise UserError(
        f"{record.name} ({record.id[:8]}) was trained on other songs than data={config['choices']['data']} has now "
        f"(digest {then} then, {now} now: {what}): bring those back, or train again"
    )


def split_as_then(record: track.Record, config: Config, prepared: Prepared) -> None:
    """Raises UserError where the same words split the songs otherwise by now."""
    from genrelab import compose

    made = compose.splits(config, prepared)
    now = made[0].digest if len(made) == 1 else digest([s.digest for s in made])
    then = record.tags.get("split_digest")
    if then != now:
        raise UserError(
            f"the songs of {record.name} ({record.id[:8]}) are split otherwise by now (digest {then} then, {now} now): "
            f"its file or genrelab has changed; train on the sides that it had with split=file "
            f"split.path={record.folder / 'split.csv'}"
        )


def warnings(record: track.Record, then: dict[str, Any] | None, threads: int) -> list[str]:
    """What is known before training to be another than it was."""
    from genrelab import environment

    if then is None:
        return [f"{record.name} ({record.id[:8]}) is of an older genrelab, which did not record versions and threads"]
    lines = [f"not as it was: {d}" for d in environment.different(then, environment.current(threads))]
    if then.get("resumed"):
        lines.append("that run was cut off and went on in another environment: its bits may be out of reach")
    return lines


def compare(
    store: Path, record: track.Record, again: track.Record, folds: Mapping[str, track.Record]
) -> list[Compared]:
    """The answers of both runs, and of each of their folds."""
    from genrelab.report import artifacts
    from genrelab.report.rerun import compared

    found = [compared(artifacts.load(record.folder), artifacts.load(again.folder), "pooled " if folds else "")]
    for child in track.children(store, again.id) if folds else ():
        own, fold = folds.get(child.tags.get("fold", "")), child.tags.get("fold", "")
        if own and child.kind == "fold":
            said = compared(artifacts.load(own.folder), artifacts.load(child.folder), f"fold {fold}, ")
            found.append(said)
    return found


def _report(
    store: Path, record: track.Record, again: track.Record, found: list[Compared], differences: list[str]
) -> int:
    """Says and writes what came out; the exit code."""
    from genrelab.report.rerun import figures

    total, identical = found[0], all(f.identical for f in found)
    others = figures(dict(record.metrics), dict(again.metrics))
    lines = [line for f in found for line in f.lines]
    pair = f"{record.name}: {record.id[:8]} then, {again.id[:8]} now"
    n = f"{total.n_songs} songs and {total.n_slices} slices" + (f", {len(found) - 1} folds" if len(found) > 1 else "")
    track.note(store, again, {"rerun": "identical" if identical else "differs"})
    told = {"of": record.id, "identical": identical, "differences": lines, "environment": differences}
    track.write_json(again.folder / "rerun.json", told | {"figures": others})
    show("")
    if identical:
        show(f"identical to the bit: {pair}; {n}")
    else:
        show(f"different: {pair}; {n}")
        for line in lines:
            show(f"  {line}")
    for line in differences:
        show(f"  not as it was: {line}")
    if not identical and not differences:
        show("  versions, code, processor and threads are as they were: genrelab does not know why")
    if others:
        show(f"  figures that differ: {', '.join(others[:NAMED])}" + (" ..." if len(others) > NAMED else ""))
    return 0 if identical else 1


def _end(status: str, reason: str) -> None:
    from genrelab import runs

    for one in runs.OPEN:
        one.finish(status, reason)
    runs.OPEN.clear()


def _names(ids: set[str]) -> str:
    names = sorted(ids)
    return ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")
