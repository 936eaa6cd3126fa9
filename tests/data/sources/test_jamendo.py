"""MTG-Jamendo: tables of tabs with as many cells as tags, five official splits, full and small copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from genrelab.types import UserError
from tests.data.sources.given import said, source, touched, tracks_of, wrong

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
ROWS = {
    214: ("14", "31", ("punkrock",)),
    215: ("14", "31", ("metal",)),
    2634: ("379", "412", ("folk", "instrumentalpop")),
    4880: ("696", "751", ("blues", "easylistening", "electronic", "funk", "jazz", "lounge")),
    3099: ("486", "482", ("pop",)),
}


def row(number: int) -> str:
    artist, album, genres = ROWS[number]
    who = f"track_{number:07d}\tartist_{int(artist):06d}\talbum_{int(album):06d}"
    return "\t".join([who, f"{number % 100:02d}/{number}.mp3", "124.6", *(f"genre---{g}" for g in genres)])


def write(path: Path, numbers: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *map(row, numbers)]) + "\n", encoding="utf-8")


def jamendo(root: Path) -> Path:
    """The repository's folder with the songs beside its `data`."""
    write(root / "data/autotagging_genre.tsv", list(ROWS))
    sides = {0: ([214, 215], [2634], [4880]), 1: ([2634, 4880], [214, 215], [3099])}
    for number, parts in sides.items():
        for side, numbers in zip(("train", "validation", "test"), parts, strict=True):
            write(root / f"data/splits/split-{number}/autotagging_genre-{side}.tsv", numbers)
    return touched(root / "songs", "14/214.mp3", "15/215.low.mp3", "34/2634.mp3", "34/2634.low.mp3", "80/4880.mp3")


def test_a_song_has_all_its_genres_and_its_artist_and_album(tmp_path: Path) -> None:
    tracks = {t.id: t for t in tracks_of(source("jamendo", jamendo(tmp_path)), tmp_path)}
    assert list(tracks) == ["track_0000214", "track_0000215", "track_0002634", "track_0004880"]
    many = tracks["track_0004880"]
    assert many.genres == ("blues", "easylistening", "electronic", "funk", "jazz", "lounge") and many.weights is None
    assert (many.artist, many.album) == ("artist_000696", "album_000751")
    assert tracks["track_0000215"].path == tmp_path / "songs/15/215.low.mp3"
    assert tracks["track_0002634"].path == tmp_path / "songs/34/2634.mp3"  # the full one where both are there


def test_the_five_official_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    songs = jamendo(tmp_path)

    def sides(number: int | None) -> dict[str, str | None]:
        made = source("jamendo", songs, split_number=number)
        return {t.id[-4:]: t.split for t in tracks_of(made, tmp_path)}

    assert sides(0) == {"0214": "train", "0215": "train", "2634": "validation", "4880": "test"}
    assert said(caplog) == []
    assert sides(1) == {"2634": "train", "4880": "train", "0214": "validation", "0215": "validation"}
    assert said(caplog) == ["jamendo: 1 songs have no file and are left out: track_0003099"]
    assert set(sides(None).values()) == {None}
    assert "split-4" in wrong("jamendo", songs, tmp_path, split_number=4)
    for number in (5, -1, True, "0"):
        with pytest.raises(UserError, match="expected 0 to 4, or null"):
            source("jamendo", songs, split_number=number)


def test_the_repositorys_own_folder_and_tables_elsewhere_do_too(tmp_path: Path) -> None:
    songs = jamendo(tmp_path / "repository")
    named = [t.id for t in tracks_of(source("jamendo", songs), tmp_path)]
    assert [t.id for t in tracks_of(source("jamendo", songs.parent), tmp_path)] == named
    away = touched(tmp_path / "disk", "14/214.mp3", "80/4880.low.mp3")
    assert "data.metadata=DIR" in wrong("jamendo", away, tmp_path)
    for metadata in (songs.parent, songs.parent / "data"):
        made = source("jamendo", away, metadata=str(metadata))
        assert [t.id for t in tracks_of(made, tmp_path)] == ["track_0000214", "track_0004880"]


def test_tables_that_are_not_those_of_jamendo_are_said(tmp_path: Path) -> None:
    songs = jamendo(tmp_path)
    table = tmp_path / "data/splits/split-0/autotagging_genre-test.tsv"
    table.write_text("TRACK_ID,ARTIST_ID\n")
    assert "expected the columns TRACK_ID" in wrong("jamendo", songs, tmp_path)
    table.write_text(f"{HEADER}\ntrack_1\tartist_1\n")
    assert "row 2: 2 cells" in wrong("jamendo", songs, tmp_path)
    table.write_text(f"{HEADER}\n{row(214)}\n")
    assert "track_0000214 stands twice" in wrong("jamendo", songs, tmp_path)
    table.unlink()
    assert f"{table} does not exist" in wrong("jamendo", songs, tmp_path)
    empty = touched(tmp_path / "empty", "a.txt")
    assert "found no song of the 5" in wrong(
        "jamendo", empty, tmp_path, metadata=str(tmp_path / "data"), split_number=None
    )


def test_tags_that_are_no_genres_are_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    songs = jamendo(tmp_path)
    mixed = row(214) + "\tinstrument---piano\tmood/theme---happy"
    bare = row(215).replace("genre---metal", "mood/theme---dark")
    (tmp_path / "data/autotagging_genre.tsv").write_text(f"{HEADER}\n{mixed}\n{bare}\n")
    (track,) = tracks_of(source("jamendo", songs, split_number=None), tmp_path)
    assert track.genres == ("punkrock",)
    assert said(caplog) == ["jamendo: 1 songs have no genre and are left out: track_0000215"]
