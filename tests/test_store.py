"""The store: right pictures, made once, whoever asks, and whatever was killed on the way."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from genrelab import store
from genrelab.audio import guarded, pcm
from genrelab.types import Track, Unusable
from tests.parts import SAMPLE_RATE, config, part

SMALL: dict[str, Any] = {"n_fft": 256, "n_bins": 16}
MIN_S = 0.25


def noise(seconds: float, seed: int) -> np.ndarray:
    wave = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE), dtype=np.float32)
    return pcm.wave(pcm.samples(wave))  # what is kept of it is all of it


def written(folder: Path, name: str, seconds: float = 0.5, seed: int = 0) -> Track:
    """A WAV of 32-bit floats: decoding gives back what was written."""
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / name, noise(seconds, seed), SAMPLE_RATE, subtype="FLOAT")
    return Track(id=name, path=folder / name, genres=("noise",))


def songs(folder: Path, n: int) -> list[Track]:
    return [written(folder, f"{i}.wav", 0.4 + 0.05 * i, seed=i) for i in range(n)]


def quiet(what: str, done: int, of: int) -> None:
    pass


def pictures(
    tracks: Sequence[Track],
    folder: Path,
    progress: Callable[[str, int, int], None] = quiet,
    min_s: float = MIN_S,
    budget_gb: float | None = None,
    **front: Any,
) -> tuple[list[Track], store.Pictures, list[Unusable]]:
    options = SMALL | front
    return store.pictures(
        tracks,
        part("front/stft", **options),
        config("front/stft", **options),
        sample_rate=SAMPLE_RATE,
        min_s=min_s,
        store=folder,
        progress=progress,
        budget_gb=budget_gb,
    )


def check(tracks: Sequence[Track], made: store.Pictures) -> None:
    """Each picture is that of its file's sound, in half precision."""
    front = part("front/stft", **SMALL)
    assert len(made.keys) == len(tracks)
    for i, track in enumerate(tracks):
        wave = torch.from_numpy(soundfile.read(track.path, dtype="float32")[0])
        assert torch.equal(made[i], front(wave[None])[0].half().float()), track.id
        assert made.duration_s[i] == len(wave) / SAMPLE_RATE
        assert made.n_frames[i] == 1 + len(wave) // front.hop


def shelf(folder: Path) -> Path:
    """That of the spectrograms."""
    (only,) = (folder / "cache" / "pictures").glob("stft-*")
    return only


def no_decoding(patch: pytest.MonkeyPatch) -> None:
    def refuse(_: object, path: object, *__: object) -> None:
        raise AssertionError(f"{path} was decoded again")

    patch.setattr(guarded, "call", refuse)


def test_pictures_are_those_of_the_waves_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = songs(tmp_path / "wav", 5)
    usable, made, unusable = pictures(tracks, tmp_path)
    assert (usable, unusable) == (tracks, [])
    assert made.rows.dtype == np.float16
    check(tracks, made)
    assert made.seconds_made == pytest.approx(made.duration_s.sum())

    no_decoding(monkeypatch)
    size = (shelf(tmp_path) / "pictures.f16").stat().st_size
    _, again, _ = pictures(tracks[::-1], tmp_path)  # in another order
    check(tracks[::-1], again)
    assert again.seconds_made == 0
    assert (shelf(tmp_path) / "pictures.f16").stat().st_size == size == 2 * 16 * made.n_frames.sum()


