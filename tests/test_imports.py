"""Imports run one way: a room knows the rooms below it, and heavy libraries are loaded where they are needed."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import genrelab

PACKAGE = Path(genrelab.__file__).parent
FILES = {
    ".".join(("genrelab", *p.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): p
    for p in sorted(PACKAGE.rglob("*.py"))
}
FEATURES = ("front", "slice", "net", "agg", "task")
FORBIDDEN = ("pytorch_lightning", "lightning", "hydra", "omegaconf", "mlflow")
HEAVY = ("torch", "torchaudio", "pytorch_lightning", "mlflow", "pandas", "matplotlib", "sklearn", "scipy", "librosa")
KNOWS = {  # a room of genrelab -> the rooms that it may import
    "types": set(),
    "paths": set(),
    "evaluate": set(),
    "audio": {"types"},
    "front": {"types", "norm"},
    "slice": {"types"},
    "net": {"types", "norm"},
    "agg": {"types"},
    "task": {"types", "evaluate"},
    "norm": {"types"},
    "process": set(),
    "environment": {"", "types", "paths"},
    "speed": {"types", "environment"},
    "views": {"types"},
    "spool": set(),
    "entries": {"types", "spool"},
    "journal": {"types", "spool", "entries"},
    "logbook": set(),
    "schema": set(),
    "disk": set(),
    "resumable": {"lightning"},
    "track": {"types", "paths", "process", "views", "spool", "entries", "journal", "logbook", "schema"},
    "delivery": {"types", "views", "spool", "entries", "journal"},
    "server": {"types", "spool", "journal", "track", "delivery", "report"},
    "health": {"types", "process", "room", "track", "spool", "journal", "server"},
    "copies": {"process", "entries", "spool", "journal", "track", "delivery", "server", "health"},
    "registry": {"track"},
    "words": {"types", "paths"},
    "trust": {"types", "paths"},
    "report": {"types", "evaluate"},
    "room": set(),
    "store": {"types", "audio", "front", "room"},
    "data": {"types", "audio", "front", "slice", "store"},
    "measures": {"types", "audio", "store", "room"},
    "baselines": {"types", "evaluate", "audio", "store", "measures"},
    "augment": {"types", "audio", "front", "slice", "store", "data"},
    "texture": set(),
    "model": {"types", "audio", "evaluate", *FEATURES, "norm", "texture"},
    "evidence": {"types", "audio", "front", "model"},
    "lightning": set(),
    "learner": {"types", "data", "evaluate", "model", "lightning"},
}


class Imports(ast.NodeVisitor):
    """The modules that a file names, and those among them that are loaded with it."""

    def __init__(self, module: str, is_package: bool) -> None:
        self.here = module if is_package else module.rpartition(".")[0]
        self.depth = 0
        self.all: set[str] = set()
        self.at_top: set[str] = set()

    def _add(self, *names: str) -> None:
        self.all.update(names)
        if not self.depth:
            self.at_top.update(names)

    def visit_Import(self, node: ast.Import) -> None:
        self._add(*(a.name for a in node.names))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            base = ".".join([*self.here.split(".")[: len(self.here.split(".")) - node.level + 1], base]).strip(".")
        self._add(*(f"{base}.{a.name}" if f"{base}.{a.name}" in FILES else base for a in node.names))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_If(self, node: ast.If) -> None:
        for_types = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        self.depth += for_types
        self.generic_visit(node)
        self.depth -= for_types


@cache
def imports(module: str) -> Imports:
    path = FILES[module]
    found = Imports(module, path.name == "__init__.py")
    found.visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def outside(module: str) -> set[str]:
    """The libraries that a file names, without Python's own."""
    tops = {name.split(".")[0] for name in imports(module).all}
    return tops - {"genrelab", "__future__"} - set(sys.stdlib_module_names)


def in_rooms(*rooms: str) -> list[str]:
    return [m for m in FILES if room(m) in rooms]


@pytest.mark.parametrize("name", sorted(KNOWS))
def test_a_room_knows_only_the_rooms_below_it(name: str) -> None:
    for module in in_rooms(name):
        known = {room(m) for m in imports(module).all if m.startswith("genrelab.")}
        assert known - {name} <= KNOWS[name], f"{module} imports {known - {name} - KNOWS[name]}"


def test_rooms_have_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module in FILES:
        others = {room(m) for m in imports(module).all if m.startswith("genrelab.")}
        graph.setdefault(room(module), set()).update(others - {room(module)})
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {error.args[1]}")


def test_mlflow_is_imported_where_it_is_spoken_to() -> None:
    """Runs, here and on a server, the registry of models, and the code that MLflow itself runs when it loads a model:
    that must subclass."""
    rooms = ("track", "schema", "entries", "journal", "delivery", "registry", "served")
    own = {f"genrelab.{room}" for room in rooms}
    assert {m for m in FILES if "mlflow" in outside(m)} == own
    assert "genrelab.served" not in {m for f in FILES for m in imports(f).all}  # nobody but MLflow loads it


@pytest.mark.parametrize("module", in_rooms(*FEATURES, "norm", "model"))
def test_features_know_no_training_loop_and_no_tracker(module: str) -> None:
    assert not outside(module) & set(FORBIDDEN)
    assert not {room(m) for m in imports(module).all} & {"data", "track", "learner", "fit", "compose", "commands"}


@pytest.mark.parametrize("module", in_rooms("evaluate"))
def test_figures_know_only_arrays(module: str) -> None:
    assert outside(module) <= {"numpy", "scipy", "sklearn"}


def test_no_command_imports_another_and_only_cli_imports_commands() -> None:
    for module in FILES:
        named = {m.split(".")[2] for m in imports(module).all if m.startswith("genrelab.commands.")}
        own = set(module.split(".")[2:3]) if room(module) == "commands" else set()
        assert not named - own or module == "genrelab.cli", f"{module} imports {named - own}"


@pytest.mark.parametrize("module", in_rooms("cli", "words", "paths", "types", "compose", "sweep", "track", "commands"))
def test_what_answers_at_once_loads_nothing_heavy(module: str) -> None:
    assert not {m.split(".")[0] for m in imports(module).at_top} & set(HEAVY)


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_file_stays_short(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) < 400
