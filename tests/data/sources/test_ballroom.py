"""Ballroom: three Rumba folders, annotated beats in both versions, known replicas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genrelab.data.manifest import read_beats
from genrelab.data.sources.ballroom import REPLICAS
from tests.data.sources.given import said, source, touched, tracks_of, wrong

SONGS = (
    *("ChaChaCha/Albums-Latin_Jam-06.wav", "ChaChaCha/Albums-Latin_Jam-15.wav", "Jive/Media-103402.wav"),
    *("Rumba-American/Albums-Cafe_Paradiso-11.wav", "Rumba-International/Media-103601.wav"),
    *("Rumba-Misc/Albums-Pais_Tropical-01.wav", "VienneseWaltz/Albums-Secret_Garden-01.wav"),
)


def grid(beats_per_bar: int, bpm: float, with_bars: bool = False, separator: str = " ") -> str:
    lines = []
    for beat in range(12):
        place = beat % beats_per_bar + 1
        word = f"{beat // beats_per_bar + 1}.{place}" if with_bars else str(place)
        lines.append(f"{1.61 + 60 * beat / bpm:.10f}{separator}{word}")
    return "\n".join(lines) + "\n"


def ballroom(root: Path) -> Path:
    touched(root / "BallroomData", *SONGS, "allBallroomFiles", "nada", "ChaChaCha/._Albums-Fire-08.wav")
    beats = root / "BallroomAnnotations"
    touched(beats, "README.md")
    for song in SONGS:
        name = Path(song).stem
        (beats / f"{name}.beats").write_text(grid(3 if "Waltz" in song else 4, 120))
    (beats / "Albums-Pais_Tropical-01.beats").write_text(grid(4, 100, with_bars=True, separator="\t"))
    return root / "BallroomData"


def test_the_three_rumba_folders_are_one_dance(tmp_path: Path) -> None:
    tracks = tracks_of(source("ballroom", ballroom(tmp_path)), tmp_path / "store")
    assert [(t.id, t.genre) for t in tracks] == [
        ("Albums-Latin_Jam-06", "ChaChaCha"),
        ("Media-103402", "Jive"),
        ("Albums-Cafe_Paradiso-11", "Rumba"),
        ("Albums-Pais_Tropical-01", "Rumba"),
        ("Media-103601", "Rumba"),
        ("Albums-Secret_Garden-01", "VienneseWaltz"),
    ]
    assert tracks[0].path == tmp_path / "BallroomData/ChaChaCha/Albums-Latin_Jam-06.wav"
    assert [t.album for t in tracks][:3] == ["Latin_Jam", "Media-1034", "Cafe_Paradiso"]
    assert all(t.artist is None and t.group is None and t.split is None for t in tracks)


def test_beats_come_over_as_they_were_annotated(tmp_path: Path) -> None:
    tracks = {t.id: t for t in tracks_of(source("ballroom", ballroom(tmp_path)), tmp_path / "store")}
    for name, beats_per_bar, bpm in (
        ("Albums-Latin_Jam-06", 4, 120.0),
        ("Albums-Secret_Garden-01", 3, 120.0),
        ("Albums-Pais_Tropical-01", 4, 100.0),  # the older version, with bars
    ):
        track = tracks[name]
        assert track.beats is not None and track.beats.is_relative_to(tmp_path / "store/data")
        beats = read_beats(track.beats)
        assert beats.beat_in_bar is not None
        np.testing.assert_allclose(beats.times_s, 1.61 + 60 * np.arange(12) / bpm, atol=1e-9)
        assert beats.beat_in_bar.tolist() == [i % beats_per_bar + 1 for i in range(12)]
        assert track.tempo_bpm == pytest.approx(bpm, abs=1e-6)


def test_the_converted_beats_are_kept_and_never_changed(tmp_path: Path) -> None:
    home, store = ballroom(tmp_path), tmp_path / "store"
    first = {t.id: t.beats for t in tracks_of(source("ballroom", home), store)}
    stamps = {path: path.stat().st_mtime_ns for path in first.values() if path}
    assert {t.id: t.beats for t in tracks_of(source("ballroom", home), store)} == first
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    (tmp_path / "BallroomAnnotations/Media-103601.beats").write_text(grid(4, 90))
    second = {t.id: t for t in tracks_of(source("ballroom", home), store)}
    assert second["Media-103601"].beats != first["Media-103601"]
    assert second["Media-103601"].tempo_bpm == pytest.approx(90, abs=1e-6)
    assert len(list((store / "data").iterdir())) == 2  # nothing half made is left


def test_known_replicas_are_left_out_or_share_their_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = ballroom(tmp_path)
    without = tracks_of(source("ballroom", home, replicas=False), tmp_path / "store")
    assert "Albums-Latin_Jam-15" not in {t.id for t in without}
    assert said(caplog) == ["ballroom: 1 known replicas of other excerpts are left out: Albums-Latin_Jam-15"]
    tracks = {t.id: t.track for t in tracks_of(source("ballroom", home, replicas=True), tmp_path / "store")}
    assert tracks["Albums-Latin_Jam-15"] == tracks["Albums-Latin_Jam-06"] == "Albums-Latin_Jam-06"
    assert len(set(tracks.values())) == len(tracks) - 1
    (home / "ChaChaCha/Albums-Latin_Jam-06.wav").unlink()  # its original lacks: it is no copy any more
    assert "Albums-Latin_Jam-15" in {t.id for t in tracks_of(source("ballroom", home), tmp_path / "store")}


def test_the_list_of_replicas_has_no_chains() -> None:
    assert len(REPLICAS) == 13 and not REPLICAS.keys() & set(REPLICAS.values())


def test_the_folder_above_and_annotations_elsewhere_or_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home, store = ballroom(tmp_path / "a"), tmp_path / "store"
    assert tracks_of(source("ballroom", home.parent), store) == tracks_of(source("ballroom", home), store)
    away = (tmp_path / "a/BallroomAnnotations").rename(tmp_path / "beats")
    caplog.clear()
    assert all(t.beats is None and t.tempo_bpm is None for t in tracks_of(source("ballroom", home), store))
    assert "beats will be estimated" in said(caplog)[-1]
    assert all(t.beats for t in tracks_of(source("ballroom", home, annotations=str(away)), store))
    assert "no .beats file there" in wrong("ballroom", home, store, annotations=str(tmp_path / "no"))
    (away / "Media-103402.beats").unlink()
    caplog.clear()
    found = {t.id: t.beats for t in tracks_of(source("ballroom", home, annotations=str(away)), store)}
    assert found["Media-103402"] is None and found["Media-103601"]
    assert said(caplog)[-1] == "ballroom: 1 songs have no annotated beats: Media-103402"


@pytest.mark.parametrize(
    ("lines", "where"),
    [("1.0 1\n0.5 2\n", "line 2"), ("1.0 1\nabc\n", "line 2"), ("1.0 0\n", "line 1"), ("", "has no beats")],
)
def test_annotations_that_cannot_be_read_are_said(tmp_path: Path, lines: str, where: str) -> None:
    home = ballroom(tmp_path)
    file = tmp_path / "BallroomAnnotations/Media-103402.beats"
    file.write_text(lines)
    line = wrong("ballroom", home, tmp_path / "store")
    assert str(file) in line and where in line


def test_a_folder_without_dances_is_said(tmp_path: Path) -> None:
    assert "data.path=DIR" in wrong("ballroom", None, tmp_path)
    assert "no folder like ChaChaCha" in wrong("ballroom", touched(tmp_path / "x", "Salsa/a.wav"), tmp_path)
