"""The dials of data=synth: genres of order, blends, close genres, wrong labels; each does what it says and no more."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2_contingency, chisquare
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from genrelab.data.manifest import read_manifest
from genrelab.data.synth.dials import ASPECTS, ORDERS, SILENT_S, SLICE_S, WEIGHTS, borrow, circles, follow, hush
from genrelab.data.synth.genres import ELEMENTS, GENRES
from genrelab.data.synth.plan import SongSpec
from genrelab.data.synth.render import mix, render
from genrelab.slice.base import cut
from genrelab.types import UserError
from tests.data.test_synth import rows, synth
from tests.parts import names, part

FRONTS = [name for name in names("front") if name != "bars"]  # `bars` stands on another front-end
MEMORIES = {"carfac": 0.25, "leaf": 0.001}  # their gain control has no window, and keeps so much: dB of 60, of about 2
SURE = (0.0005, 0.9995)


def ordered(**changes: Any) -> list[SongSpec]:
    return synth(order_only=True, song_s=4 * SLICE_S, **changes).songs()


def blended(**changes: Any) -> list[SongSpec]:
    return synth(**{"n_songs": 600, "blend": 0.5} | changes).songs()


# order_only


def test_both_genres_of_order_are_the_same_halves() -> None:
    assert sorted(ORDERS["rising"]) == sorted(ORDERS["falling"]) and ORDERS["rising"] == ORDERS["falling"][::-1]
    for song in ordered(n_songs=6):
        assert song.halves == ORDERS[song.genre]
        first, second = np.split(render(song), 2)
        last, begin = np.split(render(replace(song, halves=song.halves[::-1])), 2)
        assert np.array_equal(first, begin) and np.array_equal(second, last)
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.3
        assert min(np.abs(first).max(), np.abs(second).max()) > 0.01


def test_every_border_of_a_slice_is_silent_and_what_lies_between_sounds() -> None:
    for song in ordered(n_songs=6):
        assert song.n_samples == round(4 * SLICE_S * song.sample_rate)
        slices = np.abs(render(song)).reshape(4, -1)
        n = round(SILENT_S * song.sample_rate)
        assert not slices[:, :n].any() and not slices[:, -n:].any()
        assert slices[:, n : -n - 1].max(1).min() > 0.01
    gain = hush(3, 22050)
    assert gain.min() == 0 and gain.max() == 1 and np.array_equal(gain, gain[::-1])
    assert np.abs(np.diff(gain)).max() < 0.01  # no click: a fade, and no edge


def test_the_silence_is_longer_than_half_of_any_window() -> None:
    reach = {name: max(part(f"front/{name}").context_s) for name in FRONTS if name not in MEMORIES}
    assert max(reach.values()) < SILENT_S, reach
    assert part("slice/fixed").length_s == part("slice/fixed").hop_s == SLICE_S


@pytest.mark.parametrize("name", FRONTS)
def test_no_slice_shows_what_lies_beside_it(name: str) -> None:
    """A half looks alike before, behind and without the other one; to a step of half precision, as pictures are.

    Not so with amplitude=pcen, whose smoother remembers longer than a border is silent.
    """
    front, slicer = part(f"front/{name}"), part("slice/fixed")
    first, second = torch.from_numpy(render(ordered(n_songs=2)[0])).chunk(2)

    def seen(*halves: torch.Tensor) -> torch.Tensor:
        wave = torch.cat(halves)
        with torch.no_grad():
            picture = front(wave[None])[0].half().float()
        return cut(picture, slicer.spans(len(wave) / 22050), front.hop_s, slicer.n_frames)

    both, nothing = seen(first, second), torch.zeros_like(first)
    others = [both[:2] - seen(first, first)[:2], both[:2] - seen(first, nothing)[:2]]
    others += [both[2:] - seen(second, second)[2:], both[2:] - seen(nothing, second)[2:]]
    step = float(np.spacing(np.float16(both.abs().max())))
    assert max(float(other.abs().max()) for other in others) <= MEMORIES.get(name, step)
    assert float((both[:2] - both[2:]).abs().max()) > 100 * step


def features(song: SongSpec, mel: Any) -> np.ndarray:
    """(slices, features) of a song: mel bands over a slice's time, and their mean and deviation."""
    picture = mel(torch.from_numpy(render(song))[None])[0, :, : 4 * 128].numpy()
    cells = picture.reshape(32, -1, 4, 16, 8)  # bands, bins of a band, slices, times, frames of a time
    over_time = cells.mean((1, 4)).transpose(1, 0, 2).reshape(4, -1)
    return np.concatenate([over_time, cells.mean((1, 3, 4)).T, cells.std((1, 3, 4)).T], 1)


