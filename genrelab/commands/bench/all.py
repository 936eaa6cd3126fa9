"""`bench all`: every part of genrelab that should be fast, beside its peer and its goal, in one table."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from genrelab.commands.bench import lines, nets, programs, sound
from genrelab.commands.bench.fronts import machine
from genrelab.commands.bench.lines import Line, Session
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError

ROWS: dict[str, Callable[[Session], list[Line]]] = {**sound.ROWS, **nets.ROWS, **programs.ROWS}


def run(
    only: Annotated[str | None, typer.Option(help=f"Some rows, with commas: {', '.join(ROWS)}.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds, in each of which all of a row are timed once.")] = 3,
    whole: Annotated[bool, typer.Option("--whole", help="Run the original's training to its end.")] = False,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file, too.")] = None,
    against: Annotated[Path | None, typer.Option(help="A file of --json: say what became slower since.")] = None,
) -> int:
    """Time every part beside its peer; one at a time, in shuffled rounds. Exit code 1 where --against shows a fall.

    Peers come with pip install 'genrelab[bench]'; what is not installed is named.
    """
    names = _chosen(only)
    before = lines.read(against) if against else []
    made: list[Line] = []
    code, started = 0, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="genrelab-bench-") as folder:
        session = Session(Path(folder), repeats, whole)
        try:
            for n, name in enumerate(names, 1):
                at = time.perf_counter()
                try:
                    made += ROWS[name](session)
                except Exception as error:  # what else was measured is not lost
                    made.append(Line(name, "", None, None, None, "", None, False, f"failed: {error}"))
                    code = 1
                say(f"{n} of {len(names)}: {name}, {time.perf_counter() - at:.0f} s")
        except KeyboardInterrupt:
            BAR.clear()
            say("interrupted: this is what was measured")
            code = 130
    took = f"{(time.perf_counter() - started) / 60:.1f} min"
    show(lines.table(made, f"genrelab beside its peers: {machine()}, {repeats} rounds, {took}"))
    if to_json:
        lines.write(to_json, made, {"machine": machine(), "rounds": repeats})
    if fell := lines.slower(made, before):
        show("\nslower than in " + str(against))
        for line in fell:
            show(f"  {line}")
        return code or 1
    if before:
        show(f"\nnothing is slower than in {against}, beyond what both scatter")
    return code


def _chosen(word: str | None) -> list[str]:
    if word is None:
        return list(ROWS)
    names = list(dict.fromkeys(name.strip() for name in word.split(",")))
    for name in names:
        if name not in ROWS:
            raise UserError(f"--only {word}: there is no row '{name}'; there are {', '.join(ROWS)}")
    return names
