"""`bench beats`: estimated beats of annotated songs against their annotation: F-measures, tempi, speed."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab.report.console import BAR, say, show
from genrelab.types import GROUP_KEYS, Beats, Track, UserError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

N_BOOT = 2000  # draws of groups
WINDOW_S = 0.07  # an estimate so near is a hit
FIGURES = {
    "beat_f": "beat F",
    "downbeat_f": "downbeat F",
    "tempo_1": "tempo accuracy 1",
    "tempo_2": "tempo accuracy 2",
}


@dataclass(frozen=True)
class Song:
    """What was found of one song."""

    id: str
    genre: str
    group: str
    source: str  # that estimated
    confidence: float
    beat_f: float
    downbeat_f: float | None  # None where the annotation does not tell bars
    tempo_1: float
    tempo_2: float
    duration_s: float
    seconds: float  # that estimating took, without decoding


def run(
    words: Annotated[list[str] | None, typer.Argument(help="Hydra overrides: data=manifest data.path=FILE.csv")] = None,
    to_json: Annotated[Path | None, typer.Option("--json", help="Write all figures into this file, too.")] = None,
) -> int:
    """Estimate the beats of every song that has annotated ones, and say how near they come (+-70 ms)."""
    from genrelab import compose
    from genrelab.data.strangers import limited

    config = compose.composed(words or [])
    source = compose.instantiate(config["data"])
    tracks = limited(source.tracks(Path(config["store"]), BAR), config["limit_songs"])
    annotated = [t for t in tracks if t.beats is not None]
    if not annotated:
        raise UserError(
            f"data={source.name} has no annotated beats: give a manifest with a column `beats`, a file a song"
        )
    songs: list[Song] = []
    code = 0
    try:
        _warm_up(config["sample_rate"])
        key = next((k for k in GROUP_KEYS if all(getattr(t, k) for t in annotated)), None)
        for n, track in enumerate(annotated, 1):
            if song := _song(track, config["sample_rate"], key):
                songs.append(song)
            BAR("finding beats", n, len(annotated))
    except KeyboardInterrupt:
        BAR.clear()
        say("interrupted: this is what was measured")
        code = 130
    if not songs:
        return code or 1
    show(table(songs, f"{source.name}: {len(songs)} songs, groups by {key or 'song'}"))
    if to_json:
        said = {"data": source.name, "groups_by": key or "song", "summary": summary(songs)}
        said["songs"] = [asdict(s) for s in songs]  # type: ignore[assignment]
        to_json.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    return code


def _warm_up(sample_rate: int) -> None:
    """What compiles does so now, on ten seconds of clicks."""
    import numpy as np

    from genrelab.audio import beats

    wave = np.zeros(10 * sample_rate, np.float32)
    wave[:: sample_rate // 2] = 0.5
    start = time.perf_counter()
    beats.estimate(wave, sample_rate)
    say(f"first call, not timed: {time.perf_counter() - start:.2g} s")


def _song(track: Track, sample_rate: int, key: str | None) -> Song | None:
    """None, and a remark, where the file cannot be read or its window holds no annotated beat."""
    from genrelab.audio import beats, decode, guarded
    from genrelab.data.manifest import read_beats

    assert track.beats is not None
    try:
        wave = guarded.load(track.path, sample_rate, track.start_s, track.duration_s)
    except decode.AudioError as error:
        say(f"{track.id}: left out, {error}")
        return None
    duration_s = len(wave) / sample_rate
    truth = within(read_beats(track.beats), track.start_s, duration_s)
    if len(truth.times_s) < 2:
        say(f"{track.id}: left out, fewer than two annotated beats lie in it")
        return None
    start = time.perf_counter()
    found = beats.estimate(wave, sample_rate)
    seconds = time.perf_counter() - start
    group = str(getattr(track, key)) if key else track.id
    return scored(truth, found, track.id, track.genres[0], group, duration_s, seconds)


def within(grid: Beats, start_s: float, duration_s: float) -> Beats:
    """The beats inside of a window, in seconds from its begin."""
    times_s = grid.times_s - start_s
    inside = (times_s >= 0) & (times_s <= duration_s)
    places = None if grid.beat_in_bar is None else grid.beat_in_bar[inside]
    return Beats(times_s[inside], places, grid.source, grid.confidence)


def scored(truth: Beats, found: Beats, song: str, genre: str, group: str, duration_s: float, seconds: float) -> Song:
    """An estimate against the truth."""
    from genrelab.evaluate.beats import f_measure, tempo_accuracy, tempo_bpm

    downbeat_f = None
    if truth.beat_in_bar is not None:
        guess = found.times_s[:0] if found.beat_in_bar is None else found.times_s[found.beat_in_bar == 1]
        downbeat_f = f_measure(truth.times_s[truth.beat_in_bar == 1], guess, WINDOW_S)
    tempo_1, tempo_2 = tempo_accuracy(tempo_bpm(truth.times_s), tempo_bpm(found.times_s))
    beat_f = f_measure(truth.times_s, found.times_s, WINDOW_S)
    figures = (beat_f, downbeat_f, tempo_1, tempo_2)
    return Song(song, genre, group, found.source, found.confidence, *figures, duration_s, seconds)


def interval(values: ArrayLike, groups: Sequence[str], seed: int) -> tuple[float, float]:
    """95 % interval of the mean of (n,) values: a bootstrap over whole groups, of which n - 1 are drawn.

    Rao & Wu (1988), as in genrelab.evaluate.intervals; [NaN, NaN] of a single group.
    """
    import numpy as np

    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    sums, counts = np.bincount(index, np.asarray(values, float)), np.bincount(index)
    drawn = np.random.default_rng(seed).multinomial(len(names) - 1, np.full(len(names), 1 / len(names)), N_BOOT)
    lo, hi = np.quantile((drawn @ sums) / (drawn @ counts), [0.025, 0.975])
    return float(lo), float(hi)


def summary(songs: Sequence[Song]) -> dict[str, dict[str, Any]]:
    """The figures of all songs and of each genre: every mean, 0..1, with `_lo` and `_hi`, and x real time.

    `confidence_r` is the rank correlation of confidence and beat F over the songs: whether low confidence warns.
    """
    return {name: _figures([s for s in songs if name in ("all", s.genre)]) for name in _names(songs)}


def _names(songs: Sequence[Song]) -> list[str]:
    return ["all", *sorted({s.genre for s in songs})]


def _figures(songs: Sequence[Song]) -> dict[str, Any]:
    from statistics import fmean

    from scipy.stats import spearmanr

    made: dict[str, Any] = {"n": len(songs), "n_groups": len({s.group for s in songs})}
    for key in FIGURES:
        told = [(getattr(s, key), s.group) for s in songs if getattr(s, key) is not None]
        if told:
            values, groups = zip(*told, strict=True)
            made[key] = fmean(values)
            made[f"{key}_lo"], made[f"{key}_hi"] = interval(values, groups, 0)
    confidences, hits = [s.confidence for s in songs], [s.beat_f for s in songs]
    varies = len(songs) > 2 and len(set(confidences)) > 1 and len(set(hits)) > 1
    made["confidence_r"] = float(spearmanr(confidences, hits)[0]) if varies else None
    made["x_realtime"] = sum(s.duration_s for s in songs) / sum(s.seconds for s in songs)
    return made


def table(songs: Sequence[Song], title: str) -> Any:
    """A row for all songs, then one a genre."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from genrelab.report.table import NONE, interval, percent, quantity, texts

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    made.add_column("\ngenre", overflow="fold")
    made.add_column("\nsongs", justify="right")
    for label in FIGURES.values():
        first, _, rest = label.partition(" ")
        made.add_column(f"{first}\n{rest}, %", justify="right")
    made.add_column("confidence\nto beat F, r", justify="right")
    made.add_column("× real\ntime", justify="right")
    for name, f in summary(songs).items():
        cells = [name, str(f["n"])]
        cells += [f"{percent(f.get(key))} {interval(f, key)}".replace(f"{NONE} {NONE}", NONE) for key in FIGURES]
        r = f["confidence_r"]
        cells += [NONE if r is None else f"{r:.2f}", quantity(f["x_realtime"])]
        made.add_row(*texts(*cells), style="bold" if name == "all" else None, end_section=name == "all")
    by = ", ".join(sorted({s.source for s in songs}))
    notes = (
        f"estimated by {by}; brackets: 95 % interval, a bootstrap over groups",
        "F: an estimate within 70 ms is a hit; tempo accuracy: within 4 %, 2 also takes double, half, triple and third",
    )
    return Group(Text(f"Beats: {title}", style="bold"), "", made, *texts("", *notes))
