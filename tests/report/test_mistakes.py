"""The worst mistakes: which songs they are, which part of them is heard, and what is drawn of it."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy.special import expit, logit, softmax

from genrelab.report import mistakes
from genrelab.report.mistakes import Clip, believed, drawn, rightly, section, telling, timeline, worst
from genrelab.types import NO_TAG

GENRES = ("dub", "funk", "soul")
EVIL = "<script>alert(1)</script>"


def frames(rows: list[dict[str, Any]], n_slices: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test songs with their slices, which think as their song does."""
    songs = []
    for row in rows:
        p = dict(zip((f"p/{g}" for g in GENRES), row["p"], strict=True))
        said = GENRES[int(np.argmax(row["p"]))]
        own = {"id": row["id"], "split": "test", "split_group": row.get("by", row["id"]), "truth": row["truth"]}
        songs.append(own | {"decision": said, "answer": row.get("answer", said), "n_slices": n_slices} | p)
    cuts = [
        {k: s[k] for k in ("id", "split", "truth")} | {"start_s": float(i), "end_s": i + 1.0} | {c: s[c] for c in p}
        for s in songs
        for i in range(n_slices)
    ]
    return pd.DataFrame(songs), pd.DataFrame(cuts)


ROWS: list[dict[str, Any]] = [
    {"id": "right", "truth": "dub", "p": [0.98, 0.01, 0.01]},
    {"id": "unsure", "truth": "dub", "p": [0.3, 0.4, 0.3]},
    {"id": "sure", "truth": "funk", "p": [0.9, 0.04, 0.06], "by": "an artist"},
    {"id": "stranger", "truth": NO_TAG, "p": [0.1, 0.1, 0.8]},
    {"id": "refused", "truth": NO_TAG, "p": [0.0, 1.0, 0.0], "answer": NO_TAG},
    {"id": "held back", "truth": "soul", "p": [0.7, 0.2, 0.1], "answer": NO_TAG},
]


def clip(**changed: Any) -> Clip:
    level = np.tile(np.linspace(-80, 0, 16)[:, None], (1, 40))
    made = Clip((b"sound", "audio/mpeg"), (b"heard", "audio/mpeg"), level, np.ones((16, 40)), None, (), "dB", "soul")
    return replace(made, **changed)


def test_the_surest_of_the_wrong_come_first() -> None:
    found, n_wrong = worst(*frames(ROWS), None, 3)
    assert [m.id for m in found] == ["sure", "stranger", "held back"]
    assert n_wrong == 4  # a stranger that got no tag is none
    sure, stranger, held_back = found
    assert (sure.said, sure.p, sure.nearest, sure.p_nearest, sure.by) == ("dub", 0.9, "funk", 0.04, "an artist")
    np.testing.assert_allclose(sure.of_said, [0.9] * 3)
    np.testing.assert_allclose(sure.of_nearest, [0.04] * 3)
    assert (stranger.truth, stranger.nearest, stranger.by) == (NO_TAG, "", "")
    assert np.isnan(stranger.of_nearest).all() and math.isnan(stranger.p_nearest)
    assert held_back.answer == NO_TAG


def test_songs_of_other_sides_do_not_count() -> None:
    songs, cuts = frames(ROWS)
    songs.loc[songs["id"] == "sure", "split"] = "val"
    assert "sure" not in [m.id for m in worst(songs, cuts, None, 9)[0]]


def test_of_several_genres_the_first_must_be_one_of_the_songs_own() -> None:
    songs, cuts = frames(
        [
            {"id": "one of two", "truth": "dub|soul", "p": [0.1, 0.2, 0.9]},
            {"id": "neither", "truth": "dub|soul", "p": [0.3, 0.8, 0.5]},
        ]
    )
    songs = songs.assign(**{f"t/{g}": 0.5 for g in GENRES})
    ((only,), n_wrong) = worst(songs, cuts, None, 9)
    assert (only.id, only.said, only.nearest, only.p_nearest, n_wrong) == ("neither", "funk", "soul", 0.5, 1)


def test_a_fold_has_its_own_slices() -> None:
    songs, cuts = frames([ROWS[2]])
    other = cuts.assign(**{"p/dub": 0.5, "fold": 1})
    ((m,), _) = worst(songs.assign(fold=0), pd.concat([other, cuts.assign(fold=0)]), None, 1)
    assert (m.fold, len(m.spans), m.of_said[0]) == (0, 3, 0.9)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_probabilities_follow_the_temperature(temperature: float) -> None:
    scores = np.random.default_rng(0).normal(size=(5, 3)) * 4
    one = pd.DataFrame(softmax(scores, 1), columns=[f"p/{g}" for g in GENRES]).assign(truth="dub")
    np.testing.assert_allclose(believed(one, temperature), softmax(scores / temperature, 1), rtol=1e-6)
    many = pd.DataFrame(expit(scores), columns=[f"p/{g}" for g in GENRES]).assign(truth="dub|funk", **{"t/dub": 0.5})
    np.testing.assert_allclose(logit(believed(many, temperature)), scores / temperature, rtol=1e-6)
    assert rightly(one, one[[f"p/{g}" for g in GENRES]].to_numpy()).tolist() == (scores.argmax(1) == 0).tolist()


