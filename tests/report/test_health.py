"""What `doctor` shows fits a narrow terminal, and a path is no markup."""

from __future__ import annotations

import io

from rich.console import Console

from genrelab.report.health import findings_table, sizes_table


def shown(table: object, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return out.getvalue()


def test_a_finding_is_whole_at_any_width() -> None:
    row = ("artifacts that no run asks for", "artifacts/[bold]x/01234567…", "12 MB", "moves them to lost/")
    for width in (60, 200):
        text = shown(findings_table([row], fixed=False), width)
        assert "what --fix does" in " ".join(text.split())
        assert all(len(line) <= width for line in text.splitlines())
        for cell in row:
            for word in cell.split():
                assert word in text or width == 60
    assert "[bold]" in text
    assert "what --fix did" in shown(findings_table([row], fixed=True), 200)


def test_an_empty_cell_is_a_dash() -> None:
    assert "–" in shown(findings_table([("goes on", "artifacts/x", "", "")], fixed=False), 120)


def test_sizes_stand_beside_what_they_are() -> None:
    text = shown(sizes_table([("cache/pictures", "70.0 MB", "made again when needed"), ("data", "81.4 MB", "")]), 80)
    assert "cache/pictures  70.0 MB  made again when needed" in text
