"""The model that MLflow serves. MLflow copies this file beside the weights and runs it ("models from code"): nothing is
pickled, and the weights are read as tensors only."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import mlflow.models
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

LARGEST_MB = 100  # of a song that is sent as bytes
NOTHING = "no song: give its `path`, or its bytes as `audio`"
LONGEST_S = 2 * 3600.0  # a small file can hold days of silence


class Genrelab(PythonModel):
    """A song in (a row: its `path`, or `audio`, its bytes), what `tag` says of it out."""

    def load_context(self, context: PythonModelContext) -> None:
        from genrelab import compose

        self.asked = compose.restore(Path(context.artifacts["run"]))
        self.run = context.model_config["run"]

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """An answer a row, as `genrelab.answering` gives it; of a row that cannot be answered `error` says why."""
        del context, params
        columns = {name: list(model_input[name]) for name in ("path", "audio") if name in model_input}
        if not columns:
            raise MlflowException.invalid_parameter_value(NOTHING)
        rows = [{name: cells[i] for name, cells in columns.items()} for i in range(len(model_input))]
        return [self._answer(row.get("path"), row.get("audio")) | {"run": self.run} for row in rows]

    def _answer(self, named: object, audio: object) -> dict[str, Any]:
        from genrelab.answering import answer, ask

        path = str(named) if _given(named) else ""
        if not isinstance(audio, bytes) and not path:
            return answer("", error=NOTHING)
        if not isinstance(audio, bytes):
            return ask(Path(path), self.asked, LONGEST_S)
        if len(audio) > LARGEST_MB * 1_000_000:
            return answer(path, error=f"too large: {len(audio) / 1e6:.0f} MB of at most {LARGEST_MB} MB")
        with tempfile.NamedTemporaryFile(suffix=Path(path).suffix[:8]) as file:  # the suffix is a hint for MP3
            file.write(audio)
            file.flush()
            return ask(Path(file.name), self.asked, LONGEST_S) | {"path": path}


def _given(value: object) -> bool:
    """Whether a cell of an optional column is there."""
    return not (value is None or (isinstance(value, float) and math.isnan(value)))


mlflow.models.set_model(Genrelab())
