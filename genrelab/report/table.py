"""Tables for the terminal. Figures are in percent, one decimal; what is missing is "–". Numbers are never cut off:
where the terminal is narrow, names are folded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genrelab.types import MEASURE

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

    from genrelab.evaluate.intervals import Difference
    from genrelab.types import Unusable

NONE = "–"
NAMES = {  # metrics as people read them
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "map": "mean average precision",
    "roc_auc": "macro ROC-AUC",
    "lrap": "LRAP",
    "macro_f1": "macro-F1",
}
COSTS = (
    ("parameters", "cost/parameters"),
    ("MFLOP a slice", "cost/mflop_per_slice"),
    ("front-end, × real time", "cost/front_x_realtime"),
    ("training, s", "cost/train_s"),
    ("slices/s", "cost/slices_per_s"),
    ("peak, MB", "cost/peak_rss_mb"),
)
MAX_UNUSABLE = 30
GAP = 2  # blanks between columns
MIN_NAME = 8  # a folded name keeps at least as many characters a line


def run_table(
    title: str,
    figures: Mapping[str, float],
    baseline: Mapping[str, float],
    cost: Mapping[str, float],
    notes: Sequence[str] = (),
) -> RenderableType:
    """What a run reached on its test side and what it cost.

    figures: 0..1, `test/{song,slice}/METRIC`, `..._lo`, `..._hi`; baseline: 0..1, METRIC of the majority genre;
    cost: `cost/...`, each in the unit of its name; notes: a line each.
    """
    from rich.console import Group

    rows = [
        [
            label,
            *(
                cell
                for unit in ("song", "slice")
                for cell in (percent(figures.get(f"test/{unit}/{metric}")), interval(figures, f"test/{unit}/{metric}"))
            ),
            percent(baseline.get(metric)),
        ]
        for metric, label in NAMES.items()
        if f"test/song/{metric}" in figures
    ]
    headings = ("test, %", "per song", "95 % interval", "per slice", "95 % interval", "majority baseline")
    parts: list[RenderableType] = [_Numbers(title, headings, rows, named=True)]
    if cost:
        spent = [quantity(cost.get(key)) for _, key in COSTS]
        parts += ["", _Numbers("", [label for label, _ in COSTS], [spent], named=False)]
    if notes:
        parts.append("")
    return Group(*parts, *texts(*notes))


def numbers_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, named: bool = True
) -> RenderableType:
    """Right-aligned cells that are never cut off; the first column holds names if `named`.

    Where the terminal is narrow, the names are folded, then a value stands over its interval, then the columns go on
    below under the names again.
    """
    return _Numbers(title, headings, rows, named=named)


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A row a run, the best on validation first, the failed last with their reason.

    rows: dicts of name, run_id, status ("FINISHED", "FAILED" ...), reason, figures (as in `run_table`, with
    `val/song/balanced_accuracy` and `cost/train_s`).
    """
    return _Sweep(rows)


def unusable_table(unusable: Sequence[Unusable]) -> RenderableType:
    """The tracks that a run leaves out: at most 30 rows, then how many more, and how many for each reason."""
    from rich.console import Group

    table = _table(f"{len(unusable)} {'track' if len(unusable) == 1 else 'tracks'} left out")
    table.add_column("path", overflow="fold", ratio=5)
    table.add_column("reason", overflow="fold", ratio=2)
    table.add_column("detail", overflow="fold", ratio=3)
    for one in unusable[:MAX_UNUSABLE]:
        table.add_row(*texts(str(one.track.path), one.reason, one.detail or NONE))
    more = f"... and {len(unusable) - MAX_UNUSABLE} more, all of them in the run's left_out.csv"
    lines = [more] if len(unusable) > MAX_UNUSABLE else []
    counts = Counter(one.reason for one in unusable).most_common()
    lines.append("by reason: " + (", ".join(f"{reason} {n}" for reason, n in counts) or "none"))
    return Group(table, *texts(*lines))


