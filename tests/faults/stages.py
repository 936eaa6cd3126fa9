"""How far a run is, as its store shows it to who looks from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EPOCHS = 4
STAGES = ("music", "pictures", "database", "beginning", "training", "testing", "logging")


class Watch:
    """Looks at a store again and again."""

    def __init__(self, store: Path) -> None:
        self.store, self.saved = store, set[int]()

    def stage(self) -> str:
        """The stage that a run of the store has reached; "" where it has begun nothing."""
        for path in self.store.glob("artifacts/*/*/artifacts/checkpoints/last.ckpt"):
            try:
                self.saved.add(path.stat().st_mtime_ns)
            except FileNotFoundError:
                continue
        tests: dict[str, Callable[[], Any]] = {
            "logging": lambda: self._any("artifacts/*/*/artifacts/predictions.parquet"),
            "testing": lambda: len(self.saved) >= EPOCHS,
            "training": lambda: self.saved,
            "beginning": lambda: self._any("artifacts/*/*/artifacts"),
            "database": lambda: self._any("mlflow*.db"),
            "pictures": lambda: self._any("cache/pictures/*"),
            "music": lambda: self._any("data/*"),
        }
        return next((name for name, reached in tests.items() if reached()), "")

    def _any(self, pattern: str) -> bool:
        return next(self.store.glob(pattern), None) is not None

    def until(self, stage: str, process: Any, patience_s: float = 120) -> bool:
        """Waits for a stage, or a later one; False where the run ended before."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            now = self.stage()
            if now and STAGES.index(now) >= STAGES.index(stage):
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        raise TimeoutError(f"not {stage} after {patience_s:g} s, but {self.stage() or 'nothing'}")


def durations(process: Any, store: Path) -> dict[str, float]:
    """How long each stage of an undisturbed run takes, seconds; waits for its end."""
    watch, began, last = Watch(store), {}, ""
    while process.poll() is None:
        now = watch.stage()
        if now and now != last:
            began[now], last = time.monotonic(), now
        time.sleep(0.002)
    ends = [*list(began.values())[1:], time.monotonic()]
    return {stage: end - start for (stage, start), end in zip(began.items(), ends, strict=True)}
