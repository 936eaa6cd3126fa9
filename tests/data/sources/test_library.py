"""The user's own music: what of the tags becomes genre, artist, album and recording; folding; genres with too few."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genrelab.types import Track, UserError
from tests.conftest import GENRES, N_ARTISTS, TINY, Said, finished, runs_of, wave
from tests.data.sources.given import said, source, touched, tracks_of, wrong
from tests.data.sources.music import encode, needs_ffmpeg, needs_torchcodec, song


def heard(root: Path, store: Path, **overrides: object) -> dict[str, Track]:
    return {t.id: t for t in tracks_of(source("library", root, **{"min_songs": 1} | overrides), store)}


def test_a_song_is_what_its_tags_say_and_its_id_the_path_below_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "My Music"
    song(root / "Ann/One/01 a.mp3", genre="Jazz", artist="Ann", album="One", title="First", bpm="96")
    song(root / "b.flac", genre="Rock", artist="Bob")
    touched(root, "Ann/One/cover.jpg", ".trash/c.mp3")
    tracks = heard(root, tmp_path)
    assert list(tracks) == ["Ann/One/01 a.mp3", "b.flac"]
    first = tracks["Ann/One/01 a.mp3"]
    assert (first.path, first.genres, first.tempo_bpm) == (root / "Ann/One/01 a.mp3", ("Jazz",), 96.0)
    assert (first.artist, first.album, first.track) == ("ann", "one", "ann - first")
    assert source("library", root).name == "my-music"


def test_the_albums_artist_is_the_artist_unless_it_is_various(tmp_path: Path) -> None:
    names = {
        "guest.flac": {"artist": "Ann feat. Bob", "albumartist": "Ann"},
        "various.flac": {"artist": "Bob", "albumartist": "Various Artists"},
        "own.flac": {"artist": "  ANN "},
        "only.flac": {"albumartist": "Bob"},
    }
    for file, who in names.items():
        song(tmp_path / file, genre="Rock", album="Greatest  Hits", title="X", **who)
    tracks = heard(tmp_path, tmp_path)
    assert {i: t.artist for i, t in tracks.items()} == {
        "guest.flac": "ann",
        "various.flac": "bob",
        "own.flac": "ann",
        "only.flac": "bob",
    }
    assert {i: t.album for i, t in tracks.items()} == {
        "guest.flac": "ann - greatest hits",
        "various.flac": "various artists - greatest hits",
        "own.flac": "greatest hits",
        "only.flac": "bob - greatest hits",
    }
    assert tracks["own.flac"].track == tracks["guest.flac"].track == "ann - x"


def test_files_without_a_genre_are_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    song(tmp_path / "a.flac", genre="Rock", artist="Ann")
    encode(tmp_path / "x/bare.ogg", wave("noise", 0, 0, 0.2))
    song(tmp_path / "x/no genre.mp3", artist="Bob")
    (tmp_path / "x/junk.flac").write_bytes(b"junk")
    assert list(heard(tmp_path, tmp_path)) == ["a.flac"]
    assert said(caplog) == [
        "library: 3 files without a genre in their tags are left out: x/bare.ogg, x/junk.flac, x/no genre.mp3"
    ]


def test_folding_counts_what_it_folds_and_case_does_not_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i, genre in enumerate(["Hard  Rock", "hard rock", "PUNK", "Rock", "House;Punk", "ROCK;hard rock", "Jazz"]):
        song(tmp_path / f"{i}.flac", genre=genre, artist="Ann")
    fold = tmp_path / "fold.yaml"
    fold.write_text("rock: [Hard Rock, punk, grunge]\nElectronic: [house]\n", encoding="utf-8")
    tracks = heard(tmp_path, tmp_path, fold=str(fold))
    assert [t.genres for t in tracks.values()] == [
        *(("rock",), ("rock",), ("rock",), ("rock",)),
        *(("Electronic", "rock"), ("rock",), ("Jazz",)),
    ]
    assert said(caplog) == [
        "library: folded into rock: hard rock 3, punk 2",
        "library: folded into Electronic: house 1",
        "library: data.fold names sub-genres that no song has: grunge",
    ]


def test_spellings_become_the_commonest(tmp_path: Path) -> None:
    for i, genre in enumerate(["Hip-Hop", "hip-hop", "Hip-Hop", "HIP-HOP"]):
        song(tmp_path / f"{i}.flac", genre=genre, artist="Ann")
    assert {t.genres for t in heard(tmp_path, tmp_path).values()} == {("Hip-Hop",)}


def test_genres_with_too_few_songs_are_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i, genre in enumerate(["Rock", "Rock", "Rock;Ska", "Polka", "Ska;Polka", "Waltz"]):
        song(tmp_path / f"{i}.flac", genre=genre, artist="Ann")
    tracks = heard(tmp_path, tmp_path, min_songs=3)
    assert {i: t.genres for i, t in tracks.items()} == dict.fromkeys(("0.flac", "1.flac", "2.flac"), ("Rock",))
    (line,) = said(caplog)
    assert "3 genres of fewer than 3 songs are left out, and with them 3 songs: Polka 2, Ska 2, Waltz 1" in line
    assert "the most are Rock 3" in wrong("library", tmp_path, tmp_path, min_songs=4)


def test_a_folder_stands_for_an_artist_or_an_album_that_only_some_lack(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    song(tmp_path / "a/1.flac", genre="Rock", artist="Ann")
    song(tmp_path / "b/2.flac", genre="Rock")
    song(tmp_path / "b/3.flac", genre="Rock")
    tracks = heard(tmp_path, tmp_path)
    assert [t.artist for t in tracks.values()] == ["ann", "folder b", "folder b"]
    assert [t.album for t in tracks.values()] == [None, None, None]  # nobody says one: none is made up
    assert said(caplog) == [
        "library: 2 songs have no artist in their tags, their folder stands for it: b/2.flac, b/3.flac"
    ]


def test_progress_counts_the_files(tmp_path: Path) -> None:
    for i in range(3):
        song(tmp_path / f"{i}.flac", genre="Rock")
    steps: list[tuple[str, int, int]] = []
    source("library", tmp_path, min_songs=1).tracks(tmp_path, lambda *step: steps.append(step))
    assert steps == [("reading tags", n, 3) for n in (1, 2, 3)]


def test_words_that_cannot_be_followed_are_said(tmp_path: Path) -> None:
    assert "data.path=DIR" in wrong("library", None, tmp_path)
    assert "does not exist" in wrong("library", tmp_path / "no", tmp_path)
    assert "found no music file" in wrong("library", touched(tmp_path / "texts", "a.txt"), tmp_path)
    encode(tmp_path / "bare/a.flac", wave("noise", 0, 0, 0.2))
    assert "none of its 1 music files has a genre" in wrong("library", tmp_path / "bare", tmp_path)
    for few in (0, -1, 1.5, True, "many"):
        with pytest.raises(UserError, match="at least 1"):
            source("library", tmp_path, min_songs=few)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("rock: [a, b\n", "is no yaml"),
        ("[rock, jazz]\n", "expected a list of sub-genres"),
        ("rock: punk\n", "expected a list of sub-genres"),
        ("rock: [punk, {grunge: [x]}]\n", "expected names of sub-genres"),
        ("rock: [punk]\njazz: [Punk]\n", "Punk is folded into rock and jazz"),
        ("rock: [metal]\nmetal: [doom]\n", "metal is folded into rock and metal"),
        ("!!python/object/apply:os.mkdir [MADE]\n", "is no yaml"),
        (None, "is no file"),
    ],
)
def test_a_fold_that_is_none_is_said(tmp_path: Path, content: str | None, line: str) -> None:
    song(tmp_path / "a.flac", genre="Rock")
    fold = tmp_path / "fold.yaml"
    if content is not None:
        fold.write_text(content.replace("MADE", str(tmp_path / "made")))
    told = wrong("library", tmp_path, tmp_path, fold=str(fold))
    assert told.startswith(f"data.fold={fold}") and line in told
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["library", "gtzan", "fma", "jamendo", "ballroom"])
def test_a_folder_that_is_not_there_ends_with_one_line_and_2(
    tmp_path: Path, call: Callable[..., Said], name: str
) -> None:
    for words in ([], [f"data.path={tmp_path / 'no'}"], [f"data.path={touched(tmp_path / 'empty', 'a.txt')}"]):
        ended = call(f"data={name}", *words, f"store={tmp_path / 'store'}", *TINY)
        assert ended.code == 2, ended.err
        (line,) = ended.err.splitlines()
        assert "data.path" in line
    assert not runs_of(tmp_path / "store")


@needs_ffmpeg
@needs_torchcodec
def test_a_run_on_tagged_mp3_flac_ogg_and_m4a(tmp_path: Path) -> None:
    suffixes = ("mp3", "flac", "ogg", "m4a")
    for genre in GENRES:
        for artist in range(N_ARTISTS):
            path = tmp_path / "music" / f"{genre}-{artist}.{suffixes[artist % 4]}"
            song(path, wave(genre, artist, 0), genre=genre.upper(), artist=f"{genre} {artist}", title="one")
    song(tmp_path / "music/rare.flac", genre="Polka", artist="x")
    fold = tmp_path / "fold.yaml"
    fold.write_text("tones: [high, low]\n")
    store = tmp_path / "store"
    words = ["data=library", f"data.path={tmp_path / 'music'}", "data.min_songs=2", f"store={store}", *TINY]
    ended = finished(*words, f"data.fold={fold}")
    assert ended.code == 0, ended.err
    assert "folded into tones: high 8, low 8" in ended.err
    assert "Polka 1" in ended.err
    (run,) = runs_of(store)
    assert run.info.status == "FINISHED" and run.data.tags["split"] == "artist"
    assert run.data.metrics["songs/unusable"] == 0
    assert f"{3 * N_ARTISTS} songs, 2 genres" in ended.err  # every format was heard
