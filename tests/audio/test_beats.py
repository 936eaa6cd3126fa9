"""The beat grid: songs of known beats, sounds without any, madmom's interface, grids that are wrong on purpose."""

import hashlib
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genrelab.audio import beats, downbeats
from genrelab.evaluate.beats import f_measure, tempo_accuracy, tempo_bpm
from genrelab.types import Beats

RATE = 22050
CHORDS = ((220.0, 277.2, 329.6), (146.8, 185.0, 220.0), (164.8, 207.7, 246.9), (130.8, 164.8, 196.0))


@pytest.fixture(autouse=True)
def no_madmom(monkeypatch):
    """librosa, whatever the machine has."""
    monkeypatch.setattr(beats, "find_spec", lambda name: None)


def song(bpm, metre=4, duration_s=14.0, begin_s=0.31, rate=RATE, drums=True):
    """(wave, beat times, places): bass drum on 1, snare on the others, hats in between, a chord a bar."""
    draw = np.random.default_rng(round(bpm) + metre)
    n = int(duration_s * rate)
    wave = np.zeros(n)
    beat_s = 60 / bpm
    times = np.arange(begin_s, duration_s - 0.2, beat_s)
    places = np.arange(len(times)) % metre + 1

    def add(time_s, sound):
        first = round(time_s * rate)
        part = sound[: max(0, n - first)]
        wave[first : first + len(part)] += part

    t = np.arange(int(0.12 * rate)) / rate
    kick = np.sin(2 * np.pi * 60 * t) * np.exp(-t * 30)
    snare = draw.standard_normal(len(t)) * np.exp(-t * 40) * 0.4
    hat = np.diff(draw.standard_normal(len(t) + 1)) * np.exp(-t * 90) * 0.05
    for time_s, place in zip(times, places, strict=True):
        if drums:
            add(time_s, kick if place == 1 else snare)
            add(time_s + beat_s / 2, hat)
        if place == 1:
            bar = np.arange(int(metre * beat_s * rate)) / rate
            chord = CHORDS[round((time_s - begin_s) / beat_s / metre) % len(CHORDS)]
            add(time_s, 0.1 * sum(np.sin(2 * np.pi * f * bar) for f in chord) * np.exp(-bar))
    return (0.5 * wave).astype(np.float32), times, places


@pytest.mark.parametrize(("bpm", "metre"), [(80, 4), (100, 3), (120, 4), (140, 4)])
def test_a_plain_song_is_heard_with_its_bars(bpm, metre):
    wave, times, places = song(bpm, metre)
    found = beats.estimate(wave, RATE)
    assert f_measure(times, found.times_s) > 0.95
    assert f_measure(times[places == 1], found.times_s[found.beat_in_bar == 1]) > 0.9
    assert tempo_accuracy(bpm, tempo_bpm(found.times_s)) == (1, 1)
    assert tempo_bpm(found.times_s) == pytest.approx(bpm, rel=0.01)  # finer than the 10 ms of a frame
    assert found.beat_in_bar.max() == metre
    assert found.confidence > 0.6
    assert found.source == "librosa"
    assert (np.diff(found.times_s) > 0).all()


def test_a_fast_song_is_not_heard_at_half_its_tempo():
    wave, times, _ = song(174)
    found = beats.estimate(wave, RATE)
    assert tempo_bpm(found.times_s) == pytest.approx(174, rel=0.02)
    assert f_measure(times, found.times_s) > 0.95


def test_the_sample_rate_and_the_level_do_not_matter():
    wave, times, _ = song(120, rate=44100)
    found = beats.estimate(wave, 44100)
    assert f_measure(times, found.times_s) > 0.95
    quiet = beats.estimate(wave * 0.05, 44100)
    assert f_measure(found.times_s, quiet.times_s, 0.005) > 0.95


def without_beats():
    draw = np.random.default_rng(11)
    t = np.arange(12 * RATE) / RATE
    clicks = np.zeros(len(t))
    for first in draw.integers(0, len(t) - 2000, 36):
        clicks[first : first + 2000] += draw.standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    return {
        "white noise": 0.1 * draw.standard_normal(len(t)),
        "brown noise": 1e-3 * np.cumsum(draw.standard_normal(len(t))),
        "a tone": 0.3 * np.sin(2 * np.pi * 440 * t),
        "a chord": 0.1 * sum(np.sin(2 * np.pi * f * t) for f in CHORDS[0]),
        "clicks at random": 0.2 * clicks,
        "dither": draw.integers(-1, 2, len(t)) / 2**15,
        "a constant": np.full(len(t), 0.5),
        "one click": np.eye(1, len(t), RATE)[0],
    }


