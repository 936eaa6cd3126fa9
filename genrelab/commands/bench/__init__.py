"""`bench WHAT`: genrelab's parts beside their peers, on this machine. A file of this folder with a `run` is a WHAT."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated, Any

import typer

from genrelab.types import UserError

SETTINGS = {"allow_extra_args": True, "allow_interspersed_args": False}  # what follows WHAT is for it to read


def run(context: typer.Context, what: Annotated[str | None, typer.Argument(help="What to time.")] = None) -> int:
    """Time genrelab's parts beside their peers on this machine. `bench WHAT --help` tells the flags of each."""
    there = benches()
    if what not in there:
        listed = "\n".join(f"  {name:<8}{_line(module)}" for name, module in there.items())
        if what is None:
            print(f"python -m genrelab bench WHAT [--flags] [hydra overrides], where WHAT is\n{listed}")
            return 0
        raise UserError(f"bench {what}: there is no such bench; there are {', '.join(there)}")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(what)(there[what].run)
    return int(app(context.args, prog_name=f"python -m genrelab bench {what}", standalone_mode=False) or 0)


def benches() -> dict[str, Any]:
    """The modules of this folder that have a `run`, by name."""
    modules = {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}
    return {name: module for name, module in sorted(modules.items()) if hasattr(module, "run")}


def _line(module: Any) -> str:
    return str(module.__doc__).partition(": ")[2].splitlines()[0]
