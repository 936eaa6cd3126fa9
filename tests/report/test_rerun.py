"""Two runs' answers, compared to the bit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genrelab.report.rerun import compared, figures


def songs() -> pd.DataFrame:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], dtype=np.float32)
    return pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "split": ["val", "test", "test"],
            "artist": ["x", None, None],
            "truth": ["rap", "rock", "rap"],
            "decision": ["rap", "rock", "rap"],
            "answer": ["rap", "rock", "no tag"],
            "p/rap": p[:, 0],
            "p/rock": p[:, 1],
            "known/energy": [0.1, np.nan, 3.0],
        }
    )


def cuts() -> pd.DataFrame:
    return pd.DataFrame({"id": ["a", "b", "c"], "split": ["val", "test", "test"], "start_s": 0.0, "p/rap": 0.5})


def test_the_same_is_identical_with_what_lacks_in_both() -> None:
    said = compared((songs(), cuts()), (songs(), cuts()))
    assert said.identical
    assert (said.n_songs, said.n_slices, said.decided, said.largest) == (3, 3, 0, 0.0)


def test_one_bit_is_a_difference() -> None:
    now = songs()
    now.loc[1, "p/rock"] = np.nextafter(now.loc[1, "p/rock"], np.float32(1))
    said = compared((songs(), cuts()), (now, cuts()))
    assert not said.identical
    assert 0 < said.largest < 1e-6
    assert said.decided == 0
    assert said.lines[0].startswith("songs: the largest difference of a probability is 6e-08; columns: p/rock")
    assert said.lines[1:] == (
        "songs: no decision changed on the 2 test songs",
        "songs: no decision changed on the 1 validation songs",
    )


def test_changed_decisions_and_answers_are_named() -> None:
    now = songs()
    now.loc[1, ["decision", "answer", "p/rap"]] = ["rap", "rap", np.float32(0.7)]
    now.loc[2, "answer"] = "rap"
    said = compared((songs(), cuts()), (now, cuts()), "fold 2, ")
    assert said.decided == 2
    assert round(said.largest, 6) == 0.5
    assert (
        "fold 2, songs: decisions changed on 2 of 2 test songs (b: rock -> rap; c: rap (no tag) -> rap)" in said.lines
    )


def test_slices_count_too() -> None:
    now = cuts().assign(**{"p/rap": [0.5, 0.5, 0.25]})
    said = compared((songs(), cuts()), (songs(), now))
    assert said.lines == ("slices: the largest difference of a probability is 0.25; columns: p/rap",)


def test_other_rows_and_columns_are_named() -> None:
    fewer = compared((songs(), cuts()), (songs().iloc[:2], cuts()))
    assert fewer.lines == ("songs: 3 rows then, 2 now",)
    more = compared((songs(), cuts()), (songs().assign(new=1), cuts()))
    assert more.lines == ("songs: columns that one of the runs lacks: new",)
    swapped = compared((songs(), cuts()), (songs().iloc[::-1].reset_index(drop=True), cuts()))
    assert swapped.lines == ("songs: other songs, sides or spans stand in the same rows",)


def test_figures_that_differ_are_named_but_not_the_cost() -> None:
    before = {"test/song/accuracy": 0.5, "val/loss": 1.0, "cost/train_s": 3.0, "test/song/map": float("nan")}
    now = {
        "test/song/accuracy": 0.5,
        "val/loss": 1.5,
        "cost/train_s": 4.0,
        "test/song/map": float("nan"),
        "test/x": 1.0,
    }
    assert figures(before, now) == ["test/x", "val/loss"]
