"""`look SONG`: draws a song as every front-end sees it, a page to listen to and pictures for a paper."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths, words
from genrelab.audio.encode import encoded
from genrelab.report.console import BAR, say, show
from genrelab.types import Beats, UserError

if TYPE_CHECKING:
    import numpy as np

    from genrelab.front.base import Front
    from genrelab.report.look import Panel

FRONTS = "stft,mel,cqt,cwt,chroma,carfac"
EXCERPT_S = 30.0
WARM_S = 1.0  # drawn before the clock runs: tables are built and compiled once
MP3_LEVEL = 0.6  # of libsndfile, 0 to 1: 64 kbit/s at 22.05 kHz


@dataclass(frozen=True)
class Chosen:
    """A front-end to draw with, and the configuration that it was composed in."""

    name: str
    front: Front
    note: str  # whose weights it has
    config: dict[str, Any]


def run(
    song: Annotated[str, typer.Argument(help="An audio file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="As training takes them: slice=bars, front.amplitude=pcen (of every front-end)."),
    ] = None,
    front: Annotated[str | None, typer.Option(help=f"Front-ends, with commas between. [default: {FRONTS}]")] = None,
    out: Annotated[str | None, typer.Option(help="The page. [default: SONG-look.html in this folder]")] = None,
    start: Annotated[float, typer.Option(help="Where to begin, seconds.")] = 0.0,
    duration: Annotated[float, typer.Option(help="How much to draw, seconds; 0: to the end.")] = EXCERPT_S,
    beats: Annotated[str | None, typer.Option(help="A CSV of the song's beats: time[,beat_in_bar].")] = None,
    run: Annotated[str | None, typer.Option(help="A finished run whose front-end draws as it was trained.")] = None,
) -> int:
    """Draw a song as every front-end sees it: one page with a player, and PNGs in a folder beside it."""
    path, given = Path(song).expanduser(), list(overrides or [])
    page = _target(out, path)
    chosen = _chosen(_names(front, given), given, run)
    config = chosen[0].config
    wave = _decoded(path, config["sample_rate"])
    grid = _beats(beats, wave, config["sample_rate"])
    return _drawn(path, page, chosen, wave, grid, _window(wave, config["sample_rate"], start, duration))


def _target(out: str | None, song: Path) -> Path:
    """Where the page is written. Raises UserError for a folder that is not there or a name that is no page's."""
    usual = f"{song.stem}-look.html"
    page = Path(out).expanduser() if out else Path(usual)
    if page.is_dir():
        page = page / usual
    if not page.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {page.parent}; make it first")
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {out}: expected a page's name, as in --out {page.name}.html")
    pictures = page.with_suffix("")
    if pictures.exists() and not pictures.is_dir():
        raise UserError(f"--out {out}: the pictures go to the folder {pictures}, which is a file; choose another name")
    return page


def _names(front: str | None, overrides: Sequence[str]) -> list[str] | None:
    """The front-ends that are asked for, each once, or None. Raises UserError for one that there is not."""
    for word in overrides:
        if word.partition("=")[0].lstrip("+~") == "front":
            raise UserError(f"{word}: here front-ends are named with --front, as in --front {FRONTS}")
    if front is None:
        return None
    known = words.groups()["front"]
    names = list(dict.fromkeys(filter(None, (n.strip() for n in front.split(",")))))
    if not names:
        raise UserError(f"--front {front!r} names none; there are {', '.join(known)}")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"--front {name}: there is no such front-end; there are {', '.join(known)}{hint}")
    return names


