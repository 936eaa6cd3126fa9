"""Manifests: what a row means, and one clear line for whatever is wrong with it."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genrelab.data.manifest import manifest_rows, read_beats, read_manifest, slug
from genrelab.types import UserError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def table(folder: Path, text: str, name: str = "manifest.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def wrong(path: Path, columns: dict[str, str] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        read_manifest(path, columns)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_the_shortest_manifest(tmp_path: Path) -> None:
    a, b = read_manifest(table(tmp_path, "path,genre\nrock/a.b.wav,rock\n../x.mp3, jazz \n"))
    assert a.path == tmp_path / "rock" / "a.b.wav"
    assert (a.id, a.genres, a.start_s, a.duration_s, a.artist) == ("rock/a.b", ("rock",), 0.0, None, None)
    assert b.path == tmp_path.parent / "x.mp3"
    assert b.genres == ("jazz",)


def test_every_column(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "id,path,genres,artist,album,studio,track,group,start_s,duration_s,split,fold,tempo_bpm,beats,licence,mood\n"
        '7,a.ogg,rock| pop |rock,"Earth, Wind",Al,St,Tr,Gr,1.5,30,test,3,120.5,b/a.csv,CC0,sad\n',
    )
    (track,) = read_manifest(path)
    assert track.id == "7"
    assert track.genres == ("rock", "pop")
    assert (track.artist, track.album, track.studio, track.track, track.group) == (
        "Earth, Wind",
        "Al",
        "St",
        "Tr",
        "Gr",
    )
    assert (track.start_s, track.duration_s, track.tempo_bpm) == (1.5, 30.0, 120.5)
    assert (track.split, track.licence, track.beats) == ("test", "CC0", tmp_path / "b" / "a.csv")


def test_fold_is_the_split_where_there_is_no_split(tmp_path: Path) -> None:
    (track,) = read_manifest(table(tmp_path, "path,genre,fold\na.wav,rock,3\n"))
    assert track.split == "3"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_the_row_that_is_not_utf_8_is_named(tmp_path: Path, ends: str) -> None:
    path = tmp_path / "latin.csv"
    text = ends.join(["path;genre;artist", '"a\nb.wav";rock;"', 'Ann"', "", "c.wav;rock;Björk", "d.wav;rock;Zoë"])
    path.write_bytes(text.encode("latin-1"))
    assert f"row 4: not UTF-8 (byte {text.encode('latin-1').index(0xF6)})" in wrong(
        path
    )  # as a spreadsheet counts: two rows go over two lines


SEPARATED = [
    ("path;genres;artist;start_s\na.wav;rap:0,6|rock:0,4;Earth, Wind;12,5\n", "Earth, Wind"),
    ('"path";"genres";"artist";"start_s"\n"a.wav";"rap:0,6|rock:0,4";"x;y";"12,5"\n', "x;y"),
    ("path\tgenres\tartist\tstart_s\na.wav\trap:0.6|rock:0.4\tEarth, Wind; Fire\t12.5\n", "Earth, Wind; Fire"),
    ('path,genres,artist,start_s,"a;b;c;d;e;f"\na.wav,rap:0.6|rock:0.4,x;y,12.5,\n', "x;y"),
    ("path,genres,artist,start_s,a;b\tc;d;e;f;g;h\na.wav,rap:0.6|rock:0.4,x;y,12.5\n", "x;y"),
]


@pytest.mark.parametrize(("text", "artist"), SEPARATED)
def test_the_header_says_what_separates_cells(tmp_path: Path, text: str, artist: str) -> None:
    (track,) = read_manifest(table(tmp_path, text))
    assert (track.path, track.artist, track.start_s) == (tmp_path / "a.wav", artist, 12.5)
    assert track.genres == ("rap", "rock") and track.weights == pytest.approx((0.6, 0.4))


def test_names_that_are_mapped_say_it_too(tmp_path: Path) -> None:
    path = table(tmp_path, "file;label, of;a,b,c,d,e\na.wav;rock;\n")
    (track,) = read_manifest(path, {"path": "file", "genre": "label, of"})
    assert (track.path, track.genres) == (tmp_path / "a.wav", ("rock",))


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_marks_line_ends_blank_lines_and_accents(tmp_path: Path, mark: str, ends: str) -> None:
    text = ends.join([f"{mark}path,genre,artist", "é/ü [1] #~.wav,Música,Björk", "", ",,", "b.wav,rock", ""])
    path = tmp_path / "manifest.csv"
    path.write_bytes(text.encode())
    a, b = read_manifest(path)
    assert (a.id, a.genres, a.artist) == ("é/ü [1] #~", ("Música",), "Björk")
    assert (b.id, b.artist) == ("b", None)


def test_column_names_are_mapped(tmp_path: Path) -> None:
    path = table(tmp_path, "file,label,tempo,fold\na.wav,rock,99,1\n")
    (track,) = read_manifest(path, {"path": "file", "genre": "label", "tempo_bpm": "tempo", "split": "fold"})
    assert (track.path, track.genres, track.tempo_bpm, track.split) == (tmp_path / "a.wav", ("rock",), 99.0, "1")


def test_windows_of_one_file_get_ids_of_their_own(tmp_path: Path) -> None:
    tracks = read_manifest(table(tmp_path, "path,genre,start_s\na.wav,rock,\na.wav,rock,12.5\na.wav,rock,30\n"))
    assert [track.id for track in tracks] == ["a", "a@12.5s", "a@30s"]


def test_identical_rows_are_one(tmp_path: Path) -> None:
    assert len(read_manifest(table(tmp_path, "path,genre,x\na.wav,rock,1\nb.wav,jazz,2\na.wav,rock,3\n"))) == 2


def test_a_relative_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path, "path,genre\na.wav,rock\n")
    monkeypatch.chdir(tmp_path)
    (track,) = read_manifest(Path("manifest.csv"))
    assert track.path == tmp_path / "a.wav"
    assert track.id == "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["is empty"]),
        ("path,genre\n", ["no rows"]),
        ("file,genre\na,b\n", ["no path column", "file, genre", "data.columns.path="]),
        ("path,label\na,b\n", ["no genre column", "path, label", "data.columns.genre="]),
        ("path|genre\na|b\n", ["no path column", "path|genre"]),
        ("Path,Genre\na,b\n", ["data.columns.path=Path"]),
        ("path;genre;start_s\na.wav;rock;1,5\nb.wav;rock;1.000,5\n", ["row 3", "'1.000,5'"]),
        ("path;genre\na.wav;rock;pop\n", ["row 2", "3 cells under 2 columns", "a semicolon in double quotes"]),
        ("path\tgenre\na.wav\trock\tpop\n", ["row 2", "a tab in double quotes"]),
        ("path\tgenre\tstart_s\na.wav\trock\t1,5\n", ["row 2", "'1,5'"]),
        ("path,genre\na.wav,rock\n,rock\n", ["row 3", "path is empty"]),
        ("path,genre\na.wav,rock\nb.wav,\n", ["row 3", "genre is empty"]),
        ("path,genre\na.wav,rock\nb.wav, | \n", ["row 3", "genre is empty"]),
        ("path,genres\na.wav,rock\nb.wav,rock:0.7|pop\n", ["row 3", "'rock:0.7|pop'", "behind each", "behind none"]),
        ("path,genres\na.wav,rock:-0.7|pop:1.7\n", ["row 2", "genres is 'rock:-0.7|pop:1.7'", "above 0"]),
        ("path,genres\na.wav,rock:much|pop:0.3\n", ["row 2", "rock:much"]),
        ("path,genres\na.wav,rock:0|pop:1\n", ["row 2", "above 0"]),
        ("path,genres\na.wav,rock:1e999|pop:1\n", ["row 2", "rock:1e999"]),
        ("path,genres\na.wav,rock:nan|pop:1\n", ["row 2", "above 0"]),
        ("path,genres\na.wav,rock:0.7|rock:0.3\n", ["row 2", "each name once"]),
        ("path,genres\na.wav,rock:0.7|pop:0.3\na.wav,rock:0.6|pop:0.4\n", ["rows 2 and 3", "weights"]),
        ("path,genre,start_s\na.wav,rock,soon\n", ["row 2", "start_s is 'soon'", "seconds"]),
        ("path,genre,start_s\na.wav,rock,-1\n", ["row 2", "start_s"]),
        ("path,genre,duration_s\na.wav,rock,0\n", ["row 2", "duration_s"]),
        ("path,genre,tempo_bpm\n\na.wav,rock,nan\n", ["row 3", "tempo_bpm"]),
        ("path,genre,tempo_bpm\na.wav,rock,inf\n", ["row 2", "tempo_bpm"]),
        ("path,genre\na.wav,rock\nb.wav,x\na.wav,jazz\n", ["rows 2 and 4", "'a'", "genres"]),
        ("path,genre\na.wav,rock\na.flac,rock\n", ["rows 2 and 3", "path"]),
        ("path,genre,path\na.wav,rock,b\n", ["path twice"]),
        ("path,genre\na.wav,rock,pop\n", ["row 2", "3 cells under 2 columns", "double quotes"]),
        ('path,genre\na.wav,rock\n"b.wav,rock\nc.wav,rock\n', ["row 3", "not CSV", "quote not closed"]),
        ('path,genre\n"a" b.wav,rock\n', ["row 2", "not CSV", "twice"]),
        ("path,genre\na\0.wav,rock\n", ["row 2", "not CSV", "NUL"]),
        ('path,genre\n"a\nb.wav",rock\n\nc.wav,\n', ["row 4", "genre is empty"]),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: list[str]) -> None:
    path = table(tmp_path, text)
    message = wrong(path)
    assert str(path) in message
    for word in said:
        assert word in message


def test_wrong_paths(tmp_path: Path) -> None:
    assert "does not exist" in wrong(tmp_path / "no.csv")
    assert "is a folder" in wrong(tmp_path)
    inside = table(tmp_path, "path,genre\na.wav,rock\n")
    assert str(inside) in wrong(tmp_path)
    (tmp_path / "latin.csv").write_bytes("path,genre\né.wav,rock\n".encode("latin-1"))
    assert "not UTF-8" in wrong(tmp_path / "latin.csv")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file" in wrong(tmp_path / "pipe")


def test_wrong_mapping(tmp_path: Path) -> None:
    path = table(tmp_path, "path,genre,tempo\na.wav,rock,99\n")
    message = wrong(path, {"tempo_bpm": "temp"})
    assert "no column temp" in message
    assert "near it: tempo" in message
    assert "near it: tempo_bpm" in wrong(path, {"tempo": "tempo"})


def test_rows_round_trip(tmp_path: Path) -> None:
    text = "id,path,genres,artist,start_s,duration_s,split,beats\nx,é/a.wav,rock|pop,,0.1,29.999999999,test,b.csv\n"
    tracks = read_manifest(table(tmp_path, text + "y,/far/b.wav,jazz,A,,,val,\n"))
    rows = manifest_rows(tracks, tmp_path)
    assert rows[0]["path"] == "é/a.wav"
    with (tmp_path / "again.csv").open("w", newline="", encoding="utf-8") as file:
        again = csv.DictWriter(file, list(rows[0]))
        again.writeheader()
        again.writerows(rows)
    assert read_manifest(tmp_path / "again.csv") == tracks
    assert manifest_rows([replace(tracks[0], path=Path("/z/a.wav"))])[0]["path"] == "/z/a.wav"


@pytest.mark.parametrize(
    ("cell", "genres", "weights"),
    [
        ("rock:0.7|pop:0.3", ("rock", "pop"), (0.7, 0.3)),
        ("rock: .25 | drum & bass :0.75", ("rock", "drum & bass"), (0.25, 0.75)),
        ("a:3|b:1", ("a", "b"), (0.75, 0.25)),
        ("a:1|b:1|c:2", ("a", "b", "c"), (0.25, 0.25, 0.5)),
        ("stage: screen:1|b:1", ("stage: screen", "b"), (0.5, 0.5)),
        ("rock:1", ("rock",), (1.0,)),
        ("a:1e-3|b:0.999", ("a", "b"), (0.001, 0.999)),
        ("rock|pop", ("rock", "pop"), None),
        ("rock: live", ("rock: live",), None),
    ],
)
def test_weights_of_genres(tmp_path: Path, cell: str, genres: tuple[str, ...], weights: tuple[float, ...]) -> None:
    (track,) = read_manifest(table(tmp_path, f"path,genres\na.wav,{cell}\n"))
    assert track.genres == genres
    assert track.weights == (None if weights is None else pytest.approx(weights, abs=1e-12))


def test_the_genre_of_a_song_is_its_heaviest_else_its_first(tmp_path: Path) -> None:
    text = "path,genres\na.wav,rock:0.3|pop:0.7\nb.wav,rock|pop\nc.wav,x:1|y:1\n"
    assert [track.genre for track in read_manifest(table(tmp_path, text))] == ["pop", "rock", "x"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=5))
def test_weights_add_up_to_one_and_come_back(tmp_path: Path, given_: list[float]) -> None:
    cell = "|".join(f"g{i}:{weight:.12f}" for i, weight in enumerate(given_))
    tracks = read_manifest(table(tmp_path, f"path,genres\na.wav,{cell}\n"))
    assert tracks[0].weights is not None
    assert sum(tracks[0].weights) == pytest.approx(1, abs=1e-12)
    assert np.array(tracks[0].weights) * sum(given_) == pytest.approx(given_, rel=1e-6)
    (row,) = manifest_rows(tracks, tmp_path)
    (again,) = read_manifest(table(tmp_path, f"path,genres\na.wav,{row['genres']}\n"))
    assert again.genres == tracks[0].genres and again.weights == pytest.approx(tracks[0].weights, abs=1e-12)


def test_songs_of_no_genre_need_no_genre_column_and_keep_none(tmp_path: Path) -> None:
    bare = table(tmp_path, "path,artist\na.wav,Ann\n", "bare.csv")
    (track,) = read_manifest(bare, labelled=False)
    assert (track.genres, track.weights, track.genre, track.artist) == ((), None, None, "Ann")
    assert "no genre column" in wrong(bare)
    full = table(tmp_path, "path,genres\na.wav,rock:0.7|pop\nb.wav,\n", "full.csv")
    assert [track.genres for track in read_manifest(full, labelled=False)] == [(), ()]
    with pytest.raises(UserError, match="row 3: path is empty"):
        read_manifest(table(tmp_path, "path,x\na.wav,1\n,2\n"), labelled=False)
    (row,) = manifest_rows(read_manifest(bare, labelled=False), tmp_path)
    assert row["genres"] == ""


def test_beats(tmp_path: Path) -> None:
    beats = read_beats(table(tmp_path, "time,beat_in_bar\n0.5,4\n1.0,1\n1.5,2.0\n"))
    assert beats.times_s.tolist() == [0.5, 1.0, 1.5]
    assert beats.beat_in_bar is not None
    assert beats.beat_in_bar.tolist() == [4, 1, 2]
    assert (beats.source, beats.confidence) == ("annotated", 1.0)
    assert read_beats(table(tmp_path, "time\n0.5\n")).beat_in_bar is None
    assert read_beats(table(tmp_path, "time;beat_in_bar\n0,5;4\n1,25;1\n")).times_s.tolist() == [0.5, 1.25]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("time\n", "no beats"),
        ("0.5\n1.0\n", "no time column"),
        ("time\n0.5\nx\n", "row 3"),
        ("time\n0.5\n0.5\n", "row 3"),
        ("time\n1\n0.5\n", "rising"),
        ("time\n-1\n", "row 2"),
        ("time\nnan\n", "row 2"),
        ("time,beat_in_bar\n1,0\n", "beat_in_bar"),
        ("time,beat_in_bar\n1,1.5\n", "beat_in_bar"),
        ("time,beat_in_bar\n1\n", "beat_in_bar"),
    ],
)
def test_bad_beats(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_beats(table(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "want"),
    [("GTZAN", "gtzan"), ("My Songs (v2)", "my-songs-v2"), ("Música ñ", "música-ñ"), ("音楽", "音楽"), ("..", "data")],
)
def test_slug(text: str, want: str) -> None:
    assert slug(text) == want


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the music sets do not lie beside the project")
def test_real_manifests() -> None:
    games, arranger = (read_manifest(SHARED / name / "manifest.csv") for name in ("games", "arranger"))
    assert len(games) == 244
    assert len(arranger) == 120
    assert all(track.path.is_file() for track in games + arranger)
    beats = [read_beats(track.beats) for track in games + arranger if track.beats]
    assert sum(beat.beat_in_bar is not None for beat in beats) == 120
    assert len(beats) == 152
