"""Eight scores of knownness, each against another hand's computation; the threshold against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from genrelab.evaluate.rejection import CHUNK, SCORES, Evidence, Known, scores, threshold


def training(n=90, d=5, k=3, seed=0):
    """Embeddings (n, d) around k genres of one stretched shape, and the genres (n,)."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % k
    stretch = rng.normal(size=(d, d))
    return 4 * rng.normal(size=(k, d))[truth] + rng.normal(size=(n, d)) @ stretch, truth


def fit(z, truth, neighbours):
    """The textures are the embeddings turned over."""
    return Known.fit(z, -np.asarray(z), truth, neighbours)


def normed(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def evidence(logits, probabilities=None, embedding=None, vote_share=None):
    n = len(logits)
    return Evidence(
        np.asarray(logits, float),
        softmax(logits, 1) if probabilities is None else np.asarray(probabilities, float),
        np.zeros((n, 5)) if embedding is None else embedding,
        np.zeros((n, 5)) if embedding is None else -embedding,
        np.ones(n) if vote_share is None else np.asarray(vote_share),
    )


def test_the_scores_of_the_answer_itself_by_hand():
    known = fit(*training(), neighbours=1)
    logits = np.log([[0.7, 0.2, 0.1], [2.0, 2.0, 4.0]])
    found = scores(evidence(logits, vote_share=[0.8, 0.5]), known)
    assert tuple(found) == SCORES
    np.testing.assert_allclose(found["max_softmax"], [0.7, 0.5])
    np.testing.assert_allclose(found["max_logit"], np.log([0.7, 4.0]))
    np.testing.assert_allclose(found["energy"], np.log([1.0, 8.0]), atol=1e-12)  # logsumexp: log of the sum
    np.testing.assert_allclose(found["entropy"], [-entropy([0.7, 0.2, 0.1]), -entropy([0.25, 0.25, 0.5])])
    np.testing.assert_allclose(found["vote_share"], [0.8, 0.5])


def test_the_entropy_of_sigmoids_is_of_their_shares_and_of_none_is_finite():
    known = fit(*training(), neighbours=1)
    found = scores(evidence(np.zeros((3, 2)), probabilities=[[0.9, 0.9], [1.0, 0.0], [0.0, 0.0]]), known)["entropy"]
    np.testing.assert_allclose(found, [-np.log(2), 0, 0])


@pytest.mark.parametrize("neighbours", [1, 4, 500])
def test_k_nearest_is_scikit_learns_on_the_unit_sphere(neighbours):
    z, truth = training()
    asked = np.random.default_rng(1).normal(size=(CHUNK + 20, 5))  # more than are compared at a time
    k = min(neighbours, len(z))  # never more neighbours than songs
    away = NearestNeighbors(n_neighbors=k).fit(normed(z)).kneighbors(normed(asked))[0][:, -1]
    np.testing.assert_allclose(fit(z, truth, neighbours).knn(asked), -away, atol=1e-7)


def test_k_nearest_asks_for_the_direction_alone():
    z, truth = training()
    known = fit(z, truth, neighbours=3)
    np.testing.assert_allclose(known.knn(z[:9]), known.knn(70 * z[:9]), atol=1e-7)
    np.testing.assert_allclose(fit(z, truth, 1).knn(0.1 * z), 0, atol=1e-6)  # a training song lies on itself


def test_mahalanobis_is_scipys_with_the_covariance_within_genres():
    z, truth = training()
    asked = np.random.default_rng(2).normal(size=(40, 5))
    means = np.stack([z[truth == k].mean(0) for k in range(3)])
    covariance = LedoitWolf(assume_centered=True).fit(z - means[truth]).covariance_
    away = cdist(asked, means, "mahalanobis", VI=np.linalg.inv(covariance)).min(1) ** 2
    found = fit(z, truth, 1).embeddings.nearness(asked)
    np.testing.assert_allclose(found, -away, rtol=1e-4)
    np.testing.assert_allclose(fit(z, truth, 1).embeddings.nearness(means), 0, atol=1e-9)


@pytest.mark.parametrize("neighbours", [1, 4, 500])
def test_texture_is_scipys_distance_to_the_kth_nearest_song(neighbours):
    z, truth = training()
    asked = np.random.default_rng(4).normal(size=(CHUNK + 20, 5))
    means = np.stack([z[truth == k].mean(0) for k in range(3)])
    covariance = LedoitWolf(assume_centered=True).fit(z - means[truth]).covariance_
    away = np.sort(cdist(asked, -z, "mahalanobis", VI=np.linalg.inv(covariance)), 1)
    found = fit(z, truth, neighbours).texture(asked)
    np.testing.assert_allclose(found, -away[:, min(neighbours, len(z)) - 1], rtol=1e-4)


def test_genres_without_songs_and_of_any_number_are_no_trouble():
    z, truth = training()
    one, other = fit(z, truth, 2), fit(z, np.array([0, 4, 9])[truth], 2)
    np.testing.assert_array_equal(one.embeddings.nearness(z), other.embeddings.nearness(z))
    assert other.embeddings.means.shape == (3, 5)


def test_what_lies_far_is_known_less_by_every_score():
    z, truth = training(n=300)
    centre = np.stack([z[truth == k].mean(0) for k in range(3)])
    far = centre + 50 * np.linalg.svd(centre)[2][-1]  # square to all three genres
    sure, unsure = np.array([[6.0, 0, 0]] * 3), np.array([[1.0, 0.9, 0.8]] * 3)
    known = fit(z, truth, 5)
    here = scores(evidence(sure, embedding=centre, vote_share=[1.0] * 3), known)
    there = scores(evidence(unsure, embedding=far, vote_share=[0.4] * 3), known)
    for name in SCORES:
        assert (here[name] > there[name]).all(), name


def test_a_song_a_genre_leaves_plain_distances():
    z = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    known = fit(z, [0, 1, 2], neighbours=1)
    np.testing.assert_allclose(known.embeddings.nearness(np.array([[1.0, 1.0], [0.0, 5.0]])), [-1.0, -9.0])


def test_a_dimension_in_which_nothing_moves_is_far_but_not_infinitely_far():
    z, truth = training()
    z = np.column_stack([z, np.full(len(z), 7.0)])
    known = fit(z, truth, 1)
    own = known.embeddings.nearness(z)
    away = known.embeddings.nearness(z + np.eye(6)[5])
    assert np.isfinite(away).all()
    assert (away < own).all()
    assert np.isfinite(known.embeddings.precision).all()


def test_fewer_songs_than_dimensions_can_be_inverted():
    z = np.random.default_rng(0).normal(size=(6, 64))
    known = fit(z, [0, 0, 0, 1, 1, 1], 2)
    assert (known.embeddings.nearness(z) > known.embeddings.nearness(z + 5)).all()
    assert (np.linalg.eigvalsh(known.embeddings.precision) > 0).all()


def test_a_silent_embedding_has_scores():
    z, truth = training()
    known = fit(np.vstack([z, np.zeros(5)]), [*truth, 0], 3)
    assert np.isfinite(known.knn(np.zeros((2, 5)))).all()
    assert np.isfinite(known.embeddings.nearness(np.zeros((2, 5)))).all()


def test_what_is_remembered_comes_back_from_a_file(tmp_path):
    z, truth = training()
    known = fit(z, truth, 7)
    np.savez(tmp_path / "known.npz", **known.state())
    with np.load(tmp_path / "known.npz", allow_pickle=False) as stored:
        again = Known.from_state(dict(stored))
    assert again.neighbours == 7
    asked = np.random.default_rng(3).normal(size=(30, 5))
    np.testing.assert_array_equal(again.embeddings.nearness(asked), known.embeddings.nearness(asked))
    np.testing.assert_array_equal(again.texture(asked), known.texture(asked))
    np.testing.assert_allclose(again.knn(asked), known.knn(asked), atol=1e-5)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=40),
    st.one_of(st.sampled_from([0.5, 0.75, 0.9, 0.95, 1.0]), st.floats(0.01, 1.0)),
)
def test_the_threshold_is_the_largest_that_keeps_its_share(values, keep):
    score, limit = np.array(values), threshold(values, keep)

    def kept(at):
        return (score >= at).sum() >= keep * len(score) - 1e-9

    assert kept(limit)
    assert not any(kept(higher) for higher in {*values} if higher > limit)
    assert not kept(np.nextafter(limit, np.inf))


