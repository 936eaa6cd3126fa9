"""GTZAN: the folder layout, the fault-filtered lists, the broken file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from genrelab.data.sources.gtzan import GENRES, official
from genrelab.data.split_given import Official
from tests.data.sources.given import said, sound, source, touched, tracks_of, wrong


def whole(root: Path, suffix: str = "wav") -> Path:
    """All 1000 names, empty files; jazz.00054 can be heard."""
    touched(root, *(f"genres/{g}/{g}.{n:05d}.{suffix}" for g in GENRES for n in range(100)))
    sound(root / f"genres/jazz/jazz.00054.{suffix}", 1.0)
    return root


def test_the_filtered_lists_are_those_of_torchaudio_and_their_sides_the_official_split(tmp_path: Path) -> None:
    tracks = tracks_of(source("gtzan", whole(tmp_path), filtered=True), tmp_path)
    assert Counter(t.split for t in tracks) == {"train": 443, "val": 197, "test": 290}  # as published
    assert len({t.id for t in tracks}) == 930
    (split,) = Official(5, None).splits(tracks, 0)
    assert Counter(split.sides) == {"train": 443, "val": 197, "test": 290}
    by_id = {t.id: t for t in tracks}
    assert by_id["blues.00029"].genres == ("blues",)
    assert by_id["blues.00029"].path == tmp_path / "genres/blues/blues.00029.wav"
    assert by_id["blues.00029"].artist is None and by_id["blues.00029"].beats is None


def test_unfiltered_holds_all_and_the_official_split_leaves_the_others_unused(tmp_path: Path) -> None:
    tracks = tracks_of(source("gtzan", whole(tmp_path, "au"), filtered=False), tmp_path)
    assert len(tracks) == 1000
    assert Counter(t.genre for t in tracks) == dict.fromkeys(GENRES, 100)
    (split,) = Official(5, None).splits(tracks, 0)
    assert Counter(split.sides) == {"train": 443, "val": 197, "test": 290, "unused": 70}


def test_the_broken_file_is_named_and_left_out_only_where_it_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = whole(tmp_path)
    tracks_of(source("gtzan", root, filtered=False), tmp_path)
    assert said(caplog) == []
    broken = root / "genres/jazz/jazz.00054.wav"
    broken.write_bytes(broken.read_bytes()[:20000])  # its header still speaks of a second
    tracks = tracks_of(source("gtzan", root, filtered=False), tmp_path)
    assert len(tracks) == 999 and "jazz.00054" not in {t.id for t in tracks}
    (line,) = said(caplog)
    assert "jazz.00054" in line and "truncated" in line


def test_the_folder_may_be_the_genres_themselves_and_other_files_are_no_clips(tmp_path: Path) -> None:
    root = touched(
        tmp_path,
        *("genres_original/blues/blues.00000.wav", "genres_original/blues/blues.00000.au"),
        *("genres_original/blues/._blues.00001.wav", "genres_original/blues/blues.00002.png"),
        *("genres_original/blues/rock.00003.wav.part", "genres_original/rock/rock.00000.wav"),
    )
    for place in (root, root / "genres_original"):
        tracks = tracks_of(source("gtzan", place, filtered=False), tmp_path)
        assert [t.id for t in tracks] == ["blues.00000", "rock.00000"]
        assert tracks[0].path.suffix == ".wav"


def test_listed_clips_that_lack_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = whole(tmp_path)
    (root / "genres/blues/blues.00029.wav").unlink()
    assert "blues.00029" in official()
    assert len(tracks_of(source("gtzan", root, filtered=True), tmp_path)) == 929
    assert said(caplog) == ["gtzan: 1 of the 930 listed clips are not there: blues.00029"]


def test_folders_that_are_no_gtzan_are_said(tmp_path: Path) -> None:
    assert "data.path=DIR" in wrong("gtzan", None, tmp_path)
    assert "does not exist" in wrong("gtzan", tmp_path / "no", tmp_path)
    assert "found no file like blues/blues.00000.wav" in wrong("gtzan", touched(tmp_path, "blues/a.wav"), tmp_path)
    assert "is a file" in wrong("gtzan", tmp_path / "blues/a.wav", tmp_path)
