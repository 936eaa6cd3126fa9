"""The words of a command line: made safe for Hydra's grammar on the way in, its complaints a line on the way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genrelab.paths import conf_dir
from genrelab.types import UserError

PATH_KEYS = (
    "store",
    "data.path",
    "data.map",
    "data.unknown",
    "data.tree",
    "split.path",
    "net.path",
    "net.weights",
    "tracker.path",
)
EXTRAS = {  # a plugin's config: who wants what, and the extra
    "hydra/sweeper/optuna": ("sweep=optuna", "hydra-optuna-sweeper", "optuna"),
    "hydra/launcher/joblib": ("hydra/launcher=processes", "hydra-joblib-launcher", "processes"),
    "hydra/launcher/submitit_local": ("hydra/launcher=local_jobs", "hydra-submitit-launcher", "local_jobs"),
    "hydra/launcher/submitit_slurm": ("hydra/launcher=slurm", "hydra-submitit-launcher", "slurm"),
    "hydra/launcher/ray": ("hydra/launcher=ray_cluster", "hydra-ray-launcher", "ray_cluster"),
}
WHAT = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def quoted(words: Sequence[str]) -> list[str]:
    """The values of path keys made absolute and quoted, so that a folder called `Ünï [x] #1` works as typed."""
    out = []
    for word in words:
        key, equals, value = word.partition("=")
        if (
            equals
            and value
            and key.lstrip("+~") in PATH_KEYS
            and value[0] not in "'\""
            and value not in ("null", "None")
        ):
            path = Path(value).expanduser()
            if key == "store" or "," not in value or path.exists():  # else it is a sweep over paths
                value = quote(str(path.absolute()))
        out.append(f"{key}{equals}{value}")
    return out


def quote(text: str) -> str:
    """A text as the value of an override.

    In Hydra's grammar backslashes count only before a quote; OmegaConf takes `${` for the start of a reference.
    """
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), text.replace("${", "\\${"))
    return f"'{escaped}'"


def readable(words: Sequence[str]) -> None:
    """Raises UserError for an override that is not key=value in Hydra's grammar, or gives a group what is no name."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, known = OverridesParser.create(), groups()
    for word in words:
        if re.match(r"\+*tracker\.uri=\W*\w+://[^/]*@", word):  # before anybody prints it
            raise UserError(
                "tracker.uri: user and password belong into the environment, as MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD, and not into an address"
            )
        try:
            override = parser.parse_override(word)
            key, value = override.key_or_group, override.value()
        except (HydraException, ValueError) as error:  # ValueError: a number of 5,000 digits
            raise UserError(
                f"{word}: an override is key=value; a value with spaces, commas or brackets wants quotes: key='a b'"
            ) from error
        if not key:
            raise UserError(f"{word}: an override is key=value, here the key lacks")
        if key in known and override.is_delete():
            raise UserError(f"{word}: a run needs its {key}; {key}=... swaps it for one of {', '.join(known[key])}")
        if override.is_delete() and key.isidentifier():
            raise UserError(f"{word}: a run needs its {key}; {key}=VALUE gives it another")
        if key in known and not override.is_sweep_override() and (value is None or isinstance(value, int | float)):
            raise UserError(f"{word}: there is no such {key}; there are {', '.join(known[key])}")


def fitting(overrides: Sequence[str], config: Mapping[str, Any]) -> None:
    """Raises UserError where a value's kind is not that of the value which it replaces: `trainer.max_epochs=abc`."""
    from omegaconf import OmegaConf

    made = OmegaConf.create(dict(config))
    for key, word in {w.partition("=")[0].lstrip("+"): w for w in overrides}.items():  # of one key the last
        group, _, inside = key.partition(".")
        file = conf_dir() / group / f"{config['choices'].get(group)}.yaml"
        if not inside or not file.is_file():
            continue
        usual = OmegaConf.select(OmegaConf.load(file), inside, throw_on_resolution_failure=False)
        given = OmegaConf.select(made, key)
        kind = bool if isinstance(usual, bool) else float  # a bool is an int, too
        if isinstance(usual, int | float) and given is not None and _kind(given) is not kind:
            what = WHAT["Boolean" if kind is bool else "Float"]
            raise UserError(f"{word}: expected {what}, as in {key}={str(usual).lower()}")


