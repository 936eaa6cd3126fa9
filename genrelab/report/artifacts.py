"""What a run leaves behind: predictions, slices and pictures, as files in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.evaluate import intervals, metrics

if TYPE_CHECKING:
    import pandas as pd

P = "p/"  # what a probability's column begins with


def predictions(
    answers: Mapping[str, Any], tracks: Sequence[Any], groups: Sequence[str], genres: Sequence[str]
) -> pd.DataFrame:
    """A row a song of each side: id, split, group keys, truth, decision, probabilities, number of slices."""
    import pandas as pd

    frames = []
    for side, said in answers.items():
        own = [tracks[i] for i in said.index]
        columns: dict[str, Any] = {
            "id": [t.id for t in own],
            "split": side,
            "split_group": [groups[i] for i in said.index],
        }
        for key in ("group", "artist", "album", "track", "studio"):
            columns[key] = [getattr(t, key) for t in own]
        columns |= {
            "truth": [genres[k] for k in said.truth],
            "decision": [genres[k] for k in said.song.argmax(1)],
            "n_slices": said.n_slices,
        }
        columns |= {f"{P}{g}": said.song[:, k] for k, g in enumerate(genres)}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def slices(
    answers: Mapping[str, Any], tracks: Sequence[Any], spans: Mapping[str, Sequence[Any]], genres: Sequence[str]
) -> pd.DataFrame:
    """A row a slice of each side: song, start and end in seconds, truth, probabilities; `spans` as the answers."""
    import pandas as pd

    frames = []
    for side, said in answers.items():
        times = np.concatenate([np.asarray(s) for s in spans[side]])
        columns: dict[str, Any] = {
            "id": np.repeat([tracks[i].id for i in said.index], said.n_slices),
            "split": side,
            "start_s": times[:, 0],
            "end_s": times[:, 1],
            "truth": [genres[k] for k in said.slice_truth],
        }
        columns |= {f"{P}{g}": said.slice[:, k] for k, g in enumerate(genres)}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def genres_of(songs: pd.DataFrame) -> list[str]:
    return [c.removeprefix(P) for c in songs.columns if c.startswith(P)]


def decided(songs: pd.DataFrame, side: str) -> intervals.Predictions:
    """The decisions on one side's songs, as the statistics take them."""
    genres, own = genres_of(songs), songs[songs["split"] == side]
    number = {g: k for k, g in enumerate(genres)}
    return intervals.Predictions(
        ids=own["id"].tolist(),
        truth=own["truth"].map(number).to_numpy(np.int64),
        decided=own["decision"].map(number).fillna(len(genres)).to_numpy(np.int64),
        groups=own["split_group"].to_numpy(str),
        n_classes=len(genres),
    )


def test_intervals(
    songs: pd.DataFrame, cuts: pd.DataFrame, n_boot: int, seed: int
) -> tuple[dict[str, float], bool, dict[str, int]]:
    """`_lo` and `_hi` of the test figures; whether they are reliable; the test groups of each genre."""
    genres, own = genres_of(songs), decided(songs, "test")
    figures: dict[str, float] = {}
    per_song = intervals.bootstrap(own.truth, own.decided, own.groups, len(genres), n_boot=n_boot, seed=seed)
    test = cuts[cuts["split"] == "test"]
    group_of = dict(zip(own.ids, own.groups, strict=True))
    slice_truth = test["truth"].map({g: k for k, g in enumerate(genres)}).to_numpy(np.int64)
    slice_decided = test[[P + g for g in genres]].to_numpy().argmax(1)
    groups = test["id"].map(group_of).to_numpy(str)
    per_slice = intervals.bootstrap(slice_truth, slice_decided, groups, len(genres), n_boot=n_boot, seed=seed)
    for level, found in (("song", per_song), ("slice", per_slice)):
        for metric, interval in found.items():
            figures |= {f"test/{level}/{metric}_lo": interval.lo, f"test/{level}/{metric}_hi": interval.hi}
    counts = {g: len(set(own.groups[own.truth == k])) for k, g in enumerate(genres)}
    return figures, all(i.reliable for i in per_song.values()), counts


def pooled(songs: pd.DataFrame, cuts: pd.DataFrame, side: str) -> dict[str, float]:
    """The figures of one side from its predictions, whichever models made them."""
    genres = genres_of(songs)
    number, columns = {g: k for k, g in enumerate(genres)}, [P + g for g in genres]
    figures: dict[str, float] = {}
    for level, frame in (("song", songs), ("slice", cuts)):
        own = frame[frame["split"] == side]
        found = metrics.scores(own["truth"].map(number).to_numpy(np.int64), own[columns].to_numpy())
        figures |= {f"{side}/{level}/{k}": v for k, v in found.items()}
    return figures


def save(folder: Path, songs: pd.DataFrame, cuts: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("predictions", songs), ("slices", cuts)):
        partial = folder / f"{name}.parquet.tmp"
        frame.to_parquet(partial, index=False)
        partial.replace(folder / f"{name}.parquet")


def load(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    return pd.read_parquet(folder / "predictions.parquet"), pd.read_parquet(folder / "slices.parquet")
