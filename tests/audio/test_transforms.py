"""What is done to a recording, by its physics: lengths, pitches, onsets, levels, spectra, places to the sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from genrelab.audio import transforms
from genrelab.audio.transforms import (
    band_limit,
    codec,
    gain,
    remaster,
    retune,
    shift_pitch,
    stretch_time,
    without_drums,
    without_harmony,
)

RATE = 22050
CLICKS_S = np.arange(0.5, 5.5, 0.5)


def tone(hz: float, length_s: float = 6.0, rate: int = RATE) -> np.ndarray:
    return (0.2 * np.sin(2 * np.pi * hz * np.arange(round(length_s * rate)) / rate)).astype(np.float32)


def hiss(length_s: float = 6.0, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(length_s * rate)).astype(np.float32)


def clicks(times_s: np.ndarray = CLICKS_S, length_s: float = 6.0) -> np.ndarray:
    """Short strokes of noise."""
    wave, stroke = np.zeros(round(length_s * RATE), np.float32), hiss(0.02) * np.hanning(round(0.02 * RATE))
    for t in times_s:
        at = round(t * RATE)
        wave[at : at + len(stroke)] += 3 * stroke
    return wave


def pitch_hz(wave: np.ndarray, rate: int = RATE) -> float:
    """The loudest frequency of the middle."""
    middle = wave[len(wave) // 4 : -len(wave) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 20))
    return float(spectrum.argmax() * rate / (1 << 20))


def onsets_s(wave: np.ndarray) -> np.ndarray:
    """Where strokes are loudest."""
    power = np.convolve(np.square(wave), np.hanning(512), "same")
    return signal.find_peaks(power, height=0.2 * power.max(), distance=RATE // 5)[0] / RATE


def level_db(wave: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(wave.astype(float)))))


def band_db(wave: np.ndarray, low_hz: float, high_hz: float) -> float:
    hz, power = signal.welch(wave, RATE, nperseg=4096)
    return float(10 * np.log10(power[(hz >= low_hz) & (hz <= high_hz)].mean() + 1e-20))


def lag(mine: np.ndarray, theirs: np.ndarray) -> int:
    """How many samples later `mine` is."""
    n = 2 * len(mine)
    alike = np.fft.irfft(np.fft.rfft(mine, n) * np.fft.rfft(theirs, n).conj(), n)
    at = int(alike.argmax())
    return at if at < len(mine) else at - n


EACH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gain": lambda w: gain(w, -6),
    "band_limit": lambda w: band_limit(w, RATE, 100, 4000),
    "shift_pitch": lambda w: shift_pitch(w, RATE, 1),
    "codec": lambda w: codec(w, RATE, 64),
    "without_drums": lambda w: without_drums(w, RATE),
    "without_harmony": lambda w: without_harmony(w, RATE),
    "remaster": lambda w: remaster(w, RATE, np.random.default_rng(3)),
}


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("n", [3000, 44101])
def test_length_stays_and_the_same_arguments_give_the_same_samples(name: str, n: int) -> None:
    wave = hiss()[:n]
    before, made = wave.copy(), EACH[name](wave)
    assert made.shape == (n,)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert np.array_equal(wave, before)  # what is given is not written to
    assert np.array_equal(made, EACH[name](wave))


@pytest.mark.parametrize("db", [-6.0, 6.0])
def test_gain_is_in_db(db: float) -> None:
    assert level_db(gain(hiss(), db)) - level_db(hiss()) == pytest.approx(db, abs=1e-3)


def test_band_limits_cut_what_lies_beyond_and_nothing_between_without_a_delay() -> None:
    wave = hiss()
    made = band_limit(wave, RATE, 200, 4000)
    assert band_db(made, 400, 3000) == pytest.approx(band_db(wave, 400, 3000), abs=0.1)
    assert band_db(made, 20, 90) < band_db(wave, 20, 90) - 60
    assert band_db(made, 8000, 10000) < band_db(wave, 8000, 10000) - 60
    assert lag(made, wave) == 0
    assert np.array_equal(band_limit(wave, RATE, 0, RATE), wave)


def test_band_limits_want_the_lower_frequency_first() -> None:
    with pytest.raises(ValueError, match="expected the lower frequency first"):
        band_limit(hiss(), RATE, 4000, 200)


@pytest.mark.parametrize("factor", [0.8, 0.94, 1.06, 1.25])
def test_stretching_moves_the_strokes_and_not_the_pitch(factor: float) -> None:
    faster = stretch_time(clicks(), RATE, factor)
    assert len(faster) == round(6 * RATE / factor)
    assert onsets_s(faster) == pytest.approx(onsets_s(clicks()) / factor, abs=0.015)
    assert pitch_hz(stretch_time(tone(440), RATE, factor)) == pytest.approx(440, rel=2e-3)
    assert level_db(stretch_time(tone(440), RATE, factor)) == pytest.approx(level_db(tone(440)), abs=0.5)


def test_stretched_strokes_stay_as_loud() -> None:
    """Where a phase vocoder takes 10 dB off some."""
    around = round(0.03 * RATE)
    for factor in (0.94, 1.06):
        made = stretch_time(clicks(), RATE, factor)
        for t in onsets_s(clicks()):
            before, after = (
                w[round(at * RATE) - around :][: 2 * around] for w, at in ((clicks(), t), (made, t / factor))
            )
            assert level_db(after) == pytest.approx(level_db(before), abs=0.5)


@pytest.mark.parametrize("semitones", [-2.0, -1.0, 0.5, 1.0, 12.0])
def test_shifting_moves_the_pitch_and_not_the_strokes(semitones: float) -> None:
    assert pitch_hz(shift_pitch(tone(440), RATE, semitones)) == pytest.approx(440 * 2 ** (semitones / 12), rel=2e-3)
    assert onsets_s(shift_pitch(clicks(), RATE, semitones)) == pytest.approx(onsets_s(clicks()), abs=0.015)


def test_tempo_and_pitch_in_one_go_are_what_each_is_alone() -> None:
    both = retune(tone(440), RATE, 1.08, -2)
    assert len(both) == round(6 * RATE / 1.08)
    assert pitch_hz(both) == pytest.approx(440 * 2 ** (-2 / 12), rel=2e-3)
    assert onsets_s(retune(clicks(), RATE, 1.08, -2)) == pytest.approx(onsets_s(clicks()) / 1.08, abs=0.015)
    assert np.array_equal(retune(hiss(), RATE, 1.0, 0.0), hiss())


def test_no_wave_is_played_backwards() -> None:
    with pytest.raises(ValueError, match="expected a positive factor"):
        stretch_time(hiss(), RATE, -1.0)


@pytest.mark.parametrize("rate", [8000, 11000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("kbps", [8, 32, 48, 64, 128, 192, 320])
def test_an_mp3_comes_back_to_the_sample_where_it_was(rate: int, kbps: int) -> None:
    wave = np.cumsum(hiss(2.0, rate)) * np.float32(0.02)
    wave -= wave.mean()
    made = codec(wave, rate, kbps)
    assert len(made) == len(wave)
    assert lag(made, wave) == 0
    assert np.corrcoef(made, wave)[0, 1] > 0.97


def test_fewer_bits_cost_more() -> None:
    wave = hiss()
    lost = [level_db(codec(wave, RATE, kbps) - wave) for kbps in (32, 64, 160)]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > lost[2] + 3
    assert band_db(codec(wave, RATE, 32), 9500, 10500) < band_db(wave, 9500, 10500) - 30  # a low-pass


def test_bitrates_that_a_rate_lacks_become_the_nearest() -> None:
    assert np.array_equal(codec(hiss(), RATE, 192), codec(hiss(), RATE, 160))
    assert np.array_equal(codec(hiss(), RATE, 57), codec(hiss(), RATE, 56))


def test_drums_go_and_a_held_tone_stays() -> None:
    held, strokes = tone(440), clicks()
    made = without_drums(held + strokes, RATE)
    # where nothing but strokes is heard, and where nothing but the tone is
    assert band_db(made, 2000, 10000) < band_db(held + strokes, 2000, 10000) - 15
    assert band_db(made, 420, 460) == pytest.approx(band_db(held + strokes, 420, 460), abs=0.5)


def test_a_held_tone_goes_and_drums_stay() -> None:
    held, strokes = tone(440), clicks()
    made = without_harmony(held + strokes, RATE)
    assert band_db(made, 420, 460) < band_db(held + strokes, 420, 460) - 15
    assert band_db(made, 2000, 10000) == pytest.approx(band_db(strokes, 2000, 10000), abs=2)
    assert onsets_s(made) == pytest.approx(onsets_s(strokes), abs=0.01)


def test_two_masters_of_a_song_differ_and_each_is_at_its_place() -> None:
    wave = hiss()
    first, second = (remaster(wave, RATE, np.random.default_rng(n)) for n in (0, 1))
    assert not np.allclose(first, second, atol=0.01)
    for made in (first, second):
        assert lag(made, wave) == 0


def test_a_level_does_not_survive_mastering() -> None:
    quiet, loud = (remaster(gain(hiss(), db), RATE, np.random.default_rng(5)) for db in (-20, 0))
    assert level_db(quiet) == pytest.approx(level_db(loud), abs=0.1)


def test_masters_spread_over_level_tilt_and_bandwidth() -> None:
    """Wider than any studio of data=synth reaches: a studio's own sound lies within."""
    from genrelab.audio import studio

    wave = hiss(2.0)
    made = [remaster(wave, RATE, np.random.default_rng(n)) for n in range(60)]
    levels = [level_db(m) for m in made]
    tilts = [band_db(m, 3000, 4000) - band_db(m, 100, 200) for m in made]
    tops = [band_db(m, 9000, 10500) - band_db(m, 1000, 3000) for m in made]
    chains = studio.chains(24, np.random.default_rng(0))
    theirs = [studio.master(wave, c, 0, 0, RATE) for c in chains]
    for mine, other in (
        (levels, [level_db(t) for t in theirs]),
        (tilts, [band_db(t, 3000, 4000) - band_db(t, 100, 200) for t in theirs]),
        (tops, [band_db(t, 9000, 10500) - band_db(t, 1000, 3000) for t in theirs]),
    ):
        assert np.std(mine) > np.std(other)
        assert min(mine) < min(other) + 1
        assert max(mine) > max(other) - 1


def test_without_strength_nothing_but_the_level_changes() -> None:
    wave = 0.1 * hiss()
    made = remaster(wave, RATE, np.random.default_rng(0), strength=0.0)
    inner = slice(4096, -4096)
    scale = np.dot(made[inner], wave[inner]) / np.dot(wave[inner], wave[inner])
    assert level_db(made[inner] - scale * wave[inner]) < level_db(made) - 30


def test_some_masters_were_an_mp3(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(transforms, "codec", lambda wave, rate, kbps: asked.append(kbps) or wave)
    n = 200
    for seed in range(n):
        remaster(hiss(0.1), RATE, np.random.default_rng(seed))
    assert 0.3 * n * transforms.CODEC_SHARE < len(asked) < 2 * n * transforms.CODEC_SHARE
    low, high = transforms.KBPS
    assert all(low <= kbps <= high for kbps in asked)
