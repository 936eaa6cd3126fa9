"""A song as every front-end sees it, on one time axis: PNGs for a paper. `report.page` makes the page of the same."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.report import style
from genrelab.report.pictures import RANGE_DB, frequency_ticks
from genrelab.types import Beats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 240
WIDTH_IN, LEFT_IN, RIGHT_IN = 7.2, 0.62, 0.74  # the text width of two columns; room for the axis and the colour bar
HEAD_IN, WAVE_IN, LANE_IN, GAP_IN, TITLE_IN, FOOT_IN = 0.5, 0.4, 0.08, 0.05, 0.27, 0.42
ALONE_IN, STACKED_IN = 2.4, 1.3  # the height of a picture by itself, and among others
SLICE_LINE = "#6fe0f0"  # on a picture: magma holds neither white nor cyan
MAX_COLUMNS = 16_000  # wider images are beyond what some browsers show
MIN_ROWS = 120  # a picture of few bins is enlarged, so that drawing does not blur its bins into one another
PITCHES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@dataclass(frozen=True)
class Panel:
    """What one front-end drew of the excerpt."""

    name: str
    sentence: str  # bins, frames a second, resolution
    note: str  # whose weights a learned front-end has; empty for the others
    values: NDArray  # (F, frames) in `unit`, low frequencies first
    bin_hz: NDArray | None  # (F,) rising; None where bins are no frequencies in order
    bin_names: tuple[str, ...]  # (F,) where bins have names instead: the pitch classes; else empty
    hop_s: float
    unit: str


@dataclass(frozen=True)
class Sheet:
    """An excerpt of a song with its grid and its pictures. All times count from the beginning of the song."""

    title: str
    facts: tuple[tuple[str, str], ...]  # (what, value): length, tempo, beats, slices
    wave: NDArray  # (samples,) of the excerpt
    sample_rate: int
    start_s: float
    beats: Beats | None
    spans: NDArray  # (S, 2) seconds, by their beginning
    panels: tuple[Panel, ...]

    @property
    def duration_s(self) -> float:
        return len(self.wave) / self.sample_rate

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s


def frame_s(frame: float, hop_s: float, start_s: float = 0.0) -> float:
    """The second on which a frame is centred."""
    return start_s + frame * hop_s


def frame_at(second: float, hop_s: float, n_frames: int, start_s: float = 0.0) -> int:
    """The frame whose centre lies nearest to a second; of two the later."""
    return min(max(math.floor((second - start_s) / hop_s + 0.5), 0), n_frames - 1)


def extent_s(panel: Panel, start_s: float) -> tuple[float, float]:
    """From where to where a picture reaches: half a hop beyond the centres of its outer frames."""
    return frame_s(-0.5, panel.hop_s, start_s), frame_s(panel.values.shape[1] - 0.5, panel.hop_s, start_s)


def limits(values: NDArray, unit: str) -> tuple[float, float]:
    """The ends of a picture's colour scale: 80 dB below its maximum, else the 0.5th and the 99.5th percentile."""
    if unit == "dB":
        high = float(values.max())
        low = max(float(values.min()), high - RANGE_DB)
    else:
        low, high = (float(q) for q in np.percentile(values, (0.5, 99.5)))
    return low, high if high > low else low + 1.0


def grid_lines(sheet: Sheet) -> tuple[NDArray, NDArray, NDArray]:
    """Seconds of the bar lines, of the other beats and of the slices' borders within the excerpt, each rising."""
    borders = np.unique(np.round(sheet.spans.ravel(), 4))
    if sheet.beats is None:
        bars = beats = np.zeros(0)
    else:
        times, place = np.asarray(sheet.beats.times_s), sheet.beats.beat_in_bar
        first = np.zeros(len(times), bool) if place is None else np.asarray(place) == 1
        bars, beats = times[first], times[~first]
    lines = bars, beats, borders
    low_s, high_s = sheet.start_s - 1e-6, sheet.end_s + 1e-6
    return tuple(t[(t >= low_s) & (t <= high_s)] for t in lines)  # type: ignore[return-value]


