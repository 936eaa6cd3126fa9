"""One training: from prepared songs and a split to the best weights, their answers and what they cost."""

from __future__ import annotations

import logging
import os
import resource
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genrelab import environment, ranks, speed
from genrelab.augment.base import Augment
from genrelab.augment.songs import AugmentedSongs
from genrelab.compose import Config, Prepared, accelerated, build, checkpoint, instantiate
from genrelab.data.module import Batch, SongSlices, loader
from genrelab.data.split import Split
from genrelab.environment import threads_of
from genrelab.evaluate.answers import Answers
from genrelab.learner import Learner
from genrelab.lightning import MisconfigurationException, callbacks, pl
from genrelab.model import SongClassifier
from genrelab.resumable import EarlyStopping, Sigterm, WholeCheckpoints
from genrelab.stacked import EmbeddedSongs, adopt, embeddings, is_stacked, source
from genrelab.store import Progress, waves
from genrelab.task.rule import Rule
from genrelab.track import Run
from genrelab.types import SIDES, UserError, digest


@dataclass(frozen=True)
class Fitted:
    """What came out of a training."""

    model: SongClassifier  # with its best weights
    answers: dict[str, Answers]  # train (all slices of each song), val and test
    shorter: np.ndarray  # (test songs, LENGTHS, K) log-scores, from a song's first slices alone
    rule: Rule
    figures: dict[str, float]  # of train (its best epoch), val and test
    history: list[dict[str, float]]
    kept: int  # the epoch of its weights
    cost: dict[str, float]
    precision: str
    sides: dict[str, SongSlices]


