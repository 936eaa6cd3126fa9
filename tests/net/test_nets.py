"""Every net of conf/net: its sizes, what it refuses, and that all of it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genrelab.model import SongClassifier
from genrelab.net.base import Net
from tests.parts import names, part

NETS = names("net")


def made(name: str, n_bins: int, n_frames: int) -> Net:
    torch.manual_seed(0)
    return part(f"net/{name}")(n_bins=n_bins, n_frames=n_frames)


def some(n: int, n_bins: int, n_frames: int) -> Tensor:
    return torch.randn(n, n_bins, n_frames, generator=torch.Generator().manual_seed(1))


def smallest(name: str) -> tuple[int, int]:
    return type(made(name, 128, 128)).smallest


def n_parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", NETS)
def test_sizes(name: str) -> None:
    f, t = smallest(name)
    for size in ((f, t), (f, 128), (128, t), (f + 3, t + 5), (128, 128)):
        net = made(name, *size).eval()
        with torch.no_grad():
            z = net(some(3, *size))
        assert z.shape == (3, net.dim)
        assert z.isfinite().all()


@pytest.mark.parametrize("name", NETS)
def test_too_small_is_refused_by_name(name: str) -> None:
    f, t = smallest(name)
    for size in ((f - 1, 128), (128, t - 1)):
        with pytest.raises(
            ValueError, match=rf"net={name} .*at least {f} bins x {t} frames, got {size[0]} x {size[1]}"
        ):
            made(name, *size)


@pytest.mark.parametrize("name", NETS)
def test_a_slice_does_not_depend_on_its_batch(name: str) -> None:
    """Also in training, dropout aside: one process and two must agree."""
    size = tuple(max(s, 32) for s in smallest(name))
    net, x = made(name, *size), some(5, *size)
    x[1] *= 10
    for layer in net.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    for training in (False, True):
        net.train(training)
        with torch.no_grad():
            together, alone = net(x), torch.cat([net(one[None]) for one in x])
        assert torch.allclose(together, alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_all_of_it_learns(name: str) -> None:
    size = tuple(max(s, 32) for s in smallest(name))
    net = made(name, *size)
    net(some(8, *size)).square().mean().backward()
    for weights, p in net.named_parameters():
        assert p.grad is not None, weights
        assert p.grad.isfinite().all(), weights
        assert p.grad.abs().sum() > 0, weights


@pytest.mark.parametrize("name", NETS)
def test_time_and_frequency_are_told_apart(name: str) -> None:
    """A chord that stays and a click that passes are the transpose of each other: a net must
    not confuse its axes."""
    net = made(name, 128, 128).eval()
    chord = torch.zeros(128, 128)
    chord[40:44] = 3
    with torch.no_grad():
        z = net(torch.stack([chord, chord.T]))
    assert not torch.allclose(z[0], z[1], rtol=1e-2, atol=1e-3)


def test_seed_has_the_parameters_of_the_original() -> None:
    """4 convolutions, a dense layer of 1024 on 512 x 8 x 8 and six genres:
    320 + 32,896 + 131,328 + 524,800 + 33,555,456 + 6,150."""
    parts = (part("front/stft"), part("slice/fixed"), part("norm/none"), part("net/seed"), part("agg/vote"))
    model = SongClassifier(*parts, genres=("a", "b", "c", "d", "e", "f"))
    assert n_parameters(model) == 34_250_950
    assert n_parameters(model.slice_head) == 6_150


def test_cnn_is_small() -> None:
    assert 150_000 < n_parameters(made("cnn", 128, 128)) < 300_000
