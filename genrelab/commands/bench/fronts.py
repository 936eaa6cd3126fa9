"""`bench fronts`: every front-end beside other libraries that draw the same picture, in turns, on the same clips."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from genrelab.commands.bench.peers import PEERS, Peer
from genrelab.commands.bench.timing import Ratio, Ready, Worker, ratio, rounds, standing
from genrelab.environment import processor
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError

OURS = "genrelab"
REHEARSAL_S = 2.0  # of sound, for what compiles
MAKE = f"{__name__}:candidate"


@dataclass
class Row:
    """One candidate with one number of threads."""

    front: str
    name: str
    says: str
    threads: int
    clips_s: float
    ready: Ready | None = None
    taken_s: list[float] = field(default_factory=list)  # a figure a round, for all clips
    missing: str = ""  # why there is nothing

    @property
    def x_realtime(self) -> float | None:
        return self.clips_s / median(self.taken_s) if self.taken_s else None


def run(
    words: Annotated[list[str] | None, typer.Argument(help="Hydra overrides, as in front.n_bins=96.")] = None,
    threads: Annotated[str, typer.Option(help="Numbers of threads of one transform, with commas.")] = "1,2",
    clips: Annotated[int, typer.Option(min=1, help="How many made clips.")] = 2,
    seconds: Annotated[float, typer.Option(min=0.5, help="The length of a clip, s.")] = 30.0,
    songs: Annotated[list[str] | None, typer.Option(help="Your own song instead; may be given again.")] = None,
    front: Annotated[str | None, typer.Option(help="Which front-ends, with commas; all if not given.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds, in each of which all are timed once.")] = 5,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file, too.")] = None,
) -> int:
    """Time every front-end beside torchaudio, librosa, nnAudio, pywt, ssqueezepy and fcwt, where they are installed.

    Each runs in a process of its own, one at a time, in shuffled rounds. Own: × real time; ratios: how many times
    longer the peer takes. Peers come with pip install 'genrelab[bench]'.
    """
    from genrelab import compose

    names, numbers = _fronts(front), _numbers(threads)
    words = words or []
    if chosen := [w for w in words if w.lstrip("+~").startswith("front=")]:
        raise UserError(f"{chosen[0]}: bench fronts times all of them; choose with --front {chosen[0][6:] or 'mel'}")
    configs = {name: compose.composed([f"front={name}", *words]) for name in names}
    for name in names:
        compose.instantiate(configs[name]["front"])  # what does not fit is said before anything runs
    waves = _heard(songs, seconds, configs[names[0]]["sample_rate"]) if songs else None
    rate = configs[names[0]]["sample_rate"]
    waves = waves or [music(seconds, rate, seed) for seed in range(clips)]
    kind = ("song" if songs else "made clip") + ("" if len(waves) == 1 else "s")
    what = f"{len(waves)} {kind}, {sum(map(len, waves)) / rate:.3g} s in all"
    rows: list[Row] = []
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips.npz"
        np.savez(path, *waves)
        try:
            for name in names:
                _bench(name, configs[name]["front"], path, sum(map(len, waves)) / rate, numbers, repeats, rows)
        except KeyboardInterrupt:
            BAR.clear()
            say("interrupted: this is what was measured")
            code = 130
    show(table(rows, numbers, f"{what}, {repeats} round{'s' if repeats > 1 else ''}, {machine()}"))
    if to_json:
        to_json.write_text(json.dumps(figures(rows, what, repeats), indent=1, ensure_ascii=False) + "\n")
    return code or int(any(r.name == OURS and not r.taken_s for r in rows))


def _fronts(word: str | None) -> list[str]:
    """The front-ends asked for, else all of conf/front but `bars`, which is mel cut otherwise."""
    from genrelab.words import groups

    there = [name for name in groups()["front"] if name != "bars"]
    names = list(dict.fromkeys(name.strip() for name in word.split(","))) if word is not None else there
    for name in names:
        if name not in there:
            raise UserError(f"--front {word}: there is no front-end '{name}' to time; there are {', '.join(there)}")
    return names


def _numbers(word: str) -> list[int]:
    try:
        numbers = sorted({int(n) for n in word.split(",")})
    except ValueError:
        numbers = [0]
    if numbers[0] < 1:
        raise UserError(f"--threads {word}: expected whole numbers from 1 with commas, as in 1,2")
    if numbers[-1] > (os.cpu_count() or 1):
        say(f"--threads {word}: this machine has {os.cpu_count()} cores, so {numbers[-1]} threads share them")
    return numbers


def _heard(songs: Sequence[str], seconds: float, sample_rate: int) -> list[np.ndarray]:
    """The beginning of every song, at most `seconds` long."""
    from genrelab.audio import decode, guarded

    waves = []
    for name in songs:
        try:
            waves.append(guarded.load(Path(name).expanduser(), sample_rate, 0.0, seconds))
        except decode.AudioError as error:
            raise UserError(f"--songs {name}: {error}") from error
    return waves


def music(seconds: float, sample_rate: int, seed: int) -> np.ndarray:
    """A made clip (samples,) float32: chords of decaying partials, drums of noise, hiss. The same every time."""
    rng = np.random.default_rng(seed)
    n, beat = round(seconds * sample_rate), sample_rate // 2
    wave = 1e-3 * rng.standard_normal(n)
    time_s = np.arange(4 * beat) / sample_rate
    for start in range(0, n, beat):
        hit = 0.2 * rng.standard_normal(beat) * np.exp(-np.arange(beat) / (0.03 * sample_rate))
        notes = 55 * 2 ** (rng.integers(0, 48, 3) / 12)  # Hz
        tones = [
            np.sin(2 * np.pi * k * hz * time_s + rng.uniform(0, 6.28)) / k**1.2
            for hz in notes
            for k in range(1, 9)
            if k * hz < sample_rate / 2
        ]
        chord = 0.06 * np.sum(tones, 0) * np.exp(-time_s / 0.5)
        for sound in (hit, chord):
            end = min(n, start + len(sound))
            wave[start:end] += sound[: end - start]
    return (wave / max(1.0, float(np.abs(wave).max()))).astype(np.float32)


def _bench(
    front: str, config: dict[str, Any], clips: Path, clips_s: float, numbers: list[int], repeats: int, rows: list[Row]
) -> None:
    """One front-end and its peers: appends their rows as soon as there is something to say."""
    workers: list[tuple[Worker, Row]] = []
    try:
        for peer in (None, *PEERS.get(front, ())):
            for n in numbers:
                row = Row(front, peer.name if peer else OURS, peer.says if peer else "", n, clips_s)
                rows.append(row)
                if peer and not _installed(peer):
                    row.missing = f"not installed: pip install 'genrelab[bench]' ({peer.package})"
                    continue
                which = (PEERS[front].index(peer)) if peer else None
                picture = clips.with_name(f"{front}-{row.name}-{n}.npy")
                args = {"config": config, "front": front, "which": which, "clips": str(clips), "out": str(picture)}
                workers.append((Worker(MAKE, args, n), row))
        ready = standing(workers, _progress("warming up", front))
        _alike(front, clips.parent, [row for _, row in ready], numbers[0])
        first = [f"{r.name} {r.ready.first_s:.2g} s" for _, r in ready if r.ready and r.threads == numbers[0]]
        say(f"{front}: first calls, not timed: {', '.join(first)}")
        rounds([w for w, _ in ready], repeats, 0, _progress("timing", front), [r.taken_s for _, r in ready])
    finally:
        for worker, _ in workers:
            worker.close()


def _progress(doing: str, front: str) -> Callable[[int, int], None]:
    return lambda done, total: BAR(f"{doing} {front}", done, total)


def _installed(peer: Peer) -> bool:
    from importlib.util import find_spec

    return find_spec(peer.package) is not None


def _alike(front: str, folder: Path, rows: Sequence[Row], threads: int) -> None:
    """Adds to every row's `said` how its picture correlates with ours, 1 where they are alike; of the first clip."""
    ours = folder / f"{front}-{OURS}-{threads}.npy"
    if not ours.is_file():
        return
    mine = np.load(ours)
    for row in rows:
        theirs = np.load(folder / f"{front}-{row.name}-{row.threads}.npy")
        assert row.ready is not None
        row.ready.said["alike"] = alike(mine, theirs)


