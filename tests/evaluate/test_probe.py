"""What a cue costs, against hand counts and the difference of two runs; what embeddings tell."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import balanced_accuracy_score, label_ranking_average_precision_score

from genrelab.evaluate import Predictions, difference
from genrelab.evaluate.probe import MARGIN, Asked, falls, reading, shifted, simultaneous

OPTIONS = {"n_boot": 2000, "seed": 0}
K = 3


def songs(n=120, wrong=0.1, seed=0):
    """(truth, groups of 4 songs in one genre, probabilities of which a share is wrong)."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(K), n // K)
    return truth, np.arange(n) // 4, said(truth, wrong, rng)


def said(truth, wrong, rng):
    decided = np.where(rng.random(len(truth)) < wrong, (truth + 1) % K, truth)
    p = rng.uniform(0.01, 0.2, (len(truth), K))
    p[np.arange(len(truth)), decided] = 1
    return p / p.sum(1, keepdims=True)


def asked(truth, groups, before):
    return Asked(np.eye(K)[truth] > 0, groups, before)


def test_a_fall_is_the_difference_of_two_runs_and_its_interval_theirs():
    truth, groups, before = songs()
    after = said(truth, 0.4, np.random.default_rng(1))
    (fall,) = falls(asked(truth, groups, before), {"x": after[None]}, **OPTIONS)
    one, two = (Predictions([str(i) for i in range(120)], truth, p.argmax(1), groups, K) for p in (before, after))
    d = difference(one, two, "balanced_accuracy", **OPTIONS)
    assert fall.fall == pytest.approx(d.points)
    assert fall.before == pytest.approx(balanced_accuracy_score(truth, before.argmax(1)))
    assert fall.after == pytest.approx(balanced_accuracy_score(truth, after.argmax(1)))
    assert (fall.lo, fall.hi) == pytest.approx((d.lo, d.hi), abs=0.012)  # of one cue alone it is the usual interval
    assert fall.n_groups_min == d.n_groups_min == 10
    assert fall.named
    assert fall.stays == np.mean(before.argmax(1) == after.argmax(1))


def test_genres_fall_by_their_own_songs():
    truth, groups, before = songs(wrong=0)
    after = before.copy()
    hit = np.flatnonzero(truth == 1)[:8]  # two of its ten groups, whole
    after[hit] = np.roll(after[hit], 1, axis=1)
    (fall,) = falls(asked(truth, groups, before), {"x": after[None]}, **OPTIONS)
    assert [g[0] for g in fall.genres] == [0, pytest.approx(8 / 40), 0]
    assert fall.genres[0] == (0, 0, 0)
    assert fall.genres[1][1] < 0.2 < fall.genres[1][2]
    assert fall.fall == pytest.approx(8 / 40 / 3)
    assert fall.stays == 1 - 8 / 120


def test_versions_are_averaged():
    truth, groups, before = songs()
    rng = np.random.default_rng(1)
    one, two = said(truth, 0.3, rng), said(truth, 0.6, rng)
    each = falls(asked(truth, groups, before), {"a": one[None], "b": two[None], "ab": np.stack([one, two])}, **OPTIONS)
    a, b, both = each
    for figure in ("fall", "stays", "shift"):
        assert getattr(both, figure) == pytest.approx((getattr(a, figure) + getattr(b, figure)) / 2)


def test_what_changes_nothing_costs_nothing():
    truth, groups, before = songs()
    (fall,) = falls(asked(truth, groups, before), {"x": before[None]}, **OPTIONS)
    assert (fall.fall, fall.lo, fall.hi, fall.shift) == (0, 0, 0, 0)
    assert fall.stays == 1
    assert not fall.named


def test_a_cue_is_named_by_the_lower_end_and_not_by_the_fall():
    truth, groups, before = songs(n=36, wrong=0)
    after = before.copy()
    after[:4] = np.roll(after[:4], 1, axis=1)  # one group of three in one genre
    (fall,) = falls(asked(truth, groups, before), {"x": after[None]}, **OPTIONS)
    assert fall.fall > MARGIN
    assert fall.lo < MARGIN
    assert not fall.named


def test_with_one_group_a_genre_nothing_is_said():
    truth, _, before = songs()
    (fall,) = falls(asked(truth, truth, before), {"x": said(truth, 1, np.random.default_rng(1))[None]}, **OPTIONS)
    assert np.isnan([fall.lo, fall.hi]).all()
    assert fall.fall > 0.5
    assert not fall.named


