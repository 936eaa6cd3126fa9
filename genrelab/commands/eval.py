"""`eval RUN data=...`: a finished run on another collection, all of whose songs are test songs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths, words
from genrelab.report.console import BAR, show
from genrelab.types import GROUP_KEYS, NO_TAG, UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from genrelab.compose import Config, Prepared, Restored
    from genrelab.data.sources.mapped import Mapped
    from genrelab.data.split import Split
    from genrelab.evaluate.answers import Answers
    from genrelab.evaluate.intervals import Difference
    from genrelab.track import Record

BATCH = 16  # songs at a time
TAKEN = "data=, data.KEY=, data.map=FILE.yaml, limit_songs= and store="


@dataclass(frozen=True)
class Collection:
    """The songs that a run is asked about, with their truth in the run's genres."""

    prepared: Prepared
    split: Split  # all of them test songs; its groups are what intervals are drawn over
    notes: tuple[str, ...]


def run(
    run: Annotated[str, typer.Argument(help="The run: an id, a name, last or best.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="The collection, as training takes it: data=manifest data.path=FILE.csv data.map=MAP.yaml"),
    ] = None,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Keep songs of genres that the run lacks; no tag is their right answer.")
    ] = False,
) -> int:
    """Test a finished run on another collection, of a k-fold run the fold that is best on validation."""
    from genrelab import compose, revisit
    from genrelab.data.sources.mapped import Mapped, read_map

    given = list(overrides or [])
    _only_data(given)
    store = paths.store_dir()
    record, models = revisit.whole(store, run)
    model = max(models, key=lambda m: m.chosen_by or 0.0)
    own = revisit.config_of(model, store)
    mapping = words.value_of(given, "data.map")
    names = read_map(Path(mapping).expanduser()) if mapping else {}
    others = [w for w in given if w.partition("=")[0] != "data.map"]
    made = compose.composed([*others, f"sample_rate={own['sample_rate']}"])
    asked = compose.restore(model.folder)
    mapped = {"_target_": f"{Mapped.__module__}.Mapped", "source": made["data"], "names": names}
    mapped |= {"genres": list(asked.model.genres), "unknown": unknown}
    config = own | {"data": mapped, "limit_songs": made["limit_songs"]}
    config |= {"choices": own["choices"] | {"data": made["choices"]["data"]}, "overrides": others}
    source: Mapped = compose.instantiate(mapped)
    source.tracks(store, BAR)  # what does not fit is said before anything is heard
    collection = _collection(config, source, model, own, asked)
    said = _answers(asked, collection)
    marks = {"data": source.name, "data_digest": collection.prepared.digest, "choice": made["choices"]["data"]}
    if mapping:
        marks["map"] = ", ".join(f"{a}: {b}" for a, b in names.items())
    with revisit.below(record, config, "eval", marks) as child:
        _report(child, record, model, config, collection, asked, said)
    return 0


def _only_data(given: Sequence[str]) -> None:
    """Raises UserError for a word that is not about the collection."""
    for word in given:
        key = word.partition("=")[0].lstrip("+~")
        if key.partition(".")[0] not in ("data", "limit_songs"):
            raise UserError(f"{word}: all but the songs comes from the run; eval takes {TAKEN}")
    if not any(w.partition("=")[0] == "data" for w in given):
        raise UserError("eval wants the other collection: data=manifest data.path=FILE.csv, data=folder data.path=DIR")


