"""The worst mistakes of a run: songs that it was surest of and wrong about, slice by slice, to be heard and seen."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate.calibration import apply
from genrelab.report import artifacts
from genrelab.report import html as frame
from genrelab.report.charts import Axis, Chart, percents
from genrelab.report.html import Html
from genrelab.report.pictures import RANGE_DB, frequency_ticks
from genrelab.types import NO_TAG

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

EXCERPT_S = 10.24
TALL = 128  # least rows of a picture: one of few bins is enlarged
DIM = 0.46  # of what is no evidence, how bright it stays
NEARLY = 0.9  # of the longest excerpt that a song allows, how long one has to be

STYLE = """
.mistake { margin-top:30px; padding-top:4px; border-top:1px solid var(--line); break-inside:avoid; }
.mistake h3 { margin:12px 0 2px; font-size:15px; overflow-wrap:anywhere; } .mistake h3 b { color:var(--bad); }
.mistake .columns { margin-top:10px; gap:18px 40px; }
.spectrum { display:grid; grid-template-columns:34px minmax(0,1fr); margin-top:4px; font-size:11px;
  color:var(--quiet); }
.spectrum .scale { position:relative; } .spectrum .scale i { position:absolute; right:6px; font-style:normal;
  transform:translateY(50%); }
.spectrum .seen { position:relative; } .spectrum img { display:block; width:100%; height:clamp(110px,15vw,150px);
  image-rendering:auto; }
.spectrum u { position:absolute; top:0; bottom:0; width:1.5px; background:#fff; left:var(--now,-9px);
  box-shadow:0 0 0 .5px #000; display:var(--playing,none); }
.spectrum .time { grid-column:2; display:flex; justify-content:space-between; padding-top:2px; }
.players { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,190px),1fr)); gap:4px 16px;
  font-size:12.5px; color:var(--quiet); margin-top:8px; }
@media print { .spectrum img { print-color-adjust:exact; -webkit-print-color-adjust:exact; } .players {
  display:none; } }
