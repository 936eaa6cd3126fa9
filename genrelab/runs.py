"""One run from a config to what MLflow keeps of it: on one split, or on k folds with a child for each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genrelab import __version__, cards, compose, environment, shards, sweep
from genrelab.data.manifest import manifest_rows, write_left_out
from genrelab.report.console import BAR, say, show
from genrelab.report.table import NAMES
from genrelab.types import digest

OPEN: list[Any] = []  # the runs of this process that are not ended yet


def train(config: compose.Config, tracker: Any, resumed: Any = None) -> dict[str, Any]:
    """One run on one split, or a k-fold run with a child for every fold; returns its row."""
    from genrelab.report.table import unusable_table
    from genrelab.stacked import inherited

    cards.check(config)
    shards.unasked(config)
    config = inherited(config)
    prepared = compose.prepare(config, BAR)
    if prepared.unusable:
        show(unusable_table(prepared.unusable))
    splits = compose.splits(config, prepared)
    for note in dict.fromkeys(n for s in splits for n in s.notes):
        say(note)
    if len(splits) == 1:
        return one(config, prepared, splits[0], tracker, resumed)
    return folds(config, prepared, splits, tracker, resumed)


def one(
    config: compose.Config,
    prepared: Any,
    split: Any,
    tracker: Any,
    resumed: Any = None,
    parent: str = "",
    quiet: bool = False,
) -> dict[str, Any]:
    """Trains, tests and logs one model on one split."""
    from genrelab import findings, registry
    from genrelab.data import known
    from genrelab.data.split import crossings
    from genrelab.data.split_given import write_split
    from genrelab.fit import fit
    from genrelab.front.base import Learned
    from genrelab.model import LENGTHS
    from genrelab.report import artifacts, pictures, style
    from genrelab.report.filters import filters_picture
    from genrelab.report.table import run_table

    fold = "" if split.fold is None else f"-fold{split.fold}"
    name, measure = run_name(config, split.kind) + fold, measure_of(config)
    marks = tags(config, kind="fold" if fold else "run", parent=parent)
    marks |= {"split": split.kind, "split_digest": split.digest} | ({"fold": split.fold} if fold else {})
    run = begin(config, prepared, tracker, name, marks | {"leak_audit": audit(prepared, split)}, resumed)
    write_split(split, run.folder / "split.csv")
    say(
        f"run {name}{f' ({run.id[:8]})' if run.id else ''}: {len(prepared.tracks)} songs, {len(prepared.genres)} genres"
    )

    fitted = fit(config, prepared, split, run, BAR, resume=resumed is not None, say=say)

    run.note({"config_hash": config_hash(config, fitted.precision)})
    fitted.rule.save(run.folder / compose.RULE)
    known.save(run.folder, [prepared.tracks[i] for i in fitted.answers["train"].of_known.index])
    heard = {side: fitted.answers[side] for side in ("val", "test")}
    songs = artifacts.predictions(heard, fitted.rule, prepared.tracks, split.groups, prepared.genres)
    spans = {side: [prepared.spans[i][d.own(i)] for i in d.songs] for side, d in fitted.sides.items()}
    cuts = artifacts.slices(heard, prepared.tracks, spans, prepared.genres)
    artifacts.save(run.folder, songs, cuts)
    artifacts.save_heard(run.folder, songs, cuts, fitted.shorter, LENGTHS, fitted.rule)
    bounds, reliable, groups = artifacts.test_intervals(songs, cuts, config["trainer"]["n_boot"], config["seed"])
    labels = prepared.labels
    learnt, asked = (labels.target[fitted.answers[side].of_known.index] for side in ("train", "test"))
    baseline = commonest(learnt, asked, measure)
    folder = run.folder / "pictures"
    found = findings.of_run(config, prepared, split, fitted, songs, folder, name)
    more, remarks, tables = findings.gathered(found)
    figures = fitted.figures | bounds | more
    said = {f"baseline/majority/{k}": v for k, v in baseline.items()} | {"songs/unusable": len(prepared.unusable)}
    said |= {f"songs/{side}": len(data) for side, data in fitted.sides.items()}
    if prepared.slicer.needs_beats:
        said["songs/off_beat"] = prepared.n_off_beat
    cost = fitted.cost | {"cost/data_s": prepared.seconds}
    run.metrics(figures | cost | said, step=len(fitted.history))

    draw_confusion(songs, folder, name)
    if fitted.history:
        style.save(pictures.curves_picture(fitted.history, fitted.kept, measure), folder / "curves.png")
    seen, titles = examples(fitted, prepared)
    lengths = [float(s[1] - s[0]) for s in (prepared.spans[i][0] for i in _first_of_each(fitted, prepared))]
    drawing = pictures.slices_picture(seen, prepared.front.bin_hz, lengths, titles, prepared.front.unit)
    style.save(drawing, folder / "slices.png")

    learned = fitted.model.front
    if isinstance(learned, Learned):
        fresh: Any = compose.build(config, prepared.genres, fitted.model.several).front
        drawing = filters_picture(*learned.filters(), f"{name}: filters", fresh.filters())
        style.save(drawing, folder / "filters.png")

    row = sweep.row(name, run.id, run.folder, figures | cost, config["overrides"], measure)
    if run.client:
        registry.clear(run.folder)
        registry.save(run)
    told = cards.Told(run, config, prepared, [split], songs, cuts, figures | cost | said, groups)
    cards.of_run(told, fitted, (seen, titles))
    describe(run, figures | said, config, reliable)
    run.finish()
    OPEN.remove(run)
    if os.environ.get(sweep.FOLDER) and not quiet:
        say(f"{name}: {NAMES[measure]} per song {100 * figures[f'test/song/{measure}']:.1f} %")
        for line in (*described(config, prepared), *remarks):
            say(f"  {line}")
    elif not quiet:
        notes = described(config, prepared)
        notes += ["groups in the test set: " + ", ".join(f"{g} {n}" for g, n in groups.items())]
        if not reliable:
            notes.append(
                "unreliable: a genre has fewer than 5 groups in the test set; split=kfold pools every song out of fold"
            )
        crossed = crossings(prepared.tracks, split)
        if any(crossed.values()):
            notes.append("on two sides of the split: " + ", ".join(f"{k} {n}" for k, n in crossed.items() if n))
        if prepared.unusable:
            notes.append(f"{len(prepared.unusable)} tracks could not be used and were left out")
        show(run_table(title(name, prepared.name, run), figures, baseline, cost, [*notes, *remarks]))
        for table in tables:
            show("")
            show(table)
    return row


def measure_of(config: compose.Config) -> str:
    """The metric that runs of this task are ordered by."""
    return str(compose.instantiate(config["task"]).measure)


def commonest(train: Any, test: Any, measure: str) -> dict[str, float]:
    """The test figures of always saying what is commonest in training: what a run has to beat. Targets are (n, K)."""
    import numpy as np

    from genrelab.evaluate import multilabel
    from genrelab.evaluate.metrics import majority
    from genrelab.types import MEASURE

    if measure == MEASURE:
        return majority(train.argmax(1), test.argmax(1), test.shape[1])
    share = (train > 0).mean(0)
    return multilabel.scores(test > 0, np.tile(share, (len(test), 1)), np.full(len(share), 0.5))


def draw_confusion(songs: Any, folder: Path, name: str, of: str = "test songs") -> None:
    """The confusion of the test songs that have one genre, and what is said of those that have none."""
    from genrelab.evaluate.metrics import confusion
    from genrelab.report import artifacts, pictures, style

    if artifacts.several(songs):
        return
    said = artifacts.decided(songs, "test")
    genres = artifacts.genres_of(songs)
    table = confusion(said.truth, said.decided, said.n_classes)
    style.save(pictures.confusion_picture(table, genres, f"{name}: {len(said.truth)} {of}"), folder / "confusion.png")


def described(config: compose.Config, prepared: Any) -> list[str]:
    """What the run's pictures are, and how many songs were cut at their beats."""
    from genrelab.front.resolution import sentence

    choices = config["choices"]
    lines = [f"front={choices['front']}: {sentence(prepared.front)}"]
    if prepared.slicer.needs_beats:
        n, n_off = len(prepared.tracks), prepared.n_off_beat
        lines.append(f"slice={choices['slice']}: {n - n_off} of {n} songs cut at their beats, {n_off} in fixed windows")
    return lines