def test_simultaneous_intervals_hold_all_figures_at_once_in_95_percent_of_the_worlds():
    """Of independent normal figures; intervals of each by itself hold them all in .95 ** 8, two of three worlds."""
    rng, n_cues, n_worlds = np.random.default_rng(0), 8, 600
    scale = np.linspace(0.5, 4, n_cues)
    draws = rng.normal(0, scale, (4000, n_cues))
    held = 0
    for at in rng.normal(0, scale, (n_worlds, n_cues)):
        lo, hi = simultaneous(at, at + draws)
        held += bool(((lo < 0) & (hi > 0)).all())
        np.testing.assert_allclose(lo + hi, 2 * at)
        np.testing.assert_allclose((hi - lo) / draws.std(0), (hi - lo)[0] / draws[:, 0].std())  # each by its own error
    assert held / n_worlds == pytest.approx(0.95, abs=0.03)


def test_the_more_cues_the_wider():
    truth, groups, before = songs()
    rng = np.random.default_rng(1)
    after = {f"cue {i}": said(truth, 0.3, rng)[None] for i in range(8)}
    alone = falls(asked(truth, groups, before), {"cue 0": after["cue 0"]}, **OPTIONS)[0]
    among = falls(asked(truth, groups, before), after, **OPTIONS)[0]
    assert among.fall == alone.fall
    assert among.lo < alone.lo
    assert among.hi > alone.hi


def test_the_shift_is_the_jensen_shannon_divergence():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(4), 30), rng.dirichlet(np.ones(4), 30)
    np.testing.assert_allclose(shifted(p, q, several=False), jensenshannon(p, q, axis=1, base=2) ** 2)
    sure = np.eye(2)
    np.testing.assert_allclose(shifted(sure, sure[::-1], several=False), 1)  # as far as two answers can be
    assert shifted(p, q, several=True)[0] == pytest.approx(
        np.mean([jensenshannon([a, 1 - a], [b, 1 - b], base=2) ** 2 for a, b in zip(p[0], q[0], strict=True)])
    )


