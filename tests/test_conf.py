"""Every yaml of every group composes, and every part that it names is built. A new yaml is here by itself."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from genrelab import compose as house
from genrelab import trust
from genrelab.paths import conf_dir
from genrelab.types import UserError

GLOBAL = "# @package _global_"
NEEDS: dict[str, list[str]] = {}  # "group/choice": the overrides without which it means nothing
ASKS = {  # "group/choice": the word that its user must give, and that names something only they have
    "net/encoder": "net.path=DIR",
    "net/frozen": "net.run=RUN",
    "tracker/server": "tracker.uri=http",
}
LIBRARIES = {"net/encoder": "transformers", "net/timm": "timm"}  # "group/choice": what its user installs
PARTIAL: dict[str, dict[str, Any]] = {  # what the program completes a partial part with
    "norm": {"n_bins": 128, "scale": (-100.0, 0.0)},
    "net": {"n_bins": 128, "n_frames": 128},
    "agg": {"dim": 16, "n_genres": 3, "several": False},
}
FILES = sorted(p for p in conf_dir().rglob("*.yaml") if p.parent != conf_dir())
NAMES = [p.relative_to(conf_dir()).with_suffix("").as_posix() for p in FILES]
PARTS = [n for n, p in zip(NAMES, FILES, strict=True) if not p.read_text().startswith(GLOBAL) and "hydra" not in n]


def composed(*words: str) -> DictConfig:
    house.register()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", list(words), return_hydra_config=True)


def chosen(name: str) -> DictConfig:
    group, _, choice = name.rpartition("/")
    return composed(f"{group}={choice}", *NEEDS.get(name, []))


def targets(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        yield from [config["_target_"]] if "_target_" in config else []
        for value in config.values():
            yield from targets(value)
    elif isinstance(config, list):
        for value in config:
            yield from targets(value)


def built(group: str, config: Any) -> Any:
    """A part as the program has it: with its sizes."""
    if group == "optim":
        weights = [torch.nn.Parameter(torch.zeros(2))]
        optimizer = house.instantiate(config["optimizer"])(weights)
        assert isinstance(optimizer, torch.optim.Optimizer)
        return house.instantiate(config["schedule"])(optimizer, total_steps=10) if config["schedule"] else optimizer
    made = house.instantiate(config)
    if group == "report":
        inspect.signature(made).bind([], n_boot=1, seed=0)  # what a sweep shows of its runs, of which there are none
        return made
    return made(**PARTIAL[group]) if config.get("_partial_") else made


def test_there_is_something_to_test() -> None:
    assert {"front/mel", "net/cnn", "agg/gru", "split/kfold", "data/synth"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_choice_composes_to_parts_that_are_built(name: str) -> None:
    config = chosen(name)
    plain = OmegaConf.to_container(
        OmegaConf.masked_copy(config, [k for k in config if k != "hydra"]), resolve=True, throw_on_missing=True
    )
    assert isinstance(plain, dict)
    group = name.split("/", maxsplit=1)[0]
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    for part in [group] if name in PARTS else plain:
        value = plain.get(part)
        if isinstance(value, dict) and (part == "optim" or "_target_" in value):
            if name in ASKS and part == group:
                with pytest.raises((ValueError, UserError), match=ASKS[name]):
                    built(part, value)
                continue
            assert built(part, value) is not None
    trust.config(plain)  # a run's own config can be opened again


@pytest.mark.parametrize("name", NAMES)
def test_every_target_is_there(name: str) -> None:
    raw = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{name}.yaml"), resolve=False)
    for target in targets(raw):
        module, _, attribute = target.rpartition(".")
        assert callable(getattr(importlib.import_module(module), attribute)), target


@pytest.mark.parametrize("name", [n for n in PARTS if not n.startswith("trainer/")])
def test_a_part_is_named_by_its_target_alone(name: str) -> None:
    config = OmegaConf.to_container(OmegaConf.load(conf_dir() / f"{name}.yaml"), resolve=False)
    assert list(targets(config)), f"{name} names no _target_"
    assert all(trust.part(t) for t in targets(config)), list(targets(config))
    assert not {"name", "type", "class"} & set(config)


def test_root_scalars_are_typed_and_every_group_is_in_the_schema() -> None:
    config = OmegaConf.to_container(OmegaConf.load(conf_dir() / "config.yaml"), resolve=False)
    own = {k for k in config if k not in ("defaults", "hydra")}
    groups = {k for d in config["defaults"] if isinstance(d, dict) for k in d if not k.startswith("override")}
    without_keys = {"experiment", "sweep", "debug"}
    assert own | (groups - without_keys) == set(house.Root.__dataclass_fields__)
