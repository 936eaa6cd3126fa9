"""A tree of genres: how it is read, and its figures by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genrelab.evaluate.hierarchy import Tree, figures

GENRES = ["house", "techno", "rap", "be-bop"]
NESTED = {"electronic": {"club": ["house", "techno"], "ambient": None}, "rap": None, "jazz": ["be-bop", "swing"]}


def test_mappings_lists_and_empty_leaves_are_read():
    tree = Tree.of(NESTED, GENRES)
    assert tree.ways == (
        ("electronic", "club", "house"),
        ("electronic", "club", "techno"),
        ("rap",),
        ("jazz", "be-bop"),
    )
    assert tree.depth.tolist() == [3, 3, 1, 2]


@pytest.mark.parametrize(
    "nested",
    [
        {"a": {"x": None, "y": None}, "z": None},
        {"a": ["x", "y"], "z": None},
        {"a": ["x", {"y": []}], "z": {}},
        [{"a": [{"x": None}, "y"]}, "z"],
    ],
)
def test_however_it_is_written_it_is_one_tree(nested):
    assert Tree.of(nested, ["x", "y", "z"]).ways == (("a", "x"), ("a", "y"), ("z",))


def test_numbers_are_names():
    assert Tree.of({1980: [90]}, ["90"]).ways == (("1980", "90"),)


def test_a_genre_that_lacks_and_one_that_is_there_twice_are_refused():
    with pytest.raises(ValueError, match=r"the tree has no dub, ska, only house, .*add a leaf for each genre"):
        Tree.of(NESTED, ["house", "dub", "ska"])
    with pytest.raises(ValueError, match="house is in the tree twice"):
        Tree.of({"a": ["house"], "b": {"c": ["house"]}}, ["house"])
    with pytest.raises(ValueError, match="has no electronic"):  # a branch is no leaf
        Tree.of(NESTED, ["electronic"])
    with pytest.raises(ValueError, match="has no house"):
        Tree.of(None, ["house"])


def test_shared_steps_and_costs_by_hand():
    tree = Tree.of(NESTED, GENRES)
    assert tree.shared.tolist() == [[3, 2, 0, 0], [2, 3, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]
    # house to techno: up and down once; house to be-bop: three up, two down, the farthest
    np.testing.assert_allclose(5 * tree.cost, [[0, 2, 4, 5], [2, 0, 4, 5], [4, 4, 0, 3], [5, 5, 3, 0]])


def test_branches_of_one_name_below_other_parents_are_other_branches():
    tree = Tree.of({"europe": {"folk": ["polka"]}, "america": {"folk": ["bluegrass"]}}, ["polka", "bluegrass"])
    assert tree.shared.tolist() == [[3, 0], [0, 3]]
    found = figures(tree, [0, 1], [1, 1], ["a", "b"], n_boot=5, seed=0)
    assert found["parent_accuracy"][0] == 0.5


def test_the_figures_by_hand():
    """Kiritchenko et al. 2005: the shared ancestors of all songs, over those of the answers and those of the truth."""
    truth = [0, 0, 1, 2, 3]  # house, house, techno, rap, be-bop
    said = [0, 1, 2, 2, 0]  # house, techno, rap, rap, house
    found = figures(Tree.of(NESTED, GENRES), truth, said, np.arange(5), n_boot=50, seed=0)
    shared, of_truth, of_said = 3 + 2 + 0 + 1 + 0, 3 + 3 + 3 + 1 + 2, 3 + 3 + 1 + 1 + 3
    precision, recall = shared / of_said, shared / of_truth
    assert found["hierarchical_f1"][0] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found["parent_accuracy"][0] == pytest.approx(3 / 5)
    assert found["cost_weighted_error"][0] == pytest.approx((0 + 2 + 4 + 0 + 5) / 5 / 5)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_intervals_hold_their_points_and_a_right_answer_is_best(rows):
    truth, said = np.array(rows).T
    tree = Tree.of(NESTED, GENRES)
    groups = np.arange(len(truth))
    found = figures(tree, truth, said, groups, n_boot=50, seed=0)
    for point, lo, hi in found.values():
        assert 0 <= point <= 1
        assert np.isnan(lo) == np.isnan(hi) == (np.bincount(truth).max() == 1)
        assert np.isnan(lo) or -1e-12 <= lo <= point <= hi <= 1 + 1e-12
    accuracy = np.mean(truth == said)
    assert found["hierarchical_f1"][0] >= 0
    assert found["parent_accuracy"][0] >= accuracy - 1e-12
    assert found["cost_weighted_error"][0] <= 1 - accuracy + 1e-12
    perfect = figures(tree, truth, truth, groups, n_boot=5, seed=0)
    assert [v[0] for v in perfect.values()] == [1, 1, 0]


def test_a_flat_tree_says_accuracy():
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    found = figures(Tree.of(dict.fromkeys(GENRES), GENRES), truth, said, np.arange(50), n_boot=50, seed=0)
    accuracy = np.mean(truth == said)
    for metric in ("hierarchical_f1", "parent_accuracy"):
        assert found[metric][0] == pytest.approx(accuracy)
    assert found["cost_weighted_error"][0] == pytest.approx(1 - accuracy)
