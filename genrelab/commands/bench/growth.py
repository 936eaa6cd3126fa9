"""`bench growth`: how the cost grows with songs, seconds, bins and slices."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from genrelab.commands.bench import fronts, nets, programs, sound
from genrelab.commands.bench.fronts import machine
from genrelab.commands.bench.sound import RATE, Work
from genrelab.commands.bench.timing import Candidate, compete
from genrelab.report.console import BAR, show

SECONDS, BINS, SLICES, SONGS = (15, 30, 60, 120, 240), (32, 64, 128, 256), (16, 32, 64, 128), (1000, 10_000, 100_000)


@dataclass(frozen=True)
class Grown:
    """What was timed at some sizes."""

    what: str
    unit: str  # of a size
    sizes: tuple[int, ...]
    taken_s: list[float]  # medians

    @property
    def exponent(self) -> float:
        """b of time = a * size ** b, fitted to the logarithms."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.taken_s), 1)[0])


def run(
    repeats: Annotated[int, typer.Option(min=1, help="Rounds, in each of which all sizes are timed once.")] = 5,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file, too.")] = None,
) -> int:
    """Time decoding, pictures, training and opening a run's data at several sizes each."""
    with tempfile.TemporaryDirectory(prefix="genrelab-bench-") as folder:
        made = [_grown(repeats, *asked) for asked in _asked(folder)]
    show(_table([g for g in made if g], f"how the cost grows: {machine()}, {repeats} rounds"))
    if to_json:
        rows = [vars(g) | {"exponent": g.exponent} for g in made if g]
        to_json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


def _asked(folder: str) -> list[tuple[str, str, tuple[int, ...], str, str, dict[str, Any]]]:
    """What, the unit of its sizes, the sizes, the function, what it calls a size, its other arguments."""
    own = __name__
    return [
        ("an MP3 decoded", "s", SECONDS, f"{own}:decoding", "seconds", {"folder": folder}),
        ("a mel picture drawn", "s", SECONDS, f"{own}:drawing", "seconds", {"bins": 128}),
        ("a mel picture drawn, 30 s", "bins", BINS, f"{own}:drawing", "bins", {"seconds": 30}),
        ("a training step", "slices", SLICES, f"{own}:training", "slices", {}),
        ("a batch read, of a store", "songs", SONGS, f"{programs.__name__}:corpus", "n", {"folder": folder}),
    ]


def _grown(
    repeats: int,
    what: str,
    unit: str,
    sizes: tuple[int, ...],
    target: str,
    name: str,
    args: dict[str, Any],
) -> Grown | None:
    candidates = [Candidate(str(size), target, args | {name: size}) for size in sizes]
    compete(candidates, repeats, lambda done, total: BAR(f"timing {what}", done, total))
    if any(not c.taken_s for c in candidates):
        why = next(c.missing for c in candidates if not c.taken_s)
        show(f"{what}: {why}")
        return None
    return Grown(what, unit, sizes, [median(c.taken_s) for c in candidates])


def _table(made: list[Grown], title: str) -> Any:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from genrelab.report.table import quantity, texts

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("what", "sizes", "ms", "time grows as"):
        table.add_column(name, justify="left" if name == "what" else "right", overflow="fold")
    for g in made:
        sizes = " · ".join(f"{n:,}" for n in g.sizes) + f" {g.unit}"
        table.add_row(*texts(g.what, sizes, " · ".join(quantity(1000 * s) for s in g.taken_s), f"n^{g.exponent:.2f}"))
    return Group(Text(title, style="bold"), "", table)


def decoding(folder: str, seconds: int) -> Work:
    """A compressed song of so many seconds to 22.05 kHz mono."""
    import soundfile

    from genrelab.audio.decode import load

    path = Path(folder) / f"{seconds}.mp3"
    if not path.is_file():
        wave = fronts.music(seconds, sound.FILE_RATE, 0)
        soundfile.write(path, np.stack([wave, wave], 1), sound.FILE_RATE)

    def work() -> object:
        return load(path, RATE)

    return work, work, dict


def drawing(seconds: int, bins: int) -> Work:
    """A picture of so many seconds and bins."""
    import torch

    from genrelab import compose

    front = compose.instantiate(compose.composed([f"front.n_bins={bins}"])["front"])
    wave = torch.from_numpy(fronts.music(seconds, RATE, 0))[None]

    def work() -> object:
        with torch.no_grad():
            return front(wave)

    return work, work, dict


def training(slices: int) -> Work:
    """Forward, backward and optimiser on so many slices."""
    import torch
    from torch.nn.functional import cross_entropy

    from genrelab import compose, speed

    config = compose.composed([])
    model: Any = compose.build(config, list("abcdef"), several=False)
    speed.use(speed.Choice(), model.net)
    optimizer = torch.optim.AdamW(model.parameters())
    x, n_slices = torch.randn(slices, *model.slice_shape), torch.full((slices // 4,), 4)
    y = torch.arange(slices // 4) % nets.N_GENRES

    def work() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            loss = cross_entropy(model(x, n_slices).song.float(), y)
        loss.backward()
        optimizer.step()

    return work, work, dict
