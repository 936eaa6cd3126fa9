"""What the page of a song is made of: neighbours that are recordings, and how like what it knows a song is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from genrelab import tagged
from genrelab.answering import Listened
from genrelab.evaluate.rejection import Known
from genrelab.types import Track

RATE = 8000


def asked(songs: list[Track], known: Known | None, **rule: Any) -> Any:
    """A run that remembers these songs, as far as neighbours want to know."""
    run = SimpleNamespace(rule=SimpleNamespace(known=known, **rule), config={"sample_rate": RATE})
    return tagged.Asked(None, run, songs, None)  # type: ignore[arg-type]


@pytest.fixture
def songs(tmp_path: Path) -> list[Track]:
    """Three recordings, the first of them twice: by its track, and the last twice: by its path."""
    for name in "abc":
        soundfile.write(tmp_path / f"{name}.wav", np.linspace(-0.5, 0.5, 30 * RATE), RATE)
    return [
        Track("x/a0", tmp_path / "a.wav", ("rap",), artist="Ann", track="a"),
        Track("x/a1", tmp_path / "copy of a.wav", ("rap",), artist="Ann", track="a"),
        Track("x/b", tmp_path / "b.wav", ("rock",), start_s=2.0, duration_s=4.0),
        Track("x/c0", tmp_path / "c.wav", ("rock",)),
        Track("x/c1", tmp_path / "c.wav", ("rock",), start_s=5.0),
        Track("x/gone", tmp_path / "gone.wav", ("rap", "rock")),
    ]


def test_a_recording_is_a_neighbour_once_by_its_nearest_window(songs: list[Track]) -> None:
    angles = np.array([0.2, 0.1, 0.3, 0.5, 0.6, 0.4])
    z = np.stack([np.cos(angles), np.sin(angles)], 1)
    known = Known.fit(z, z, np.array([0, 0, 1, 1, 1, 0]), 1)
    found = tagged._neighbours(np.array([1.0, 0.0]), asked(songs, known))
    assert [n.id for n in found] == ["x/a1", "x/b", "x/gone", "x/c0"]
    assert [n.name for n in found] == ["a1", "b", "gone", "c0"]
    assert [n.why_silent for n in found] == ["its file is no longer there", "", "its file is no longer there", ""]
    assert [n.sound is None for n in found] == [True, False, True, False]
    assert found[2].genres == ("rap", "rock")
    assert found[0].by == "Ann"
    away = [n.distance for n in found]
    assert away == sorted(away)


def test_an_excerpt_is_the_middle_of_the_songs_window(songs: list[Track], monkeypatch: pytest.MonkeyPatch) -> None:
    from genrelab.audio import encode

    cut: list[np.ndarray] = []
    monkeypatch.setattr(encode, "encoded", lambda wave, *_: (cut.append(wave), (b"", ""))[1])
    tagged._excerpt(songs[3], RATE)
    tagged._excerpt(songs[2], RATE)
    assert [len(w) / RATE for w in cut] == [tagged.EXCERPT_S, 4.0]
    slope = 1 / (30 * RATE - 1)
    assert cut[0][0] == pytest.approx(-0.5 + 10 * RATE * slope, abs=1e-3)
    assert cut[1][0] == pytest.approx(-0.5 + 2 * RATE * slope, abs=1e-3)


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (-9.0, "less than all of its validation songs; the lowest 5 % get no tag"),
        (-3.5, "more than 40 % of its validation songs; the lowest 5 % get no tag"),
        (9.0, "more than all of its validation songs; the lowest 5 % get no tag"),
    ],
)
def test_how_like_what_it_knows_a_song_is(score: float, said: str) -> None:
    run = asked([], None, score="knn", keep=0.95, knownness=lambda _: {"knn": np.array([score])})
    song = Listened("a", said=SimpleNamespace())  # type: ignore[arg-type]
    assert tagged._ranked(song, run, np.array([-5.0, -4.0, -3.0, -2.0, -1.0])) == said


def test_a_song_that_was_not_heard_has_no_page() -> None:
    with pytest.raises(ValueError, match="a was not heard: empty"):
        tagged.tagged(Listened("a", error="empty"), asked([], None))
