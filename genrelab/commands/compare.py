"""`compare RUN RUN ...`, `--sweep PARENT`, `--data NAME`: which runs are better, paired song by song."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths, track
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError

if TYPE_CHECKING:
    from genrelab.report.compare import Outcome
    from genrelab.report.pairs import Entry
    from genrelab.track import Record

TESTED = (*track.WHOLE, "fold")  # the kinds of run that have test songs of a split
NEWEST = 3  # that a complaint names
ELSEWHERE = "comparison"  # the folder where no sweep's run has a place for it


def run(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs: ids, names, last or best; at least two.")] = None,
    sweep: Annotated[str | None, typer.Option(help="All runs of a sweep: its id, its name or last.")] = None,
    data: Annotated[str | None, typer.Option(help="All runs on a data set.")] = None,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="Every two, not only the best on validation with each other one.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The folder for page, CSV and pictures: else the sweep's, or ./comparison.")
    ] = None,
) -> int:
    """Compare runs on the same test songs: differences with intervals, tests, a page."""
    store, words = paths.store_dir(), runs or []
    if sum(map(bool, (words, sweep, data))) != 1:
        raise UserError(
            "compare takes one of: two runs or more (compare last mel-gru-artist-s0), --sweep last, --data NAME"
        )
    parent = None
    if sweep:
        parent = _sweep(store, sweep)
        records = [r for r in track.children(store, parent.id) if r.kind in TESTED and r.status == "FINISHED"]
        _enough(records, f"of the sweep {parent.name}")
    elif data:
        records = _on(store, data)
    else:
        records = _named(store, words)
    entries = _entries(records, strict=bool(words))
    result = _outcome(entries, all_pairs=all_pairs, factors=bool(sweep), strict=bool(words))
    folder, title, logged = _place(store, records, parent, data, result, out)
    command = ["python", "-m", "genrelab", "compare", *([r.id[:8] for r in records] if words else [])]
    command += ["--sweep", parent.id[:8]] if parent else ["--data", data] if data else []
    _report(result, folder, title, records, shlex.join([*command, *(["--all-pairs"] if all_pairs else [])]), logged)
    return 0


def _named(store: Path, words: Sequence[str]) -> list[Record]:
    """The runs that are meant. Raises UserError for fewer than two, for one twice, and for what has no test songs."""
    found: dict[str, Record] = {}
    for word in words:
        record = track.find(store, word)
        if record.id in found:
            raise UserError(f"{record.name} ({record.id[:8]}) is named twice: give another run to compare it with")
        if record.kind == "sweep":
            raise UserError(f"{word} is a sweep: compare its runs with --sweep {record.id[:8]}")
        if record.kind not in TESTED or record.status != "FINISHED":
            raise UserError(
                f"{record.name} ({record.id[:8]}, {record.kind}) is {record.status} and cannot be compared: name "
                "finished runs of training"
            )
        found[record.id] = record
    if len(found) < 2:
        others = [r for r in track.records(store) if r.kind in track.WHOLE and r.status == "FINISHED"]
        near = ", ".join(f"{r.name} ({r.id[:8]})" for r in [r for r in others if r.id not in found][:NEWEST])
        hint = f"name another, as {near}" if near else "train another"
        raise UserError(f"{words[0]} is one run, and compare takes two or more: {hint}")
    return list(found.values())


def _sweep(store: Path, word: str) -> Record:
    """The sweep that is meant. Raises UserError where there is none."""
    known = track.records(store)
    sweeps = [r for r in known if r.kind == "sweep"]
    if not sweeps:
        raise UserError(f"no sweep in the store {store}: make one first (python -m genrelab -m front=stft,mel)")
    if word == "last":
        return sweeps[0]
    fitting = [r for r in known if word in (r.id, r.name)] or [
        r for r in known if len(word) >= 4 and r.id.startswith(word)
    ]
    found = [r for r in fitting if r.kind == "sweep"]
    if found:
        return found[0]
    newest = ", ".join(f"{r.id[:8]} ({r.name.removeprefix('sweep ')})" for r in sweeps[:NEWEST])
    what = f"{fitting[0].name} is no sweep but a {fitting[0].kind}" if fitting else f"no sweep '{word}' in {store}"
    raise UserError(f"--sweep {word}: {what}; the newest are {newest}")


def _on(store: Path, data: str) -> list[Record]:
    """The finished runs on a data set, the oldest first. Raises UserError where there are fewer than two."""
    whole = [r for r in track.records(store) if r.kind in track.WHOLE and r.status == "FINISHED"]
    found = [r for r in whole if data in (r.experiment, r.tags.get("data"))]
    if not found:
        names = ", ".join(sorted({r.experiment for r in whole})) or "none"
        raise UserError(f"--data {data}: no finished run on it in the store {store}; there are runs on {names}")
    _enough(found, f"on {data}")
    return found[::-1]


def _enough(records: Sequence[Record], where: str) -> None:
    if len(records) < 2:
        n = "one finished run" if records else "no finished run"
        raise UserError(f"{n} {where}: compare takes two or more")


def _entries(records: Sequence[Record], *, strict: bool) -> list[Entry]:
    """The runs with their test songs; where many were not named one by one, those whose files are gone are left out."""
    from genrelab import comparison

    found = []
    for n, record in enumerate(records, 1):
        try:
            entry = comparison.of_record(record)
            _ = entry.songs
            found.append(entry)
        except UserError as error:
            if strict:
                raise
            say(f"left out: {error}")
        BAR("reading runs", n, len(records))
    _enough([r for r in records if r.id in {e.id for e in found}], "has its files")
    return found


def _outcome(entries: Sequence[Entry], **options: bool) -> Outcome:
    """Raises UserError where nothing can be paired."""
    from genrelab import compose
    from genrelab.report import compare

    n_boot = int(compose.load_config(entries[0].folder)["trainer"]["n_boot"])
    result = compare.outcome(entries, n_boot=n_boot, **options)
    if result.nothing and not result.across:
        raise UserError(result.nothing)
    return result


def _place(
    store: Path, records: Sequence[Record], parent: Record | None, data: str | None, result: Outcome, out: Path | None
) -> tuple[Path, str, track.Run | None]:
    """The folder of the results, the page's title, and the run that the figures are logged to."""
    if parent is not None:
        return out or parent.folder, parent.name, track.opened(store, parent)
    title = f"Runs on {data}" if data else " and ".join(arm.name for arm in result.arms)
    title = title if len(title) <= 80 else f"{len(records)} runs"
    above = {r.parent for r in records}
    if out is None and not data and len(above) == 1 and (parent_id := above.pop()):
        sweeps = [r for r in track.records(store) if r.id == parent_id and r.kind == "sweep"]
        if sweeps:  # runs of one sweep: where people look, beside the whole sweep's own page
            named = re.sub(r"[^\w.-]+", "_", title)
            return sweeps[0].folder / "comparisons" / named, title, None
    return out or Path(ELSEWHERE), title, None


def _report(
    result: Outcome, folder: Path, title: str, records: Sequence[Record], command: str, logged: track.Run | None
) -> None:
    from genrelab import comparison

    facts = [("data", ", ".join(dict.fromkeys(r.experiment for r in records)))]
    try:
        parts: list[Any] = comparison.told(result, folder, title, facts, command, logged)
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; give another folder with --out DIR") from error
    for i, part in enumerate(parts):
        if i:
            show("")
        show(part)
