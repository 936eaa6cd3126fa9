"""A small Debian of the tests' own: true packages, and an apt that serves them out of a folder and counts its calls."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

NEEDS_DPKG = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb lacks: this is no Debian")
APT_CACHE = """#!/bin/sh
case "$1" in
  show) cat "{here}/$3.show" 2>/dev/null || {{ echo "E: No packages found" >&2; exit 100; }} ;;
esac
"""
APT_GET = """#!/bin/sh
# download -q NAME=VERSION, into the folder where it is called
name="${{3%%=*}}"
echo "$name" >> "{here}/calls"
if [ -f "{here}/$name.gone" ]; then
  echo "Err:1 http://mirror.example/debian $name"
  echo "E: Failed to fetch $name  Could not resolve 'mirror.example'"
  exit 100
fi
cp "{here}/$name.deb" "./${{name}}_1%3a1.0-1_all.deb"
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-2+

Files: music/*
License: CC-BY-SA-4.0
"""


class Debian:
    def __init__(self, folder: Path) -> None:
        self.here = folder / "archive"
        self.bin = folder / "bin"
        self.here.mkdir(parents=True)
        self.bin.mkdir()
        for name, text in (("apt-cache", APT_CACHE), ("apt-get", APT_GET)):
            (self.bin / name).write_text(text.format(here=self.here))
            (self.bin / name).chmod(0o755)

    def package(self, name: str, tree: Path, depends: str = "") -> Path:
        """A package of what lies below `tree`, with a copyright file."""
        about = tree / "DEBIAN"
        about.mkdir(parents=True)
        (about / "control").write_text(
            f"Package: {name}\nVersion: 1:1.0-1\nArchitecture: all\nMaintainer: x <x@y.z>\nDescription: music\n"
        )
        doc = tree / "usr/share/doc" / name
        doc.mkdir(parents=True)
        (doc / "copyright").write_text(COPYRIGHT)
        deb = self.here / f"{name}.deb"
        subprocess.run(["dpkg-deb", "-Znone", "--build", str(tree), str(deb)], check=True, capture_output=True)
        data = deb.read_bytes()
        (self.here / f"{name}.show").write_text(
            f"Package: {name}\nVersion: 1:1.0-1\nInstalled-Size: 77\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n{depends}Description: music\n Size: 5 minutes\n\n"
        )
        return deb

    def network(self, name: str, *, there: bool) -> None:
        gone = self.here / f"{name}.gone"
        gone.unlink(missing_ok=True) if there else gone.touch()

    @property
    def calls(self) -> list[str]:
        """The packages that apt-get was asked for."""
        log = self.here / "calls"
        return log.read_text().split() if log.is_file() else []


def debian(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Debian:
    """Its programs come before the machine's own."""
    made = Debian(folder)
    monkeypatch.setenv("PATH", str(made.bin), prepend=":")
    return made


def no_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without them."""
    empty = folder / "no programs"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
