"""The table, the sentences and the picture of a probe: what is shown is the figures."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from genrelab.evaluate.probe import MARGIN, Fall, Reading
from genrelab.report.probe import CLOSE, probe_picture, probe_table, rows, sentence, verdict
from tests.report.reading import LONG, WIDTHS, lies_well, line_of, printed, words

NAN = float("nan")


def fall(cue="remaster", at=0.213, lo=0.15, hi=0.279, genres=((0.3, 0.2, 0.4), (NAN, NAN, NAN)), groups=9):
    return Fall(cue, 0.85, 0.85 - at, at, lo, hi, 0.75, 0.125, tuple(genres), 120, groups)


FALLS = [fall("gain", 0.008, -0.019, 0.036), fall(), fall("shuffle", -0.01, -0.02, 0.0), fall("mp3", 0.05, 0.01, 0.09)]
READ = [
    Reading("genre", 0.857, 0.817, 0.891, 1 / 6, NAN, "groups", 300, 6),
    Reading("studio", 0.656, 0.596, 0.714, 1 / 24, 0.227, "songs", 300, 24),
]


def test_sentences_name_a_cue_by_the_lower_end():
    said = ("the studio is", "remastering")
    assert sentence(fall(), *said) == "the studio is a cue: remastering costs 21.3 points [15.0, 27.9]"
    assert sentence(FALLS[0], *said) == "no sign that the studio is a cue: 0.8 points [-1.9, 3.6]"
    assert sentence(FALLS[3], *said).startswith("no sign")  # 5 points, but not surely more than the margin
    assert sentence(fall(lo=MARGIN), *said).startswith("no sign")
    assert sentence(fall(groups=4), *said).endswith("[15.0, 27.9], unreliable")
    assert sentence(fall(at=-0.0001), *said).startswith("the studio is a cue: remastering costs 0.0 points")  # no -0.0
    assert "cannot be said: 21.3 points" in sentence(fall(groups=1), *said)
    assert sentence(fall(lo=NAN, hi=NAN), *said).startswith("whether the studio is a cue cannot be said")


def test_the_verdict_says_where_remastering_stands():
    assert verdict(FALLS) == "cues: remaster; remastering costs 21.3 points, the most of 4"
    lesser = [fall(at=0.01, lo=-0.01, hi=0.03), fall("no_drums"), FALLS[2]]
    assert verdict(lesser) == "cues: no_drums; remastering costs 1.0 points, number 2 of 3"
    assert verdict([FALLS[0], lesser[0]]).startswith("no cue is named; ")
    assert verdict([FALLS[1]]) == verdict([FALLS[0], FALLS[2]]) == ""


@WIDTHS
def test_the_table_has_the_dearest_cue_first(width):
    lines = printed(probe_table("a run: 120 test songs", FALLS, READ, {"remaster": 0.5, "gain": 0.125}), width)
    assert line_of(lines, "a run") == "a run: 120 test songs: 85.0 as they are"
    assert words(lines, "remaster") == "remaster 63.7 21.3 [15.0, 27.9] 75.0 0.125 0.500"
    assert words(lines, "shuffle") == "shuffle 86.0 -1.0 [-2.0, 0.0] 75.0 0.125 –"
    order = [line.split()[0] for line in lines if line.split(" ")[0] in ("remaster", "mp3", "gain", "shuffle")]
    assert order == ["remaster", "mp3", "gain", "shuffle"]
    text = " ".join(" ".join(lines).split())
    assert "95 % intervals that hold for all 4 cues at once" in text
    assert "more than 2 points" in text
    assert words(lines, "studio") == "studio 65.6 [59.6, 71.4] 4.2 22.7 24 300 songs"
    assert words(lines, "genre  ") == "genre 85.7 [81.7, 89.1] 16.7 – 6 300 groups"


def test_one_cue_alone_has_a_plain_interval():
    text = " ".join(printed(probe_table("a run", [fall(groups=2)], [], {}), 120))
    assert "at once" not in text
    assert "unreliable" in text


def test_the_csv_has_a_row_a_cue_and_genre():
    table = list(rows(FALLS, ["rock", "jazz"]))
    assert len(table) == 4 * 3
    assert [r["genre"] for r in table[:3]] == ["all", "rock", "jazz"]
    assert table[3] | {"before": 0} == table[3] | {"before": 0, "cue": "remaster", "fall": 0.213, "named": True}
    assert (table[4]["fall"], table[4]["lo"], table[4]["hi"]) == (0.3, 0.2, 0.4)


def test_the_picture_draws_falls_intervals_and_genres():
    left, right, *_ = probe_picture(FALLS, ["rock", "jazz"], "a run").axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["remaster", "mp3", "gain", "shuffle"]
    lines = left.get_lines()
    bars, dots = lines[0:8:2], lines[1:8:2]
    np.testing.assert_allclose([b.get_xdata() for b in bars], [[15, 27.9], [1, 9], [-1.9, 3.6], [-2, 0]])
    np.testing.assert_allclose([d.get_xdata()[0] for d in dots], [21.3, 5, 0.8, -1])
    assert [to_hex(d.get_color()) == CLOSE for d in dots] == [True, False, False, False]
    assert [line.get_xdata()[0] for line in lines[8:]] == [0, 100 * MARGIN]
    assert left.yaxis_inverted()
    np.testing.assert_allclose(right.get_images()[0].get_array()[:, 0], 30)
    assert [t.get_text() for t in right.texts] == ["30"] * 4  # a genre without a song stays empty


@pytest.mark.parametrize("genres", [LONG[:2], LONG])
def test_words_lie_well(genres):
    many = [fall(f"a cue {i}", genres=[(0.1 * i, 0, 0.5)] * len(genres)) for i in range(11)]
    lies_well(probe_picture(many, genres, "mel-cnn-transformer-artist-s0-fold1: 1234 test songs"))
