"""The page of a folder counts what its songs are, leads to their pages, and takes names as text."""

from __future__ import annotations

import re

from genrelab.report import folder
from tests.report.test_tag import EVIL, UNLIKE, words

ROWS = [
    folder.Row("b.ogg", "metal", "", 0.83, "jazz, 15 %", "b.html"),
    folder.Row("c.ogg", "no tag", UNLIKE, None, "metal, 60 %", "c.html"),
    folder.Row(EVIL, "not heard", EVIL, None, "", None),
    folder.Row("d.ogg", "metal", "", 0.5, "", "d.html"),
]


def test_a_folder_says_how_many_are_what_and_leads_to_their_pages() -> None:
    text = folder.index(EVIL, ROWS, [("run", EVIL)], True, ["tag x --write-tags --to tagged"])
    said = words(text)
    assert "2 of 4 songs got a genre." in said
    assert re.search(r"Genres metal 2 no tag 1 not heard 1", said)
    assert re.findall(r'<a href="([^"]*)">([^<]*)</a>', text) == [
        ("b.html", "b.ogg"),
        ("c.html", "c.ogg"),
        ("d.html", "d.ogg"),
    ]
    assert f"no tag: {UNLIKE}" in said
    assert "python -m genrelab tag x --write-tags --to tagged" in said
    assert "not calibrated" not in said
    assert '<b>&"' not in text
    assert "not calibrated" in words(folder.index("x", ROWS, [], False))
