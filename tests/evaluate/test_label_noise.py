"""Made labels whose noise is known, and models that know better."""

import numpy as np
import pytest

from genrelab.evaluate.label_noise import ceiling


def labelled(noise, n=1200, k=4, seed=0, sure=0.9):
    """(written (n,), probabilities (n, k)) of a model that is always right about the true genre, and as sure each time
    as a little chance makes it; a share `noise` of the labels is another genre's."""
    rng = np.random.default_rng(seed)
    true = np.arange(n) % k
    written = np.where(rng.random(n) < noise, (true + rng.integers(1, k, n)) % k, true)
    chance = np.clip(sure + 0.05 * rng.normal(size=n), 0.6, 1)
    p = np.full((n, k), 0.0) + ((1 - chance) / (k - 1))[:, None]
    p[np.arange(n), true] = chance
    return written, true, p


@pytest.mark.parametrize("noise", [0.1, 0.2, 0.3])
def test_an_ideal_model_finds_the_noise(noise):
    written, true, p = labelled(noise)
    found = ceiling(written, p, np.arange(len(written)), n_boot=300, seed=0)
    really = np.mean(written == true)
    assert found.ceiling == pytest.approx(really, abs=0.01)
    assert found.ceiling == pytest.approx(1 - noise, abs=0.03)
    assert found.noise == pytest.approx(1 - found.ceiling)
    assert found.lo <= really <= found.hi
    assert (found.hi - found.lo) / (2 * 1.96) == pytest.approx(np.sqrt(noise * (1 - noise) / 1200), rel=0.25)


def test_clean_labels_leave_everything_to_win():
    written, true, p = labelled(0.0)
    assert (written == true).all()
    found = ceiling(written, p, np.arange(len(written)), n_boot=50, seed=0)
    assert (found.ceiling, found.lo, found.hi, found.noise) == (1, 1, 1, 0)


def test_noise_of_one_genre_alone_is_weighed_by_its_songs():
    """A third of genre 0's labels belong elsewhere; genre 0 has a tenth of the songs."""
    true = np.repeat([0, 1, 1, 2], [60, 30, 450, 360])
    written = np.repeat([0, 0, 1, 2], [60, 30, 450, 360])
    p = 0.9 * np.eye(3)[true] + 0.1 / 3
    found = ceiling(written, p, np.arange(900), n_boot=50, seed=0)
    assert found.ceiling == pytest.approx(1 - 30 / 900)


def test_a_song_that_reaches_no_genres_mean_says_nothing():
    written = np.array([0, 0, 0, 1, 1, 1])
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.1, 0.9], [0.6, 0.4]])
    # means: .767 of genre 0, .733 of genre 1; the third and the last song reach neither
    found = ceiling(written, p, np.arange(6), n_boot=20, seed=0)
    assert found.ceiling == 1


def test_the_ceiling_is_counted_by_hand():
    """Genre 0: of three songs that say something one is meant as 1; genre 1: all two as written."""
    written = np.array([0, 0, 0, 1, 1])
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.05, 0.95], [0.1, 0.9], [0.1, 0.9]])
    found = ceiling(written, p, np.arange(5), n_boot=20, seed=0)
    assert found.ceiling == pytest.approx((3 * 2 / 3 + 2 * 1) / 5)


def test_a_genre_of_one_song_that_is_meant_as_another():
    """Its song reaches the mean of its own genre, which is its own probability, but surely is of the other."""
    found = ceiling([0, 0, 0, 1], [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.95, 0.05]], np.arange(4), n_boot=20, seed=0)
    assert found.ceiling == 3 / 4


def test_a_weak_model_makes_the_ceiling_too_low_never_too_high():
    rng = np.random.default_rng(1)
    truth = np.arange(2000) % 4
    said = np.where(rng.random(2000) < 0.7, truth, rng.integers(0, 4, 2000))
    p = 0.8 * np.eye(4)[said] + 0.05
    assert ceiling(truth, p, np.arange(2000), n_boot=20, seed=0).ceiling < 0.85  # though no label is wrong


def test_a_genre_without_songs_is_nobodys():
    written, _, p = labelled(0.2, k=4)
    wide = np.column_stack([p, np.full(len(p), 0.99)])
    own = ceiling(written, p, np.arange(len(p)), n_boot=20, seed=0)
    assert ceiling(written, wide, np.arange(len(p)), n_boot=20, seed=0) == own


def test_one_group_has_a_point_and_no_interval():
    written, _, p = labelled(0.2, n=40)
    found = ceiling(written, p, np.zeros(40), n_boot=20, seed=0)
    assert 0.5 < found.ceiling < 1
    assert np.isnan([found.lo, found.hi]).all()
