"""SongClassifier: packed songs of any lengths decide as each alone does, and a wave's slices are those of the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from genrelab import store
from genrelab.model import LENGTHS, SongClassifier
from genrelab.slice.base import cut
from genrelab.texture import texture
from genrelab.types import Track
from tests.front.contract import noise
from tests.parts import SAMPLE_RATE, config, names, part

GENRES = ("blues", "disco", "metal")
SMALL = {"n_fft": 512, "n_bins": 32}
SLICE = {"length_s": 0.64, "hop_s": 0.64, "n_frames": 32}


def made(
    norm: str = "slice", agg: str = "gru", net: str = "cnn", several: bool = False, **slicing: float
) -> SongClassifier:
    torch.manual_seed(0)
    parts = part("front/stft", **SMALL), part("slice/fixed", **SLICE | slicing)
    ways = part(f"norm/{norm}"), part(f"net/{net}"), part(f"agg/{agg}")
    return SongClassifier(*parts, *ways, GENRES, several).eval()


def some(n: int, model: SongClassifier) -> Tensor:
    """Pictures in decibels, of unlike loudness."""
    random = torch.Generator().manual_seed(1)
    x = 8 * torch.randn(n, model.front.n_bins, model.slicer.n_frames, generator=random) - 50
    return x + 6 * torch.randn(n, 1, 1, generator=random)


@torch.no_grad()
@pytest.mark.parametrize("agg", names("agg"))
@pytest.mark.parametrize("norm", names("norm"))
def test_packed_equals_song_by_song(norm: str, agg: str) -> None:
    model, lengths = made(norm, agg), [3, 1, 7, 2]
    x = some(sum(lengths), model)
    together = model(x, torch.tensor(lengths))
    assert together.owner.tolist() == [0] * 3 + [1] + [2] * 7 + [3] * 2
    assert together.song.shape == (4, 3)
    assert together.slice.shape == (13, 3)
    assert together.embedding.shape == (13, model.net.dim)
    alone = [model(own, torch.tensor([len(own)])) for own in x.split(lengths)]
    assert torch.allclose(together.song, torch.cat([s.song for s in alone]), rtol=1e-5, atol=1e-5)
    assert torch.allclose(together.slice, torch.cat([s.slice for s in alone]), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("several", [False, True])
def test_a_vote_is_a_function_of_the_slice_scores(several: bool) -> None:
    model = made(agg="mean", several=several)
    said = model(some(5, model), torch.tensor([2, 3]))
    p, song = (x.sigmoid() if several else x.softmax(-1) for x in (said.slice, said.song))
    assert model.agg.several == several
    assert torch.allclose(song, torch.stack([p[:2].mean(0), p[2:].mean(0)]), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("agg", names("agg"))
def test_embeddings_are_judged_as_slices_are(agg: str) -> None:
    """The way of `net=frozen`, which keeps the embeddings of all slices and not the slices."""
    model, lengths = made(agg=agg), torch.tensor([2, 4])
    x = some(6, model)
    whole, parts = model(x, lengths), model.judge(model.embed(x, lengths), lengths)
    assert torch.equal(whole.song, parts.song)
    assert torch.equal(whole.slice, parts.slice)
    assert torch.equal(whole.owner, parts.owner)


@torch.no_grad()
@pytest.mark.parametrize("agg", names("agg"))
def test_a_shorter_song_is_its_first_slices_alone(agg: str) -> None:
    """After 1, 2, 4 ... slices, as many as each song has; beyond the longest song nothing changes any more."""
    model, lengths = made(agg=agg), [3, 1, 9, 4]
    x = some(sum(lengths), model)
    n_slices = torch.tensor(lengths)
    said = model(x, n_slices)
    found = model.shorter(said, n_slices)
    assert len(found) == len(LENGTHS)
    assert LENGTHS[:5] == (1, 2, 4, 8, 16)
    for heard, song in zip(LENGTHS, found, strict=True):
        cut = [own[:heard] for own in x.split(lengths)]
        alone = torch.cat([model(own, torch.tensor([len(own)])).song for own in cut])
        assert torch.allclose(song, alone, rtol=1e-5, atol=1e-5), heard
    assert torch.allclose(found[-1], said.song, rtol=1e-5, atol=1e-5)
    assert not torch.equal(found[3][2], found[4][2])  # the longest song has a ninth slice


@torch.no_grad()
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("agg", ["gru", "vote"])
def test_answers_are_the_scores_as_arrays(agg: str, several: bool) -> None:
    model, lengths = made(agg=agg, several=several), [3, 1, 2]
    n_slices = torch.tensor(lengths)
    said = model(some(6, model), n_slices)
    about = {"index": torch.tensor([7, 5, 9]), "truth": torch.tensor([2, 0, 3]), "target": torch.rand(3, 3)}
    answers = model.answers(said, n_slices, **about)
    assert answers.several == several
    for name, value in about.items():
        np.testing.assert_array_equal(getattr(answers, name), value.numpy())
    np.testing.assert_array_equal(answers.n_slices, lengths)
    np.testing.assert_array_equal(answers.song, said.song.numpy())
    np.testing.assert_array_equal(answers.slice, said.slice.numpy())
    rows = [z.double().numpy().mean(0) for z in said.embedding.split(lengths)]
    np.testing.assert_allclose(answers.embedding, rows, atol=1e-6)
    scores = [s.double().numpy().mean(0) for s in said.slice.split(lengths)]
    expected = said.song.numpy() if model.agg.trained else scores  # log shares of a vote are no logits
    np.testing.assert_allclose(answers.logits, expected, atol=1e-6)
    np.testing.assert_array_equal(answers.known, [True, True, False])
    p = model.agg.probabilities(said.song).numpy()
    np.testing.assert_allclose(answers.probabilities(), p, atol=1e-6)


@torch.no_grad()
def test_a_told_song_has_its_texture_too() -> None:
    """As `forward`, and the mean over each song's slices of what its normalised pictures are made of."""
    model, n_slices = made(norm="slice"), torch.tensor([3, 1])
    x = some(4, model)
    said, told = model(x, n_slices), model.tell(x, n_slices)
    for name in ("song", "slice", "embedding", "owner"):
        assert torch.equal(getattr(said, name), getattr(told, name)), name
    assert said.texture is None
    seen = texture(model.seen(x, n_slices))
    assert model.answers(said, n_slices).texture.shape == (2, 0)
    found = model.answers(told, n_slices).texture
    np.testing.assert_allclose(found, torch.stack([seen[:3].mean(0), seen[3]]), atol=1e-5)
    np.testing.assert_allclose(found, model.answers(model.tell(x - 20, n_slices), n_slices).texture, atol=1e-3)


