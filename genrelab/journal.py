"""A run's entries on their way into the store's database, and into the spool where that or a server lets them wait."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genrelab import entries
from genrelab.spool import Entry, Held, Spool
from genrelab.types import UserError

STORE, SERVER = "store", "server"  # the readers of a spool
PATIENCE_S = 60.0  # for a database that another process holds, where nothing goes on without it
WAITS_S = (1.0, 60.0)  # until a database that was held is looked at again: at first, at most


@dataclass
class Journal:
    """Where a run's entries go."""

    store: Path
    client: Any
    run_id: str
    experiment_id: str
    begun: Entry | None = None  # of a run that a server has too: its first entry there
    spool: Spool = field(init=False)
    not_before: float = 0.0
    wait_s: float = WAITS_S[0]

    def __post_init__(self) -> None:
        self.spool = Spool(self.store, self.run_id)

    @property
    def database(self) -> Path:
        return self.store / "mlflow.db"

    def write(self, entry: Entry) -> None:
        """Into the database; into the spool first where a server wants it too, or instead while another process holds
        the database."""
        if self.begun is None and self.spool.lock is None:
            if self._told(entry):
                return
            self._later()
        self.open()
        self.spool.append(entry)
        self.settle()

    def open(self) -> None:
        """Takes the run's spool. Raises UserError where another process has it."""
        if self.spool.lock is not None:
            return
        try:
            self.spool.open()
        except Held:
            raise UserError(f"run {self.run_id[:8]} is written by another process: wait for its end") from None
        if self.begun is not None and not self.spool.server:
            self.spool.append(self.begun)

    def recover(self) -> None:
        """Tells the database what an earlier process left in the spool. Raises UserError where it stays held."""
        if not self.spool.path.exists():
            return
        self.open()
        if not self.settle(PATIENCE_S):
            raise UserError(held(self.store))
        self._leave()

    def settle(self, patience_s: float | None = None) -> bool:
        """Tells the database what waits for it; False where that cannot be yet. patience_s: None, a little and not at
        every entry."""
        if patience_s is None and time.monotonic() < self.not_before:
            return False
        for entry, offset in self.spool.after(self.spool.offset(STORE)):
            if not self._told(entry, patience_s):
                self._later()
                return False
            self.spool.mark(STORE, offset)
        self.not_before, self.wait_s = 0.0, WAITS_S[0]
        return True

    def close(self) -> int:
        """Gives the spool up where only the database wants it; how many entries it could not be told."""
        if self.spool.lock is None:
            return 0
        self.settle(PATIENCE_S)
        left = self.spool.waiting(STORE)
        self._leave()
        return left

    def _leave(self) -> None:
        if not self.spool.server:
            self.spool.close(done=not self.spool.waiting(STORE))

    def _told(self, entry: Entry, patience_s: float | None = None) -> bool:
        """Whether the database knows it now."""
        from mlflow.exceptions import MlflowException

        if not entries.is_free(self.database, patience_s):
            return False
        try:
            entries.tell(self.client, self.run_id, self.experiment_id, entry)
        except MlflowException as error:
            if "database is locked" in str(error):
                return False
            raise
        return True

    def _later(self) -> None:
        self.not_before = time.monotonic() + self.wait_s
        self.wait_s = min(2 * self.wait_s, WAITS_S[1])


def caught_up(own: Spool, client: Any) -> bool:
    """Tells the database what a dead process has left in a run's spool; False where it is held now."""
    from mlflow.exceptions import MlflowException

    if not own.waiting(STORE):
        return True
    try:
        at = client.get_run(own.run_id).info.experiment_id
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        own.mark(STORE, own.path.stat().st_size)  # somebody has deleted the run for good
        return True
    journal = Journal(own.store, client, own.run_id, at)
    journal.spool = own
    return journal.settle()


def held(store: Path) -> str:
    """What a user is told of a database that another process does not let go."""
    return f"the database {store / 'mlflow.db'} is held by another process: end that one, then try again"
