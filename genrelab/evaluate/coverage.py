"""How often the intervals of `paired` hold the truth, by simulation; tests/evaluate/test_coverage.py makes the table.

Songs in groups that are hard or easy for every run and for each of them; two runs, right on 69 and 59 % of the songs;
groups of one song and of three on average; 1,500 simulations of each, of both the mean. Where groups are few and hold a
song each, two such runs differ on hardly any: the interval is then far too narrow, or empty.
"""

from __future__ import annotations

COVERAGE: dict[int, dict[int, float]] = {  # genres -> groups in each -> share
    1: {2: 0.55, 3: 0.69, 4: 0.79, 5: 0.84, 6: 0.87, 8: 0.93, 10: 0.93, 15: 0.93, 20: 0.95, 30: 0.94},
    2: {2: 0.76, 3: 0.87, 4: 0.91, 5: 0.93, 6: 0.94, 8: 0.93, 10: 0.95, 15: 0.95, 20: 0.94, 30: 0.95},
    4: {2: 0.90, 3: 0.95, 4: 0.95, 5: 0.95, 6: 0.95, 8: 0.95, 10: 0.94, 15: 0.94, 20: 0.94, 30: 0.94},
    8: {2: 0.94, 3: 0.96, 4: 0.95, 5: 0.95, 6: 0.95, 8: 0.95, 10: 0.94, 15: 0.95, 20: 0.94, 30: 0.95},
}

# 2 to 6 arms, 2 to 5 seeds, on one split or one each, luck of none to a third of what makes songs hard: least and most;
# the least is of two arms with two seeds and much luck
OVER_SEEDS = (0.90, 0.98)


def covered(n_strata: int, n_groups: int) -> float | None:
    """The share for so many groups in each of so many genres, of the nearest that was measured below; None for fewer
    than two groups. n_strata: 1 where groups do not lie in one genre each, n_groups then being all of them."""
    if n_groups < 2:
        return None
    of_genres = COVERAGE[max(k for k in COVERAGE if k <= n_strata)]
    return of_genres[max(n for n in of_genres if n <= n_groups)]
