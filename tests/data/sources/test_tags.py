"""What a file's tags say, in every format; ID3's numbers; several genres in one tag."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from genrelab.data.sources.tags import Tags, genres_of, read_tags
from tests.data.sources.music import RATE, SUFFIXES, encode, needs_ffmpeg, song

FORMATS = [pytest.param(s, marks=needs_ffmpeg) if s == "m4a" else s for s in SUFFIXES]
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE // 5)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_says_the_same(tmp_path: Path, suffix: str) -> None:
    path = song(
        tmp_path / f"a.{suffix}",
        genre=["Drum & Bass", "Jazz"],
        artist="Ann feat. Ömer",
        albumartist="Ann",
        album="One",
        title="First",
        bpm="174",
    )
    assert read_tags(path) == Tags(("Drum & Bass", "Jazz"), "Ann", "Ann feat. Ömer", "One", "First", 174.0)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_tags_says_nothing(tmp_path: Path, suffix: str) -> None:
    assert read_tags(encode(tmp_path / f"a.{suffix}", NOISE)) == Tags()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_junk_and_files_that_are_not_there_say_nothing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    assert read_tags(path) == Tags()
    for junk in (
        b"",
        b"hello" * 99,
        b"ID3\x04\x00\x00\x00\x00\x7f\x7f",
        b"fLaC\x00",
        b"OggS\x00",
        b"\0\0\0\x20ftypM4A ",
    ):
        path.write_bytes(junk)
        assert read_tags(path) == Tags()


def test_id3_of_version_1_alone(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", NOISE)
    said = b"TAG" + b"".join(text.ljust(30, b"\0") for text in (b"First", b"Ann", b"One")) + bytes(34) + bytes([17])
    assert len(said) == 128
    path.write_bytes(path.read_bytes() + said)
    assert read_tags(path) == Tags(("Rock",), None, "Ann", "One", "First")


def test_wav_and_aiff_hold_id3_too(tmp_path: Path) -> None:
    import mutagen.aiff
    import mutagen.wave

    for suffix, kind in (("wav", mutagen.wave.WAVE), ("aiff", mutagen.aiff.AIFF)):
        soundfile.write(tmp_path / f"a.{suffix}", NOISE, RATE)
        file = kind(tmp_path / f"a.{suffix}")
        file.add_tags()
        file.tags.add(mutagen.id3.TCON(encoding=3, text=["(9)"]))
        file.save()
        assert read_tags(tmp_path / f"a.{suffix}").genres == ("Metal",)


@pytest.mark.parametrize(
    ("text", "genres"),
    [
        ("(17)", ("Rock",)),
        ("17", ("Rock",)),
        ("(17)(9)", ("Rock", "Metal")),
        ("(4)Eurodisco", ("Disco", "Eurodisco")),
        ("(62)", ("Pop", "Funk")),  # ID3's own name of it is Pop/Funk
        ("(RX)", ("Remix",)),
        ("Hip-Hop/Rap", ("Hip-Hop", "Rap")),
        ("Rock; Punk ;rock", ("Rock", "Punk")),
        ("Soul\0Funk", ("Soul", "Funk")),
        ("  Drum  &  Bass ", ("Drum & Bass",)),
        ("80s", ("80s",)),
        ("255", ()),  # ID3 1: none
        ("Unknown", ()),
        (" ; / ", ()),
        ("", ()),
    ],
)
def test_genres_of_one_tag(text: str, genres: tuple[str, ...]) -> None:
    assert genres_of([text]) == genres


@settings(deadline=None, max_examples=200)
@given(st.lists(st.text(max_size=20), max_size=3))
def test_genres_are_never_empty_nor_twice_nor_divided_further(texts: list[str]) -> None:
    found = genres_of(texts)
    assert all(genre and genre == " ".join(genre.split()) and not set(";/\0") & set(genre) for genre in found)
    assert len({genre.casefold() for genre in found}) == len(found)


@pytest.mark.parametrize(
    ("bpm", "tempo"), [("0", None), ("fast", None), ("128.5", 128.5), ("9999", None), ("nan", None)]
)
def test_a_tempo_that_is_none_is_not_taken(tmp_path: Path, bpm: str, tempo: float | None) -> None:
    assert read_tags(song(tmp_path / "a.flac", bpm=bpm)).tempo_bpm == tempo
