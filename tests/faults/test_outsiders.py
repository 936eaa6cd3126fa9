"""Archives, pages and files from elsewhere: nothing lands beside its place, nobody is let in, no song is lost."""

from __future__ import annotations

import base64
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from genrelab.data import debian
from tests.conftest import RATE, Said, Songs, Trained, program
from tests.faults.servers import HOST, free_port
from tests.faults.whole import only_whole

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]


def deb(path: Path, tar: bytes) -> Path:
    """A Debian package by hand: dpkg-deb would not put `..` into one."""

    def member(name: str, data: bytes) -> bytes:
        head = f"{name:<16}{'0':<12}{'0':<6}{'0':<6}{'100644':<8}{len(data):<10}`\n".encode()
        return head + data + b"\n" * (len(data) % 2)

    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w") as file:
        text = b"Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y.z>\nDescription: x\n"
        about = tarfile.TarInfo("./control")
        about.size = len(text)
        file.addfile(about, io.BytesIO(text))
    parts = (("debian-binary", b"2.0\n"), ("control.tar", control.getvalue()), ("data.tar", tar))
    path.write_bytes(b"!<arch>\n" + b"".join(member(*p) for p in parts))
    return path


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb lacks: this is no Debian")
def test_nothing_in_an_archive_lands_beside_its_folder(tmp_path: Path, count: Count) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as made:
        for name in ("../../../zip-out.ogg", "/zip-root.ogg", "a/../../../../zip-deep.ogg", "fine.ogg"):
            made.writestr(name, b"zip")
    names = ["../tar-out.ogg", "./../../tar-two.ogg", "a/../../../tar-deep.ogg", "/tar-root.ogg", "./fine.ogg"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for kind, name, goal in (
            (tarfile.SYMTYPE, "./away", str(tmp_path / "elsewhere")),
            (tarfile.SYMTYPE, "./up", "../../.."),
            (tarfile.LNKTYPE, "./hard.ogg", "../../../etc/hostname"),
            (tarfile.FIFOTYPE, "./fifo.ogg", ""),
        ):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, goal
            tar.addfile(about)
        for name in [*names, "./away/through.ogg", "./up/through.ogg", "./music.pk3"]:
            data = inner.getvalue() if name.endswith("pk3") else b"tar"
            about = tarfile.TarInfo(name)
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    (tmp_path / "elsewhere").mkdir()
    home = tmp_path / "a" / "b" / "c"
    home.mkdir(parents=True)
    file = deb(home / "x.deb", out.getvalue())
    goal = debian.unpack(file, home / "unpacked", lambda name, _: name.endswith(".ogg"))
    assert (goal / "fine.ogg").read_bytes() == b"tar"
    assert (goal / "music.pk3" / "fine.ogg").read_bytes() == b"zip"
    landed = [p for p in tmp_path.rglob("*") if p.is_file() and p != file]
    assert all(p.is_relative_to(goal) for p in landed), landed
    assert not [p for p in goal.rglob("*") if p.is_symlink() or p.is_fifo()]
    assert not any(Path("/", name).exists() for name in ("tar-root.ogg", "zip-root.ogg"))
    count("archive members that lead elsewhere", 4 + 3 + 4)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "127.0.0.1.example.org", "0"])
def test_pages_for_others_want_a_log_in(host: str, call: Call, trained: Trained) -> None:
    said = call("ui", "--host", host, "--port", free_port(), f"store={trained.store}")
    assert said.code == 2
    assert "--auth" in said.err.splitlines()[-1]
    assert len(said.err.splitlines()) == 1


def test_a_log_in_wants_a_password(call: Call, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_AUTH_ADMIN_PASSWORD", raising=False)
    said = call("ui", "--host", "0.0.0.0", "--auth", f"store={trained.store}")
    assert said.code == 2
    assert "MLFLOW_AUTH_ADMIN_PASSWORD" in said.err.splitlines()[-1]


def listening(process: subprocess.Popen[str]) -> set[str]:
    """The addresses at which a process and those below it listen."""
    own = psutil.Process(process.pid)
    connections = [c for p in [own, *own.children(recursive=True)] for c in p.net_connections("tcp")]
    return {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}


def asked(uri: str, user: str = "", password: str = "") -> int:
    """What MLflow answers to a request for its data sets."""
    headers = {"Content-Type": "application/json"}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(f"{uri}/api/2.0/mlflow/experiments/search", b'{"max_results": 9}', headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_pages_are_for_this_machine_and_with_a_log_in_for_others(
    songs: Songs, trained: Trained, tmp_path: Path, tries: Tries
) -> None:
    only_whole(tries)
    shutil.copytree(trained.store, tmp_path / "store")
    password = "a password of the test"
    own = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_AUTH")}
    for words, at, with_log_in in [([], "127.0.0.1", False), (["--host", "0.0.0.0", "--auth"], "0.0.0.0", True)]:
        port, extra = free_port(), {"MLFLOW_AUTH_ADMIN_PASSWORD": password} if with_log_in else {}
        process = program("ui", "--port", port, *words, f"store={tmp_path / 'store'}", env=own | extra)
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith(f"http://{at}:{port}"), process.communicate()[1]
            assert "tones" in process.stdout.readline()  # the links, asked for with the log-in
            assert listening(process) == {at}
            uri = f"http://{HOST}:{port}"
            assert asked(uri) == (401 if with_log_in else 200)
            if with_log_in:
                assert asked(uri, "admin", password) == 200
                assert asked(uri, "admin", "password1234") == 401  # MLflow's own of former days
                assert asked(uri, "admin", "") == 401
                assert (tmp_path / "store" / "auth" / "users.db").is_file()
                files = [p for p in (tmp_path / "store").rglob("*") if p.is_file()]
                assert not [p for p in files if password.encode() in p.read_bytes()]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


TAG = """
import sys
from pathlib import Path
from genrelab.audio import tagging
tagging.tag_in_place(Path(sys.argv[1]), ["genre"], "run")  # all is loaded, and a tag is there
print("ready", flush=True)
for n in range(1000):
    tagging.tag_in_place(Path(sys.argv[1]), [f"genre {n}"], "run")
"""


def test_a_kill_while_tags_are_written_leaves_the_song_whole(tmp_path: Path, tries: Tries, count: Count) -> None:
    """The old file or a verified new one, at any moment."""
    import mutagen

    path, dice = tmp_path / "song.flac", random.Random(0)
    sound = np.random.default_rng(0).integers(-9999, 9999, RATE // 2).astype(np.int16)
    soundfile.write(path, sound, RATE)
    for _ in range(tries(4, 60)):
        process = subprocess.Popen([sys.executable, "-c", TAG, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout and process.stdout.readline() == "ready\n"
        time.sleep(dice.uniform(0, 0.5))
        process.kill()
        process.communicate()
        np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], sound)
        tags = mutagen.File(path).tags
        assert tags["genre"][0].startswith("genre")
        count("kills while a tag was written")


def test_a_link_of_the_working_files_name_is_not_written_through(tmp_path: Path) -> None:
    from genrelab.audio import tagging

    path, victim = tmp_path / "song.flac", tmp_path / "victim"
    soundfile.write(path, np.zeros(RATE // 4), RATE)
    victim.write_text("dear")
    (tmp_path / f".song.genrelab-{os.getpid()}.flac").symlink_to(victim)
    before = path.read_bytes()
    with pytest.raises(tagging.TagError):
        tagging.tag_in_place(path, ["rock"], "run")
    assert victim.read_text() == "dear"
    assert path.read_bytes() == before
