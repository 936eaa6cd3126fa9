"""`python -m genrelab front=mel agg=gru`: trains, tests and logs a run; `-m` a sweep; `resume=ID` goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genrelab import compose, disk, jobs, launching, paths, ranks, runs, sweep, trust, words
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError

OUTCOME: dict[str, Any] = {}  # the row of the run that this process made last
ANEW = ("jobs=", "hydra/launcher=", "hydra.launcher.")  # how a sweep goes on may be said anew


def main(argv: Sequence[str]) -> int:
    """Runs Hydra on the command line's words; returns the exit code."""
    sweep.anew()
    resumed = words.value_of(argv, "resume")
    try:
        if resumed and resumed != "null":
            return resume(argv, resumed)
        return launch(words.quoted(argv))
    except UserError as error:
        sweep.abandon(str(error))
        say(f"genrelab: {error}")
        return 2
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        if not (no_room := disk.complaint(error, paths.store_dir(words.value_of(argv, "store")))):
            raise
        say(f"genrelab: {no_room}{_onward()}")
        return 1


def launch(argv: Sequence[str]) -> int:
    """Hydra composes, we train: one run or a sweep. Raises UserError for words that do not compose."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    OUTCOME.clear()
    try:
        launching.launch(argv, job)
    except (HydraException, OmegaConfBaseException) as error:
        said = words.complaint(error, argv)
        sweep.abandon(str(said))
        raise said from error
    except ValueError as error:
        if str(error) != "No trials are completed yet.":  # Optuna's, where every trial failed: the table says why
            raise
    if sweep.FOLDER not in os.environ:
        if OUTCOME.get("code") == 0:
            show(next_steps())
        return int(OUTCOME.get("code", 0))
    code, tables = sweep.finish()
    for i, table in enumerate(tables):
        if i:
            show("")
        show(table)
    show(f"\nmore: {_self()} ui    the runs side by side in MLflow")
    return code


def job(cfg: Any) -> float | None:
    """One run; its outcome is written and never raised, so that a sweep goes on.

    Returns what a search maximises: the figure of the validation songs, None where the run failed.
    """
    from hydra.core.hydra_config import HydraConfig

    compose.register()  # a process of its own has not done so
    runtime = HydraConfig.get()
    config = compose.plain(cfg, runtime.runtime.choices, runtime.overrides.task)
    if ranks.follows(config):
        from genrelab import followers

        OUTCOME.update(code=followers.follow_outside(config))
        return None
    folder = Path(runtime.runtime.output_dir)
    row = apart(config, folder) if sweep.elsewhere() else attempt(config, folder)
    return row["figures"].get(f"val/song/{row['measure']}")


def apart(config: compose.Config, folder: Path) -> dict[str, Any]:
    """A run in a process of its own: what it says goes into a file, and on an interrupt it ends what it has begun."""
    with jobs.logged(folder / jobs.LOG):
        before = signal.getsignal(signal.SIGINT)
        multiprocessing.set_start_method(None, force=True)  # joblib's is none to start others by
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            return attempt(config, folder)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # who is in a hurry sends more than one
            _end("interrupted")
            signal.signal(signal.SIGINT, before)
            raise


def attempt(config: compose.Config, folder: Path, resumed: Any = None) -> dict[str, Any]:
    """Trains by a config, catching what goes wrong; writes result.json into `folder`."""
    from genrelab import track

    in_sweep = bool(os.environ.get(sweep.FOLDER))
    tracker = compose.instantiate(config["tracker"]) if in_sweep else None  # wrong words for it end a sweep at once
    code, reason = 0, ""
    row: dict[str, Any] = {}
    try:
        words.fitting(config["overrides"], config)
        again = in_sweep and sweep.begun_before(folder)
        done, cut_off = sweep.finished_child(Path(config["store"]), config["overrides"], again)
        if done:
            say(f"{done.name} ({done.id[:8]}) is finished already")
            measure = runs.measure_of(config)
            row = sweep.row(done.name, done.id, done.folder, done.metrics, config["overrides"], measure)
        else:
            tracker = tracker or compose.instantiate(config["tracker"])
            row = runs.train(config, tracker, resumed or cut_off)
    except SystemExit as error:
        if error.code != 1:  # submitit's: the job is queued again
            raise
        raise KeyboardInterrupt from error  # so Lightning passes an interrupt on
    except UserError as error:
        code, reason = 2, str(error)
        say(f"genrelab: {error}")
    except Exception as error:
        code, reason = 1, f"{type(error).__name__}: {error}".splitlines()[0]
        BAR.clear()
        if no_room := disk.complaint(error, Path(config["store"])):
            reason = no_room
            say(f"genrelab: {no_room}{_onward()}")
        else:
            traceback.print_exc()
            say("genrelab: the run failed; the lines above are a fault of genrelab or of a part, not of your words")
    if code:
        name = runs.run_name(config, config["choices"].get("split", ""))
        row = sweep.row(name, "", "", {}, config["overrides"]) | {"status": "FAILED", "reason": reason}
    row["code"], row["store"] = code, config["store"]
    OUTCOME.clear()
    OUTCOME.update(row)
    try:
        if code:
            row["run_id"] = _failed(config, tracker, name, reason)
        runs.OPEN.clear()
        track.write_json(folder / "result.json", row)
    except Exception as error:
        if in_sweep or not disk.complaint(error, Path(config["store"])):  # who sweeps must hear of it
            raise
    runs.OPEN.clear()
    return row


def _failed(config: compose.Config, tracker: Any, name: str, reason: str) -> str:
    """Ends what was begun; the id of the run, which a child of a sweep has also where it failed before it began."""
    if tracker and os.environ.get(sweep.FOLDER) and not runs.OPEN:
        store, experiment = Path(config["store"]), compose.data_name(config)
        runs.OPEN.append(tracker.begin(store, experiment, name, runs.tags(config, kind="run")))
    for run in runs.OPEN:
        run.finish("FAILED", reason)
    return runs.OPEN[-1].id if runs.OPEN else ""


def resume(argv: Sequence[str], word: str) -> int:
    """Goes on with a run, a k-fold run or a sweep that was cut off, by the words that it was started with."""
    from genrelab import track

    anew = [w for w in argv if w.startswith(ANEW)]
    others = [w for w in argv if not w.startswith(("resume=", "store=", *ANEW))]
    if others:
        raise UserError(f"resume={word} goes on with the words of that run; leave out {' '.join(others)}")
    store = paths.store_dir(words.value_of(argv, "store"))
    record = track.find(store, word)
    if record.kind == "fold" and record.parent:
        raise UserError(f"{record.name} is a fold of a k-fold run: resume that one, resume={record.parent}")
    if record.status == "FINISHED":
        say(f"{record.name} ({record.id[:8]}) is finished: nothing is left to do")
        return 0
    if not ranks.outside()[0]:  # the first of several processes may have begun
        track.idle(record)
    if record.kind == "sweep":
        for child in track.children(store, record.id):
            track.idle(child)
        said = [w for w in json.loads(record.tags["overrides"]) if not _replaced(w, anew)]
        trust.words(said)
        os.environ[sweep.PARENT], os.environ[sweep.RESUME] = record.id, "1"
        return launch([*said, *anew, *words.quoted([f"store={store}"]), "--multirun"])
    if anew:
        raise UserError(f"{' '.join(anew)}: {record.name} ({record.id[:8]}) is no sweep, which alone has launchers")
    if (record.folder / "config.yaml").is_file() or "overrides" not in record.tags:
        config = compose.load_config(record.folder)
    else:  # killed before it had written that
        trust.words(json.loads(record.tags["overrides"]))
        config = compose.composed(json.loads(record.tags["overrides"]))
    config = config | {"store": str(store), "resume": record.id}
    if ranks.follows(config):
        from genrelab import followers

        return followers.follow_outside(config, record)
    signal.signal(signal.SIGTERM, launching.interrupted)
    folder = store / "logs" / "resumed" / record.id
    return int(attempt(config, folder, record)["code"])


def _replaced(word: str, anew: Sequence[str]) -> bool:
    """Whether a word of a sweep is said anew; another launcher takes over none of the options of the one before."""
    keys = {w.partition("=")[0] for w in anew}
    return word.partition("=")[0] in keys or ("hydra/launcher" in keys and word.startswith("hydra.launcher."))


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


def _onward() -> str:
    """How to go on with what was begun, the end of a sentence; "" where there is nothing."""
    goal = os.environ.get(sweep.PARENT) or (runs.OPEN[0].id if runs.OPEN else "")
    return f"; go on with {_self()} resume={goal}" if goal else ""


def _interrupted() -> int:
    """Ends what was begun and says how to go on."""
    for again in (signal.SIGINT, signal.SIGTERM):  # who is in a hurry sends more than one
        signal.signal(again, signal.SIG_IGN)
    BAR.clear()
    onward = _onward()
    _end("interrupted")
    sweep.abandon("interrupted")
    say(f"interrupted{onward or '; what was made so far is kept'}")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # all is said: processes begun from here on can be ended by it
    return 130


def _end(reason: str) -> None:
    """Ends what this process has begun."""
    for run in runs.OPEN:
        run.finish("KILLED", reason)
    runs.OPEN.clear()
