"""`python -m genrelab front=mel agg=gru`: trains, tests and logs a run; `-m` a sweep; `resume=ID` goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genrelab import compose, paths, sweep, words
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError, digest

OUTCOME: dict[str, Any] = {}  # the row of the run that this process made last


def main(argv: Sequence[str]) -> int:
    """Runs Hydra on the command line's words; returns the exit code."""
    argv = words.quoted(argv)
    os.environ.pop(sweep.PARENT, None)
    os.environ.pop(sweep.FOLDER, None)
    os.environ.pop(sweep.RESUME, None)
    resumed = words.value_of(argv, "resume")
    try:
        if resumed and resumed != "null":
            return resume(argv, resumed)
        return launch(argv)
    except UserError as error:
        say(f"genrelab: {error}")
        return 2
    except KeyboardInterrupt:
        return _interrupted()


def launch(argv: Sequence[str]) -> int:
    """Hydra composes, we train: one run or a sweep. Raises UserError for words that do not compose."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands us its errors instead of printing and leaving
    compose.register()
    sys.argv = ["genrelab", *argv]
    OUTCOME.clear()
    signal.signal(signal.SIGTERM, _terminated)
    run = hydra.main(version_base="1.3", config_path=str(paths.conf_dir()), config_name="config")(job)
    try:
        run()
    except (HydraException, OmegaConfBaseException) as error:
        _abandon_parent(str(error))
        raise words.complaint(error, argv) from error
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            _abandon_parent("interrupted")
        raise
    if sweep.FOLDER not in os.environ:
        return int(OUTCOME.get("code", 0))
    code, table = sweep.finish(*_SWEEP_END)
    show(table)
    if "store" in OUTCOME:
        show(f"\nmore: {_self()} ui    the runs side by side in MLflow")
    return code


_SWEEP_END: list[Any] = []


def job(cfg: Any) -> dict[str, Any]:
    """One run; its outcome is returned and written, never raised, so that a sweep goes on."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    runtime = HydraConfig.get()
    config: compose.Config = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    config["store"] = str(paths.store_dir(config["store"]))
    if config["data"].get("path"):
        config["data"]["path"] = str(Path(config["data"]["path"]).expanduser().absolute())
    config["choices"] = {k: v for k, v in runtime.runtime.choices.items() if not k.startswith("hydra") and v is not None}
    config["overrides"] = [w for w in runtime.overrides.task if not w.startswith("store=")]
    folder = Path(runtime.runtime.output_dir)
    return attempt(config, folder)


def attempt(config: compose.Config, folder: Path, resumed: Any = None) -> dict[str, Any]:
    """Trains by a config, catching what goes wrong; writes result.json into `folder`."""
    from genrelab import track

    tracker = compose.instantiate(config["tracker"])
    in_sweep = bool(os.environ.get(sweep.FOLDER))
    _SWEEP_END[:] = [config["trainer"]["n_boot"], config["seed"], Path(config["store"]), tracker]
    code, reason = 0, ""
    row: dict[str, Any] = {}
    try:
        done, cut_off = sweep.finished_child(Path(config["store"]), config["overrides"])
        if done:
            say(f"{done.name} ({done.id[:8]}) is finished already")
            row = sweep.row(done.name, done.id, done.folder, done.metrics, config["overrides"])
        else:
            row = train(config, tracker, resumed or cut_off)
    except UserError as error:
        code, reason = 2, str(error)
        say(f"genrelab: {error}")
    except Exception as error:
        code, reason = 1, f"{type(error).__name__}: {error}".splitlines()[0]
        BAR.clear()
        traceback.print_exc()
        say("genrelab: the run failed; the lines above are a fault of genrelab or of a part, not of your words")
    if code:
        name = run_name(config, config["choices"].get("split", ""))
        row = sweep.row(name, "", "", {}, config["overrides"]) | {"status": "FAILED", "reason": reason}
        if in_sweep and not OPEN:  # a child that failed before its run began is in MLflow too
            run = tracker.begin(Path(config["store"]), config["choices"]["data"], name, tags(config, kind="run"))
            row["run_id"] = run.id
            OPEN.append(run)
        for run in OPEN:
            row["run_id"] = run.id
            run.finish("FAILED", reason)
    OPEN.clear()
    row["code"], row["store"] = code, config["store"]
    track.write_json(folder / "result.json", row)
    OUTCOME.clear()
    OUTCOME.update(row)
    return row


OPEN: list[Any] = []  # the runs of this process that are not ended yet


def train(config: compose.Config, tracker: Any, resumed: Any = None) -> dict[str, Any]:
    """One run on one split, or a k-fold run with a child for every fold; returns its row."""
    from genrelab.report.table import unusable_table

    prepared = compose.prepare(config, config["choices"], BAR)
    if prepared.unusable:
        show(unusable_table(prepared.unusable))
    splits = compose.splits(config, prepared)
    for note in dict.fromkeys(n for s in splits for n in s.notes):
        say(note)
    if len(splits) == 1:
        return one(config, prepared, splits[0], tracker, resumed)
    return folds(config, prepared, splits, tracker, resumed)


