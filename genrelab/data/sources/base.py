"""What every source of songs has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from genrelab.data.grids import checked
from genrelab.data.manifest import read_manifest
from genrelab.data.sources.audio import audio_files
from genrelab.types import Track, UserError

DEEPEST, MOST_NAMES = 50, 100_000  # of a user's yaml


class Source:
    """Where songs come from. `beats`: which beat grid counts; `unknown`: a folder or a manifest of songs of no genre;
    `tree`: a yaml of nested genres."""

    def __init__(self, beats: str, unknown: str | None, tree: str | None) -> None:
        self.beats = checked(beats)
        self._unknown, self._tree = unknown, tree

    @property
    def name(self) -> str:
        """What the runs are filed under."""
        raise NotImplementedError

    def tracks(self, store: Path, progress: Any) -> list[Track]:
        """The songs. Raises UserError where they cannot be told."""
        raise NotImplementedError

    def strangers(self) -> list[Track]:
        """The songs of `data.unknown`, without a genre. Raises UserError where there are none."""
        if self._unknown is None:
            return []
        path = Path(self._unknown).expanduser().absolute()
        if path.is_dir():
            files = audio_files(path)
            if not files:
                raise UserError(f"data.unknown={path}: no audio file in this folder")
            ids = [file.relative_to(path).as_posix() for file in files]
            return [Track(f"unknown/{name}", file, ()) for name, file in zip(ids, files, strict=True)]
        if not path.exists():
            raise UserError(f"data.unknown={path} does not exist: give a folder or a manifest of songs of no genre")
        return [replace(t, id=f"unknown/{t.id}") for t in read_manifest(path, labelled=False)]

    def tree(self) -> Any:
        """The nested genres of `data.tree` as the yaml has them, or None. Raises UserError where it is no yaml."""
        if self._tree is None:
            return None
        path = Path(self._tree).expanduser().absolute()
        return read_yaml(path, "data.tree", "a yaml of nested genres (electronic: [house, techno])")


def read_yaml(path: Path, key: str, holds: str) -> Any:
    """What a user's yaml holds. Raises UserError, also where it refers to itself or nests without end."""
    import yaml

    if not path.is_file():
        raise UserError(f"{key}={path} is no file: give {holds}")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:  # ValueError: not UTF-8, or the 99th of May
        why = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise UserError(f"{key}={path} is no yaml ({why}): correct it") from error
    layer, depth, n = [found], 0, 0
    while layer:
        layer = [c for node in layer for c in _inside(node)]
        depth, n = depth + 1, n + len(layer)
        if depth > DEEPEST or n > MOST_NAMES:
            raise UserError(f"{key}={path} refers to itself, or nests too deeply: give {holds}")
    return found


def _inside(node: Any) -> list[Any]:
    return [*node.keys(), *node.values()] if isinstance(node, dict) else node if isinstance(node, list) else []


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The manifest.csv of a corpus that is made in the store, by `make(PART)` where it is not there yet.

    The corpus gathers in a folder beside, which takes its name only when the manifest, written last, is in it. A killed
    run leaves that folder, and the next one makes what it lacks.
    """
    manifest = folder / "manifest.csv"
    if manifest.is_file():
        return manifest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not manifest.is_file():  # another process may have made it while this one waited
            part = folder.with_name(f"{folder.name}.part")
            make(part)
            part.rename(folder)
    return manifest
