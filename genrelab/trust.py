"""What comes with a run from elsewhere (its config, the words of a sweep, links among its files) and may do nothing but
name parts of genrelab."""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genrelab import paths
from genrelab.types import UserError

ROOMS = ("agg", "augment", "data", "front", "net", "norm", "slice", "task")  # whose classes a config may name
NAMED = frozenset(  # and what else
    [
        "genrelab.track.Mlflow",
        "genrelab.track.Off",
        "genrelab.server.Server",
        "genrelab.report.importance.importance",
        "genrelab.report.ladder.ladder",
        "genrelab.report.transfer.transfer",
        *(f"genrelab.report.sweeps.{f}" for f in ("dots", "grid", "lines", "open_set", "seconds_heard")),
        *(f"torch.optim.{c}" for c in ("AdamW", "Adam", "NAdam", "RAdam", "SGD", "RMSprop", "Adagrad")),
        *(
            f"torch.optim.lr_scheduler.{c}"
            for c in ("OneCycleLR", "CosineAnnealingLR", "ExponentialLR", "LinearLR", "StepLR", "ConstantLR")
        ),
    ]
)
RESOLVER = re.compile(r"\$\{[^}]*:")  # `${oc.env:...}`: what is carried out where OmegaConf reads it
HYDRAS = re.compile(
    r"hydra\.mode=\w+|hydra/(launcher|sweeper)=\w+|hydra\.(launcher|sweeper)\.n_(jobs|trials)=\d+"
    r"|hydra\.sweeper\.sampler\.[a-z]\w*=[\d.]+"
    r"|hydra\.launcher\.(timeout_min|cpus_per_task|mem_gb|gpus_per_node|array_parallelism)=\d+"
    r"|hydra\.launcher\.(partition|account|qos|constraint|gres)=[\w.,:-]+"
)


def part(target: str) -> bool:
    """Whether a config from elsewhere may have this called: a class that a file of a room defines, or what is NAMED.

    What such a file imports (`genrelab.net.timm.torch`), its functions and its classes' methods are none. Nothing is
    imported to find out.
    """
    if target in NAMED:
        return True
    package, _, rest = target.partition(".")
    *modules, name = rest.split(".")
    if package != "genrelab" or not modules or modules[0] not in ROOMS or not all(m.isidentifier() for m in modules):
        return False
    return name in classes(paths.PACKAGE.joinpath(*modules).with_suffix(".py"))


@functools.cache
def classes(file: Path) -> frozenset[str]:
    """The classes that a Python file defines."""
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(n.name for n in tree.body if isinstance(n, ast.ClassDef))


def config(stored: Any) -> None:
    """Raises UserError where a stored config names something to call that is no part of genrelab."""
    if isinstance(stored, Mapping):
        if "_target_" in stored and not part(str(stored["_target_"])):
            raise UserError(
                f"the run's config names '{stored['_target_']}', which is not a part of genrelab: it is not opened"
            )
        for value in stored.values():
            config(value)
    elif isinstance(stored, list | tuple):
        for value in stored:
            config(value)
    elif isinstance(stored, str) and RESOLVER.search(stored):
        raise UserError(f"the run's config refers to something else, '{stored[:80]}': it is not opened")


def literal(given: Any) -> Any:
    """A plain config whose strings mean themselves: `${...}` in them is no reference that OmegaConf would follow.

    Hydra's instantiate follows references twice (it resolves a config in place, then reads it): two rounds of escapes.
    """
    if isinstance(given, str):
        for _ in range(2):
            given = re.sub(r"(\\*)\$\{", lambda m: 2 * m[1] + "\\${", given)
        return given
    if isinstance(given, dict):
        return {key: literal(value) for key, value in given.items()}
    if isinstance(given, list):
        return [literal(value) for value in given]
    return given


def words(stored: Sequence[str]) -> None:
    """Raises UserError where the words that a sweep was started with could do more than choose parts and values."""
    for word in stored:
        key = word.partition("=")[0]
        own = key.startswith("hydra") and HYDRAS.fullmatch(word)
        strange = word.startswith("-") or "_target_" in word or "${" in word
        if strange or (key.lstrip("+~").startswith("hydra") and not own):
            raise UserError(
                f"the sweep was started with '{word[:80]}', which a stored sweep may not bring: type it anew"
            )


def folder(of_run: Path) -> None:
    """Raises UserError where a link among a run's files leads out of their folder."""
    root = of_run.resolve()
    for at, folders, names in os.walk(root, followlinks=False):
        for name in (*folders, *names):
            path = Path(at, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise UserError(f"{path} is a link that leads out of its run's folder: the run is not opened")