def _kind(value: object) -> type:
    return bool if isinstance(value, bool) else float if isinstance(value, int | float) else str


def of_run(words: Sequence[str]) -> list[str]:
    """The words without those that only say where a run is kept and how many go on beside it."""
    return [w for w in words if not w.startswith(("store=", "jobs="))]


def value_of(words: Sequence[str], key: str) -> str | None:
    """The last value that `key=` was given, as typed."""
    given = [w.partition("=")[2] for w in words if w.partition("=")[0] == key]
    return given[-1].strip("'\"") if given else None


def groups() -> dict[str, list[str]]:
    """Every group of conf/ with its choices."""
    folders = sorted({p.parent for p in conf_dir().glob("*/**/*.yaml")})
    names = {f: sorted(p.stem for p in f.glob("*.yaml") if not p.stem.startswith("_")) for f in folders}
    return {f.relative_to(conf_dir()).as_posix(): choices for f, choices in names.items()}


def complaint(error: Exception, words: Sequence[str]) -> UserError:
    """Hydra's error as a line: what was given, what was expected, what to do."""
    text = "\n".join(str(e) for e in (error, error.__cause__) if e)
    known = groups()
    if found := re.search(r"Could not (?:find|load) '([^']+)'", text):
        if found[1] in EXTRAS:
            word, library, extra = EXTRAS[found[1]]
            return UserError(f"{word} wants {library}: pip install 'genrelab[{extra}]'")
        group, _, choice = found[1].rpartition("/")
        if group in known:
            near = difflib.get_close_matches(choice, known[group], 1)
            hint = f"; did you mean {group}={near[0]}?" if near else ""
            return UserError(f"{group}={choice}: there is no such {group}; there are {', '.join(known[group])}{hint}")
        return UserError(f"{found[1]}: there is no such config; see python -m genrelab --help")
    if found := re.search(r"Could not override '([^']+)'", text):
        key = found[1]
        if key in known:
            choices = ", ".join(known[key])
            return UserError(f"{key}: give one of {choices} (as in {key}={known[key][0] if known[key] else '...'})")
        near = difflib.get_close_matches(key.split(".")[-1], _leaves(), 3, 0.5)
        keys = [k for leaf in near for k in _leaves()[leaf] if k != key][:3]  # another part may have it
        hint = f"; did you mean {' or '.join(keys)}?" if keys else "; python -m genrelab --cfg job shows every key"
        return UserError(f"{_word(key, words)}: there is no key '{key}'{hint}")
    if found := re.search(r"Value '.*' of type '.*' could not be converted to (\w+)", text):
        key = re.search(r"full_key: (\S+)", text)
        return UserError(f"{_word(key[1], words) if key else found[0]}: expected {WHAT.get(found[1], found[1])}")
    if "Ambiguous value" in text or "--multirun" in text:
        return UserError("a list of values with commas is a sweep: add -m (python -m genrelab -m front=stft,mel)")
    text = re.sub(r"^\w+ raised while resolving interpolation: ", "", " ".join(text.split()))  # what a resolver said
    return UserError(text[:300] or type(error).__name__)


def _word(key: str, words: Sequence[str]) -> str:
    return next((w for w in reversed(words) if w.lstrip("+~").partition("=")[0] == key), key)


def _leaves() -> dict[str, list[str]]:
    """The last part of every key of the default config -> the full keys that end so."""
    from omegaconf import DictConfig, OmegaConf

    found: dict[str, list[str]] = {}

    def walk(config: DictConfig, prefix: str) -> None:
        for name in config:
            key = f"{prefix}{name!s}"
            if not str(name).startswith("_") and name not in ("defaults", "hydra"):
                found.setdefault(str(name), []).append(key)
                child = config._get_node(name)
                if isinstance(child, DictConfig) and not child._is_none():
                    walk(child, key + ".")

    walk(OmegaConf.load(conf_dir() / "config.yaml"), "")  # type: ignore[arg-type]
    for group, choices in groups().items():
        for choice in choices:
            text = (conf_dir() / group / f"{choice}.yaml").read_text()
            if "@package" not in text.split("\n", 1)[0]:
                walk(OmegaConf.create(text), f"{group.replace('/', '.')}.")  # type: ignore[arg-type]
    return {leaf: sorted(set(keys)) for leaf, keys in found.items()}
