"""`promote RUN`: a run's model into MLflow's registry as the champion, for others to load and to serve."""

from __future__ import annotations

import math
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genrelab import paths
from genrelab.answering import chosen_run
from genrelab.report.console import show
from genrelab.types import MEASURE, UserError

if TYPE_CHECKING:
    from genrelab.registry import Version
    from genrelab.track import Record

KEPT = ("data", "data_digest", "split", "split_digest", "leak_audit", "measure", "front", "slice", "net", "agg", "task")
PORT = 5001  # MLflow's pages are on 5000


def run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run: an id, a name, last or best.")],
    name: Annotated[str, typer.Option(help="What the model is called in the registry.")] = "genrelab",
    alias: Annotated[str, typer.Option(help="Which of its versions this one becomes.")] = "champion",
) -> int:
    """Register a run's model in MLflow and make it the champion. Of a k-fold run: the fold best on validation."""
    from genrelab import registry, track, trust

    _check(name, alias)
    store = paths.store_dir()
    record = chosen_run(store, run)
    trust.folder(record.folder)
    before = registry.champion(store, name, alias)
    if before and before.run_id == record.id:
        show(f"{record.name} ({record.id[:8]}) is the {alias} already: {before}. Nothing was changed.")
        _how(track.database(store), name, alias)
        return 0
    there = registry.of_run(store, name, record.id)
    version = there or registry.register(store, name, record, _tags(record), record.tags.get(track.NOTE, ""))
    registry.crown(store, version, alias)
    again = " again" if there else ""
    show(f"{version} is the {alias}{again} now: {record.name} ({record.id[:8]}), trained on {record.experiment}")
    for line in _compared(version, before):
        show(f"  {line}")
    _how(track.database(store), name, alias)
    return 0


def _check(name: str, alias: str) -> None:
    """Raises UserError for what MLflow would not take."""
    if not name.strip() or re.search(r"[/:@']", name):
        raise UserError(f"--name {name!r}: a model's name is not empty and has none of / : @ '")
    if not re.fullmatch(r"[A-Za-z][\w-]*", alias) or re.fullmatch(r"[vV]\d+|latest", alias):
        raise UserError(
            f"--alias {alias!r}: letters, digits, - and _, a letter first, and not latest or v1: MLflow keeps those"
        )


def _tags(record: Record) -> dict[str, object]:
    """What the registry says of a version: which run it is, and its figures."""
    measure = record.tags.get("measure", MEASURE)
    keys = ["songs/val", f"val/song/{measure}", *(f"test/song/{measure}{end}" for end in ("", "_lo", "_hi"))]
    told: dict[str, object] = {"run": record.id, "run_name": record.name}
    told |= {k: record.tags[k] for k in KEPT if k in record.tags}
    return told | {k: f"{record.metrics[k]:.4g}" for k in keys if not math.isnan(record.metrics.get(k, math.nan))}


def _compared(version: Version, before: Version | None) -> list[str]:
    """The new champion beside the one before, by the validation songs."""
    from genrelab.report.table import NAMES

    measure = version.tags.get("measure", MEASURE)
    key = f"val/song/{measure}"
    now = 100 * float(version.tags[key])
    lines = [f"{NAMES[measure]} per song on validation: {now:.1f} %"]
    if before is None:
        lines.append("nobody was it before")
    else:
        who = f"before it was version {before.number}, {before.tags.get('run_name', before.run_id[:8])}"
        same = all(version.tags.get(k) == before.tags.get(k) for k in ("measure", "data_digest", "split_digest"))
        if same and key in before.tags:
            was = 100 * float(before.tags[key])
            word = f"{'better' if now > was else 'worse'} by {abs(now - was):.1f} points" if now != was else "equal"
            lines.append(f"{who}: {was:.1f} % on the same {version.tags['songs/val']} songs; the new one is {word}")
        else:
            lines.append(f"{who}: chosen on other data or another split, so their figures do not compare")
    if version.tags.get("leak_audit") == "leaks":
        lines.append("its split leaks: figures are better than it is")
    return [*lines, "test figures chose nothing; they are among the version's tags"]


def _how(address: str, name: str, alias: str) -> None:
    """How the champion is served and loaded."""
    here, found = Path(sys.executable).parent, shutil.which("uvicorn")
    active = bool(found) and Path(found or "").parent == here
    path = "" if active else f"PATH={shlex.quote(str(here))}:$PATH "  # MLflow starts uvicorn by name
    model = shlex.quote(f"models:/{name}@{alias}")
    serve = f"python -m mlflow models serve -m {model} --env-manager local --host 127.0.0.1 --port {PORT}"
    body = '\'{"dataframe_records": [{"path": "/full/path/SONG.mp3"}]}\''
    show(
        f"\nserve it:  {path}MLFLOW_TRACKING_URI={shlex.quote(address)} {serve}\n"
        f"ask it:    curl -s http://127.0.0.1:{PORT}/invocations -H 'Content-Type: application/json' -d {body}\n"
        "Keep it on 127.0.0.1: whoever reaches the port can have any sound file that you can read named by genre."
    )
