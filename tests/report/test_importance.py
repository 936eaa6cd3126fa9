"""What a search shows: its trials by validation, a command that can be pasted, no importance where there is none."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
import pytest

from genrelab.report import importance as search
from genrelab.report.importance import importance, parameters
from tests.report.reading import WIDTHS, lies_well, printed, words

VAL = "val/song/balanced_accuracy"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "N_DRAWS", 3)


def trial(i: int, value: float, *given: str, test: float = 0.5) -> dict[str, Any]:
    return {
        "name": f"mel-gru-artist-s0 #{i}",
        "run_id": f"{i:08x}" * 4,
        "folder": "",
        "status": "FINISHED",
        "reason": "",
        "figures": {VAL: value, "test/song/balanced_accuracy": test},
        "overrides": [*given, "slice.hop_s=1.28", "sweep=optuna", "trials=9", "debug=fast", "hydra.x=1"],
        "measure": "balanced_accuracy",
    }


def trials(n: int, noise: float = 0.0, seed: int = 0) -> list[dict[str, Any]]:
    """The learning rate decides; the norm does not."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(n):
        rate, norm = 10 ** random.uniform(-4, -2), str(random.choice(["train", "song", "a very long norm"]))
        value = 0.7 - 0.2 * abs(np.log10(rate) + 3) + noise * random.normal()
        more = (f"optim.optimizer.lr={rate}", f"norm={norm}", f"net.dim={random.choice([32, 64])}")
        made.append(trial(i, value, *more, test=1 - value))
    return made


@WIDTHS
def test_trials_stand_in_the_order_of_validation_with_what_they_tried(width: int) -> None:
    rows = [trial(i, v, f"norm={n}", "agg=gru") for i, v, n in ((1, 0.5, "train"), (2, 0.7, "song"), (3, 0.6, "song"))]
    (table, *_), _ = importance(rows, 100, 0)
    lines = printed(table, width)
    assert lines[0] == "trials by balanced accuracy per song on validation, %"
    assert words(lines, "trial ") == "trial val norm"  # what all share is not shown
    assert [" ".join(line.split()) for line in lines[3:]] == [
        "00000002 70.0 song", "00000003 60.0 song", "00000001 50.0 train"]  # fmt: skip


def test_the_best_trial_is_a_command_with_other_seeds_on_the_same_split() -> None:
    rows = [trial(1, 0.5, "norm=train"), trial(2, 0.7, "norm=song", "data.path='a b'", "seed=4")]
    _, said, *_ = importance(rows, 100, 0)[0]
    assert "the best of 2 trials was chosen by its validation figure" in said
    given = shlex.split(said.splitlines()[1])
    assert given[:4] == ["python", "-m", "genrelab", "-m"]
    assert given[4:] == [
        "norm=song", "data.path='a b'", "slice.hop_s=1.28", "debug=fast", "split_seed=4", "seed=5,6,7"]  # fmt: skip
    _, said, *_ = importance(rows[:1], 100, 8)[0]
    assert said.endswith("debug=fast split_seed=8 seed=9,10,11")


def test_numbers_are_told_from_names_and_scales_from_their_range() -> None:
    rows = [
        trial(i, 0.5, f"a={a}", f"b={b}", f"c={c}", f"d={d}", "e=1")
        for i, (a, b, c, d) in enumerate(((0.001, 8, "[1,2]", "null"), (0.1, 32, "[1,3]", 1), (0.01, 16, "[1,2]", 2)))
    ]
    a, b, c, d = parameters(rows)
    assert [p.key for p in (a, b, c, d)] == ["a", "b", "c", "d"]
    np.testing.assert_allclose(a.column, [[0], [1], [0.5]])  # over a hundredfold: logarithmic
    np.testing.assert_allclose(b.column, [[0], [1], [1 / 3]])
    assert b.levels == ["8", "16", "32"]
    assert c.column.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert d.numbers is None and d.column.shape == (3, 3)


def test_what_decides_is_named_and_drawn_first() -> None:
    tables, figure = importance(trials(60), 100, 0)
    assert tables[-1].startswith("importance: the parameters foretell ")
    assert "unreliable" not in tables[-1]
    assert tables[-1].partition("More than by chance: ")[2].startswith("optim.optimizer.lr ")
    bars, course, closer, *_ = figure.axes
    assert next(t.get_text() for t in bars.get_yticklabels()) == "optim.optimizer.lr"
    assert bars.patches[0].get_width() > 0.7
    assert bars.yaxis_inverted()  # the first is above
    assert closer.get_title("left") == "optim.optimizer.lr" and closer.get_xscale() == "log"
    rows = trials(60)
    best, reached = course.get_lines()
    np.testing.assert_allclose(reached.get_ydata(), [r["figures"][VAL] for r in rows])
    np.testing.assert_allclose(best.get_ydata(), np.maximum.accumulate(reached.get_ydata()))
    lies_well(figure)


def test_few_trials_are_called_unreliable_and_noise_unknown() -> None:
    tables, figure = importance(trials(8), 100, 0)
    assert "8 trials are few, unreliable" in tables[-1]
    assert "unreliable" in figure.axes[0].get_title("left")
    lies_well(figure)
    random = np.random.default_rng(3)
    noise = [r | {"figures": r["figures"] | {VAL: random.random()}} for r in trials(30)]
    tables, figure = importance(noise, 100, 0)
    assert tables[-1].startswith("importance: unknown.")
    assert "importance unknown" in figure.axes[0].get_title("left")


@pytest.mark.parametrize("n", [1, 2, 5])
def test_trials_that_all_reach_the_same_have_no_importance(n: int) -> None:
    rows = [trial(i, 0.5, f"norm={i % 2}", f"net.dim={i}") for i in range(n)]
    tables, figure = importance(rows, 100, 0)
    assert tables[-1].startswith("importance: unknown. It takes three trials")
    assert next(axes.get_title("left") for axes in figure.axes) == (
        "balanced accuracy, validation songs; importance unknown"
    )
    lies_well(figure)
