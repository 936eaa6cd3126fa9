"""Files out of Debian packages, without root and without installing anything: `apt-get download`, `dpkg-deb`."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from genrelab.types import UserError

PROGRAMS = ("apt-cache", "apt-get", "dpkg-deb")
ARCHIVES = (".pk3", ".zip")  # games keep their music in such as well
LOOK_S = 0.2  # how often the growing file is looked at

Downloaded = Callable[[int], None]  # bytes of the package that are there
Wanted = Callable[[str, int], bool]  # a file's path in the package, and its bytes


@dataclass(frozen=True)
class Package:
    """What apt knows of the version that it would fetch."""

    name: str
    version: str
    size: int  # bytes
    sha256: str

    @property
    def folder(self) -> str:
        """Name and version as the name of a folder."""
        return f"{self.name}_{re.sub(r'[^A-Za-z0-9.+~-]', '-', self.version)}"


def need_programs(what: str) -> None:
    """Raises UserError where this is no Debian."""
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    if lacking:
        raise UserError(
            f"{what} needs Debian or a relative of it, its apt-get and dpkg-deb (no root, nothing is installed); not "
            f"found: {', '.join(lacking)}"
        )


def known(names: Sequence[str]) -> dict[str, Package]:
    """Name -> the package that apt would fetch; a name that apt does not know is left out.

    A package that only points to one with a version in its name (wesnoth-music to wesnoth-1.16-music) is that one.
    """
    found: dict[str, Package] = {}
    for name in names:
        real, text = name, _output(["apt-cache", "show", "--no-all-versions", name])
        depends = re.search(r"^Depends: *(.*)$", text, re.MULTILINE)
        for other in re.findall(r"[a-z0-9][a-z0-9+.-]+", depends[1] if depends else ""):
            if other != name and re.sub(r"-\d[\d.]*(?=-|$)", "", other) == name:
                real, text = other, _output(["apt-cache", "show", "--no-all-versions", other])
                break
        package = _parse(real, text)
        if package:
            found[name] = package
    return found


def _parse(name: str, text: str) -> Package | None:
    fields = dict(re.findall(r"^(Version|Size|SHA256): *(\S+)$", text.split("\n\n", maxsplit=1)[0], re.MULTILINE))
    if len(fields) < 3:
        return None
    return Package(name, fields["Version"], int(fields["Size"]), fields["SHA256"])


def _output(command: list[str]) -> str:
    """What a program prints, nothing where it fails: apt says so of a name that it does not know."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else ""


def fetch(package: Package, folder: Path, progress: Downloaded) -> Path:
    """The package's file in the folder, fetched if it is not there whole.

    It grows in a folder beside and moves when its size and SHA256 are right; apt goes on with what a killed run left.
    Raises UserError where it cannot be fetched.
    """
    file = folder / f"{package.folder}.deb"
    if file.is_file() and _is_whole(file, package):
        progress(package.size)
        return file
    part = folder / f"{package.folder}.part"
    part.mkdir(parents=True, exist_ok=True)
    said = part / "said.txt"
    command = ["apt-get", "download", "-q", f"{package.name}={package.version}"]
    with said.open("wb") as out:
        process = subprocess.Popen(command, cwd=part, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                progress(min(sum(f.stat().st_size for f in part.glob("*.deb*")), package.size - 1))
                time.sleep(LOOK_S)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    arrived = sorted(part.glob("*.deb"))
    if process.returncode != 0 or not arrived:
        lines = said.read_text(errors="replace").splitlines()
        reason = next((line[2:].strip() for line in lines if line.startswith("E:")), "apt-get gave no reason")
        raise UserError(
            f"{package.name}: apt-get download failed ({reason}): look to the network, or bring apt up to date with "
            "apt-get update; then run again, what was fetched stays"
        )
    if not _is_whole(arrived[-1], package):
        shutil.rmtree(part)
        raise UserError(f"{package.name}: what apt-get fetched has another size or SHA256 than apt lists: run again")
    arrived[-1].replace(file)
    shutil.rmtree(part)
    progress(package.size)
    return file


def _is_whole(file: Path, package: Package) -> bool:
    if file.stat().st_size != package.size:
        return False
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == package.sha256


def unpack(file: Path, folder: Path, wanted: Wanted) -> Path:
    """The wanted files of a package in the folder, which takes its name when it is whole.

    Zip archives (.pk3, .zip) in the package are looked into. Links are left out. Raises UserError on a broken package.
    """
    if folder.is_dir():
        return folder
    part = folder.with_name(f"{folder.name}.part")
    if part.is_dir():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    process = subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None
                if stream is not None:
                    _take(stream, member.name, member.size, part, wanted)
        failed = process.wait() != 0
    except (tarfile.TarError, zipfile.BadZipFile, EOFError):
        failed = True
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    if failed:
        shutil.rmtree(part)
        raise UserError(f"{file} cannot be unpacked: it is no whole Debian package; remove it and run again")
    part.rename(folder)
    return folder


def _take(stream: IO[bytes], name: str, size: int, folder: Path, wanted: Wanted) -> None:
    path = PurePosixPath(name)
    if ".." in path.parts:
        return
    if path.suffix.lower() in ARCHIVES:
        with zipfile.ZipFile(io.BytesIO(stream.read())) as inside:
            for entry in inside.infolist():
                if not entry.is_dir():
                    with inside.open(entry) as inner:
                        _take(inner, f"{name}/{entry.filename.lstrip('/')}", entry.file_size, folder, wanted)
        return
    here = path.relative_to("/") if path.is_absolute() else path
    if not wanted(here.as_posix(), size):
        return
    target = folder / here
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        shutil.copyfileobj(stream, out)


def licence(copyright_file: Path) -> str:
    """The short names that a copyright file in Debian's format gives; another kind of file is not guessed at."""
    if not copyright_file.is_file():
        return "not stated"
    text = copyright_file.read_text(encoding="utf-8", errors="replace")
    names = re.findall(r"^License:[ \t]*(\S.*?)[ \t]*$", text, re.MULTILINE) if text.startswith("Format") else []
    return ", ".join(dict.fromkeys(names)) or f"see {copyright_file.parent.name}/copyright"