def begin(
    config: compose.Config, prepared: Any, tracker: Any, name: str, marks: dict[str, object], resumed: Any
) -> Any:
    """A run with its tags, config, parameters and data set; or the resumed one."""
    from genrelab.report import notes

    marks |= {"data": prepared.name, "data_digest": prepared.digest}
    run = tracker.begin(Path(config["store"]), prepared.name, name, marks, resume=resumed.id if resumed else None)
    OPEN.append(run)
    save_config(run, config)  # first: without it nobody can go on with the run
    run.note({"genrelab": __version__})
    if prepared.unusable:
        write_left_out(prepared.unusable, run.folder / "left_out.csv")
    if marks["kind"] == "kfold":  # it trains nothing itself; of the others, `fit` knows the threads
        environment.save(run.folder, environment.current(environment.threads_of(config["trainer"], run.tags)))
    about = (prepared.name, prepared.tracks, prepared.genres, prepared.digest, run.tags["measure"])
    run.describe_data(notes.of_data(*about))
    # of a run that goes on, too, what it lacks: it may have been killed before this
    known = run.client.get_run(run.id).data.params if resumed and run.client else {}
    run.params({k: v for k, v in flat(compose.identity(config)).items() if k not in known})
    (row,) = manifest_rows(prepared.tracks[:1])
    run.dataset(row, len(prepared.tracks), prepared.name, prepared.digest)
    return run


