"""Parts of the house as conf/ writes them, without Hydra's composition: no test repeats a value of a yaml."""

from __future__ import annotations

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from genrelab.paths import conf_dir

SAMPLE_RATE = 22050


def names(group: str) -> list[str]:
    """The choices of a group: the yaml files of its folder."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def values(choice: str) -> DictConfig:
    """A yaml over those of its folder that it builds on."""
    own = OmegaConf.load(conf_dir() / f"{choice}.yaml")
    below = [b for b in own.pop("defaults", []) if isinstance(b, str) and "@" not in b and b != "_self_"]
    return OmegaConf.merge(*(values(f"{choice.rpartition('/')[0]}/{b}") for b in below), own)


def config(choice: str, sample_rate: int = SAMPLE_RATE, **overrides: Any) -> dict[str, Any]:
    """The resolved values of `front/mel` and the like."""
    part = OmegaConf.merge(values(choice), overrides)
    root = OmegaConf.create({"sample_rate": sample_rate, "part": part})
    return OmegaConf.to_container(root, resolve=True)["part"]


def part(choice: str, sample_rate: int = SAMPLE_RATE, **overrides: Any) -> Any:
    """What `front/mel` and the like name, with some values changed; what it raises is not wrapped."""
    try:
        return instantiate(config(choice, sample_rate, **overrides), _convert_="all")
    except InstantiationException as error:
        raise error.__cause__ or error from None