def _chosen(names: list[str] | None, overrides: list[str], run: str | None) -> list[Chosen]:
    """The front-ends, each made by its own yaml and the overrides; that of a run as it was trained.

    Raises UserError where the words do not compose, or an override is of a key which one of the front-ends lacks.
    """
    from genrelab import compose

    compose.composed([w for w in overrides if not w.startswith("front.")])  # what is wrong of them is no front-end's
    trained = _trained(run) if run else None
    if trained:
        names = [*FRONTS.split(","), trained.name] if names is None else names
        if trained.name not in names:
            raise UserError(f"--run {run} was trained with front={trained.name}, which --front does not name: add it")
        names = list(dict.fromkeys(names))
    chosen = []
    for name in names or FRONTS.split(","):
        if trained and name == trained.name:
            chosen.append(trained)
            continue
        try:
            config = compose.composed([f"front={name}", *overrides])
            chosen.append(_made(name, config))
        except UserError as error:
            said = str(error)
            raise UserError(said if said.startswith("front=") else f"front={name}: {said}") from error
    own = next((c for c in chosen if c is not trained), None)
    config = own.config if own else compose.composed(overrides)
    for c in chosen:
        if c is not trained and c.config["slice"] != config["slice"]:
            raise UserError(f"front={c.name} changes the slices, too: draw it alone, or give slice=... for all")
        if c.config["sample_rate"] != config["sample_rate"]:
            rate = c.config["sample_rate"]
            raise UserError(f"--run {run} heard {rate} Hz, the others {config['sample_rate']}: add sample_rate={rate}")
    return [replace(c, config=config) for c in chosen]


def _made(name: str, config: dict[str, Any]) -> Chosen:
    """A front-end by its configuration; a learned one with the weights that it begins with."""
    import torch

    from genrelab import compose

    with torch.random.fork_rng():
        torch.manual_seed(config["seed"])
        front = compose.instantiate(config["front"])
    note = f"untrained: the filters it begins with (seed {config['seed']})" if front.learned else ""
    return Chosen(name, front.eval(), note, config)


def _trained(run: str) -> Chosen:
    """The front-end of a finished run."""
    from genrelab import compose, track

    record = track.find(paths.store_dir(), run)
    if record.kind not in track.MODELS or record.status != "FINISHED":
        raise UserError(
            f"--run {run}: {record.name} ({record.id[:8]}, {record.status}) holds no finished model; name another"
        )
    asked = compose.restore(record.folder)
    model, config = asked.model, asked.config
    note = f"trained by {record.name} ({record.id[:8]})" if model.front.learned else f"as in {record.name}"
    return Chosen(config["choices"]["front"], model.front, note, config)


def _decoded(path: Path, sample_rate: int) -> np.ndarray:
    """The whole song. Raises UserError where it cannot be drawn."""
    from genrelab.audio import decode, guarded

    try:
        return guarded.inspect(path, sample_rate)
    except decode.AudioError as error:
        hint = "; give the path of a song" if error.reason in ("missing", "not a file") else ""
        raise UserError(f"{path}: {': '.join(filter(None, (error.reason, error.detail)))}{hint}") from error


def _beats(given: str | None, wave: np.ndarray, sample_rate: int) -> Beats | None:
    """The song's beats: of the file that the user gives, else estimated. None where none are heard."""
    if given:
        from genrelab.data.manifest import read_beats

        return read_beats(Path(given).expanduser())
    from genrelab.audio.beats import estimate

    found = estimate(wave, sample_rate)
    return found if len(found.times_s) else None


def _window(wave: np.ndarray, sample_rate: int, start_s: float, duration_s: float) -> tuple[int, int]:
    """The excerpt's first sample and the one behind its last. Raises UserError where it lies outside of the song."""
    whole_s = len(wave) / sample_rate
    if not 0 <= start_s < whole_s:
        raise UserError(f"--start {start_s:g}: the song lasts {whole_s:.2f} s; begin within it")
    if not duration_s >= 0:
        raise UserError(f"--duration {duration_s:g}: expected seconds, or 0 for all to the end")
    first = round(start_s * sample_rate)
    behind = min(len(wave), first + round(duration_s * sample_rate)) if duration_s else len(wave)
    if duration_s == EXCERPT_S and behind < len(wave):
        say(f"{EXCERPT_S:g} s of {whole_s:.0f}: --duration 0 draws all of it, --start S begins elsewhere")
    return first, max(behind, first + 1)