def describe(run: Any, figures: dict[str, float], config: compose.Config, reliable: bool) -> None:
    """Its description, when all else of it is there."""
    from genrelab.baselines import WORDS
    from genrelab.report import notes

    command, card = cards.words(config), run.link("card.html")
    run.describe(notes.of_run(run.tags, figures, command, WORDS, card, reliable))


def folds(config: compose.Config, prepared: Any, splits: Sequence[Any], tracker: Any, resumed: Any) -> dict[str, Any]:
    """Trains a model a fold, each a child run; all songs count, each decided by the model that never saw it."""
    import pandas as pd

    from genrelab import findings, track
    from genrelab.report import artifacts, style
    from genrelab.report import folds as by_fold
    from genrelab.report.table import run_table

    name = run_name(config, "kfold")
    marks = tags(config, kind="kfold") | {"split": "kfold", "split_by": splits[0].kind}
    marks |= {"split_digest": digest([s.digest for s in splits])}
    marks |= {
        "leak_audit": audit(prepared, *splits),
        "config_hash": config_hash(config, config["trainer"]["precision"]),
    }
    parent = begin(config, prepared, tracker, name, marks, resumed)
    known = {c.tags.get("fold"): c for c in track.children(Path(config["store"]), parent.id)} if resumed else {}
    rows, measure = [], measure_of(config)
    for split in splits:
        child = known.get(str(split.fold))
        if child and child.status == "FINISHED":
            rows.append(sweep.row(child.name, child.id, child.folder, child.metrics, config["overrides"], measure))
            continue
        rows.append(one(config, prepared, split, tracker, child, parent.id, quiet=True))
        reached = 100 * rows[-1]["figures"][f"test/song/{measure}"]
        say(f"fold {split.fold + 1} of {len(splits)}: {NAMES[measure]} per song {reached:.1f} %")
    loaded = [artifacts.load(Path(r["folder"])) for r in rows]
    songs, cuts = (
        pd.concat([part[k].assign(**{by_fold.FOLD: f}) for f, part in enumerate(loaded)], ignore_index=True)
        for k in (0, 1)
    )
    artifacts.save(parent.folder, songs, cuts)
    artifacts.pool_heard([Path(r["folder"]) for r in rows], parent.folder)
    figures = artifacts.pooled(songs, cuts, "val") | artifacts.pooled(songs, cuts, "test")
    bounds, reliable, groups = artifacts.test_intervals(songs, cuts, config["trainer"]["n_boot"], config["seed"])
    target = prepared.labels.target[prepared.labels.known]
    baseline = commonest(target, target, measure)
    folder = parent.folder / "pictures"
    options = {"n_boot": config["trainer"]["n_boot"], "seed": config["seed"]}
    found = [findings.trivial(config, prepared, splits, songs), *findings.of_songs(songs, prepared, options, folder)]
    more, remarks, tables = findings.gathered(found)
    figures |= more
    costs = (
        "cost/parameters",
        "cost/mflop_per_slice",
        "cost/front_x_realtime",
        "cost/slices_per_s",
        "cost/peak_rss_mb",
    )
    cost = {k: max(r["figures"][k] for r in rows) for k in costs}
    cost["cost/train_s"] = sum(r["figures"]["cost/train_s"] for r in rows)
    said = {f"baseline/majority/{k}": v for k, v in baseline.items()} | by_fold.figures(rows, measure)
    said |= by_fold.of_models(rows)
    parent.metrics(figures | bounds | cost | said | {"folds": len(rows), "songs/unusable": len(prepared.unusable)})
    n_songs = len(artifacts.side_of(songs, "test"))
    draw_confusion(songs, folder, name, "songs out of fold")
    drawing = by_fold.folds_picture(rows, figures | bounds, measure, f"{name}: {n_songs} songs")
    style.save(drawing, folder / "folds.png")
    tables = [by_fold.folds_table(rows, songs, figures | bounds, measure), *tables]
    told = cards.Told(parent, config, prepared, splits, songs, cuts, figures | bounds | cost | said, groups)
    cards.of_folds(told, rows)
    describe(parent, figures | bounds | said | {"folds": len(rows)}, config, reliable)
    parent.finish()
    OPEN.remove(parent)
    notes = [*described(config, prepared), f"pooled out of fold: {n_songs} songs, {len(rows)} folds"]
    notes.append("groups: " + ", ".join(f"{g} {n}" for g, n in groups.items()))
    if not reliable:
        notes.append("unreliable: a genre has fewer than 5 groups")
    show(run_table(title(name, prepared.name, parent), figures | bounds, baseline, cost, [*notes, *remarks]))
    for table in tables:
        show("")
        show(table)
    return sweep.row(name, parent.id, parent.folder, figures | bounds | cost | said, config["overrides"], measure)


