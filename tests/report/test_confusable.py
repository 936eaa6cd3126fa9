"""Which genres cannot be told apart, as a table and as a picture."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from genrelab.evaluate.confusable import Pair, pairs
from genrelab.report import style
from genrelab.report.confusable import CLOSE, MOST, confusable_picture, confusable_table
from tests.report.reading import LONG, WIDTHS, lies_well, printed, words


def found(k, songs=12):
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(k), songs)
    x = rng.normal(size=(len(truth), k))
    x[np.arange(len(truth)), truth] += np.where(truth < 2, 0.2, 2.5)
    return pairs(truth, softmax(2 * x, 1), np.arange(len(truth)), LONG[:k], 100, 0)


def made():
    close = Pair("ska", "dub", 0.552, 0.4, 0.7, 0.3, 0.125, 20, 16, 4)
    return [
        close,
        *(replace(close, a=a, auroc=0.9, lo=0.8, hi=1.0, a_as_b=0.0) for a in ("rap", "soul", "funk")),
        replace(close, a="salsa", auroc=0.95, lo=float("nan"), hi=float("nan"), n_a=1),
    ]


@WIDTHS
def test_the_table_shows_the_closest_and_every_pair_that_is_not_told_apart(width):
    lines = printed(confusable_table(made(), limit=2), width)
    assert words(lines, "ska / dub") == "ska / dub 55.2 [40.0, 70.0] 30.0 / 12.5 not separable with 36 songs"
    assert words(lines, "rap / dub") == "rap / dub 90.0 [80.0, 100.0] 0.0 / 12.5 told apart"
    assert words(lines, "salsa / dub") == "salsa / dub 95.0 [–, –] 30.0 / 12.5 not known: a group each"
    assert not any(line.startswith(("soul", "funk")) for line in lines)


@WIDTHS
def test_no_number_of_the_table_is_broken_and_no_name_is_lost(width):
    own = found(16)
    shown = [p for i, p in enumerate(own) if i < 3 or not p.separable]
    text = "\n".join(printed(confusable_table(own, limit=3), width))
    for p in shown:
        assert f"{100 * p.auroc:.1f} [{100 * p.lo:.1f}, {100 * p.hi:.1f}]" in text
        assert p.verdict in text
        assert all(word in text for word in (*p.a.split(), *p.b.split()))
    assert "…" not in text


def test_dots_are_the_areas_the_closest_above():
    own = found(4)
    (axes,) = confusable_picture(own, LONG[:4]).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [f"{p.a} / {p.b}" for p in own[::-1]]
    lines = axes.get_lines()
    for y, (p, bar, dot) in enumerate(zip(own[::-1], lines[::2], lines[1::2], strict=False)):
        assert [*dot.get_xdata(), *dot.get_ydata()] == [p.auroc, y]
        np.testing.assert_array_equal(bar.get_xdata(), [p.lo, p.hi])
        assert dot.get_color() == (style.SIDE_COLOURS["val"] if p.separable else CLOSE)
        assert axes.get_xlim()[0] < p.lo
    assert axes.get_title() == "pairs of 4 genres"


def test_of_many_pairs_the_closest_are_drawn():
    own = found(16)
    (axes,) = confusable_picture(own, LONG).axes
    assert len(axes.get_yticklabels()) == MOST == 15
    assert axes.get_yticklabels()[-1].get_text() == f"{own[0].a} / {own[0].b}"
    assert axes.get_title() == "pairs of 16 genres, the 15 closest of 120"


@pytest.mark.parametrize("k", [2, 6, 16])
def test_words_lie_well(k):
    lies_well(confusable_picture(found(k), LONG[:k]))


def test_pairs_without_intervals_are_drawn():
    figure = confusable_picture(made(), ["dub", "funk", "rap", "salsa", "ska", "soul"])
    lies_well(figure)
    assert figure.axes[0].get_lines()[1].get_xdata()[0] == 0.95