def lanes(spans: NDArray) -> tuple[list[int], int]:
    """The row of each span (S, 2), so that spans which overlap lie in rows of their own; how many rows there are."""
    ends: list[float] = []
    rows = []
    for begin, end in spans:
        row = next((i for i, last in enumerate(ends) if last <= begin + 1e-6), len(ends))
        ends[row : row + 1] = [end]
        rows.append(row)
    return rows, len(ends)


def envelope(wave: NDArray, n_columns: int) -> tuple[NDArray, NDArray]:
    """Lowest and highest sample of each of at most n_columns equal parts of a wave, where the loudest sample is 1."""
    edges = np.linspace(0, len(wave), min(n_columns, len(wave)) + 1).astype(int)[:-1]
    peak = max(float(np.abs(wave).max()), 1e-9)
    return np.minimum.reduceat(wave, edges) / peak, np.maximum.reduceat(wave, edges) / peak


def bin_ticks(panel: Panel) -> tuple[list[float], list[str], str]:
    """Ticks of the axis of bins, in bins, with their labels, and what the axis shows."""
    n_bins = len(panel.values)
    if panel.bin_names:
        named = [(i, name) for i, name in enumerate(panel.bin_names) if name in PITCHES and len(name) == 1]
        return [float(i) for i, _ in named], [name for _, name in named], "pitch class"
    at, labels, _ = frequency_ticks(panel.bin_hz, n_bins)
    if at is None:
        whole = range(0, n_bins, next(s for s in (2, 5, 10, 20, 50, 100, n_bins) if s * 8 >= n_bins))
        return [float(i) for i in whole], [str(i) for i in whole], "bin"
    return [float(a) for a in at], labels, "frequency (Hz)"


def png(index: NDArray, palette: NDArray, alpha: NDArray | None = None) -> bytes:
    """An image of colour numbers (rows, columns) uint8, the top row first, as a PNG.

    palette: (colours, 3) uint8; alpha: (colours,) uint8, how opaque each is.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns = index.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits, colours by number
    unfiltered = np.pad(index.astype(np.uint8), ((0, 0), (1, 0))).tobytes()  # a 0 before each row: as it is
    body = chunk(b"IHDR", header) + chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    body += b"" if alpha is None else chunk(b"tRNS", alpha.astype(np.uint8).tobytes())
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", zlib.compress(unfiltered, 9)) + chunk(b"IEND", b"")


def pooled(values: NDArray) -> tuple[NDArray, int]:
    """(F, frames) -> at most MAX_COLUMNS columns, each the mean of as many frames, and how many those are."""
    k = -(-values.shape[1] // MAX_COLUMNS)
    if k == 1:
        return values, 1
    rest = -values.shape[1] % k
    filled = np.pad(values, ((0, 0), (0, rest)), mode="edge")
    return filled.reshape(len(values), -1, k).mean(2), k


def enlarged(panel: Panel) -> int:
    """How many rows of an image stand for one bin."""
    return -(-MIN_ROWS // len(panel.values))


def levels(panel: Panel) -> NDArray:
    """(F, columns) uint8: where values lie between the limits of the picture's colour scale, 0 to 255."""
    low, high = limits(panel.values, panel.unit)
    return np.round(255 * np.clip((pooled(panel.values)[0] - low) / (high - low), 0, 1)).astype(np.uint8)


def palette() -> NDArray:
    """(256, 3) uint8: the colours from low to high."""
    from matplotlib import colormaps

    return np.asarray(colormaps[style.PICTURE_MAP](np.arange(256), bytes=True))[:, :3]


def single_picture(sheet: Sheet, panel: Panel) -> Figure:
    """One front-end below the wave."""
    return _draw(sheet, [panel], ALONE_IN)


def stacked_picture(sheet: Sheet) -> Figure:
    """Every front-end below the wave, on one time axis."""
    return _draw(sheet, sheet.panels, STACKED_IN)


def size_px(n_panels: int, picture_in: float) -> tuple[int, int]:
    """Width and height in pixels of a picture with n_panels front-ends."""
    return math.floor(WIDTH_IN * DPI + 1e-6), math.floor(_height_in(n_panels, picture_in) * DPI + 1e-6)