def alike(a: np.ndarray, b: np.ndarray) -> float | None:
    """Correlation of two pictures (F, frames) of one clip, the second at the frames nearest to those of the first."""
    if len(a) != len(b):
        return None
    nearest = np.rint(np.linspace(0, b.shape[1] - 1, a.shape[1])).astype(int)
    r = float(np.corrcoef(a.ravel(), b[:, nearest].ravel())[0, 1])
    return r if np.isfinite(r) else None


def candidate(config: dict[str, Any], front: str, which: int | None, clips: str, out: str) -> Any:
    """In a worker's process: (rehearse, work, tell) of our front-end (`which` None) or a peer of it."""
    import torch

    from genrelab.compose import instantiate

    torch.set_grad_enabled(False)
    ours = instantiate(config).eval()
    stored = np.load(clips)
    waves = [stored[name] for name in stored.files]
    if which is None:

        def hear(wave: np.ndarray) -> Any:
            return ours(torch.from_numpy(wave)[None])[0]

    else:
        peer = PEERS[front][which]
        made = peer.make(ours, config)

        def hear(wave: np.ndarray) -> Any:
            picture = torch.as_tensor(made(wave))
            return picture if peer.finished else ours.scaled(picture.float().T[None])[0].T

    def work() -> None:
        for wave in waves:
            hear(wave)

    def tell() -> dict[str, Any]:
        picture = np.asarray(hear(waves[0]))
        np.save(out, picture)
        return {"bins": picture.shape[0], "frames": picture.shape[1]}

    rate = config["sample_rate"]
    return lambda: hear(waves[0][: round(REHEARSAL_S * rate)]), work, tell


