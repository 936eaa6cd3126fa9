"""The aggregators that learn: what each of them hears of a song."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from genrelab.agg.base import Agg
from genrelab.agg.transformer import places
from tests.agg.contract import D, K, Song, made, song, together

IN_ORDER = ["gru", "lstm", "stretch", "tcn", "transformer"]


def hears(agg: Agg, heard: Song, place: int) -> bool:
    """Whether the decision follows from this slice too."""
    z = heard[0].clone()
    z[0, place] += 2
    with torch.no_grad():
        return not torch.allclose(agg(*heard), agg(z, *heard[1:]), atol=1e-5)


@pytest.mark.parametrize("name", [*IN_ORDER, "attention", "stats"])
def test_every_slice_counts(name: str) -> None:
    agg = made(name)
    for n_slices in (1, 7, 200):
        heard = song(n_slices)
        forgets = name in ("gru", "lstm") and n_slices == 200  # the middle of a long song
        assert hears(agg, heard, n_slices // 2) != forgets
        assert hears(agg, heard, 0)
        assert hears(agg, heard, n_slices - 1)


@pytest.mark.parametrize("name", IN_ORDER)
def test_a_long_song_beside_a_short_one(name: str) -> None:
    agg, songs = made(name), [song(200, 1), song(1, 2), song(3, 3)]
    with torch.no_grad():
        assert torch.allclose(agg(*together(songs, 210)), torch.cat([agg(*s) for s in songs]), rtol=1e-4, atol=1e-5)


def test_stats_are_the_mean_and_the_spread() -> None:
    agg, songs = made("stats"), [song(9, 1), song(4, 2), song(1, 3)]
    seen: list[Tensor] = []
    agg.head.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    with torch.no_grad():
        agg(*together(songs, 12))
    for found, (z, *_) in zip(seen[0].numpy(), songs, strict=True):
        x = z[0].double().numpy()
        np.testing.assert_allclose(found, [*x.mean(0), *np.sqrt(x.var(0) + 1e-6)], atol=1e-5)


@pytest.mark.parametrize("name", ["stats", "stretch"])
def test_two_dense_layers_decide_with_a_bend_between_them(name: str) -> None:
    agg, heard = made(name), song(7)
    seen: list[Tensor] = []
    agg.head.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    with torch.no_grad():
        out = agg(*heard)
        one, two = (layer for layer in agg.head if isinstance(layer, torch.nn.Linear))
        hidden = seen[0] @ one.weight.T + one.bias
        expected = torch.where(hidden > 0, hidden, 0) @ two.weight.T + two.bias
    assert (hidden < 0).any()
    assert torch.allclose(out, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["stats", "attention", "stretch"])
def test_equal_slices_have_a_slope(name: str) -> None:
    """The root of a variance of 0 has an endless one; a song of one slice is of equal slices too."""
    for n_slices in (1, 5):
        z = torch.ones(1, n_slices, D, requires_grad=True)
        agg = made(name)
        agg(z, torch.ones(1, n_slices, dtype=torch.bool), torch.zeros(1, n_slices, K)).sum().backward()
        assert z.grad.isfinite().all()
        assert all(p.grad.isfinite().all() for p in agg.parameters())


def test_attention_is_a_weighted_mean_of_the_real_slices() -> None:
    """Its weights are those of the paper's equation 9, and add up to 1 over the song alone."""
    agg, songs = made("attention"), [song(6, 1), song(1, 2), song(3, 3)]
    seen: list[Tensor] = []
    agg.head.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    with torch.no_grad():
        agg(*together(songs, 9, float("nan")))
    weights = {k: v.double().numpy() for k, v in agg.state_dict().items()}
    for found, (z, *_) in zip(seen[0].numpy(), songs, strict=True):
        x = z[0].double().numpy()
        content = np.tanh(x @ weights["content.weight"].T + weights["content.bias"])
        gate = 1 / (1 + np.exp(-(x @ weights["gate.weight"].T + weights["gate.bias"])))
        share = np.exp(content * gate @ weights["weight.weight"][0])
        np.testing.assert_allclose(found, share @ x / share.sum(), atol=1e-5)


