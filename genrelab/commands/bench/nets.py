"""Training and what feeds it: the rows of `bench all` about nets, and what their processes do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.commands.bench import fronts
from genrelab.commands.bench.lines import Line, Session, alone, beside
from genrelab.commands.bench.sound import CLIP_S, NOT_INSTALLED, RATE, SLICE, Work
from genrelab.commands.bench.timing import Candidate, compete

if TYPE_CHECKING:
    import torch
    from torch import nn

    from genrelab.data.module import SongSlices

N_SONGS, SLICES_EACH, N_GENRES = 320, 11, 6  # of the made pictures: clips of 30 s
N_CLIPS = 8  # that differ; the others are begun elsewhere
BATCH = 64  # slices
CORES = os.cpu_count() or 1


def original(session: Session) -> list[Line]:
    """The original network, one training step of the same batch, beside stock PyTorch in full precision."""
    ours, stock = (
        Candidate(name, f"{__name__}:step", {"stock": name != "genrelab", "store": str(session.folder)}, CORES)
        for name in ("genrelab", "stock PyTorch, fp32")
    )
    compete([ours, stock], session.repeats, session.progress("the original network"))
    note = f"genrelab in {ours.ready.said['precision']}; batches of {BATCH} slices" if ours.ready else ""
    return [beside("the original network, a training step", ours, stock, 2.5, note)]


def default(session: Session) -> list[Line]:
    """The default net in Lightning's loop beside the original network as it stands, slice for slice."""
    made = [
        Candidate("genrelab", f"{__name__}:loop", {"words": [], "stock": False, "store": str(session.folder)}, CORES),
        Candidate(
            "the original network, stock fp32",
            f"{__name__}:loop",
            {"words": ["experiment=seed"], "stock": True, "store": str(session.folder)},
            CORES,
        ),
    ]
    compete(made, session.repeats, session.progress("training loops"))
    _per_slice(made)
    ours, peer = made
    waits = ours.ready.said["wait"] if ours.ready else []
    rate = f"genrelab {1 / min(ours.taken_s):,.0f} slices/s" if ours.taken_s else ""
    return [
        beside("slices/s in Lightning's loop, default net", ours, peer, 40, rate),
        alone("data wait of an epoch", [100 * w for w in waits], "%", 1.0),
    ]


def feeding(session: Session) -> list[Line]:
    """Shuffled training batches out of the store beside litdata and PNG files."""
    goals = {"litdata": 30.0, "PNG files": 50.0}
    made = [
        Candidate(by, f"{__name__}:feeder", {"by": by, "folder": str(session.folder)}) for by in ("genrelab", *goals)
    ]
    if not find_spec("litdata"):
        made[1].missing = NOT_INSTALLED.format("litdata")
    compete(made, session.repeats, session.progress("feeding slices"))
    _per_slice(made)
    rate = f"genrelab {1 / min(made[0].taken_s):,.0f} slices/s" if made[0].taken_s else ""
    return [beside("feeding slices to training", made[0], peer, goals[peer.name], rate) for peer in made[1:]]


def tracking(session: Session) -> list[Line]:
    """20 epochs of 50 steps into MLflow beside a call for every figure of every step."""
    ours, peer = (
        Candidate(
            name, f"{__name__}:tracker", {"each_step": name != "genrelab", "store": str(session.folder / name[:4])}
        )
        for name in ("genrelab", "a call a step")
    )
    compete([ours, peer], session.repeats, session.progress("tracking"))
    return [beside("tracking 20 epochs of 50 steps", ours, peer, 20)]


ROWS = {"original": original, "default": default, "feeding": feeding, "tracking": tracking}


def _per_slice(made: list[Candidate]) -> None:
    """Seconds a slice instead of seconds a call."""
    for c in made:
        if c.ready:
            c.taken_s = [t / c.ready.said["slices"] for t in c.taken_s]