def audit(prepared: Any, *splits: Any) -> str:
    """The fast part of an audit: `leaks`, `clean` (near duplicates were not sought) or `unaudited`."""
    from genrelab.data.audit import fast

    return fast(prepared.tracks, prepared.pictures, splits)


def tags(config: compose.Config, *, kind: str, parent: str = "") -> dict[str, object]:
    choices = config["choices"]
    parts = ("front", "slice", "norm", "net", "agg", "task", "augment", "optim", "split")
    marks: dict[str, object] = {k: choices[k] for k in parts if k in choices}
    marks |= {
        "kind": kind,
        "seed": config["seed"],
        "overrides": json.dumps(config["overrides"]),
        "git_commit": environment.git_commit(),
        "measure": measure_of(config),
    }
    above = parent or os.environ.get(sweep.PARENT)
    return marks | ({"mlflow.parentRunId": above} if above else {})


def run_name(config: compose.Config, split: str) -> str:
    """Readable: mel-gru-artist-s0; with what is not the default between."""
    choices = config["choices"]
    parts = [choices["front"], choices["agg"], split, f"s{config['seed']}"]
    unusual = [
        choices[k]
        for k, usual in (("slice", "fixed"), ("net", "cnn"), ("norm", "train"), ("augment", "none"))
        if choices.get(k, usual) not in (usual, choices["front"])  # front=bars says slice=bars
    ]
    return "-".join([parts[0], *unusual, *parts[1:]])


def config_hash(config: compose.Config, precision: str) -> str:
    """12 hexadecimal digits of all that decides a run's result, in whatever words it was said."""
    own = {k: v for k, v in compose.identity(config).items() if k not in ("choices", "overrides")}
    return digest(own | {"trainer": own["trainer"] | {"precision": precision}})


def save_config(run: Any, config: compose.Config) -> None:
    from omegaconf import OmegaConf

    run.folder.mkdir(parents=True, exist_ok=True)
    partial = run.folder / "config.yaml.tmp"
    OmegaConf.save(OmegaConf.create(config | {"resume": None}), partial)
    partial.replace(run.folder / "config.yaml")


def flat(config: Any, prefix: str = "") -> dict[str, object]:
    """Nested mappings as dotted keys."""
    out: dict[str, object] = {}
    for key, value in config.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def _first_of_each(fitted: Any, prepared: Any) -> list[int]:
    """A test song of every genre, at most 12."""
    songs = fitted.sides["test"].songs
    firsts = [next((int(i) for i in songs if prepared.labels.truth[i] == k), None) for k in range(len(prepared.genres))]
    return [i for i in firsts if i is not None][:12]


def examples(fitted: Any, prepared: Any) -> tuple[Any, list[str]]:
    """The first slice of a test song of every genre, and its title."""
    import torch

    chosen = _first_of_each(fitted, prepared)
    data = fitted.sides["test"]
    read = [data.read([i], [prepared.spans[i][data.own(i)[:1]]]) for i in chosen]
    with torch.no_grad():
        x = torch.cat([fitted.model.picture(r["x"], r.get("places")) for r in read])
    return x.numpy(), [f"{prepared.genres[prepared.labels.truth[i]]}: {prepared.tracks[i].id}" for i in chosen]


def title(name: str, data: str, run: Any) -> str:
    return f"{name} on {data}" + (f", run {run.id[:8]}" if run.id else "")
