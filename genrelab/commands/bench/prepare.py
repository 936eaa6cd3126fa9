"""`bench prepare`: what filling the store costs beside decoding: time and memory a song, up to 100,000 songs.

A simulation: the songs are windows of a few files, each decoded once and remembered. Every picture is drawn, but what
is written of it is a hole in the file, which takes no room on the disk. What is left is genrelab's own: the manifest,
what is known of files, the index, commits.
"""

from __future__ import annotations

import functools
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from genrelab.commands.bench import fronts, sound
from genrelab.commands.bench.fronts import machine
from genrelab.report.console import BAR, show

N_FILES, FILE_S, WINDOW_S = 8, 60, 2.56
GENRES = ("a", "b")
SIZES = (1000, 10_000, 100_000)


def run(
    songs: Annotated[int, typer.Option(min=1000, help="How many songs at most.")] = SIZES[-1],
    shards: Annotated[int, typer.Option(min=1, help="Processes that share the songs.")] = 1,
) -> int:
    """Fill stores of 1,000, 10,000 ... songs, each in processes of their own."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="genrelab-bench-") as folder:
        sizes = [n for n in SIZES if n <= songs]
        for k, n in enumerate(sizes):
            BAR("filling stores", k, len(sizes))
            rows.append((n, _filled(Path(folder) / str(n), n, shards)))
    show(_table(rows, f"filling a store, simulated: {machine()}, {shards} {'process' if shards == 1 else 'processes'}"))
    return 0


def _filled(folder: Path, n: int, shards: int) -> list[dict[str, float]]:
    """What each process said of a store of n songs."""
    folder.mkdir(parents=True)
    manifest = _manifest(folder, n)
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(shards, mp_context=spawned, max_tasks_per_child=1) as pool:
        asked = [pool.submit(_fill, str(manifest), str(folder / "store"), shards, k) for k in range(shards)]
        return [done.result() for done in asked]


def _manifest(folder: Path, n: int) -> Path:
    """n windows of a few files, each beginning somewhere else."""
    import soundfile

    for k in range(N_FILES):
        wave = fronts.music(FILE_S, sound.FILE_RATE, k)
        soundfile.write(folder / f"{k}.mp3", np.stack([wave, wave], 1), sound.FILE_RATE)
    step = (FILE_S - 2 * WINDOW_S) * N_FILES / n
    rows = [f"{i},{i % N_FILES}.mp3,{GENRES[i % 2]},{step * (i // N_FILES):.4f},{WINDOW_S}" for i in range(n)]
    path = folder / "manifest.csv"
    path.write_text("\n".join(["id,path,genre,start_s,duration_s", *rows]) + "\n", encoding="utf-8")
    return path


def _fill(manifest: str, store: str, shards: int, shard: int) -> dict[str, float]:
    """One process of `prepare`, its decoder and its disk replaced."""
    from genrelab import compose
    from genrelab import shards as sharing
    from genrelab import store as stores
    from genrelab.audio import decode, pcm
    from genrelab.commands.bench.timing import resident_mb

    @functools.cache
    def whole(path: Path, sample_rate: int) -> Any:
        return pcm.samples(decode.load(path, sample_rate)), decode.file_digest(path)

    def call(_: Any, path: Path, sample_rate: int, start_s: float, duration_s: float) -> Any:
        wave, of_file = whole(path, sample_rate)
        begin = round(start_s * sample_rate)
        return wave[begin : begin + round(duration_s * sample_rate)], of_file

    def hole(self: Any, file: Any, first: int, pictures: Any) -> None:
        file.truncate(max(file.seek(0, 2), 2 * self.n_bins * (first + sum(map(len, pictures)))))

    stores.guarded.call, stores.Shelf.write = call, hole  # type: ignore[assignment,method-assign]
    words = ["data=manifest", f"data.path={manifest}", f"store={store}", "baselines=false"]
    config = compose.composed([*words, *([f"prepare.shards={shards}", f"prepare.shard={shard}"] if shards > 1 else [])])
    compose.instantiate(config["front"])
    before, began = resident_mb("RssAnon"), time.perf_counter()
    filled = sharing.fill(config, lambda *_: None)
    cold_s = time.perf_counter() - began
    grown = resident_mb("RssAnon") - before
    began = time.perf_counter()
    again = sharing.fill(config, lambda *_: None)
    assert not again.heard_s
    return {"songs": filled.songs, "cold_s": cold_s, "again_s": time.perf_counter() - began, "mb": grown}


def _table(rows: list[tuple[int, list[dict[str, float]]]], title: str) -> Any:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from genrelab.report.table import quantity, texts

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("songs", "s", "ms a song", "again, s", "memory, MB", "kB a song"):
        table.add_column(name, justify="right")
    for n, parts in rows:
        cold_s, again_s, mb = (max(p[k] for p in parts) for k in ("cold_s", "again_s", "mb"))
        figures = (cold_s, 1000 * cold_s / n, again_s, mb, 1000 * mb / max(p["songs"] for p in parts))
        table.add_row(*texts(f"{n:,}", *map(quantity, figures)))
    return Group(Text(title, style="bold"), "", table)
