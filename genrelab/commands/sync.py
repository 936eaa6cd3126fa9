"""`sync`: runs of this store that have ended, copied to a team's MLflow server, once each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError

if TYPE_CHECKING:
    from genrelab.copies import Copies
    from genrelab.track import Record

KEY = "tracker.uri="


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN ...]", help="Runs: ids, names, last or best; with what lies below and above them."
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every run of the store.")] = False,
    to: Annotated[
        str | None, typer.Option(help=f"The server's address, http://HOST:PORT; {KEY}... says the same.")
    ] = None,
) -> int:
    """Copy runs that have ended to an MLflow server: figures, settings, tags and files. A run that is there already is
    not copied again. User and password: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment.

    Exit code 1: the server cannot be had, or does not take all.
    """
    given = [w for w in words or [] if w != "tracker=server"]
    named = [w for w in given if not w.startswith(KEY)]
    uri = _address([to] if to else [], [w.removeprefix(KEY) for w in given if w.startswith(KEY)])
    if not named and not all_:
        raise UserError("sync: which runs? Name them (an id, a name, last, best), or say --all")
    if named and all_:
        raise UserError(f"sync: either --all or {' '.join(named)}")
    store = paths.store_dir()
    from genrelab import track

    if not track.has_store(store):
        raise UserError(f"no runs in the store {store}: give it with store=DIR")
    from genrelab import copies

    every = track.records(store)
    chosen = copies.family(every, every if all_ else [track.find(store, w) for w in named])
    if not chosen:
        raise UserError(f"no runs in the store {store}")
    done = copies.Copies()
    trouble = _copied(store, uri, chosen, done)
    for record, why in done.passed.values():
        say(f"passed over: {record.name} ({record.id[:8]}): {why}")
    for record, n, why in done.refused:
        say(f"{record.name} ({record.id[:8]}) is there without {n} entries that the server refuses ({why})")
    if trouble:
        say(f"genrelab: {trouble}")
    show(_verdict(uri, done, len(chosen)))
    return 1 if trouble or done.refused else 0


def _address(options: list[str], overrides: list[str]) -> str:
    """The server's address. Raises UserError for none, several, or what is no address."""
    from genrelab import server

    found = list(dict.fromkeys(options + overrides))
    if not found:
        raise UserError("sync: to which server? Give its address: --to http://HOST:PORT")
    checked = [server.checked(uri) for uri in found]
    if len(set(checked)) > 1:
        raise UserError(f"sync: one server at a time, not {' and '.join(checked)}")
    return checked[0]


def _copied(store: Path, uri: str, chosen: list[Record], done: Copies) -> str:
    """Copies runs; why it could not go on, "" where it could. Raises UserError where the server refuses the user."""
    from genrelab import copies, delivery, server

    server.asks_once(server.TIMEOUT_S)
    client: Any = delivery.connect(uri)
    try:
        delivery.reach(client)
    except delivery.Unreachable as error:
        if error.for_good:
            raise UserError(f"{uri} refuses the user ({error.for_good}): give {server.LOGIN}") from error
        return f"{uri} cannot be had ({error})"
    try:
        for n, record in enumerate(chosen):
            BAR(f"copying, {record.name}", n, len(chosen))
            copies.copy(store, client, uri, record, done)
    except ConnectionError as error:
        return f"{error}; the same words once more go on from there"
    finally:
        BAR.clear()
    return ""


def _verdict(uri: str, done: Copies, n: int) -> str:
    left = n - len(done.copied) - len(done.there) - len(done.passed)
    said = [
        f"{len(done.copied)} copied to {uri}",
        f"{len(done.there)} there already",
        f"{len(done.passed)} passed over",
    ]
    return ", ".join([*said, *([f"{left} to go"] if left else [])])
