"""Evidence lies where a model's decision is known to come from, and what is heard of it is that part of the song."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from genrelab import evidence as module
from genrelab.evidence import evidence, heard, masked
from genrelab.model import SongClassifier
from genrelab.net.base import Net
from genrelab.types import Beats
from tests.parts import names, part

RATE = 22050
GENRES = ("knock", "ping")
TONE_HZ = {"knock": 400.0, "ping": 3000.0}
SLICE = {"length_s": 1.28, "hop_s": 1.28, "n_frames": 64}
BURST_S, AT_S = 0.25, 3.2  # in the third slice of four
WHOLE = ("encoder", "frozen", "timm")  # nets that are made of what lies elsewhere


def song(genre: str | None, at_s: float = AT_S, length_s: float = 5.12, seed: int = 0) -> np.ndarray:
    """(samples,) float32: soft noise with a burst of the genre's tone."""
    random = np.random.default_rng(seed)
    time_s = np.arange(round(length_s * RATE)) / RATE
    wave = 0.01 * random.standard_normal(len(time_s))
    if genre:
        inside = np.clip((time_s - at_s) / BURST_S, 0, 1)
        wave += 0.2 * np.sin(np.pi * inside) * np.sin(2 * np.pi * TONE_HZ[genre] * time_s)
    return wave.astype(np.float32)


def made(front: str = "mel", net: str = "cnn", agg: str = "mean", norm: str = "slice", **more: Any) -> SongClassifier:
    torch.manual_seed(0)
    several = more.pop("several", False)
    slicer = more.pop("slicer", None) or part("slice/fixed", **SLICE)
    options = more.pop("options", {"n_bins": 64} if front in ("mel", "stft") else {})
    ways = part(f"norm/{norm}"), part(f"net/{net}"), part(f"agg/{agg}")
    return SongClassifier(part(f"front/{front}", **options), slicer, *ways, GENRES, several).eval()


class Box(Net):
    """Its first number is the mean of a box of the slice, and nothing else is looked at."""

    rows, columns = slice(20, 30), slice(40, 50)

    def __init__(self, n_bins: int, n_frames: int) -> None:
        super().__init__()
        self.dim = 2
        weight = torch.zeros(2, n_bins, n_frames)
        weight[0, self.rows, self.columns] = 1
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nft,dft->nd", x, self.weight)


@pytest.fixture
def boxed() -> SongClassifier:
    """A model that takes a song for `ping` the more sounds in the box of a slice."""
    model = SongClassifier(
        part("front/mel", n_bins=64), part("slice/fixed", **SLICE), part("norm/none"), Box, part("agg/mean"), GENRES
    ).eval()
    nn.init.zeros_(model.slice_head.weight)
    nn.init.zeros_(model.slice_head.bias)
    model.slice_head.weight.data[1, 0] = 1
    return model


@pytest.fixture(scope="module")
def trained() -> SongClassifier:
    """A small net that has learned which tone sounds once in a song."""
    model, random = made(agg="logits"), np.random.default_rng(1)
    waves = [song(g, random.uniform(0, 5.12 - BURST_S), seed=n) for g in GENRES for n in range(16)]
    x = torch.cat([model.slices(torch.from_numpy(w), RATE)[0] for w in waves])
    target, n_slices = torch.arange(2).repeat_interleave(16), torch.full((32,), 4)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    model.train()
    for _ in range(20):
        optimiser.zero_grad()
        said = model(x, n_slices)
        cross_entropy(said.per_song(said.slice), target).backward()
        optimiser.step()
    return model.eval()


def around(model: SongClassifier, genre: str, shape: tuple[int, ...], at_s: float = AT_S) -> np.ndarray:
    """(F, frames) bool: where the burst sounds, as far as the picture's window and a few bins blur it."""
    hz = model.front.bin_hz.numpy()
    near = np.abs(np.log2(hz / TONE_HZ[genre])) < 0.5
    time_s = np.arange(shape[1]) * model.front.hop_s
    return near[:, None] & ((time_s > at_s - 0.15) & (time_s < at_s + BURST_S + 0.15))


def power_at(wave: np.ndarray, hz: float, at_s: float) -> float:
    """Power of the tone during the burst."""
    part_ = wave[round(at_s * RATE) : round((at_s + BURST_S) * RATE)]
    return float(np.abs(np.exp(-2j * np.pi * hz * np.arange(len(part_)) / RATE) @ part_) ** 2)