def _collection(config: Config, source: Mapped, model: Record, trained: Config, asked: Restored) -> Collection:
    """The collection without what the run has learned from. Raises UserError where nothing is left."""
    import numpy as np

    from genrelab.data.split import Split

    prepared = _prepared(config, asked)
    labels = prepared.labels
    notes = []
    if source.left_out:
        n = sum(source.left_out.values())
        listed = ", ".join(f"{g} {k}" for g, k in sorted(source.left_out.items()))
        notes.append(f"left out, genres that the run lacks: {n} songs ({listed})")
    learned, remark = _learned(model, trained)
    if remark:
        notes.append(remark)
    held = np.array([key in learned for key in prepared.pictures.keys])
    if held.all():
        raise UserError(f"all {len(held)} songs of {source.name} are among those that the run has learned from")
    if held.any():
        notes.append(f"left out, since the run has learned from them: {int(held.sum())} of {len(held)} songs")
    if not (labels.known & ~held).any():
        raise UserError(f"of {source.name} the run has learned from every song of its genres: none is left to test")
    if prepared.unusable:
        notes.append(f"{len(prepared.unusable)} tracks could not be used and were left out")
    by, groups = _groups(prepared, ~held & labels.known)
    ids = tuple(t.id for t in prepared.tracks)
    split = Split(by, ids, tuple("unused" if h else "test" for h in held), groups, 0, ())
    return Collection(prepared, split, tuple(notes))


def _prepared(config: Config, asked: Restored) -> Prepared:
    """The songs, heard and cut as the run's were, with their truth in its genres."""
    from genrelab import compose

    task = compose.instantiate(config["task"])
    placed = {"_target_": "genrelab.task.multi.Multi" if task.several else "genrelab.task.single.Single"}
    placed |= {k: v for k, v in config["task"].items() if k not in ("_target_", "unknown")}
    prepared = compose.prepare(config | {"task": placed}, BAR)
    return replace(prepared, labels=task.placed(prepared.tracks, asked.model.genres))


def _learned(model: Record, trained: Config) -> tuple[set[str], str]:
    """The names of the sounds that the run was trained or chosen on, and a remark where they cannot be told."""
    from genrelab import compose, revisit

    try:
        prepared = compose.prepare(trained, BAR)
    except UserError as error:
        return set(), f"whether the run has learned from some of these songs is not known: {error}"
    sides = revisit.sides(model)["side"]
    tested = set(sides.index[sides.isin(["test", "unused"])])
    known = set(sides.index)
    return {
        key
        for t, key in zip(prepared.tracks, prepared.pictures.keys, strict=True)
        if t.id in known and t.id not in tested
    }, ""


def _groups(prepared: Prepared, asked: np.ndarray) -> tuple[str, tuple[str, ...]]:
    """What songs may share, the coarsest of which every genre has two; else each song stands for itself."""
    import numpy as np

    from genrelab.evaluate.groups import song_groups

    ids = [t.id for t in prepared.tracks]
    truth = prepared.labels.truth
    for key in GROUP_KEYS:
        values = [getattr(t, key) for t in prepared.tracks]
        if not any(values):
            continue
        groups = song_groups(values, ids)
        if all(len(np.unique(groups[asked & (truth == k)])) > 1 for k in np.unique(truth[asked])):
            return key, tuple(groups.tolist())
    return "song", tuple(ids)


def _answers(asked: Restored, collection: Collection) -> Answers:
    """What the run says of every song of the collection."""
    import torch

    from genrelab.data.module import SongSlices
    from genrelab.evaluate.answers import Answers

    model, prepared = asked.model, collection.prepared
    parts = (prepared.pictures, prepared.spans, prepared.labels, collection.split, "test")
    songs, made = SongSlices(*parts, prepared.slicer, prepared.front, 0), []
    for begin in range(0, len(songs), BATCH):
        batch = songs.__getitems__(range(begin, min(begin + BATCH, len(songs))))
        about = {k: batch[k] for k in ("index", "truth", "target")}
        with torch.no_grad():
            scores = model.tell(batch["x"], batch["n_slices"], batch.get("places"))
            made.append(model.answers(scores, batch["n_slices"], **about))
        BAR("testing", min(begin + BATCH, len(songs)), len(songs))
    return Answers.joined(made)


