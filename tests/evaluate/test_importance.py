"""The importance of parameters against functions whose shares of the variance are known."""

from __future__ import annotations

import numpy as np
import pytest

from genrelab.evaluate.importance import N_TREES, importance


def trials(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two numbers (n, 1) and a choice of three (n, 3)."""
    random = np.random.default_rng(seed)
    return random.random((n, 1)), random.random((n, 1)), np.eye(3)[random.integers(0, 3, n)]


def test_shares_are_those_of_an_additive_function() -> None:
    """2 a + b on the unit square: variances 4/12 and 1/12; the choice does nothing."""
    a, b, choice = trials(300)
    found = importance([a, b, choice], 2 * a[:, 0] + b[:, 0], 2, 0)
    assert found.skill > 0.95
    assert found.share == pytest.approx([0.8, 0.2, 0.0], abs=0.05)


def test_a_choice_has_its_share_too() -> None:
    """Levels 0, 0, 1 have variance 2/9, a number times sqrt(8/3) has 2/9 as well."""
    a, b, choice = trials(300)
    found = importance([a, b, choice], choice[:, 2] + np.sqrt(8 / 3) * a[:, 0], 2, 0)
    assert found.share == pytest.approx([0.5, 0.0, 0.5], abs=0.06)


def test_parameters_that_act_only_together_have_no_share_of_their_own() -> None:
    a, b, choice = trials(400)
    found = importance([a, b, choice], np.sign((a[:, 0] - 0.5) * (b[:, 0] - 0.5)), 2, 0)
    assert found.skill > 0.5
    assert found.share.max() < 0.15


def test_trials_that_are_all_close_to_the_best_do_not_hide_what_is_far_from_it() -> None:
    """A sampler looks where it is good: nine of ten trials have the same a, the space is still all of it."""
    a, b, choice = trials(300)
    a[30:] = 0.9 + 0.1 * a[30:]
    found = importance([a, b, choice], 2 * a[:, 0] + b[:, 0], 2, 0)
    assert found.share[0] > 2 * found.share[1]


def test_skill_is_scikit_learns_out_of_bag_score_against_the_mean_of_the_others() -> None:
    """The mean of the others is n / (n - 1) times as far from a result as the mean of all is."""
    from sklearn.ensemble import RandomForestRegressor

    for n, noise in ((40, 0.1), (40, 0.4), (200, 0.3)):
        columns = trials(n)
        y = columns[0][:, 0] + noise * np.random.default_rng(1).normal(size=n)
        state = int(np.random.default_rng(7).integers(2**31))
        forest = RandomForestRegressor(N_TREES, oob_score=True, random_state=state).fit(np.column_stack(columns), y)
        found = importance(columns, y, 1, 7)
        assert found.skill == pytest.approx(max(0, 1 - (1 - forest.oob_score_) * ((n - 1) / n) ** 2))
        assert found.share.min() >= 0 and found.share.sum() <= found.skill + 1e-9


def test_noise_has_no_importance() -> None:
    random = np.random.default_rng(0)
    for seed in range(5):
        found = importance(trials(25, seed), random.normal(size=25), 2, seed)
        assert found.skill < 0.35
        assert found.share.sum() <= found.skill + 1e-9


def test_what_means_nothing_stays_below_chance_and_what_means_all_above() -> None:
    a, b, choice = trials(40)
    found = importance([a, b, choice], a[:, 0] + 0.1 * np.random.default_rng(1).normal(size=40), 20, 0)
    assert found.share[0] > found.chance[0] + 0.3
    assert found.lo[0] <= found.share[0] and found.lo[0] > found.hi[1:].max()
    assert found.share[1] < found.chance[1] + 0.02


def test_the_same_seed_gives_the_same_and_few_or_equal_results_are_no_error() -> None:
    columns = trials(3)
    y = np.array([0.1, 0.2, 0.4])
    one, two = importance(columns, y, 3, 5), importance(columns, y, 3, 5)
    assert all((getattr(one, k) == getattr(two, k)).all() for k in ("share", "lo", "hi", "chance"))
    assert np.isfinite([*one.share, *one.lo, *one.hi, *one.chance, one.skill]).all()
    same = importance(columns, np.full(3, 0.5), 3, 5)
    assert same.skill == 0 and not same.share.any()
