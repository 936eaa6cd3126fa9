"""What every aggregator of conf/agg does: scores that are probabilities, padding that is never heard, order or none."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agg.contract import AGGS, ORDER_FREE, VOTES, D, K, made, song, together

REGIMES = pytest.mark.parametrize("several", [False, True], ids=["single", "several"])


@REGIMES
@pytest.mark.parametrize("name", AGGS)
def test_scores_become_probabilities(name: str, several: bool) -> None:
    """Softmax where a song has one genre, sigmoids where it may have several."""
    for n_slices in (1, 2, 11):
        agg = made(name, several=several)
        scores = agg(*song(n_slices))
        assert scores.shape == (1, K)
        weight = scores.detach().double().exp()
        expected = weight / (1 + weight) if several else weight / weight.sum(1)
        assert torch.allclose(agg.probabilities(scores).double(), expected, atol=1e-6)


@REGIMES
@pytest.mark.parametrize("name", AGGS)
def test_it_knows_what_it_was_made_for(name: str, several: bool) -> None:
    agg = made(name, several=several)
    assert (agg.dim, agg.n_genres, agg.several) == (D, K, several)


@REGIMES
@pytest.mark.parametrize("name", VOTES)
def test_probabilities_are_given_back_as_they_are(name: str, several: bool) -> None:
    """A song of equal slices is what each of them is."""
    agg, (z, mask, scores) = made(name, several=several), song(1, seed=4)
    p = agg.probabilities(scores[:, 0])
    assert torch.allclose(agg.probabilities(agg.log_scores(p)), p, atol=1e-6)
    if name != "vote":
        out = agg(z.expand(1, 7, -1), mask.expand(1, 7), scores.expand(1, 7, -1))
        assert torch.allclose(agg.probabilities(out), p, atol=1e-6)


@pytest.mark.parametrize("name", AGGS)
@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    more=st.integers(0, 5),
    seed=st.integers(0, 99),
    several=st.booleans(),
    elsewhere=st.sampled_from([None, 0.0, math.inf, -math.inf, math.nan]),
)
def test_padding_is_never_heard(
    name: str, lengths: list[int], more: int, seed: int, several: bool, elsewhere: float | None
) -> None:
    """Songs of any lengths in one batch, the rest filled with noise or worse, decide as each alone does."""
    agg = made(name, several=several)
    songs = [song(n, seed + i) for i, n in enumerate(lengths)]
    alone = torch.cat([agg(*s) for s in songs])
    assert torch.allclose(agg(*together(songs, max(lengths) + more, elsewhere, seed)), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in AGGS if n not in VOTES])
def test_padding_never_changes_what_is_learned(name: str) -> None:
    agg, songs = made(name), [song(3, 1), song(5, 2)]
    found = []
    for elsewhere in (0.0, math.nan):
        z, mask, scores = together(songs, 8, elsewhere)
        z.requires_grad_()
        agg.zero_grad()
        agg(z, mask, scores)[:, 0].sum().backward()
        assert (z.grad[~mask] == 0).all()
        found.append([z.grad[mask], *(p.grad.clone() for p in agg.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@REGIMES
@pytest.mark.parametrize("name", AGGS)
def test_order(name: str, several: bool) -> None:
    agg, (z, mask, scores) = made(name, several=several), song(9)
    assert agg.order_free == (name in ORDER_FREE)
    changes = []
    for seed in range(5):
        order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            here, there = agg(z, mask, scores), agg(z[:, order], mask, scores[:, order])
        changes.append(float((here - there).abs().max()))
    assert max(changes) < 1e-5 if agg.order_free else min(changes) > 1e-3


@REGIMES
@pytest.mark.parametrize("name", AGGS)
def test_what_trains(name: str, several: bool) -> None:
    agg = made(name, several=several)
    assert agg.trained == (name not in VOTES)
    assert bool(list(agg.parameters())) == agg.trained
    z, mask, scores = song(5)
    z.requires_grad_()
    scores.requires_grad_()
    agg(z, mask, scores)[0, 0].backward()
    heard, unheard = (z, scores) if agg.trained else (scores, z)
    assert (heard.grad.abs().sum(2) > 0).all()  # every slice
    assert unheard.grad is None
    for which, p in agg.named_parameters():
        assert p.grad is not None, which
        assert p.grad.abs().sum() > 0, which


@REGIMES
@pytest.mark.parametrize("name", AGGS)
def test_half_precision_counts_as_well(name: str, several: bool) -> None:
    """Embeddings and scores come in bfloat16 where training runs in it; its 8 bits cannot count 300 slices."""
    songs = [song(300, seed) for seed in range(6)]
    z, mask, scores = together(songs, 300)
    z = z + torch.randn(6, 1, D, generator=torch.Generator().manual_seed(9))  # unlike songs
    z, scores = z.bfloat16(), scores.bfloat16()
    agg = made(name, several=several)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = agg(z, mask, scores).float()
    with torch.no_grad():
        full = agg(z.float(), mask, scores.float())
    if agg.trained:
        assert float((half - full).square().mean().sqrt()) < 0.05 * float(full.std(0).mean())
    else:
        assert torch.equal(half, full)


@pytest.mark.parametrize("name", AGGS)
def test_dropout_is_for_training_alone(name: str) -> None:
    agg, heard = made(name), song(6)
    with torch.no_grad():
        assert torch.equal(agg(*heard), agg(*heard))
        agg.train()
        assert torch.equal(agg(*heard), agg(*heard)) == (name in VOTES)
    if name not in VOTES:
        agg = made(name, dropout=0).train()
        assert torch.equal(agg(*heard), agg(*heard))
