"""What a run leaves behind: predictions, slices and pictures, as files in its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.evaluate import intervals, metrics, multilabel
from genrelab.evaluate.calibration import apply
from genrelab.types import NO_TAG

if TYPE_CHECKING:
    import pandas as pd

    from genrelab.evaluate.answers import Answers

HEARD = "heard.parquet"
P, T = "p/", "t/"  # what the columns of a probability and of its threshold begin with


def predictions(
    answers: Mapping[str, Answers],
    rule: Any,
    tracks: Sequence[Any],
    groups: Sequence[str],
    genres: Sequence[str],
) -> pd.DataFrame:
    """A row a song of each side: id, split, group keys, truth, decision, answer, probabilities, number of slices.

    `decision` names the likeliest genre, or all above their thresholds where a song may have several; `answer` is the
    same or `no tag`; p/GENRE is not calibrated; known/SCORE is higher for what the run is surer to know; t/GENRE is the
    threshold of a genre, where there are any.
    """
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
        decisions = rule.decide(said, genres)
        columns |= {
            "truth": _true(said, genres),
            "labels": ["|".join(t.genres) for t in own],
            "decision": [d.said for d in decisions],
            "answer": [d.label for d in decisions],
            "n_slices": said.n_slices,
        }
        columns |= {f"{P}{g}": said.probabilities()[:, k] for k, g in enumerate(genres)}
        columns |= {f"known/{name}": values for name, values in rule.knownness(said).items()}
        if rule.thresholds is not None:
            columns |= {f"{T}{g}": rule.thresholds[k] for k, g in enumerate(genres)}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _true(said: Answers, genres: Sequence[str]) -> list[str]:
    """The names of the true genres of (n,) songs, `no tag` for a song of none."""
    if said.several:
        return ["|".join(g for g, there in zip(genres, row, strict=True) if there) for row in said.target > 0]
    return [[*genres, NO_TAG][k] for k in said.truth]


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
            "truth": np.array(_true(said, genres), dtype=object)[said.owner],
        }
        columns |= {f"{P}{g}": said.slice_probabilities()[:, k] for k, g in enumerate(genres)}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def genres_of(frame: pd.DataFrame) -> list[str]:
    return [c.removeprefix(P) for c in frame.columns if c.startswith(P)]


def several(songs: pd.DataFrame) -> bool:
    """Whether a song may have several genres."""
    return any(c.startswith(T) for c in songs.columns)


def side_of(frame: pd.DataFrame, side: str) -> pd.DataFrame:
    """The rows of one side whose songs are of one of the genres."""
    return frame[(frame["split"] == side) & (frame["truth"] != NO_TAG)]


def chances(frame: pd.DataFrame) -> np.ndarray:
    """(n, K) probabilities."""
    return frame[[P + g for g in genres_of(frame)]].to_numpy(float)


def numbers(frame: pd.DataFrame) -> np.ndarray:
    """(n,) 0..K-1, the true genre of songs or slices that have one."""
    return frame["truth"].map({g: k for k, g in enumerate(genres_of(frame))}).to_numpy(np.int64)


def present(frame: pd.DataFrame) -> np.ndarray:
    """(n, K) bool, the true genres of songs or slices that may have several."""
    genres = genres_of(frame)
    return np.array([[g in names for g in genres] for names in frame["truth"].str.split("|", regex=False)])


def thresholds(songs: pd.DataFrame) -> np.ndarray:
    """(n, K), of the probabilities of songs that may have several genres."""
    return songs[[T + g for g in genres_of(songs)]].to_numpy(float)


def decided(songs: pd.DataFrame, side: str) -> intervals.Predictions:
    """The decisions on one side's songs, as the statistics take them: the likeliest genre, never `no tag`."""
    own = side_of(songs, side)
    return intervals.Predictions(
        ids=own["id"].tolist(),
        truth=numbers(own),
        decided=chances(own).argmax(1),
        groups=own["split_group"].to_numpy(str),
        n_classes=len(genres_of(own)),
    )


def test_intervals(
    songs: pd.DataFrame, cuts: pd.DataFrame, n_boot: int, seed: int
) -> tuple[dict[str, float], bool, dict[str, int]]:
    """`_lo` and `_hi` of the test figures; whether they are reliable; the test groups of each genre."""
    own, pieces = side_of(songs, "test"), side_of(cuts, "test")
    genres, groups = genres_of(own), own["split_group"].to_numpy(str)
    group_of = dict(zip(own["id"], groups, strict=True))
    piece_groups = pieces["id"].map(group_of).to_numpy(str)
    figures: dict[str, float] = {}
    options = {"n_boot": n_boot, "seed": seed}
    for level, frame, held in (("song", own, groups), ("slice", pieces, piece_groups)):
        if several(songs):
            cut = thresholds(own)
            cut = cut if level == "song" else cut[_rows_of(own, pieces)]
            bounds = multilabel.bootstrap(present(frame), chances(frame), cut, held, **options)
        else:
            truth, said = numbers(frame), chances(frame).argmax(1)
            found = intervals.bootstrap(truth, said, held, len(genres), **options)
            bounds = {metric: (i.lo, i.hi) for metric, i in found.items()}
        for metric, (lo, hi) in bounds.items():
            figures |= {f"test/{level}/{metric}_lo": lo, f"test/{level}/{metric}_hi": hi}
    there = present(own) if several(songs) else np.eye(len(genres), dtype=bool)[numbers(own)]
    counts = {g: len(set(groups[there[:, k]])) for k, g in enumerate(genres)}
    return figures, min(counts.values()) >= intervals.FEW_GROUPS, counts


