"""Collections that mirdata fetches: from a server on this machine, in the layout of the real archives."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from mirdata import core
from mirdata.datasets import ballroom, gtzan_genre

from genrelab.types import UserError
from tests.data.sources.given import said, sound, source, tracks_of

ASKED: list[str] = []  # what was fetched


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        if args and str(args[0]).startswith("GET"):
            ASKED.append(str(args[0]).split()[1].lstrip("/"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    ASKED.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def offered(monkeypatch: pytest.MonkeyPatch, module: Any, at: tuple[Path, str], files: dict, index: dict) -> None:
    """A mirdata data set whose archives and index lie on the server; files: remote -> (archive's name, bytes)."""
    folder, address = at
    told = json.dumps({"version": "1.0", "tracks": index}).encode()
    (folder / "index.json").write_bytes(told)
    made = core.Index(filename="index.json", url=f"{address}/index.json", checksum=md5(told))
    monkeypatch.setattr(module, "INDEXES", {"default": "1.0", "1.0": made})
    for part, (name, data) in files.items():
        (folder / name).write_bytes(data)
        remote = module.REMOTES[part]
        for key, value in (("filename", name), ("url", f"{address}/{name}"), ("checksum", md5(data))):
            monkeypatch.setattr(remote, key, value)


def tarred(root: Path) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for child in sorted(root.iterdir()):
            tar.add(child, child.name)
    return held.getvalue()


@pytest.fixture
def gtzan(monkeypatch: pytest.MonkeyPatch, served: tuple[Path, str], tmp_path: Path) -> Path:
    """Two clips on the server, as genres.tar.gz holds them; the folder to fetch them into."""
    there, index = tmp_path / "original", {}
    for name in ("blues.00029", "rock.00010"):
        file = f"genres/{name.split('.')[0]}/{name}.wav"
        sound(there / file, 1.0)
        index[name] = {"audio": [f"gtzan_genre/{file}", md5((there / file).read_bytes())], "beats": [None, None]}
    offered(monkeypatch, gtzan_genre, served, {"all": ("genres.tar.gz", tarred(there))}, index)
    return tmp_path / "GTZAN"


def test_gtzan_is_fetched_once_into_a_folder_that_was_not_there(gtzan: Path, tmp_path: Path) -> None:
    tracks = tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)
    assert [t.id for t in tracks] == ["blues.00029", "rock.00010"]
    assert all(t.path.is_relative_to(gtzan) and t.path.is_file() for t in tracks)
    assert ASKED.count("genres.tar.gz") == 1
    ASKED.clear()
    tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)
    assert ASKED == []


def test_a_file_that_is_not_as_published_is_named(
    gtzan: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (first, _) = tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)
    first.path.write_bytes(first.path.read_bytes()[:-100])
    caplog.clear()
    tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)
    assert any("1 files are not as published: blues.00029.wav" in line for line in said(caplog))


def test_a_damaged_archive_is_a_line_and_is_fetched_anew(gtzan: Path, served: tuple[Path, str], tmp_path: Path) -> None:
    whole = (served[0] / "genres.tar.gz").read_bytes()
    (served[0] / "genres.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="gtzan_genre could not be fetched"):
        tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)
    (served[0] / "genres.tar.gz").write_bytes(whole)
    assert len(tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)) == 2


def test_no_server_is_a_line(gtzan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    remote = gtzan_genre.INDEXES["1.0"].remote
    monkeypatch.setattr(remote, "url", "http://127.0.0.1:9/index.json")  # discard: nobody listens
    with pytest.raises(UserError, match=r"could not be fetched .*try again, or fetch it by hand"):
        tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)


def test_without_mirdata_the_line_says_what_to_install(
    gtzan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mirdata", None)
    with pytest.raises(UserError, match=r"pip install 'genrelab\[mirdata\]'"):
        tracks_of(source("gtzan", gtzan, filtered=True, download=True), tmp_path)


def test_ballroom_is_fetched_with_its_beats(
    monkeypatch: pytest.MonkeyPatch, served: tuple[Path, str], tmp_path: Path
) -> None:
    there, index = tmp_path / "original", {}
    for name in ("Jive/Media-104001", "Waltz/Media-105901"):
        file = there / f"BallroomData/{name}.wav"
        sound(file, 1.0)
        index[name.split("/")[1]] = {"audio": [f"B_1.0/audio/{name}.wav", md5(file.read_bytes())]}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for song in index:
            archive.writestr(f"BallroomAnnotations-master/{song}.beats", "0.1 1\n0.5 2\n0.9 3\n")
    files = {"audio": ("data1.tar.gz", tarred(there)), "beats": ("master.zip", held.getvalue())}
    offered(monkeypatch, ballroom, served, files, index)
    tracks = tracks_of(source("ballroom", tmp_path / "B", download=True), tmp_path)
    assert [(t.id, t.genre) for t in tracks] == [("Media-104001", "Jive"), ("Media-105901", "Waltz")]
    assert all(t.beats and t.tempo_bpm == pytest.approx(150) for t in tracks)