"""

SCRIPT = """
for (const audio of document.querySelectorAll(".mistake audio")) {
  const [kind, coded] = audio.src.slice(5).split(";base64,");  // a Blob can be sought in, a data URI cannot everywhere
  audio.src = URL.createObjectURL(new Blob([Uint8Array.from(atob(coded), (c) => c.charCodeAt(0))], { type: kind }));
  const seen = audio.closest(".mistake").querySelector(".seen");
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    const show = () => {
      seen?.style.setProperty("--now", 100 * audio.currentTime / audio.duration + "%");
      seen?.style.setProperty("--playing", audio.paused ? "none" : "block");
      if (!audio.paused) requestAnimationFrame(show);
    };
    show();
  });
}
"""


@dataclass(frozen=True)
class Clip:
    """What the run heard in its excerpt."""

    sound: tuple[bytes, str]  # a file that browsers play, and its MIME type
    heard: tuple[bytes, str]  # the part of it in which the evidence lies
    picture: NDArray  # (F, frames) as the front-end drew it
    weight: NDArray  # (F, frames) 0..1
    bin_hz: NDArray | None  # (F,)
    bin_names: tuple[str, ...]  # (F,) where bins have names instead; else empty
    unit: str
    against: str | None  # the genre that the evidence speaks against


@dataclass(frozen=True)
class Mistake:
    """A test song that the run named wrongly. Seconds count from the beginning of the track."""

    id: str
    by: str  # the group that it is of
    truth: str
    said: str  # the likeliest genre
    p: float  # of it
    nearest: str  # the likeliest true genre; "" for a song of none of the genres
    p_nearest: float  # of it, NaN where there is none
    answer: str  # what the run said in the end: the same, or no tag
    fold: int | None
    spans: NDArray  # (S, 2) of its slices
    of_said: NDArray  # (S,) each slice's probability of the genre it was taken for
    of_nearest: NDArray  # (S,) of the likeliest true genre, NaN where there is none
    window_s: tuple[float, float]  # the excerpt: where its slices are most for the wrong answer
    clip: Clip | None = None
    why_silent: str = ""  # where an excerpt was asked for and could not be had


def believed(songs: pd.DataFrame, temperature: float | None) -> NDArray[np.float64]:
    """(n, K) the probabilities of songs, after the temperature where there is one."""
    p, several = artifacts.chances(songs), artifacts.several(songs)
    if temperature is None:
        return p
    log_p = np.log(np.clip(p, 1e-300, None))
    return apply(log_p - np.log(np.clip(1 - p, 1e-16, None)) if several else log_p, temperature, several)


def rightly(songs: pd.DataFrame, p: NDArray) -> NDArray[np.bool_]:
    """(n,) whether the likeliest genre of each song is one of its own."""
    genres, first = artifacts.genres_of(songs), p.argmax(1)
    own = songs["truth"].str.split("|", regex=False) if artifacts.several(songs) else [[t] for t in songs["truth"]]
    return np.array([genres[k] in names for k, names in zip(first, own, strict=True)], bool)


def worst(songs: pd.DataFrame, cuts: pd.DataFrame, temperature: float | None, n: int) -> tuple[list[Mistake], int]:
    """At most n test songs whose likeliest genre is wrong, the surest first, and how many such songs there are.

    A song of none of the genres is one of them where it got a tag.
    """
    test = songs[songs["split"] == "test"].reset_index(drop=True)
    p = believed(test, temperature)
    wrong = ~rightly(test, p) & ~((test["truth"] == NO_TAG) & (test["answer"] == NO_TAG)).to_numpy(bool)
    order = [int(i) for i in np.argsort(-p.max(1), kind="stable") if wrong[i]]
    genres, pieces = artifacts.genres_of(test), cuts[cuts["split"] == "test"]
    several, found = artifacts.several(test), []
    for i in order[:n]:
        row, k = test.iloc[i], int(p[i].argmax())
        own = pieces[pieces["id"] == row["id"]]
        if "fold" in test.columns:
            own = own[own["fold"] == row["fold"]]
        names = [g for g in (row["truth"].split("|") if several else [row["truth"]]) if g in genres]
        true = max((genres.index(g) for g in names), key=lambda j: p[i, j], default=None)
        at, spans = artifacts.chances(own), own[["start_s", "end_s"]].to_numpy(float)
        of_truth = np.full(len(own), math.nan) if true is None else at[:, true]
        found.append(
            Mistake(
                id=str(row["id"]),
                by="" if row["split_group"] == row["id"] else str(row["split_group"]),
                truth=row["truth"],
                said=genres[k],
                p=float(p[i, k]),
                nearest="" if true is None else genres[true],
                p_nearest=math.nan if true is None else float(p[i, true]),
                answer=row["answer"],
                fold=int(row["fold"]) if "fold" in test.columns else None,
                spans=spans,
                of_said=at[:, k],
                of_nearest=of_truth,
                window_s=telling(spans, at[:, k] - np.nan_to_num(of_truth)),
            )
        )
    return found, len(order)


def telling(spans: NDArray, gain: NDArray, length_s: float = EXCERPT_S) -> tuple[float, float]:
    """The part of a song, of whole slices and at most `length_s` long, whose slices have the highest mean gain.

    spans: (S, 2) by their beginning; gain: (S,). One slice where that is longer; the first of equals.
    """
    windows = []
    for begin in spans[:, 0]:
        inside = (spans[:, 0] >= begin - 1e-6) & (spans[:, 1] <= begin + length_s + 1e-6)
        inside = inside if inside.any() else spans[:, 0] == begin
        windows.append((float(begin), float(spans[inside, 1].max()), float(gain[inside].mean())))
    longest = max(end - begin for begin, end, _ in windows)
    begin, end, _ = max((w for w in windows if w[1] - w[0] >= NEARLY * longest), key=lambda w: round(w[2], 9))
    return begin, end


def section(found: Sequence[Mistake], n_songs: int, calibrated: bool) -> str:
    """The part of the page."""
    if not found:
        return f'<p class="none">Not one of the {n_songs} test songs was named wrongly.</p>'
    return "".join(_mistake(m, calibrated) for m in found)


def _mistake(m: Mistake, calibrated: bool) -> str:
    truth = "none of the genres" if m.truth == NO_TAG else m.truth.replace("|", ", ")
    head = f"<h3>{frame.text(m.id)}: {frame.text(truth)}, taken for <b>{frame.text(m.said)}</b></h3>"
    sure = f"{100 * m.p:.0f} % sure{'' if calibrated else ' (uncalibrated)'}"
    told = [sure + (f", {100 * m.p_nearest:.0f} % for {m.nearest}" if m.nearest else "")]
    told += [m.by] if m.by else []
    told += [f"fold {m.fold + 1}"] if m.fold is not None else []
    told += ["the run's final answer was no tag" if m.answer == NO_TAG else ""]
    line = f'<p class="about">{frame.text(" · ".join(filter(None, told)))}</p>'
    parts = [frame.figure(timeline(m), "Slice by slice", "probability over the song")]
    if m.clip is not None:
        parts.append(_heard(m, m.clip))
    elif m.why_silent:
        parts.append(f'<p class="none">{frame.text(m.why_silent)}</p>')
    return f'<div class="mistake">{head}{line}{frame.columns(*parts)}</div>'


def timeline(m: Mistake) -> Html:
    """The probability of the answer and of the truth over the slices; the excerpt is shaded."""
    ends = float(m.spans[-1, 1])
    step = next(s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600) if ends / s <= 7)
    ticks = tuple((float(s), f"{s // 60}:{s % 60:02d}") for s in range(0, int(ends) + 1, step))
    drawn = Chart(Axis("time in the song", 0.0, ends, ticks), percents(""), height=170)
    begin, end = m.window_s
    if end - begin < ends - 0.5:
        drawn.area([begin, end], [1, 1], "q")
    x = np.append(m.spans[:, 0], m.spans[-1, 1])
    for values, name, colour in ((m.of_nearest, m.nearest, "a"), (m.of_said, m.said, "x")):
        if not np.isnan(values).all():
            drawn.line(x, np.append(values, values[-1]), colour, steps=True)
            drawn.key(f"{name} ({'true' if colour == 'a' else 'said'})", colour)
    return drawn.html(f"probability of {m.said} and of {m.truth} over the slices of {m.id}")


def _heard(m: Mistake, clip: Clip) -> str:
    begin, end = m.window_s
    where = f"{_clock(begin)} to {_clock(end)}"
    over = f" over {clip.against}" if clip.against else ""
    n_bins = len(clip.picture)
    at, labels, falling = frequency_ticks(clip.bin_hz, n_bins)
    ticks = list(zip(at if at is not None else (), labels, strict=True))
    ticks = ticks or [(k, name) for k, name in enumerate(clip.bin_names) if len(name) == 1]  # no room for the sharps
    scale = "".join(
        f'<i style="bottom:{_up(float(a), n_bins, falling):.1f}%">{frame.text(label)}</i>' for a, label in ticks
    )
    image = frame.uri(*drawn(clip, falling))
    alt = f"the picture of {m.id} from {where}; bright is what spoke for {m.said}"
    return (
        f"<figure><figcaption>Why {frame.text(m.said)}? <span>{frame.text(where)}; what is in colour spoke for "
        f"{frame.text(m.said)}{frame.text(over)}</span></figcaption>"
        f'<div class="spectrum"><div class="scale">{scale}</div><div class="seen"><img alt="{frame.text(alt)}" '
        f'src="{image}"><u></u></div><div class="time"><span>{_clock(begin)}</span><span>{_clock(end)}</span></div>'
        '</div><div class="players">'
        f"<div>the excerpt{frame.player(*clip.sound, f'{m.id}, {where}')}</div>"
        f"<div>the evidence alone{frame.player(*clip.heard, f'{m.id}: what spoke for {m.said}')}</div>"
        "</div></figure>"
    )


def _up(at: float, n_bins: int, falling: bool) -> float:
    """How high a bin lies, per cent."""
    share = 100 * (at + 0.5) / n_bins
    return 100 - share if falling else share


def _clock(seconds: float) -> str:
    tenths = round(10 * seconds)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def drawn(clip: Clip, falling: bool = False) -> tuple[bytes, str]:
    """The picture as an image: magma where evidence lies, dim and grey where none does; low frequencies below."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    x = np.asarray(clip.picture, float)
    low, high = (
        (float(x.max()) - RANGE_DB, float(x.max())) if clip.unit == "dB" else tuple(np.percentile(x, (0.5, 99.5)))
    )
    low = max(low, float(x.min()))
    level = np.clip((x - low) / max(high - low, 1e-9), 0, 1)
    bright = colormaps["magma"](0.08 + 0.92 * level)[..., :3]
    grey = np.repeat(DIM * level[..., None], 3, axis=2)
    weight = np.sqrt(np.clip(clip.weight, 0, 1))[..., None]  # half the weight is seen, too
    mixed = np.round(255 * (weight * bright + (1 - weight) * grey)).astype(np.uint8)
    mixed = mixed if falling else mixed[::-1]
    mixed = np.repeat(mixed, max(1, -(-TALL // len(mixed))), axis=0)
    held = io.BytesIO()
    imsave(held, mixed, format="jpg", pil_kwargs={"quality": 82, "subsampling": 0})
    return held.getvalue(), "image/jpeg"


def silent(found: Sequence[Mistake], why: str) -> list[Mistake]:
    """The same without excerpts, and why."""
    return [replace(m, clip=None, why_silent=why) for m in found]