def test_the_weight_lies_in_the_box_that_alone_is_looked_at(boxed: SongClassifier) -> None:
    found = evidence(boxed, song("ping"), RATE, "ping")
    rows, columns = Box.rows, Box.columns
    inside = np.zeros_like(found.weight, bool)
    for n in range(4):  # a little more than the box: weights are smoothed
        inside[rows.start - 2 : rows.stop + 2, 64 * n + columns.start - 9 : 64 * n + columns.stop + 9] = True
    assert found.weight[~inside].max() < 0.05
    middle = [found.weight[rows.start + 2 : rows.stop - 2, 64 * n + columns.start + 5].mean() for n in range(4)]
    assert min(middle) > 5 * found.weight.mean()
    assert found.weight.min() >= 0
    assert found.weight.max() == 1


@pytest.mark.parametrize(("genre", "other"), [("ping", "knock"), ("knock", "ping")])
def test_a_burst_that_decides_has_the_weight_and_is_what_is_heard(
    trained: SongClassifier, genre: str, other: str
) -> None:
    wave = song(genre)
    found = evidence(trained, wave, RATE)
    assert (found.genre, found.against) == (genre, other)
    assert found.margin > 0
    assert found.scores.argmax(1)[2] == GENRES.index(genre)
    burst = around(trained, genre, found.weight.shape)
    assert found.weight[burst].sum() > 0.5 * found.weight.sum()
    assert found.weight[burst].mean() > 15 * found.weight[~burst].mean()
    assert power_at(found.heard, TONE_HZ[genre], AT_S) > 0.5 * power_at(wave, TONE_HZ[genre], AT_S)
    rest = np.concatenate([np.arange(0, 2.9 * RATE), np.arange(3.7 * RATE, len(wave))]).astype(int)
    assert np.square(found.heard[rest]).sum() < 0.2 * np.square(wave[rest]).sum()


@pytest.mark.parametrize("genre", GENRES)
def test_what_is_heard_is_still_of_the_genre_and_the_rest_is_not(trained: SongClassifier, genre: str) -> None:
    """The song as the model takes it, the part with the evidence alone, and what is left without it."""
    wave, (other,) = song(genre, seed=5), set(GENRES) - {genre}
    found = evidence(trained, wave, RATE, genre)

    def margin(sound: np.ndarray) -> float:
        x, _, _ = trained.slices(torch.from_numpy(sound), RATE)
        with torch.no_grad():
            said = trained(x, torch.tensor([len(x)])).slice.mean(0)
        return float(said[GENRES.index(genre)] - said[GENRES.index(other)])

    assert margin(wave) == pytest.approx(found.margin, rel=1e-4)
    assert margin(found.heard) > 0.5 * found.margin
    assert margin(wave - found.heard) < 0.5 * found.margin


def test_of_two_bursts_each_genre_has_its_own(trained: SongClassifier) -> None:
    wave = song("knock", 0.5) + song("ping")
    for genre, at_s in (("knock", 0.5), ("ping", AT_S)):
        found = evidence(trained, wave, RATE, genre)
        own = around(trained, genre, found.weight.shape, at_s)
        (other,) = set(GENRES) - {genre}
        theirs = around(trained, other, found.weight.shape, AT_S if other == "ping" else 0.5)
        assert found.weight[own].mean() > 10 * found.weight[theirs].mean()


def test_what_a_point_adds_sums_to_what_the_song_has_over_a_quiet_one(trained: SongClassifier) -> None:
    """The axiom of completeness (Sundararajan et al. 2017, proposition 1)."""
    x, _, _ = trained.slices(torch.from_numpy(song("ping")), RATE)
    seen = trained.norm(x, torch.zeros(len(x), dtype=torch.long))
    gained = module._gained(trained, seen, 1, 0)
    level = [float(f.sort()[0][int(0.05 * (f.numel() - 1))]) for f in seen.transpose(0, 1).flatten(1)]
    quiet = torch.minimum(torch.tensor(level)[None, :, None], seen)
    with torch.no_grad():
        margins = [s[:, 1] - s[:, 0] for s in (trained.slice_head(trained.net(v)) for v in (seen, quiet))]
    meant = float((margins[0] - margins[1]).mean())
    assert float(gained.sum()) == pytest.approx(meant, rel=0.05)
    assert abs(meant) > 1


