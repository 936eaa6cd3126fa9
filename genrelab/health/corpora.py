"""Music that was made or fetched into a store: half made, or with songs that its manifest names and that are gone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from genrelab import room
from genrelab.health import base
from genrelab.health.base import Busy, Finding

GAMES = "games"  # its packages are shared by its manifests


def examine(store: Path, training: int) -> Iterator[Finding]:
    """training: how many runs go on now, which may hear what they have not heard yet."""
    data = store / "data"
    games = data / GAMES
    for folder in base.folders(data):
        if folder != games and not folder.name.endswith(".part"):
            yield from _corpus(store, folder, training)
    for folder in base.folders(games):
        if folder.name != "packages":
            yield from _corpus(store, folder, training)
    for part in (*data.glob("*.part"), *(games / "packages").glob("*.part")):
        lock = games / "lock" if part.parent.parent == games else Path(f"{part}".removesuffix(".part") + ".lock")
        where = part.relative_to(store).as_posix()
        if not base.is_free(lock):
            yield Finding("is being made now", where, wrong=False)
            continue
        if (part / "manifest.csv").is_file():  # _corpus left it so
            yield Finding("data with gaps", where, "", "nothing: the next run that asks for it fills them", wrong=False)
            continue

        def mend(part: Path = part, lock: Path = lock) -> str:
            with base.held(lock):
                base.remove(part)
                if lock.parent == part.parent and not part.with_suffix("").exists() and not training:
                    base.remove(lock)
            return "deleted"

        size = base.amount(room.size_of(part))
        what = "half-made data: the same data=... would go on with it"
        yield Finding(what, where, size, "deletes it; made again when needed", mend)


def _corpus(store: Path, folder: Path, training: int) -> Iterator[Finding]:
    """A corpus whose manifest stands, which is written last."""
    manifest = folder / "manifest.csv"
    where = folder.relative_to(store).as_posix()
    if not manifest.is_file():
        return
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            paths = [folder / row["path"] for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        paths, lost = [], [manifest]
    else:
        lost = sorted({p for p in paths if not p.is_file() or not p.stat().st_size})
    if not lost:
        return
    fetched, packages = folder.parent.name == GAMES, folder.parent / "packages"
    named = {p.relative_to(folder).parts for p in lost} if fetched else set()  # ../packages/NAME/...
    broken = sorted({parts[2] for parts in named if len(parts) > 3 and (packages / parts[2]).is_dir()})

    def mend() -> str:
        lock = folder.parent / "lock" if fetched else Path(f"{folder}.lock")
        if training:
            raise Busy(f"{base.count(training, 'run')} in training may hear it")
        with base.held(lock):
            for path in lost:
                if path != manifest:
                    base.remove(path)  # an empty file would be taken for a song
            if fetched:  # a package that is there is not fetched again
                for name in broken:
                    base.moved(store, packages / name)
                base.remove(manifest)
            else:  # the manifest goes with it, and is written anew when all songs are there
                folder.rename(folder.with_name(f"{folder.name}.part"))
        return "made whole by the next run that asks for it"

    what = "data whose manifest names songs that are gone"
    remedy = "has the next run make what lacks" if not fetched else "has the next run fetch it again"
    n = f"{len(lost)} of {base.count(len(paths), 'song')}" if paths else "its manifest"
    yield Finding(what, where, n, remedy, mend)