def test_the_excerpt_is_where_the_slices_are_most_for_the_wrong_answer() -> None:
    spans = np.array([[2.5 * i, 2.5 * i + 2.5] for i in range(12)])
    gain = np.zeros(12)
    gain[5:9] = 1
    assert telling(spans, gain, 10.0) == (12.5, 22.5)
    assert telling(spans, np.zeros(12), 10.0) == (0, 10)  # of equals the first
    assert telling(spans[:2], gain[:2], 10.0) == (0, 5)  # a short song, whole
    assert telling(np.array([[0.0, 30.0], [30.0, 60.0]]), np.array([0, 1]), 10.0) == (30, 60)  # one slice is longer
    overlapping = np.array([[float(i), i + 2.5] for i in range(20)])
    begin, end = telling(overlapping, np.arange(20.0), 10.0)
    assert 9 <= end - begin <= 10 and end == 21.5


def test_the_timeline_shows_answer_and_truth_and_the_excerpt() -> None:
    songs, cuts = frames([ROWS[2]], n_slices=30)
    ((m,), _) = worst(songs, cuts, None, 1)
    made = timeline(m)
    assert "dub (said)" in made and "funk (true)" in made
    assert 'class="band q"' in made  # it is a part of the song
    ((short,), _) = worst(*frames([ROWS[2]], n_slices=2), None, 1)
    assert "band" not in timeline(short)
    ((stranger,), _) = worst(*frames([ROWS[3]]), None, 1)
    assert "(true)" not in timeline(stranger)


def test_evidence_is_in_colour_and_the_rest_is_grey() -> None:
    weight = np.zeros((16, 40))
    weight[:, 20:] = 1
    data, mime = drawn(clip(weight=weight))
    assert mime == "image/jpeg"
    image = imread(io.BytesIO(data), format="jpg").astype(float)
    assert image.shape == (mistakes.TALL, 40, 3)
    colour = np.ptp(image, axis=2)
    assert colour[:100, 2:16].mean() < 8
    assert colour[:100, 24:38].mean() > 60
    assert image[5].mean() > image[-5].mean() + 60  # high bins, the loud ones, are above
    assert image[:100, 2:16].mean() < image[:100, 24:38].mean()


def test_the_section_says_what_is_known_and_plays() -> None:
    ((m,), _) = worst(*frames([ROWS[2]]), None, 1)
    page = section([replace(m, clip=clip(bin_hz=np.geomspace(50, 9000, 16)))], 6, calibrated=False)
    for words in ("sure: funk, taken for", "90 % sure (uncalibrated)", "4 % for funk", "an artist", "over soul"):
        assert words in page
    assert page.count("<audio ") == 2
    heights = [float(h) for h in re.findall(r'bottom:([\d.]+)%">', page)]
    assert heights == sorted(heights) and len(heights) >= 4
    calibrated = section([m], 6, calibrated=True)
    assert "uncalibrated" not in calibrated and "<audio" not in calibrated
    assert "no tag" in section(worst(*frames([ROWS[5]]), None, 1)[0], 6, calibrated=True)
    assert "cannot be heard" in section([replace(m, why_silent="Its file cannot be heard now.")], 6, calibrated=True)
    assert "Not one of the 6" in section([], 6, calibrated=True)


def test_bins_of_falling_frequency_and_pitches_are_named_where_they_lie() -> None:
    ((m,), _) = worst(*frames([ROWS[2]]), None, 1)
    falling = section([replace(m, clip=clip(bin_hz=np.geomspace(9000, 50, 16)))], 6, calibrated=False)
    heights = [float(h) for h in re.findall(r'bottom:([\d.]+)%">', falling)]
    rising = section([replace(m, clip=clip(bin_hz=np.geomspace(50, 9000, 16)))], 6, calibrated=False)
    labels = [re.findall(r'bottom:[\d.]+%">(\w+)<', page) for page in (falling, rising)]
    assert labels[0] == labels[1][::-1] and max(heights) == pytest.approx(100 - min(100 - h for h in heights))
    pitches = clip(picture=np.zeros((12, 40)), weight=np.ones((12, 40)), bin_names=("C", "C♯", "D", *"EFGHIJKLM"))
    assert re.findall(r'bottom:[\d.]+%">(\w+♯?)<', section([replace(m, clip=pitches)], 6, calibrated=False))[:3] == [
        "C",
        "D",
        "E",
    ]


def test_names_are_text() -> None:
    ((m,), _) = worst(*frames([ROWS[2] | {"id": EVIL, "by": EVIL}]), None, 1)
    page = section([replace(m, truth=EVIL, said=EVIL, nearest=EVIL, clip=clip(against=EVIL))], 6, calibrated=True)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