def test_attention_listens_to_what_it_likes() -> None:
    """With a weight that grows without end, the song is its one slice."""
    agg, (z, mask, scores) = made("attention"), song(5)
    with torch.no_grad():
        agg.weight.weight.mul_(1e4)
        attended = agg(z, mask, scores)
        each = torch.cat([agg(z[:, i : i + 1], mask[:, :1], scores[:, :1]) for i in range(5)])
    assert sum(bool(torch.allclose(attended[0], one, atol=1e-4)) for one in each) == 1


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_what_a_recurrent_net_says_last_decides(name: str) -> None:
    """Its first half has read to the song's end, its second half back to the beginning."""
    agg, heard = made(name), song(6)
    with torch.no_grad():
        said = agg.net(heard[0])[0]  # (1, S, 2 * hidden)
        half = said.shape[2] // 2
        expected = agg.head(torch.cat([said[:, -1, :half], said[:, 0, half:]], 1))
        assert torch.allclose(agg(*heard), expected, atol=1e-6)


def test_layers_of_a_tcn_add_to_what_they_heard() -> None:
    """Layers that say 1 whatever they hear add as many ones as there are; a mean and a maximum over slices follow."""
    agg, (z, mask, scores) = made("tcn", n_layers=3), song(9)
    seen: list[Tensor] = []
    agg.head.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    with torch.no_grad():
        for layer in agg.layers:
            layer.weight.zero_()
            layer.bias.fill_(1)
        agg(z, mask, scores)
        first = agg.first(z)[0] + 3
    assert torch.allclose(seen[0][0], torch.cat([first.mean(0), first.amax(0)]), atol=1e-5)


def test_a_tcn_reaches_twice_as_far_with_every_layer() -> None:
    """Before the mean and the maximum over all, a place hears 1 + 2 + 4 + ... slices to each side and no further."""
    for n_layers, reach in ((1, 1), (2, 3), (4, 15)):
        agg, (z, mask, scores) = made("tcn", n_layers=n_layers), song(61)
        z.requires_grad_()
        seen: list[Tensor] = []
        hook = agg.layers[-1].register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
        agg(z, mask, scores)
        hook.remove()
        (slope,) = torch.autograd.grad(seen[0][0, :, 30].square().sum(), z)
        heard = slope[0].abs().sum(1).nonzero()[:, 0]
        assert (int(heard[0]), int(heard[-1])) == (30 - reach, 30 + reach)


def test_places_are_sines_and_cosines() -> None:
    n, dim = 300, 8
    found = places(n, dim).numpy()
    for i in range(dim // 2):
        angle = np.arange(n) / 10000 ** (2 * i / dim)
        np.testing.assert_allclose(found[:, 2 * i], np.sin(angle), atol=1e-4)
        np.testing.assert_allclose(found[:, 2 * i + 1], np.cos(angle), atol=1e-4)
    apart = np.linalg.norm(found[:, None] - found, axis=2) + 9 * np.eye(n)
    assert apart.min() > 0.1  # no two places are alike


def test_a_transformer_knows_order_by_its_places_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    agg, (z, mask, scores) = made("transformer"), song(9)
    with torch.no_grad():
        before, after = agg(z, mask, scores), agg(z.flip(1), mask, scores)
        assert float((before - after).abs().max()) > 1e-3
        monkeypatch.setattr("genrelab.agg.transformer.places", torch.zeros)
        assert torch.allclose(agg(z, mask, scores), agg(z.flip(1), mask, scores), atol=1e-5)


@pytest.mark.parametrize("sizes", [{"hidden": 30, "n_heads": 4}, {"hidden": 9, "n_heads": 3}])
def test_heads_that_do_not_share_the_width_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=rf"agg.hidden={sizes['hidden']}: expected an even number"):
        made("transformer", **sizes)
