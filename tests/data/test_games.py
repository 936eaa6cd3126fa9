"""data=games: labels from tags, else from the package; windows that share a track; fetched once."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
import yaml

from genrelab.data.sources import games
from genrelab.data.sources.games import Games, _wanted
from genrelab.paths import conf_dir
from genrelab.types import Track, UserError
from tests.conftest import Said
from tests.data.debs import NEEDS_DPKG, Debian, debian, no_programs

pytestmark = NEEDS_DPKG
PACKAGES = {"opera-music": "orchestral", "mixed-data": None}


def source(**changes: Any) -> Games:
    """The yaml's, with small packages and short windows."""
    conf = yaml.safe_load((conf_dir() / "data" / "games.yaml").read_text())
    assert conf.pop("_target_") == "genrelab.data.sources.games.Games"
    return Games(**conf | {"packages": PACKAGES, "window_s": 1.5, "n_windows": 3} | changes)


def recording(path: Path, seconds: float, **tags: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * 8000))
    soundfile.write(path, noise, 8000, format="OGG", subtype="VORBIS")
    if tags:
        file = mutagen.File(path)
        file.update({k: [v] for k, v in tags.items()})
        file.save()


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    """Two packages: one whose untagged files are orchestral, one of which only tagged files count."""
    monkeypatch.setattr(games, "SMALLEST", 0)
    made = debian(tmp_path / "debian", monkeypatch)
    opera = tmp_path / "opera" / "usr/share/games/music"
    recording(opera / "long.ogg", 10, genre="Romantic Classical", artist="Ann", title="Long")
    recording(opera / "untagged.ogg", 2)
    recording(opera / "game.ogg", 2, genre="Game", artist="Bob")
    recording(opera / "polka.ogg", 2, genre="Polka")
    recording(opera / "click.ogg", 1)
    made.package("opera-1.2-music", tmp_path / "opera")
    made.package("opera-music", tmp_path / "points", "Depends: opera-1.2-music\n")
    mixed = tmp_path / "mixed" / "usr/share/mixed"
    recording(mixed / "first/song.ogg", 5, genre="Trash Metal", artist="Cy")
    recording(mixed / "first/guitar.ogg", 5, genre="Trash Metal", artist="Cy")
    recording(mixed / "second/song.ogg", 5, genre="dnb", artist="Di")
    recording(mixed / "both.ogg", 5, genre="electronic metal")
    recording(mixed / "untagged.ogg", 5)
    (mixed / "broken.ogg").write_bytes(b"OggS no sound")
    made.package("mixed-data", tmp_path / "mixed")
    return made


def tracks(store: Path, **changes: Any) -> dict[str, list[Track]]:
    found: dict[str, list[Track]] = {}
    for track in source(**changes).tracks(store):
        found.setdefault(str(track.track), []).append(track)
    return found


def reasons(store: Path) -> dict[str, str]:
    (file,) = store.glob("data/games/*/left_out.csv")
    with file.open(newline="") as table:
        return {row["file"].rsplit("/", maxsplit=1)[-1]: row["reason"] for row in csv.DictReader(table)}


def test_the_genre_is_the_files_tag_else_its_packages(apt: Debian, tmp_path: Path) -> None:
    found = tracks(tmp_path / "store")
    assert {name: (rows[0].genre, rows[0].artist) for name, rows in found.items()} == {
        "opera-1.2-music.long": ("orchestral", "Ann"),
        "opera-1.2-music.untagged": ("orchestral", "opera-1.2-music"),
        "opera-1.2-music.game": ("orchestral", "Bob"),
        "mixed-data.first": ("metal", "Cy"),
        "mixed-data.second": ("electronic", "Di"),
    }
    assert {row.licence for rows in found.values() for row in rows} == {"GPL-2+, CC-BY-SA-4.0"}