def made_songs(folder: Path, front: Any, slicer: Any, *, training: bool = True) -> SongSlices:
    """Made songs in a store's format, memory-mapped: what training reads, without hearing anything."""
    import torch

    from genrelab.data.module import SongSlices
    from genrelab.data.split import Split
    from genrelab.store import Pictures
    from genrelab.types import Labels

    frames = SLICES_EACH * slicer.n_frames + slicer.n_frames // 2
    assert frames <= CLIP_S / front.hop_s
    path = folder / f"made-{front.n_bins}-{frames}.f16"
    if not path.is_file():
        clips = [front(torch.from_numpy(fronts.music(CLIP_S, RATE, seed))[None])[0].T for seed in range(N_CLIPS)]
        rows = torch.cat([clips[n % N_CLIPS][:frames].roll(n, 0) for n in range(N_SONGS)]).half().numpy()
        partial = path.with_suffix(f".{os.getpid()}")
        rows.tofile(partial)
        partial.replace(path)
    rows = np.memmap(path, np.float16, "r", shape=(N_SONGS * frames, front.n_bins))
    seconds = frames * front.hop_s
    pictures = Pictures(
        rows,
        np.arange(N_SONGS) * frames,
        np.full(N_SONGS, frames),
        np.full(N_SONGS, seconds),
        tuple(map(str, range(N_SONGS))),
    )
    truth = np.arange(N_SONGS) % N_GENRES
    labels = Labels(tuple("abcdef"), truth.astype(np.int64), np.eye(N_GENRES, dtype=np.float32)[truth])
    ids = tuple(map(str, range(N_SONGS)))
    split = Split("song", ids, ("train",) * N_SONGS, ids, 0, ())
    spans = [slicer.spans(seconds, None) for _ in range(N_SONGS)]
    songs = SongSlices(pictures, spans, labels, split, "train", slicer, front, 0)
    torch.manual_seed(0)
    return songs if training else songs.whole()


def stock_net(n_genres: int) -> nn.Module:
    """The original network as its description reads: ELU before the maximum, PyTorch's own memory format."""
    from torch import nn

    layers: list[nn.Module] = []
    c_in = 1
    for c_out in (64, 128, 256, 512):
        layers += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(c_in, c_out, 2), nn.ELU(), nn.MaxPool2d(2)]
        c_in = c_out
    dense = [nn.Flatten(), nn.Linear(512 * 64, 1024), nn.ELU(), nn.Dropout(0.5), nn.Linear(1024, n_genres)]
    return nn.Sequential(*layers, *dense)


def step(stock: bool, store: str) -> Work:
    """Forward, backward and RMSprop on one batch of 128x128 slices."""
    import torch
    from torch.nn.functional import cross_entropy

    from genrelab import compose, speed

    torch.manual_seed(0)
    x = torch.rand(BATCH, SLICE, SLICE)
    y = torch.arange(BATCH) % N_GENRES
    net: Callable[[torch.Tensor], torch.Tensor]
    if stock:
        module = stock_net(N_GENRES)
        net = lambda pictures: module(pictures[:, None])  # noqa: E731
    else:
        part = compose.composed(["net=seed"])["net"]
        module = torch.nn.Sequential(
            compose.instantiate(part)(n_bins=SLICE, n_frames=SLICE), torch.nn.Linear(part["dim"], N_GENRES)
        )
        net = module
    optimizer = torch.optim.RMSprop(module.parameters(), 1e-4)

    def loss_of() -> torch.Tensor:
        return cross_entropy(net(x).float(), y)

    precision = "32-true"
    if not stock:
        threads = torch.get_num_threads()
        precision = speed.choose(Path(store), "bench", lambda: loss_of().backward(), module, {}, threads).precision

    def one() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = loss_of()
        loss.backward()
        optimizer.step()

    return one, one, lambda: {"precision": precision}