def test_ninety_five_of_a_hundred_are_kept():
    values = np.random.default_rng(0).permutation(100)
    assert (values >= threshold(values, 0.95)).sum() == 95
    assert threshold(values, 1.0) == 0
    assert 0.07 * 100 > 7  # as floats have it, and yet seven of a hundred are enough
    assert (values >= threshold(values, 0.07)).sum() == 7


@pytest.mark.parametrize("off", [0, 50])
def test_the_nearest_songs_are_those_of_scikit_learn_and_1_is_the_usual_distance(off):
    """Also where all embeddings point nearly the same way."""
    z, truth = training(60)
    z, asked = z + off, training(1, seed=4)[0] + off
    known = fit(z, truth, 1)
    order, away = known.nearest(asked[0])
    meant, index = NearestNeighbors(n_neighbors=60).fit(normed(z)).kneighbors(normed(asked))
    np.testing.assert_array_equal(order, index[0])
    apart = cdist(normed(z), normed(z))
    np.testing.assert_allclose(away, meant[0] / np.median(apart[np.triu_indices(60, 1)]))


def test_of_songs_that_are_as_near_the_first_comes_first():
    z, truth = training(40)
    order, _ = fit(np.vstack([z, z, z]), np.tile(truth, 3), 1).nearest(z[7] + 0.1)
    for song in range(40):
        assert [i for i in order if i % 40 == song] == [song, song + 40, song + 80]


def test_of_very_many_songs_some_say_what_the_usual_distance_is():
    z, truth = training(4 * CHUNK + 7)
    known = fit(z, truth, 1)
    asked = training(1, seed=4)[0]
    order, away = known.nearest(asked[0])
    apart = cdist(normed(z), normed(z))
    usual = np.median(apart[np.triu_indices(len(z), 1)])
    assert away[0] == pytest.approx(cdist(normed(asked), normed(z)).min() / usual, rel=0.05)
    assert sorted(order) == list(range(len(z)))


def test_of_one_known_song_the_nearest_is_that_one():
    order, away = fit(*training(1, k=1), 1).nearest(np.ones(5))
    assert order.tolist() == [0]
    assert np.isfinite(away).all()
    z, truth = training(1, k=1)
    known = fit(z, truth, 1)  # nothing is known of how far songs are apart: only the very same is met again
    assert known.met(z[0], -z[0]) == 0
    assert known.met(z[0] + 0.01, -z[0]) is None


def test_a_training_song_is_met_again_and_one_like_it_is_not():
    z, truth = training(60)
    known = fit(z, truth, 1)
    assert known.met(z[17], -z[17]) == 17
    assert known.met(3 * z[17] + 1e-3, -z[17]) == 17  # louder: the same direction
    assert known.met(z[17], -z[18]) is None  # only one of the two is the same
    assert known.met(z[18], -z[17]) is None
    assert known.met((z[17] + z[20]) / 2, -(z[17] + z[20]) / 2) is None