def shards_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A row a shard of `prepare`: dicts of overrides, status, reason, and of `shards.Filled.row` where it was done."""
    table = _table(f"{len(rows)} {'shard' if len(rows) == 1 else 'shards'}")
    table.add_column("words", overflow="fold", ratio=1)
    for name in ("songs", "left out", "heard now, min", "s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold", ratio=2)
    alike = set.intersection(*(set(r["overrides"]) for r in rows)) if len(rows) > 1 else set()
    for row in rows:
        counts = 4 * [NONE]
        if row["status"] == "FINISHED":
            counts = [f"{row[k]:,}" for k in ("songs", "unusable")]
            counts += [f"{row['heard_s'] / 60:,.1f}", f"{row['wall_s']:,.1f}"]
        table.add_row(*texts(" ".join(w for w in row["overrides"] if w not in alike), *counts, row["reason"]))
    return table


def sentence(name: str, other: str, d: Difference) -> str:
    """E.g. "mel-gru - stft-vote: +4.1 points [1.2, 7.0], paired on 240 songs"."""
    on = f"paired on {d.n} songs" if d.paired else f"unpaired, {d.n} and {d.n_other} songs"
    word = "" if d.reliable else ", unreliable"
    return f"{name} - {other}: {_points(d.points, sign='+')} points [{_points(d.lo)}, {_points(d.hi)}], {on}{word}"


def percent(value: float | None) -> str:
    """0.7241 -> "72.4"; None or NaN -> "–"."""
    return NONE if _missing(value) else f"{100 * value:.1f}"  # type: ignore[operator]


def interval(figures: Mapping[str, float], key: str) -> str:
    """ "[68.1, 76.5]" of `key`_lo and `key`_hi, "–" where either is missing."""
    lo, hi = figures.get(f"{key}_lo"), figures.get(f"{key}_hi")
    return NONE if _missing(lo) or _missing(hi) else f"[{percent(lo)}, {percent(hi)}]"


def bounded(at: float, lo: float, hi: float) -> str:
    """ "72.4 [68.1, 76.5]" """
    return f"{percent(at)} [{percent(lo)}, {percent(hi)}]"


def quantity(value: float | None) -> str:
    """Three digits, or whole numbers with separators from 100 on: 0.123, 45.6, 1,234,567."""
    if _missing(value):
        return NONE
    assert value is not None
    if abs(value) >= 99.95 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if abs(value) >= 0.001 else f"{value:.1e}"


HEADINGS = ("run", "id", "val", "test per song", "test per slice", "train, s", "status")  # of a sweep


class _Sweep:
    """Knows the width only when it is printed: the reason of a failed run takes the rest of its line."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.done = sorted((row for row in rows if row["status"] == "FINISHED"), key=_chosen, reverse=True)
        self.failed = [row for row in rows if row["status"] != "FINISHED"]

    def cells(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        """Title, headings and rows, for `kept`; without the ids, which another such sweep has not."""
        rows = [self._cells(row) for row in self.done]
        rows += [[str(row["name"]), *5 * [NONE], f"{row['status']}: {row.get('reason', '')}"] for row in self.failed]
        return self._title(), [h for h in HEADINGS if h != "id"], [[name, *rest] for name, _, *rest in rows]

    def _title(self) -> str:
        measures = dict.fromkeys(NAMES[_measure(row)] for row in self.done)
        return f"{' or '.join(measures)}, % [95 % interval], ordered by validation"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        headings = [*HEADINGS]
        cells = [self._cells(row) for row in self.done]
        columns: list[Sequence[str]] = [[row[i] for row in cells] for i in range(len(headings))]
        columns[0] = [str(row["name"]) for row in (*self.done, *self.failed)]
        columns[1] = [_short(row) for row in (*self.done, *self.failed)]
        if _total(_fit(headings, columns, options.max_width)) > options.max_width:
            headings, columns = headings[:-1], columns[:-1]  # the status goes first: the failed stand apart anyway
        widths = _fit(headings, columns, options.max_width)
        widths[0] = min(widths[0], max(MIN_NAME, options.max_width - _total(widths[1:]) - GAP))
        if self.done:
            table = _table(self._title())
            for heading, width in zip(headings, widths, strict=True):
                right = heading not in {"run", "id", "status"}
                fold: Any = "fold"  # a name that is too long is folded, not cut
                table.add_column(heading, width=width, overflow=fold, justify="right" if right else "left")
            for row in cells:
                table.add_row(*texts(*row[: len(headings)]))
            yield table
        if self.failed:
            yield self._failures(widths[0], widths[1], options.max_width, terminal=console.is_terminal)

    def _failures(self, name_width: int, id_width: int, room: int, *, terminal: bool) -> Table:
        """The failed runs, under the same first two columns. A log keeps the reason whole, a terminal one line."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, padding=(0, GAP, 0, 0), pad_edge=False)
        table.add_column(width=name_width, overflow="fold")
        table.add_column(width=id_width, overflow="fold")
        rest = max(MIN_NAME, room - name_width - id_width - 2 * GAP)
        table.add_column(width=rest, no_wrap=terminal, overflow="ellipsis" if terminal else "fold")
        for row in self.failed:
            reason = " ".join(str(row.get("reason") or "no reason given").split())
            name, run_id = texts(str(row["name"]), _short(row))
            table.add_row(name, run_id, Text(f"{row['status']}: {reason}", style="red"))
        return table

    @staticmethod
    def _cells(row: Mapping[str, Any]) -> list[str]:
        figures: Mapping[str, float] = row.get("figures") or {}
        measure = _measure(row)
        tested = [
            " ".join([percent(figures.get(key)), interval(figures, key)]).replace(f"{NONE} {NONE}", NONE)
            for key in (f"test/song/{measure}", f"test/slice/{measure}")
        ]
        train_s, val = quantity(figures.get("cost/train_s")), percent(figures.get(f"val/song/{measure}"))
        return [str(row["name"]), _short(row), val, *tested, train_s, "finished"]


def _chosen(row: Mapping[str, Any]) -> float:
    figures: Mapping[str, float] = row.get("figures") or {}
    value = figures.get(f"val/song/{_measure(row)}", math.nan)
    return -1.0 if _missing(value) else value


def _measure(row: Mapping[str, Any]) -> str:
    return str(row.get("measure", MEASURE))


def _short(row: Mapping[str, Any]) -> str:
    return str(row.get("run_id") or NONE)[:8]


def _points(value: float, sign: str = "") -> str:
    return NONE if _missing(value) else f"{100 * value + 0.0:{sign}.1f}"


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def texts(*cells: str) -> list[Text]:
    """Plain text: a path or a name may hold what rich would read as its markup."""
    from rich.text import Text

    return [Text(cell) for cell in cells]


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    heading = Text(title, style="bold") if title else None
    # a gap is the padding and the box's blank divider
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.padding = (0, GAP - 1, 0, 0)  # type: ignore[assignment]
    table.header_style = "bold"
    return table


class _Numbers:
    """A table of numbers, right-aligned; the first column holds names if `named`."""

    def __init__(self, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], *, named: bool) -> None:
        self.title, self.headings, self.rows, self.named = title, headings, rows, named

    def cells(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        """Title, headings and rows, for `kept`."""
        return self.title, self.headings, self.rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich.text import Text

        room = options.max_width
        columns: list[Sequence[str]] = list(zip(*self.rows, strict=True))
        widths = self._widths(columns, room)
        if _total(widths) > room:
            columns = [[cell.replace(" [", "\n[") for cell in column] for column in columns]
            widths = self._widths(columns, room)
        first = 1 if self.named else 0
        if self.title:
            yield Text(self.title, style="bold")
        at = first
        while at < len(columns):
            end = at + 1
            while end < len(columns) and _total([*widths[:first], *widths[at : end + 1]]) <= room:
                end += 1
            if at > first:
                yield ""
            yield self._block([*range(first), *range(at, end)], columns, widths)
            at = end

    def _widths(self, columns: Sequence[Sequence[str]], room: int) -> list[int]:
        widths = _fit(self.headings, columns, room)
        if self.named:
            words = [word for cell in columns[0] for word in cell.split()]
            least = max([MIN_NAME, *map(len, words)])
            widths[0] = min(widths[0], max(least, room - _total(widths[1:]) - GAP))
        return widths

    def _block(self, those: Sequence[int], columns: Sequence[Sequence[str]], widths: list[int]) -> Table:
        table = _table("")
        for i in those:
            justify: Any = "left" if self.named and i == 0 else "right"
            table.add_column(self.headings[i], justify=justify, width=widths[i], overflow="fold")
        for row in zip(*(columns[i] for i in those), strict=True):
            table.add_row(*texts(*row))
        return table


def _fit(headings: Sequence[str], columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of columns: of their headings where there is room, else, from the right, of their cells.

    Written here since rich, short of room, narrows numbers too.
    """
    lines = [[line for cell in cells for line in cell.split("\n")] for cells in columns]
    widths = [max(map(len, [heading, *cells])) for heading, cells in zip(headings, lines, strict=True)]
    for i in reversed(range(len(widths))):
        if _total(widths) <= room:
            break
        widths[i] = max(map(len, [*lines[i], *headings[i].split(" ")]))  # a heading wraps between its words
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
