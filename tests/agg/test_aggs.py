"""Every aggregator of conf/agg: scores that are probabilities, padding that is never heard, votes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genrelab.agg.base import Agg
from tests.parts import names, part

AGGS = names("agg")
D, K = 16, 4
VOTES = ["mean", "vote"]  # what a song's slices say does not depend on their order


def made(name: str, n_genres: int = K) -> Agg:
    torch.manual_seed(0)
    return part(f"agg/{name}")(dim=D, n_genres=n_genres).eval()


def song(n_slices: int, seed: int = 0, n_genres: int = K) -> tuple[Tensor, Tensor, Tensor]:
    """One song: z (1, S, D), mask (1, S), scores (1, S, K)."""
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(1, n_slices, D, generator=random)
    return z, torch.ones(1, n_slices, dtype=torch.bool), 3 * torch.randn(1, n_slices, n_genres, generator=random)


def scored(*rows: list[float]) -> tuple[Tensor, Tensor, Tensor]:
    """One song whose slices have these probabilities."""
    p = torch.tensor(rows)
    return torch.zeros(1, len(p), D), torch.ones(1, len(p), dtype=torch.bool), p.log()[None]


@pytest.mark.parametrize("name", AGGS)
def test_scores_are_log_probabilities(name: str) -> None:
    for n_slices in (1, 2, 11):
        out = made(name)(*song(n_slices))
        assert out.shape == (1, K)
        assert torch.allclose(out.exp().sum(1), torch.ones(1), atol=1e-5)


@pytest.mark.parametrize("name", AGGS)
@settings(deadline=None, max_examples=30)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5), more=st.integers(0, 5), seed=st.integers(0, 99))
def test_padding_is_never_heard(name: str, lengths: list[int], more: int, seed: int) -> None:
    """Songs of any lengths in one batch, the rest filled with noise, decide as each alone does."""
    agg = made(name)
    random = torch.Generator().manual_seed(seed)
    songs = [song(n, seed + i) for i, n in enumerate(lengths)]
    n_most = max(lengths) + more
    z = 50 * torch.randn(len(songs), n_most, D, generator=random)
    scores = 50 * torch.randn(len(songs), n_most, K, generator=random)
    mask = torch.zeros(len(songs), n_most, dtype=torch.bool)
    for i, (own_z, own_mask, own_scores) in enumerate(songs):
        n = lengths[i]
        z[i, :n], mask[i, :n], scores[i, :n] = own_z[0], own_mask[0], own_scores[0]
    with torch.no_grad():
        together, alone = agg(z, mask, scores), torch.cat([agg(*s) for s in songs])
    assert torch.allclose(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", AGGS)
def test_order(name: str) -> None:
    agg, (z, mask, scores) = made(name), song(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        here, there = agg(z, mask, scores), agg(z[:, order], mask, scores[:, order])
    assert torch.allclose(here, there, atol=1e-5) == (name in VOTES)


@pytest.mark.parametrize("name", AGGS)
def test_what_trains(name: str) -> None:
    agg = made(name)
    assert agg.trained == (name not in VOTES)
    assert bool(list(agg.parameters())) == agg.trained
    if agg.trained:
        agg(*song(5))[0, 0].backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in agg.parameters())


def test_gru_hears_the_first_and_the_last_slice() -> None:
    agg, (z, mask, scores) = made("gru"), song(7)
    with torch.no_grad():
        before = agg(z, mask, scores)
        for place in (0, 3, 6):
            other = z.clone()
            other[0, place] += 2
            assert not torch.allclose(before, agg(other, mask, scores), atol=1e-4)


def test_vote_is_the_majority() -> None:
    """Two slices lean to the first genre, one is very sure of the second: two votes win, the mean would not."""
    x = scored([0.4, 0.3, 0.3], [0.4, 0.35, 0.25], [0.01, 0.98, 0.01])
    out = made("vote", 3)(*x)[0].exp()
    assert out.argmax() == 0
    assert torch.allclose(out, torch.tensor([2 / 3, 1 / 3, 0]), atol=1e-3)
    assert made("mean", 3)(*x)[0].argmax() == 1


def test_a_tie_goes_to_the_higher_mean() -> None:
    rows = [0.5, 0.3, 0.2], [0.2, 0.7, 0.1]  # one vote each; mean .35 against .5
    assert made("vote", 3)(*scored(*rows))[0].argmax() == 1
    assert made("vote", 3)(*scored(*reversed(rows)))[0].argmax() == 1


@settings(deadline=None, max_examples=50)
@given(n_pairs=st.integers(0, 3000))
def test_a_majority_of_one_is_never_outvoted(n_pairs: int) -> None:
    """However long the song, and however sure the minority."""
    lead, follow = torch.tensor([0.51, 0.49]), torch.tensor([0.0001, 0.9999])
    rows = torch.cat([lead.expand(n_pairs + 1, 2), follow.expand(n_pairs, 2)])
    mask = torch.ones(1, len(rows), dtype=torch.bool)
    assert made("vote", 2)(torch.zeros(1, len(rows), D), mask, rows.log()[None])[0].argmax() == 0


@pytest.mark.parametrize("name", VOTES)
def test_half_precision_counts_as_well(name: str) -> None:
    """Slice scores come in bfloat16 where training runs in it; 8 bits cannot count 300 votes, nor see a tie."""
    z, mask, scores = song(300, n_genres=2)
    lead = scores[0].argmax(-1)
    scores[0, lead == lead.mode().values] *= 1.5
    scores = scores.bfloat16()
    assert torch.allclose(made(name, 2)(z, mask, scores), made(name, 2)(z, mask, scores.float()), atol=1e-6)
    tie = scored([0.5, 0.3, 0.2], [0.2, 0.7, 0.1])
    assert made("vote", 3)(tie[0], tie[1], tie[2].bfloat16())[0].argmax() == 1


def test_mean_is_the_mean_probability() -> None:
    z, mask, scores = song(11)
    p = np.exp(scores[0].double().numpy())
    p /= p.sum(1, keepdims=True)
    np.testing.assert_allclose(made("mean")(z, mask, scores)[0].numpy(), np.log(p.mean(0)), atol=1e-5)