def write(sheet: Sheet, folder: Path, progress: Callable[[str, int, int], None]) -> list[Path]:
    """Writes a PNG a front-end and one of all into `folder`; their paths, all.png last. Raises OSError."""
    import matplotlib as mpl

    folder.mkdir(exist_ok=True)
    names, paths = [*(p.name for p in sheet.panels), "all"], []
    for n, name in enumerate(names):
        path = folder / f"{name}.png"
        figure = single_picture(sheet, sheet.panels[n]) if n < len(sheet.panels) else stacked_picture(sheet)
        with mpl.rc_context(style.RC):
            figure.savefig(path, dpi=DPI, format="png", metadata={"Software": None})
        paths.append(path)
        progress("writing pictures", n + 1, len(names))
    return paths


def _height_in(n_panels: int, picture_in: float) -> float:
    return HEAD_IN + WAVE_IN + GAP_IN + LANE_IN + n_panels * (TITLE_IN + picture_in) + FOOT_IN


def _draw(sheet: Sheet, panels: Sequence[Panel], picture_in: float) -> Figure:
    import matplotlib as mpl

    height_in = _height_in(len(panels), picture_in)
    bars, beats, borders = grid_lines(sheet)
    with mpl.rc_context(style.RC):
        figure = style.blank(WIDTH_IN, height_in, layout="none")

        def axes_at(top_in: float, tall_in: float, left_in: float = LEFT_IN, right_in: float = RIGHT_IN) -> Axes:
            width_in = WIDTH_IN - left_in - right_in
            x, y = left_in / WIDTH_IN, 1 - (top_in + tall_in) / height_in
            return figure.add_axes((x, y, width_in / WIDTH_IN, tall_in / height_in))

        _head(figure, sheet, height_in, any_slice=len(borders) > 0)
        _wave(axes_at(HEAD_IN, WAVE_IN), sheet, bars, beats)
        _lane(axes_at(HEAD_IN + WAVE_IN + GAP_IN, LANE_IN), sheet)
        top_in = HEAD_IN + WAVE_IN + GAP_IN + LANE_IN
        for i, panel in enumerate(panels):
            top_in += TITLE_IN
            axes = axes_at(top_in, picture_in)
            image = _picture(axes, sheet, panel)
            lines: tuple[tuple[NDArray, str, float, float, Any], ...] = (
                (beats, "white", 0.34, 0.4, "solid"),
                (bars, "white", 0.85, 0.7, "solid"),
                (borders, SLICE_LINE, 0.95, 0.6, (0, (2.2, 2.6))),
            )
            for seconds, colour, alpha, width, dash in lines:
                axes.vlines(seconds, 0, 1, colour, dash, alpha=alpha, lw=width, transform=axes.get_xaxis_transform())
            if i == len(panels) - 1:
                axes.set_xlabel("time (s)")
            else:
                axes.tick_params(axis="x", labelbottom=False)
            inset_in = WIDTH_IN - RIGHT_IN + 0.09
            _colour_bar(figure, axes_at(top_in, picture_in, inset_in, RIGHT_IN - 0.18), image, panel)
            top_in += picture_in
    return figure


def _head(figure: Figure, sheet: Sheet, height_in: float, *, any_slice: bool) -> None:
    """The song's name, what is known of it, and what the lines mean."""
    x, y = LEFT_IN / WIDTH_IN, 1 - 0.19 / height_in
    plain = {"va": "center", "parse_math": False}  # a name may hold dollars
    title = sheet.title if len(sheet.title) <= 64 else f"{sheet.title[:63]}…"
    figure.text(x, y, title, fontsize=10.5, weight="bold", **plain)  # type: ignore[arg-type]
    facts = " · ".join(value for what, value in sheet.facts if what in ("length", "tempo"))
    second = y - 0.175 / height_in
    figure.text(x, second, facts, fontsize=7.5, color=style.QUIET, **plain)  # type: ignore[arg-type]
    lines = [("slices", style.SLICE_COLOUR, 2.2)] if any_slice else []
    if sheet.beats is not None:
        lines += [("beats", style.QUIET, 0.6)]
        lines += [("bars", style.INK, 1.1)] if sheet.beats.beat_in_bar is not None else []
    right = 1 - RIGHT_IN / WIDTH_IN
    for name, colour, width in lines:
        figure.text(right, second, name, fontsize=7.5, color=style.QUIET, ha="right", **plain)  # type: ignore[arg-type]
        right -= (0.058 * len(name) + 0.05) / WIDTH_IN
        drawn = ([right - 0.14 / WIDTH_IN, right], [second] * 2)
        if name != "slices":
            drawn = ([right - 0.04 / WIDTH_IN] * 2, [second - 0.05 / height_in, second + 0.05 / height_in])
        figure.add_artist(_line(*drawn, colour, width))
        right -= 0.24 / WIDTH_IN