def _drawn(
    path: Path, page: Path, chosen: list[Chosen], wave: np.ndarray, grid: Beats | None, window: tuple[int, int]
) -> int:
    """Draws, writes and says where to. The exit code."""
    import numpy as np

    from genrelab import compose
    from genrelab.report import look
    from genrelab.report.page import html

    config = chosen[0].config
    rate, excerpt = config["sample_rate"], wave[window[0] : window[1]]
    start_s, end_s = window[0] / rate, window[1] / rate
    panels, rows = [], []
    for n, one in enumerate(chosen):
        BAR(f"drawing, {one.name}", n, len(chosen))
        panel, spent_s = _panel(one, excerpt, rate)
        panels.append(panel)
        rows.append((panel, len(excerpt) / rate / spent_s))
    BAR("drawing", len(chosen), len(chosen))
    spans = compose.instantiate(config["slice"]).spans(len(wave) / rate, grid).numpy().reshape(-1, 2)
    spans = spans[(spans[:, 0] >= start_s - 1e-6) & (spans[:, 1] <= end_s + 1e-6)]
    facts = _facts(config, len(wave) / rate, (start_s, end_s), grid, len(spans))
    sheet = look.Sheet(path.stem, facts, excerpt, rate, start_s, grid, np.asarray(spans, float), tuple(panels))
    try:
        pictures = look.write(sheet, page.with_suffix(""), BAR)
        page.write_text(html(sheet, *encoded(excerpt, rate, MP3_LEVEL)), encoding="utf-8")
    except OSError as error:
        say(f"genrelab: {error.filename or page}: {error.strerror or error}; nothing more is written")
        return 1
    show(_table(rows))
    show(f"{page}  ({page.stat().st_size / 1e6:.1f} MB: open it in a browser)")
    show(f"{page.with_suffix('')}/  {', '.join(p.name for p in pictures)}")
    return 0


def _panel(one: Chosen, wave: np.ndarray, sample_rate: int) -> tuple[Panel, float]:
    """What a front-end draws of a wave, low frequencies first, and the seconds that it took."""
    import contextlib

    import numpy as np
    import torch

    from genrelab import panels

    x = torch.from_numpy(np.ascontiguousarray(wave))[None]
    try:
        with torch.no_grad():
            with contextlib.suppress(ValueError):  # a second may be too short for it
                one.front(x[:, : round(WARM_S * sample_rate)])
            began = time.perf_counter()
            picture = one.front(x)[0].float()
            spent_s = time.perf_counter() - began
    except ValueError as error:
        raise UserError(f"{len(wave) / sample_rate:.3g} s of sound: {error}") from error
    return panels.panel(one.name, one.front, picture.numpy(), one.note), spent_s


def _facts(
    config: dict[str, Any], whole_s: float, window: tuple[float, float], grid: Beats | None, n_slices: int
) -> tuple[tuple[str, str], ...]:
    """What the head of the page says: (what, value)."""
    import numpy as np

    length = _clock(whole_s)
    if window[1] - window[0] < whole_s - 0.01:
        length = f"{_clock(window[0])} to {_clock(window[1])} of {length}"
    tempo, source = "unknown", "none found"
    if grid is not None and len(grid.times_s) > 1:
        tempo = f"{60 / float(np.median(np.diff(grid.times_s))):.0f} BPM"
        if grid.beat_in_bar is not None:
            per_bar = np.diff(np.flatnonzero(grid.beat_in_bar == 1))
            tempo += f", {np.median(per_bar):g} beats a bar" if len(per_bar) else ""
        source = grid.source if grid.source == "annotated" else f"{grid.source}, confidence {grid.confidence:.2f}"
    part = config["slice"]
    values = ", ".join(
        f"{k} {v}" for k, v in part.items() if isinstance(v, int | float) and k not in ("jitter", "max_per_song")
    )
    slices = f"{config['choices']['slice']} ({values}): {n_slices} here"
    return ("length", length), ("tempo", tempo), ("beats", source), ("slices", slices)


def _clock(seconds: float) -> str:
    """3:04, and 0:02.5 where seconds are not whole."""
    tenths = round(seconds * 10)
    rest = f".{tenths % 10}" if tenths % 10 else ""
    return f"{tenths // 600}:{tenths // 10 % 60:02d}{rest}"


def _table(rows: list[tuple[Panel, float]]) -> Any:
    """A row a front-end: its bins, what they resolve and how fast it drew, in multiples of real time."""
    from rich import box
    from rich.table import Table

    from genrelab.report.table import quantity, texts

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("front-end", overflow="fold")
    table.add_column("resolution", overflow="fold")
    table.add_column("× real time", justify="right")
    for panel, speed in rows:
        table.add_row(*texts(panel.name, panel.sentence, quantity(speed)))
    return table
