"""MLflow's database in a store, made whole or not at all.

MLflow makes its tables in some hundred steps, each of which is kept at once. A process that is killed between them
leaves a database that MLflow can neither use nor complete.
"""

from __future__ import annotations

from pathlib import Path

PARTIAL = "mlflow.part.db"


def make(store: Path) -> None:
    """Makes store/mlflow.db, which is not there. The caller holds the store's lock."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    partial = store / PARTIAL
    for left in store.glob(f"{PARTIAL}*"):  # of a process that was killed, with its journal
        left.unlink()
    uri = address(partial)
    SqlAlchemyStore(uri, (store / "artifacts").as_uri()).engine.dispose()
    SqlAlchemyStore._engine_map.pop(uri, None)
    partial.replace(store / "mlflow.db")


def address(path: Path) -> str:
    """MLflow's address of a database; what would mean something else in an address is escaped."""
    return "sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F")
