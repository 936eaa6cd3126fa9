"""The asymmetric loss, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from genrelab.task import asymmetric
from genrelab.task.asymmetric import asymmetric_loss


def logit(*p: float) -> Tensor:
    return torch.tensor([p]).double().logit()


def drawn(seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(6, 4, generator=random), (torch.rand(6, 4, generator=random) < 0.4).float()


def test_terms_by_hand() -> None:
    """Two genres, the first of which is there: (1 - .8)^1 log .8, and (.3 - .05)^4 log (1 - .3 + .05)."""
    found = asymmetric_loss(logit(0.8, 0.3), torch.tensor([[1.0, 0.0]]), 1, 4, 0.05)
    expected = -(0.2 * math.log(0.8) + 0.25**4 * math.log(0.75)) / 2
    assert float(found) == pytest.approx(expected, rel=1e-5)


@settings(deadline=None, max_examples=40)
@given(
    gamma_pos=st.sampled_from([0, 0.5, 1, 2]),
    gamma_neg=st.sampled_from([0, 1, 4]),
    clip=st.sampled_from([0, 0.05, 0.2]),
    seed=st.integers(0, 999),
)
def test_loss_by_hand(gamma_pos: float, gamma_neg: float, clip: float, seed: int) -> None:
    scores, target = drawn(seed)
    p, t = 1 / (1 + np.exp(-scores.double().numpy())), target.numpy().astype(bool)
    lowered = np.maximum(p - clip, 0)
    term = np.where(t, (1 - p) ** gamma_pos * np.log(p), lowered**gamma_neg * np.log(1 - lowered))
    assert float(asymmetric_loss(scores, target, gamma_pos, gamma_neg, clip)) == pytest.approx(-term.mean(), rel=1e-4)


def test_without_gammas_and_clip_it_is_binary_cross_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    """By torch's own loss, which never overflows, and by the terms themselves as they come near it."""
    scores, target = drawn(0)
    plain = binary_cross_entropy_with_logits(scores, target)
    assert torch.equal(asymmetric_loss(scores, target, 0, 0, 0), plain)
    monkeypatch.setattr(asymmetric, "binary_cross_entropy_with_logits", None)
    assert float(asymmetric_loss(scores, target, 1e-7, 1e-7, 0)) == pytest.approx(float(plain), rel=1e-5)


def test_the_clip_is_for_absent_genres_alone() -> None:
    scores, here, away = logit(0.03, 0.5, 0.9), torch.ones(1, 3), torch.zeros(1, 3)
    assert float(asymmetric_loss(scores, here, 0, 0, 0.05)) == pytest.approx(
        float(binary_cross_entropy_with_logits(scores, here.double())), rel=1e-6
    )
    assert float(asymmetric_loss(logit(0.03, 0.05), torch.zeros(1, 2), 0, 0, 0.05)) == pytest.approx(0, abs=1e-6)
    expected = -np.log([1, 0.55, 0.15]).mean()
    assert float(asymmetric_loss(scores, away, 0, 0, 0.05)) == pytest.approx(expected, rel=1e-5)


def test_easy_absent_genres_count_less() -> None:
    """Their share of the loss beside that of a hard one falls by p to gamma_neg."""
    easy, hard = (asymmetric_loss(logit(p), torch.zeros(1, 1), 0, 4, 0) for p in (0.1, 0.9))
    plain = math.log(1 - 0.1) / math.log(1 - 0.9)
    assert float(easy / hard) == pytest.approx(plain * (0.1 / 0.9) ** 4, rel=1e-4)


@pytest.mark.parametrize(("gamma_pos", "gamma_neg", "clip"), [(0, 4, 0.05), (1, 4, 0), (0, 0, 0.05), (0.5, 0.5, 0)])
def test_scores_of_any_size_have_a_finite_slope(gamma_pos: float, gamma_neg: float, clip: float) -> None:
    scores = torch.tensor([[-200.0, -30.0, 0.0, 30.0, 200.0]]).repeat(2, 1).requires_grad_()
    target = torch.stack([torch.zeros(5), torch.ones(5)])
    loss = asymmetric_loss(scores, target, gamma_pos, gamma_neg, clip)
    loss.backward()
    assert loss.isfinite()
    assert scores.grad.isfinite().all()
