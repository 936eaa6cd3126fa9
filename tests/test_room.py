"""Room in the store: the longest unused makes way, what somebody holds does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genrelab import room, store
from genrelab.audio import guarded
from tests.test_store import no_decoding, pictures, songs


def filled(cache: Path, name: str, used_s: float, n_bytes: int = 1000) -> Path:
    folder = cache / "pictures" / name
    folder.mkdir(parents=True)
    (folder / "pictures.f16").write_bytes(bytes(n_bytes))
    os.utime(folder, (used_s, used_s))
    return folder


def test_the_longest_unused_makes_way(tmp_path: Path) -> None:
    new, old, middle = (filled(tmp_path, name, used) for name, used in (("a", 300), ("b", 100), ("c", 200)))
    embeddings = tmp_path / "embeddings" / "run.npy"
    embeddings.parent.mkdir()
    embeddings.write_bytes(bytes(1000))
    os.utime(embeddings, (150, 150))
    assert [path for *_, path in room.parts(tmp_path)] == [old, embeddings, middle, new]
    assert room.make(tmp_path, room.size_of(tmp_path)) == 0
    assert old.exists()
    assert room.make(tmp_path, 2500) <= 0
    assert [p.exists() for p in (old, embeddings, middle, new)] == [False, False, True, True]


def test_embeddings_that_are_being_written_stay(tmp_path: Path) -> None:
    (tmp_path / "embeddings").mkdir()
    partial = tmp_path / "embeddings" / "run-digest.tmp.npy"
    partial.write_bytes(bytes(1000))
    assert room.make(tmp_path, 0) == 1000
    assert partial.exists()


def test_what_somebody_holds_stays_and_still_reads(tmp_path: Path) -> None:
    folder = filled(tmp_path, "a", 100)
    held = room.hold(folder)
    assert room.make(tmp_path, 0) >= 1000
    assert folder.exists()
    held.close()
    assert room.make(tmp_path, 0) <= 0
    assert not folder.exists()


def test_to_hold_is_to_use(tmp_path: Path) -> None:
    a, b = filled(tmp_path, "a", 100), filled(tmp_path, "b", 200)
    room.hold(a).close()
    assert [path for *_, path in room.parts(tmp_path)] == [b, a]


def test_pictures_of_a_run_are_held_for_as_long_as_they_are_read(tmp_path: Path) -> None:
    _, made, _ = pictures(songs(tmp_path / "wav", 2), tmp_path)
    room.make(tmp_path / "cache", 0)
    (shelf,) = (tmp_path / "cache" / "pictures").iterdir()  # of the waves nobody reads any more
    assert shelf.name.startswith("stft")
    del made
    room.make(tmp_path / "cache", 0)
    assert not list((tmp_path / "cache" / "pictures").iterdir())


def kept_songs(tmp_path: Path, patch: pytest.MonkeyPatch, budget_gb: float | None) -> int:
    """How many of 8 songs are decoded for a second front-end."""
    tracks = songs(tmp_path / "wav", 8)
    real, decoded = guarded.call, []

    def counted(*given: object) -> object:
        decoded.append(given[1])
        return real(*given)  # type: ignore[arg-type]

    patch.setattr(guarded, "call", counted)
    patch.setattr(store, "COMMIT_EVERY", 2)
    pictures(tracks, tmp_path, budget_gb=budget_gb)
    assert len(decoded) == 8
    pictures(tracks, tmp_path, n_bins=32)
    return len(decoded) - 8


def test_within_the_budget_a_second_front_end_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_songs(tmp_path, monkeypatch, None) == 0


def test_songs_that_do_not_fit_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_songs(tmp_path, monkeypatch, 0.0) == 8


def test_some_that_fit_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < kept_songs(tmp_path, monkeypatch, 0.00014) < 8


def test_other_pictures_make_way_for_new_ones(tmp_path: Path) -> None:
    tracks = songs(tmp_path / "wav", 6)
    pictures(tracks, tmp_path)
    (old,) = (tmp_path / "cache" / "pictures").glob("stft-*")
    pictures(tracks, tmp_path, n_bins=32, budget_gb=room.size_of(tmp_path / "cache") / 1e9)
    assert not old.exists()


def test_with_all_kept_nothing_is_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = songs(tmp_path / "wav", 3)
    store.waves(dict(enumerate(tracks)), 22050, tmp_path, lambda *_: None)
    no_decoding(monkeypatch)
    _, made, _ = pictures(tracks, tmp_path)
    assert len(made.keys) == 3