def test_losing_the_tenth_with_most_weight_costs_more_than_losing_a_random_tenth(trained: SongClassifier) -> None:
    """Deletion (Petsiuk, Das & Saenko 2018): what is deleted falls to its bin's quiet level."""
    wave = song("ping", seed=3)
    found = evidence(trained, wave, RATE, "ping")
    x, _, _ = trained.slices(torch.from_numpy(wave), RATE)
    weight = torch.from_numpy(found.weight[:, : 64 * len(x)]).unflatten(1, (len(x), 64)).transpose(0, 1)
    quiet = x.transpose(0, 1).flatten(1).kthvalue(13)[0][None, :, None].expand_as(x)

    def margin(lost: Tensor) -> float:
        with torch.no_grad():
            said = trained(torch.where(lost, quiet, x), torch.tensor([len(x)])).slice.mean(0)
        return float(said[1] - said[0])

    n = x.numel() // 10
    most = torch.zeros(x.numel(), dtype=torch.bool)
    most[weight.flatten().argsort(descending=True)[:n]] = True
    random = torch.Generator().manual_seed(0)
    lots = [torch.randperm(x.numel(), generator=random) < n for _ in range(20)]
    whole = margin(torch.zeros_like(x, dtype=torch.bool))
    drops = [whole - margin(lot.view_as(x)) for lot in lots]
    lost = whole - margin(most.view_as(x))
    assert lost > 2 * max(drops)
    assert lost > 5 * np.mean(drops)


def test_a_mask_of_ones_gives_the_wave_back_and_one_of_zeros_silence() -> None:
    wave = torch.randn(3 * RATE, generator=torch.Generator().manual_seed(0))
    rows = 1025
    torch.testing.assert_close(masked(wave, np.ones((rows, 151)), 0.02, RATE), wave, rtol=0, atol=1e-5)
    assert masked(wave, np.zeros((rows, 151)), 0.02, RATE).abs().max() == 0
    short = wave[:500]
    torch.testing.assert_close(masked(short, np.ones((rows, 2)), 0.02, RATE), short, rtol=0, atol=1e-5)


