"""What `doctor` shows: the state of a store, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrelab.report.table import NONE, _table, texts

if TYPE_CHECKING:
    from rich.table import Table


def findings_table(rows: Sequence[Sequence[str]], *, fixed: bool) -> Table:
    """rows: what, where, how much, and what --fix does or, where it was given, did."""
    table = _table("")
    for name, ratio in (
        ("what", 5),
        ("where", 4),
        ("how much", 2),
        ("what --fix did" if fixed else "what --fix does", 4),
    ):
        table.add_column(name, overflow="fold", ratio=ratio)
    for row in rows:
        table.add_row(*texts(*(cell or NONE for cell in row)))
    return table


def sizes_table(rows: Sequence[Sequence[str]]) -> Table:
    """rows: a part of the store, its size, what it is."""
    table = _table("")
    table.add_column("in the store", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in rows:
        table.add_row(*texts(*row))
    return table
