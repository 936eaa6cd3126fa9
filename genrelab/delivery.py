"""Bringing a run's entries to an MLflow server: each takes effect once, whatever is lost on the way.

An answer that is lost looks like a request that is lost, so every entry may be sent twice. Figures, tags, parameters
and inputs are the same then (see `entries`), files are written over, and a run is found by the tag that holds its id in
the store. A server may also carry out late what it had seemed to lose: after such a doubt the end of a run waits, then
deletes the empty run that a late request has made, and says the tags once more.
"""

from __future__ import annotations

import logging
import os
import posixpath
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from genrelab import entries, views
from genrelab.entries import FIGURES, PARENT
from genrelab.journal import SERVER, STORE
from genrelab.spool import Entry, Spool
from genrelab.types import MEASURE

OWN_ID = "genrelab.run"  # the tag of a run on a server that holds its id in the store
OF_THE_STORE = ("process", "server")  # tags that mean nothing elsewhere
LASTING = ("begin", "again", "tags")  # what does harm where it is carried out late
REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")
LOGINS = (401, 403)
SLOW, REFUSED, NOBODY = "no answer in time", "connection refused", "no machine of that name"
DOUBT_S = 30.0  # after a request of which nothing is known, it will not be carried out any more


class Unreachable(Exception):
    """The server cannot be had now; `for_good`: why it does not want this user."""

    def __init__(self, why: str, for_good: str = "") -> None:
        super().__init__(why)
        self.for_good = for_good


class Later(Exception):
    """Something else has to be first: its parent has to be there, or (`soon`) a doubt has to end."""

    soon = False


def connect(uri: str) -> Any:
    """MLflow's client of a server; nothing is asked yet."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    return MlflowClient(uri)


def reach(client: Any) -> None:
    """Raises Unreachable where the server does not answer as MLflow does."""
    with _Telling():
        client.search_experiments(max_results=1)


class _Telling:
    """What MLflow raises, as Unreachable; a refusal of what was said passes."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import requests
        from mlflow.exceptions import MlflowException, RestException

        if isinstance(error, RestException) and error.error_code in REFUSALS:
            return
        if isinstance(error, MlflowException | requests.RequestException):
            raise Unreachable(*_why(error)) from error


def _why(error: Any) -> tuple[str, str]:
    """Why a server cannot be had, in few words, and why it never will be for this user."""
    said = " ".join(str(error).split())
    status = getattr(getattr(error, "response", None), "status_code", 0)
    status = status or (
        error.get_http_status_code() if hasattr(error, "error_code") and "error code" not in said else 0
    )
    if "Invalid Host header" in said:
        return "its --allowed-hosts lacks this address", ""
    for code in LOGINS:
        if status == code or f"error code {code}" in said or f"{code} Client Error" in said:
            return f"it answers {code}", f"it answers {code}"
    for sign, word in (
        ("refused", REFUSED),
        ("Read timed out", SLOW),
        ("onnect timeout", SLOW),
        ("timed out", SLOW),
        ("Name or service not known", NOBODY),
        ("Failed to resolve", NOBODY),
        ("onnection aborted", "it hung up"),
        ("onnection reset", "it hung up"),
    ):
        if sign in said:
            return word, ""
    for code in (500, 502, 503, 504, 429, 404):
        if f"error code {code}" in said or f"too many {code}" in said or f"{code} Server Error" in said:
            return f"it answers {code}", ""
    return said[:200], ""


def deliver(client: Any, own: Spool, stop: Callable[[], bool] = lambda: False) -> bool:
    """Tells the server what it has not been told of a run; True where the run has ended, and it and the store know all.

    The spool is deleted then. stop: whether to leave off before the next entry.

    Raises Unreachable, and Later where the run's parent is not there yet.
    """
    for entry, offset in _together(own.after(own.offset(SERVER))):
        if stop():
            return False
        facts = dict(own.marks.get(SERVER, {}))
        try:
            facts |= _told(client, own, entry, facts)
        except Unreachable as error:
            if entry["do"] in LASTING and str(error) not in (REFUSED, NOBODY):
                own.mark(SERVER, own.offset(SERVER), doubt=time.time())
            raise
        own.mark(SERVER, offset, **{k: v for k, v in facts.items() if k not in ("offset", "files")})
    if _ended(own) and not own.waiting(SERVER) and not own.waiting(STORE):
        own.close(done=True)
        return True
    return False


def _told(client: Any, own: Spool, entry: Entry, facts: dict[str, Any]) -> dict[str, Any]:
    """Tells one entry; what has to be remembered of it. What a server will never take is counted, and passed over."""
    from mlflow.exceptions import RestException

    try:
        with _Telling():
            return _tell(client, own, entry, facts)
    except RestException as error:
        why = " ".join(str(error).split())[:200]
        if entry["do"] == "begin":
            raise Unreachable(f"it refuses the run: {why}") from error
        if entry["do"] == "metrics" and len(entry["values"]) > 1:  # one of them alone
            for value in entry["values"]:
                facts |= _told(client, own, entry | {"values": [value]}, facts)
            return facts
        before = facts.get("refused", {"n": 0, "why": why})
        return {"refused": before | {"n": before["n"] + 1}}


def _ended(own: Spool) -> bool:
    last = ""
    for entry, _ in own.after(0):
        last = entry["do"]
    return last == "end"


def _together(waiting: Iterator[tuple[Entry, int]]) -> Iterator[tuple[Entry, int]]:
    """Figures that follow one another are one request."""
    held: list[Any] = []
    place = 0
    for entry, offset in waiting:
        if entry["do"] == "metrics" and len(held) + len(entry["values"]) <= FIGURES:
            held, place = held + entry["values"], offset
            continue
        if held:
            yield {"do": "metrics", "values": held}, place
            held = []
        yield entry, offset
    if held:
        yield {"do": "metrics", "values": held}, place


