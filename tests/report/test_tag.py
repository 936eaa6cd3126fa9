"""The page of a song: what it says in each case, where things lie on its time axis, and that names are text."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from genrelab.report import look
from genrelab.report import tag as page
from genrelab.report.tag import Heard, Neighbour, Speaks, Tagged, html, lead, percent

RATE, HOP_S = 8000, 0.02
GENRES = ("jazz", "metal", "rap")
EVIL = '<b>&"x"</script>\'é#@@AUDIO@@'
UNLIKE = "unlike the songs that the run knows"


def heard() -> Heard:
    """Four seconds, of which three slices of 1.2 s are asked."""
    wave = np.sin(np.arange(4 * RATE) / 9).astype(np.float32)
    values = np.random.default_rng(1).uniform(-70, -3, (40, 201)).astype(np.float32)
    panel = look.Panel("mel", "bins & frames", "", values, np.geomspace(50, 3500, 40), (), HOP_S, "dB")
    spans = np.array([[0.0, 1.2], [1.2, 2.4], [2.4, 3.6]])
    chances = np.array([[0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.8, 0.15, 0.05]])
    return Heard(wave, RATE, (b"whole", "audio/mpeg"), panel, spans, chances)


def song(**changed: object) -> Tagged:
    weight = np.zeros((40, 201))
    weight[30:, 100:] = 1
    made = Tagged(
        "my songs/first.ogg",
        "first",
        "Ann",
        "abc12345",
        (("length", "0:04.0"),),
        (("metal", 0.83), ("jazz", 0.15), ("rap", 0.02)),
        1,
        None,
        False,
        True,
        GENRES,
        heard(),
        False,
        (Speaks("metal", "jazz", weight, (b"part", "audio/mpeg")),),
        (
            Neighbour("m1", "One", "Ben", ("metal",), 0.21, (b"near", "audio/mpeg")),
            Neighbour("a/j7", "j7", None, ("jazz", "soul"), 0.4, None, "its file is no longer there"),
        ),
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def words(markup: str) -> str:
    return unescape(" ".join(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", markup, flags=re.S).split()))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "This is metal , 83 %."),
        ({"ranked": (("metal", 0.6), ("jazz", 0.4))}, "Most likely metal , 60 %; else jazz, 40 %."),
        ({"ranked": (("metal", 0.4), ("jazz", 0.35))}, "Perhaps metal , 40 %; perhaps jazz, 35 %."),
        ({"ranked": (("metal", 0.999), ("jazz", 0.001))}, "This is metal , over 99 %."),
        ({"several": True, "n_said": 2, "ranked": (("rap", 0.81), ("jazz", 0.6))}, "rap , 81 % and jazz , 60 %."),
        ({"several": True}, "metal , 83 %."),
        ({"no_tag": UNLIKE}, f"None of these. It is {UNLIKE}; what lies nearest is “One” (metal)."),
        (
            {"no_tag": UNLIKE, "neighbours": ()},
            "None of these. Unlike the songs that the run knows; metal comes nearest",
        ),
        (
            {"no_tag": "no genre reaches its threshold", "n_said": 0, "several": True},
            "None of these. No genre reaches its threshold; metal comes nearest, with 83 %.",
        ),
        ({"no_tag": "silent", "ranked": ()}, "No tag. The song is silent"),
    ],
)
def test_the_answer_in_a_sentence(changed: dict[str, object], said: str) -> None:
    assert said in words(lead(song(**changed)))


def test_no_probability_is_a_certainty() -> None:
    assert [percent(p) for p in (0.0, 0.004, 0.0149, 0.5, 0.985, 0.996, 1.0)] == [
        "under 1 %",
        "under 1 %",
        "1 %",
        "50 %",
        "98 %",
        "over 99 %",
        "over 99 %",
    ]


def test_the_page_holds_all_and_asks_for_nothing() -> None:
    text = html(song())
    assert not re.search(r"https?:|@import|url\(", text)
    assert not [a for a in re.findall(r'(?:src|href)="([^"]*)"', text) if not a.startswith(("data:", "#"))]
    for sound in (b"whole", b"part", b"near"):
        assert base64.b64encode(sound).decode() in text
    said = words(text)
    assert "Nearest training songs 1 of 2 are metal" in said or "Nearest training songs 1 of 2 is metal" in said
    assert "Not to be heard: its file is no longer there." in said
    assert "distance 0.21" in said
    assert "jazz, soul" in said
    assert "metal rather than jazz" in said
    assert "python -m genrelab tag 'my songs/first.ogg' --run abc12345 --write-tags --to tagged" in said
    assert "calibrated on the run's validation songs" in said
    assert "trained on this recording" not in said


def test_where_bins_are_no_frequencies_what_is_heard_are_moments() -> None:
    blind = replace(heard(), panel=replace(heard().panel, bin_hz=None))
    assert "what is heard alone are moments" in words(html(song(heard=blind)))
    assert "moments" not in words(html(song()))


def test_what_is_not_calibrated_is_said_so() -> None:
    said = words(html(song(calibrated=False)))
    assert "an order, not chances: this run is not calibrated" in said
    assert "Probabilities are not calibrated" in said
    assert "about 80 % were right" not in said


def test_a_training_song_is_said_to_be_one() -> None:
    assert "The run was trained on this recording: that it knows it shows memory" in words(html(song(met=True)))


def test_no_tag_marks_no_genre_and_offers_no_tag() -> None:
    text = html(song(no_tag=UNLIKE))
    said = words(text)
    assert "What it would be, had it to be one of them." in said
    assert "--write-tags" not in said
    assert 'class="said"' not in text
    assert "Of a genre that it has never met? Train on your own music" in said


def test_silence_has_a_page_without_pictures() -> None:
    text = html(song(no_tag="silent", ranked=(), heard=None, evidence=(), neighbours=()))
    assert "<img" not in text
    assert "<audio" not in text
    assert "python -m genrelab look 'my songs/first.ogg'" in words(text)


def test_a_run_that_kept_no_songs_says_so() -> None:
    assert "did not keep which songs it was trained on" in words(html(song(neighbours=())))


def data(text: str) -> dict[str, object]:
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])  # type: ignore[index]


def test_each_slice_has_its_seconds_and_the_chances_of_the_genres_that_are_drawn() -> None:
    text = html(song())
    known = data(text)
    assert known["slices"] == [[0, 1.2], [1.2, 2.4], [2.4, 3.6]]
    assert known["chances"] == [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.15, 0.8, 0.05]]
    assert re.findall(r'id="chance(\d)"', text) == ["0", "1", "2"]
    assert [unescape(n) for n in re.findall(r"<b>(\w+) <em>", text)] == ["metal", "jazz", "rap"]
    (metal, *_) = re.findall(r'<path class="edge" [^>]*d="([^"]*)"', text)
    assert metal == "M0.000 0.3000H1.200V0.4000H2.400V0.8500H3.600"


def test_a_genre_that_never_comes_up_is_left_out_by_name_of_its_best() -> None:
    quiet = replace(heard(), chances=np.array([[0.2, 0.77, 0.03]] * 3))
    text = html(song(heard=quiet))
    assert re.findall(r'id="chance(\d)"', text) == ["0", "1"]
    assert "1 genre is left out, which never comes above 3 %." in words(text)


def test_slices_that_overlap_share_what_they_have_in_common() -> None:
    assert page._owned(np.array([[0, 2], [1, 3], [2, 4]])) == [(0, 1.5), (1.5, 2.5), (2.5, 4)]
    assert page._owned(np.array([[0, 2], [3, 4]])) == [(0, 2), (3, 4)]


def test_what_is_no_evidence_is_darkened() -> None:
    text = html(song())
    (mask,) = re.findall(r'class="mask"[^>]*src="data:image/png;base64,([^"]+)"', text)
    drawn = imread(io.BytesIO(base64.b64decode(mask)))
    assert drawn.shape == (120, 201, 4)  # 40 bins of three rows each
    assert drawn[..., :3].max() == 0
    assert drawn[:30, 100:, 3].max() == 0  # the ten highest bins, which lie above
    assert drawn[30:, :, 3].min() == pytest.approx(page.DARK, abs=0.01)
    assert drawn[:, :100, 3].min() == pytest.approx(page.DARK, abs=0.01)
    places = set(re.findall(r'style="(left:-?[\d.]+%;width:[\d.]+%)"', text))
    assert len(places) == 1  # the mask lies where the picture lies


def test_names_are_text() -> None:
    near = Neighbour(EVIL, EVIL, EVIL, (EVIL,), 0.1, None, EVIL)
    made = replace(heard(), panel=replace(heard().panel, name=EVIL, unit=EVIL))
    evil = song(
        path=EVIL,
        title=EVIL,
        by=EVIL,
        run=EVIL,
        facts=((EVIL, EVIL),),
        ranked=((EVIL, 0.7), ("jazz", 0.3)),
        genres=("jazz", EVIL, "rap"),
        heard=made,
        evidence=(replace(song().evidence[0], genre=EVIL, against=EVIL),),
        neighbours=(near,),
    )
    for text in (html(evil), html(replace(evil, no_tag=EVIL)), html(replace(evil, calibrated=False))):
        assert '<b>&"' not in text
        assert text.count("</script>") == 2
        assert unescape(re.search(r"<h1>(.*?)</h1>", text)[1]) == EVIL  # type: ignore[index]
        assert data(text)["panels"][0]["unit"] == EVIL  # type: ignore[index]


@pytest.mark.skipif(not shutil.which("node"), reason="no node")
def test_the_script_parses(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text(page.SCRIPT, encoding="utf-8")
    assert subprocess.run(["node", "--check", tmp_path / "page.js"]).returncode == 0
