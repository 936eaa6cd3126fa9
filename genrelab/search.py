"""What `sweep=optuna` needs beside hydra-optuna-sweeper: a space that fits the chosen parts, a word on each trial."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.experimental.callback import Callback
from omegaconf import OmegaConf, open_dict, read_write

from genrelab import sweep, words
from genrelab.report.console import say


class Search(Callback):
    """Hydra calls it before a search, and before and after every trial, which may be in another process."""

    def __init__(self) -> None:
        self.searched: set[str] = set()  # the keys that the trials differ in

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        """Leaves out of the space what the chosen parts do not have."""
        del kwargs
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("hydra_plugins.hydra_optuna_sweeper").setLevel(logging.CRITICAL)  # `attempt` said it already
        task = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
        typed = OverridesParser.create().parse_overrides(list(task))  # type: ignore[arg-type]
        with read_write(config), open_dict(config):
            config.hydra.overrides.task = [spelled_out(o) for o in typed]
            sweeper = config.hydra.sweeper
            for key, why in lacking(sweeper.params, config, typed).items():
                del sweeper.params[key]
                say(f"not searched: {key}, {why}")
            self.searched = {*map(str, sweeper.params), *(o.key_or_group for o in typed if o.is_sweep_override())}
            if sweeper.n_trials < 1:
                say(f"trials={sweeper.n_trials}: nothing is tried")
            if sweeper.storage:
                sweeper.storage = None
                say("hydra.sweeper.storage is not used: the trials are in MLflow, and resume=ID goes on with them")

    def on_job_start(self, config: Any, **kwargs: Any) -> None:
        del kwargs
        from genrelab.report.importance import brief

        tried = [w.partition("=") for w in config.hydra.overrides.task]
        said = " ".join(f"{key}={brief(value)}" for key, _, value in tried if key in self.searched)
        say(f"trial {config.hydra.job.num + 1} of {config.hydra.sweeper.n_trials}: {said}".removesuffix(": "))

    def on_job_end(self, config: Any, job_return: Any, **kwargs: Any) -> None:
        del kwargs
        value, number = job_return.return_value, config.hydra.job.num + 1
        if value is None:
            say(f"trial {number} failed; the search goes on without it")
            return
        rows = sweep.results(Path(config.hydra.sweep.dir))
        best = max(r["figures"].get(f"val/song/{r['measure']}", 0.0) for r in rows)
        say(f"trial {number}: {100 * value:.1f} % on validation, the best so far {100 * best:.1f} %")


def spelled_out(override: Override) -> str:
    """The word as it was typed, but `agg=glob(*)`, which the sweeper does not know, as the choices that it means."""
    value, known = override.value(), words.groups()
    if isinstance(value, Glob) and override.key_or_group in known:
        return f"{override.key_or_group}={','.join(value.filter(known[override.key_or_group]))}"
    return str(override.input_line)


def lacking(params: Any, config: Any, typed: list[Override]) -> dict[str, str]:
    """The keys of a search space that this config does not have, each with the reason."""
    known, absent = words.groups(), object()
    searched = {o.key_or_group for o in typed if o.is_sweep_override()} | set(params)
    found = {}
    for key in map(str, params):
        group = key.partition(".")[0]
        if key in known:
            continue
        if OmegaConf.select(config, key, default=absent, throw_on_resolution_failure=False) is absent:
            found[key] = f"which {group}={config.hydra.runtime.choices.get(group)} does not have"
        elif group in searched:
            found[key] = f"which not every {group} may have"
    return found
