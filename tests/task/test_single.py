"""One genre a song: the loss by hand, the decision in order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genrelab.types import Scores
from tests.parts import part

OWNER = torch.tensor([0, 0, 0, 1])  # a song of three slices and one of one
TRUTH = torch.tensor([2, 0])


def scores(dtype: torch.dtype = torch.float32) -> Scores:
    random = torch.Generator().manual_seed(0)
    song, slices = torch.randn(2, 3, generator=random), torch.randn(4, 3, generator=random)
    return Scores(song.to(dtype), slices.to(dtype), OWNER, torch.zeros(4, 8))


def cross_entropy(log_scores: torch.Tensor, truth: torch.Tensor, smoothing: float) -> float:
    """By hand: a share `smoothing` of the truth is spread evenly over all genres."""
    x = log_scores.double().numpy()
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    target = np.eye(3)[truth.numpy()] * (1 - smoothing) + smoothing / 3
    return float(-(target * log_p).sum(1).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_loss(smoothing: float, weight: float) -> None:
    task, said = part("task/single", slice_weight=weight, label_smoothing=smoothing), scores()
    of_slices = cross_entropy(said.slice, TRUTH[OWNER], smoothing)
    of_songs = cross_entropy(said.song, TRUTH, smoothing)
    assert float(task.loss(said, TRUTH, trained=False)) == pytest.approx(of_slices, rel=1e-5)
    assert float(task.loss(said, TRUTH, trained=True)) == pytest.approx(of_songs + weight * of_slices, rel=1e-5)


def test_a_vote_trains_on_its_slices_alone() -> None:
    said = scores()
    said.song.requires_grad_()
    said.slice.requires_grad_()
    task = part("task/single")
    task.loss(said, TRUTH, trained=False).backward()
    assert said.song.grad is None
    assert (said.slice.grad.abs().sum(1) > 0).all()
    task.loss(said, TRUTH, trained=True).backward()
    assert (said.song.grad.abs().sum(1) > 0).all()


def test_the_loss_is_taken_in_full_precision() -> None:
    assert part("task/single").loss(scores(torch.bfloat16), TRUTH, trained=True).dtype == torch.float32


def test_probabilities() -> None:
    task, said = part("task/single"), scores()
    p = task.probabilities(said.slice)
    assert torch.allclose(p.sum(-1), torch.ones(4))
    assert torch.allclose(task.probabilities(p.log()), p)  # log-probabilities are given back as they are
    assert task.probabilities(said.slice.bfloat16()).dtype == torch.float32


def test_decide() -> None:
    answer = part("task/single").decide([0.2, 0.7, 0.1], ["blues", "disco", "metal"])
    assert answer.genres == (("disco", 0.7), ("blues", 0.2), ("metal", 0.1))
    assert answer.label == "disco"
    assert answer.no_tag is None
    with pytest.raises(ValueError):
        part("task/single").decide([0.5, 0.5], ["blues", "disco", "metal"])
