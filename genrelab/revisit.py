"""What verbs share that go back to a finished run: its songs as they were, who tested which, and a run below it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from genrelab import compose, track, views
from genrelab.types import UserError

if TYPE_CHECKING:
    import pandas as pd

    from genrelab.compose import Config, Prepared
    from genrelab.store import Progress


def whole(store: Path, word: str) -> tuple[track.Record, list[track.Record]]:
    """The run that a word means, and the runs that hold its models. Raises UserError for one that was cut off."""
    record = track.find(store, word)
    models = track.models(store, record)
    if record.status != "FINISHED":
        raise UserError(f"{record.name} ({record.id[:8]}) was cut off: finish it first, resume={record.id}")
    return record, models


def config_of(record: track.Record, store: Path) -> Config:
    """The config of a run whose store may have moved."""
    return compose.load_config(record.folder) | {"store": str(store)}


def as_trained(record: track.Record, config: Config, progress: Progress) -> Prepared:
    """The run's songs. Raises UserError where they are others by now."""
    prepared = compose.prepare(config, progress)
    if prepared.digest != record.tags.get("data_digest"):
        raise UserError(
            f"{record.name} ({record.id[:8]}) was trained on other songs than data={config['choices']['data']} has "
            "now (they were added, removed, labelled or cut anew): bring those back, or train again"
        )
    return prepared


def sides(record: track.Record) -> pd.DataFrame:
    """The side and the group of each of its songs, by id."""
    import pandas as pd

    return pd.read_csv(record.folder / "split.csv", dtype=str, keep_default_na=False).set_index("id")


@contextmanager
def below(record: track.Record, config: Config, kind: str, marks: Mapping[str, object]) -> Iterator[track.Run]:
    """A run below another, in its experiment, that ends with the block: FAILED or KILLED where that does."""
    tracker = compose.instantiate(config["tracker"])
    columns = ("data", "data_digest", "measure", "task", *views.PARTS)
    told = {k: v for k, v in record.tags.items() if k in columns}
    tags = told | {"kind": kind, "mlflow.parentRunId": record.id, "overrides": json.dumps([])} | dict(marks)
    run = tracker.begin(Path(config["store"]), record.experiment, f"{kind}-{record.name}", tags)
    try:
        yield run
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        run.finish("KILLED" if interrupted else "FAILED", "interrupted" if interrupted else str(error))
        raise
    run.finish()
