"""What many rows cost: `python -m tests.faults.large FILE.csv` reads a manifest and does with its tracks what a run and
an audit do before and after they hear them; prints the seconds of processor time of each, and the peak of memory."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genrelab.commands.bench.timing import resident_mb
from genrelab.data import audit
from genrelab.data.manifest import data_digest, read_manifest
from genrelab.data.split import BySlice, Grouped, KFold, crossings
from genrelab.data.split_given import FromFile, Official, write_split
from tests.parts import part


def main(path: Path) -> None:
    import sklearn.model_selection  # noqa: F401 - what is loaded later is not of the rows

    task = part("task/single")
    own_mb, spent = resident_mb("VmHWM"), {}

    def timed(what: str, do: Callable[..., Any], *given: Any) -> Any:
        begin = time.process_time()
        made = do(*given)
        spent[what] = round(time.process_time() - begin, 2)
        return made

    tracks = timed("read", read_manifest, path)
    read_mb = resident_mb("VmHWM")
    task.placed(tracks, timed("genres", task.genres, tracks))
    timed("digest", data_digest, tracks, [t.id for t in tracks])
    splitters = {
        "split=auto": Grouped("auto", 5, None),
        "split=song": Grouped("song", 5, None),
        "split=album": Grouped("album", 5, None),
        "split.test": Grouped("artist", 5, ["artist 7"]),
        "split=kfold": KFold("artist", 5),
        "split=slice": BySlice(5),
        "split=official": Official(5, None),
    }
    split = None
    for what, splitter in splitters.items():
        split = timed(what, splitter.splits, tracks, 0)[0]
        timed(f"{what}: what crosses", lambda split=split: (crossings(tracks, split), split.digest))
    timed("split.csv", write_split, split, path.with_suffix(".split"))
    timed("split=file", FromFile(str(path.with_suffix(".split"))).splits, tracks, 0)
    timed("audit: groups", audit.groups, tracks, [audit.placed(split, tracks)])
    timed("audit: sounds", audit.duplicates, [t.id[:-1] for t in tracks], [split])
    print(json.dumps({"n": len(tracks), "s": spent, "read_mb": read_mb - own_mb, "mb": resident_mb("VmHWM") - own_mb}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
