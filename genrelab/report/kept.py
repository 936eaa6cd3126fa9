"""The tables that a command has shown, kept beside its run: `tables.json` for programs, `tables.md` for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

FILE = "tables.json"
PLACES = ("page: ", "picture: ")  # where on this machine something lies: not kept


class Table(TypedDict):
    """A table as it was shown, numbers as they were rounded."""

    title: str
    headings: list[str]
    rows: list[list[str]]


def parts(shown: Iterable[Any]) -> list[Table | str]:
    """What was shown, in its order: tables, and sentences."""
    return [part for one in shown for part in _parts(one)]


def _parts(one: Any) -> Iterator[Table | str]:
    if hasattr(one, "cells"):
        title, headings, rows = one.cells()
        if rows:
            yield {"title": title, "headings": [*headings], "rows": [[*row] for row in rows]}
    elif hasattr(one, "renderables"):  # rich's Group
        yield from parts(one.renderables)
    elif (said := str(one).strip()) and not said.startswith(PLACES):
        yield said


def markdown(kept: Sequence[Table | str]) -> str:
    """Tables with their titles above, sentences as paragraphs."""
    return "\n\n".join(part if isinstance(part, str) else _table(part) for part in _paragraphs(kept)) + "\n"


def _paragraphs(kept: Sequence[Table | str]) -> Iterator[Table | str]:
    for part in kept:
        if isinstance(part, str):
            yield from part.splitlines()
        else:
            yield part


def _table(table: Table) -> str:
    lines = [_row(table["headings"]), _row(["---", *("---:" for _ in table["headings"][1:])])]
    lines += [_row(row) for row in table["rows"]]
    return "\n".join([*([f"{table['title']}:", ""] if table["title"] else []), *lines])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def save(shown: Iterable[Any], folder: Path) -> list[Table | str]:
    """Writes both files into `folder`; returns what they hold."""
    kept = parts(shown)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(kept, ensure_ascii=False, indent=1) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")
    (folder / FILE).with_suffix(".md").write_text(markdown(kept), encoding="utf-8")
    return kept
