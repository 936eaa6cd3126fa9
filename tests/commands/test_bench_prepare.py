"""`bench prepare`: every song is filed once, by one process or by several, and its picture takes no room."""

from __future__ import annotations

from pathlib import Path

from genrelab import store
from genrelab.commands.bench.prepare import _filled


def test_every_song_is_filed_once(tmp_path: Path) -> None:
    made = _filled(tmp_path / "songs", 60, 2)
    assert sum(part["songs"] for part in made) == 60
    (shelf,) = (p for p in (tmp_path / "songs").glob("store/cache/pictures/mel-*"))
    rows = store.Shelf(shelf, 128, store.np.float16).places()
    assert len(rows) == 60
    assert sum(n for _, n in rows.values()) >= 60 * 128
    data = (shelf / "pictures.f16").stat()
    assert data.st_size >= 60 * 128 * 128 * 2
    assert data.st_blocks * 512 < data.st_size / 10
