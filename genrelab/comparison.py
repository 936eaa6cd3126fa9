"""Finished runs as a comparison takes them, by what the store and their own files know; and where its results go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrelab import compose
from genrelab.types import MEASURE, digest

if TYPE_CHECKING:
    from genrelab.report.compare import Outcome
    from genrelab.report.pairs import Entry
    from genrelab.track import Record, Run


def of_record(record: Record) -> Entry:
    """A run of the store. Raises UserError where its files are gone."""
    measure = record.tags.get("measure", MEASURE)
    return _entry(record.name, record.id, record.folder, record.metrics, measure, record.tags)


def of_row(row: Mapping[str, Any], tags: Mapping[str, str]) -> Entry:
    """A row of a sweep (see `sweep.row`); tags: of its run, none where it is not tracked."""
    return _entry(row["name"], row["run_id"], Path(row["folder"]), row["figures"], row["measure"], tags)


def _entry(
    name: str, run_id: str, folder: Path, figures: Mapping[str, float], measure: str, tags: Mapping[str, str]
) -> Entry:
    from genrelab.report.pairs import Entry

    config = compose.load_config(folder)
    identity = compose.identity(config)
    own = {k: v for k, v in identity.items() if k not in ("seed", "split_seed", "choices", "overrides")}
    return Entry(
        name=name,
        id=run_id,
        folder=folder,
        seed=int(config["seed"]),
        split=tags.get("split_digest") or split_of(folder),
        data=tags.get("data_digest") or digest(identity["data"], config["limit_songs"]),
        arm=digest(own),
        words=tuple(config["overrides"]),
        measure=measure,
        figures=figures,
    )


def split_of(folder: Path) -> str:
    """A name for a run's split where no tag gives it: who lies on which side, or on which fold."""
    import pandas as pd

    if (folder / "split.csv").is_file():
        sides = pd.read_csv(folder / "split.csv", dtype=str, keep_default_na=False)
        kind, *random = (str(sides[c].iloc[0]) for c in ("kind", "seed", "n_folds"))
        return digest(sorted(zip(sides["id"], sides["side"], strict=True)), random if kind == "slice" else [])
    songs = pd.read_parquet(folder / "predictions.parquet")
    kept = ["id", "split", *(c for c in songs.columns if c == "fold")]
    return digest(sorted(map(list, songs[kept].astype(str).itertuples(index=False))))


def told(
    outcome: Outcome, folder: Path, title: str, facts: Sequence[tuple[str, str]], command: str, run: Run | None = None
) -> list[Any]:
    """Writes page, CSV and pictures into `folder`, and the figures to the sweep's run; returns what there is to show.

    title: of the page; facts: (what, value) that stand on it; command: what makes it again.
    """
    from genrelab.report import compare_page, verdicts
    from genrelab.report.agreement import agreement

    if not outcome.versus:
        return ["\n".join([f"not compared: {outcome.nothing}", *outcome.notes, *outcome.across])]
    agreements = [agreement(v.pairs) for v in outcome.versus]
    page = compare_page.save(outcome, agreements, folder, title, facts, command)
    said = verdicts.verdict(outcome)
    if run is not None:
        run.metrics(verdicts.figures(outcome))
        run.note({"comparison": said})
    return [*verdicts.shown(outcome, agreements), f"page: {page}"]
