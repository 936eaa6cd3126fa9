"""A line of `bench all`: what was measured beside which peer, and whether it reaches its goal."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genrelab.commands.bench.timing import Candidate, ratio
from genrelab.report.console import BAR
from genrelab.types import UserError

TIMES = "×"


@dataclass(frozen=True)
class Session:
    """What the rows of one bench share."""

    folder: Path  # temporary
    repeats: int
    whole: bool  # whether the original's training is run to its end, not extrapolated

    def progress(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: BAR(f"timing {what}", done, total)


@dataclass(frozen=True)
class Line:
    """A figure: how many times longer the peer takes than genrelab, or a share, seconds, megabytes."""

    what: str
    peer: str  # "" where the figure is genrelab's alone
    value: float | None  # None: not measured, `note` says why
    least: float | None
    most: float | None
    unit: str  # TIMES, s, %, MB
    goal: float | None  # None: told, not asked for
    at_most: bool  # whether the goal is an upper limit
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.value is None or self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    @property
    def key(self) -> str:
        return f"{self.what} | {self.peer}"


def beside(what: str, ours: Candidate, peer: Candidate, goal: float | None, note: str = "") -> Line:
    """How many times longer a peer takes, of the rounds' pairs."""
    found = ratio(peer.taken_s, ours.taken_s)
    missing = ours.missing or peer.missing
    if found is None:
        return Line(what, peer.name, None, None, None, TIMES, goal, False, missing or "not measured")
    return Line(what, peer.name, found.median, found.least, found.most, TIMES, goal, False, note)


def alone(
    what: str,
    values: Sequence[float],
    unit: str,
    goal: float | None,
    *,
    at_most: bool = True,
    note: str = "",
    by: str = "",
) -> Line:
    """A figure of genrelab's alone: the median, the least and the most."""
    if not values:
        return Line(what, by, None, None, None, unit, goal, at_most, note or "not measured")
    ranked = sorted(values)
    return Line(what, by, ranked[len(ranked) // 2], ranked[0], ranked[-1], unit, goal, at_most, note)


def table(lines: Sequence[Line], title: str) -> Any:
    """A row a line; what falls short of its goal stands out."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from genrelab.report.table import NONE, texts

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, right in (("what", False), ("beside", False), ("measured", True), ("goal", True), ("", False)):
        made.add_column(name, justify="right" if right else "left", overflow="fold")
    notes = []
    for i, line in enumerate(lines):
        first = i == 0 or lines[i - 1].what != line.what
        goal = NONE if line.goal is None else f"{'≤' if line.at_most else '≥'} {_number(line.goal, line.unit)}"
        word = {True: "reached", False: "short", None: ""}[line.met]
        cells = texts(line.what if first else "", line.peer, said(line), goal, word)
        made.add_row(*cells, style="bold" if line.met is False else None)
        if line.note:
            notes.append(f"{line.what}{', ' + line.peer if line.peer else ''}: {line.note}")
    told = "×: how many times longer the other takes, the median of the rounds' pairs [least, most]"
    return Group(Text(title, style="bold"), "", made, *texts("", told, *dict.fromkeys(notes)))


def said(line: Line) -> str:
    """E.g. `2.1 × [1.9, 2.4]`."""
    if line.value is None:
        return "\N{EM DASH}"
    body = _number(line.value, line.unit)
    if line.least is None or line.most is None or line.least == line.most:
        return body
    return f"{body} [{_short(line.least)}, {_short(line.most)}]"


def _number(value: float, unit: str) -> str:
    return f"{_short(value)} {unit}"


def _short(value: float) -> str:
    return f"{value:,.{2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0}f}"


def write(path: Path, lines: Sequence[Line], about: dict[str, Any]) -> None:
    """All that was measured, as JSON."""
    rows = [asdict(line) | {"met": line.met} for line in lines]
    path.write_text(json.dumps(about | {"lines": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> list[Line]:
    """What `write` wrote. Raises UserError where it is another file."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return [Line(**{k: v for k, v in row.items() if k != "met"}) for row in told["lines"]]
    except OSError as error:
        raise UserError(f"--against {path}: {error.strerror}; give a file that bench all --json wrote") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"--against {path}: no file that bench all --json wrote") from error


def slower(lines: Sequence[Line], before: Sequence[Line]) -> list[str]:
    """A sentence for each figure that is worse than it was, beyond what both scatter."""
    known = {line.key: line for line in before}
    found = []
    for line in lines:
        then = known.get(line.key)
        if then is None or then.value is None or line.value is None or then.unit != line.unit:
            continue
        now_best, then_worst = (line.least, then.most) if line.at_most else (line.most, then.least)
        if now_best is None or then_worst is None:
            continue
        if now_best > then_worst if line.at_most else now_best < then_worst:
            beside_what = f" beside {line.peer}" if line.peer else ""
            found.append(f"{line.what}{beside_what}: {said(line)}, was {said(then)}")
    return found
