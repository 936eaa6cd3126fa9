"""`tracker=server`: a run is in the store as every run is, and on a server too; what that cannot take yet waits."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from genrelab import delivery, spool
from genrelab.journal import SERVER, STORE, caught_up
from genrelab.report.console import say
from genrelab.spool import Held, Spool
from genrelab.track import SERVER_TAG, Mlflow, Run, has_store
from genrelab.track import connect as connect_store
from genrelab.types import UserError

COURIERS: dict[tuple[Path, str], Courier] = {}  # of this process
FIRST_S = 3.0  # how long a process waits for the server's first answer
END_S = 2.0  # how long the end of a run waits for it to be delivered, at most
PATIENCE_S = 5.0  # how long all ends of runs in a process wait, together
WAITS_S = (1.0, 60.0)  # between two tries, where the server cannot be had: at first, at most
TIMEOUT_S = 60  # of one request, at most: a slow server is given more time with every try
TIMEOUT, RETRIES = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment"


class Server:
    """Runs in the store and on the MLflow server at `uri`.

    timeout_s: of one request at first; wait_s: how long the end of the process waits for what is on its way. User and
    password are MLflow's own environment variables, and nothing here knows them.
    """

    def __init__(self, uri: str | None, timeout_s: int, wait_s: float) -> None:
        self.uri, self.timeout_s, self.wait_s = checked(uri), timeout_s, wait_s

    def begin(
        self, store: Path, experiment: str, name: str, tags: Mapping[str, object], resume: str | None = None
    ) -> Run:
        """As the store's. Raises UserError where the server knows neither user nor password."""
        courier = COURIERS.get((store, self.uri))
        if courier is None:
            courier = Courier(store, self.uri, self.timeout_s, self.wait_s)
            courier.first()
            COURIERS[store, self.uri] = courier
        run = Mlflow().begin(store, experiment, name, {**tags, SERVER_TAG: self.uri}, resume=resume)
        assert run.journal
        run.journal.open()
        courier.take(run.journal.spool)
        run.courier = courier
        return run


