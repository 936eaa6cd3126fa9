"""Broken audio: each file is heard or named with its reason, in bounded time and memory; songs beside are unharmed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import struct
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile

from genrelab.audio import decode, guarded, mp4
from genrelab.audio.decode import AudioError, Reason
from genrelab.data.sources.audio import audio_files
from genrelab.data.sources.tags import Tags, read_tags
from genrelab.store import pictures
from genrelab.types import Track
from tests.conftest import TINY, Said, Songs, Trained, runs_of
from tests.faults import fuzzer
from tests.parts import SAMPLE_RATE, config, part

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]

MOST_S, MOST_MB = 20.0, 1500.0  # a broken file of 1.5 s may cost; torch, which decodes M4A, is most of both


def heard(path: Path) -> tuple[np.ndarray | None, str]:
    """The wave, or none and the reason; what is said is held against what is promised."""
    begin = time.monotonic()
    try:
        wave = guarded.load(path, SAMPLE_RATE)
    except AudioError as error:
        assert error.reason in get_args(Reason)
        assert "the decoder failed" not in error.detail, (path.name, str(error))  # a fault of ours
        assert error.detail.isprintable() and str(path) not in error.detail, (path.name, str(error))
        return None, error.reason
    finally:
        assert time.monotonic() - begin < MOST_S, path.name
    assert wave.dtype == np.float32 and wave.ndim == 1 and len(wave)
    assert np.isfinite(wave).all() and np.abs(wave).max() <= 2 * decode.LOUDEST  # resampling may overshoot
    return wave, ""


def peak_mb() -> float:
    """The most memory that an ear ever took."""
    status = [Path(f"/proc/{ear.process.pid}/status").read_text() for ear in guarded._idle]
    return max(int(line.split()[1]) / 1024 for text in status for line in text.splitlines() if line[:5] == "VmHWM")


def test_every_broken_file_is_heard_or_named(tmp_path: Path, tries: Tries, count: Count) -> None:
    reasons: Counter[str] = Counter()
    good = tmp_path / "good.wav"
    good.write_bytes(fuzzer.good()["wav"])
    whole = decode.load(good, SAMPLE_RATE)
    for n, (name, data) in enumerate(fuzzer.damaged(tries(150, 3000), seed=0)):
        path = tmp_path / name
        path.write_bytes(data)
        reasons[heard(path)[1] or "heard"] += 1
        path.unlink()
        if n % 50 == 0:  # a song in between
            np.testing.assert_array_equal(guarded.load(good, SAMPLE_RATE), whole)
    count("broken files tried", sum(reasons.values()))
    count("broken files that crashed a decoder", reasons["crashes the decoder"])
    count("broken files that hung a decoder", reasons["too slow"])
    count("crashes", 0)
    count("hangs", 0)
    assert peak_mb() < MOST_MB
    assert min(reasons["not audio"], reasons["truncated"], reasons["heard"]) > 0.1 * sum(reasons.values()), reasons


def test_a_header_that_lies_costs_nothing(tmp_path: Path, count: Count) -> None:
    for name, data in fuzzer.lying().items():
        path = tmp_path / name
        path.write_bytes(data)
        wave, _ = heard(path)
        # what claims more than it holds is refused, or its true length is found
        assert wave is None or len(wave) <= 2 * fuzzer.SECONDS * SAMPLE_RATE, name
        count("broken files tried")
    assert peak_mb() < MOST_MB
    for claims, reason in (("wav of ten hours.wav", "truncated"), ("flac of ten hours.flac", "too long")):
        assert heard(tmp_path / claims)[1] == reason


ODD = {  # sound, rate, what becomes of it
    "nan.wav": (lambda x: np.where(np.arange(len(x))[:, None] == 99, np.nan, x), 44100, "not audio"),
    "inf.wav": (lambda x: np.where(np.arange(len(x))[:, None] == 99, -np.inf, x), 44100, "not audio"),
    "integers as floats.wav": (lambda x: 32767 * x, 44100, "not audio"),
    "dc.wav": (lambda x: 0 * x + 0.5, 44100, ""),
    "clipped.flac": (lambda x: np.clip(20 * x, -1, 1), 44100, ""),
    "one sample.wav": (lambda x: 0 * x[:1] + 0.5, 44100, ""),
    "one sample.flac": (lambda x: 0 * x[:1] + 0.5, 44100, ""),
    "faint.wav": (lambda x: 1e-5 * x, 44100, "silent"),
    "zeros.flac": (lambda x: 0 * x, 44100, "silent"),
    **{f"{rate}.wav": (lambda x: x, rate, "") for rate in (8000, 11025, 16000, 32000, 48000, 96000, 192000)},
    **{f"{rate}.flac": (lambda x: x, rate, "") for rate in (8000, 48000, 96000, 192000)},
    **{f"{rate}.mp3": (lambda x: x, rate, "") for rate in (8000, 16000, 48000)},
    **{f"{n} channels.wav": (lambda x, n=n: np.repeat(x[:, :1], n, axis=1), 44100, "") for n in range(1, 9)},
    **{f"{n} channels.flac": (lambda x, n=n: np.repeat(x[:, :1], n, axis=1), 44100, "") for n in range(1, 9)},
    **{f"{n} channels.ogg": (lambda x, n=n: np.repeat(x[:, :1], n, axis=1), 44100, "") for n in (1, 2, 3, 4, 5, 7)},
}


def test_odd_sounds_have_pictures_or_reasons(tmp_path: Path, count: Count) -> None:
    """Every rate and number of channels, DC, clipping, one sample: through the store, as training has them."""
    tracks = []
    for name, (change, rate, _) in ODD.items():
        path, subtype = tmp_path / name, "FLOAT" if name.endswith(".wav") else None
        soundfile.write(path, change(fuzzer.sound(np.random.default_rng(0), rate)), rate, subtype=subtype)
        tracks.append(Track(name, path, ("rock",)))
    usable, made, unusable = hear(tracks, tmp_path / "store")
    assert Counter(u.track.id for u in unusable) + Counter(t.id for t in usable) == Counter(list(ODD))
    for one in unusable:
        wanted = "shorter than a slice" if "one sample" in one.track.id else ODD[one.track.id][2]
        assert one.reason == wanted, (one.track.id, one.reason, one.detail)
    for i, track in enumerate(usable):
        assert not ODD[track.id][2], track.id
        assert np.isfinite(made[i].numpy()).all(), track.id
        assert made.duration_s[i] == pytest.approx(fuzzer.SECONDS, abs=0.06), track.id
        count("odd sounds heard")


def hear(tracks: list[Track], store: Path) -> Any:
    """The store's mel pictures."""
    options: dict[str, Any] = {"sample_rate": SAMPLE_RATE, "min_s": 0.5, "progress": lambda *_: None}
    return pictures(tracks, part("front/mel"), config("front/mel"), store=store, **options)


