"""Spec, mixup and the draws of what changes a wave, by hand and by their statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from genrelab.augment.base import Augment
from genrelab.augment.mixup import Mixup, mixed
from genrelab.augment.spec import Spec
from genrelab.augment.wave import PitchTempo, Production
from genrelab.types import UserError
from tests.parts import names, part


def test_stripes_are_the_mean_of_their_slice_and_no_wider_than_asked() -> None:
    torch.manual_seed(0)
    x = 3 + torch.randn(200, 40, 60).sign() * (1 + torch.rand(200, 40, 60))  # nothing near its mean
    made = Spec(n_times=1, times=0.2, n_bands=1, bands=0.25)(x)
    touched = (made - x).abs() > 0.5
    columns, rows = touched.all(1), touched.all(2)
    frames, bins = columns.sum(1), rows.sum(1)
    assert (int(frames.min()), int(frames.max())) == (0, 12)
    assert (int(bins.min()), int(bins.max())) == (0, 10)
    assert len(set(frames.tolist())) == 13  # every width, and a draw for each slice
    for n in range(20):
        assert torch.equal(touched[n], columns[n][None] | rows[n][:, None])  # nothing but the stripes
        assert made[n][touched[n]].numpy() == pytest.approx(float(x[n].mean()), abs=1e-5)


def test_no_stripes_change_nothing() -> None:
    x = torch.randn(3, 4, 5)
    assert torch.allclose(Spec(0, 0.5, 0, 0.5)(x), x)
    assert torch.allclose(Spec(2, 0.0, 2, 0.0)(x), x)


def test_mixup_by_hand() -> None:
    """Songs of 3, 1 and 2 slices: the shorter one begins anew, the longer one is not heard out."""
    x = torch.tensor([1.0, 2, 3, 10, 100, 200])[:, None, None].expand(6, 2, 2)
    target = torch.eye(3)
    n_slices, other, own = torch.tensor([3, 1, 2]), torch.tensor([2, 0, 1]), torch.tensor([0.5, 0.75, 1.0])
    slices, songs = mixed(x, n_slices, target, other, own)
    assert slices[:, 0, 0].tolist() == [50.5, 101, 51.5, 7.75, 100, 200]
    assert torch.equal(slices[:, 0, 0], slices[:, 1, 1])
    assert songs.tolist() == [[0.5, 0, 0.5], [0.25, 0.75, 0], [0, 0, 1]]


def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses() -> None:
    torch.manual_seed(0)
    scores, target = torch.randn(4, 3), torch.eye(3)[[0, 1, 2, 0]]
    other, own = torch.tensor([1, 2, 3, 0]), torch.tensor([0.6, 0.7, 0.8, 0.9])
    _, soft = mixed(torch.zeros(4, 1, 1), torch.ones(4, dtype=torch.long), target, other, own)
    losses = own * cross_entropy(scores, target, reduction="none")
    losses += (1 - own) * cross_entropy(scores, target[other], reduction="none")
    assert float(cross_entropy(scores, soft)) == pytest.approx(float(losses.mean()), abs=1e-6)


def test_a_mixed_song_is_its_own_by_half_at_least_and_targets_keep_their_sum() -> None:
    torch.manual_seed(0)
    target = torch.eye(50)
    _, songs = Mixup(1.0)(torch.zeros(50, 2, 2), torch.ones(50, dtype=torch.long), target)
    assert songs.sum(1).tolist() == pytest.approx([1.0] * 50)
    own = songs.diagonal()
    assert float(own.min()) >= 0.5
    assert 0.65 < float(own.mean()) < 0.85  # evenly drawn: 0.75


def test_tempo_and_pitch_are_drawn_within_their_reach_by_a_share_of_the_songs() -> None:
    draws = np.array([PitchTempo(0.5, tempo=0.1, semitones=2).draw(np.random.default_rng(n)) for n in range(1000)])
    still = (draws == (1.0, 0.0)).all(1)
    assert still.mean() == pytest.approx(0.5, abs=0.06)
    factor, semitones = draws[~still].T
    assert 1 / 1.1 <= factor.min() < 0.92
    assert 1.08 < factor.max() <= 1.1
    assert -2 <= semitones.min() < -1.9
    assert 1.9 < semitones.max() <= 2
    assert abs(np.corrcoef(factor, semitones)[0, 1]) < 0.15  # each by itself
    assert np.log(factor).mean() == pytest.approx(0, abs=0.01)  # as often slower as faster


def test_a_share_of_the_songs_is_mastered_anew() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 2000).astype(np.float32)
    made = [Production(0.3, 1.0)(wave, 22050, np.random.default_rng(n)) for n in range(300)]
    assert np.mean([m is not wave for m in made]) == pytest.approx(0.3, abs=0.08)
    assert not any(np.allclose(m, wave, atol=1e-3) for m in made if m is not wave)


def test_nothing_augmented_is_nothing_changed() -> None:
    augment, wave = Augment(), np.ones(10, np.float32)
    x, target = torch.randn(2, 3, 4), torch.eye(2)
    assert augment.wave(wave, 22050, np.random.default_rng(0), augment.speed(np.random.default_rng(0))) is wave
    assert augment.pictures(x, torch.tensor([1, 1]), target) == (x, target)


@pytest.mark.parametrize("name", names("augment"))
def test_a_yaml_holds_what_its_name_says(name: str) -> None:
    made, kinds = part(f"augment/{name}"), ("pitch_tempo", "production", "mixup", "spec")
    there = {k for k in kinds if getattr(made, k) is not None}
    assert there == {"all": set(kinds), "none": set()}.get(name, {name})
    assert made.on_wave == bool(there & {"pitch_tempo", "production"})
    assert made.on_pictures == bool(there & {"mixup", "spec"})


@pytest.mark.parametrize(
    ("choice", "values", "said"),
    [
        ("production", {"production": {"probability": 1.5}}, "augment.production.probability=1.5"),
        ("production", {"production": {"strength": -1}}, "augment.production.strength=-1"),
        ("pitch_tempo", {"pitch_tempo": {"tempo": 1}}, "augment.pitch_tempo.tempo=1"),
        ("pitch_tempo", {"pitch_tempo": {"semitones": 13}}, "augment.pitch_tempo.semitones=13"),
        ("spec", {"spec": {"times": 2}}, "augment.spec.times=2"),
        ("spec", {"spec": {"n_bands": -1}}, "n_bands=-1"),
        ("mixup", {"mixup": {"alpha": 0}}, "augment.mixup.alpha=0"),
    ],
)
def test_values_that_cannot_be_are_named(choice: str, values: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        part(f"augment/{choice}", **values)
