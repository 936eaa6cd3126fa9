"""What a sweep goes over where the data say it, in Hydra's words: genres, studios, rungs of the ladder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from omegaconf import OmegaConf

from genrelab import paths
from genrelab.types import Track, UserError

Made = Callable[[Any], Any]  # builds a part of its config


def _tracks(root: Any, made: Made) -> list[Track]:
    data = OmegaConf.to_container(root.data, resolve=True)
    tracks: list[Track] = made(data).tracks(paths.store_dir(root.store), lambda *_: None)
    return tracks


def each_genre(root: Any, made: Made) -> str:
    """Every genre as a list of its own: `['rap'],['rock']`."""
    data = OmegaConf.to_container(root.data, resolve=True)
    genres = data.get("genres") or sorted({str(t.genre) for t in _tracks(root, made)})  # type: ignore[union-attr]
    return ",".join(f"[{_quoted(g)}]" for g in genres)


def each_studio(root: Any, made: Made) -> str:
    """All studios together, then every one alone: `null,'A','B'`. Raises UserError where there are fewer than two."""
    studios = sorted({t.studio for t in _tracks(root, made) if t.studio})
    if len(studios) < 2:
        there = f"one, {studios[0]}" if studios else "none"
        raise UserError(f"studios are compared where songs name two or more in the column studio; here is {there}")
    return ",".join(["null", *map(_quoted, studios)])


def rungs(root: Any, made: Made) -> str:
    """The rungs of the leak ladder that the data allow: `slice,song,artist`; the others are named."""
    from genrelab.data.split import KEYS
    from genrelab.data.strangers import limited
    from genrelab.report.console import say
    from genrelab.report.ladder import RUNGS

    tracks, there = limited([t for t in _tracks(root, made) if t.genres], root.limit_songs), []
    for rung in RUNGS:
        part: Any = OmegaConf.load(paths.conf_dir() / "split" / f"{rung}.yaml")
        part["n_folds"] = root.split.get("n_folds") or part["n_folds"]
        try:
            made(part).splits(tracks, root.split_seed)
            there.append(rung)
        except UserError as error:
            lacks = rung in KEYS and not any(getattr(t, rung) for t in tracks)
            say(f"no {rung} column: that rung is left out" if lacks else f"the rung {rung} is left out: {error}")
    return ",".join(there)


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "\\'") + "'"


OF_DATA: dict[str, Callable[..., str]] = {"each_genre": each_genre, "each_studio": each_studio, "rungs": rungs}
