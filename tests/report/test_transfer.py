"""From studio to studio: who is tested by whose model, and what is paired."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genrelab.report import artifacts, transfer
from genrelab.types import UserError
from tests.report.test_ladder import songs

STUDIOS = np.array(["A", "B", "C"])
OPTIONS = (50, 0)


def row(folder, words, share, n=60):
    """A run that is right in its own studio, and in `share` of the others' songs."""
    trained = words[0].partition("=")[2]
    studio = STUDIOS[np.arange(n) // 2 % 3]
    good, bad = songs(1.0, n), songs(share, n, seed=len(folder.name))
    at_home = (studio == trained) | (trained == "null")
    own = good.where(pd.Series(at_home), bad).assign(studio=studio)
    artifacts.save(folder, own, own)
    return {"name": "mel", "folder": str(folder), "status": "FINISHED", "figures": {}, "overrides": words,
            "measure": "balanced_accuracy"}  # fmt: skip


@pytest.fixture
def rows(tmp_path):
    return [
        row(tmp_path / f"{studio}-{i}", [f"train_studio={studio}", f"norm={norm}", "split=kfold"], share)
        for i, (norm, share) in enumerate((("train", 0.5), ("song", 0.9)))
        for studio in ("null", *STUDIOS)
    ]


def test_every_song_is_tested_by_its_own_studio_by_another_and_by_all(rows):
    own = transfer.places(transfer.of_configurations(rows)["norm=train"])
    assert set(own) == {"home", "away", "all"}
    for frame in own.values():
        assert sorted(frame["id"]) == sorted(f"s{i}" for i in range(60))
    by = {s: artifacts.load(Path(r["folder"]))[0].set_index("id") for s, r in zip("0ABC", rows, strict=False)}
    for song, studio, p in own["away"][["id", "studio", "p/jazz"]].itertuples(index=False):
        assert p == by[{"A": "B", "B": "C", "C": "A"}[studio]].loc[song, "p/jazz"]


def test_a_row_says_what_is_lost_and_what_is_given_back(rows):
    (table,), figure = transfer.transfer(rows, *OPTIONS)
    _, headings, cells = table.cells()
    assert headings == ["", "own studio", "another", "all studios", "lost", "given back"]
    usual, cured = cells
    assert usual[0] == "norm=train" and cured[0] == "norm=song"
    assert usual[1] == usual[3] == "100.0 [100.0, 100.0]" and usual[5] == "–"
    parts = [transfer.places(own) for own in transfer.of_configurations(rows).values()]
    lost = artifacts.difference(parts[0]["home"], parts[0]["away"], "balanced_accuracy", *OPTIONS)
    back = artifacts.difference(parts[1]["away"], parts[0]["away"], "balanced_accuracy", *OPTIONS)
    assert lost.paired and lost.points > 0.2 and back.points > 0.1
    assert usual[4] == f"{100 * lost.points:.1f} [{100 * lost.lo:.1f}, {100 * lost.hi:.1f}]"
    assert cured[5] == f"{100 * back.points:.1f} [{100 * back.lo:.1f}, {100 * back.hi:.1f}]"
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["norm=song", "norm=train"]


def test_a_studio_without_a_run_is_named(rows):
    with pytest.raises(UserError, match=r"a run for each studio of the songs \(A, B, C\): here are \['A', 'B'\]"):
        transfer.places(transfer.of_configurations(rows[:3])[""])


def test_a_run_that_failed_takes_no_other_from_the_table(rows):
    (table, note), _ = transfer.transfer(rows[:7], *OPTIONS)  # C failed with norm=song
    assert [row[0] for row in table.cells()[2]] == ["norm=train"]
    assert note.startswith(
        "not shown: norm=song: transfer takes a run for each studio of the songs (A, B, C): here are"
    )
    (note,), figure = transfer.transfer(rows[:3], *OPTIONS)
    assert note.startswith("not shown: as usual: ") and len(figure.axes[0].get_yticks()) == 3
