"""What runs have written that not everybody has: a server, or the database, that could not be had."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from genrelab import server, spool
from genrelab.health import base
from genrelab.health.base import Busy, Finding
from genrelab.journal import SERVER, STORE


def examine(store: Path) -> Iterator[Finding]:
    """Spools, the oldest first, so that a parent is there before its children."""
    for own in spool.there(store):
        uri, where = own.server, own.path.relative_to(store).as_posix()
        n = base.count(own.waiting(SERVER if uri else STORE), "entry").replace("entrys", "entries")
        what = f"run {own.run_id[:8]} waits for {uri or 'the database'}"
        if not base.is_free(own.path.with_suffix(".lock")):
            yield Finding(f"{what}; its process goes on", where, n, wrong=False)
            continue
        yield Finding(what, where, n, "delivers it", partial(_delivered, store, own.run_id))
        if refused := own.marks.get(SERVER, {}).get("refused"):
            kept = "nothing: the store has it"
            yield Finding(f"{uri} refuses some of it ({refused['why']})", where, f"{refused['n']}", kept, wrong=False)


def _delivered(store: Path, run_id: str) -> str:
    try:
        return server.deliver(store, run_id)
    except spool.Held:
        raise Busy("another process delivers it") from None
