"""What the user reads while work goes on: results on standard output, progress and remarks on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

EVERY_S = 10.0  # a line of progress where there is no terminal


def say(line: str) -> None:
    """A remark, a line."""
    BAR.clear()
    print(line, file=sys.stderr, flush=True)


def show(renderable: Any) -> None:
    """A result."""
    from rich.console import Console

    BAR.clear()
    Console(highlight=False).print(renderable, soft_wrap=isinstance(renderable, str), markup=False)


class Bar:
    """One line of progress with the time that is left; where nobody watches, a line now and then."""

    def __init__(self) -> None:
        self.what, self.started, self.shown = "", 0.0, 0.0
        self.bar: Any = None
        self.task: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        stage = what.split(",", maxsplit=1)[0]
        if stage != self.what or self.started == 0:
            self.clear()
            self.what, self.started, self.shown = stage, now, now
        if sys.stderr.isatty():
            self._draw(what, done, total)
        elif now - self.shown >= EVERY_S and 0 < done < total:
            self.shown = now
            left = (now - self.started) * (total - done) / done
            print(f"{what}: {done} of {total}, {left:.0f} s left", file=sys.stderr, flush=True)
        if done >= total:
            self.clear()

    def _draw(self, what: str, done: int, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self.bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task(what, total=total)
        self.bar.update(self.task, description=what, completed=done, total=total)

    def clear(self) -> None:
        if self.bar is not None:
            self.bar.stop()
        self.bar, self.started = None, 0.0


BAR = Bar()