def test_answers_of_songs_that_nobody_knows_are_plain_arrays() -> None:
    """Of a song that is asked about, with gradients and in half precision: no truth, and single precision."""
    model, n_slices = made(), torch.tensor([2, 2])
    with torch.autocast("cpu", torch.bfloat16):
        answers = model.answers(model(some(4, model), n_slices), n_slices)
    assert not answers.known.any()
    assert not answers.target.any()
    np.testing.assert_array_equal(answers.index, [0, 1])
    for name in ("song", "slice", "embedding", "logits", "target"):
        assert getattr(answers, name).dtype == np.float32, name


def test_all_of_it_learns() -> None:
    model = made(norm="train").train()
    said = model(some(8, model), torch.tensor([3, 5]))
    (said.song[:, 0].sum() + said.slice[:, 1].sum()).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().sum() > 0, name


def test_the_fixed_front_end_leaves_nothing_in_the_checkpoint() -> None:
    """Its window and its bank follow from the config; a checkpoint holds what was learned or fitted."""
    keys = made(norm="train").state_dict()
    assert not [k for k in keys if k.startswith("front.")]
    assert {"norm.mean", "norm.std", "slice_head.weight"} <= set(keys)


@pytest.mark.parametrize("hop_s", [0.64, 0.32, 0.333])
def test_slices_of_a_wave_are_cuts_of_its_stored_picture(tmp_path: Path, hop_s: float) -> None:
    model, wave = made(hop_s=hop_s), noise(1, 3 * SAMPLE_RATE + 777)[0]
    path = tmp_path / "song.wav"
    soundfile.write(path, wave.numpy(), SAMPLE_RATE, subtype="FLOAT")
    options = {"sample_rate": SAMPLE_RATE, "min_s": model.slicer.min_s, "store": tmp_path}
    tracks = [Track("song", path, ("noise",))]
    _, stored, _ = store.pictures(tracks, model.front, config("front/stft", **SMALL), progress=print, **options)
    x, _, spans = model.slices(wave, SAMPLE_RATE)
    assert len(x) == len(spans) == 1 + int((3 + 777 / SAMPLE_RATE - 0.64) / hop_s)
    assert torch.equal(x, cut(stored[0], spans, model.front.hop_s, 32))
    if hop_s == 0.64:
        assert torch.equal(x[1], stored[0][:, 32:64])


def test_a_song_without_a_slice() -> None:
    x, _, spans = made().slices(noise(1, SAMPLE_RATE // 2)[0], SAMPLE_RATE)
    assert x.shape == (0, 32, 32)
    assert spans.shape == (0, 2)


def test_parts_that_do_not_fit_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="net=seed takes slices of at least 16 bins x 16 frames, got 32 x 8"):
        made(net="seed", n_frames=8)