def machine() -> str:
    """The processor and its cores."""
    return f"{processor()}, {os.cpu_count()} cores"


def table(rows: Sequence[Row], numbers: Sequence[int], title: str) -> Any:
    """A block a front-end, ours first; below it a line for each peer that draws another picture, or none."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from genrelab.report.table import NONE, quantity, texts

    head = Text(f"Front-ends beside their peers: {title}", style="bold")
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    made.add_column("\nfront")
    made.add_column("\nby", overflow="fold")
    for n in numbers:
        made.add_column(f"{n} thread{'s' if n > 1 else ''}:\n× real time", justify="right")
        made.add_column("times longer\nthan ours", justify="right")
    made.add_column("peak,\nMB", justify="right")
    made.add_column("\nalike", justify="right")
    notes = []
    keys = list(dict.fromkeys((r.front, r.name) for r in rows))
    for i, (front, name) in enumerate(keys):
        own = [r for r in rows if (r.front, r.name) == (front, name)]
        cells = [front if name == OURS else "", name]
        for row in own:
            pair = _ratio(row, rows)
            spread = f"{_short(pair.median)} [{_short(pair.least)}, {_short(pair.most)}]" if pair else NONE
            cells += [quantity(row.x_realtime), "" if name == OURS else spread]
        cells += [NONE] * (2 + 2 * len(numbers) - len(cells))  # what an interrupt left out
        ready = own[0].ready
        like = ready.said.get("alike") if ready else None
        cells.append(NONE if ready is None else f"{ready.peak_mb:,.0f}")
        cells.append("" if name == OURS else NONE if like is None else f"{like:.3f}")
        last = i + 1 == len(keys) or keys[i + 1][0] != front
        made.add_row(*texts(*cells), style="bold" if name == OURS else None, end_section=last)
        if said := "; ".join(filter(None, (own[0].says, own[0].missing))):
            notes.append(f"{front}, {name}: {said}")
    explained = (
        "times longer: median of the rounds' pairs [least, most]",
        f"peak: what one call adds to the memory, {numbers[0]} thread{'s' if numbers[0] > 1 else ''}",
        "alike: correlation of the peer's picture with ours, 1 where they are the same",
    )
    return Group(head, "", made, *texts("", *explained, "", *notes))


def _ratio(row: Row, rows: Sequence[Row]) -> Ratio | None:
    """How many times longer a peer takes than ours with as many threads."""
    ours = next(r for r in rows if (r.front, r.name, r.threads) == (row.front, OURS, row.threads))
    return ratio(row.taken_s, ours.taken_s) if row.name != OURS else None


def _short(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def figures(rows: Sequence[Row], what: str, repeats: int) -> dict[str, Any]:
    """All that was measured, as JSON takes it."""
    from importlib.metadata import packages_distributions, version

    names = packages_distributions()
    packages = sorted({p.package for peers in PEERS.values() for p in peers} | {"torch", "numpy"})
    said = []
    for r in rows:
        pair = _ratio(r, rows)
        said.append(
            {
                "front": r.front,
                "by": r.name,
                "threads": r.threads,
                "x_realtime": r.x_realtime,
                "seconds": r.taken_s,
                "times_longer_than_ours": pair and {"median": pair.median, "least": pair.least, "most": pair.most},
                "peak_mb": r.ready.peak_mb if r.ready else None,
                "first_call_s": r.ready.first_s if r.ready else None,
                **(r.ready.said if r.ready else {}),
                "differs": r.says,
                "missing": r.missing,
            }
        )
    versions = {p: version(names[p][0]) for p in packages if p in names}
    return {"machine": machine(), "clips": what, "rounds": repeats, "versions": versions, "rows": said}