def _tell(client: Any, own: Spool, entry: Entry, facts: dict[str, Any]) -> dict[str, Any]:
    """Tells one entry; what has to be remembered of it."""
    if entry["do"] == "begin":
        return _begun(client, own, entry)
    run_id, at = facts["run_id"], facts["experiment_id"]
    if entry["do"] == "tags":
        kept = {k: v for k, v in entry["values"].items() if k not in OF_THE_STORE}
        if entries.NOTE in kept:  # its links lead into the store's pages
            here, there = views.of_run(facts["experiment"], own.run_id), views.of_run(at, run_id)
            kept[entries.NOTE] = kept[entries.NOTE].replace(_stem(here), _stem(there))
        entry = entry | {"values": kept}
    if entry["do"] == "end":
        _upload(client, own, run_id)
        if doubt := facts.get("doubt"):
            if time.time() - doubt < DOUBT_S:
                later = Later("a late request")
                later.soon = True
                raise later
            _only_one(client, own, run_id, at)
            said = {k: v for e, _ in own.after(0) if e["do"] == "tags" for k, v in e["values"].items()}
            _tell(client, own, {"do": "tags", "values": said}, facts)
            own.mark(SERVER, own.offset(SERVER), doubt=0)
            facts["doubt"] = 0
    entries.tell(client, run_id, at, entry)
    return {}


def _stem(link: str) -> str:
    return link.rpartition("/")[0]


def _begun(client: Any, own: Spool, entry: Entry) -> dict[str, Any]:
    """The run's id on the server, where it is made if it is not there."""
    at = own.marks.get(SERVER, {}).get("experiment_id")
    if not at:
        at = _experiment(client, entry["experiment"], entry["tags"].get("measure", MEASURE))
        own.mark(SERVER, 0, experiment_id=at)
    found = _there(client, at, own.run_id)
    if not found:
        later = (*OF_THE_STORE, entries.NOTE)  # whose links are not the server's yet
        tags = {k: v for k, v in entry["tags"].items() if k not in later} | {OWN_ID: own.run_id}
        if parent := tags.get(PARENT):
            tags[PARENT] = _parent(client, own, parent)
        run = client.create_run(at, start_time=entry["start_ms"], tags=tags, run_name=entry["name"])
        found = [run.info.run_id]
    return {"run_id": found[0], "experiment_id": at, "experiment": entry["local_experiment"], "folder": entry["folder"]}


def _experiment(client: Any, name: str, measure: str) -> str:
    from mlflow.exceptions import RestException

    key, view = views.tag(measure)
    found = client.get_experiment_by_name(name)
    if found is None:
        with suppress(RestException):  # another process was faster
            client.create_experiment(name, tags={key: view})
        found = client.get_experiment_by_name(name)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if key not in found.tags:
        client.set_experiment_tag(found.experiment_id, key, view)
    return str(found.experiment_id)


def _there(client: Any, at: str, own_id: str) -> list[str]:
    """The server's runs of one of the store's, the oldest first."""
    found = client.search_runs([at], f"tags.`{OWN_ID}` = '{own_id}'", order_by=["attributes.start_time ASC"])
    return [r.info.run_id for r in found]


def arrived(client: Any, experiment: str, own_id: str, end_ms: int) -> str:
    """What became of one of the store's runs on a server: "there" as it ended at end_ms, "deleted", or "".

    Raises Unreachable.
    """
    from mlflow.entities import ViewType

    with _Telling():
        at = client.get_experiment_by_name(experiment)
        where = f"tags.`{OWN_ID}` = '{own_id}'"
        found = client.search_runs([at.experiment_id], where, ViewType.ALL) if at else []
    kept = [r for r in found if r.info.lifecycle_stage == "active"]
    if not kept:  # a doubt of which nothing came was deleted while it was RUNNING
        return "deleted" if any(r.info.status != "RUNNING" for r in found) else ""
    return "there" if any(r.info.end_time == end_ms for r in kept) else ""


def _parent(client: Any, own: Spool, parent: str) -> str:
    """The server's id of a parent. Raises Later where it will be there, but is not yet."""
    above = Spool(own.store, parent)
    above.reload()
    if known := above.marks.get(SERVER, {}).get("run_id"):
        return str(known)
    for experiment in client.search_experiments():
        if found := _there(client, experiment.experiment_id, parent):
            return found[0]
    if above.path.exists():
        raise Later(f"its parent {parent[:8]}")
    return parent


def _only_one(client: Any, own: Spool, run_id: str, at: str) -> None:
    """Deletes what a request made that had seemed to be lost."""
    for other in _there(client, at, own.run_id):
        if other != run_id:
            client.delete_run(other)


def _upload(client: Any, own: Spool, run_id: str) -> None:
    """A run's files, those that are there as they are now left out; no link is followed."""
    facts = own.marks.get(SERVER, {})
    folder, sent = Path(facts["folder"]), dict(facts.get("files", {}))
    for path in files(folder):
        name, about = path.relative_to(folder).as_posix(), path.stat()
        state = [about.st_size, about.st_mtime_ns]
        if sent.get(name) == state:
            continue
        client.log_artifact(run_id, str(path), posixpath.dirname(name) or None)
        sent[name] = state
        own.mark(SERVER, own.offset(SERVER), files=sent)


def files(folder: Path) -> list[Path]:
    """A run's files, without links and what is half written."""
    found = []
    for at, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and not Path(at, n).is_symlink())
        paths = [Path(at, n) for n in sorted(names) if not n.startswith(".") and not n.endswith(".tmp")]
        found += [p for p in paths if p.is_file() and not p.is_symlink()]
    return found