def test_a_slice_classifier_is_at_chance_and_one_of_ordered_slices_is_not() -> None:
    """Two-sided binomial bound of 99.9 % over the slices; artists are held out."""
    songs, mel = ordered(n_songs=160), part("front/mel")
    x = np.stack([features(song, mel) for song in songs])
    truth, artist = np.array([song.genre == "rising" for song in songs]), np.array([song.artist for song in songs])
    assert len(set(artist)) == 40 and truth.mean() == 0.5
    low, high = binom.ppf(SURE, 4 * len(songs), 0.5) / (4 * len(songs))
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    for model in (linear, ExtraTreesClassifier(100, random_state=0)):
        folds = GroupKFold(4)
        a_slice = cross_val_predict(
            model, x.reshape(-1, x.shape[2]), truth.repeat(4), groups=artist.repeat(4), cv=folds
        )
        assert low <= np.mean(a_slice == truth.repeat(4)) <= high
        in_order = cross_val_predict(model, x.reshape(len(x), -1), truth, groups=artist, cv=folds)
        assert np.mean(in_order == truth) > 0.95


def test_every_artist_plays_both_orders_to_one_music() -> None:
    songs = ordered(n_songs=480)
    for artist in {song.artist for song in songs}:
        own = [song for song in songs if song.artist == artist]
        assert {song.genre for song in own} == set(ORDERS)
        assert {song.artist.split("-")[0] for song in own} < set(GENRES)
    played = Counter(song.artist.split("-")[0] for song in songs)
    assert set(played) == set(GENRES)


def test_beats_of_order_count_each_half_and_leave_the_silence_before_the_border_free() -> None:
    for song in ordered(n_songs=40):
        time_s, place = song.beats()
        half_s, beat_s = song.song_s / 2, 60 / song.tempo_bpm
        gaps, first = np.diff(time_s), time_s < half_s
        border = int(first.sum()) - 1
        assert np.delete(gaps, border) == pytest.approx(beat_s)
        assert time_s[border] < half_s - SILENT_S <= time_s[border] + beat_s
        assert gaps[border] >= SILENT_S and 0 <= time_s[0] < beat_s and time_s[-1] < song.song_s
        n = int(first.sum())
        assert time_s[first] == pytest.approx(time_s[~first][:n] - half_s)
        assert np.array_equal(place[first], place[~first][:n])


# blend


def test_blend_is_the_share_of_songs_of_two_genres_and_moves_no_other_song() -> None:
    plain = synth(n_songs=600).songs()
    assert blended(blend=0.0) == plain
    more: set[str] = set()
    for blend in (0.2, 0.5, 1.0):
        songs = blended(blend=blend)
        two = {song.id for song in songs if song.partner}
        low, high = binom.ppf(SURE, 600, blend)
        assert low <= len(two) <= high and more <= two
        assert all(a == b for a, b in zip(songs, plain, strict=True) if a.partner is None)
        more = two


def test_a_label_of_two_genres_is_read_again_the_heavier_first(tmp_path: Path) -> None:
    source = synth(n_songs=12, blend=0.7, song_s=1.0, sample_rate=4000)
    table = rows(source.manifest(tmp_path))
    assert "genres" in table[0] and "genre" not in table[0]
    tracks = read_manifest(source.manifest(tmp_path))
    assert {len(track.genres) for track in tracks} == {1, 2}
    for row, track, song in zip(table, tracks, source.songs(), strict=True):
        assert track.genres[0] == track.genre == song.genre
        if song.partner is None:
            assert row["genres"] == song.genre and track.weights is None
            continue
        assert row["genres"] == f"{song.genre}:{song.weight:g}|{song.partner.genre}:{round(1 - song.weight, 2):g}"
        assert track.weights is not None and sum(track.weights) == pytest.approx(1, abs=1e-12)
        assert track.weights[0] == pytest.approx(song.weight) and song.partner.genre != song.genre
        assert row["artist"].startswith(song.genre)


def test_a_fixed_weight_is_every_weight_and_drawn_ones_fill_their_range() -> None:
    drawn = [song.weight for song in blended(blend=1.0)]
    assert WEIGHTS[0] <= min(drawn) < WEIGHTS[0] + 0.02 and WEIGHTS[1] - 0.02 < max(drawn) <= WEIGHTS[1]
    for song in blended(blend=1.0, blend_weight=0.6, n_songs=24):
        assert song.weight == 0.6
        assert song.partner and song.label == f"{song.genre}:0.6|{song.partner.genre}:0.4"
    partners = Counter((song.genre, song.partner.genre) for song in blended(n_songs=1200, blend=1.0) if song.partner)
    assert len(partners) == 30 and chisquare(list(partners.values())).pvalue > 0.001


