"""The frame of the pages: text is escaped, numbers are set right, drawings follow the page's ink."""

from __future__ import annotations

import matplotlib as mpl
import pytest

from genrelab.report import html, style

NASTY = "<script>alert('x')</script> & \"quotes\""


def test_text_is_escaped_wherever_it_stands():
    made = html.page(
        NASTY,
        html.section(NASTY, html.table([NASTY], [[NASTY]]), about=NASTY, count=NASTY, name=NASTY)
        + html.figure("<svg/>", NASTY, NASTY)
        + html.command(NASTY)
        + html.player(b"", "audio/mpeg", NASTY)
        + html.image(b"", NASTY),
        lead=NASTY,
        facts=[(NASTY, NASTY)],
        notes=[NASTY],
    )
    assert "<script>alert" not in made and "alert(&#x27;x&#x27;)" in made
    assert '"quotes"' not in made


def test_markup_goes_in_as_it_is():
    assert html.text(html.Html("<b>x</b>")) == "<b>x</b>"
    assert html.text("<b>x</b>") == "&lt;b&gt;x&lt;/b&gt;"


def test_a_page_without_scripts_allows_none():
    assert "script-src" not in html.page("a", "b")
    assert "script-src" in html.page("a", html.command("python -m genrelab"))
    assert "script-src" in html.page("a", "b", script="1;")


@pytest.mark.parametrize(
    ("values", "right"),
    [
        ([1, 2.5], True),
        (["4.1", "−0.3"], True),
        (["83 %", "7.2 %"], True),
        (["83.1 [80.2, 85.9]"], True),
        (["1.mp3", "2.mp3"], False),
        (["rock", "3"], False),
        ([html.Html("3")], False),
    ],
)
def test_numbers_are_set_right(values, right):
    assert ('class="number"' in html.table(["x"], [[v] for v in values])) is right


def test_a_long_table_shows_its_first_rows():
    made = html.table(["x"], [[i] for i in range(10)], first=4, ours=[1])
    seen, _, rest = made.partition("<details>")
    assert seen.count("<tr") == 5 and rest.count("<tr") == 7 and "6 more" in rest
    assert seen.count('class="ours"') == 1


def test_json_cannot_end_its_script():
    assert "</script" not in html.json_in_script({"name": "</script><script>"})


def test_a_drawing_takes_the_ink_of_the_page_and_is_the_same_twice():
    def drawn() -> str:
        with mpl.rc_context(style.RC):
            figure = style.blank(3, 2)
            axes = figure.subplots()
            axes.plot([0, 1], [0, 1])
            axes.grid(color=style.GRID)
            axes.set_title("a < b")
        return style.svg(figure, "a <line>")

    one = drawn()
    assert one == drawn()
    assert "var(--ink)" in one and "var(--line)" in one
    assert style.INK not in one and style.GRID not in one
    assert 'aria-label="a &lt;line&gt;"' in one
    assert ' id="axes_1"' not in one and "<style" not in one