def test_what_is_left_out_is_named_with_the_reason(
    apt: Debian, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracks(tmp_path / "store")
    assert reasons(tmp_path / "store") == {
        "polka.ogg": "with the tag Polka",
        "click.ogg": "shorter than 1.5 s",
        "guitar.ogg": "one player of a song",
        "both.ogg": "with the tag electronic metal",
        "untagged.ogg": "without a genre tag",
        "broken.ogg": "not audio",
    }
    assert "6 files left out" in caplog.text


def test_windows_lie_in_their_recording_and_not_over_one_another(apt: Debian, tmp_path: Path) -> None:
    found = tracks(tmp_path / "store")
    assert {name: len(rows) for name, rows in found.items()} == {
        "opera-1.2-music.long": 3,
        "opera-1.2-music.untagged": 1,
        "opera-1.2-music.game": 1,
        "mixed-data.first": 3,
        "mixed-data.second": 3,
    }
    for rows in found.values():
        length = soundfile.info(rows[0].path).duration
        spans = sorted((t.start_s, t.start_s + (t.duration_s or 0)) for t in rows)
        assert all(end - start == pytest.approx(1.5) for start, end in spans)
        assert spans[0][0] == pytest.approx(length - spans[-1][1], abs=0.01)  # even: as far from either end
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert len({t.id for rows in found.values() for t in rows}) == 11


def test_sizes_are_said_first_and_a_second_run_needs_no_program(
    apt: Debian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[str, int, int]] = []
    first = source().tracks(tmp_path / "store", lambda *shown: seen.append(shown))
    total = sum((apt.here / f"{name}.deb").stat().st_size for name in ("opera-1.2-music", "mixed-data"))
    assert f"2 packages to fetch, {total / 1e6:.0f} MB in all: opera-1.2-music" in caplog.messages[0]
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert not list((tmp_path / "store").rglob("*.deb"))
    no_programs(tmp_path, monkeypatch)
    assert source().tracks(tmp_path / "store") == first
    assert apt.calls == ["opera-1.2-music", "mixed-data"]


def test_a_package_that_apt_does_not_know_is_named_and_the_rest_used(
    apt: Debian, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = tracks(tmp_path / "store", packages={**PACKAGES, "gone-data": "metal"})
    assert len(found) == 5
    assert "apt does not know gone-data: left out" in caplog.text
    with pytest.raises(UserError, match="apt knows none of gone-data, lost-music: run apt-get update"):
        tracks(tmp_path / "store", packages={"gone-data": None, "lost-music": None})


def test_what_was_fetched_before_the_network_went_stays(apt: Debian, tmp_path: Path) -> None:
    apt.network("mixed-data", there=False)
    with pytest.raises(UserError, match="mixed-data: apt-get download failed"):
        tracks(tmp_path / "store")
    assert not list((tmp_path / "store").rglob("manifest.csv"))
    apt.network("mixed-data", there=True)
    assert len(tracks(tmp_path / "store")) == 5
    assert apt.calls == ["opera-1.2-music", "mixed-data", "mixed-data"]


def test_some_packages_alone(apt: Debian, tmp_path: Path) -> None:
    assert len(tracks(tmp_path / "store", only=["opera-*"])) == 3
    assert apt.calls == ["opera-1.2-music"]
    with pytest.raises(UserError, match=r"data.only=\['nothing'\]: expected names out of data.packages: opera"):
        source(only=["nothing"])


def test_a_run_can_be_logged_with_its_packages() -> None:
    """MLflow takes no other characters in the name of a parameter."""
    conf = yaml.safe_load((conf_dir() / "data" / "games.yaml").read_text())
    assert all(re.fullmatch(r"[\w./ :-]+", name) for name in conf["packages"])


def test_sounds_too_small_for_music_are_not_unpacked() -> None:
    assert _wanted("usr/share/games/x/music/a.ogg", games.SMALLEST)
    assert not _wanted("usr/share/games/x/click.ogg", games.SMALLEST - 1)
    assert _wanted("usr/share/doc/x/copyright", 10)
    assert not _wanted("usr/share/games/x/copyright", 10)
    assert not _wanted("usr/share/games/x/a.png", 10**6)


def test_elsewhere_than_on_debian_one_line_and_exit_2(
    call: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_programs(tmp_path, monkeypatch)
    said = call("data=games", f"store={tmp_path / 'store'}")
    assert said.code == 2
    (line,) = said.err.strip().splitlines()
    assert "data=games needs Debian" in line and "apt-get" in line