def checked(uri: str | None) -> str:
    """The address of a server. Raises UserError for what is none, or holds what belongs into the environment."""
    if not uri:
        raise UserError("tracker=server: whose? Give its address: tracker.uri=http://HOST:PORT")
    parts = urlsplit(str(uri))
    if parts.username or parts.password:
        raise UserError(f"tracker.uri: user and password do not belong into an address; give {LOGIN}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"tracker.uri={uri}: expected the address of an MLflow server, http://HOST:PORT")
    return str(uri).rstrip("/")


class Courier:
    """Brings entries to a server, in a thread of its own: training never waits for it."""

    def __init__(self, store: Path, uri: str, timeout_s: int, wait_s: float) -> None:
        self.store, self.uri, self.timeout_s, self.leave_s = store, uri, timeout_s, wait_s
        self.patient = TIMEOUT not in os.environ  # else the user has said how long a request may take
        asks_once(timeout_s)
        self.client, self.own = delivery.connect(uri), connect_store(store)[0]
        self.taken: dict[str, Spool] = {}
        self.written: set[str] = set()  # of those, what nobody but this thread writes to any more
        self.trouble = ""  # why the server could not be had at the last try
        self.refused = ""  # why it does not want this user at all
        self.patience_s = PATIENCE_S
        self.tries = 0  # that ended, well or not
        self.again_at, self.wait_s = 0.0, WAITS_S[0]
        self.news = threading.Condition()
        self.asked, self.left = True, False
        self.thread = threading.Thread(target=self._work, name=f"courier to {uri}", daemon=True)
        self.thread.start()
        atexit.register(self.leave)

    def first(self) -> None:
        """Waits a little for the server's first answer. Raises UserError where it refuses the user."""
        with self.news:
            self.news.wait_for(lambda: self.tries, FIRST_S)
        if self.refused:
            self.leave()
            raise UserError(f"{self.uri} refuses the user ({self.refused}): give {LOGIN}")
        if self.trouble or not self.tries:
            why = self.trouble or f"no answer within {FIRST_S:.0f} s"
            say(f"{self.uri} cannot be had ({why}): the run goes on, what belongs there waits in the store")

    def take(self, own: Spool) -> None:
        with self.news:
            self.taken[own.run_id] = own
            self.written.discard(own.run_id)
        self.kick()

    def kick(self) -> None:
        """There is something to deliver."""
        with self.news:
            self.asked = True
            self.news.notify_all()

    def ended(self, run_id: str) -> None:
        """A run has ended: waits a little, where the server can be had."""
        began = time.monotonic()
        with self.news:
            self.written.add(run_id)
            self.asked = True
            self.news.notify_all()
            self.news.wait_for(lambda: run_id not in self.taken or self.trouble, min(END_S, self.patience_s))
        self.patience_s = max(0.0, self.patience_s - (time.monotonic() - began))

    def leave(self) -> None:
        """At the end of the process: waits as long as the server takes what it is given; says what is left."""
        atexit.unregister(self.leave)
        COURIERS.pop((self.store, self.uri), None)
        until = time.monotonic() + (FIRST_S if self.trouble else self.leave_s)
        with self.news:
            tries, self.asked, self.again_at = self.tries, True, 0.0
            self.news.notify_all()
            while time.monotonic() < until and not self.refused:
                self.news.wait(0.1)
                if self.tries > tries and (self.trouble or not self.taken):
                    break
            self.left = True
            self.news.notify_all()
        left = [own for own in self.taken.values() if own.waiting(SERVER)]
        if left and not self.refused:
            n, why = sum(own.waiting(SERVER) for own in left), f" ({self.trouble})" if self.trouble else ""
            whose = f"run {left[0].run_id[:8]}" if len(left) == 1 else f"{len(left)} runs"
            say(f"{n} entries of {whose} wait for {self.uri}{why}: doctor --fix or a later run there delivers them")

    def _work(self) -> None:
        while True:
            with self.news:
                while not self.left and (not self.asked or time.monotonic() < self.again_at):
                    self.news.wait(self.again_at - time.monotonic() if self.asked else None)
                if self.left:
                    break
                self.asked = False
            try:
                self._adopt()
                if not self.taken:
                    delivery.reach(self.client)
                waits = [own for own in list(self.taken.values()) if not self._bring(own)]
            except delivery.Unreachable as error:
                self._tried(str(error), error.for_good)
            except Exception as error:  # a thread must not die of what nobody foresaw: it is said, and tried again
                self._tried(f"{type(error).__name__}: {error}".splitlines()[0])
            else:
                self._tried("", again=bool(waits))
        for own in self.taken.values():
            own.close()

    def _bring(self, own: Spool) -> bool:
        """Delivers what there is of a run; False where it has to wait for something else."""
        if own.run_id in self.written and not caught_up(own, self.own):
            return False
        try:
            whole = delivery.deliver(self.client, own, lambda: self.left)
        except delivery.Later:
            return False
        if whole:
            with self.news:
                self.taken.pop(own.run_id, None)
                self.written.discard(own.run_id)
                self.news.notify_all()
        return True

    def _tried(self, trouble: str, refused: str = "", again: bool = False) -> None:
        with self.news:
            self.trouble, self.refused, self.tries = trouble, refused, self.tries + 1
            if trouble or again:
                self.asked, self.again_at = True, time.monotonic() + self.wait_s
                self.wait_s = min(2 * self.wait_s, WAITS_S[1])
            else:
                self.again_at, self.wait_s = 0.0, WAITS_S[0]
            if self.patient:
                now = int(os.environ[TIMEOUT])
                slow = trouble == delivery.SLOW
                os.environ[TIMEOUT] = str(min(2 * now, TIMEOUT_S) if slow else now if trouble else self.timeout_s)
            self.news.notify_all()

    def _adopt(self) -> None:
        """Takes what dead processes have left for this server."""
        for left in spool.there(self.store):
            if left.run_id in self.taken or left.server != self.uri:
                continue
            try:
                left.open()
            except Held:
                continue
            with self.news:
                self.taken[left.run_id] = left
                self.written.add(left.run_id)


def asks_once(timeout_s: int) -> None:
    """MLflow's client asks once and gives up soon, unless the user's environment says otherwise: we ask again later."""
    os.environ.setdefault(TIMEOUT, str(timeout_s))
    os.environ.setdefault(RETRIES, "0")


def deliver(store: Path, run_id: str) -> str:
    """Delivers what a dead process has left of a run, now; what was done, a phrase.

    Raises Held where another process has it, and OSError where the store or the server cannot be had.
    """
    asks_once(TIMEOUT_S)
    return told(Spool(store, run_id).open())


def told(own: Spool) -> str:
    """Delivers a spool that this process holds, and gives it up; what was done, a phrase. Raises as `deliver`."""
    store = own.store
    try:
        uri, n = own.server, max(own.waiting(SERVER), own.waiting(STORE))
        if has_store(store) and not caught_up(own, connect_store(store)[0]):
            raise ConnectionError("the database is held by another process")
        while uri:
            try:
                delivery.deliver(delivery.connect(uri), own)
                break
            except delivery.Later as error:
                if not error.soon:
                    raise
                time.sleep(delivery.DOUBT_S / 10)
    except delivery.Later as error:
        raise ConnectionError(f"it waits for {error}: once more in a minute") from error
    except delivery.Unreachable as error:
        raise ConnectionError(f"{uri} cannot be had ({error})") from error
    finally:
        own.close(done=not uri and not own.waiting(STORE))
    return f"{n} {'entry' if n == 1 else 'entries'} told" + (f" to {uri}" if uri else "")
