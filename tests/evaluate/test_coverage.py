"""Does an interval hold the truth as often as it claims? By simulation of runs whose difference is known."""

from __future__ import annotations

import pytest

from genrelab.evaluate.coverage import COVERAGE, OVER_SEEDS, covered
from tests.evaluate.simulated import World, coverage

SONGS = (1, 3)  # a group, on average


@pytest.mark.parametrize(("genres", "groups"), [(2, 15), (4, 8), (8, 4), (1, 30)])  # 30 groups or more
def test_30_groups_hold_the_truth_95_times_in_100(genres, groups):
    found = [coverage(World(genres=genres, groups=groups, songs=s), 400) for s in SONGS]
    assert sum(found) / 2 == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("genres", "groups"), [(1, 3), (2, 2), (4, 2)])
def test_the_table_says_how_much_fewer_hold(genres, groups):
    found = [coverage(World(genres=genres, groups=groups, songs=s), 300) for s in SONGS]
    assert sum(found) / 2 == pytest.approx(COVERAGE[genres][groups], abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("genres", COVERAGE)
def test_the_whole_table(genres):
    """About 20 minutes; what it prints is the table's row."""
    for groups, said in COVERAGE[genres].items():
        found = [coverage(World(genres=genres, groups=groups, songs=s), 1500, groups * 100 + genres) for s in SONGS]
        print(f"{genres} genres, {groups} groups: {sum(found) / 2:.3f}", found)
        assert sum(found) / 2 == pytest.approx(said, abs=0.015)
        if genres * groups >= 30:
            assert sum(found) / 2 == pytest.approx(0.95, abs=0.02)


SEEDS = [(arms, seeds, luck, pool) for arms, seeds in ((2, 2), (2, 3), (6, 2), (2, 5)) for luck in (0.0, 0.15, 0.5)
         for pool in (0, 40)]  # fmt: skip


@pytest.mark.slow
def test_over_seeds() -> None:
    """With one split and with one for each seed; about 5 minutes."""
    found = {}
    for arms, seeds, luck, pool in SEEDS:
        world = World(genres=2, groups=15, arms=arms, seeds=seeds, luck=luck, pool=pool)
        found[arms, seeds, luck, pool] = coverage(world, 800)
        print(f"{arms} arms, {seeds} seeds, luck {luck}, pool {pool}: {found[arms, seeds, luck, pool]:.3f}")
    low, high = OVER_SEEDS
    assert min(found.values()) == pytest.approx(low, abs=0.02)
    assert max(found.values()) == pytest.approx(high, abs=0.02)


@pytest.mark.parametrize(("arms", "seeds", "pool"), [(6, 2, 0), (6, 2, 40), (2, 5, 40)])
def test_seeds_are_part_of_the_interval(arms, seeds, pool):
    """Luck of .5 beside 1.7 of what makes songs hard: without it only about 3 in 5 would hold."""
    world = World(genres=2, groups=15, arms=arms, seeds=seeds, luck=0.5, pool=pool)
    assert OVER_SEEDS[0] <= coverage(world, 200) <= 1


@pytest.mark.parametrize(
    ("genres", "groups", "nearest"), [(3, 7, (2, 6)), (8, 8, (8, 8)), (50, 400, (8, 30)), (1, 2, (1, 2))]
)
def test_what_was_not_measured_takes_the_nearest_below(genres, groups, nearest):
    assert covered(genres, groups) == COVERAGE[nearest[0]][nearest[1]]
    assert covered(genres, 1) is None
