"""FMA: tracks.csv with its three rows of header, subsets in each other, the official split."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from genrelab.types import UserError
from tests.data.sources.given import said, source, touched, tracks_of, wrong

COLUMNS = {  # of the published tracks.csv, in its order
    "album": "comments date_created date_released engineer favorites id information listens producer tags title tracks "
    "type",
    "artist": "active_year_begin active_year_end associated_labels bio comments date_created favorites id latitude "
    "location longitude members name related_projects tags website wikipedia_page",
    "set": "split subset",
    "track": "bit_rate comments composer date_created date_recorded duration favorites genre_top genres genres_all "
    "information interest language_code license listens lyricist number publisher tags title",
}
PAIRS = [(group, name) for group, names in COLUMNS.items() for name in names.split()]
SONGS = {  # id: subset, split, genre_top, artist, album
    2: ("small", "training", "Hip-Hop", "1", "1"),
    3: ("medium", "training", "Hip-Hop", "1", "1"),
    134: ("large", "validation", "", "2", "4"),  # of several roots
    136: ("large", "test", "Old-Time / Historic", "3", "5"),
    140: ("small", "test", "Folk", "54", "-1"),
    98567: ("small", "validation", "Folk", "55", "61"),
    99134: ("small", "training", "Rock", "56", "62"),  # without sound
    155066: ("medium", "validation", "Rock", "57", "63"),
}


def table(path: Path, songs: dict[int, tuple[str, ...]] = SONGS) -> Path:
    """A tracks.csv as published: HTML with commas and line breaks in it, a biography longer than csv's limit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["", *(group for group, _ in PAIRS)])
        writer.writerow(["", *(name for _, name in PAIRS)])
        writer.writerow(["track_id", *[""] * len(PAIRS)])
        for number, (subset, split, genre, artist, album) in songs.items():
            cells = dict.fromkeys(PAIRS, "")
            cells["artist", "bio"] = '<p>Born in "Ö",\n2 many\n3,4</p>' + "x" * 140_000
            cells["artist", "name"], cells["album", "title"] = "NA", "null"
            cells["set", "subset"], cells["set", "split"] = subset, split
            cells["track", "genre_top"], cells["track", "genres_all"] = genre, "[21, 12]"
            cells["artist", "id"], cells["album", "id"] = artist, album
            cells["track", "license"] = "Attribution-NonCommercial"
            writer.writerow([number, *cells.values()])
    return path


def fma(root: Path, subset: str = "small", *lacking: int) -> Path:
    table(root / "fma_metadata/tracks.csv")
    files = [f"{number:06d}" for number in SONGS if number not in lacking]
    touched(root, *(f"fma_{subset}/{name[:3]}/{name}.mp3" for name in files), f"fma_{subset}/README.txt")
    return root / f"fma_{subset}"


def ids(path: Path, store: Path, **overrides: object) -> list[str]:
    return [t.id for t in tracks_of(source("fma", path, **overrides), store)]


def test_a_larger_subset_holds_the_smaller(tmp_path: Path) -> None:
    home = fma(tmp_path, "large")
    small = ids(home, tmp_path, subset="small")
    medium, large = ids(home, tmp_path, subset="medium"), ids(home, tmp_path, subset="large")
    assert small == ["000002", "000140", "098567"]
    assert medium == ["000002", "000003", "000140", "098567", "155066"]
    assert large == ["000002", "000003", "000136", "000140", "098567", "155066"]
    assert source("fma", home, subset="medium").name == "fma-medium"


def test_what_the_table_says_of_a_song(tmp_path: Path) -> None:
    first, second, third = tracks_of(source("fma", fma(tmp_path)), tmp_path)
    assert first.path == tmp_path / "fma_small/000/000002.mp3"
    assert (first.genres, first.artist, first.album, first.split) == (("Hip-Hop",), "1", "1", "training")
    assert first.licence == "Attribution-NonCommercial"
    assert (second.genre, second.split, second.album) == ("Folk", "test", "single 000140")  # no album: one of its own
    assert (third.genre, third.split) == ("Folk", "validation")


def test_songs_without_a_root_genre_or_sound_or_file_are_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids(fma(tmp_path, "large", 3, 136), tmp_path, subset="large")
    lines = said(caplog)
    assert len(lines) == 4
    assert "1 songs have no genre_top" in lines[0] and "000134" in lines[0]
    assert "1 songs are known to hold no sound" in lines[1] and "099134" in lines[1]
    assert "2 songs have no file" in lines[2] and "000003, 000136" in lines[2]
    assert "shorter than 2 s" in lines[3] and "098567" in lines[3]


def test_the_folder_above_and_metadata_elsewhere_do_too(tmp_path: Path) -> None:
    home = fma(tmp_path / "a")
    assert ids(tmp_path / "a", tmp_path) == ids(home, tmp_path)
    there = table(tmp_path / "b/tracks.csv")
    (tmp_path / "a/fma_metadata/tracks.csv").unlink()
    assert "fma_metadata/tracks.csv" in wrong("fma", home, tmp_path)
    for metadata in (there, there.parent):
        assert ids(home, tmp_path, metadata=str(metadata)) == ["000002", "000140", "098567"]
    assert "data.metadata" in wrong("fma", home, tmp_path, metadata=str(tmp_path / "no"))


def test_folders_and_tables_that_are_not_fma_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected one of small, medium, large"):
        source("fma", tmp_path, subset="tiny")
    assert "data.path=DIR" in wrong("fma", None, tmp_path)
    assert "no folder 000 to 999" in wrong("fma", tmp_path, tmp_path)
    home = fma(tmp_path)
    csv_file = tmp_path / "fma_metadata/tracks.csv"
    whole = csv_file.read_text()
    csv_file.write_text("track_id,genre\n2,Rock\n")
    assert "no column set/split" in wrong("fma", home, tmp_path)
    csv_file.write_text(whole + "7,cut off")
    assert "cells of" in wrong("fma", home, tmp_path)
    csv_file.write_bytes(whole.encode()[:2000] + b"\xff\xfe")
    assert "is not FMA's tracks.csv" in wrong("fma", home, tmp_path)
    table(csv_file, {number: row for number, row in SONGS.items() if row[0] != "small"})
    assert "of the 0 of subset small" in wrong("fma", home, tmp_path)
    assert csv.field_size_limit() == 131072  # the one of all other tables


def test_three_rows_of_header_are_what_pandas_makes_of_them(tmp_path: Path) -> None:
    """The fixture reads as the data set's own users read the real table."""
    import pandas as pd

    found = pd.read_csv(table(tmp_path / "tracks.csv"), index_col=0, header=[0, 1])
    assert found.index.name == "track_id" and found.shape == (len(SONGS), 52)
    assert found["set", "subset"].to_dict() == {number: row[0] for number, row in SONGS.items()}
