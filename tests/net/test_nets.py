"""Every net of conf/net that its yaml alone makes: its sizes, what it refuses, and that all of it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from genrelab.model import SongClassifier
from genrelab.net.base import Net
from genrelab.norm import FirstBatchNorm
from tests.parts import config, names, part

ELSEWHERE = {"frozen", "timm", "encoder"}  # take a run, a model or a folder: they have tests of their own
NETS = [name for name in names("net") if name not in ELSEWHERE]


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


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("cnn", 150e3, 300e3), ("resnet", 300e3, 700e3), ("densenet", 80e3, 150e3), ("samplecnn", 300e3, 600e3)],
)
def test_the_nets_made_here_are_small(name: str, low: float, high: float) -> None:
    assert low < n_parameters(made(name, 128, 128)) < high


def test_linear_is_a_linear_map_of_means_and_deviations_over_time() -> None:
    net, x = made("linear", 20, 50), some(4, 20, 50)
    known = np.concatenate([x.numpy().mean(2), x.numpy().std(2)], 1)
    (weight, bias) = (p.detach().numpy() for p in net.parameters())
    with torch.no_grad():
        assert np.allclose(net(x), known @ weight.T + bias, atol=1e-4)
        assert torch.allclose(net(x), net(x[:, :, torch.randperm(50)]), atol=1e-5)


def test_linear_learns_from_bins_that_never_move() -> None:
    net = made("linear", 8, 8)
    x = torch.ones(2, 8, 8, requires_grad=True)
    net(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", ["resnet", "densenet"])
@pytest.mark.parametrize(("size", "left"), [((128, 128), (32, 64)), ((12, 128), (12, 64)), ((16, 8), (8, 8))])
def test_the_stem_shrinks_what_is_large(name: str, size: tuple[int, int], left: tuple[int, int]) -> None:
    net = made(name, *size)
    assert net.body[0](some(1, *size)[:, None]).shape[2:] == left


def test_a_block_of_resnet_adds_to_what_it_was_given() -> None:
    torch.manual_seed(0)
    net = part("net/resnet", blocks=2)(n_bins=32, n_frames=32).eval()
    *before, last = net.body
    given = torch.nn.Sequential(*before)(some(2, 32, 32)[:, None])
    assert not torch.allclose(last(given), given)
    for p in last.convs.parameters():
        torch.nn.init.zeros_(p)
    assert torch.equal(last(given), given)


def test_a_layer_of_densenet_keeps_all_that_it_was_given() -> None:
    net, values = made("densenet", 32, 32).eval(), config("net/densenet")
    x, kept = some(2, 32, 32)[:, None], 0
    for step in net.body:
        made_of_it = step(x)
        if made_of_it.shape[1] == x.shape[1] + values["growth"]:
            assert torch.equal(made_of_it[:, : x.shape[1]], x)
            kept += 1
        x = made_of_it
    assert kept == values["blocks"] * values["layers"]


@pytest.mark.parametrize(("n_frames", "left"), [(128, 2), (81, 1), (32, 1), (243, 3), (3, 1)])
def test_samplecnn_pools_three_frames_four_times(n_frames: int, left: int) -> None:
    """128, 43, 15, 5, 2: the frames that are over at an end are a step of their own."""
    net = made("samplecnn", 10, n_frames).eval()
    assert net.body(some(2, 10, n_frames)).shape[2] == left


@pytest.mark.parametrize("n_frames", [32, 128])
def test_samplecnn_hears_every_frame(n_frames: int) -> None:
    net = made("samplecnn", 10, n_frames).eval()
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv1d):
            torch.nn.init.constant_(layer.weight, 0.1)
    clicks = torch.zeros(n_frames, 10, n_frames)
    clicks[torch.arange(n_frames), :, torch.arange(n_frames)] = 1
    with torch.no_grad():
        assert (net.body(clicks).amax((1, 2)) > 0).all()


def test_samplecnn_gives_bins_no_order() -> None:
    net, x, order = made("samplecnn", 10, 32).eval(), some(3, 10, 32), torch.randperm(10)
    with torch.no_grad():
        known = net(x)
        net.body[0].weight.copy_(net.body[0].weight[:, order].clone())
        assert torch.allclose(net(x[:, order]), known, atol=1e-5)


def test_frozen_is_the_other_net_and_learns_nothing() -> None:
    torch.manual_seed(0)
    net = part("net/frozen", run="last", net=config("net/cnn"))(n_bins=32, n_frames=40).train()
    x = some(6, 32, 40)
    assert not any(p.requires_grad for p in net.parameters())
    assert net.dim == net.inner.dim
    other = made("cnn", 32, 40).eval()
    other.load_state_dict(net.inner.state_dict())
    assert torch.equal(net(x), other(x))  # dropout is off
    assert not any(m.ready for m in net.modules() if isinstance(m, FirstBatchNorm))  # nor are statistics taken
    with pytest.raises(ValueError, match=r"net\.run=RUN"):
        part("net/frozen")(n_bins=32, n_frames=40)
