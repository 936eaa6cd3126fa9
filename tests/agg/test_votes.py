"""The aggregators that learn nothing, counted by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from tests.agg.contract import D, K, made, scored, song, together

SURE = [[0.98, 0.01, 0.01], [0.2, 0.6, 0.2], [0.3, 0.4, 0.3], [1 / 3, 1 / 3, 1 / 3]]  # each slice less than the last


def probabilities(name: str, rows: list[list[float]], several: bool = False, **options: object) -> np.ndarray:
    """(K,) of a song whose slices have these."""
    agg = made(name, len(rows[0]), several, **options)
    return agg.probabilities(agg(*scored(rows, several)))[0].double().numpy()


def test_vote_is_the_majority() -> None:
    """Two slices lean to the first genre, one is very sure of the second: two votes win, the mean would not."""
    rows = [[0.4, 0.3, 0.3], [0.4, 0.35, 0.25], [0.01, 0.98, 0.01]]
    out = probabilities("vote", rows)
    np.testing.assert_allclose(out, [2 / 3, 1 / 3, 0], atol=1e-3)
    assert probabilities("mean", rows).argmax() == 1


def test_a_tie_goes_to_the_higher_mean() -> None:
    rows = [[0.5, 0.3, 0.2], [0.2, 0.7, 0.1]]  # one vote each; mean .35 against .5
    assert probabilities("vote", rows).argmax() == 1
    assert probabilities("vote", rows[::-1]).argmax() == 1
    tie = scored(rows)
    assert made("vote", 3)(tie[0], tie[1], tie[2].bfloat16())[0].argmax() == 1  # 8 bits do not see it


@settings(deadline=None, max_examples=50)
@given(n_pairs=st.integers(0, 3000))
def test_a_majority_of_one_is_never_outvoted(n_pairs: int) -> None:
    """However long the song, and however sure the minority."""
    lead, follow = torch.tensor([0.51, 0.49]), torch.tensor([0.0001, 0.9999])
    rows = torch.cat([lead.expand(n_pairs + 1, 2), follow.expand(n_pairs, 2)])
    assert made("vote", 2)(*scored(rows))[0].argmax() == 0


def test_a_vote_is_the_same_beside_other_long_songs() -> None:
    """From 500 slices on a tie's share gets smaller with the song, not with the batch."""
    songs, agg = [song(700, 1), song(600, 2), song(3, 3)], made("vote")
    alone = torch.cat([agg(*s) for s in songs])
    np.testing.assert_allclose(agg(*together(songs, 700)).numpy(), alone.numpy(), atol=1e-5)


def test_vote_under_several_counts_every_genre_by_itself() -> None:
    """A genre's share is that of the slices in which it is likelier than not, whatever the others say."""
    rows = [[0.9, 0.6, 0.1], [0.8, 0.4, 0.2], [0.7, 0.7, 0.3], [0.6, 0.3, 0.4]]
    np.testing.assert_allclose(probabilities("vote", rows, several=True), [1, 0.5, 0], atol=1e-3)
    np.testing.assert_allclose(probabilities("vote", rows), [1, 0, 0], atol=1e-3)


@pytest.mark.parametrize("several", [False, True])
def test_mean_is_the_mean_probability(several: bool) -> None:
    z, mask, scores = song(11)
    weight = np.exp(scores[0].double().numpy())
    p = weight / (1 + weight) if several else weight / weight.sum(1, keepdims=True)
    agg = made("mean", several=several)
    np.testing.assert_allclose(agg.probabilities(agg(z, mask, scores))[0].numpy(), p.mean(0), atol=1e-6)


@pytest.mark.parametrize("name", ["confidence", "mean", "vote"])
def test_certainty_has_a_score_and_stays_nearly_certain(name: str) -> None:
    """A loss has no use for endless scores, and what follows must still tell 1 from .99999."""
    for several in (False, True):
        agg, (z, mask, scores) = made(name, several=several), song(3)
        scores = torch.where(torch.arange(K) == 1, 300.0, -300.0).expand_as(scores)
        out = agg(z, mask, scores)[0]
        assert out.isfinite().all()
        np.testing.assert_allclose(agg.probabilities(out).numpy(), np.eye(K)[1], atol=1e-5)
    tiny = torch.tensor([[1e-5, 1 - 1e-5]])
    for several in (False, True):
        agg = made(name, 2, several)
        assert torch.allclose(agg.probabilities(agg.log_scores(tiny)), tiny, rtol=0.02)


def test_logits_are_the_mean_score() -> None:
    z, mask, scores = song(11)
    for several in (False, True):
        out = made("logits", several=several)(z, mask, scores)[0]
        np.testing.assert_allclose(out.numpy(), scores[0].double().numpy().mean(0), atol=1e-6)