@pytest.mark.parametrize("name", sorted(without_beats()))
def test_what_has_no_beats_is_not_trusted(name):
    found = beats.estimate(without_beats()[name].astype(np.float32), RATE)
    assert found.confidence < 0.45
    assert len(found.times_s) == len(found.beat_in_bar)


@pytest.mark.parametrize(
    "wave",
    [
        np.zeros(0),
        np.zeros(10 * RATE),
        np.full(10 * RATE, 1e-5),
        song(120)[0][: int(1.99 * RATE)],
        np.full(5 * RATE, np.nan),
        np.full(5 * RATE, np.inf),
    ],
    ids=["empty", "silent", "below -80 dB", "short", "NaN", "Inf"],
)
def test_odd_audio_has_no_beats(wave):
    found = beats.estimate(wave.astype(np.float32), RATE)
    assert (len(found.times_s), len(found.beat_in_bar), found.confidence) == (0, 0, 0.0)


def test_the_shortest_and_a_clipped_wave_are_heard_without_a_fault():
    wave, times, _ = song(150)
    assert len(beats.estimate(wave[: 2 * RATE], RATE).times_s) >= 0
    assert f_measure(times, beats.estimate(np.clip(20 * wave, -1, 1), RATE).times_s) > 0.9


def test_threads_hear_what_one_thread_hears():
    waves = [song(bpm, duration_s=6)[0] for bpm in (95, 110, 130, 150)]
    alone = [beats.estimate(w, RATE) for w in waves]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda w: beats.estimate(w, RATE), waves))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a.times_s, b.times_s)
        np.testing.assert_array_equal(a.beat_in_bar, b.beat_in_bar)
        assert a.confidence == b.confidence


def test_a_long_song_is_heard_in_blocks_that_equal_one_pass(monkeypatch):
    wave, _, _ = song(120, duration_s=8)
    whole = downbeats.listen(wave)
    monkeypatch.setattr(downbeats, "BLOCK", 100)
    parts = downbeats.listen(wave)
    for name in ("onsets", "onset", "mel", "chroma"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-4)


def test_the_bars_of_given_beats_follow_the_chords():
    wave, times, places = song(120, 3, drums=False)
    found, contrast, share = downbeats.bars(downbeats.listen(wave), times)
    np.testing.assert_array_equal(found, places)
    assert contrast > 0
    assert 1 / 7 < share <= 1


def test_nothing_heavy_is_loaded_with_the_module():
    code = "import sys, genrelab.audio.beats; print({'librosa', 'numba', 'scipy', 'torch'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


# madmom-infer