def one(
    config: compose.Config, prepared: Any, split: Any, tracker: Any, resumed: Any = None, parent: str = "", quiet: bool = False
) -> dict[str, Any]:
    """Trains, tests and logs one model on one split."""
    from genrelab.data.split import crossings
    from genrelab.data.split_given import write_split
    from genrelab.evaluate.metrics import confusion, majority
    from genrelab.fit import fit
    from genrelab.report import artifacts, pictures
    from genrelab.report.table import run_table

    fold = "" if split.fold is None else f"-fold{split.fold}"
    name = run_name(config, split.kind) + fold
    marks = tags(config, kind="fold" if fold else "run", parent=parent)
    marks |= {"data": prepared.name, "split": split.kind, "data_digest": prepared.digest, "split_digest": split.digest}
    marks |= {"leak_audit": audit(prepared, split)} | ({"fold": split.fold} if fold else {})
    run = tracker.begin(Path(config["store"]), prepared.name, name, marks, resume=resumed.id if resumed else None)
    OPEN.append(run)
    save_config(run, config)
    if not resumed:
        run.params(flat(compose.identity(config)))
        run.dataset(_manifest_rows(prepared), prepared.name, prepared.digest)
    write_split(split, run.folder / "split.csv")
    say(f"run {name}{f' ({run.id[:8]})' if run.id else ''}: {len(prepared.tracks)} songs, {len(prepared.genres)} genres")

    fitted = fit(config, prepared, split, run, BAR, resume=resumed is not None, say=say)

    run.note({"precision": fitted.precision, "config_hash": config_hash(config, fitted.precision)})
    songs = artifacts.predictions(fitted.answers, prepared.tracks, split.groups, prepared.genres)
    spans = {side: [prepared.spans[i][d.chosen[i]] for i in d.songs] for side, d in fitted.sides.items()}
    cuts = artifacts.slices(fitted.answers, prepared.tracks, spans, prepared.genres)
    artifacts.save(run.folder, songs, cuts)
    bounds, reliable, groups = artifacts.test_intervals(songs, cuts, config["trainer"]["n_boot"], config["seed"])
    train_truth = prepared.truth[fitted.sides["train"].songs]
    test = fitted.answers["test"]
    baseline = majority(train_truth, test.truth, len(prepared.genres))
    figures = fitted.figures | bounds
    said = {f"baseline/majority/{k}": v for k, v in baseline.items()} | {"songs/unusable": len(prepared.unusable)}
    said |= {f"songs/{side}": len(data) for side, data in fitted.sides.items()}
    run.metrics(figures | fitted.cost | said, step=len(fitted.history))

    folder = run.folder / "pictures"
    folder.mkdir(exist_ok=True)
    table = confusion(test.truth, test.song.argmax(1), len(prepared.genres))
    pictures.confusion_picture(table, prepared.genres, f"{name}: {len(test.truth)} test songs").savefig(folder / "confusion.png")
    if fitted.history:
        pictures.curves_picture(fitted.history).savefig(folder / "curves.png")
    seen, titles = examples(fitted, prepared)
    lengths = [float(s[1] - s[0]) for s in (prepared.spans[i][0] for i in _first_of_each(fitted, prepared))]
    pictures.slices_picture(seen, prepared.front.bin_hz, lengths, titles, prepared.front.unit).savefig(folder / "slices.png")

    row = sweep.row(name, run.id, run.folder, figures | fitted.cost, config["overrides"])
    run.finish()
    OPEN.remove(run)
    if not quiet:
        notes = list(split.notes) if len(split.notes) else []
        notes.append("test songs by group: " + ", ".join(f"{g} {n}" for g, n in groups.items()))
        if not reliable:
            notes.append("unreliable: a genre has fewer than 5 groups in the test set; split=kfold pools every song out of fold")
        crossed = crossings(prepared.tracks, split)
        if any(crossed.values()):
            notes.append("on two sides of the split: " + ", ".join(f"{k} {n}" for k, n in crossed.items() if n))
        if prepared.unusable:
            notes.append(f"{len(prepared.unusable)} tracks could not be used and were left out")
        show(run_table(title(name, prepared.name, run), figures, baseline, fitted.cost, notes))
        show(next_steps())
    return row


