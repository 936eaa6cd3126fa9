"""`look`: a page and pictures of a song, and a line where the words are wrong."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.conftest import RATE, Said, Trained, wave

Call = Callable[..., Said]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / 'é <i> & "1" #.wav'
    soundfile.write(path, wave("low", 1, 1), RATE)
    return path


@pytest.fixture
def beats(tmp_path: Path) -> Path:
    path = tmp_path / "beats.csv"
    path.write_text("time,beat_in_bar\n" + "".join(f"{i / 2},{i % 4 + 1}\n" for i in range(12)))
    return path


def test_a_page_and_its_pictures(call: Call, song: Path, beats: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = call("look", song, "--front", "stft,mel", "--beats", beats, "--out", page)
    assert said.code == 0, said.err
    assert str(page) in said.out
    for name in ("stft", "mel", "all"):
        assert (tmp_path / "page" / f"{name}.png").is_file()
        assert f"{name}.png" in said.out
    text = page.read_text()
    assert "<h1>é &lt;i&gt; &amp; &quot;1&quot; #</h1>" in text
    assert "120 BPM, 4 beats a bar" in text
    assert "fixed (length_s 2.56, hop_s 2.56, n_frames 128): 2 here" in text
    sound = base64.b64decode(re.search(r'src="data:audio/\w+;base64,([^"]+)"', text)[1])  # type: ignore[index]
    heard, rate = soundfile.read(io.BytesIO(sound))
    meant = wave("low", 1, 1)
    assert (rate, len(heard)) == (RATE, len(meant))
    assert np.corrcoef(heard, meant)[0, 1] > 0.99  # and so not shifted by the encoder


def test_an_excerpt_keeps_the_songs_slices(call: Call, song: Path, beats: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ["--front", "mel", "--beats", beats, "--out", page, "--start", 2, "--duration", 3.5]
    assert call("look", song, *words).code == 0
    text = page.read_text()
    assert "0:02 to 0:05.5 of 0:06" in text
    assert ": 1 here" in text
    assert '<path id="slices" d="M0.5600 0V1M3.1200 0V1"' in text


def test_overrides_hold(call: Call, song: Path, beats: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = ["front.n_bins=64", "front.amplitude=pcen", "slice.length_s=1", "slice.hop_s=1"]
    said = call("look", song, *words, "--front", "stft,mel", "--beats", beats, "--out", page)
    assert said.code == 0, said.err
    text = page.read_text()
    assert text.count('"bins":64') == 2
    assert text.count('"unit":"pcen"') == 2
    assert ": 6 here" in text


def test_the_front_end_of_a_run(call: Call, song: Path, beats: Path, trained: Trained, tmp_path: Path) -> None:
    words = ["--beats", beats, "--out", tmp_path / "page.html", "--run", trained.id, f"store={trained.store}"]
    assert call("look", song, "--front", "mel", *words).code == 0
    assert re.search(r"<em>as in mel-", (tmp_path / "page.html").read_text())
    said = call("look", song, "--front", "stft", *words)
    assert said.code == 2
    assert "was trained with front=mel" in said.err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--front", "mell"], "did you mean mel?"),
        (["--front", ","], "names none"),
        (["--front", "stft,mel", "front.f_min=30"], "front=stft: front.f_min=30: there is no key 'front.f_min'"),
        (["--front", "mel", "front.n_bins=x"], "expected a number"),
        (["--front", "mel", "front=stft"], "--front"),
        (["--front", "mel", "slice=nope"], "there is no such slice"),
        (["--front", "mel", "--start", "9"], "the song lasts 6.00 s"),
        (["--front", "mel", "--duration", "-1"], "--duration -1"),
        (["--front", "mel", "--duration", "0.01"], "too short"),
        (["--front", "mel", "--out", "no/where.html"], "there is no folder no"),
        (["--front", "mel", "--out", "page"], "expected a page's name"),
        (["--front", "mel", "--beats", "none.csv"], "none.csv"),
    ],
)
def test_wrong_words_end_in_a_line(
    call: Call, song: Path, beats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = call("look", song, "--beats", beats, *words)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert line in said.err
    assert not list(tmp_path.glob("*.html"))


def test_what_cannot_be_heard_ends_in_a_line(call: Call, beats: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp3").write_text("these are words")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    for name, reason in (("none.wav", "missing"), ("text.mp3", "not audio"), ("silent.wav", "silent"), (".", "folder")):
        said = call("look", tmp_path / name, "--front", "mel", "--beats", beats, "--out", tmp_path / "p.html")
        assert said.code == 2
        assert said.err.count("\n") == 1
        assert reason in said.err
