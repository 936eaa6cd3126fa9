"""Measures of made sounds, whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import firwin, lfilter

from genrelab.audio import measure
from genrelab.audio.measure import COLUMNS, GROUPS

RATE = 44100  # Hz


def sine(dbfs: float, hz: float = 997.0, length_s: float = 4.0) -> np.ndarray:
    time_s = np.arange(int(length_s * RATE)) / RATE
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def noise(dbfs: float, length_s: float = 6.0, seed: int = 0) -> np.ndarray:
    """White, of a given RMS."""
    drawn = np.random.default_rng(seed).standard_normal(int(length_s * RATE))
    return (10 ** (dbfs / 20) * drawn).astype(np.float32)


def tilted(db_per_octave: float) -> np.ndarray:
    """White noise whose density was tilted in its Fourier transform."""
    x = np.fft.rfft(noise(-20.0, 10.0))
    hz = np.fft.rfftfreq(10 * RATE, 1 / RATE)
    x *= 10 ** (db_per_octave * np.log2(np.maximum(hz, 20.0) / 1000) / 20)
    wave = np.fft.irfft(x)
    return (0.1 * wave / wave.std()).astype(np.float32)


def low_passed(cut_hz: float) -> np.ndarray:
    return lfilter(firwin(1001, cut_hz, window=("kaiser", 12), fs=RATE), 1.0, noise(-20.0)).astype(np.float32)


def clicks(bpm: float, length_s: float = 20.0) -> np.ndarray:
    wave = noise(-70.0, length_s)
    tick = np.exp(-np.arange(2000) / 300) * np.random.default_rng(1).standard_normal(2000) * 0.5
    for beat_s in np.arange(0.5, length_s - 0.5, 60 / bpm):
        at = round(beat_s * RATE)
        wave[at : at + len(tick)] += tick.astype(np.float32)
    return wave


def test_there_is_a_value_for_every_column_and_every_group_names_columns() -> None:
    assert tuple(measure.measure(noise(-20.0), RATE)) == COLUMNS
    assert {c for names in GROUPS.values() for c in names} <= set(COLUMNS)


@pytest.mark.parametrize("dbfs", [-3.0, -20.0, -40.0])
def test_a_sine_of_a_kilohertz_has_the_loudness_that_the_standard_names(dbfs: float) -> None:
    # ITU-R BS.1770: 997 Hz at full scale on one channel is -3.01 LUFS
    assert measure.loudness_lufs(sine(dbfs), RATE) == pytest.approx(dbfs - 3.01, abs=0.1)


def test_loudness_is_that_of_the_filters_that_the_standard_prints() -> None:
    wave = noise(-25.0)  # steady, so that the gates let everything pass
    shelf = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
    high_pass = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])  # both for 48 kHz
    heard = lfilter(*high_pass, lfilter(*shelf, wave))
    assert measure.loudness_lufs(wave, 48000) == pytest.approx(-0.691 + 10 * np.log10(np.mean(heard**2)), abs=0.05)


def test_loudness_rises_with_the_gain_and_has_a_floor() -> None:
    wave = noise(-30.0)
    assert measure.loudness_lufs(2 * wave, RATE) - measure.loudness_lufs(wave, RATE) == pytest.approx(6.02, abs=0.01)
    assert measure.loudness_lufs(np.zeros(RATE, np.float32), RATE) == -70.0
    assert measure.loudness_lufs(sine(-20.0, length_s=0.1), RATE) == pytest.approx(-23.01, abs=0.3)


@pytest.mark.parametrize(("wave", "crest_db"), [(sine(-20.0), 3.01), (np.sign(sine(-20.0)) * 0.1, 0.0)])
def test_the_crest_of_a_sine_is_three_decibels_and_a_square_has_none(wave: np.ndarray, crest_db: float) -> None:
    assert measure.measure(wave, RATE)["crest_db"] == pytest.approx(crest_db, abs=0.05)


@pytest.mark.parametrize("slope", [0.0, -3.0, -6.0, 2.0])
def test_the_tilt_is_that_of_the_density(slope: float) -> None:
    found = measure.measure(tilted(slope), RATE)
    assert found["tilt_db_per_octave"] == pytest.approx(slope, abs=0.25)


@pytest.mark.parametrize("cut_hz", [3000.0, 5000.0, 11000.0, 16000.0, 19000.0])
def test_the_bandwidth_of_low_passed_noise_is_where_it_was_cut(cut_hz: float) -> None:
    wave = low_passed(cut_hz)
    for dither in (0.0, 2**-16):
        hz, db = measure.spectrum_db(wave + dither * noise(0.0, seed=1), RATE)
        assert measure.bandwidth_hz(hz, db) == pytest.approx(cut_hz, abs=250)


def test_white_noise_reaches_to_the_top_and_a_step_within_music_is_no_edge() -> None:
    assert measure.bandwidth_hz(*measure.spectrum_db(noise(-20.0), RATE)) > 0.99 * RATE / 2
    stepped = low_passed(6000.0) + 0.03 * noise(-20.0, seed=2)  # 30 dB fainter above 6 kHz, but there
    assert measure.bandwidth_hz(*measure.spectrum_db(stepped, RATE)) > 0.99 * RATE / 2


def test_the_noise_floor_is_the_level_between_the_notes_and_not_the_silence_before() -> None:
    notes = np.concatenate([noise(-20.0, 2.0), noise(-55.0, 1.0)])
    assert measure.measure(notes, RATE)["noise_floor_db"] == pytest.approx(-55, abs=0.5)
    padded = np.concatenate([np.zeros(2 * RATE, np.float32), notes])
    assert measure.measure(padded, RATE)["noise_floor_db"] == pytest.approx(-55, abs=0.5)


def test_a_third_of_silence_is_a_third() -> None:
    wave = np.concatenate([noise(-20.0, 7.0), np.zeros(3 * RATE, np.float32)])
    assert measure.measure(wave, RATE)["silent_share"] == pytest.approx(0.3, abs=0.01)
    assert measure.measure(noise(-20.0), RATE)["silent_share"] == 0


def test_the_clipped_share_of_a_sine_is_the_time_that_it_spends_above_the_limit() -> None:
    limit = 0.5
    wave = np.clip(sine(0.0, 100.0), -limit, limit)
    share = 1 - 2 * np.arcsin(limit) / np.pi  # of a cosine's period
    assert measure.clipped_share(wave) == pytest.approx(share, abs=0.01)
    assert measure.clipped_share(sine(-0.1, 100.0)) == 0
    assert measure.clipped_share(noise(-20.0)) == 0
    assert measure.clipped_share(np.clip(sine(6.0), -2, 2)) == pytest.approx(2 / 3, abs=0.01)  # what a codec overshot


@pytest.mark.parametrize("bpm", [80.0, 120.0, 150.0])
def test_the_tempo_of_clicks_is_theirs(bpm: float) -> None:
    assert measure.tempo_bpm(clicks(bpm), RATE) == pytest.approx(bpm, rel=0.01)


def test_no_beats_no_tempo_and_everything_else_is_a_number() -> None:
    for wave in (np.zeros(RATE, np.float32), noise(-20.0, 0.01), np.ones(1, np.float32)):
        found = measure.measure(wave, RATE)
        assert np.isnan(found["tempo_bpm"])
        assert all(np.isfinite(v) for k, v in found.items() if k != "tempo_bpm")
    with pytest.raises(ValueError, match="no samples"):
        measure.measure(np.zeros(0, np.float32), RATE)


def test_mfccs_are_librosas_at_the_rate_that_is_asked_for() -> None:
    import librosa
    import soxr

    wave = noise(-20.0, 2.0)
    heard = soxr.resample(wave, RATE, 22050, "HQ")
    want = librosa.feature.mfcc(y=heard, sr=22050, n_mfcc=measure.N_MFCC)
    found = measure.measure(wave, RATE)
    np.testing.assert_allclose([found[c] for c in measure.MFCC_MEANS], want.mean(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose([found[c] for c in measure.MFCC_STDS], want.std(1), rtol=1e-4, atol=1e-4)
    other = measure.measure(wave, RATE, heard_at=RATE)
    np.testing.assert_allclose(other["mfcc_mean_03"], librosa.feature.mfcc(y=wave, sr=RATE)[3].mean(), rtol=1e-4)


@settings(deadline=None, max_examples=20)
@given(gain_db=st.floats(-20, 10), seed=st.integers(0, 99))
def test_gain_moves_what_is_loud_and_nothing_else(gain_db: float, seed: int) -> None:
    wave = np.concatenate([noise(-30.0, 1.0, seed), noise(-50.0, 0.5, seed)])
    a, b = (measure.measure(w, RATE) for w in (wave, (wave * 10 ** (gain_db / 20)).astype(np.float32)))
    for name in ("crest_db", "tilt_db_per_octave", "duration_s"):
        assert b[name] == pytest.approx(a[name], abs=0.01)
    assert b["bandwidth_hz"] == pytest.approx(a["bandwidth_hz"], rel=0.01)
    for name in ("loudness_lufs", "noise_floor_db"):
        assert b[name] - a[name] == pytest.approx(gain_db, abs=0.05)


def test_the_same_samples_have_the_same_digest_and_one_other_sample_has_another() -> None:
    wave = np.round(noise(-20.0, 1.0) * 2**15) / 2**15  # as it comes out of a file of 16 bits
    changed = wave.copy()
    changed[700] += 2**-15
    assert measure.same_sound(wave) == measure.same_sound(wave + np.float32(1e-7))
    assert len({measure.same_sound(w) for w in (wave, changed, wave[:-1], np.append(wave, 0))}) == 4