def folds(config: compose.Config, prepared: Any, splits: Sequence[Any], tracker: Any, resumed: Any) -> dict[str, Any]:
    """Trains a model a fold, each a child run; the figures are those of all songs, each decided by the model that never saw it."""
    import pandas as pd

    from genrelab import track
    from genrelab.evaluate.metrics import confusion, majority
    from genrelab.report import artifacts, pictures
    from genrelab.report.table import run_table

    name = run_name(config, "kfold")
    marks = tags(config, kind="kfold") | {"data": prepared.name, "data_digest": prepared.digest, "split": "kfold"}
    marks |= {"split_by": splits[0].kind, "split_digest": digest([s.digest for s in splits])}
    marks |= {"leak_audit": audit(prepared, splits[0]), "config_hash": config_hash(config, config["trainer"]["precision"])}
    parent = tracker.begin(Path(config["store"]), prepared.name, name, marks, resume=resumed.id if resumed else None)
    OPEN.append(parent)
    save_config(parent, config)
    if not resumed:
        parent.params(flat(compose.identity(config)))
        parent.dataset(_manifest_rows(prepared), prepared.name, prepared.digest)
    known = {c.tags.get("fold"): c for c in track.children(Path(config["store"]), parent.id)} if resumed else {}
    rows = []
    for split in splits:
        child = known.get(str(split.fold))
        if child and child.status == "FINISHED":
            rows.append(sweep.row(child.name, child.id, child.folder, child.metrics, config["overrides"]))
            continue
        rows.append(one(config, prepared, split, tracker, child, parent.id, quiet=True))
        figures = rows[-1]["figures"]
        say(f"fold {split.fold + 1} of {len(splits)}: test/song/balanced_accuracy {figures['test/song/balanced_accuracy']:.3f}")
    loaded = [artifacts.load(Path(r["folder"])) for r in rows]
    songs, cuts = (pd.concat([part[k] for part in loaded], ignore_index=True) for k in (0, 1))
    artifacts.save(parent.folder, songs, cuts)
    figures = artifacts.pooled(songs, cuts, "val") | artifacts.pooled(songs, cuts, "test")
    bounds, reliable, groups = artifacts.test_intervals(songs, cuts, config["trainer"]["n_boot"], config["seed"])
    pooled = artifacts.decided(songs, "test")
    baseline = majority(prepared.truth, pooled.truth, len(prepared.genres))
    costs = ("cost/parameters", "cost/mflop_per_slice", "cost/front_x_realtime", "cost/slices_per_s", "cost/peak_rss_mb")
    cost = {k: max(r["figures"][k] for r in rows) for k in costs}
    cost["cost/train_s"] = sum(r["figures"]["cost/train_s"] for r in rows)
    said = {f"baseline/majority/{k}": v for k, v in baseline.items()}
    parent.metrics(figures | bounds | cost | said | {"folds": len(rows), "songs/unusable": len(prepared.unusable)})
    (parent.folder / "pictures").mkdir(exist_ok=True)
    table = confusion(pooled.truth, pooled.decided, len(prepared.genres))
    heading = f"{name}: {len(pooled.truth)} songs out of fold"
    pictures.confusion_picture(table, prepared.genres, heading).savefig(parent.folder / "pictures" / "confusion.png")
    parent.finish()
    OPEN.remove(parent)
    notes = [*splits[0].notes, f"pooled out of fold: {len(pooled.truth)} songs, {len(rows)} folds"]
    notes.append("songs by group: " + ", ".join(f"{g} {n}" for g, n in groups.items()))
    if not reliable:
        notes.append("unreliable: a genre has fewer than 5 groups")
    show(run_table(title(name, prepared.name, parent), figures | bounds, baseline, cost, notes))
    show(next_steps())
    return sweep.row(name, parent.id, parent.folder, figures | bounds | cost, config["overrides"])


def resume(argv: Sequence[str], word: str) -> int:
    """Goes on with a run, a k-fold run or a sweep that was cut off, by the words that it was started with."""
    from genrelab import track

    others = [w for w in argv if not w.startswith(("resume=", "store="))]
    if others:
        raise UserError(f"resume={word} goes on with the words of that run; leave out {' '.join(others)}")
    store = paths.store_dir(words.value_of(argv, "store"))
    record = track.find(store, word)
    if record.kind == "fold" and record.parent:
        raise UserError(f"{record.name} is a fold of a k-fold run: resume that one, resume={record.parent}")
    if record.status == "FINISHED":
        say(f"{record.name} ({record.id[:8]}) is finished: nothing is left to do")
        return 0
    if record.kind == "sweep":
        os.environ[sweep.PARENT], os.environ[sweep.RESUME] = record.id, "1"
        return launch([*json.loads(record.tags["overrides"]), *words.quoted([f"store={store}"]), "--multirun"])
    config = compose.load_config(record.folder) | {"store": str(store), "resume": record.id}
    signal.signal(signal.SIGTERM, _terminated)
    folder = store / "logs" / "resumed" / record.id
    return int(attempt(config, folder, record)["code"])