def test_songs_of_several_genres_are_ranked():
    rng = np.random.default_rng(0)
    there = rng.random((60, K)) < 0.5
    there[~there.any(1), 0] = True
    before, after = rng.random((60, K)), rng.random((60, K))
    cut = np.full(K, 0.5)
    (fall,) = falls(Asked(there, np.arange(60) // 3, before, cut), {"x": after[None]}, **OPTIONS)
    assert fall.before == pytest.approx(label_ranking_average_precision_score(there, before))
    assert fall.after == pytest.approx(label_ranking_average_precision_score(there, after))
    assert fall.stays == np.mean(((before > 0.5) == (after > 0.5)).all(1))
    assert fall.shift == pytest.approx(shifted(before, after, several=True).mean())
    assert (fall.n, fall.n_groups_min) == (60, min(len(set(np.flatnonzero(t) // 3)) for t in there.T))


def told(n=160, seed=0):
    """Four studios, two genres, the number of the song."""
    rng = np.random.default_rng(seed)
    genre = rng.integers(0, 2, n)
    home = rng.random(n) < 0.9
    studio = np.where(home, 2 * genre + rng.integers(0, 2, n), rng.integers(0, 4, n))
    return genre, studio, rng


def read(z, studio, genre, held=None, space=None):
    n = len(z)
    held, space = np.arange(n) if held is None else held, np.zeros(n) if space is None else space
    names = np.array([f"studio {s}" for s in studio])
    return reading("studio", z, names, held, "songs", genre, space, **OPTIONS)


def test_a_studio_that_is_in_the_embedding_is_read_off_it():
    genre, studio, rng = told()
    r = read(np.eye(4)[studio] + 0.05 * rng.normal(size=(160, 4)), studio, genre)
    assert r.reached > 0.97
    assert r.chance == 0.25
    assert 0.35 < r.by_genre < 0.6  # of two home studios a genre
    assert r.lo <= r.reached <= r.hi
    assert (r.n, r.n_classes) == (160, 4)


def test_an_embedding_of_the_genre_alone_reads_no_more_than_the_genre():
    genre, studio, rng = told()
    r = read(np.eye(2)[genre] + 0.01 * rng.normal(size=(160, 2)), studio, genre)
    assert r.reached == pytest.approx(r.by_genre, abs=0.12)
    noise = read(rng.normal(size=(160, 4)), rng.permutation(studio), genre)
    assert noise.lo < noise.chance + 0.05
    assert noise.reached < 0.4


def test_what_is_held_out_is_not_learned_by_heart():
    """Twins share a name of their own and nothing with others of their studio."""
    rng = np.random.default_rng(0)
    z = np.repeat(rng.normal(size=(40, 120)), 2, axis=0)
    studio, twin = np.repeat(rng.integers(0, 2, 40), 2), np.repeat(np.arange(40), 2)
    genre = np.zeros(80, dtype=int)
    by_song, by_twin = read(z, studio, genre), read(z, studio, genre, held=twin)
    assert by_song.reached > 0.8  # one twin in five is left out together with its other
    assert by_twin.reached < 0.7


def test_embeddings_of_two_models_are_read_apart():
    genre, studio, rng = told()
    fold = rng.integers(0, 2, 160)
    z = np.eye(4)[(studio + 2 * fold) % 4]  # each model has its own axes
    assert read(z, studio, genre, space=fold).reached > 0.97
    assert read(z, studio, genre).reached < 0.8


def test_chance_is_that_of_the_values_that_each_model_is_asked_for():
    """Ninety songs of two studios by one model and thirty of three by another, of which one has a single song."""
    rng = np.random.default_rng(0)
    space = np.repeat([0, 1], [90, 31])
    studio = np.concatenate([np.arange(90) % 2, np.arange(30) % 3, [9]])
    z, genre = rng.normal(size=(121, 3)), studio % 2
    r = read(z, studio, genre, space=space)
    assert (r.n, r.n_classes) == (120, 3)
    assert r.chance == pytest.approx((90 * 1 / 2 + 30 * 1 / 3) / 120)
    by_song, by_album = (read(z[:90], studio[:90], genre[:90], held=held) for held in (None, np.arange(90) // 6))
    assert by_song.held_out == "songs" and by_song.what == "studio"
    assert by_album.hi - by_album.lo != by_song.hi - by_song.lo  # drawn by what is held out


def test_who_is_taught_one_studio_alone_says_that_one():
    """Two folds: a large album of one studio, and two small ones; the large one's reader knows no other studio."""
    studio, held = np.repeat([1, 0, 0, 1], [100, 5, 5, 5]), np.repeat([0, 1, 2, 2], [100, 5, 5, 5])
    r = read(np.eye(2)[studio], studio, np.zeros(115, dtype=int), held=held)
    assert r.reached == (0 + 1) / 2


def test_a_studio_of_few_songs_is_looked_for_as_hard_as_one_of_many():
    """Two normal clouds two deviations apart: the middle between them is right on 84 % of each, whatever their size."""
    rng = np.random.default_rng(0)
    studio = np.repeat([0, 1], [900, 60])
    r = read(2 * studio[:, None] + rng.normal(size=(960, 1)), studio, np.zeros(960, dtype=int))
    assert r.reached == pytest.approx(0.84, abs=0.04)


def test_a_model_whose_songs_are_all_of_one_studio_leaves_those_of_the_others():
    studio, space = np.repeat([0, 0, 1], [20, 20, 20]), np.repeat([0, 1], [20, 40])
    r = read(np.eye(2)[studio], studio, np.zeros(60, dtype=int), space=space)
    assert (r.n, r.n_classes, r.reached) == (40, 2, 1)


def test_every_studio_counts_alike_however_many_songs_it_has():
    """One of 200 songs is told for sure, two of 50 sound the same: (1 + 1/2 + 1/2) / 3."""
    rng = np.random.default_rng(0)
    studio = np.repeat([0, 1, 2], [200, 50, 50])
    z = 9.0 * (studio == 0)[:, None] + rng.normal(size=(300, 2))
    assert read(z, studio, np.zeros(300, dtype=int)).reached == pytest.approx(2 / 3, abs=0.07)


def test_the_genre_itself_is_no_hint_at_the_genre():
    genre, _, rng = told()
    z = np.eye(2)[genre] + 0.1 * rng.normal(size=(160, 2))
    r = reading("genre", z, genre.astype(str), np.arange(160), "artists", genre, np.zeros(160), **OPTIONS)
    assert r.reached > 0.97
    assert np.isnan(r.by_genre)


def test_two_albums_are_enough_to_read_one_by_what_the_other_taught():
    z, held = np.array([[0.0], [1.0], [0.1], [0.9]] * 3), np.repeat([0, 1], 6)
    r = read(z, np.tile([0, 1], 6), np.zeros(12, dtype=int), held=held)
    assert (r.reached, r.chance, r.n_classes) == (1, 0.5, 2)
    assert r.by_genre == pytest.approx(0.5)  # of one genre: a guess


def test_a_studio_of_one_song_cannot_be_read():
    rng = np.random.default_rng(0)
    z, genre = rng.normal(size=(10, 3)), np.zeros(10, dtype=int)
    assert read(z, np.arange(10), genre) is None
    r = read(z, np.array([0, 0, 0, 1, 1, 1, 2, 3, 4, 5]), genre)
    assert (r.n, r.n_classes, r.chance) == (6, 2, 0.5)