def test_a_changed_file_is_heard_again(tmp_path: Path) -> None:
    tracks = songs(tmp_path / "wav", 3)
    pictures(tracks, tmp_path)
    written(tmp_path / "wav", "1.wav", 0.45, seed=77)  # of the same length
    status = tracks[1].path.stat()
    os.utime(tracks[1].path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    _, made, _ = pictures(tracks, tmp_path)
    check(tracks, made)
    assert made.seconds_made == pytest.approx(0.45, abs=1e-3)


def test_a_moved_file_is_not_stored_twice(tmp_path: Path) -> None:
    track = written(tmp_path / "wav", "a.wav")
    pictures([track], tmp_path)
    size = (shelf(tmp_path) / "pictures.f16").stat().st_size
    moved = Track("b", track.path.rename(tmp_path / "wav" / "b.wav"), ("noise",))
    _, made, _ = pictures([moved], tmp_path)
    check([moved], made)
    assert (shelf(tmp_path) / "pictures.f16").stat().st_size == size


def test_another_configuration_has_pictures_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = songs(tmp_path / "wav", 2)
    pictures(tracks, tmp_path)
    no_decoding(monkeypatch)  # the songs themselves are kept
    _, other, _ = pictures(tracks, tmp_path, n_bins=32)
    assert other[0].shape[0] == 32
    monkeypatch.setattr(type(part("front/stft")), "version", lambda self: "other code")
    _, made, _ = pictures(tracks, tmp_path)
    assert made.seconds_made > 0
    assert len(list((tmp_path / "cache" / "pictures").glob("stft-*"))) == 3


def test_a_window_of_a_file(tmp_path: Path) -> None:
    whole = written(tmp_path / "wav", "a.wav", 2.0)
    windows = [Track(f"a{i}", whole.path, ("noise",), start_s=0.5 * i, duration_s=0.5) for i in range(4)]
    _, made, _ = pictures([*windows, whole], tmp_path)
    front, wave = part("front/stft", **SMALL), torch.from_numpy(noise(2.0, 0))
    for i in range(4):
        own = wave[i * SAMPLE_RATE // 2 : (i + 1) * SAMPLE_RATE // 2]
        assert torch.equal(made[i], front(own[None])[0].half().float())
    assert torch.equal(made[4], front(wave[None])[0].half().float())


def test_what_cannot_be_used_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = tmp_path / "wav"
    good = songs(wav, 2)
    bad = {name: Track(name, wav / f"{name}.wav", ("noise",)) for name in ("missing", "empty", "silent", "not audio")}
    bad["empty"].path.touch()
    bad["not audio"].path.write_bytes(b"no sound in here" * 100)
    soundfile.write(bad["silent"].path, np.zeros(SAMPLE_RATE, np.float32), SAMPLE_RATE)
    bad["shorter than a slice"] = written(wav, "short.wav", 0.2)
    tracks = [good[0], *bad.values(), good[1]]
    for _ in range(2):  # heard, then remembered
        usable, made, unusable = pictures(tracks, tmp_path)
        assert usable == good
        check(good, made)
        assert [u.track for u in unusable] == list(bad.values())
        assert [u.reason for u in unusable] == list(bad)
        assert unusable[-1].detail == "0.20 s, a slice needs 0.25 s"
        no_decoding(monkeypatch)


def test_a_missing_file_that_came_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = Track("late", tmp_path / "wav" / "late.wav", ("noise",))
    with monkeypatch.context() as patch:
        no_decoding(patch)  # a million of them shall not take an hour
        assert pictures([track], tmp_path)[2][0].reason == "missing"
    written(tmp_path / "wav", "late.wav")
    _, made, unusable = pictures([track], tmp_path)
    assert not unusable
    check([track], made)


def test_too_short_for_one_front_end_is_not_too_short_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.04 s are less than half a window of 2048 samples, and 7 windows of 256: what one refuses, another may take."""
    track = written(tmp_path / "wav", "click.wav", 0.04)
    usable, _, unusable = pictures([track], tmp_path, min_s=0.02, n_fft=2048)
    assert not usable
    assert unusable[0].reason == "shorter than a slice"
    usable, made, _ = pictures([track], tmp_path, min_s=0.02)
    assert usable == [track]
    check([track], made)
    no_decoding(monkeypatch)
    assert pictures([track], tmp_path, min_s=0.02, n_fft=2048)[2][0].reason == "shorter than a slice"


def test_the_same_sound_twice_is_stored_once(tmp_path: Path) -> None:
    tracks = [written(tmp_path / "wav", name, seed=0) for name in ("a.wav", "b.wav", "c.wav")]
    tracks.append(tracks[0])
    usable, made, _ = pictures(tracks, tmp_path)
    assert usable == tracks
    check(tracks, made)
    assert len(set(made.keys)) == 1
    assert len(made.rows) == made.n_frames[0]


def fill(folder: Path, backwards: bool, together: Any) -> None:
    """What each of two processes does: all songs, in opposite orders, at the same time."""
    torch.set_num_threads(1)
    tracks = [Track(p.name, p, ("noise",)) for p in sorted((folder / "wav").iterdir(), reverse=backwards)]
    store.COMMIT_EVERY = 3
    together.wait()
    _, made, unusable = pictures(tracks, folder)
    assert not unusable
    check(tracks, made)


def test_two_processes_at_once(tmp_path: Path) -> None:
    tracks = songs(tmp_path / "wav", 20)
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(2, timeout=60)
    both = [spawn.Process(target=fill, args=(tmp_path, backwards, together)) for backwards in (False, True)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    _, made, _ = pictures(tracks, tmp_path)
    assert made.seconds_made == 0
    check(tracks, made)
    assert len(made.rows) == made.n_frames.sum()  # nothing was stored twice


@pytest.mark.parametrize("n_bytes", [1, 31, 32 * 50, 100_001])
def test_a_torn_tail_is_never_read(tmp_path: Path, n_bytes: int) -> None:
    """A writer was killed in the middle of a row: what the index does not name is not there, and is overwritten."""
    tracks = songs(tmp_path / "wav", 4)
    pictures(tracks[:2], tmp_path)
    with (shelf(tmp_path) / "pictures.f16").open("ab") as file:
        file.write(np.random.default_rng(0).bytes(n_bytes))
    check(tracks[:2], pictures(tracks[:2], tmp_path)[1])
    _, made, _ = pictures(tracks, tmp_path)
    check(tracks, made)
    assert max(made.first + made.n_frames) == made.n_frames.sum()


def test_killed_between_the_data_and_its_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = songs(tmp_path / "wav", 6)
    pictures(tracks[:1], tmp_path)

    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", killed)
        pictures(tracks[::-1], tmp_path)
    assert len(store.Shelf(shelf(tmp_path), 16, np.float16).places()) == 1
    _, made, _ = pictures(tracks, tmp_path)
    check(tracks, made)


def test_an_interrupt_loses_a_batch_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = songs(tmp_path / "wav", 8)
    monkeypatch.setattr(store, "COMMIT_EVERY", 3)

    def stop(what: str, done: int, of: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pictures(tracks, tmp_path, stop)
    _, made, _ = pictures(tracks, tmp_path)
    check(tracks, made)
    assert made.seconds_made == pytest.approx(made.duration_s[6:].sum())


def test_others_may_write_while_one_listens(tmp_path: Path) -> None:
    """Two front-ends of a sweep know the same files: neither holds their list while it computes, or the other would
    wait for a whole batch of songs, and give up after a minute."""
    seen = []

    def another(what: str, done: int, of: int) -> None:
        with sqlite3.connect(tmp_path / "cache" / "files.sqlite", timeout=0) as db:
            db.execute("begin immediate")
        db.close()
        seen.append(done)

    tracks = songs(tmp_path / "wav", 3)
    _, made, _ = pictures(tracks, tmp_path, another)
    assert seen == [1, 2, 3]
    check(tracks, made)


def test_no_songs(tmp_path: Path) -> None:
    usable, made, unusable = pictures([], tmp_path)
    assert (usable, unusable, made.keys) == ([], [], ())
    assert made.rows.shape == (0, 16)