@pytest.mark.parametrize("weight", [0.5, 0.6, 0.8])
def test_the_energies_of_the_parents_are_as_their_weights(weight: float) -> None:
    for song in blended(blend=1.0, n_songs=6, song_s=4.0):
        alone = mix(replace(song, weight=1.0)).astype(float)
        other = mix(replace(song, weight=weight)) - alone
        assert np.sum(other**2) / np.sum(alone**2) == pytest.approx((1 - weight) / weight, rel=1e-3)
        assert song.partner
        third = next(name for name in GENRES if name not in (song.genre, song.partner.genre))
        stranger = replace(song.partner, plays=dict.fromkeys(ASPECTS, third))
        changed = mix(replace(song, weight=weight, partner=stranger)) - alone
        assert abs(np.corrcoef(changed, other)[0, 1]) < 0.6  # the other parent's music, and not some gain


def test_nobody_borrows_in_a_blend() -> None:
    for song in blended(blend=1.0, overlap=1.0, n_songs=60):
        assert song.partner
        assert set(song.plays.values()) == {song.genre} and set(song.partner.plays.values()) == {song.partner.genre}


# closeness

some_genres = st.permutations(list(GENRES)).flatmap(lambda own: st.integers(1, len(own)).map(lambda n: own[:n]))


@settings(deadline=None, max_examples=150)
@given(some_genres)
def test_circles_are_pairs_and_one_of_three_where_the_number_is_odd(own: list[str]) -> None:
    found = circles(own)
    assert set(found) == set(own)
    for name, circle in found.items():
        assert name in circle and len(set(circle)) == len(circle)
        assert all(found[other] == circle for other in circle)
    different = {frozenset(circle) for circle in found.values()}
    assert sorted(name for circle in different for name in circle) == sorted(own)
    sizes = Counter(map(len, different))
    if len(own) > 1:
        assert sizes[3] == len(own) % 2 and sizes[2] == len(own) // 2 - sizes[3]


def test_the_six_genres_pair_with_neighbours() -> None:
    for name, circle in circles(list(GENRES)).items():
        assert len(circle) == 2
        assert all(other in GENRES[name].neighbours for other in circle if other != name)


def test_at_rest_closeness_moves_nothing_and_more_of_it_only_adds() -> None:
    assert synth(closeness=0.0).songs() == synth().songs()
    near, shares = circles(list(GENRES)), []
    before = None
    for closeness in (0.0, 0.25, 0.5, 0.75, 1.0):
        songs = synth(overlap=0.0, closeness=closeness).songs()
        assert all(set(song.plays.values()) <= set(near[song.genre]) for song in songs)
        away = np.array([[song.plays[a] != song.genre for a in ASPECTS] for song in songs])
        n = away.size
        low, high = binom.ppf(SURE, n, closeness / 2) / n
        assert low <= away.mean() <= high
        assert before is None or not (before & ~away).any()
        shares.append(away.mean())
        before = away
    assert all(np.diff(shares) > 0.05)


def test_at_one_the_genres_of_a_circle_are_one_distribution() -> None:
    """The same draws give the same aspects, whoever begins; over a corpus every aspect is split evenly."""
    for circle in {tuple(sorted(circle)) for circle in circles(list(GENRES)).values()}:
        for seed in range(20):
            drawn = [follow(name, circle, 1.0, np.random.default_rng(seed)) for name in circle]
            assert all(one == drawn[0] for one in drawn) and set(drawn[0]) == set(ASPECTS)
        songs = [song for song in synth(n_songs=2400, overlap=0.0, closeness=1.0).songs() if song.genre in circle]
        for aspect in ASPECTS:
            table = [[sum(s.genre == a and s.plays[aspect] == b for s in songs) for b in circle] for a in circle]
            assert chi2_contingency(table).pvalue > 0.0005
            assert chisquare(np.sum(table, 0)).pvalue > 0.0005
        tempi = [np.array([song.tempo_bpm for song in songs if song.genre == name]) for name in circle]
        assert abs(np.mean(tempi[0]) - np.mean(tempi[1])) < 4 * np.std(tempi[0]) * np.sqrt(2 / len(tempi[0]))


