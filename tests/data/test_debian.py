"""Files out of Debian packages: fetched once, whole or not at all; nothing but the wanted files unpacked."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from genrelab.data.debian import Package, fetch, known, licence, need_programs, unpack
from genrelab.types import UserError
from tests.data.debs import NEEDS_DPKG, Debian, debian, no_programs

pytestmark = NEEDS_DPKG


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    return debian(tmp_path / "debian", monkeypatch)


def tree(folder: Path, **files: bytes) -> Path:
    for name, data in files.items():
        path = folder / "usr/share/games" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def song(apt: Debian, tmp_path: Path, name: str = "song") -> Package:
    apt.package(name, tree(tmp_path / name, a=b"a" * 3000))
    return known([name])[name]


def there(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_apt_tells_size_and_hash_and_a_name_it_does_not_know_is_left_out(apt: Debian, tmp_path: Path) -> None:
    deb = apt.package("song", tree(tmp_path / "song", a=b"a"))
    found = known(["nowhere", "song"])
    assert list(found) == ["song"]
    assert (found["song"].version, found["song"].size) == ("1:1.0-1", deb.stat().st_size)
    assert found["song"].folder == "song_1-1.0-1"


def test_a_package_that_points_to_one_with_a_version_in_its_name_is_that_one(apt: Debian, tmp_path: Path) -> None:
    apt.package("hero-music", tree(tmp_path / "a", a=b"a"), "Depends: hero-common, hero-1.16-music (>= 1)\n")
    apt.package("hero-1.16-music", tree(tmp_path / "b", a=b"b"), "Depends: hero-1.16-data, hero-2\n")
    apt.package("villain-data", tree(tmp_path / "c", a=b"c"), "Depends: villain, villain-1.2-music\n")
    found = known(["hero-music", "hero-1.16-music", "villain-data"])
    assert {name: package.name for name, package in found.items()} == {
        "hero-music": "hero-1.16-music",
        "hero-1.16-music": "hero-1.16-music",
        "villain-data": "villain-data",
    }


def test_a_package_is_fetched_once_and_again_where_its_bytes_changed(apt: Debian, tmp_path: Path) -> None:
    package, seen = song(apt, tmp_path), list[int]()
    folder = tmp_path / "store"
    file = fetch(package, folder, seen.append)
    assert file.read_bytes() == (apt.here / "song.deb").read_bytes()
    assert there(folder) == [file.name]
    assert seen[-1] == package.size and seen == sorted(seen)
    fetch(package, folder, seen.append)
    assert apt.calls == ["song"]
    file.write_bytes(bytes(package.size))
    fetch(package, folder, seen.append)
    assert apt.calls == ["song", "song"]
    assert file.read_bytes() == (apt.here / "song.deb").read_bytes()


def test_half_a_file_of_a_killed_run_never_has_the_name_of_a_whole_one(apt: Debian, tmp_path: Path) -> None:
    package = song(apt, tmp_path)
    folder = tmp_path / "store"
    part = folder / f"{package.folder}.part"
    part.mkdir(parents=True)
    (part / "song_1%3a1.0-1_all.deb").write_bytes(b"half")
    assert fetch(package, folder, lambda _: None).read_bytes() == (apt.here / "song.deb").read_bytes()
    assert not part.exists()


def test_another_file_than_the_one_that_apt_lists_is_refused(apt: Debian, tmp_path: Path) -> None:
    package = song(apt, tmp_path)
    deb = apt.here / "song.deb"
    deb.write_bytes(deb.read_bytes()[:-1] + b"!")
    with pytest.raises(UserError, match="another size or SHA256"):
        fetch(package, tmp_path / "store", lambda _: None)
    assert there(tmp_path / "store") == []


def test_without_a_network_one_line_says_why(apt: Debian, tmp_path: Path) -> None:
    package = song(apt, tmp_path)
    apt.network("song", there=False)
    with pytest.raises(UserError, match=r"song: .*Could not resolve.*look to the network") as error:
        fetch(package, tmp_path / "store", lambda _: None)
    assert "\n" not in str(error.value)
    apt.network("song", there=True)
    assert fetch(package, tmp_path / "store", lambda _: None).is_file()


def test_only_the_wanted_files_are_unpacked_and_zips_are_looked_into(apt: Debian, tmp_path: Path) -> None:
    inside = tmp_path / "music.zip"
    with zipfile.ZipFile(inside, "w") as made:
        made.writestr("cd/two.ogg", b"22")
        made.writestr("cd/two.txt", b"no")
        made.writestr("../../../../../out.ogg", b"out")
    source = tree(tmp_path / "song", one__a_b=b"1", big__c=b"x" * 50, m__music=inside.read_bytes())
    games = source / "usr/share/games"
    (games / "m/music").rename(games / "m/music.pk3")
    (games / "one/a_b").rename(games / "one/a b.ogg")
    (games / "big/c").rename(games / "big/c.ogg")
    (games / "link.ogg").symlink_to("/etc/hostname")
    deb = apt.package("song", source)
    folder = tmp_path / "store" / "song"
    old = folder.with_name("song.part")
    old.mkdir(parents=True)
    (old / "half.ogg").write_bytes(b"of a killed run")
    unpack(deb, folder, lambda path, size: path.endswith(".ogg") and size < 50)
    assert there(folder) == ["usr/share/games/m/music.pk3/cd/two.ogg", "usr/share/games/one/a b.ogg"]
    assert (folder / "usr/share/games/m/music.pk3/cd/two.ogg").read_bytes() == b"22"
    assert there(tmp_path / "store") == [f"song/{name}" for name in there(folder)]
    assert not list(tmp_path.rglob("out.ogg"))


def test_a_broken_package_leaves_no_folder(apt: Debian, tmp_path: Path) -> None:
    deb = apt.package("song", tree(tmp_path / "song", a=b"a" * 100_000))
    for data in (deb.read_bytes()[:50_000], b"no package"):
        deb.write_bytes(data)
        with pytest.raises(UserError, match=re.escape(f"{deb} cannot be unpacked")):
            unpack(deb, tmp_path / "store" / "song", lambda *_: True)
        assert there(tmp_path) == [n for n in there(tmp_path) if not n.startswith("store")]


def test_a_licence_is_read_in_debians_format_and_never_guessed(apt: Debian, tmp_path: Path) -> None:
    folder = unpack(apt.package("song", tree(tmp_path / "s", a=b"a")), tmp_path / "song", lambda *_: True)
    file = folder / "usr/share/doc/song/copyright"
    assert licence(file) == "GPL-2+, CC-BY-SA-4.0"
    file.write_text("The GPL is in /usr/share/common-licenses/GPL-2, but this is not under it.\nLicense: ask\n")
    assert licence(file) == "see song/copyright"
    assert licence(tmp_path / "none") == "not stated"


def test_elsewhere_than_on_debian_it_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_programs(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"data=games needs Debian.*not found: apt-cache, apt-get, dpkg-deb"):
        need_programs("data=games")
