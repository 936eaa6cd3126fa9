"""Where in the picture the evidence for a genre lay, and that part of the song as sound."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from genrelab.audio import pcm
from genrelab.audio.beats import estimate
from genrelab.front.chroma import Chroma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genrelab.front.base import Front
    from genrelab.model import SongClassifier
    from genrelab.types import Beats

STEPS = 16  # along the path from quiet to the song
QUIET = 0.05  # of a bin's frames: the quantile that stands for its silence
AT_ONCE = 64  # slices in one pass: bounds the memory of a long song
SMOOTH_S, SMOOTH_BINS = 0.06, 1 / 100  # standard deviations; the second is a share of the bins
FULL = 0.4  # of all that speaks for the genre: the share that lies where the weight is full
WINDOW_S, OVERLAP = 0.09, 4  # of the transform that the sound is cut in; windows over one another
BLOCK_S = 60.0  # cut at a time


@dataclass(frozen=True)
class Evidence:
    """What spoke for a genre in one song."""

    genre: str
    against: str | None  # the likeliest other genre; None where a song may have several
    margin: float  # log-score of the genre less that of the other one, of the song
    picture: NDArray  # (F, frames) as the front-end drew it
    weight: NDArray  # (F, frames) 0..1
    heard: NDArray  # (samples,) float32: the part of the wave in which the evidence lies
    spans: NDArray  # (S, 2) seconds, of the slices
    scores: NDArray  # (S, K) log-scores of the slices


def evidence(
    model: SongClassifier, wave: NDArray, sample_rate: int, genre: str | None = None, beats: Beats | None = None
) -> Evidence:
    """Why the model takes a wave (samples,) for a genre (None: the one that it takes it for).

    Integrated gradients (Sundararajan, Taly & Yan 2017, equation 1) of the genre's log-score less the likeliest other
    one's (a vote counts, so of the mean over its slices), with respect to the normalised picture. The path begins
    where every bin is as quiet as in its quietest frames, so that weight lies on what sounds, not on what lacks; what
    speaks against the genre has none. The sound is the wave through a soft mask of its short-time Fourier transform;
    where bins are no frequencies, the mask follows time alone.

    Raises ValueError for a genre that the model does not know and for a wave without a slice.
    """
    if genre is not None and genre not in model.genres:
        raise ValueError(f"the model knows no genre {genre!r}; it knows {', '.join(model.genres)}")
    if len(wave) / sample_rate + 1e-6 < model.slicer.min_s:
        raise ValueError(f"{len(wave) / sample_rate:.2f} s are shorter than a slice, {model.slicer.min_s:g} s")
    if beats is None and model.slicer.needs_beats:
        beats = estimate(wave, sample_rate)
    sound = torch.from_numpy(pcm.wave(pcm.samples(np.asarray(wave, dtype=np.float32))))  # as the store keeps it
    with torch.no_grad():
        picture = model.front(sound[None])[0].float()
        x, places, spans = model.slices(sound, sample_rate, beats, picture)
        n = torch.tensor([len(x)])
        seen = torch.cat([model.picture(x[i : i + AT_ONCE], _part(places, i)) for i in range(0, len(x), AT_ONCE)])
        seen = model.norm(seen, torch.zeros(len(x), dtype=torch.long))
        z = torch.cat([model.net(part) for part in seen.split(AT_ONCE)])
        said = model.judge(z, n)
        scores = _scores(model, z, n)[0]
    k = int(said.song[0].argmax()) if genre is None else model.genres.index(genre)
    others = [i for i in range(len(scores)) if i != k]
    other = None if model.several else max(others, key=lambda i: float(scores[i]))
    gained = _gained(model, seen, k, other)
    weight = _weighed(_on_song(gained.numpy(), spans.numpy(), model.front.hop_s, picture.shape[1]), model.front.hop_s)
    return Evidence(
        model.genres[k],
        None if other is None else model.genres[other],
        float(scores[k] - (0 if other is None else scores[other])),
        picture.numpy(),
        weight,
        heard(sound, weight, model, sample_rate),
        spans.numpy(),
        said.slice.numpy(),
    )


def _part(places: Tensor | None, i: int) -> Tensor | None:
    return None if places is None else places[i : i + AT_ONCE]


def _scores(model: SongClassifier, z: Tensor, n_slices: Tensor) -> Tensor:
    """(B, K) log-scores that have a slope: a vote that counts has none."""
    said = model.judge(z, n_slices)
    return said.song if model.agg.trained else said.per_song(said.slice)


def _gained(model: SongClassifier, seen: Tensor, k: int, other: int | None) -> Tensor:
    """Normalised slices (S, F, T) of one song -> the same shape: what each point adds to the score."""
    frames = seen.transpose(0, 1).flatten(1)  # (F, S * T)
    quiet = frames.kthvalue(1 + int(QUIET * (frames.shape[1] - 1)), keepdim=True)[0]
    away = (seen - quiet).clamp_min(0)  # what is quieter still stays
    total, n = torch.zeros_like(seen), torch.tensor([len(seen)])
    for step in range(STEPS):
        at = seen - (1 - (step + 0.5) / STEPS) * away
        with torch.no_grad():
            z = torch.cat([model.net(part) for part in at.split(AT_ONCE)])
        z.requires_grad_()
        score = _scores(model, z, n)[0]
        (slope,) = torch.autograd.grad(score[k] - (0 if other is None else score[other]), z)
        at.requires_grad_()
        for part, own, sums in zip(at.split(AT_ONCE), slope.split(AT_ONCE), total.split(AT_ONCE), strict=True):
            sums.add_(torch.autograd.grad(model.net(part), part, own)[0])
    return total * away / STEPS


def _on_song(gained: NDArray, spans: NDArray, hop_s: float, n_frames: int) -> NDArray:
    """What the slices' points add, (S, F, T), on the song's own frames: (F, n_frames), a mean where slices overlap.

    A slice that was stretched or shrunk to T frames keeps its sum.
    """
    total, times = np.zeros((gained.shape[1], n_frames)), np.zeros(n_frames)
    for own, (begin_s, end_s) in zip(gained, spans, strict=True):
        first, behind = math.ceil(begin_s / hop_s - 1e-6), min(math.ceil(end_s / hop_s - 1e-6), n_frames)
        step = (end_s - begin_s) / hop_s / own.shape[1]  # frames of the song to a frame of the slice
        at = (np.arange(first, behind) - begin_s / hop_s) / step
        low = np.clip(at.astype(int), 0, own.shape[1] - 1)
        high, part = np.minimum(low + 1, own.shape[1] - 1), np.clip(at - low, 0, 1)
        total[:, first:behind] += ((1 - part) * own[:, low] + part * own[:, high]) / step
        times[first:behind] += 1
    return total / np.maximum(times, 1)


def _weighed(gained: NDArray, hop_s: float) -> NDArray:
    """What points add, (F, frames), smoothed -> their weights 0..1; what speaks against the genre has none."""
    from scipy.ndimage import gaussian_filter

    speaks = gaussian_filter(gained, (SMOOTH_BINS * len(gained), SMOOTH_S / hop_s)).clip(min=0)
    falling = np.sort(speaks, axis=None)[::-1]
    share = np.cumsum(falling)
    if not share[-1] > 0:
        return np.zeros(gained.shape, np.float32)
    full = falling[int(np.searchsorted(share, FULL * share[-1]))]
    return np.clip(speaks / full, 0, 1).astype(np.float32)


def heard(wave: Tensor, weight: NDArray, model: SongClassifier, sample_rate: int) -> NDArray:
    """A wave (samples,) through weights (F, frames) of its picture: what has weight 1 stays, what has 0 is gone."""
    front = model.front
    hz = np.asarray(front.pitch_hz) if isinstance(front, Chroma) else _hz(front)
    if hz is not None:
        weight = np.tile(weight, (len(hz) // len(weight), 1))  # more than once where octaves were folded
    n_fft = 2 ** round(math.log2(WINDOW_S * sample_rate))
    rows_hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    if hz is None:
        mask = np.tile(weight.mean(0) / max(weight.mean(0).max(), 1e-9), (len(rows_hz), 1))
    else:
        mask = _in_rows(weight, hz, rows_hz)
    return masked(wave, mask, front.hop_s, sample_rate).numpy()


def _hz(front: Front) -> NDArray | None:
    return None if front.bin_hz is None else front.bin_hz.detach().double().cpu().numpy()


def _in_rows(weight: NDArray, hz: NDArray, rows_hz: NDArray) -> NDArray:
    """Weights (F, frames) of bins at hz (F,) -> of the rows of a transform, (rows, frames).

    A row has the largest weight of the bins within its main lobe, and that of the line between the bins beside it; far
    above the highest bin it has none.
    """
    order = np.argsort(hz)
    hz, weight = hz[order], weight[order]
    step = rows_hz[1] - rows_hz[0]
    at = np.interp(rows_hz, hz, np.arange(len(hz)))
    low = at.astype(int)
    high, part = np.minimum(low + 1, len(hz) - 1), (at - low)[:, None]
    rows = (1 - part) * weight[low] + part * weight[high]
    first, behind = np.searchsorted(hz, rows_hz - 2 * step), np.searchsorted(hz, rows_hz + 2 * step)
    for row, (a, b) in enumerate(zip(first, behind, strict=True)):
        if b > a:
            rows[row] = np.maximum(rows[row], weight[a:b].max(0))
    top = hz[-1] + max(hz[-1] - hz[-2], 2 * step) if len(hz) > 1 else np.inf
    rows[rows_hz > top] = 0
    return rows


def masked(wave: Tensor, mask: NDArray, hop_s: float, sample_rate: int) -> Tensor:
    """A wave (samples,) through a mask (rows, frames) of its short-time Fourier transform, in blocks; phases stay.

    Frame t of the mask is second t * hop_s; between frames it follows a line. A mask of ones gives the wave back.
    """
    n_fft = 2 * (len(mask) - 1)
    hop = n_fft // OVERLAP
    window, margin = torch.hann_window(n_fft), 2 * n_fft
    size = max(margin, int(BLOCK_S * sample_rate) // hop * hop)
    parts = []
    for start in range(0, len(wave), size):
        first = max(0, start - margin)
        part = wave[first : start + size + margin]
        n = len(part)
        part = torch.nn.functional.pad(part, (0, max(0, n_fft - n)))
        spectrum = torch.stft(part, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
        at = (first + hop * np.arange(spectrum.shape[1])) / sample_rate / hop_s
        low = np.minimum(at.astype(int), mask.shape[1] - 1)
        high, rest = np.minimum(low + 1, mask.shape[1] - 1), np.clip(at - low, 0, 1)
        kept = torch.from_numpy((1 - rest) * mask[:, low] + rest * mask[:, high]).to(spectrum.real.dtype)
        sound = torch.istft(spectrum * kept, n_fft, hop, window=window, length=len(part))
        parts.append(sound[start - first : min(start - first + size, n)])
    return torch.cat(parts) if parts else wave