def _report(
    child: Any,
    record: Record,
    model: Record,
    config: Config,
    collection: Collection,
    asked: Restored,
    said: Answers,
) -> None:
    """Tables, pictures and figures, with the run's own test figure beside."""
    from genrelab.evaluate.intervals import FEW_GROUPS
    from genrelab.report import artifacts
    from genrelab.report.table import run_table
    from genrelab.runs import commonest, draw_confusion, measure_of, save_config

    prepared, split = collection.prepared, collection.split
    save_config(child, config)
    songs = artifacts.predictions({"test": said}, asked.rule, prepared.tracks, split.groups, prepared.genres)
    spans = {"test": [prepared.spans[i] for i in said.index]}
    cuts = artifacts.slices({"test": said}, prepared.tracks, spans, prepared.genres)
    artifacts.save(child.folder, songs, cuts)
    figures = artifacts.pooled(songs, cuts, "test")
    bounds, _, counts = artifacts.test_intervals(songs, cuts, config["trainer"]["n_boot"], config["seed"])
    counts = {g: n for g, n in counts.items() if n}
    measure = measure_of(config)
    own, _ = artifacts.load(model.folder)
    first, second, d = _beside(songs, own, measure, config)
    refused = _refused(songs)
    target = prepared.labels.target[said.of_known.index]
    draw_confusion(songs, child.folder / "pictures", f"{record.name} on {prepared.name}")
    more = {"eval/difference": d.points, "eval/difference_lo": d.lo, "eval/difference_hi": d.hi} if d else {}
    more |= {f"eval/refused/{k}": v for k, v in refused.items()} | {"songs/test": float(len(songs))}
    child.metrics({k: v for k, v in (figures | bounds | more).items() if not math.isnan(v)})
    by = f"groups ({split.kind}): " + ", ".join(f"{g} {n}" for g, n in counts.items())
    unreliable = ["unreliable: a genre has fewer than 5 groups"] if min(counts.values()) < FEW_GROUPS else []
    says = ", ".join(f"{100 * v:.1f} % of songs of {k} genres" for k, v in refused.items())
    notes = [*collection.notes, by, *unreliable, f"no tag: {says}", *_compared(first, second, d, measure)]
    baseline = commonest(target, target, measure)
    title = f"{record.name} ({record.id[:8]}) on {prepared.name}: {len(songs)} songs"
    show(run_table(title, figures | bounds, baseline, {}, notes))


def _beside(
    songs: pd.DataFrame, own: pd.DataFrame, measure: str, config: Config
) -> tuple[float, float, Difference | None]:
    """The measure here, that of the run's own test songs, and the difference; over the genres that both have."""
    from genrelab.evaluate import intervals
    from genrelab.report import artifacts

    options = {"n_boot": config["trainer"]["n_boot"], "seed": config["seed"]}
    if artifacts.several(songs):
        here, there = (artifacts.measured(s, measure, **options)[0] for s in (songs, own))
        return here, there, None
    tested = [artifacts.side_of(s, "test") for s in (songs, own)]
    both = set(tested[0]["truth"]) & set(tested[1]["truth"])
    if len(both) < 2:
        return float("nan"), float("nan"), None
    shared = [s[s["truth"].isin(both)] for s in tested]
    here, there = (artifacts.measured(s, measure, **options)[0] for s in shared)
    a, b = (artifacts.decided(s, "test") for s in shared)
    a = replace(a, ids=[f"here/{i}" for i in a.ids])  # a song here is another than one there, whatever its name
    return here, there, intervals.difference(a, b, measure, **options)


def _compared(here: float, there: float, d: Difference | None, measure: str) -> list[str]:
    """The run's own test figure beside the one here."""
    from genrelab.report.table import NAMES, percent

    if math.isnan(here):
        return ["its own test songs share fewer than two genres with these: there is nothing to compare"]
    line = f"{NAMES[measure]} per song {percent(here)}, on its own test songs {percent(there)}"
    if d is None:
        return [line]
    word = "" if d.reliable else ", unreliable"
    ends = f"[{percent(d.lo)}, {percent(d.hi)}]"
    return [f"{line} over the genres that both have: {100 * d.points:+.1f} points {ends}, unpaired{word}"]


def _refused(songs: pd.DataFrame) -> dict[str, float]:
    """The share of the songs that gets no tag by the run's rule: of its genres, and of others."""
    found = {}
    for name, rows in (("known", songs["truth"] != NO_TAG), ("other", songs["truth"] == NO_TAG)):
        if rows.any():
            found[name] = float((songs["answer"][rows] == NO_TAG).mean())
    return found
