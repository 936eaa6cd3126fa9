"""Where two runs agree, song by song and genre by genre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate import metrics, weighted
from genrelab.report import artifacts

if TYPE_CHECKING:
    import pandas as pd

    from genrelab.report.pairs import Entry


@dataclass(frozen=True)
class Agreement:
    """Over all pairs of runs. Right is a song whose likeliest genre is its own, or one of its own."""

    both: int
    only_a: int
    only_b: int
    neither: int
    same: int  # songs of which both name the same genre first
    genres: dict[str, float]  # the recall of a less that of b, -1..1; with several genres a song, average precision
    songs: pd.DataFrame  # see `_songs`; those first of which one is right more often, then by the chances

    @property
    def n(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither


def agreement(pairs: Sequence[tuple[Entry, Entry]]) -> Agreement:
    """Of runs that were tested on the same songs, pair by pair."""
    import pandas as pd

    tables = [_songs(a.songs, b.songs) for a, b in pairs]
    table = pd.concat(tables, ignore_index=True)
    a, b = table["right_a"].to_numpy(bool), table["right_b"].to_numpy(bool)
    by_genre = pd.DataFrame([_genres(one.songs, two.songs) for one, two in pairs])
    whole = table.groupby("id", sort=False).agg(
        truth=("truth", "first"), a=("a", _most), b=("b", _most), chance_a=("chance_a", "mean"),
        chance_b=("chance_b", "mean"), right_a=("right_a", "mean"), right_b=("right_b", "mean"),
    )  # fmt: skip
    apart = pd.DataFrame({c: (whole[f"{c}_a"] - whole[f"{c}_b"]).abs() for c in ("right", "chance")})
    whole = whole.loc[apart.sort_values(["right", "chance"], ascending=False, kind="stable").index].reset_index()
    return Agreement(
        both=int((a & b).sum()),
        only_a=int((a & ~b).sum()),
        only_b=int((~a & b).sum()),
        neither=int((~a & ~b).sum()),
        same=int((table["a"] == table["b"]).sum()),
        genres={str(g): float(v) for g, v in by_genre.mean().items()},
        songs=whole,
    )


def _most(said: pd.Series) -> str:
    """What was said most often, the seeds' answers being several."""
    return str(said.mode().iloc[0])


def _songs(one: pd.DataFrame, two: pd.DataFrame) -> pd.DataFrame:
    """A row a song: id, truth, what each says, the chance that each gives to the truth, whether each is right."""
    import pandas as pd

    table = pd.DataFrame({"id": one["id"], "truth": one["truth"]})
    genres = np.array(artifacts.genres_of(one), dtype=object)
    several = artifacts.several(one)
    there = artifacts.present(one) if several else np.eye(len(genres), dtype=bool)[artifacts.numbers(one)]
    for name, songs in (("a", one), ("b", two)):
        chances = artifacts.chances(songs)
        first = chances.argmax(1)
        table[name] = genres[first]
        table[f"chance_{name}"] = (chances * there).sum(1) / np.maximum(there.sum(1), 1)
        table[f"right_{name}"] = there[np.arange(len(first)), first]
    return table


def _genres(one: pd.DataFrame, two: pd.DataFrame) -> dict[str, float]:
    genres = artifacts.genres_of(one)
    if artifacts.several(one):
        there, ones = artifacts.present(one), np.ones((1, len(one)))
        got = [
            [weighted.average_precision(there[:, k], p[:, k], ones)[0] for k in range(len(genres))]
            for p in (artifacts.chances(one), artifacts.chances(two))
        ]
        return dict(zip(genres, np.subtract(got[0], got[1]), strict=True))
    truth = artifacts.numbers(one)
    tables = [metrics.confusion(truth, artifacts.chances(s).argmax(1), len(genres)) for s in (one, two)]
    with np.errstate(invalid="ignore"):
        recall = [np.diagonal(t) / t.sum(1) for t in tables]
    return dict(zip(genres, recall[0] - recall[1], strict=True))