def loop(words: list[str], stock: bool, store: str) -> Work:
    """An epoch of Lightning's training as a run has it; of the stock network one batch of 128 slices."""
    import time

    import torch

    from genrelab import compose, fit
    from genrelab.data.module import loader
    from genrelab.learner import Learner
    from genrelab.lightning import pl

    fit.quiet()
    config = compose.composed(words)
    task = compose.instantiate(config["task"])
    model: Any = compose.build(config, list("abcdef"), several=False)
    songs = made_songs(Path(store), model.front, model.slicer)
    options = config["trainer"]
    epoch = {
        "batch_songs": options["batch_songs"],
        "balance": options["balance"],
        "at_least": options["songs_per_epoch"],
    }
    batches = loader(songs, **epoch)
    precision: Any = "32-true"
    first = next(iter(batches))
    if stock:
        model.net.body = torch.nn.Sequential(*_stock_order(model.net.body))
        model.net.forward = lambda x: model.net.dense(model.net.body(x[:, None]))
    fit.begin(model, songs, first, options["batch_songs"])
    if not stock:
        precision = fit.faster(config | {"store": store}, model, first, {}, torch.get_num_threads()).precision
    limit = 1 if stock else len(batches)
    slices, waits = 0, []

    def epoch_of(n: int) -> None:
        nonlocal slices
        optim = config["optim"]
        learner = Learner(model, task, compose.instantiate(optim["optimizer"]), None, 0, {})
        trainer = pl.Trainer(
            accelerator="cpu",
            precision=precision,
            max_epochs=1,
            limit_train_batches=n,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        start = time.perf_counter()
        trainer.fit(learner, batches)
        took = time.perf_counter() - start
        if not stock and n == limit:
            start = time.perf_counter()
            for _ in batches:
                pass
            waits.append((time.perf_counter() - start) / took)

    def count() -> dict[str, Any]:
        taken = [len(b["x"]) for b, _ in zip(batches, range(limit), strict=False)]
        return {"slices": sum(taken), "wait": waits}

    return lambda: epoch_of(1), lambda: epoch_of(limit), count


def _stock_order(body: Any) -> Iterator[Any]:
    """ELU before the maximum, as the description reads."""
    from torch import nn

    layers = list(body)
    for n in range(0, len(layers), 4):
        pad, conv, pool, _ = layers[n : n + 4]
        yield from (pad, conv, nn.ELU(), pool)


def feeder(by: str, folder: str) -> Work:
    """Shuffled batches of 64 slices as tensors of what is stored: 16 bits a point, 8 of PNG files."""
    import torch

    from genrelab import compose

    config = compose.composed([])
    front, slicer = (compose.instantiate(config[k]) for k in ("front", "slice"))
    root = Path(folder)
    songs = made_songs(root, front, slicer)
    random = np.random.default_rng(0)
    if by == "genrelab":
        from genrelab import speed
        from genrelab.data.module import loader

        speed.keep_memory()  # as training does

        batches = loader(songs, BATCH // slicer.max_per_song, balance=True, at_least=0)
        n = sum(len(b["x"]) for b in batches)
        return lambda: next(iter(batches)), lambda: [None for _ in batches], lambda: {"slices": n}
    n = 16 * BATCH
    every = songs.whole().__getitems__(range(-(-n // SLICES_EACH)))["x"][:n]
    own = root / by.replace(" ", "-")
    own.mkdir(exist_ok=True)
    if by == "PNG files":
        from PIL import Image

        for i, x in enumerate(every.float().numpy()):
            Image.fromarray(np.clip(2 * (x + 100), 0, 255).astype(np.uint8)).save(own / f"{i}.png")

        def batch(numbers: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.stack([np.asarray(Image.open(own / f"{i}.png")) for i in numbers]))

        def work() -> None:
            for numbers in np.split(random.permutation(n), n // BATCH):
                batch(numbers)

        return lambda: batch(np.arange(BATCH)), work, lambda: {"slices": n}
    import litdata

    items = [x.clone() for x in every.contiguous()]  # a view would be written with all that it is a part of
    litdata.optimize(_same, items, output_dir=str(own / "set"), chunk_bytes="64MB", num_workers=1)
    data = litdata.StreamingDataset(str(own / "set"), shuffle=True)
    stream = litdata.StreamingDataLoader(data, batch_size=BATCH)
    return lambda: next(iter(stream)), lambda: [None for _ in stream], lambda: {"slices": n}


def _same(x: Any) -> Any:
    return x


def tracker(each_step: bool, store: str) -> Work:
    """A run of 20 epochs and 50 steps: five figures an epoch as genrelab logs them, or a loss a step in a call each."""
    from genrelab.track import Mlflow

    home = Path(store)
    home.mkdir(exist_ok=True)
    figures = {f"val/song/figure{k}": 0.5 for k in range(5)}

    def work(epochs: int = 20) -> None:
        run = Mlflow().begin(home, "bench", "bench", {})
        for epoch in range(epochs):
            if each_step:
                for n in range(50):
                    run.client.log_metric(run.id, "train/loss", 0.5, step=50 * epoch + n)
                for name, value in figures.items():
                    run.client.log_metric(run.id, name, value, step=epoch)
            else:
                run.logger.log_metrics(figures | {"train/loss": 0.5}, step=epoch)
        run.finish()

    return lambda: work(1), work, dict
