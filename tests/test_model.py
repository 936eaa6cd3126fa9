"""SongClassifier: packed songs of any lengths decide as each alone does, and a wave's slices are those of the store."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from genrelab import store
from genrelab.model import SongClassifier
from genrelab.slice.base import cut
from genrelab.types import Track
from tests.front.contract import noise
from tests.parts import SAMPLE_RATE, config, names, part

GENRES = ("blues", "disco", "metal")
SMALL = {"n_fft": 512, "n_bins": 32}
SLICE = {"length_s": 0.64, "hop_s": 0.64, "n_frames": 32}


def made(norm: str = "slice", agg: str = "gru", net: str = "cnn", **slicing: float) -> SongClassifier:
    torch.manual_seed(0)
    parts = part("front/stft", **SMALL), part("slice/fixed", **SLICE | slicing)
    return SongClassifier(*parts, part(f"norm/{norm}"), part(f"net/{net}"), part(f"agg/{agg}"), GENRES).eval()


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
def test_a_vote_is_a_function_of_the_slice_scores() -> None:
    model = made(agg="mean")
    said = model(some(5, model), torch.tensor([2, 3]))
    p = said.slice.softmax(-1)
    assert torch.allclose(said.song.exp(), torch.stack([p[:2].mean(0), p[2:].mean(0)]), atol=1e-6)


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