@pytest.mark.parametrize("circle", [("classical", "soundtrack"), ("dubstep", "rap", "electro")])
def test_at_one_loans_too_are_of_one_distribution(circle: tuple[str, ...]) -> None:
    """A loan comes from the neighbours of the genre that an element follows."""
    rng, n = np.random.default_rng(0), 1500
    expected: Counter[str] = Counter()
    for owner in circle:
        for other in GENRES[owner].neighbours:
            expected[other] += 1 / len(circle) / len(GENRES[owner].neighbours)
    for name in circle:
        lent = Counter(borrow(follow(name, circle, 1.0, rng), name, 1.0, rng)["lead"] for _ in range(n))
        assert set(lent) <= set(expected)
        assert chisquare([lent[k] for k in expected], [n * p for p in expected.values()]).pvalue > 0.0005


def test_only_elements_are_lent() -> None:
    rng = np.random.default_rng(0)
    own = follow("rap", ("rap", "dubstep"), 0.5, rng)
    lent = borrow(own, "rap", 1.0, rng)
    assert {a: own[a] for a in ASPECTS if a not in ELEMENTS} == {a: lent[a] for a in ASPECTS if a not in ELEMENTS}
    assert all(lent[e] in GENRES[own[e]].neighbours for e in ELEMENTS)
    assert borrow(own, "rap", 0.0, rng) == own


# label_noise


def test_label_noise_is_the_share_of_wrong_labels_and_touches_no_sound() -> None:
    plain = synth(n_songs=1200).songs()
    assert synth(n_songs=1200, label_noise=0.0).songs() == plain and all(s.written == s.genre for s in plain)
    wrong: set[str] = set()
    for noise in (0.1, 0.4, 1.0):
        songs = synth(n_songs=1200, label_noise=noise).songs()
        assert [replace(song, written=song.genre) for song in songs] == plain
        now = {song.id for song in songs if song.written != song.genre}
        low, high = binom.ppf(SURE, 1200, noise)
        assert low <= len(now) <= high and wrong <= now
        wrong = now
    assert len({(song.genre, song.written) for song in songs}) == 30  # every genre is taken for every other


def test_the_manifest_of_noise_keeps_the_truth_and_the_songs_are_those_of_the_truth(tmp_path: Path) -> None:
    small = {"n_songs": 12, "song_s": 1.0, "sample_rate": 4000}
    plain, noisy = (synth(label_noise=noise, **small).manifest(tmp_path) for noise in (0.0, 0.6))
    assert plain != noisy and "true_genre" not in rows(plain)[0]
    pairs = list(zip(rows(plain), rows(noisy), strict=True))
    assert 3 <= sum(b["genre"] != b["true_genre"] for _, b in pairs) <= 11
    for a, b in pairs:
        assert b.pop("true_genre") == a["genre"]
        assert {**b, "genre": a["genre"]} == a
        assert (plain.parent / a["path"]).read_bytes() == (noisy.parent / b["path"]).read_bytes()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order_only": "yes"}, ["order_only=yes", "true or false"]),
        ({"order_only": 1}, ["order_only=1"]),
        ({"order_only": True, "song_s": 10.0}, ["song_s=10.0", "even number of slices"]),
        ({"order_only": True, "song_s": 3 * SLICE_S}, ["song_s=", "even number"]),
        ({"order_only": True, "song_s": 1.0}, ["song_s=1.0"]),
        ({"order_only": True, "sample_rate": 22051}, ["sample_rate=22051", "multiple of 25"]),
        ({"order_only": True, "blend": 0.5}, ["blend=0.5", "order_only"]),
        ({"order_only": True, "closeness": 0.5}, ["closeness=0.5", "order_only"]),
        ({"order_only": True, "n_studios": 1}, ["n_studios=1"]),
        ({"blend": 1.1}, ["blend=1.1", "from 0 to 1"]),
        ({"blend": "half"}, ["blend=half", "a number"]),
        ({"blend_weight": 0.4}, ["blend_weight=0.4", "0.5 to 0.99"]),
        ({"blend_weight": 1}, ["blend_weight=1"]),
        ({"closeness": -0.1}, ["closeness=-0.1"]),
        ({"label_noise": 2}, ["label_noise=2"]),
        ({"label_noise": 0.1, "blend": 0.5}, ["blend=0.5", "label_noise"]),
        ({"genres": ["rap"], "blend": 0.5}, ["blend=0.5", "one genre"]),
        ({"genres": ["rap"], "closeness": 0.5}, ["closeness=0.5", "one genre"]),
        ({"genres": ["rap"], "label_noise": 0.5}, ["label_noise=0.5", "one genre"]),
    ],
)
def test_dials_that_cannot_be_are_refused_by_name(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        synth(**{"n_songs": 12} | changes)
    assert "\n" not in str(error.value) and str(error.value).startswith("data.")
    assert [word for word in words if word not in str(error.value)] == []