def _rows_of(songs: pd.DataFrame, cuts: pd.DataFrame) -> np.ndarray:
    """(slices,) the row among the songs of each slice's song."""
    row = {song: i for i, song in enumerate(songs["id"])}
    return cuts["id"].map(row).to_numpy(np.int64)


def pooled(songs: pd.DataFrame, cuts: pd.DataFrame, side: str) -> dict[str, float]:
    """The figures of one side from its predictions, whichever models made them."""
    own, pieces = side_of(songs, side), side_of(cuts, side)
    figures: dict[str, float] = {}
    for level, frame in (("song", own), ("slice", pieces)):
        if several(songs):
            cut = thresholds(own)
            cut = cut if level == "song" else cut[_rows_of(own, pieces)]
            found = multilabel.scores(present(frame), chances(frame), cut)
        else:
            found = metrics.scores(numbers(frame), chances(frame))
        figures |= {f"{side}/{level}/{k}": v for k, v in found.items()}
    return figures


def difference(a: pd.DataFrame, b: pd.DataFrame, measure: str, n_boot: int, seed: int) -> intervals.Difference | None:
    """The measure of one run's test songs less that of another's; None where they tell other genres apart."""
    if genres_of(a) != genres_of(b) or several(a) != several(b):
        return None
    if not several(a):
        return intervals.difference(decided(a, "test"), decided(b, "test"), measure, n_boot=n_boot, seed=seed)
    own, other = side_of(a, "test"), side_of(b, "test")
    if set(own["id"]) != set(other["id"]):
        return None
    other = other.set_index("id").loc[own["id"]].reset_index()
    return multilabel.difference(
        present(own), chances(own), chances(other), own["split_group"].to_numpy(str), measure, n_boot=n_boot, seed=seed
    )


def save(folder: Path, songs: pd.DataFrame, cuts: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (("predictions", songs), ("slices", cuts)):
        partial = folder / f"{name}.parquet.tmp"
        frame.to_parquet(partial, index=False)
        partial.replace(folder / f"{name}.parquet")


def save_heard(
    folder: Path, songs: pd.DataFrame, cuts: pd.DataFrame, shorter: np.ndarray, lengths: Sequence[int], rule: Any
) -> None:
    """heard.parquet: a row a test song and number of slices heard from its beginning, as `predictions` has them.

    shorter: (test songs, lengths, K) log-scores. Every song stands at every length, up to the first that holds all
    songs whole; what of a length a song does not have is not in its `heard_s`.
    """
    import pandas as pd

    test, pieces = songs[songs["split"] == "test"], cuts[cuts["split"] == "test"]
    n, genres = test["n_slices"].to_numpy(), genres_of(songs)
    begin = np.cumsum(n) - n
    starts, ends = pieces["start_s"].to_numpy(), pieces["end_s"].to_numpy()
    frames = []
    for m, heard in enumerate(lengths):
        if heard // 2 >= n.max():
            break
        own = test[["id", "split", "split_group", "truth", *(c for c in test.columns if c.startswith(T))]].copy()
        own["n_slices"] = heard
        own["heard_s"] = ends[begin + np.minimum(n, heard) - 1] - starts[begin]
        p = apply(shorter[:, m], 1.0, rule.thresholds is not None)
        frames.append(own.assign(**{f"{P}{g}": p[:, k] for k, g in enumerate(genres)}))
    pd.concat(frames, ignore_index=True).to_parquet(folder / HEARD, index=False)


def pool_heard(folds: Sequence[Path], folder: Path) -> None:
    """heard.parquet of a k-fold run; the songs of a fold that are heard whole sooner stand at the lengths of others."""
    import pandas as pd

    of_fold = [pd.read_parquet(f / HEARD) for f in folds]
    lengths = sorted({int(n) for heard in of_fold for n in heard["n_slices"].unique()})
    frames = []
    for heard in of_fold:
        whole = heard[heard["n_slices"] == heard["n_slices"].max()]
        frames += [heard, *(whole.assign(n_slices=n) for n in lengths if n > whole["n_slices"].iloc[0])]
    pd.concat(frames, ignore_index=True).to_parquet(folder / HEARD, index=False)


def measured(songs: pd.DataFrame, measure: str, n_boot: int, seed: int) -> tuple[float, float, float]:
    """A measure of test songs and the ends of its interval."""
    own = side_of(songs, "test")
    groups, options = own["split_group"].to_numpy(str), {"n_boot": n_boot, "seed": seed}
    if several(songs):
        there, p, cut = present(own), chances(own), thresholds(own)
        return multilabel.scores(there, p, cut)[measure], *multilabel.bootstrap(there, p, cut, groups, **options)[
            measure
        ]
    truth, said = numbers(own), chances(own)
    found = intervals.bootstrap(truth, said.argmax(1), groups, len(genres_of(own)), **options)[measure]
    return metrics.scores(truth, said)[measure], found.lo, found.hi


def load(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    import pandas as pd

    return pd.read_parquet(folder / "predictions.parquet"), pd.read_parquet(folder / "slices.parquet")
