"""Any number of slices become K steps, and a song looped is the same song: by hand, and on sound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from genrelab.model import SongClassifier
from tests.agg.contract import D, K, made, song, together
from tests.parts import SAMPLE_RATE, part

SLICE_S = 0.64  # of the sounds here
N_SAMPLES = round(SLICE_S * SAMPLE_RATE)  # of a slice, 32 frames of 441


def stepped(values: list[float], n_steps: int) -> list[float]:
    """The steps of a song whose embeddings are these in every dimension."""
    z = torch.tensor(values)[None, :, None].expand(1, -1, D)
    out = made("stretch", n_steps=n_steps).steps(z, torch.ones(1, len(values), dtype=torch.bool))
    assert out.shape == (1, n_steps, D)
    assert (out == out[..., :1]).all()
    return [round(v, 5) for v in out[0, :, 0].tolist()]


def test_steps_by_hand() -> None:
    assert stepped([1, 2, 3], 3) == [1, 2, 3]  # as many: as they are
    assert stepped([1, 2], 4) == [1, 1, 2, 2]  # expanded
    assert stepped([5], 3) == [5, 5, 5]
    assert stepped([1, 3, 5, 8], 2) == [2, 6.5]  # compressed
    assert stepped([1, 4], 3) == [1, 2.5, 4]  # the middle third is half of each
    assert stepped([1, 2, 4], 2) == [round(4 / 3, 5), round(10 / 3, 5)]  # half of the middle slice to each side
    assert stepped([1, 2, 4, 9], 1) == [4]


@settings(deadline=None, max_examples=60)
@given(values=st.lists(st.integers(-9, 9), min_size=1, max_size=20, unique=True), n_steps=st.integers(1, 24))
def test_a_step_is_the_mean_of_its_part_of_the_song(values: list[int], n_steps: int) -> None:
    """In fractions: n slices are cut into n * n_steps crumbs, of which each step has n."""
    n = len(values)
    crumbs = [Fraction(v) for v in values for _ in range(n_steps)]
    expected = [float(sum(crumbs[k * n : (k + 1) * n]) / n) for k in range(n_steps)]
    found = stepped([float(v) for v in values], n_steps)
    assert found == pytest.approx(expected, abs=2e-5)
    assert np.mean(found) == pytest.approx(np.mean(values), abs=2e-5)  # nothing is heard twice


@pytest.mark.parametrize("n_slices", [1, 2, 3, 5, 8, 13])
def test_a_sequence_played_again_has_the_same_steps(n_slices: int) -> None:
    agg, (z, mask, scores) = made("stretch"), song(n_slices)
    with torch.no_grad():
        for times in (2, 3):
            again = z.repeat(1, times, 1), mask.repeat(1, times), scores.repeat(1, times, 1)
            assert torch.equal(agg.steps(*again[:2]), agg.steps(z, mask))
            assert torch.equal(agg(*again), agg(z, mask, scores))


def test_loops_and_songs_side_by_side() -> None:
    agg, (z, mask, scores) = made("stretch"), song(3)
    loop = z.repeat(1, 3, 1), mask.repeat(1, 3), scores.repeat(1, 3, 1)
    songs = [song(5, 1), loop, song(1, 2), (z, mask, scores)]
    with torch.no_grad():
        out = agg(*together(songs, 11, float("nan")))
        assert torch.allclose(out, torch.cat([agg(*s) for s in songs]), atol=1e-6)
        assert torch.allclose(out[1], out[3], atol=1e-6)


def test_a_song_that_goes_on_is_no_loop() -> None:
    """Half a turn more, one slice that differs, an end of its own: as long as it is."""
    a, b, c, d = song(4)[0][0]

    def loop(*slices: Tensor) -> bool:
        agg, z = made("stretch", n_steps=len(slices)), torch.stack(slices)[None]
        return not torch.allclose(agg.steps(z, torch.ones(z.shape[:2], dtype=torch.bool)), z, atol=1e-6)

    assert loop(a, b, a, b)
    assert loop(a, b, c, a, b, c)
    assert not loop(a, b, a, b, a)
    assert not loop(a, b, c, a, d, c)
    assert not loop(a, b, c, a, b, d)
    assert not loop(d, b, c, a, b, c)
    assert not loop(a, b, a, c)
    assert not loop(a, b, b, a)


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"agg.n_steps=0: expected at least 1"):
        made("stretch", n_steps=0)


# On sound: slices at a song's edges and at a loop's seam hear other neighbours, so the turns of a loop differ a little.


def notes(n_slices: int, seed: int) -> np.ndarray:
    """Decaying notes over noise, four a slice: (samples,)."""
    random = np.random.default_rng(seed)
    n = N_SAMPLES // 4
    time_s = np.arange(n) / SAMPLE_RATE
    pitches = random.choice([110, 131, 165, 220, 262, 330, 440, 523], 4 * n_slices)
    heard = [0.2 * np.sin(2 * np.pi * hz * time_s) * np.exp(-3 * time_s) for hz in pitches]
    return np.concatenate(heard) + 0.03 * random.standard_normal(n * 4 * n_slices)


def listener(front: str, norm: str = "slice", net: str = "cnn") -> SongClassifier:
    torch.manual_seed(0)
    slicer = part("slice/fixed", length_s=SLICE_S, hop_s=SLICE_S, n_frames=32)
    parts = part(f"front/{front}"), slicer, part(f"norm/{norm}"), part(f"net/{net}"), part("agg/stretch")
    return SongClassifier(*parts, [str(k) for k in range(K)]).eval()


@torch.no_grad()
def heard(model: SongClassifier, wave: np.ndarray) -> tuple[Tensor, Tensor]:
    """The slices' embeddings (1, S, dim) and the song's steps."""
    x, places, _ = model.slices(torch.from_numpy(wave).float(), SAMPLE_RATE)
    z = model.embed(x, torch.tensor([len(x)]), places)[None]
    return z, model.agg.steps(z, torch.ones(z.shape[:2], dtype=torch.bool))


@pytest.mark.parametrize("net", ["cnn", "seed"])
@pytest.mark.parametrize("front", ["mel", "stft", "logfreq", "raw"])
def test_a_wave_played_again_has_the_same_steps(front: str, net: str) -> None:
    model = listener(front, net=net)
    for n_slices, seed in ((3, 0), (4, 1), (8, 2)):
        wave = notes(n_slices, seed)
        z, once = heard(model, wave)
        for times in (2, 3):
            more, again = heard(model, np.tile(wave, times))
            assert more.shape[1] == times * n_slices
            size = float(z.abs().max())
            assert float((more[0, n_slices - 1] - z[0, -1]).abs().max()) > 1e-3 * size  # it hears the seam
            assert float((again - once).abs().max()) < 1e-4 * size


@pytest.mark.parametrize("hiss", [0.001, 0.01])
@pytest.mark.parametrize("n_slices", [1, 2, 4])
def test_a_song_that_is_merely_repetitive_stays_as_long_as_it_is(n_slices: int, hiss: float) -> None:
    """The same notes again and again, each time with a little noise of its own, at -54 dB and at -34 dB."""
    wave = np.tile(notes(n_slices, 3), 8 // n_slices)
    z, steps = heard(listener("mel"), wave + hiss * np.random.default_rng(4).standard_normal(len(wave)))
    assert z.shape[1] == steps.shape[1] == 8
    assert torch.allclose(steps, z, atol=1e-6)


def test_a_loop_with_an_end_of_its_own_is_no_loop() -> None:
    wave, other = np.tile(notes(4, 1), 2), notes(8, 5)
    model = listener("mel")
    for place in (0, 3, 5, 7):  # another first slice, another last one, another in between
        own = wave.copy()
        cut = slice(place * N_SAMPLES, (place + 1) * N_SAMPLES)
        own[cut] = other[cut]
        z, steps = heard(model, own)
        assert torch.allclose(steps, z, atol=1e-6)


def test_a_chord_under_noise_is_no_loop() -> None:
    time_s = np.arange(8 * N_SAMPLES) / SAMPLE_RATE
    chord = sum(0.1 * np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 277.2, 329.6))
    z, steps = heard(listener("mel"), chord + 0.02 * np.random.default_rng(0).standard_normal(len(time_s)))
    assert torch.allclose(steps, z, atol=1e-6)