def test_blocks_of_a_long_song_equal_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    wave = torch.from_numpy(random.standard_normal(5 * RATE).astype(np.float32))
    mask = random.uniform(size=(1025, 251))
    whole = masked(wave, mask, 0.02, RATE)
    monkeypatch.setattr(module, "BLOCK_S", 0.7)
    torch.testing.assert_close(masked(wave, mask, 0.02, RATE), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("front", [f for f in names("front") if f != "bars"])
def test_full_weight_of_any_picture_gives_back_what_it_hears(front: str) -> None:
    model = made(front, options={})
    time_s = np.arange(2 * RATE) / RATE
    wave = torch.from_numpy(sum(np.sin(2 * np.pi * hz * time_s) for hz in (70.0, 440.0, 2500.0))).float()
    shape = (model.front.n_bins, 101)
    back = heard(wave, np.ones(shape, np.float32), model, RATE)
    assert np.abs(back - wave.numpy())[RATE // 4 : -RATE // 4].max() < 0.02
    assert np.abs(heard(wave, np.zeros(shape, np.float32), model, RATE)).max() == 0


@pytest.mark.parametrize("front", ["stft", "logfreq", "mel", "cqt", "cwt", "carfac", "chroma"])
def test_the_weight_of_a_tones_bins_holds_the_tone_and_no_other(front: str) -> None:
    model = made(front, options={})
    time_s = np.arange(2 * RATE) / RATE
    low, high = (np.sin(2 * np.pi * hz * time_s).astype(np.float32) for hz in (220.0, 1480.0))  # A and F sharp
    bin_ = int(model.front(torch.from_numpy(0.1 * low)[None])[0, :, 50].argmax())
    weight, reach = np.zeros((model.front.n_bins, 101), np.float32), 1 if front == "chroma" else 2
    weight[max(0, bin_ - reach) : bin_ + reach + 1, :51] = 1  # the first second alone
    found = heard(torch.from_numpy(low + high), weight, model, RATE)
    middle, late = slice(RATE // 4, 3 * RATE // 4), slice(5 * RATE // 4, None)
    assert np.square(found[middle] - low[middle]).mean() < 0.05 * np.square(low[middle]).mean()
    assert np.square(found[late]).mean() < 1e-3 * np.square(low[late]).mean()


@pytest.mark.parametrize("agg", names("agg"))
@pytest.mark.parametrize("several", [False, True])
def test_every_aggregator_has_evidence(agg: str, several: bool) -> None:
    found = evidence(made(agg=agg, several=several), song("ping"), RATE, "ping")
    assert found.weight.max() == 1
    assert (found.weight > 0).mean() > 0.01
    assert found.against == (None if several else "knock")
    assert found.heard.shape == song("ping").shape
    assert 0 < np.square(found.heard).sum() < np.square(song("ping")).sum()


@pytest.mark.parametrize("net", [n for n in names("net") if n not in WHOLE])
@pytest.mark.parametrize("front", ["mel", "raw"])
def test_every_net_has_evidence_on_pictures_given_and_learned(front: str, net: str) -> None:
    model = made(front, net, "gru", options={} if front == "raw" else {"n_bins": 128})
    found = evidence(model, song("ping", 0.5, 2.56), RATE)
    assert found.picture.shape == found.weight.shape == (128, 129)
    assert found.weight.max() == 1
    assert found.scores.shape == (2, 2)
    assert all(p.grad is None for p in model.parameters())


def test_in_parts_it_is_the_same(trained: SongClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evidence(trained, song("ping"), RATE)
    monkeypatch.setattr(module, "AT_ONCE", 3)
    found = evidence(trained, song("ping"), RATE)
    np.testing.assert_allclose(found.weight, whole.weight, atol=1e-4)
    assert found.margin == pytest.approx(whole.margin, abs=1e-5)


def test_a_bar_of_another_length_has_its_evidence_where_it_sounds(trained: SongClassifier) -> None:
    """Slices from downbeat to downbeat, each as 64 frames: one is 1.6 s long, one .8 s."""
    slicer = part("slice/bars", n_frames=64)
    model = made(agg="logits", slicer=slicer)
    model.load_state_dict(trained.state_dict())
    for tempo_bpm in (150, 300):
        times_s = np.arange(0, 5.12, 60 / tempo_bpm)
        beats = Beats(times_s, np.arange(len(times_s)) % 4 + 1, "annotated", 1.0)
        found = evidence(model, song("ping"), RATE, "ping", beats)
        assert len(found.spans) == 3 if tempo_bpm == 150 else 6
        assert found.spans[0, 1] - found.spans[0, 0] == pytest.approx(240 / tempo_bpm)
        burst = around(model, "ping", found.weight.shape)
        assert found.weight[burst].mean() > 10 * found.weight[~burst].mean()
    raw = made("raw", options={}, slicer=slicer)
    assert evidence(raw, song("ping"), RATE, "ping", beats).weight.shape == (128, 257)


def test_slices_that_overlap_share_what_they_say() -> None:
    gained, spans = np.ones((3, 2, 10)), np.array([[0.0, 1.0], [0.5, 1.5], [1.0, 2.0]])
    np.testing.assert_allclose(module._on_song(gained, spans, 0.1, 25)[:, :20], 1)
    assert module._on_song(gained, spans, 0.1, 25)[:, 20:].max() == 0
    stretched = module._on_song(gained[:1], np.array([[0.0, 2.0]]), 0.1, 25)
    assert stretched.sum() == pytest.approx(20)  # as much as the slice had
    assert (stretched[:, :20] > 0).all()


def test_a_frozen_net_has_evidence(trained: SongClassifier) -> None:
    from genrelab.net.frozen import Frozen

    def frozen(n_bins: int, n_frames: int) -> Frozen:
        return Frozen(n_bins, n_frames, "last", part("net/cnn"))

    model = SongClassifier(
        part("front/mel", n_bins=64), part("slice/fixed", **SLICE), part("norm/slice"), frozen, part("agg/mean"), GENRES
    ).eval()
    weights = {k.replace("net.", "net.inner.", 1) if k.startswith("net.") else k: v
               for k, v in trained.state_dict().items()}  # fmt: skip
    model.load_state_dict(weights)
    found = evidence(model.requires_grad_(False), song("ping"), RATE)
    np.testing.assert_allclose(found.weight, evidence(trained, song("ping"), RATE).weight, atol=1e-4)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda m: evidence(m, song("ping"), RATE, "polka"), "no genre 'polka'; it knows knock, ping"),
        (lambda m: evidence(m, song("ping", length_s=1.0), RATE), r"1\.00 s are shorter than a slice, 1\.28 s"),
    ],
)
def test_what_cannot_be_asked_is_said(
    trained: SongClassifier, ask: Callable[[SongClassifier], object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ask(trained)


def test_a_song_in_which_nothing_speaks_for_the_genre_has_no_weight(boxed: SongClassifier) -> None:
    found = evidence(boxed, song("ping"), RATE, "knock")  # the box speaks against it
    assert found.weight.max() == 0
    assert np.abs(found.heard).max() == 0
    assert replace(found, genre="ping").margin == -evidence(boxed, song("ping"), RATE, "ping").margin