def test_logits_multiply_probabilities() -> None:
    """The geometric mean over the slices, brought to a sum of 1: one slice can veto what the mean keeps."""
    rows = [[0.6, 0.4], [0.6, 0.4], [0.001, 0.999]]
    product = np.prod(rows, axis=0) ** (1 / 3)
    np.testing.assert_allclose(probabilities("logits", rows), product / product.sum(), atol=1e-6)
    rows = [[0.7, 0.3], [0.7, 0.3], [0.001, 0.999], [0.9, 0.1]]
    assert probabilities("mean", rows).argmax() == 0
    assert probabilities("logits", rows).argmax() == 1


def test_confidence_weighs_by_entropy() -> None:
    weight = 1 - entropy(SURE, axis=1) / math.log(3)  # the last knows nothing: 0
    expected = weight @ np.array(SURE) / weight.sum()
    np.testing.assert_allclose(probabilities("confidence", SURE), expected, atol=1e-5)


def test_confidence_under_several_weighs_by_the_distance_from_a_half() -> None:
    rows = [[0.9, 0.1], [0.5, 0.5], [0.8, 0.6]]  # weights .8, 0 and .4
    expected = (0.8 * np.array(rows[0]) + 0.4 * np.array(rows[2])) / 1.2
    np.testing.assert_allclose(probabilities("confidence", rows, several=True), expected, atol=1e-5)


@pytest.mark.parametrize("several", [False, True])
def test_slices_that_know_nothing_have_a_mean(several: bool) -> None:
    even = 0.5 if several else 0.25
    np.testing.assert_allclose(probabilities("confidence", [[even] * 4] * 5, several), [even] * 4, atol=1e-6)


@pytest.mark.parametrize(
    ("top_k", "n_kept"), [(1, 1), (2, 2), (3, 3), (9, 4), (0.25, 1), (0.5, 2), (0.51, 3), (0.01, 1), (None, 4)]
)
def test_top_k_keeps_the_surest(top_k: float | None, n_kept: int) -> None:
    """A number, as many as there are at most, or a share, rounded up."""
    weight = np.maximum(1 - entropy(SURE, axis=1) / math.log(3), 1e-6)
    weight[n_kept:] = 0
    expected = weight @ np.array(SURE) / weight.sum()
    for rows in (SURE, SURE[::-1]):
        np.testing.assert_allclose(probabilities("confidence", rows, top_k=top_k), expected, atol=1e-5)


@pytest.mark.parametrize("n_slices", [10, 20, 100, 180])
@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 0.7])
def test_a_share_of_the_slices_is_that_many(share: float, n_slices: int) -> None:
    """.3 of 100 are 30, though neither 32 nor 64 bits can write .3."""
    n_kept = math.ceil(Fraction(str(share)) * n_slices)
    rows = [[p, 1 - p] for p in np.linspace(0.999, 0.6, n_slices).tolist()]
    assert n_kept < n_slices
    np.testing.assert_allclose(
        probabilities("confidence", rows, top_k=share), probabilities("confidence", rows, top_k=n_kept), atol=1e-7
    )
    one_more = probabilities("confidence", rows, top_k=n_kept + 1)
    assert abs(one_more - probabilities("confidence", rows, top_k=share)).max() > 1e-5


@pytest.mark.parametrize("top_k", [1, 2, 0.5])
def test_equally_sure_slices_are_kept_together(top_k: float) -> None:
    """A net that is very sure says 1 of many slices; which of them comes first is no reason to hear it alone."""
    one, two = [1.0, 1e-30, 1e-30], [1e-30, 1.0, 1e-30]
    for rows in ([one, two], [two, one], [one, two, [0.4, 0.3, 0.3]]):
        np.testing.assert_allclose(probabilities("confidence", rows, top_k=top_k), [0.5, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("top_k", [0, -1, 2.5, 1.5, -0.5])
def test_a_top_k_that_is_none_is_refused(top_k: float) -> None:
    with pytest.raises(ValueError, match=rf"agg.top_k={top_k}: expected"):
        made("confidence", top_k=top_k)


@settings(deadline=None, max_examples=40)
@given(
    n_slices=st.integers(1, 12),
    top_k=st.sampled_from([1, 3, 0.3, None]),
    several=st.booleans(),
    seed=st.integers(0, 99),
)
def test_top_k_has_no_order_and_hears_no_padding(n_slices: int, top_k: float | None, several: bool, seed: int) -> None:
    z, mask, scores = song(n_slices, seed)
    agg = made("confidence", K, several, top_k=top_k)
    order = torch.randperm(n_slices, generator=torch.Generator().manual_seed(seed))
    alone = agg(z, mask, scores)
    assert torch.allclose(agg(z[:, order], mask, scores[:, order]), alone, atol=1e-5)
    longer = torch.cat([scores, torch.full((1, 4, K), math.nan)], 1)
    far = torch.cat([mask, torch.zeros(1, 4, dtype=torch.bool)], 1)
    assert torch.allclose(agg(torch.zeros(1, n_slices + 4, D), far, longer), alone, atol=1e-5)
