"""Lightning's logger of a run: the figures of its epochs go where the run's other entries go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytorch_lightning.loggers.logger import Logger


class Logbook(Logger):
    """It writes figures and nothing else: that a training is over does not end the run, whose answers are to come."""

    def __init__(self, name: str, version: str, write: Callable[[Mapping[str, float], int], None]) -> None:
        super().__init__()
        self._name, self._version, self._write = name, version, write

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return self._version

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._write(metrics, step or 0)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        del params, args, kwargs  # config.yaml has them
