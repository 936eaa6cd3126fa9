"""Pictures of a run: confusion, what the net sees, training curves. Each function returns a matplotlib Figure;
`style.save(figure, path)` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report import style
from genrelab.report.charts import Chart, numbers, percents
from genrelab.report.table import NAMES
from genrelab.types import MEASURE, NO_TAG

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from genrelab.report.html import Html

TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
MAX_SLICES = 12
RANGE_DB = 80.0  # what lies further below the loudest is drawn as dark as this


def confusion_picture(confusion: ArrayLike, genres: Sequence[str], title: str) -> Figure:
    """Counts written in, the share of the true genre as colour.

    confusion: (K, K) or (K, K + 1) with the column "no tag"; genres: K names.
    """
    import matplotlib as mpl
    from matplotlib.ticker import PercentFormatter

    c = np.asarray(confusion, dtype=float)
    k = len(genres)
    if c.shape not in {(k, k), (k, k + 1)}:
        raise ValueError(f"{k} genres and a confusion matrix of the shape {c.shape}: expected {(k, k)} or {(k, k + 1)}")
    columns = [*genres, NO_TAG][: c.shape[1]]
    n_true = c.sum(1, keepdims=True)
    shares = np.divide(c, n_true, out=np.zeros_like(c), where=n_true > 0)
    cell_in = float(np.clip(5.0 / k, 0.34, 0.62))
    with mpl.rc_context(style.RC):
        figure = style.blank(cell_in * len(columns) + 2.4, cell_in * k + 1.6, layout="compressed")  # square cells
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap=style.SHARE_MAP, vmin=0, vmax=1)
        for row, column in np.ndindex(*c.shape):
            if c[row, column] == 0:
                continue  # an empty cell says it by being empty
            colour = "white" if shares[row, column] > 0.5 else style.ON_LIGHT
            axes.text(column, row, f"{c[row, column]:g}", ha="center", va="center", color=colour, fontsize=8 - (k > 12))
        slanted = max(map(len, columns)) > 4 or k > 12
        axes.set_xticks(range(len(columns)), columns, rotation=45 if slanted else 0)
        if slanted:
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set_yticks(range(k), list(genres))
        axes.set(xlabel="decided", ylabel="true genre", title=title)
        axes.tick_params(length=0)
        edges_x, edges_y = np.arange(len(columns) + 1) - 0.5, np.arange(k + 1) - 0.5
        axes.set_xticks(edges_x, minor=True)
        axes.set_yticks(edges_y, minor=True)
        axes.grid(which="minor", color=style.GRID, linewidth=0.6)
        axes.tick_params(which="minor", length=0)
        style.bare(axes, keep=())
        bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, format=PercentFormatter(1.0, decimals=0))
        bar.set_label("share of the true genre")
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def slices_picture(
    slices: ArrayLike,
    bin_hz: ArrayLike | None,
    slice_s: float | Sequence[float],
    titles: Sequence[str],
    unit: str = "dB",
) -> Figure:
    """What the net sees: up to 12 slices under one colour scale, low frequencies below.

    slices: (n, F, T) in `unit`; bin_hz: (F,) the bins' frequencies, rising or falling, or None where bins are no
    frequencies; slice_s: seconds, one for all or one each; titles: n.
    """
    import matplotlib as mpl

    x = np.asarray(slices, dtype=float)[:MAX_SLICES]
    if x.ndim != 3 or not x.size:
        raise ValueError(f"slices are (n, F, T) and at least one, these are {np.shape(slices)}")
    lengths_s = np.broadcast_to(np.asarray(slice_s, dtype=float), (len(np.asarray(slices)),))[: len(x)]
    if len(titles) < len(x):
        raise ValueError(f"{len(x)} slices and {len(titles)} titles: expected one each")
    n_bins = x.shape[1]
    ticks, labels, falling = frequency_ticks(bin_hz, n_bins)
    low, high = _limits(x, unit)
    n_columns = min(len(x), 4 if len(x) > 6 else 3)
    n_rows = -(-len(x) // n_columns)
    with mpl.rc_context(style.RC):
        figure = style.blank(2.3 * n_columns + 1.5, 1.95 * n_rows + 0.5)
        grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True)
        for i, axes in enumerate(grid.flat):
            if i >= len(x):
                axes.set_visible(False)
                continue
            image = axes.imshow(
                x[i],
                cmap=style.PICTURE_MAP,
                vmin=low,
                vmax=high,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                extent=(0.0, float(lengths_s[i]), -0.5, n_bins - 0.5),
            )
            axes.set_title(titles[i], fontsize=8.5)
            if ticks is not None:
                axes.set_yticks(ticks, labels)
            axes.set_ylim((n_bins - 0.5, -0.5) if falling else (-0.5, n_bins - 0.5))
            axes.locator_params(axis="x", nbins=5)
            if i + n_columns >= len(x):
                axes.set_xlabel("time (s)")
            if i % n_columns == 0:
                axes.set_ylabel("bin" if ticks is None else "frequency (Hz)")
            else:
                axes.tick_params(axis="y", length=0)
            style.bare(axes, keep=())
        below = float(np.nanmin(x)) < low
        bar = figure.colorbar(image, ax=grid, fraction=0.03, pad=0.02, aspect=30, extend="min" if below else "neither")
        bar.set_label(unit)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def frequency_ticks(bin_hz: ArrayLike | None, n_bins: int) -> tuple[NDArray | None, list[str], bool]:
    """Where 100, 200, 500 Hz ... lie on an axis of bins, thinned out where they would touch.

    bin_hz: (F,) or None. Returns the positions in bins (None where bins are no rising or falling frequencies), their
    labels, and whether the frequencies fall with the index.
    """
    if bin_hz is None:
        return None, [], False
    hz = np.asarray(bin_hz, dtype=float)
    if hz.shape != (n_bins,):
        raise ValueError(f"{n_bins} bins and frequencies of the shape {hz.shape}: expected one each")
    steps = np.diff(hz)
    rising, falling = bool((steps > 0).all()), bool((steps < 0).all()) and n_bins > 1
    if not (rising or falling):
        return None, [], False  # chroma and the like
    index = np.arange(n_bins)
    kept: list[tuple[float, int]] = []
    for tick in reversed(TICKS_HZ):
        if not hz.min() <= tick <= hz.max():
            continue
        at = float(np.interp(tick, hz, index) if rising else np.interp(tick, hz[::-1], index[::-1]))
        if not kept or abs(at - kept[-1][0]) >= 0.08 * n_bins:  # the height of a label
            kept.append((at, tick))
    if not kept:  # fewer than a decade and no round number in it: say its ends
        kept = [(float(i), round(float(hz[i]))) for i in (0, n_bins - 1)]
    kept.sort()
    return np.asarray([at for at, _ in kept]), [_hz_label(tick) for _, tick in kept], falling


_LOSS = (
    ("train/loss", "training", style.SIDE_COLOURS["train"], "q"),
    ("val/loss", "validation", style.SIDE_COLOURS["val"], "a"),
)


def _reached(measure: str) -> tuple[tuple[str, str, str, str], ...]:
    return (
        (f"val/song/{measure}", "per song", style.SIDE_COLOURS["val"], "a"),
        (f"val/slice/{measure}", "per slice", style.SLICE_COLOUR, "b"),
    )


def curves_charts(history: Sequence[Mapping[str, float]], best: float | None, measure: str) -> tuple[Html, Html]:
    """`curves_picture` for a page: the loss, and the measure. Epochs count from 1 there, as in what training says."""
    epochs = 1 + np.asarray([row.get("epoch", i) for i, row in enumerate(history)], dtype=float)
    ends = epochs if len(epochs) > 1 else np.array([epochs[0] - 1, epochs[0] + 1])
    made = []
    for lines in (_LOSS, _reached(measure)):
        rows = [np.asarray([row.get(key, np.nan) for row in history], dtype=float) for key, *_ in lines]
        y = numbers("", np.concatenate(rows)) if lines is _LOSS else percents("")
        drawn = Chart(numbers("epoch", ends, whole=True), y)
        if best is not None:
            drawn.rule([best + 1, best + 1], [y.low, y.high])
        for (_, name, _, colour), own in zip(lines, rows, strict=True):
            if np.isfinite(own).any():
                drawn.line(epochs, own, colour).dots(epochs, own, colour, 2.6).key(name, colour)
        made.append(drawn.html(f"{', '.join(n for _, n, _, _ in lines)} against the epoch"))
    return made[0], made[1]


def curves_picture(history: Sequence[dict[str, float]], best: float | None = None, measure: str = MEASURE) -> Figure:
    """Loss and the measure against the epoch; the epoch whose weights were kept is marked.

    history: a dict an epoch with any of `epoch` (else its place), `train/loss`, `val/loss`, `val/song/MEASURE`,
    `val/slice/MEASURE`; best: an epoch.
    """
    import matplotlib as mpl
    from matplotlib.ticker import MaxNLocator

    if not history:
        raise ValueError("no epoch to draw")
    epochs = np.asarray([row.get("epoch", i) for i, row in enumerate(history)], dtype=float)
    marker = "o" if len(epochs) <= 20 else ""
    curves = (("loss", _LOSS), (f"validation {NAMES[measure]}", _reached(measure)))
    with mpl.rc_context(style.RC):
        figure = style.blank(7.2, 2.9)
        for axes, (label, lines) in zip(figure.subplots(1, 2), curves, strict=True):
            for key, name, colour, _ in lines:
                y = np.asarray([row.get(key, np.nan) for row in history], dtype=float)
                if np.isfinite(y).any():
                    axes.plot(epochs, y, color=colour, label=name, marker=marker, markersize=3)
            if best is not None:
                axes.axvline(best, color=style.QUIET, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
                axes.annotate(
                    f"kept: {best:g}",
                    (best, 1.0),
                    xycoords=axes.get_xaxis_transform(),
                    xytext=(0, 3),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
            axes.set(xlabel="epoch", ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            if len(epochs) == 1:
                axes.set_xlim(epochs[0] - 1, epochs[0] + 1)  # else the axis counts hundredths of an epoch
            axes.grid(axis="y", color=style.GRID, linewidth=0.6)
            axes.set_axisbelow(True)
            if axes.get_lines():
                axes.legend(loc="best")
            style.bare(axes)
    return figure


def _limits(x: NDArray, unit: str) -> tuple[float, float]:
    """The ends of the colour scale of (n, F, T)."""
    finite = x[np.isfinite(x)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if unit == "dB":
        low = max(low, high - RANGE_DB)  # digital silence would take the whole scale
    return low, high if high > low else low + 1.0


def _hz_label(hz: int) -> str:
    return f"{hz // 1000}k" if hz >= 1000 and hz % 1000 == 0 else str(hz)
