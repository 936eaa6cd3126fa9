"""Which rows belong together: what is resampled is the group, whole (see `intervals`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def song_groups(groups: Sequence[str | None], ids: Sequence[str]) -> NDArray[np.str_]:
    """(n,) group keys, where a song without a group is a group of its own."""
    own = [f"song:{i}" if _missing(g) else f"group:{g}" for g, i in zip(groups, ids, strict=True)]
    return np.asarray(own, dtype=np.str_)


def group_indices(groups: ArrayLike) -> NDArray[np.intp]:
    """(n,) 0..G-1, in the order of the keys."""
    # a list stays as it is: numpy would turn a NaN among strings into the text "nan"
    g = groups if isinstance(groups, np.ndarray) else np.asarray(groups, dtype=object)
    if g.ndim != 1 or not len(g):
        raise ValueError(f"groups is one key a row, at least one row; this has the shape {g.shape}")
    if g.dtype.kind in "fOUS" and any(_missing(key) for key in g.tolist()):
        raise ValueError("a row has no group: expected the song's own id there (see song_groups)")
    return np.unique(g.astype(str) if g.dtype.kind == "O" else g, return_inverse=True)[1].astype(np.intp)


def _missing(key: object) -> bool:
    """What a table leaves empty: None, NaN, pandas' NA or no text."""
    return (
        key is None
        or type(key).__name__ == "NAType"
        or key in {"", b""}
        or (isinstance(key, float) and math.isnan(key))
    )
