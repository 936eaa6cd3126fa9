"""Known collections fetched by mirdata, and their files held against its checksums."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genrelab.data.sources.collection import shown
from genrelab.types import UserError

log = logging.getLogger(__name__)


def fetched(name: str, parts: Sequence[str], folder: Path, store: Path) -> None:
    """Downloads what of a data set is not in a folder yet; names the files whose checksum is not the published one.

    name: mirdata's (Bittner et al. 2019, mirdata: software for reproducible usage of datasets); parts: of its remotes.
    The index of checksums is kept in the store.

    Raises UserError: mirdata is not installed, the server does not give it, an archive is damaged.
    """
    try:
        import mirdata
    except ImportError as error:
        raise UserError("data.download=true wants mirdata: pip install 'genrelab[mirdata]'") from error
    data = mirdata.initialize(name, data_home=str(folder))
    _index_in(data, store / "data" / "mirdata")
    try:
        if not Path(data.index_path).is_file():
            _download(data, ["index"])
        missing, damaged = _wrong(data)
        if missing:
            log.warning("%s: %d files are not in %s: fetching them", name, len(missing), folder)
            _download(data, list(parts))
            missing, damaged = _wrong(data)
    except OSError as error:  # urllib's errors are of this kind, and mirdata's for a wrong checksum
        told = " ".join(str(error).split())
        raise UserError(
            f"{name} could not be fetched ({told}): try again, or fetch it by hand into {folder}"
        ) from error
    if missing:
        log.warning("%s: %d files are still not there: %s", name, len(missing), shown(missing))
    if damaged:
        log.warning("%s: %d files are not as published: %s", name, len(damaged), shown(damaged))


def _index_in(data: Any, folder: Path) -> None:
    """mirdata keeps its indexes beside its code, where one may not write."""
    folder.mkdir(parents=True, exist_ok=True)
    index = data._index_data
    index.indexes_dir = str(folder)
    if index.remote:
        index.remote.destination_dir = str(folder)
    data.index_path = index.get_path()


def _download(data: Any, parts: list[str]) -> None:
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it warns of everything that it does
    try:
        data.download(partial_download=parts, force_overwrite=True)  # what was cut off or damaged is fetched anew
    finally:
        logging.getLogger().setLevel(level)


def _wrong(data: Any) -> tuple[list[str], list[str]]:
    """The names of the files that are missing, and of those with another checksum; sounds only."""
    from mirdata.validate import validate

    missing, damaged = [], []
    for entry in data._index["tracks"].values():
        name, checksum = entry["audio"]
        there, right = validate(str(Path(data.data_home) / name), checksum)
        if not there:
            missing.append(Path(name).name)
        elif not right:
            damaged.append(Path(name).name)
    return missing, damaged
