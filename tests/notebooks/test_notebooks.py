"""Every notebook runs from top to bottom on a store that holds two runs, and shows what it promises."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from genrelab import paths
from tests.conftest import TINY, Songs, Trained, runs_of

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SHOWN = {  # what a notebook prints that says it got where it wanted to
    "reading_the_store": ["stft-vote-artist-s0", "mel-vote-artist-s0"],
    "fronts_on_one_song": ["6.00 s at 22050 Hz"],
    "reading_a_comparison": ["2 runs", "both right", "right alone"],
    "your_own_front_end": ["it does", "2 slices of (23, 128) (bins, frames)", "_target_: thirds.Thirds", "n_bins: 20"],
}
PICTURES = {"reading_the_store": 3, "fronts_on_one_song": 3, "reading_a_comparison": 2, "your_own_front_end": 1}


@pytest.fixture(scope="module")
def store(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a sweep of two runs."""
    from genrelab.cli import main

    made = tmp_path_factory.mktemp("notebooks")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["-m", *songs.words, *TINY, "front=stft,mel", "agg=vote", f"store={made}"]) == 0
    return made


def executed(path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """What a notebook prints and shows as text, and how many pictures it draws."""
    monkeypatch.setenv("GENRELAB_STORE", str(store))
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}  # a notebook is started in its own folder
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
    outputs: list[Any] = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    shown = [out.get("text", "") + out.get("data", {}).get("text/plain", "") for out in outputs]
    plain = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(shown))  # no colours
    return plain, sum("image/png" in out.get("data", {}) for out in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(runs_of(store))
    shown, n_pictures = executed(path, store, monkeypatch)
    for said in SHOWN[path.stem]:
        assert said in shown
    assert n_pictures == PICTURES[path.stem]
    assert len(runs_of(store)) == before  # it trains nothing


def test_one_run_is_compared_with_nothing(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = (p for p in NOTEBOOKS if p.stem == "reading_a_comparison")
    shown, n_pictures = executed(path, trained.store, monkeypatch)
    assert "there is one run: nothing to compare it with" in " ".join(shown.split())
    assert n_pictures == 0


def test_every_notebook_is_known_here_and_none_is_committed_with_results() -> None:
    assert {p.stem for p in NOTEBOOKS} == set(SHOWN)
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells), path
        assert not any(f"/{home}/" in path.read_text() for home in ("home", "root", "work", "Users")), path


def test_a_notebook_finds_the_nearest_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENRELAB_STORE", raising=False)
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    with pytest.raises(FileNotFoundError, match="python -m genrelab"):
        paths.nearest_store()
    for store in (tmp_path / ".genrelab", tmp_path / "a" / ".genrelab", tmp_path / "given"):
        store.mkdir()
        (store / "mlflow.db").touch()
    (inside / ".genrelab").mkdir()  # holds no runs
    assert paths.nearest_store() == tmp_path / "a" / ".genrelab"
    monkeypatch.setenv("GENRELAB_STORE", str(tmp_path / "given"))
    assert paths.nearest_store() == tmp_path / "given"
    monkeypatch.setenv("GENRELAB_STORE", str(inside))
    with pytest.raises(FileNotFoundError):
        paths.nearest_store()
