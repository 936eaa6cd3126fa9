"""Normalising: what each method removes, and whose statistics it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from genrelab.norm import Norm
from tests.parts import names, part

F, T = 12, 20
SCALE = (-100.0, 0.0)
SONG = torch.tensor([0, 0, 0, 1, 1, 2])


def made(name: str) -> Norm:
    return part(f"norm/{name}")(n_bins=F, scale=SCALE)


def slices(n: int = len(SONG), seed: int = 0) -> Tensor:
    """Decibels: bins of unlike levels and unlike spreads, n slices of unlike loudness."""
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, F, T)) * np.linspace(2, 9, F)[:, None]
    return torch.from_numpy(x - np.linspace(20, 70, F)[:, None] + 5 * random.standard_normal((n, 1, 1))).float()


def test_none_maps_the_scale_to_0_and_1() -> None:
    x = torch.full((1, F, T), -100.0)
    x[0, :, 1], x[0, :, 2] = -50.0, 0.0
    out = made("none")(x, torch.zeros(1, dtype=torch.long))
    assert torch.equal(out[0, 0, :4], torch.tensor([0.0, 0.5, 1.0, 0.0]))


def test_slice_has_zero_mean_and_unit_variance_per_slice() -> None:
    x = slices()
    out = made("slice")(x, SONG)
    assert torch.allclose(out.mean((1, 2)), torch.zeros(len(x)), atol=1e-5)
    assert torch.allclose(out.std((1, 2)), torch.ones(len(x)), atol=1e-4)
    louder = made("slice")(x + 6, SONG)
    assert torch.allclose(out, louder, atol=1e-4)  # loudness is gone
    assert out.mean((0, 2)).std() > 0.5  # the spectrum's shape stays


def test_song_has_zero_mean_per_bin_of_a_song() -> None:
    x = slices()
    out = made("song")(x, SONG)
    for song in range(3):
        own = out[song == SONG]
        assert torch.allclose(own.mean((0, 2)), torch.zeros(F), atol=1e-4)
        assert float(own.square().mean()) == pytest.approx(1, abs=1e-4)
    assert out[0].mean().abs() > 0.05  # a slice that is louder than its song stays so


def test_song_removes_a_fixed_equaliser() -> None:
    """A curve added in dB to all of one song changes nothing of it, nor of the songs beside it."""
    x = slices()
    other = x.clone()
    other[SONG == 1] += torch.linspace(-18, 12, F)[:, None]
    norm = made("song")
    assert torch.allclose(norm(x, SONG), norm(other, SONG), atol=1e-5)


@pytest.mark.parametrize("name", ["none", "slice", "song", "train"])
def test_a_song_does_not_depend_on_the_songs_beside_it(name: str) -> None:
    x, norm = slices(), made(name)
    norm.fit([slices(seed=5)])
    alone = torch.cat([norm(x[song == SONG], torch.zeros_like(SONG[song == SONG])) for song in range(3)])
    assert torch.allclose(norm(x, SONG), alone, atol=1e-5)


def test_train_takes_the_fitted_slices_alone() -> None:
    fitted = [slices(4, seed=1), slices(7, seed=2)]
    everything = torch.cat(fitted).double()
    norm = made("train")
    norm.fit(iter(fitted))
    mean, std = everything.mean((0, 2)), everything.permute(1, 0, 2).reshape(F, -1).std(1, correction=0)
    assert torch.allclose(norm.mean.double(), mean, atol=1e-4)
    assert torch.allclose(norm.std.double(), std, rtol=1e-5)
    out = norm(torch.cat(fitted), torch.zeros(11, dtype=torch.long))
    assert torch.allclose(out.mean((0, 2)), torch.zeros(F), atol=1e-4)
    assert torch.allclose(out.square().mean((0, 2)), torch.ones(F), atol=1e-4)
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    norm.train()
    norm(slices(seed=9) + 30, SONG)  # what is only looked at leaves no trace
    assert all(torch.equal(v, before[k]) for k, v in norm.state_dict().items())


def test_train_statistics_live_in_the_checkpoint() -> None:
    norm, again = made("train"), made("train")
    norm.fit([slices()])
    assert set(norm.state_dict()) == {"mean", "std"}
    again.load_state_dict(norm.state_dict())
    assert torch.equal(norm(slices(seed=3), SONG), again(slices(seed=3), SONG))


def test_the_order_of_fitting_does_not_matter() -> None:
    a, b, parts = made("train"), made("train"), [slices(2, seed=s) for s in range(5)]
    a.fit(parts)
    b.fit(reversed(parts))
    assert torch.allclose(a.mean, b.mean)
    assert torch.allclose(a.std, b.std)


@pytest.mark.parametrize("name", names("norm"))
def test_what_never_moves_is_finite_and_quiet(name: str) -> None:
    """A bin above a codec's cut-off, and a slice of digital silence: at the floor throughout."""
    norm = made(name)
    x = slices()
    x[:, -1] = -100.0
    x[5] = -100.0
    norm.fit([x])
    out = norm(x, SONG)
    assert out.isfinite().all()
    assert out[:5].abs().max() < 20
    if name in ("slice", "song"):
        assert out[5].abs().max() < 0.1
    if name in ("song", "train"):
        assert out[:5, -1].abs().max() < 0.1


@pytest.mark.parametrize("value", [-100.0, -63.7, -0.1])
@pytest.mark.parametrize("name", ["slice", "song"])
def test_rounding_is_not_blown_up(name: str, value: float) -> None:
    """The mean of equal values differs from them by rounding; dividing that by its own spread would give noise."""
    x = torch.full((3, 128, 128), value).half().float()  # as the store keeps it
    assert part(f"norm/{name}")(n_bins=128, scale=SCALE)(x, torch.tensor([0, 0, 0])).abs().max() < 0.1
