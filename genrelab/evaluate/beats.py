"""Beat grids against the truth: F-measure of beats, accuracy of tempi.

The figures of the field, on whole clips: nothing is trimmed, while mir_eval's own `beat.evaluate` leaves out the first
five seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

TOLERANCE = 0.04  # of the reference tempo (Gouyon et al. 2006)
OCTAVES = (1, 2, 1 / 2, 3, 1 / 3)  # factors that accuracy 2 forgives


def _times(times_s: ArrayLike) -> np.ndarray:
    times = np.sort(np.asarray(times_s, float).ravel())
    if not np.isfinite(times).all():
        raise ValueError("beat times hold NaN or Inf: expected seconds")
    return times


def f_measure(reference_s: ArrayLike, estimated_s: ArrayLike, window_s: float = 0.07) -> float:
    """F-measure of beat times in seconds, 0..1: 2 hits / (n_reference + n_estimated); 0 where either is empty.

    A hit pairs one reference with one estimate at most `window_s` away; each is used once and the pairing has as many
    hits as there can be (Dixon 2007, Evaluation of the audio beat tracking system BeatRoot; window of MIREX). Raises
    ValueError for NaN or Inf.
    """
    reference, estimated = _times(reference_s), _times(estimated_s)
    hits = i = j = 0
    while i < len(reference) and j < len(estimated):  # windows of one width: taking the earliest pair loses nothing
        if abs(reference[i] - estimated[j]) <= window_s:
            hits, i, j = hits + 1, i + 1, j + 1
        elif reference[i] < estimated[j]:
            i += 1
        else:
            j += 1
    return 2 * hits / max(1, len(reference) + len(estimated))


def tempo_bpm(times_s: ArrayLike) -> float:
    """Beats per minute from the median distance of beat times in seconds; 0 with fewer than two different times."""
    gaps = np.diff(np.unique(_times(times_s)))
    return 60 / float(np.median(gaps)) if len(gaps) else 0.0


def tempo_accuracy(reference_bpm: ArrayLike, estimated_bpm: ArrayLike) -> tuple[float, float]:
    """Share of tempi, (n,) or one, that lie within 4 % of the reference: accuracy 1, and accuracy 2, 0..1.

    Accuracy 2 also takes the double, the half, the triple and the third (Gouyon et al. 2006, An experimental comparison
    of audio tempo induction algorithms, IEEE TASLP 14(5)). Raises ValueError where the lengths differ, nothing is given
    or a reference is not above 0.
    """
    reference, estimated = (
        np.atleast_1d(np.asarray(reference_bpm, float)),
        np.atleast_1d(np.asarray(estimated_bpm, float)),
    )
    if reference.shape != estimated.shape or not reference.size:
        raise ValueError(
            f"{reference.size} reference and {estimated.size} estimated tempi: expected as many, at least 1"
        )
    if not (reference > 0).all():
        raise ValueError(f"a reference tempo of {reference.min():g}: expected beats per minute above 0")
    near = [np.abs(estimated - factor * reference) <= TOLERANCE * factor * reference for factor in OCTAVES]
    return float(near[0].mean()), float(np.any(near, axis=0).mean())
