"""How tables and pictures are read back: a table as a log holds it, a picture by where its words lie."""

from __future__ import annotations

from io import StringIO
from itertools import combinations
from typing import Any

import pytest
from rich.console import Console

WIDTHS = pytest.mark.parametrize("width", [80, 120])
LONG = (
    "alternative rock", "bossa nova", "drum and bass", "electronic body music", "free jazz", "hip hop", "house",
    "indie folk", "minimal techno", "progressive metal", "psychedelic trance", "rhythm and blues", "salsa",
    "singer-songwriter", "soul", "traditional country",
)  # fmt: skip


def printed(table: Any, width: int, terminal: bool = False) -> list[str]:
    console = Console(width=width, force_terminal=terminal, color_system=None, record=True, file=StringIO())
    console.print(table)
    lines = console.export_text().splitlines()
    assert all(len(line) <= width for line in lines)
    return [line.rstrip() for line in lines]


def line_of(lines: list[str], start: str) -> str:
    (found,) = [line for line in lines if line.startswith(start)]
    return found


def words(lines: list[str], start: str) -> str:
    """The line that starts so, with single blanks."""
    return " ".join(line_of(lines, start).split())


def lies_well(figure: Any) -> None:
    """All words lie on the page, and no level one lies on another."""
    figure.canvas.draw()
    texts = [*figure.texts, *([figure._suptitle] if figure._suptitle else [])]
    for axes in figure.axes:
        texts += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            texts += [label for at, label in ticks if min(low, high) <= at <= max(low, high)]
    boxes = {t: t.get_window_extent() for t in dict.fromkeys(texts) if t.get_text().strip() and t.get_visible()}
    assert boxes
    page = figure.bbox
    for text, box in boxes.items():
        inside = page.x0 - 1 <= box.x0 and box.x1 <= page.x1 + 1 and page.y0 - 1 <= box.y0 and box.y1 <= page.y1 + 1
        assert inside, f"{text.get_text()!r} is cut"
    level = {t: b for t, b in boxes.items() if not t.get_rotation() % 90}
    for (one, a), (two, b) in combinations(level.items(), 2):
        wide, high = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert wide <= 1 or high <= 1, f"{one.get_text()!r} lies on {two.get_text()!r}"
