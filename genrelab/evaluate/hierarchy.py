"""How far off a wrong genre is, by a tree of genres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.evaluate.metrics import confusion
from genrelab.evaluate.weighted import group_weights, percentile_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Tree:
    """The way from the root to each of K genres, the genre itself last, the root left out."""

    ways: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, nested: Any, genres: Sequence[str]) -> Tree:
        """Nested mappings and lists, as a yaml has them: `{electronic: [house, techno], rap: null}`.

        Leaves that are none of the genres are let be. Raises ValueError where a genre lacks, or a leaf is there twice.
        """
        found: dict[str, tuple[str, ...]] = {}
        for way in _ways(nested, ()):
            if way[-1] in found:
                raise ValueError(f"{way[-1]} is in the tree twice: keep one")
            found[way[-1]] = way
        if lacking := [g for g in genres if g not in found]:
            raise ValueError(
                f"the tree has no {', '.join(lacking)}, only {', '.join(found)}: add a leaf for each genre"
            )
        return cls(tuple(found[g] for g in genres))

    @property
    def shared(self) -> NDArray[np.float64]:
        """(K, K) how many steps from the root two genres have in common."""
        n = len(self.ways)
        out = np.zeros((n, n))
        for i, j in np.ndindex(n, n):
            # cumprod: where two ways have parted, branches of one name are other branches
            out[i, j] = np.cumprod([a == b for a, b in zip(self.ways[i], self.ways[j], strict=False)]).sum()
        return out

    @property
    def depth(self) -> NDArray[np.float64]:
        """(K,) steps from the root."""
        return np.array([len(w) for w in self.ways], dtype=float)

    @property
    def cost(self) -> NDArray[np.float64]:
        """(K, K) the steps from one genre to the other over the most that any two are apart, 0..1."""
        away = self.depth[:, None] + self.depth[None] - 2 * self.shared
        return away / max(1.0, float(away.max()))


def _ways(node: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        for name, below in node.items():
            way = (*above, str(name))
            if below in (None, [], {}):
                yield way
            else:
                yield from _ways(below, way)
    elif isinstance(node, list):
        for below in node:
            yield from _ways(below, above)
    elif node is not None:
        yield (*above, str(node))


def figures(
    tree: Tree, truth: ArrayLike, decided: ArrayLike, groups: ArrayLike, n_boot: int, seed: int
) -> dict[str, tuple[float, float, float]]:
    """hierarchical_f1 (Kiritchenko, Matwin & Famili 2005: of the sets of ancestors, all songs together),
    parent_accuracy (right at the first step from the root), cost_weighted_error; each with its 95 % interval.

    truth, decided: (n,) 0..K-1; groups: (n,).
    """
    t, d, k = np.asarray(truth), np.asarray(decided), len(tree.ways)
    cells = np.zeros((len(t), k * k))
    cells[np.arange(len(t)), t * k + d] = 1
    drawn = _of(tree, (group_weights(groups, t, n_boot, seed) @ cells).reshape(-1, k, k))
    points = _of(tree, confusion(t, d, k)[None])
    return {m: (float(at[0]), *percentile_interval(drawn[m], float(at[0]))) for m, at in points.items()}


def _of(tree: Tree, c: NDArray) -> dict[str, NDArray]:
    """Metric -> (W,) of confusion matrices (W, K, K)."""
    n = c.sum((1, 2))
    both = (c * tree.shared).sum((1, 2))
    size = (c * (tree.depth[:, None] + tree.depth[None])).sum((1, 2))
    return {
        "hierarchical_f1": 2 * both / size,
        "parent_accuracy": (c * (tree.shared > 0)).sum((1, 2)) / n,
        "cost_weighted_error": (c * tree.cost).sum((1, 2)) / n,
    }