@pytest.fixture
def madmom(monkeypatch, tmp_path):
    """A package of madmom-infer's interface: its networks hear two beats a second, and keep what they get."""
    heard = []

    class Networks:
        def __call__(self, wave):
            heard.append(wave)
            activations = np.full((len(wave) // 441, 2), 0.01)
            activations[::50] = (0.7, 0.1)
            activations[::200] = (0.1, 0.7)
            return activations

    class Decoder:
        def __init__(self, beats_per_bar, fps):
            assert (beats_per_bar, fps) == ([3, 4], 100)

        def __call__(self, activations):
            at = np.arange(0, len(activations), 50)
            return np.stack([at / 100, np.arange(len(at)) % 4 + 1.0], axis=1)

    weights = [
        types.SimpleNamespace(relpath=f"net_{i}.pkl", sha256=hashlib.sha256(b"%d" % i).hexdigest()) for i in (1, 2)
    ]
    for i in (1, 2):
        (tmp_path / f"net_{i}.pkl").write_bytes(b"%d" % i)
    models = types.ModuleType("madmom_infer.models")
    models._cache_root = lambda: tmp_path
    models._DOWNBEATS_BLSTM_FILES = weights
    models._sha256_of = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()
    package = types.ModuleType("madmom_infer")
    package.models = models
    module = types.ModuleType("madmom_infer.features.downbeats")
    module.RNNDownBeatProcessor, module.DBNDownBeatTrackingProcessor = Networks, Decoder
    for name, value in {
        "madmom_infer": package,
        "madmom_infer.models": models,
        "madmom_infer.features": types.ModuleType("madmom_infer.features"),
        "madmom_infer.features.downbeats": module,
    }.items():
        monkeypatch.setitem(sys.modules, name, value)
    monkeypatch.setattr(beats, "find_spec", lambda name: object())
    known = beats.metadata.version
    monkeypatch.setattr(beats.metadata, "version", lambda name: "0.2.0" if name == "madmom-infer" else known(name))
    return types.SimpleNamespace(heard=heard, weights=tmp_path)


def test_madmom_is_taken_where_it_and_its_weights_are(madmom):
    found = beats.estimate(song(120, duration_s=6)[0], RATE)
    assert found.source == "madmom-infer"
    assert len(madmom.heard[0]) == pytest.approx(6 * 44100, abs=2)  # brought to the rate of its networks
    np.testing.assert_allclose(np.diff(found.times_s), 0.5)
    np.testing.assert_array_equal(found.beat_in_bar[:5], [1, 2, 3, 4, 1])
    assert found.confidence == pytest.approx(0.8**0.5)
    assert beats.estimator() == f"madmom-infer 0.2.0 / {beats.VERSION}"


@pytest.mark.parametrize("hurt", [lambda path: path.unlink(), lambda path: path.write_bytes(b"cut")])
def test_madmom_without_whole_weights_is_left_out_and_nothing_is_fetched(madmom, hurt):
    hurt(madmom.weights / "net_2.pkl")
    assert beats.estimator() == f"librosa {beats.metadata.version('librosa')} / {beats.VERSION}"
    assert beats.estimate(song(120, duration_s=6)[0], RATE).source == "librosa"
    assert not madmom.heard


# grids that are wrong on purpose


def grid(metre, n=24, gap_s=0.5, first=0):
    return Beats(0.2 + gap_s * np.arange(n), (np.arange(n) + first) % metre + 1, "annotated", 1.0)


@pytest.mark.parametrize("metre", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("first", [0, 1])
def test_shifted_bars_lie_half_a_bar_away(metre, first):
    right = grid(metre, first=first)
    moved = beats.shifted(right)
    lines, wrong_lines = (g.times_s[g.beat_in_bar == 1] for g in (right, moved))
    apart = (wrong_lines[:, None] - lines[None]) / (metre * 0.5) % 1
    np.testing.assert_allclose(apart, 0.5)
    assert len(wrong_lines) >= len(lines) - 1
    assert tempo_bpm(moved.times_s) == pytest.approx(120)
    assert f_measure(right.times_s, moved.times_s) == (1.0 if metre % 2 == 0 else 0.0)
    assert moved.source == "annotated, shifted"
    assert moved.confidence == right.confidence


def test_shifted_beats_without_bars_lie_half_a_beat_away():
    right = Beats(np.arange(5) * 0.5, None, "librosa", 0.7)
    moved = beats.shifted(right)
    np.testing.assert_allclose(moved.times_s, [0.25, 0.75, 1.25, 1.75])
    assert moved.beat_in_bar is None


@pytest.mark.parametrize("seed", range(20))
def test_a_wrong_grid_has_another_tempo_and_the_same_metre(seed):
    right = grid(3)
    other = beats.wrong(right, 30.0, seed)
    factor = tempo_bpm(other.times_s) / 120
    assert 0.70 <= factor <= 0.85 or 1.18 <= factor <= 1.43
    assert tempo_accuracy(120, tempo_bpm(other.times_s)) == (0, 0)
    assert other.times_s.min() >= 0
    assert other.times_s.max() < 30
    assert other.times_s.max() > 30 - 0.5 / 0.7  # over the whole song
    assert set(np.diff(other.beat_in_bar)) == {1, -2}
    assert other.source == "annotated, wrong"
    again = beats.wrong(right, 30.0, seed)
    np.testing.assert_array_equal(other.times_s, again.times_s)
    np.testing.assert_array_equal(other.beat_in_bar, again.beat_in_bar)


def test_wrong_grids_differ_by_seed_and_lie_on_both_sides():
    factors = {tempo_bpm(beats.wrong(grid(4), 30.0, seed).times_s) / 120 for seed in range(20)}
    assert len(factors) == 20
    assert min(factors) < 1 < max(factors)


@pytest.mark.parametrize("places", [None, np.zeros(0, dtype=np.int64)])
def test_no_beats_stay_no_beats(places):
    nothing = Beats(np.zeros(0), places, "librosa", 0.0)
    for other in (beats.shifted(nothing), beats.wrong(nothing, 10.0, 1)):
        assert len(other.times_s) == 0
        assert other.confidence == 0