def audit(prepared: Any, split: Any) -> str:
    """`leaks` where a group or the same sound lies on two sides, else `unaudited`: near duplicates are not looked for here."""
    from genrelab.data.split import crossings
    from genrelab.types import GROUP_KEYS

    crossed = crossings(prepared.tracks, split)
    if split.kind == "slice" or any(crossed.get(k) for k in GROUP_KEYS):
        return "leaks"
    sides: dict[str, set[str]] = {}
    for key, side in zip(prepared.pictures.keys, split.sides, strict=True):
        sides.setdefault(key, set()).add(side)
    return "leaks" if any(len(s - {"unused"}) > 1 for s in sides.values()) else "unaudited"


def tags(config: compose.Config, *, kind: str, parent: str = "") -> dict[str, object]:
    choices = config["choices"]
    marks: dict[str, object] = {k: choices[k] for k in ("front", "slice", "norm", "net", "agg", "task", "optim") if k in choices}
    marks |= {"kind": kind, "seed": config["seed"], "overrides": json.dumps(config["overrides"]), "git_commit": git_commit()}
    above = parent or os.environ.get(sweep.PARENT)
    return marks | ({"mlflow.parentRunId": above} if above else {})


def run_name(config: compose.Config, split: str) -> str:
    """Readable: mel-gru-artist-s0; with what is not the default between."""
    choices = config["choices"]
    parts = [choices["front"], choices["agg"], split, f"s{config['seed']}"]
    unusual = [choices[k] for k, usual in (("slice", "fixed"), ("net", "cnn"), ("norm", "train")) if choices[k] != usual]
    return "-".join([parts[0], *unusual, *parts[1:]])


def config_hash(config: compose.Config, precision: str) -> str:
    own = compose.identity(config)
    return digest(own | {"trainer": own["trainer"] | {"precision": precision}})


def save_config(run: Any, config: compose.Config) -> None:
    from omegaconf import OmegaConf

    run.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(config | {"resume": None}), run.folder / "config.yaml")


def flat(config: Any, prefix: str = "") -> dict[str, object]:
    """Nested mappings as dotted keys."""
    out: dict[str, object] = {}
    for key, value in config.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return out


def git_commit() -> str:
    """The commit of the checkout that runs, with + where it was changed since; "" for an installed package."""
    at = ["git", "-C", str(paths.PACKAGE.parent)]
    try:
        commit = subprocess.run([*at, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run([*at, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.stdout.strip() + ("+" if dirty.stdout.strip() else "")


def _manifest_rows(prepared: Any) -> Any:
    from genrelab.data.manifest import manifest_rows

    return manifest_rows(prepared.tracks)


def _first_of_each(fitted: Any, prepared: Any) -> list[int]:
    """A test song of every genre, at most 12."""
    songs = fitted.sides["test"].songs
    firsts = [next((int(i) for i in songs if prepared.truth[i] == k), None) for k in range(len(prepared.genres))]
    return [i for i in firsts if i is not None][:12]


def examples(fitted: Any, prepared: Any) -> tuple[Any, list[str]]:
    """The first slice of a test song of every genre, and its title."""
    import torch

    chosen = _first_of_each(fitted, prepared)
    data = fitted.sides["test"]
    x = torch.cat([data.read([i], [prepared.spans[i][data.chosen[i][:1]]]) for i in chosen])
    return x.numpy(), [f"{prepared.genres[prepared.truth[i]]}: {prepared.tracks[i].id}" for i in chosen]


def title(name: str, data: str, run: Any) -> str:
    return f"{name} on {data}" + (f", run {run.id[:8]}" if run.id else "")


def next_steps() -> str:
    me = _self()
    return (
        f"\nnext: {me} tag SONG.mp3                        what the run says of your own music\n"
        f"      {me} -m front=stft,mel agg=vote,gru      which parts are better, in one table\n"
        f"      {me} data=folder data.path=DIR           your own collection, a folder a genre\n"
        f"      {me} ui                                  every run in MLflow's pages"
    )


def _self() -> str:
    return "python -m genrelab"


def _terminated(*_: object) -> None:
    raise KeyboardInterrupt


def _interrupted() -> int:
    """Ends what was begun and says how to go on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    BAR.clear()
    parent = os.environ.get(sweep.PARENT)
    for run in OPEN:
        run.finish("KILLED", "interrupted")
    goal = parent or (OPEN[0].id if OPEN else "")
    say(f"interrupted; go on with {_self()} resume={goal}" if goal else "interrupted; what was made so far is kept")
    OPEN.clear()
    return 130


def _abandon_parent(reason: str) -> None:
    if os.environ.get(sweep.PARENT) and _SWEEP_END:
        _SWEEP_END[3].begin(_SWEEP_END[2], "", "", {}, resume=os.environ[sweep.PARENT]).finish("KILLED", reason)