def test_songs_beside_broken_ones_are_unharmed(songs: Songs, tmp_path: Path, tries: Tries, count: Count) -> None:
    good = [Track(p.stem, p, ("rock",)) for p in audio_files(songs.folder)[::4]]
    tracks = []
    for n, (name, data) in enumerate(fuzzer.damaged(tries(60, 600), seed=1)):
        path = tmp_path / name
        path.write_bytes(data)
        tracks.append(Track(name, path, ("rap",)))
        if n % 5 == 0 and n // 5 < len(good):
            tracks.append(good[n // 5])
    usable, made, unusable = hear(tracks, tmp_path / "store")
    assert Counter(t.path for t in usable) + Counter(u.track.path for u in unusable) == Counter(t.path for t in tracks)
    _, alone, none = hear(good, tmp_path / "alone")
    assert not none
    places = {t.path: i for i, t in enumerate(usable)}
    for i, track in enumerate(good):
        np.testing.assert_array_equal(made.stored(places[track.path]), alone.stored(i))
        count("good songs beside broken ones, the same to the bit")
    count("broken files tried", len(tracks) - len(good))
    assert len(unusable) > 0.3 * len(tracks)
    again = hear(tracks, tmp_path / "store")
    assert [u.reason for u in again[2]] == [u.reason for u in unusable] and again[1].seconds_made == 0


NAMES = (
    *(
        "new\nline",
        "tab\tname",
        "quote'\"`",
        "<script>alert(1)<",
        "日本語",
        "العربية",
        "🎸🎶",
        "\u202eright-to-left",
        "=1+1",
    ),
    *(
        "-rf",
        "~",
        "$HOME `id`",
        "a" * 251,
        "# [brackets] {x} %s ${y}",
        "  spaces  ",
        "\\back\\",
        "*?",
        "\x1b[31mred",
        "\x7f",
    ),
)


def oddly_named(songs: Songs, folder: Path) -> Path:
    """The songs under names of every script; and what is no song, called like one. Returns the folder of genres."""
    shutil.copytree(songs.folder, folder)
    for path, name in zip(audio_files(folder), NAMES, strict=False):
        path.rename(path.with_name(f"{name}.wav"))
    here = folder / "low"
    (here / "folder.wav").mkdir()
    (here / "folder.wav" / "empty.wav").touch()
    os.mkfifo(here / "pipe.wav")
    (here / "one.wav").symlink_to("two.wav")
    (here / "two.wav").symlink_to("one.wav")
    (here / "nowhere.wav").symlink_to("gone.wav")
    (here / "circle").symlink_to("..")
    (here / "random.wav").symlink_to("/dev/urandom")
    (here / "html.mp3").write_text("<!DOCTYPE html>")
    (here / "notes.flac").write_bytes(fuzzer.good()["flac"][:999])
    shutil.copy(songs.folder / "low" / "7-1.wav", os.fsencode(here) + b"/latin\xe9.wav")
    return folder


LEFT_OUT = {
    "low/folder.wav/empty": "empty",
    "low/pipe": "not a file",
    "low/one": "not readable",
    "low/two": "not readable",
    "low/nowhere": "missing",
    "low/random": "not a file",
    "low/html": "not audio",
    "low/notes": "truncated",
}


def test_a_run_on_a_folder_from_the_wild(
    call: Call, songs: Songs, tmp_path: Path, count: Count, caplog: pytest.LogCaptureFixture
) -> None:
    """Names of every script, folders, pipes, circles: the run names each once, and its songs are those of before."""
    plain, wild = tmp_path / "plain" / "wild", oddly_named(songs, tmp_path / "odd" / "wild")
    shutil.copytree(songs.folder, plain)
    for path, name in zip(audio_files(plain), NAMES, strict=False):
        path.rename(path.with_name(f"{name}.wav"))
    found = []
    for folder in (plain, wild):
        store = tmp_path / folder.parent.name / "store"
        said = call("data=folder", f"data.path={folder}", *TINY, f"store={store}")
        assert said.code == 0, said.err
        assert "Traceback" not in said.err
        (run,) = runs_of(store)
        found.append(run)
    tags = [run.data.tags for run in found]
    assert tags[0]["data_digest"] == tags[1]["data_digest"]
    figures = [{k: v for k, v in r.data.metrics.items() if k.startswith("test/")} for r in found]
    assert figures[0] == figures[1] and figures[0]
    with Path(found[1].info.artifact_uri.removeprefix("file://"), "left_out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"]: row["reason"] for row in rows} == LEFT_OUT
    assert len(rows) == len(LEFT_OUT)
    assert sum("latin\\udce9.wav" in message for message in caplog.messages) == 1
    count("odd names and places", len(NAMES) + len(LEFT_OUT) + 1)


def test_tagging_names_each_broken_file_once(
    call: Call, songs: Songs, trained: Trained, tmp_path: Path, tries: Tries, count: Count
) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    sounds = [songs.folder / genre / "7-1.wav" for genre in ("high", "low", "noise")]
    for sound in sounds:
        shutil.copy(sound, folder / f"good {sound.parent.name}.wav")
    for name, data in fuzzer.damaged(tries(25, 250), seed=2):
        (folder / name).write_bytes(data)
    os.mkfifo(folder / "pipe.wav")
    (folder / "circle.wav").symlink_to("circle.wav")
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    to = ["--write-tags", "--to", tmp_path / "tagged", "--csv", tmp_path / "t.csv", "--json"]
    said = call("tag", folder, *to, f"store={trained.store}")
    assert said.code == 1
    assert "Traceback" not in said.err
    answers = json.loads(said.out)
    assert Counter(a["path"] for a in answers) == Counter(map(str, audio_files(folder)))
    assert all(a["error"] or a["label"] for a in answers)
    assert sum(bool(a["error"]) for a in answers) > 0.5 * len(answers)
    assert before == {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    alone = json.loads(call("tag", *sounds, "--json", f"store={trained.store}").out)
    of_good = {a["path"]: a["genres"] for a in answers if Path(a["path"]).name.startswith("good ")}
    assert list(of_good.values()) == [a["genres"] for a in alone]
    count("broken files tried", len(answers) - len(sounds))
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/latin\xe9.wav")
    shutil.copy(sounds[0], odd)
    told = call("tag", odd, f"store={trained.store}")
    assert told.code == 2 and told.err.count("\n") == 1 and "not UTF-8" in told.err


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, count: Count) -> None:
    """Root may read everything, so that another user tries."""
    path = tmp_path / "mine.wav"
    path.write_bytes(fuzzer.good()["wav"])
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o111)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        said = "nothing"
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            decode.load(path, SAMPLE_RATE)
        except AudioError as error:
            said = f"{error.reason}: {error.detail}"
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 999).decode() == "not readable: Permission denied"
    os.close(reading)
    os.close(writing)
    count("broken files tried")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="long silence is made by ffmpeg: apt-get install ffmpeg")
