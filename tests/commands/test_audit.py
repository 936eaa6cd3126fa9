"""`audit` as its users call it: exit codes, the page, the tables, and what is wrong with the words."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genrelab.audio import measure
from tests.conftest import RATE, Said, Songs, write_manifest

Call = Callable[..., Said]


def page_of(said: Said) -> Path:
    return Path(next(line for line in said.out.splitlines() if "audit.html" in line).split("  (")[0])


def rows_of(said: Said, name: str) -> list[dict[str, str]]:
    with (page_of(said).parent / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "store"


def test_a_split_by_artist_is_clean_and_tells_genres_by_what_is_no_music(call: Call, songs: Songs, store: Path) -> None:
    said = call("audit", *songs.words, "split=artist", f"store={store}")
    assert (said.code, rows_of(said, "groups"), rows_of(said, "exact")) == (0, [], [])
    assert "no leak: nothing was found on two sides" in said.out
    alone = {r["by"]: float(r["balanced_accuracy"]) for r in rows_of(said, "alone")}
    assert alone["MFCC statistics"] > 0.9  # low tones, high tones and noise
    assert alone["duration"] == pytest.approx(1 / 3)  # every song is as long as the others


def test_a_split_by_slice_leaks_and_every_song_is_named(
    call: Call, songs: Songs, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("audit", *songs.words, "split=artist", f"store={store}")
    monkeypatch.setattr(measure, "measure", lambda *_: pytest.fail("measured again"))
    said = call("audit", *songs.words, "split=slice", f"store={store}")
    assert said.code == 1
    named = [r for r in rows_of(said, "groups") if r["key"] == "song"]
    assert len(named) == songs.n
    assert "song on two sides: " in said.out
    assert page_of(said).parent.parent == store / "audits"


def test_copies_on_two_sides_under_two_genres_are_found_by_their_sound(
    call: Call, songs: Songs, tmp_path: Path
) -> None:
    folder = tmp_path / "copied"
    shutil.copytree(songs.folder, folder)
    wave, _ = soundfile.read(folder / "low" / "0-0.wav", dtype="int16")
    rows = list(csv.reader((folder / "manifest.csv").open(encoding="utf-8")))[1:]
    for n in range(8):  # on every side there will be one of them
        soundfile.write(folder / "high" / f"copy-{n}.flac", wave, RATE, subtype="PCM_16")
        rows.append([f"high/copy-{n}.flac", "high", f"high {n}"])
    rows.append(["high/none.wav", "high", "high 1"])
    soundfile.write(folder / "noise" / "still.wav", np.zeros(6 * RATE), RATE)
    rows.append(["noise/still.wav", "noise", "noise 1"])
    write_manifest(folder / "manifest.csv", rows)
    words = ("data=manifest", f"data.path={folder / 'manifest.csv'}", "split=artist", f"store={tmp_path / 'store'}")
    said = call("audit", *words, "--out", tmp_path / "out")
    assert said.code == 1
    (same,) = rows_of(said, "exact")
    assert (same["n"], same["genres"]) == ("9", "low, high")
    assert len(same["sides"].split()) > 1
    assert [r["known by"] for r in rows_of(said, "two_genres")] == ["the same sound"]
    assert {r["song"].split("/")[-1].split(".")[0]: r["what"] for r in rows_of(said, "faults")} == {
        "none": "missing",
        "still": "silent",
    }
    assert page_of(said) == tmp_path / "out" / "audit.html"


def test_a_title_is_text(call: Call, songs: Songs, tmp_path: Path) -> None:
    rows = list(csv.reader(songs.manifest.open(encoding="utf-8")))[1:]
    rows = [[str(songs.folder / p), "<script>alert(1)</script>" if g == "low" else g, a] for p, g, a in rows]
    manifest = write_manifest(tmp_path / "evil.csv", rows)
    said = call("audit", "data=manifest", f"data.path={manifest}", "split=slice", f"store={tmp_path / 's'}")
    page = page_of(said).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "://" not in page


@pytest.mark.parametrize(
    "words",
    [
        ("data=nothing",),
        ("data=manifest", "data.path=/none/at/all.csv"),
        ("data=manifest", "data.path=SONGS", "split=studio"),
        ("data=manifest", "data.path=SONGS", "--out", "SONGS"),
        ("nonsense",),
        (),
    ],
)
def test_wrong_words_are_told_in_a_line(words: tuple[str, ...], call: Call, songs: Songs, store: Path) -> None:
    said = call("audit", *(w.replace("SONGS", str(songs.manifest)) for w in words), f"store={store}")
    assert said.code == 2
    assert len(said.err.strip().splitlines()) == 1
    assert said.out == ""
