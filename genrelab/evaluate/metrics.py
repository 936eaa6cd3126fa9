"""Figures of a classifier, all computed from confusion matrices, so that a bootstrap is one vectorised call.

`K` genres. A row of a confusion matrix is the true genre, a column the decided one; a column more, `K`, is the answer
"no tag", which is never right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
CLIP = 1e-7  # one sure and wrong answer must not make the log loss infinite


def confusion(
    truth: ArrayLike,
    decided: ArrayLike,
    n_classes: int,
    weights: ArrayLike | None = None,
    *,
    no_tag: bool | None = None,
) -> NDArray[np.float64]:
    """How often each genre was taken for each.

    truth: (n,) 0..K-1; decided: (n,) 0..K, where K is "no tag"; weights: (n,), 1 each where not given.
    no_tag: whether the matrix has the column K; None: where it is needed.
    Returns (K, K) or (K, K + 1): true genre by decided genre, the sum of the weights.
    """
    t, d = class_indices(truth, n_classes, "truth"), class_indices(decided, n_classes + 1, "decided")
    if t.shape != d.shape:
        raise ValueError(f"truth holds {len(t)} rows and decided {len(d)}: expected as many")
    needed = bool(len(d)) and int(d.max()) == n_classes
    if needed and no_tag is False:
        raise ValueError("a decision is no tag, but the matrix was asked for without that column")
    n_columns = n_classes + int(needed if no_tag is None else no_tag)
    w = None if weights is None else np.asarray(weights, dtype=float)
    cells = np.bincount(t * n_columns + d, weights=w, minlength=n_classes * n_columns)
    return cells.reshape(n_classes, n_columns).astype(float)


def from_confusion(c: NDArray) -> dict[str, NDArray[np.float64]]:
    """Every metric of METRICS of each confusion matrix in a stack.

    c: (..., K, K) or (..., K, K + 1). Returns arrays (...), 0..1, NaN where a matrix is empty.

    As scikit-learn defines them: balanced accuracy is the mean recall of the genres that have true rows; macro F1 is
    the mean over the genres that occur as truth or as decision, F1 = 2 TP / (true + decided), 0 where nothing is right.
    "No tag" is no genre: it has no F1 of its own and costs the true genre its recall.
    """
    c = np.asarray(c, dtype=float)
    k = c.shape[-2]
    if c.shape[-1] not in (k, k + 1):
        raise ValueError(f"a confusion matrix is (K, K) or (K, K + 1), this one is {c.shape[-2:]}")
    right = np.diagonal(c[..., :k], axis1=-2, axis2=-1)  # (..., K)
    true, said = c.sum(-1), c[..., :k].sum(-2)  # (..., K)
    return {
        "accuracy": _ratio(right.sum(-1), true.sum(-1)),
        "balanced_accuracy": _mean_where(_ratio(right, true), true > 0),
        "macro_f1": _mean_where(_ratio(2 * right, true + said), true + said > 0),
    }


def scores(truth: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """The metrics of the most probable genre, and `log_loss` in nats (probabilities clipped at 1e-7).

    truth: (n,); probabilities: (n, K). A row that is not finite decides nothing, so it counts as wrong.
    """
    p = np.asarray(probabilities, dtype=float)
    if p.ndim != 2 or p.shape[1] < 1:
        raise ValueError(f"probabilities are (n, K), these are {p.shape}")
    n_classes = p.shape[1]
    t = class_indices(truth, n_classes, "truth")
    decided = np.where(np.isfinite(p).all(1), p.argmax(1), n_classes)
    out = {name: float(value) for name, value in from_confusion(confusion(t, decided, n_classes)).items()}
    of_truth = np.clip(p[np.arange(len(t)), t], CLIP, 1.0)  # NaN stays NaN
    out["log_loss"] = float(-np.log(of_truth).mean()) if len(t) else float("nan")
    return out


def majority(train_truth: ArrayLike, test_truth: ArrayLike, n_classes: int) -> dict[str, float]:
    """The metrics of always saying the training set's commonest genre: what a run has to beat. A tie: the first."""
    train = class_indices(train_truth, n_classes, "train_truth")
    if not len(train):
        raise ValueError("no training rows: the commonest genre is not known")
    test = class_indices(test_truth, n_classes, "test_truth")
    decided = np.full(len(test), np.bincount(train, minlength=n_classes).argmax())
    return {name: float(value) for name, value in from_confusion(confusion(test, decided, n_classes)).items()}


def class_indices(values: ArrayLike, n: int, what: str) -> NDArray[np.intp]:
    """(rows,) whole numbers 0..n-1, or a ValueError that names `what`."""
    a = np.asarray(values)
    if a.ndim != 1:
        raise ValueError(f"{what} is one index a row, this one has the shape {a.shape}")
    if not len(a):
        return a.astype(np.intp)
    if a.dtype.kind not in "iu":
        raise ValueError(f"{what} holds {a.dtype}: expected whole numbers")
    if a.min() < 0 or a.max() >= n:
        raise ValueError(f"{what} holds {a.min()}..{a.max()}: expected 0..{n - 1}")
    return a.astype(np.intp)


def _ratio(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """a / b, NaN where b is 0."""
    return np.divide(a, b, out=np.full(np.shape(b), np.nan), where=np.asarray(b) > 0)


def _mean_where(values: NDArray, keep: NDArray) -> NDArray[np.float64]:
    """The mean over the last axis of the values that are kept, NaN where there are none."""
    return _ratio(np.where(keep, values, 0.0).sum(-1), keep.sum(-1))