def _line(x: list[float], y: list[float], colour: str, width: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(x, y, color=colour, linewidth=width, solid_capstyle="butt")


def _wave(axes: Axes, sheet: Sheet, bars: NDArray, beats: NDArray) -> None:
    low, high = envelope(sheet.wave, 1400)
    seconds = np.linspace(sheet.start_s, sheet.end_s, len(low))
    axes.vlines(beats, -1.12, 1.12, style.QUIET, alpha=0.55, lw=0.4)
    axes.vlines(bars, -1.12, 1.12, style.INK, alpha=0.75, lw=0.7)
    axes.fill_between(seconds, low, high, color="#5d6b7a", linewidth=0.2)
    axes.set(xlim=(sheet.start_s, sheet.end_s), ylim=(-1.12, 1.12), xticks=[], yticks=[])
    style.bare(axes, keep=())


def _lane(axes: Axes, sheet: Sheet) -> None:
    """The slices as bars, one row where none overlaps."""
    rows, n_rows = lanes(sheet.spans)
    gap_s = sheet.duration_s * 0.0022
    for shade in (0, 1):
        for row in range(n_rows):
            own = [s for i, s in enumerate(sheet.spans) if rows[i] == row and i % 2 == shade]
            axes.broken_barh(
                [(b + gap_s / 2, e - b - gap_s) for b, e in own],
                (-row - 0.85, 0.7),
                color=style.SLICE_COLOUR,
                alpha=0.95 if shade else 0.6,
                linewidth=0,
            )
    axes.set(xlim=(sheet.start_s, sheet.end_s), ylim=(-max(n_rows, 1), 0), xticks=[], yticks=[])
    style.bare(axes, keep=())


def _picture(axes: Axes, sheet: Sheet, panel: Panel) -> Any:
    n_bins = len(panel.values)
    low, high = limits(panel.values, panel.unit)
    image = axes.imshow(
        np.repeat(panel.values, enlarged(panel), axis=0),
        cmap=style.PICTURE_MAP,
        vmin=low,
        vmax=high,
        origin="lower",
        aspect="auto",
        extent=(*extent_s(panel, sheet.start_s), -0.5, n_bins - 0.5),
    )
    axes.set(xlim=(sheet.start_s, sheet.end_s), ylim=(-0.5, n_bins - 0.5))
    ticks, labels, what = bin_ticks(panel)
    axes.set_yticks(ticks, labels)
    axes.set_ylabel(what, fontsize=7.5)
    axes.tick_params(axis="both", labelsize=7)
    axes.annotate(panel.name, (0, 1), (0, 4), "axes fraction", "offset points", weight="bold", fontsize=8.5)
    said = panel.sentence + (f" · {panel.note}" if panel.note else "")
    axes.annotate(said, (1, 1), (0, 4), "axes fraction", "offset points", ha="right", fontsize=6.6, color=style.QUIET)
    style.bare(axes, keep=())
    return image


def _colour_bar(figure: Figure, axes: Axes, image: Any, panel: Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = image.get_clim()
    below, above = bool(panel.values.min() < low), bool(panel.values.max() > high)
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[below, above]
    bar = figure.colorbar(image, cax=axes, extend=extend, extendfrac=0.03, ticks=MaxNLocator(5, steps=[1, 2, 5, 10]))
    bar.set_label(panel.unit, fontsize=7, labelpad=2)
    bar.ax.tick_params(labelsize=6.5, length=2)
    bar.outline.set_visible(False)  # type: ignore[operator]
