"""MLflow's model registry: a run's model as MLflow loads and serves it, and which of them is the champion."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from genrelab.track import NOTE_CHARS, Record, Run, connect

MODEL = "model"  # its folder among a run's artifacts
SCRATCH = ".model-"  # what the name of a folder begins with in which a model is being written
NEEDED = ("config.yaml", "rule.npz", "checkpoints/best.ckpt")  # what the model is made of, of a run's artifacts


@dataclass(frozen=True)
class Version:
    """A registered model."""

    name: str
    number: str
    run_id: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"


def champion(store: Path, name: str, alias: str) -> Version | None:
    """Who has the alias."""
    from mlflow.exceptions import MlflowException

    client, _ = connect(store)
    try:
        return _version(client.get_model_version_by_alias(name, alias))
    except MlflowException:  # no such model, or nobody has it
        return None


def of_run(store: Path, name: str, run_id: str) -> Version | None:
    """The newest version that was made of a run."""
    client, _ = connect(store)
    found = client.search_model_versions(f"name = '{_quoted(name)}' and run_id = '{run_id}'")
    return _version(max(found, key=lambda v: int(v.version))) if found else None


def register(store: Path, name: str, record: Record, tags: Mapping[str, object], about: str) -> Version:
    """Makes a version of a run's model, which is written among the run's artifacts. Raises OSError."""
    from mlflow.exceptions import MlflowException

    client, _ = connect(store)
    save(record)
    with suppress(MlflowException):  # it is there
        client.create_registered_model(name, description="A genre of a song, or no tag. Made by genrelab.")
    source, marks = (record.folder / MODEL).as_uri(), {k: str(v) for k, v in tags.items()}
    return _version(client.create_model_version(name, source, record.id, tags=marks, description=about[:NOTE_CHARS]))


def crown(store: Path, version: Version, alias: str) -> None:
    """Gives the alias to a version, and takes it from who had it."""
    client, _ = connect(store)
    client.set_registered_model_alias(version.name, alias, version.number)


def save(run: Record | Run) -> Path:
    """Writes the model that MLflow loads into a run's artifacts: our code, its signature and the run's own files.

    The checkpoint is a hard link where the disk knows them, so that it takes no place twice.
    """
    import mlflow.pyfunc

    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    at, inside = run.folder / MODEL, Path("artifacts", "run")
    with tempfile.TemporaryDirectory(dir=run.folder, prefix=SCRATCH) as scratch:
        own, made = Path(scratch, "run"), Path(scratch, MODEL)
        for name in NEEDED:
            _link(run.folder / name, own / name)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*input example.*")  # it would have to be a song
            mlflow.pyfunc.save_model(
                made,
                python_model=str(Path(__file__).with_name("served.py")),
                artifacts={"run": str(own)},
                model_config={"run": run.id},
                signature=signature(),
                pip_requirements=_requirements(),
                metadata={"run": run.id, "name": run.name, "data": run.experiment},
            )
        for name in NEEDED:  # MLflow has copied them
            _link(run.folder / name, made / inside / name)
        if at.exists():
            at.rename(Path(scratch, "before"))
        made.rename(at)
    return at


def clear(folder: Path) -> None:
    """Takes away what a killed process has left of writing a model among a run's artifacts."""
    for left in folder.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


def signature() -> Any:
    """A song's path (string) or its bytes (binary, base64 in JSON) in; the answer of `tag --json` out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Object, Property, Schema

    genre = Object([Property("genre", DataType.string), Property("probability", DataType.double)])
    return ModelSignature(
        inputs=Schema([ColSpec("string", "path", required=False), ColSpec("binary", "audio", required=False)]),
        outputs=Schema(
            [
                ColSpec("string", "path"),
                ColSpec("string", "label", required=False),
                ColSpec("string", "no_tag", required=False),
                ColSpec(Array(genre), "genres"),
                ColSpec("long", "n_slices"),
                ColSpec("string", "error", required=False),
                ColSpec("string", "run"),
            ]
        ),
    )


def _requirements() -> list[str]:
    """Of the model's environment, where MLflow is asked to make one; genrelab brings the others."""
    try:
        return [f"{name}=={metadata.version(name)}" for name in ("genrelab", "mlflow")]
    except metadata.PackageNotFoundError:  # a bare checkout
        return [f"mlflow=={metadata.version('mlflow')}"]


def _link(source: Path, target: Path) -> None:
    """A hard link, or where there are none a copy; in the place of what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _version(entity: Any) -> Version:
    return Version(entity.name, str(entity.version), entity.run_id, dict(entity.tags))


def _quoted(name: str) -> str:
    return name.replace("'", "''")
