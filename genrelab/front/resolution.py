"""How finely a front-end tells frequencies apart: bins per octave, and the width of a bin measured with tones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genrelab.front.base import Front, Learned
from genrelab.front.chroma import Chroma
from genrelab.front.fixed import Fixed

AT_HZ = (40.0, 440.0, 4000.0)
LEVEL = 1e-3  # of the tones, -60 dB: a compressive ear has its sharpest, linear response there
N_FIRST, N_NEXT, ROUNDS = 12, 6, 3  # tones on each side of a bin: first far apart, then between two of them, twice


class Row(NamedTuple):
    """The resolution near one frequency; None where it has no meaning, or where the front-end does not reach."""

    hz: float
    bins_per_octave: float | None
    width_hz: float | None  # between the frequencies of half power


def resolution(front: Front, at_hz: Sequence[float] = AT_HZ) -> list[Row]:
    """The local number of bins an octave, f ln 2 / (spacing of bin_hz), and the width of the bin nearest to f.

    Where the power is computed, the width is measured: tones are played and their power in the bin is compared with
    the greatest. A half-power point below 0 Hz or above half the sample rate counts as there. Learned front-ends say
    how wide the filter is whose centre is nearest.
    """
    if isinstance(front, Learned):
        centre, width = (x.detach().double().cpu() for x in front.filters())
        widths = [float(width[(centre - hz).abs().argmin()]) for hz in at_hz]
        return [Row(hz, _density(front, hz), w) for hz, w in zip(at_hz, widths, strict=True)]
    bins = [_nearest(front, hz) for hz in at_hz]
    reached = [k for k in bins if k is not None]
    measured = iter(
        _widths(front, front.bin_hz, reached) if isinstance(front, Fixed) and front.bin_hz is not None else []
    )
    return [
        Row(hz, _density(front, hz), None if k is None else next(measured, None))
        for hz, k in zip(at_hz, bins, strict=True)
    ]


def sentence(front: Front) -> str:
    """One line: how many bins and frames, then bins an octave and the width of a bin near 40, 440 and 4000 Hz."""
    said = f"{front.n_bins} bins, {1 / front.hop_s:.3g} frames/s"
    rows = resolution(front)
    density, width = [r.bins_per_octave for r in rows], [r.width_hz for r in rows]
    if all(d is None for d in density) and all(w is None for w in width):
        return f"{said}; a bin is no frequency"
    parts = []
    if any(d is not None for d in density):
        same = len({_figure(d) for d in density}) == 1
        parts.append(f"{_figure(density[0]) if same else _figures(density)} bins an octave")
    if any(w is not None for w in width):
        parts.append(f"{_figures(width)} Hz wide")
    return f"{said}; at {_figures([r.hz for r in rows])} Hz: {', '.join(parts)}"


def _figure(value: float | None) -> str:
    """Two digits, or all of a whole number's."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _figures(values: Sequence[float | None]) -> str:
    return " / ".join(_figure(v) for v in values)


def _nearest(front: Front, hz: float) -> int | None:
    """The bin nearest to a frequency; None where that is more than a bin's spacing away, or bins are no frequencies."""
    if front.bin_hz is None:
        return None
    centre = front.bin_hz.double().cpu()
    k = int((centre - hz).abs().argmin())
    return k if abs(float(centre[k]) - hz) <= _spacing(centre.numpy())[k] else None


def _spacing(centre: np.ndarray) -> np.ndarray:
    return np.gradient(centre, edge_order=2 if len(centre) > 2 else 1)


def _density(front: Front, hz: float) -> float | None:
    """Bins an octave near a frequency."""
    if isinstance(front, Chroma):
        return float(front.n_bins)
    if front.bin_hz is None or _nearest(front, hz) is None:
        return None
    centre = front.bin_hz.double().cpu().numpy()
    within = float(np.clip(hz, centre[0], centre[-1]))
    return within * math.log(2) / float(np.interp(within, centre, _spacing(centre)))


def _widths(front: Fixed, bin_hz: Tensor, bins: Sequence[int]) -> list[float]:
    """The half-power widths of some bins, in Hz: tones go away from the centre on both sides, first in ever longer
    steps, then in equal ones between the last tone above half of the greatest power and the next."""
    centres, nyquist = bin_hz.double().cpu().numpy(), front.hop / front.hop_s / 2
    sides = [(k, sign) for k in bins for sign in (-1, 1)]
    limit = np.array([centres[k] if sign < 0 else nyquist - centres[k] for k, sign in sides])
    least = np.minimum(_spacing(centres)[[k for k, _ in sides]] / 8, limit / 2)
    away = np.column_stack([np.zeros(len(sides)), np.geomspace(least, limit, N_FIRST).T])
    greatest, edge = np.zeros(len(bins)), np.zeros(len(sides))
    for _ in range(ROUNDS):
        tones = [(k, abs(centres[k] + sign * a)) for (k, sign), row in zip(sides, away, strict=True) for a in row]
        heard = _heard(front, tones).reshape(away.shape)
        greatest = np.maximum(greatest, heard.reshape(len(bins), -1).max(1))
        for i, half in enumerate(np.repeat(greatest / 2, 2)):
            last = int(np.flatnonzero(heard[i] >= half).max(initial=0))
            following = min(last + 1, away.shape[1] - 1)
            fall = heard[i, last] - heard[i, following]
            share = np.clip((heard[i, last] - half) / fall, 0, 1) if fall > 0 else 0
            edge[i] = away[i, last] + share * (away[i, following] - away[i, last])
            away[i, : N_NEXT + 1] = np.linspace(away[i, last], away[i, following], N_NEXT + 1)
        away = away[:, : N_NEXT + 1]
    return edge.reshape(-1, 2).sum(1).tolist()


def _heard(front: Fixed, tones: Sequence[tuple[int, float]]) -> np.ndarray:
    """The steady power of each (bin, Hz) in that bin. The tones are played one after another, each for as long as a
    frame hears; twice, a quarter of a period apart, so that their mean is without the beat of a tone with its image."""
    sample_rate = front.hop / front.hop_s
    left, right = (math.ceil(c / front.hop_s) for c in front.power_context_s)
    n = (left + 1 + right) * front.hop
    t = torch.arange(n, dtype=torch.float64) / sample_rate
    hz = torch.tensor([hz for _, hz in tones], dtype=torch.float64)[:, None]
    phase = (
        2 * math.pi * torch.cat([hz, hz]) * t + torch.tensor([0, math.pi / 2]).repeat_interleave(len(tones))[:, None]
    )
    wave = (LEVEL * phase.sin()).reshape(1, -1).to(next(front.buffers(), t.float()))
    with torch.no_grad():
        power = front.power(wave)[0, left :: left + 1 + right][: 2 * len(tones)].double().cpu()
    both = power.reshape(2, len(tones), -1).mean(0)
    return both[torch.arange(len(tones)), torch.tensor([k for k, _ in tones])].numpy()