@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus", "mp3", "m4a"])
def test_a_gigabyte_of_zeros_in_a_small_file(suffix: str, tmp_path: Path, tries: Tries, count: Count) -> None:
    """Silence of 100 minutes (a tenth of that in a fast sample): silent, in bounded memory; of ten hours: too long.

    Of Opus, which takes minutes to make and to decode, a fifth, and no ten hours.
    """
    rate, short = 48000, tmp_path / f"short.{suffix}"
    if suffix == "m4a" and mp4.decoder() is None:
        pytest.skip(mp4.NEEDS)
    opus = suffix == "opus"
    few, small = tries(10, 20 if opus else 100), ["-b:a", "8k"] if opus else ["-q:a", "9"]

    def silence(path: Path, minutes: int) -> None:
        made = ["-f", "lavfi", "-i", f"anullsrc=r={rate}:cl=stereo", "-t", str(60 * minutes), *small]
        subprocess.run(["ffmpeg", "-v", "error", *made, path], check=True)

    silence(short, few if suffix == "flac" else 1)
    long = () if opus else ((600, "too long"),)
    for n, reason in ((few, "silent"), *long):
        path = tmp_path / f"{n}.{suffix}"
        if suffix == "flac":  # frames of these two are numbered: they cannot be put behind each other
            path.write_bytes(fuzzer.flac_with(short.read_bytes(), n_samples=rate * 60 * n))
        elif opus:
            silence(path, n)
        else:
            again = ["-stream_loop", str(n - 1), "-i", short, "-c", "copy", path]
            subprocess.run(["ffmpeg", "-v", "error", *again], check=True)
        guarded.rest()
        begin = time.monotonic()
        with pytest.raises(AudioError) as caught:
            guarded.inspect(path, SAMPLE_RATE)
        assert caught.value.reason == reason, (suffix, n, caught.value)
        assert time.monotonic() - begin < 120
        own_mb = 1000 if suffix == "m4a" else 150  # what torch takes
        wave_mb = 4 * 60 * n * (rate + SAMPLE_RATE) / 2**20 if reason == "silent" else 0  # of one channel at both rates
        assert peak_mb() < own_mb + 1.3 * wave_mb + 3 * path.stat().st_size / 2**20
        assert path.stat().st_size < 4 * 60 * n * rate / 10
        count("broken files tried")


def test_tags_that_unpack_into_gigabytes_and_pipes_have_none(tmp_path: Path, count: Count) -> None:
    os.mkfifo(tmp_path / "pipe.mp3")
    assert read_tags(tmp_path / "pipe.mp3") == Tags()
    pack = zlib.compressobj(9)
    packed = b"".join([pack.compress(b"\3"), *(pack.compress(bytes(2**20)) for _ in range(6000)), pack.flush()])
    body = struct.pack(">I", 2**27 - 1) + packed
    safe = lambda n: bytes(n >> s & 0x7F for s in (21, 14, 7, 0))  # noqa: E731
    frame = b"TIT2" + safe(len(body)) + b"\0\x09" + body
    (tmp_path / "bomb.mp3").write_bytes(b"ID3\4\0\0" + safe(len(frame)) + frame + fuzzer.good()["mp3"])
    begin = time.monotonic()
    assert not read_tags(tmp_path / "bomb.mp3").title
    assert time.monotonic() - begin < 60
    count("broken files tried", 2)
