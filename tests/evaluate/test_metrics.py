"""The metrics against scikit-learn's, and the answer "no tag"."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from genrelab.evaluate import METRICS, confusion, from_confusion, majority, scores


@st.composite
def answers(draw, no_tag=False):
    """(truth, decided, K): genres may be missing from the truth, from the decisions, or from both."""
    k = draw(st.integers(2, 6))
    n = draw(st.integers(1, 40))
    truth = draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n))
    decided = draw(st.lists(st.integers(0, k - 1 + no_tag), min_size=n, max_size=n))
    return np.array(truth), np.array(decided), k


@settings(deadline=None, max_examples=150)
@given(answers())
def test_as_scikit_learn_computes_them(case):
    truth, decided, k = case
    c = confusion(truth, decided, k)
    np.testing.assert_array_equal(c, sk.confusion_matrix(truth, decided, labels=range(k)))
    got = from_confusion(c)
    assert tuple(got) == METRICS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of genres that are decided and never true
        balanced = sk.balanced_accuracy_score(truth, decided)
    assert got["accuracy"] == pytest.approx(sk.accuracy_score(truth, decided))
    assert got["balanced_accuracy"] == pytest.approx(balanced)
    assert got["macro_f1"] == pytest.approx(sk.f1_score(truth, decided, average="macro", zero_division=0))


@settings(deadline=None, max_examples=100)
@given(answers(no_tag=True))
def test_no_tag_is_wrong_and_no_genre_of_its_own(case):
    truth, decided, k = case
    got = from_confusion(confusion(truth, decided, k, no_tag=True))
    labels = sorted({*truth.tolist(), *decided.tolist()} - {k})
    assert got["accuracy"] == pytest.approx((truth == decided).mean())
    assert got["balanced_accuracy"] == pytest.approx(
        np.mean([(decided[truth == genre] == genre).mean() for genre in np.unique(truth)])
    )
    expected = sk.f1_score(truth, decided, labels=labels, average="macro", zero_division=0)
    assert got["macro_f1"] == pytest.approx(expected)


def test_a_stack_of_matrices_is_one_call():
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 9, (3, 4, 5, 6)).astype(float)
    got = from_confusion(stack)
    for name in METRICS:
        assert got[name].shape == (3, 4)
        assert got[name][1, 2] == pytest.approx(float(from_confusion(stack[1, 2])[name]))


def test_weights_count_as_repetition():
    truth, decided, times = [0, 0, 1, 2], [0, 1, 3, 2], [1, 2, 3, 4]
    np.testing.assert_array_equal(
        confusion(truth, decided, 3, times), confusion(np.repeat(truth, times), np.repeat(decided, times), 3)
    )


def test_the_column_of_no_tag_is_there_where_needed_or_asked_for():
    assert confusion([0, 1], [0, 1], 2).shape == (2, 2)
    assert confusion([0, 1], [0, 2], 2).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert confusion([0, 1], [0, 1], 2, no_tag=True).shape == (2, 3)
    with pytest.raises(ValueError, match="no tag"):
        confusion([0, 1], [0, 2], 2, no_tag=False)


@pytest.mark.parametrize(
    ("truth", "decided", "says"),
    [
        ([0, 2], [0, 1], r"truth holds 0\.\.2: expected 0\.\.1"),
        ([0, 1], [0, -1], r"decided holds -1\.\.0"),
        ([0, 1], [0], "expected as many"),
        ([0.0, 1.0], [0, 1], "whole numbers"),
    ],
)
def test_wrong_indices_are_named(truth, decided, says):
    with pytest.raises(ValueError, match=says):
        confusion(truth, decided, 2)


def test_nothing_has_no_figure():
    assert all(np.isnan(value) for value in from_confusion(np.zeros((3, 3))).values())
    assert all(np.isnan(value) for value in scores([], np.zeros((0, 3))).values())


def test_log_loss_as_scikit_learn_and_finite_for_a_sure_mistake():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(4), 50)
    truth = rng.integers(0, 4, 50)
    got = scores(truth, p)
    assert got["log_loss"] == pytest.approx(sk.log_loss(truth, p, labels=range(4)))
    assert got["accuracy"] == pytest.approx((p.argmax(1) == truth).mean())
    assert scores([0], [[0.0, 1.0]])["log_loss"] == pytest.approx(-np.log(1e-7))


def test_one_genre_alone_is_always_right():
    assert scores([0, 0], [[1.0], [1.0]]) == {"accuracy": 1, "balanced_accuracy": 1, "macro_f1": 1, "log_loss": 0}


def test_a_row_that_is_not_finite_is_wrong():
    got = scores([0, 1], [[np.nan, np.nan], [0.1, 0.9]])
    assert got["accuracy"] == 0.5
    assert np.isnan(got["log_loss"])


def test_majority_learns_from_training_rows_only():
    got = majority([1, 1, 0], [0, 0, 0, 1], 3)
    assert got["accuracy"] == 0.25
    assert got["balanced_accuracy"] == 0.5
    assert got["macro_f1"] == pytest.approx(0.2)  # genre 1: 2 / (1 + 4); genre 0: none; genre 2 does not occur
    with pytest.raises(ValueError, match="no training rows"):
        majority([], [0], 2)
