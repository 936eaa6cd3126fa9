"""A genre is written into every format; other tags and the sound stay; where something is wrong the file stays."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import Picture
from mutagen.id3 import APIC, COMM, ID3, TCON, TIT2, TPE1, TXXX, TYER, USLT
from mutagen.mp4 import MP4Cover

from genrelab.audio import tagging
from genrelab.audio.decode import AudioError
from genrelab.audio.tagging import BEFORE, RUN, TagError, tag_copy, tag_in_place
from genrelab.data.sources.tags import read_tags
from tests.data.sources.music import SUFFIXES, encode, needs_ffmpeg, needs_torchcodec

RATE = 48000  # Opus knows few
FORMATS = [
    pytest.param(s, marks=[needs_ffmpeg, needs_torchcodec]) if s == "m4a" else s
    for s in (*SUFFIXES, "opus", "wav", "aiff")
]
NOISE = 0.1 * np.random.default_rng(0).standard_normal(RATE // 2)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(300)


def plain(path: Path) -> Path:
    """Stereo noise without tags."""
    two = np.stack([NOISE, NOISE[::-1]], 1)
    if path.suffix != ".opus":
        return encode(path, two, RATE)
    soundfile.write(path, two, RATE, format="OGG", subtype="OPUS")
    return path


def full(path: Path, genre: str | None = "Old Genre") -> Path:
    """A file with a title, a comment, a cover and a tag of another program, and `genre`."""
    file = mutagen.File(plain(path))
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, ID3):
        more = [TIT2(3, ["Löwe"]), COMM(3, "eng", "", ["fine"]), APIC(3, "image/png", 3, "front", PNG)]
        more += [TXXX(3, "OTHER", ["x", "y"]), USLT(3, "eng", "", "la la"), *([TCON(3, [genre])] if genre else [])]
        for frame in more:
            file.tags.add(frame)
    elif path.suffix == ".m4a":
        file.tags.update({"©nam": ["Löwe"], "©cmt": ["fine"], "covr": [MP4Cover(PNG, MP4Cover.FORMAT_PNG)]})
        file.tags.update({"----:com.apple.iTunes:OTHER": [b"x", b"y"]} | ({"©gen": [genre]} if genre else {}))
    else:
        picture = Picture()
        picture.type, picture.mime, picture.data = 3, "image/png", PNG
        if path.suffix == ".flac":
            file.add_picture(picture)
        else:
            file["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
        file.tags.update({"title": ["Löwe"], "comment": ["fine"], "other": ["x", "y"]})
        file.tags.update({"genre": [genre]} if genre else {})
    file.save()
    return path


def others(path: Path) -> dict[str, Any]:
    """All tags but the genre and ours, as mutagen reads them."""
    file = mutagen.File(path)
    kept = {
        k: (v.pprint(), getattr(v, "data", b"")) if isinstance(file.tags, ID3) else list(v)
        for k, v in (file.tags or {}).items()
        if k.casefold() not in ("genre", "tcon", "©gen") and "GENRELAB" not in k.upper()
    }
    return kept | {"pictures": [p.data for p in getattr(file, "pictures", [])]}


def ours(path: Path, name: str) -> list[str]:
    tags = mutagen.File(path).tags
    if isinstance(tags, ID3):
        return [t for f in tags.getall(f"TXXX:{name}") for t in f.text]
    values = tags.get(name) or tags.get(f"----:com.apple.iTunes:{name}") or []
    return [v.decode() if isinstance(v, bytes) else v for v in values]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def by_ffmpeg(path: Path, *how: str) -> str:
    """A digest of the sound by another hand: decoded, or with `-c copy` of the coded stream."""
    words = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a", *how, "-f", "md5", "-"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("genres", [("metal",), ("drum & bass", "Jazz", "Chöre")])
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_copy_has_the_genre_and_all_else(tmp_path: Path, suffix: str, genres: tuple[str, ...]) -> None:
    path = full(tmp_path / f"a b.{suffix}")
    whole, target = digest(path), tmp_path / "new" / "sub" / path.name
    tag_copy(path, target, genres, "abc123")
    assert digest(path) == whole
    assert read_tags(target).genres == genres
    assert others(target) == others(path)
    assert len(others(path)) >= 4
    assert ours(target, RUN) == ["abc123"]
    assert ours(target, BEFORE) == ["Old Genre"]
    assert [p.name for p in target.parent.iterdir()] == [path.name]
    if shutil.which("ffmpeg"):
        assert by_ffmpeg(target) == by_ffmpeg(path)
        assert by_ffmpeg(target, "-c", "copy") == by_ffmpeg(path, "-c", "copy")


@pytest.mark.parametrize("suffix", FORMATS)
def test_in_place_a_file_keeps_its_sound_its_tags_and_its_rights(tmp_path: Path, suffix: str) -> None:
    path = full(tmp_path / f"a.{suffix}")
    copy = shutil.copy2(path, tmp_path / f"copy.{suffix}")
    path.chmod(0o640)
    tag_in_place(path, ["metal"], "first")
    tag_in_place(path, ["electronic"], "second")
    assert read_tags(path).genres == ("electronic",)
    assert ours(path, RUN) == ["second"]
    assert ours(path, BEFORE) == ["Old Genre"]  # of the file's owner, not of the run before
    assert others(path) == others(copy)
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a.{suffix}", f"copy.{suffix}"]
    if shutil.which("ffmpeg"):
        assert by_ffmpeg(path, "-c", "copy") == by_ffmpeg(copy, "-c", "copy")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_tags_gets_some(tmp_path: Path, suffix: str) -> None:
    path = plain(tmp_path / f"a.{suffix}")
    tag_in_place(path, ["metal"], "abc")
    assert read_tags(path).genres == ("metal",)
    assert ours(path, BEFORE) == []


@pytest.mark.parametrize("genres", [["metal"], ["rap", "rock"]])
def test_id3_of_version_2_3_stays_so(tmp_path: Path, genres: list[str]) -> None:
    path = plain(tmp_path / "a.mp3")
    tags = ID3()
    for frame in (TIT2(1, ["Löwe"]), TPE1(1, ["Ann"]), TYER(0, ["1999"]), TCON(0, ["(17)"])):
        tags.add(frame)
    tags.save(path, v2_version=3)
    tag_in_place(path, genres, "abc")
    raw = ID3(path, translate=False)
    assert raw.version == (2, 3, 0)
    assert raw["TYER"].text == ["1999"]
    assert raw["TIT2"].text == ["Löwe"]
    assert read_tags(path).genres == tuple(genres)
    assert ours(path, BEFORE) == ["Rock"]


def test_a_tag_of_version_1_follows(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.mp3")
    said = b"TAG" + b"".join(text.ljust(30, b"\0") for text in (b"First", b"Ann", b"One")) + bytes(34) + bytes([17])
    path.write_bytes(path.read_bytes() + said)
    tag_in_place(path, ["Metal"], "abc")
    assert read_tags(path).genres == ("Metal",)
    assert path.read_bytes()[-128:][:3] == b"TAG"
    assert path.read_bytes()[-1] == 9  # metal's number


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path, target = full(tmp_path / "a.flac"), tmp_path / "new" / "a.flac"
    target.parent.mkdir()
    target.write_text("mine")
    with pytest.raises(TagError, match="is there already"):
        tag_copy(path, target, ["metal"], "abc")
    assert target.read_text() == "mine"


def test_a_kind_without_tags_is_named_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.au"
    soundfile.write(path, NOISE, RATE, format="AU")
    whole = digest(path)
    for work in (lambda: tag_in_place(path, ["metal"], "x"), lambda: tag_copy(path, tmp_path / "b.au", ["metal"], "x")):
        with pytest.raises(TagError, match="AU files hold no tags that can be written; MP3, FLAC, Ogg"):
            work()
    assert digest(path) == whole
    assert [p.name for p in tmp_path.iterdir()] == ["a.au"]


@pytest.mark.parametrize("fault", ["sound", "genre", "disk", "decode", "changed"])
def test_where_the_new_file_is_not_right_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = full(tmp_path / "a.flac")
    whole = digest(path)
    write = tagging._write

    def broken(at: Path, *args: Any) -> None:
        write(at, *args)
        if fault == "sound":
            soundfile.write(at, np.stack([NOISE, NOISE], 1), RATE)
            write(at, *args)
        elif fault == "genre":
            write(at, ["polka"], *args[1:])
        elif fault == "disk":
            raise OSError(28, "No space left on device")
        elif fault == "decode":
            at.write_bytes(at.read_bytes()[:-3000])
        else:
            os.utime(path, ns=(1, 1))

    monkeypatch.setattr(tagging, "_write", broken)
    said = {
        "sound": "the sound would have changed",
        "genre": "could not be read back",
        "disk": "No space left on device",
        "decode": "it does not decode: truncated",
        "changed": "somebody else changed the file",
    }[fault]
    for work in (lambda: tag_in_place(path, ["metal"], "x"), lambda: tag_copy(path, tmp_path / "b", ["metal"], "x")):
        with pytest.raises(TagError, match=said):
            work()
        os.utime(path)
    assert digest(path) == whole
    assert [p.name for p in tmp_path.iterdir()] == ["a.flac"]


def test_a_read_only_file_is_left_and_its_copy_is_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = full(tmp_path / "a.flac")
    path.chmod(0o440)
    tag_copy(path, tmp_path / "new" / "a.flac", ["metal"], "x")
    assert (tmp_path / "new" / "a.flac").stat().st_mode & 0o777 == 0o440
    monkeypatch.setattr(os, "access", lambda *_: False)  # what root is never told
    with pytest.raises(TagError, match="read-only"):
        tag_in_place(path, ["metal"], "x")


def test_through_a_link_the_file_itself_is_tagged(tmp_path: Path) -> None:
    path = full(tmp_path / "a.flac")
    link = tmp_path / "link.flac"
    link.symlink_to(path.name)
    tag_in_place(link, ["metal"], "x")
    assert link.is_symlink()
    assert read_tags(path).genres == ("metal",)


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = full(tmp_path / "a.flac")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tagging, "_sound_alike", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tag_copy(path, tmp_path / "b.flac", ["metal"], "x")
    with pytest.raises(KeyboardInterrupt):
        tag_in_place(path, ["metal"], "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a.flac"]
    assert read_tags(path).genres == ("Old Genre",)


def test_a_fault_of_the_decoder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = full(tmp_path / "a.flac")

    def lacking(*_: object) -> int:
        raise AudioError("not decodable", "no codec")

    monkeypatch.setattr(tagging.guarded, "own_rate", lacking)
    with pytest.raises(TagError, match="it does not decode: not decodable: no codec"):
        tag_in_place(path, ["metal"], "x")
