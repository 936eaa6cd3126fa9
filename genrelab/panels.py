"""What a front-end drew, as the pages show it: low frequencies first, with the names of its bins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genrelab.front.base import Front
    from genrelab.report.look import Panel


def panel(name: str, front: Front, picture: NDArray, note: str = "") -> Panel:
    """A picture (F, frames) of a front-end; note: whose weights it has, where it learned."""
    from genrelab.front import resolution
    from genrelab.report.look import Panel

    hz = _hz(front)
    order = slice(None, None, -1) if _falling(hz) else slice(None)
    rising = hz is not None and bool((np.diff(hz[order]) > 0).all())
    said = resolution.sentence(front)
    names, at = pitches(front), hz[order] if rising and hz is not None else None
    return Panel(name, said, note, upwards(front, picture), at, names, front.hop_s, front.unit)


def upwards(front: Front, picture: NDArray) -> NDArray:
    """What belongs to a front-end's bins, (F, frames), with low frequencies first."""
    return picture[::-1] if _falling(_hz(front)) else picture


def pitches(front: Front) -> tuple[str, ...]:
    """The names of the classes of chroma, a quarter tone above its note with a +; empty for the others."""
    from genrelab.front.chroma import Chroma
    from genrelab.report.look import PITCHES

    if not isinstance(front, Chroma):
        return ()
    first, each = round(12 * math.log2(front.pitch_hz[0] / 440)) + 9, front.n_bins // 12
    return tuple(PITCHES[(first + i // each) % 12] + "+" * (i % each) for i in range(front.n_bins))


def _hz(front: Front) -> NDArray | None:
    return None if front.bin_hz is None else front.bin_hz.detach().cpu().numpy().astype(float)


def _falling(hz: NDArray | None) -> bool:
    return hz is not None and len(hz) > 1 and bool((np.diff(hz) < 0).all())
