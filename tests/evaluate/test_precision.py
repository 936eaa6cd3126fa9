"""Answers come as a net gives them, in single or half precision; figures are those of the same numbers in double."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from genrelab.evaluate import calibration, metrics, multilabel, open_set, probe, rejection
from genrelab.evaluate.confusable import pairs
from genrelab.evaluate.genres import by_genre
from genrelab.evaluate.label_noise import ceiling
from genrelab.evaluate.tested import Ranked
from genrelab.evaluate.weighted import auroc, average_precision

N, K = 600, 3
random = np.random.default_rng(0)
TRUTH = np.arange(N) % K
GROUPS = np.arange(N) // 6
SCORES = random.normal(size=(N, K)) + 1.5 * np.eye(K)[TRUTH]
P = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
MOST, OTHER = P.max(1), np.roll(P, 1, 0)
RIGHT = P.argmax(1) == TRUTH
SEVERAL = np.eye(K)[TRUTH] > 0
SEVERAL[::4] |= np.eye(K)[(TRUTH[::4] + 1) % K] > 0
BOOT = {"n_boot": 20, "seed": 0}


def known(z: NDArray) -> rejection.Known:
    return rejection.Known.fit(z, z[:, :2], TRUTH, 2)


def evidence(x: NDArray) -> rejection.Evidence:
    return rejection.Evidence(x, x, x, x[:, :2], x[:, 0])


def asked(p: NDArray, several: bool) -> probe.Asked:
    return probe.Asked(SEVERAL, GROUPS, p, np.full(K, 0.5) if several else None)


FIGURES: dict[str, tuple[NDArray, Callable[[NDArray], Any]]] = {
    "probabilities": (SCORES, lambda x: [calibration.apply(x, 0.7, several) for several in (False, True)]),
    "temperature": (SCORES, lambda x: [calibration.fit_temperature(x, SEVERAL, several) for several in (False, True)]),
    "target": (SEVERAL * 0.3, lambda t: calibration.fit_temperature(SCORES, t, True)),
    "reliability": (MOST, lambda c: calibration.reliability(c, RIGHT, 7)),
    "calibration error": (MOST, lambda c: calibration.ece(c, RIGHT)),
    "risk and coverage": (MOST, lambda c: [*calibration.risk_coverage(c, RIGHT), calibration.aurc(c, RIGHT)]),
    "metrics": (P, lambda p: list(metrics.scores(TRUTH, p).values())),
    "several genres": (P, lambda p: list(multilabel.scores(SEVERAL, p, np.full(K, 0.3)).values())),
    "thresholds": (P, lambda p: multilabel.thresholds(SEVERAL, p)),
    "cuts": (np.full(K, 0.3), lambda cut: multilabel.scores(SEVERAL, P, cut)["macro_f1"]),
    "all on top": (P, lambda p: multilabel.all_on_top(SEVERAL, p, GROUPS, 20, 0)),
    "strangers": (MOST, lambda s: [open_set.auroc(s, s[:99]), open_set.fpr_at(s, s[:99]), open_set.oscr(s, RIGHT, s)]),
    "open set": (
        MOST,
        lambda s: list(open_set.figures(s, RIGHT, TRUTH > 0, TRUTH, P.argmax(1), GROUPS, **BOOT).values()),
    ),
    "pairs": (P, lambda p: [(x.auroc, x.lo, x.hi) for x in pairs(TRUTH, p, GROUPS, "abc", **BOOT)]),
    "genres": (P, lambda p: [x.average_precision for x in by_genre(SEVERAL, SEVERAL, p, GROUPS, "abc", **BOOT)]),
    "label noise": (P, lambda p: ceiling(TRUTH, p, GROUPS, **BOOT).ceiling),
    "equals": (np.eye(K)[TRUTH] * 0.9 + 0.03, lambda p: ceiling(TRUTH, p, GROUPS, **BOOT).ceiling),
    "shift": (P, lambda p: [probe.shifted(p, OTHER, several=s) for s in (False, True)]),
    "shifted": (P, lambda p: [probe.shifted(OTHER, p, several=s) for s in (False, True)]),
    "ranks": (P, lambda p: probe.right(asked(P, True), p)),
    "ranking": (MOST, lambda s: [auroc(RIGHT, s, np.ones((1, N))), average_precision(RIGHT, s, np.ones((1, N)))]),
    "weights": (MOST, lambda w: [auroc(RIGHT, P[:, 0], w[None]), average_precision(RIGHT, P[:, 0], w[None])]),
    "threshold": (SCORES[:, 0], lambda s: rejection.threshold(s, 0.93)),
    "knownness": (SCORES, lambda x: list(rejection.scores(evidence(x), known(SCORES)).values())),
    "what is remembered": (SCORES, lambda z: list(rejection.scores(evidence(SCORES), known(z)).values())),
    "swapped": (P, lambda p: Ranked(GROUPS, SEVERAL, np.stack([p, p]), np.full((2, N, K), 0.5), "lrap").gains(0, 1)),
}


def arrays(found: Any) -> list[NDArray]:
    return [np.asarray(x) for x in (found if isinstance(found, list | tuple) else [found])]


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_computed_in_double_precision(name: str, kind: type) -> None:
    given, figure = FIGURES[name]
    short = given.astype(kind)
    for found, expected in zip(arrays(figure(short)), arrays(figure(short.astype(np.float64))), strict=True):
        assert found.dtype in (np.float64, np.int64)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
