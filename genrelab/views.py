"""The run list in MLflow's pages: which columns it shows first, and the link that opens it so.

MLflow keeps a saved view of the run list as a tag of the experiment; a link names it by its key.
"""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

from genrelab.types import MEASURE

PREFIX = "mlflow.sharedViewState."  # of the tags that hold MLflow's views
OWN = "genrelab-"  # of the keys of ours
PARTS = ("front", "slice", "net", "agg", "split", "seed")  # tags
COSTS = ("train_s", "parameters", "mflop_per_slice", "front_x_realtime", "slices_per_s", "peak_rss_mb")
WIDTH_PX = {"tags": 72, "test": 205, "val": 205, "cost": 150}
RUN_PX = 230  # of its name


def key(by: str = MEASURE) -> str:
    """What a link calls the view of runs that are ordered by this measure."""
    return OWN + by


def measure(view: str) -> str:
    """What orders the runs of a view of ours, as people read it."""
    return view.removeprefix(OWN).replace("_", " ")


def columns(by: str = MEASURE) -> dict[str, int]:
    """MLflow's name of each column, in their order, and its width in pixels."""
    wide = {f"tags.`{part}`": WIDTH_PX["tags"] for part in PARTS}
    for end in ("", "_lo", "_hi"):
        wide[f"metrics.`test/song/{by}{end}`"] = WIDTH_PX["test"]
    wide[f"metrics.`val/song/{by}`"] = WIDTH_PX["val"]
    return wide | {f"metrics.`cost/{cost}`": WIDTH_PX["cost"] for cost in COSTS}


def tag(by: str = MEASURE) -> tuple[str, str]:
    """The experiment's tag that holds the view, and its value.

    The best on validation comes first: test figures never order a list that is used to choose.
    """
    shown = columns(by)
    state = {
        "orderByKey": f"metrics.`val/song/{by}`",
        "orderByAsc": False,
        "selectedColumns": list(shown),
        # what cannot be hidden stands in the order too, else it would be put last
        "columnOrder": ["attributes.`Run Name`", "runDateAndNestInfo", *shown, "duration"],
        "columnWidths": {"attributes.`Run Name`": RUN_PX, **shown},
    }
    now = int(time.time() * 1000)
    view = {"name": f"genrelab: {measure(key(by))}", "createdAt": now, "updatedAt": now}
    return PREFIX + key(by), json.dumps(view | {"state": json.dumps(state)})


def keys(tags: dict[str, str]) -> list[str]:
    """The keys of our views among an experiment's tags."""
    return sorted(k.removeprefix(PREFIX) for k in tags if k.startswith(PREFIX + OWN))


def link(address: str, experiment_id: str, view: str) -> str:
    """The run list of an experiment with a view's columns; `address` is where MLflow's pages are."""
    words = {"workflowType": "machine_learning", "viewStateShareKey": view}
    return f"{address}/#/experiments/{experiment_id}/runs?{urlencode(words)}"


def of_run(experiment_id: str, run_id: str, artifact: str = "") -> str:
    """A run's page, or one of its artifacts, as a link within MLflow's pages."""
    path = f"artifacts/{artifact}" if artifact else "overview"
    return f"#/experiments/{experiment_id}/runs/{run_id}/{path}?workflowType=machine_learning"
