"""What a command has shown, as files."""

from __future__ import annotations

import json
from pathlib import Path

from genrelab.report import kept
from genrelab.report.table import numbers_table, sweep_table, texts

TABLE = numbers_table("figures", ["part", "test"], [["a|b", "70.0 [60.0, 80.0]"], ["–", "1.0"]])


def test_tables_and_sentences_come_in_their_order(tmp_path: Path) -> None:
    from rich.console import Group

    shown = [Group(TABLE, *texts("under it")), "one\ntwo", "", "page: /somewhere/x.html"]
    table = {"title": "figures", "headings": ["part", "test"], "rows": [["a|b", "70.0 [60.0, 80.0]"], ["–", "1.0"]]}
    assert kept.save(shown, tmp_path / "new") == [table, "under it", "one\ntwo"]
    assert json.loads((tmp_path / "new" / "tables.json").read_text()) == [table, "under it", "one\ntwo"]
    assert (tmp_path / "new" / "tables.md").read_text().split("\n") == [
        "figures:",
        "",
        "| part | test |",
        "| --- | ---: |",
        "| a&#124;b | 70.0 [60.0, 80.0] |",
        "| – | 1.0 |",
        "",
        "under it",
        "",
        "one",
        "",
        "two",
        "",
    ]


def test_runs_of_a_sweep_have_no_ids_there() -> None:
    figures = {"val/song/balanced_accuracy": 0.5, "test/song/balanced_accuracy": 0.4}
    figures |= {"test/song/balanced_accuracy_lo": 0.3, "test/song/balanced_accuracy_hi": 0.6}
    done = {"name": "mel", "run_id": "0123456789", "status": "FINISHED", "figures": figures}
    lost = {"name": "stft", "run_id": "9876543210", "status": "FAILED", "reason": "no room", "figures": {}}
    (table,) = kept.parts([sweep_table([lost, done])])
    assert isinstance(table, dict) and "id" not in table["headings"]
    assert table["rows"] == [
        ["mel", "50.0", "40.0 [30.0, 60.0]", "–", "–", "finished"],
        ["stft", "–", "–", "–", "–", "FAILED: no room"],
    ]
