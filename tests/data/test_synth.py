"""data=synth: the manifest tells the truth, the dials do what they say, the samples do not depend on who made them."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from scipy.stats import chi2_contingency

from genrelab.data.synth.corpus import COLUMNS, DIALS, VERSION, Synth
from genrelab.data.synth.genres import ELEMENTS, GENRES
from genrelab.data.synth.plan import SongSpec, home_studios
from genrelab.data.synth.render import render
from genrelab.paths import conf_dir
from genrelab.types import UserError

SOUNDED = {
    "hardcore-000": (176.6, 0.098836, 0.06847, 697.10),
    "dubstep-000": (147.5, 0.305515, 0.21588, 1818.91),
    "electro-000": (127.54, 0.428601, 0.20273, 297.84),
    "classical-000": (143.83, 0.43114, 0.14830, 788.29),
    "soundtrack-000": (89.96, 0.511269, 0.08749, 1116.96),
    "rap-000": (132.05, 0.93482, 0.11675, 957.01),
}


def synth(**changes: Any) -> Synth:
    """The yaml's corpus, with changes."""
    conf = yaml.safe_load((conf_dir() / "data" / "synth.yaml").read_text())
    assert conf.pop("_target_") == "genrelab.data.synth.corpus.Synth"
    return Synth(**conf | {"n_songs": 960, "sample_rate": 22050, "n_jobs": 1} | changes)


def rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def home_share(songs: list[SongSpec]) -> float:
    homes = home_studios(list(GENRES), 24, 0)
    return float(np.mean([int(song.chain.name.removeprefix("studio-")) in homes[song.genre] for song in songs]))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of 12 songs, made by one process."""
    return synth(n_songs=12).manifest(tmp_path_factory.mktemp("störe [1]"))


def test_same_samples_from_two_processes_and_from_a_larger_corpus(corpus: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    other = synth(n_songs=18, n_jobs=2).manifest(tmp_path, lambda *step: seen.append(step))
    assert seen[-1] == ("making songs", 18, 18) and [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    for row in rows(corpus):
        assert (corpus.parent / row["path"]).read_bytes() == (other.parent / row["path"]).read_bytes()
        assert (corpus.parent / row["beats"]).read_bytes() == (other.parent / row["beats"]).read_bytes()


def test_another_seed_is_another_corpus() -> None:
    one, two = synth(n_songs=6), synth(n_songs=6, seed=1)
    assert one.digest != two.digest
    for a, b in zip(one.songs(), two.songs(), strict=True):
        x, y = render(replace(a, song_s=3.0)), render(replace(b, song_s=3.0))
        assert abs(np.corrcoef(x, y)[0, 1]) < 0.5


def test_what_changes_the_sound_changes_the_digest() -> None:
    base = synth()
    assert synth(n_jobs=2).digest == base.digest
    changes: list[dict[str, Any]] = [
        {"overlap": 0.9},
        {"song_s": 5},
        {"n_studios": 12},
        {"studio_genre_correlation": 0.9},
    ]
    assert len({base.digest, *(synth(**change).digest for change in changes)}) == 5


def test_a_dial_at_rest_leaves_the_digest_as_it_was() -> None:
    """The digest of the days before the dials, counted by hand: older corpora are found again."""
    base = synth()
    older = {k: v for k, v in base.parameters.items() if k not in DIALS}
    assert set(older) == {
        "genres", "n_songs", "song_s", "n_artists_per_genre", "n_albums_per_artist", "n_studios",
        "studio_genre_correlation", "overlap", "seed", "sample_rate",
    }  # fmt: skip
    text = json.dumps({"version": VERSION, **older}, sort_keys=True)
    assert base.digest == hashlib.sha256(text.encode()).hexdigest()[:12]
    assert synth(unknown="elsewhere", tree="tree.yaml", beats="estimated").digest == base.digest
    moved: list[dict[str, Any]] = [
        {"order_only": True},
        {"blend": 0.5},
        {"blend": 0.5, "blend_weight": 0.6},
        {"closeness": 0.5},
        {"label_noise": 0.5},
    ]
    assert len({base.digest, *(synth(**change).digest for change in moved)}) == 6


def test_songs_of_this_version_sound_as_they_did() -> None:
    """Tempo, place in the bar, loudness and spectral centroid of the first songs ever made: else raise VERSION."""
    conf = {"n_songs": 12, "song_s": 3.0, "seed": 0, "overlap": 0.0, "n_studios": 24, "studio_genre_correlation": 0.0}
    for song in synth(**conf, n_artists_per_genre=20, n_albums_per_artist=2).songs()[:6]:
        wave = render(song).astype(float)
        power, hz = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(len(wave), 1 / song.sample_rate)
        found = (song.tempo_bpm, song.phase, np.sqrt(np.mean(wave**2)), np.sum(power * hz) / power.sum())
        assert found == pytest.approx(SOUNDED[song.id], rel=1e-3)


def test_manifest_tells_the_truth(corpus: Path) -> None:
    songs = {song.id: song for song in synth(n_songs=12).songs()}
    song_s = synth().song_s
    assert tuple(rows(corpus)[0]) == COLUMNS
    assert Counter(row["genre"] for row in rows(corpus)) == dict.fromkeys(GENRES, 2)
    for row in rows(corpus):
        info = soundfile.info(corpus.parent / row["path"])
        assert (info.samplerate, info.channels, info.subtype) == (22050, 1, "PCM_16")
        assert info.duration == pytest.approx(song_s, abs=1e-4)
        time_s, beat = np.loadtxt(corpus.parent / row["beats"], delimiter=",", skiprows=1, unpack=True)
        assert np.diff(time_s) == pytest.approx(60 / float(row["tempo_bpm"]), abs=1.1e-4)
        assert 0 <= time_s[0] < 60 / float(row["tempo_bpm"]) and time_s[-1] < song_s
        assert set(beat) == set(range(1, int(row["beats_per_bar"]) + 1))
        assert np.all(np.diff(beat) % int(row["beats_per_bar"]) == 1)
        assert row["studio"] == songs[row["id"]].chain.name


def test_artists_and_albums_nest_in_genres() -> None:
    songs = synth(n_songs=960, n_artists_per_genre=20).songs()
    assert len({song.id for song in songs}) == 960
    assert set(Counter(song.genre for song in songs).values()) == {160}
    for outer, inner, n_inner in (("genre", "artist", 120), ("artist", "album", 240)):
        pairs = {(getattr(song, outer), getattr(song, inner)) for song in songs}
        assert len(pairs) == len({name for _, name in pairs}) == n_inner
    assert {song.beats_per_bar for song in songs} == {3, 4}


def test_without_correlation_studio_and_genre_are_independent() -> None:
    songs = synth(n_songs=2400, studio_genre_correlation=0.0).songs()
    table = np.zeros((6, 24))
    for song in songs:
        table[list(GENRES).index(song.genre), int(song.chain.name[-2:])] += 1
    assert chi2_contingency(table).pvalue > 0.01
    studios_of: dict[str, set[str]] = {}
    for song in songs:
        studios_of.setdefault(song.artist, set()).add(song.chain.name)
    assert min(map(len, studios_of.values())) >= 5  # artists span studios


@pytest.mark.parametrize(("rho", "low", "high"), [(0.0, 0.13, 0.21), (0.9, 0.88, 0.95), (1.0, 1.0, 1.0)])
def test_correlation_is_the_share_of_songs_at_home(rho: float, low: float, high: float) -> None:
    assert low <= home_share(synth(studio_genre_correlation=rho).songs()) <= high


@pytest.mark.parametrize("n_studios", [6, 7, 25])
def test_every_studio_is_home_to_one_genre(n_studios: int) -> None:
    homes = home_studios(list(GENRES), n_studios, 0)
    assert sorted(studio for own in homes.values() for studio in own) == list(range(n_studios))
    assert len(synth(n_songs=12, n_studios=n_studios, studio_genre_correlation=1.0).songs()) == 12


def test_dials_are_paired() -> None:
    """Another correlation moves songs to other studios and touches no note; more overlap only adds loans."""
    for a, b in zip(synth().songs(), synth(studio_genre_correlation=0.9).songs(), strict=True):
        assert replace(a, chain=b.chain) == b
    loans = []
    for overlap in (0.0, 0.3, 1.0):
        songs = synth(overlap=overlap).songs()
        loans.append(np.array([[song.plays[e] != song.genre for e in ELEMENTS] for song in songs]))
    assert loans[0].mean() == 0 and loans[2].mean() == 1 and 0.27 < loans[1].mean() < 0.33


def test_sound_is_finite_audible_and_below_the_ceiling() -> None:
    for song in synth(n_songs=24, song_s=6.0, studio_genre_correlation=0.5).songs():
        wave = render(song)
        assert wave.shape == (song.n_samples,) and wave.dtype == np.float32 and np.isfinite(wave).all()
        assert np.abs(wave).max() <= 10 ** (song.chain.ceiling_dbfs / 20) + 1e-6
        assert np.sqrt(np.mean(wave**2)) > 0.02


@pytest.mark.parametrize(("song_s", "sample_rate"), [(1.0, 22050), (2.5, 16000), (3.0, 44100)])
def test_other_lengths_and_rates(song_s: float, sample_rate: int) -> None:
    for song in synth(n_songs=6, song_s=song_s, sample_rate=sample_rate).songs():
        wave = render(song)
        assert wave.shape == (round(song_s * sample_rate),) and np.abs(wave).max() > 0.01


def test_a_half_made_corpus_is_completed(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, made = synth(n_songs=12), []

    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source.manifest(tmp_path, stop)
    assert not list(tmp_path.glob("data/*/manifest.csv"))  # nothing looks complete
    monkeypatch.setattr("genrelab.data.synth.corpus.render", lambda song: made.append(song.id) or render(song))
    manifest = source.manifest(tmp_path)
    assert 0 < len(made) < 12  # finished songs were kept
    for row in rows(corpus):
        assert (corpus.parent / row["path"]).read_bytes() == (manifest.parent / row["path"]).read_bytes()
    monkeypatch.setattr("genrelab.data.synth.corpus.render", None)
    assert source.manifest(tmp_path) == manifest  # found, not made


def test_a_hardcore_song_pulses_at_its_tempo() -> None:
    """The onset energy repeats at the beat, and not at a period in between."""
    songs = [song for song in synth(n_songs=240, overlap=0.0, song_s=12.0).songs() if song.genre == "hardcore"]
    song = next(song for song in songs if "four" in song.choose(GENRES["hardcore"].drums.parts, "drums part"))
    hop = 220
    wave = render(song)
    frames = np.lib.stride_tricks.sliding_window_view(wave, 1024)[::hop] * np.hanning(1024)
    energy = np.log(1e-3 + np.abs(np.fft.rfft(frames))).mean(1)
    onsets = np.maximum(np.diff(energy), 0)
    onsets -= onsets.mean()
    repeat = np.correlate(onsets, onsets, "full")[len(onsets) - 1 :]
    lag = 60 / song.tempo_bpm * song.sample_rate / hop

    def near(beats: float) -> float:
        return float(repeat[round(beats * lag) - 1 : round(beats * lag) + 2].max() / repeat[0])

    assert near(1) > 0.3 and near(1) > 2 * max(near(0.8), near(1.2), near(0.65))


def test_the_studio_is_in_the_spectrum() -> None:
    """Its band limit takes the highs away, its noise fills the silence, its tilt leans."""

    def band_db(song: SongSpec, low_hz: float, high_hz: float) -> float:
        wave = render(song)
        power, hz = np.abs(np.fft.rfft(wave)) ** 2, np.fft.rfftfreq(len(wave), 1 / song.sample_rate)
        return float(10 * np.log10(power[(hz > low_hz) & (hz < high_hz)].sum() / power.sum()))

    def heard(genre: str, **settings: float) -> SongSpec:
        songs = [song for song in synth(song_s=6.0, overlap=0.0).songs() if song.genre == genre]
        if genre == "classical":  # no cymbals and no breath to hide the noise
            bare = {"drums": "none/orchestral", "lead": "piano/phrase"}
            songs = [
                s for s in songs if all(s.choose(getattr(GENRES[genre], e).parts, f"{e} part") == bare[e] for e in bare)
            ]
        song = songs[0]
        neutral = {"tilt_db_oct": 0.0, "high_cut_hz": 10500.0, "noise_dbfs": -75.0}
        return replace(song, chain=replace(song.chain, **neutral | settings))

    neutral = band_db(heard("electro"), 7000, 9000)
    assert band_db(heard("electro", high_cut_hz=5000.0), 7000, 9000) < neutral - 15
    up, down = heard("electro", tilt_db_oct=1.0), heard("electro", tilt_db_oct=-1.0)
    assert band_db(up, 3000, 8000) > band_db(down, 3000, 8000) + 4
    quiet, noisy = heard("classical"), heard("classical", noise_dbfs=-45.0)
    assert band_db(noisy, 9000, 10000) > band_db(quiet, 9000, 10000) + 6


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"genres": ["polka"]}, "polka"),
        ({"genres": []}, "none"),
        ({"genres": ["rap", "rap"]}, "different"),
        ({"n_songs": 0}, "n_songs=0"),
        ({"n_songs": "abc"}, "whole number"),
        ({"n_songs": 2.5}, "whole number"),
        ({"overlap": float("nan")}, "a number"),
        ({"studio_genre_correlation": 1.5}, "from 0 to 1"),
        ({"overlap": -0.1}, "overlap"),
        ({"n_studios": 5}, "n_studios=5"),
        ({"song_s": 0}, "song_s"),
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_parameters_end_in_one_line(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError) as error:
        synth(**changes)
    assert word in str(error.value) and "\n" not in str(error.value)