class Bar(pl.Callback):
    """Training's progress in steps, over all epochs."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *_: Any) -> None:
        epochs, steps = trainer.max_epochs or 1, int(trainer.num_training_batches)
        history, measure = module.history, module.task.measure
        last = f", val {100 * history[-1][f'val/song/{measure}']:.0f} %" if history else ""
        done = min(trainer.global_step, epochs * steps)
        self.progress(f"training, epoch {trainer.current_epoch + 1} of {epochs}{last}", done, epochs * steps)


def fit(
    config: Config,
    prepared: Prepared,
    split: Split,
    run: Run,
    progress: Progress,
    *,
    resume: bool,
    say: Callable[[str], None],
    ready: Callable[[], None] = lambda: None,
) -> Fitted:
    """Trains and tests one model on one split; goes on from checkpoints/last.ckpt where `resume` and there is one.

    ready: called where all is there but the training. Of a training over several processes (`ranks`) each calls this,
    and all have the same answers.
    """
    quiet()
    options = config["trainer"]
    task = instantiate(config["task"])
    check(options, task.metrics)
    speed.keep_memory()
    torch.set_num_threads(threads := max(1, threads_of(options, run.tags) // ranks.that_share(options)))
    pl.seed_everything(config["seed"], verbose=False)
    model = build(config, prepared.genres, task.several, prepared.front, prepared.slicer)
    songs: Callable[..., SongSlices] = SongSlices
    if is_stacked(config):
        record = source(config, split.fold)
        adopt(model, record)
        rows = embeddings(model, prepared, record, Path(config["store"]), progress, say)
        songs = partial(EmbeddedSongs, rows, model.net.dim)
    heard = (prepared.pictures, prepared.spans, prepared.labels, split)
    sides = {side: songs(*heard, side, prepared.slicer, prepared.front, config["seed"]) for side in SIDES}
    augment: Augment = instantiate(config["augment"]) if "augment" in config else Augment()
    sides["train"] = augmented(sides["train"], augment, split, config, prepared, progress)
    for side, data in sides.items():
        if not len(data):
            raise UserError(f"split={split.kind} leaves no song for {side}: give more songs, or another split")
    epoch = {k: options[k] for k in ("batch_songs", "balance")} | {"at_least": options["songs_per_epoch"]}

    speed.formatted(model.net, speed.Choice.memory_format)
    first = next(iter(loader(sides["train"], **epoch)))
    if not is_stacked(config):
        begin(model, sides["train"], first, options["batch_songs"])
    chosen = faster(config, model, first, run.tags, threads)
    run.note(chosen.tags)
    environment.save(run.folder, environment.current(chosen.threads))
    learns = any(p.requires_grad for p in model.parameters())  # a vote over a frozen net has nothing to learn
    checkpoints = run.folder / "checkpoints"
    best = callbacks.ModelCheckpoint(
        checkpoints,
        "best",
        options["monitor"],
        mode=options["mode"],
        save_weights_only=True,
        enable_version_counter=False,
        save_on_train_epoch_end=False,  # before `last`, which holds what was the best
    )
    last = callbacks.ModelCheckpoint(checkpoints, "last", enable_version_counter=False, save_on_train_epoch_end=False)
    watching: list[pl.Callback] = [best, last, Bar(progress)]
    if options["patience"]:
        # after validation, as the checkpoints are: what they hold of it is whole, and a resumed run can go on from it
        watch = {"patience": options["patience"], "mode": options["mode"], "check_on_train_epoch_end": False}
        watching.append(EarlyStopping(options["monitor"], **watch))
    if "SUBMITIT_EXECUTOR" in os.environ:
        watching.append(Sigterm())
    try:
        trainer = pl.Trainer(
            accelerator=options["accelerator"],
            **ranks.sizes(options),
            sync_batchnorm=ranks.is_shared(config) and accelerated(config),
            use_distributed_sampler=False,  # each takes its part of a batch
            precision=chosen.precision,  # type: ignore[arg-type]
            max_epochs=options["max_epochs"] if learns else 0,
            overfit_batches=options["overfit_batches"],
            gradient_clip_val=options["gradient_clip_val"],
            logger=run.logger,
            callbacks=watching,
            plugins=[WholeCheckpoints(), *ranks.environments(config)],
            default_root_dir=run.folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=min(options["val_every"], options["max_epochs"]),
            log_every_n_steps=1,
        )
    except (MisconfigurationException, ValueError) as error:  # an accelerator or a precision that is not there
        raise UserError(f"trainer: {str(error).splitlines()[0]}") from error
    card = {"config": config, "genres": prepared.genres}
    learner = Learner(
        model,
        task,
        instantiate(config["optim"]["optimizer"]),
        instantiate(config["optim"]["schedule"]) if config["optim"]["schedule"] else None,
        config["seed"],
        card,
        logged_until=run.last_step,
        augment=augment,
    )
    unfinished = checkpoints / "last.ckpt"
    done, going_on = 0, resume and unfinished.is_file()
    if going_on:
        done = checkpoint(unfinished)["epoch"] + 1
        say(f"going on after epoch {done} of {options['max_epochs']}")
    told = {"config": config | {"trainer": options | asdict(chosen)}, "fold": split.fold, "folder": str(run.folder)}
    part = (trainer.global_rank, trainer.world_size)
    with ranks.beside(run.folder, ranks.here(options), told | {"going_on": resume}):
        ready()
        loaders = {side: loader(data, **epoch, part=part) for side, data in sides.items()}
        started = time.perf_counter()
        last_one = str(unfinished) if going_on else None
        trainer.fit(learner, loaders["train"], loaders["val"], ckpt_path=last_one, weights_only=True)
        train_s = time.perf_counter() - started
        if not learns:
            trainer.save_checkpoint(checkpoints / "best.ckpt")
        weights = checkpoint(Path(best.dirpath or checkpoints) / "best.ckpt")
        learner.load_state_dict(weights["state_dict"])
        answers = {}
        for n, (side, data) in enumerate(sides.items()):
            progress("testing", n, len(sides))
            every_slice = loader(data.whole(), options["batch_songs"], balance=False, at_least=0, part=part)
            answers[side] = learner.answers(trainer, every_slice, shorter=side == "test")
    progress("testing", len(sides), len(sides))

    epochs_here = trainer.current_epoch - done
    each = sides["train"].which(np.arange(len(sides["train"])))[1].mean()
    n_train = each * max(len(sides["train"]), options["songs_per_epoch"])
    rule = task.rule(answers["train"], answers["val"])
    best_row = next((r for r in learner.history if r["epoch"] == weights["epoch"]), {})
    figures = {k: v for k, v in best_row.items() if k.startswith("train/")}
    if not learns:  # no epoch has said them
        figures = answers["train"].figures("train", rule.thresholds)
    for side in ("val", "test"):
        figures |= answers[side].figures(side, rule.thresholds)
    cost = {
        "cost/parameters": float(sum(p.numel() for p in model.parameters())),
        "cost/mflop_per_slice": mflop_per_slice(model),
        "cost/front_x_realtime": front_x_realtime(model, config["sample_rate"]),
        "cost/train_s": train_s,
        "cost/slices_per_s": n_train * max(0, epochs_here) / train_s,
        "cost/peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    return Fitted(
        model.eval(),
        answers,
        learner.shortened,
        rule,
        figures,
        learner.history,
        int(weights["epoch"]),
        cost,
        chosen.precision,
        sides,
    )


def augmented(
    songs: SongSlices, augment: Augment, split: Split, config: Config, prepared: Prepared, progress: Progress
) -> SongSlices:
    """The training songs as training hears them."""
    if not augment.on_wave:
        return songs
    own = {int(i): prepared.tracks[i] for i in songs.songs}
    sounds = waves(own, config["sample_rate"], Path(config["store"]), progress)
    parts = (prepared.pictures, prepared.spans, prepared.labels, split, "train", prepared.slicer, prepared.front)
    return AugmentedSongs(augment, sounds, config["sample_rate"], *parts, config["seed"])


def begin(model: SongClassifier, songs: SongSlices, first: Batch, batch_songs: int) -> None:
    """Statistics of the training songs, and those of the first batch, in full precision."""
    with torch.no_grad(), torch.random.fork_rng():
        model.train()
        if model.front.learned:  # its pictures will change: where they begin is enough
            model.norm.fit([model.picture(first["x"], first["places"])])
        else:
            model.norm.fit(batch["x"] for batch in loader_of_all(songs, batch_songs))
        model(first["x"], first["n_slices"], first.get("places"))


def check(options: Config, metrics: Sequence[str]) -> None:
    """Raises UserError for a trainer's values that cannot be; `metrics` are the task's."""
    for key in ("max_epochs", "val_every", "batch_songs", "threads"):
        value = options[key]
        if not (isinstance(value, int) and value >= 1) and (key, value) != ("threads", None):
            raise UserError(f"trainer.{key}={value}: expected a whole number, at least 1")
    ranks.check(options)
    watched = ["val/loss", *(f"val/{of}/{m}" for of in ("song", "slice") for m in metrics)]
    if options["monitor"] not in watched:
        raise UserError(f"trainer.monitor={options['monitor']}: no such figure; there are {', '.join(watched)}")


def loader_of_all(data: SongSlices, batch_songs: int) -> Any:
    """All slices of a side, cut where validation cuts them."""
    for begin in range(0, len(data), batch_songs):
        songs = [int(i) for i in data.songs[begin : begin + batch_songs]]
        yield data.read(songs, [data.spans[i][data.own(i)] for i in songs])


def faster(config: Config, model: SongClassifier, batch: Any, tags: Mapping[str, str], threads: int) -> speed.Choice:
    """How this model trains fastest on this machine. The runs of a sweep, or of a k-fold run, train alike."""
    dials = speed.given(config["trainer"], tags)
    # a step on embeddings is too short to gain, and processes of several machines must agree
    if is_stacked(config) or accelerated(config) or ranks.outside()[1] > 1:
        chosen = replace(speed.Choice(threads=threads), **dials)
        speed.use(chosen, model.net)
        return chosen

    def step() -> None:
        scores = model(batch["x"], batch["n_slices"], batch.get("places"))
        (scores.song.float().mean() + scores.slice.float().mean()).backward()

    sizes = [len(batch["n_slices"]), *batch["x"].shape]
    learned = config["front"] if model.front.learned else ""
    parent = tags.get("mlflow.parentRunId")
    what = f"{config['net']['_target_']} {digest(config['net'], config['agg'], learned, sizes)}"
    what = f"the runs below {parent}" if parent else what
    return speed.choose(Path(config["store"]), what, step, model.net, dials, threads, anywhere=parent is not None)


def mflop_per_slice(model: SongClassifier) -> float:
    """Floating-point operations for one slice, forward, in millions (a multiply-add is two, transforms do not count):
    of the net and its head, and of a learned front-end."""
    from torch.utils.flop_counter import FlopCounterMode

    x = torch.zeros(1, *model.slice_shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.slice_head(model.net(model.picture(x)))
    return counter.get_total_flops() / 1e6


def front_x_realtime(model: SongClassifier, sample_rate: int) -> float:
    """Seconds of sound that the front-end turns into pictures in a second, one thread."""
    wave = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 10 * sample_rate), dtype=np.float32))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            model.front(wave)
            seconds.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    return 10 / min(seconds)


def quiet() -> None:
    """Lightning's hints are for people who write loops."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for hint in (
        "does not have many workers",
        "Checkpoint directory",
        "overfit_batches",
        "Precision bf16-mixed",
        "lr_scheduler",
        "configure_optimizers` returned `None",
        "predict returned None",
        "predict_dataloader",
        "sync_dist=True",  # each process has the figures of all songs
        "in eval mode at the start",  # a frozen net is meant to be
    ):
        warnings.filterwarnings("ignore", f".*{hint}.*")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
