"""Whether two runs said the same to the bit, and where they did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report.artifacts import P

if TYPE_CHECKING:
    import pandas as pd

SIDES = (("test", "test songs"), ("val", "validation songs"))
NAMED = 5  # songs that are named


@dataclass(frozen=True)
class Compared:
    """What two runs said of the same songs; `lines` are empty where it is the same to the bit."""

    n_songs: int
    n_slices: int
    decided: int  # songs whose decision or answer changed
    largest: float  # difference of a probability, of a song or a slice
    lines: tuple[str, ...]

    @property
    def identical(self) -> bool:
        return not self.lines


def compared(
    before: tuple[pd.DataFrame, pd.DataFrame], now: tuple[pd.DataFrame, pd.DataFrame], of: str = ""
) -> Compared:
    """Each the frames of `artifacts.load`: songs and slices. `of` begins every line."""
    (songs, cuts), (songs_now, cuts_now) = before, now
    lines: list[str] = []
    decided, largest = 0, 0.0
    for what, old, new in (("songs", songs, songs_now), ("slices", cuts, cuts_now)):
        if lacking := _rows(old, new):
            lines.append(f"{what}: {lacking}")
            continue
        other = [c for c in old.columns if not _same(old[c].to_numpy(), new[c].to_numpy())]
        if not other:
            continue
        gap = _gap(old, new, [c for c in other if c.startswith(P)])
        largest = max(largest, gap)
        lines.append(f"{what}: the largest difference of a probability is {gap:.2g}; columns: {_listed(other)}")
        if what == "songs":
            changed = (old[["decision", "answer"]] != new[["decision", "answer"]]).any(axis=1).to_numpy()
            decided = int(changed.sum())
            lines += [_decisions(old, new, changed, side, named) for side, named in SIDES]
    return Compared(len(songs), len(cuts), decided, largest, tuple(f"{of}{line}" for line in lines if line))


def figures(before: dict[str, float], now: dict[str, float]) -> list[str]:
    """The names of the figures that are not the same, without what they cost."""
    return sorted(
        k
        for k in before.keys() | now.keys()
        if k.startswith(("val/", "test/", "train/"))
        and not _same(np.array(before.get(k, np.inf)), np.array(now.get(k, np.inf)))
    )


def _rows(old: pd.DataFrame, new: pd.DataFrame) -> str:
    """Why two frames do not have the same rows and columns; "" where they do."""
    columns = sorted(set(old.columns) ^ set(new.columns))
    if columns:
        return f"columns that one of the runs lacks: {_listed(columns)}"
    key = [c for c in ("id", "split", "start_s", "end_s", "fold") if c in old.columns]
    if len(old) != len(new):
        return f"{len(old)} rows then, {len(new)} now"
    moved = sum(not _same(old[c].to_numpy(), new[c].to_numpy()) for c in key)
    return "other songs, sides or spans stand in the same rows" if moved else ""


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to the bit; of what is no number, equal, with nothing equal to nothing."""
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "fiub" and a.dtype == b.dtype:
        return a.tobytes() == b.tobytes()
    return bool(np.all([x == y or (x != x and y != y) for x, y in zip(a, b, strict=True)]))  # noqa: PLR0124


def _gap(old: pd.DataFrame, new: pd.DataFrame, columns: Sequence[str]) -> float:
    if not columns:
        return 0.0
    return float(np.abs(old[list(columns)].to_numpy(float) - new[list(columns)].to_numpy(float)).max())


def _decisions(old: pd.DataFrame, new: pd.DataFrame, changed: np.ndarray, side: str, named: str) -> str:
    own = np.flatnonzero(changed & (old["split"] == side).to_numpy())
    n = int((old["split"] == side).sum())
    if not len(own):
        return f"songs: no decision changed on the {n} {named}"
    said = [f"{old['id'].iloc[i]}: {_said(old, i)} -> {_said(new, i)}" for i in own[:NAMED]]
    more = f" and {len(own) - NAMED} more" if len(own) > NAMED else ""
    return f"songs: decisions changed on {len(own)} of {n} {named} ({'; '.join(said)}{more})"


def _said(frame: pd.DataFrame, i: int) -> str:
    decision, answer = frame["decision"].iloc[i], frame["answer"].iloc[i]
    return str(decision) if decision == answer else f"{decision} ({answer})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
