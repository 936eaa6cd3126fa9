"""The training songs of a run are read back as they were, in their order."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from genrelab import compose
from genrelab.data import known
from genrelab.task.rule import Rule
from genrelab.types import Track
from tests.conftest import Trained


def test_songs_come_back_in_their_order(tmp_path: Path) -> None:
    songs = [
        Track("b, 2", tmp_path / "b.ogg", ("rap", "rock"), (0.25, 0.75), artist='Q "x"', start_s=1.5, duration_s=2.0),
        Track("a", tmp_path / "a.ogg", ("jazz",)),
    ]
    known.save(tmp_path, songs)
    assert known.load(tmp_path) == songs
    assert [p.name for p in tmp_path.iterdir()] == [known.NAME]


@pytest.mark.parametrize("text", [None, "", "path\n", "\0"])
def test_of_a_run_without_them_nothing_is_known(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / known.NAME).write_text(text)
    assert known.load(tmp_path) == []


def test_a_run_keeps_its_training_songs_in_the_order_of_its_rule(trained: Trained) -> None:
    """Asked with a training song, the rule finds this song, at no distance."""
    from genrelab.audio import decode
    from genrelab.foreign import answered

    songs = known.load(trained.folder)
    sides = pd.read_csv(trained.folder / "split.csv", dtype=str).set_index("id")["side"]
    assert {s.id for s in songs} == set(sides.index[sides == "train"])
    asked = compose.restore(trained.folder)
    rule = Rule.load(trained.folder / compose.RULE)
    assert len(songs) == len(rule.known.directions)
    for n in (0, 7, len(songs) - 1):
        said = answered(asked.model, decode.load(songs[n].path, 22050), 22050)
        order, away = rule.known.nearest(said.embedding[0])
        assert order[0] == n
        assert away[0] == pytest.approx(0, abs=1e-3)
