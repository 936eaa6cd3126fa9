"""The card: every figure on it is the run's, names are text, and it needs nothing but itself."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from genrelab.report import card
from genrelab.report.html import MINUS
from genrelab.report.mistakes import worst
from genrelab.types import NO_TAG

GENRES = ("dub", "funk", "soul")
EVIL = "<script>alert(1)</script>"
COMMAND = "python -m genrelab 'data.path=a b' agg=vote"


def made(n: int = 60, strangers: int = 0, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and slices of made test songs, two slices each."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    p = softmax(rng.normal(size=(n + strangers, 3)) + 1.5 * np.eye(3)[np.append(truth, np.zeros(strangers, int))], 1)
    names = [GENRES[k] for k in truth] + [NO_TAG] * strangers
    songs = pd.DataFrame(p, columns=[f"p/{g}" for g in GENRES])
    songs = songs.assign(id=[f"song {i}" for i in range(len(p))], split="test", truth=names, n_slices=2)
    songs = songs.assign(split_group=[f"artist {i // 2}" for i in range(len(p))])
    songs["decision"] = [GENRES[k] for k in p.argmax(1)]
    songs = songs.assign(answer=songs["decision"], **{"known/texture": p.max(1)})
    cuts = songs.loc[songs.index.repeat(2), ["id", "split", "truth", *(f"p/{g}" for g in GENRES)]]
    return songs, cuts.assign(start_s=np.tile([0.0, 2.5], len(p)), end_s=np.tile([2.5, 5.0], len(p)))


def sheet(**changed: Any) -> card.Sheet:
    songs, cuts = changed.get("songs"), changed.get("cuts")
    if songs is None:
        songs, cuts = made()
    figures = {
        "test/song/accuracy": 0.611,
        "test/song/balanced_accuracy": 0.612,
        "test/song/balanced_accuracy_lo": 0.513,
        "test/song/balanced_accuracy_hi": 0.714,
        "test/slice/balanced_accuracy": 0.5,
        "val/song/balanced_accuracy": 0.65,
        "baseline/majority/balanced_accuracy": 0.333,
        "baseline/tempo/balanced_accuracy": 0.42,
        "baseline/tempo/balanced_accuracy_lo": 0.3,
        "baseline/tempo/balanced_accuracy_hi": 0.55,
        "cost/parameters": 214492.0,
        "cost/train_s": 12.5,
    }
    found, n_wrong = worst(songs, cuts, None, 3)
    history = [{"epoch": e, "train/loss": 2 - e, "val/loss": 2.0, "val/song/balanced_accuracy": 0.5} for e in (0, 1)]
    pair = {"a": "dub", "b": "funk", "auroc": 0.8, "lo": 0.7, "hi": 0.9, "a_as_b": 0.25, "b_as_a": 0.1}
    usual = card.Sheet(
        title="mel-gru on tapes",
        lead="<b>61.2 %</b> balanced accuracy",
        kind="good",
        facts=(("data", "tapes"),),
        checks=(("good", "Leak audit: clean."), ("bad", "Few groups.")),
        steps=(("Other seeds.", COMMAND),),
        protocol=("No artist lies on two sides.",),
        measure="balanced_accuracy",
        figures=figures,
        rivals={"majority": "majority", "tempo": "tempo alone"},
        verdict="better than tempo alone by 19.2 points [5.0, 30.1]",
        songs=songs,
        cuts=cuts,
        pairs=[pair | {"separable": True}],
        found=tuple(found),
        n_wrong=n_wrong,
        temperature=None,
        score="texture",
        threshold=0.5,
        history=history,
        kept=1,
        seen=(card.Seen("dub: song 0", np.random.default_rng(0).uniform(-80, 0, (16, 16)), "dB"),),
        below="low frequencies",
        filters=(),
        folds=(),
        n_boot=100,
        seed=0,
        repeat=(("The same run", COMMAND),),
        provenance=(("split digest", "909130dcf5b4"),),
        notes=("Made by genrelab.",),
    )
    return replace(usual, **changed)


def row(page: str, first: str) -> list[str]:
    """The cells of the table row that begins with a word."""
    (found,) = [r for r in re.findall(r"<tr[^>]*>(.*?)</tr>", page) if re.match(rf"<t[dh][^>]*>{re.escape(first)}<", r)]
    return [unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[dh].*?</t[dh]>", found)]


def test_it_holds_what_a_reader_asks() -> None:
    page = card.html(sheet())
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert [re.sub("<.*", "", t).strip() for t in titles] == [
        "Can it be trusted?",
        "What next?",
        "How good?",
        "What was done",
        "By genre",
        "The worst mistakes",
        "Can its probabilities be believed?",
        "Training",
        "What the net saw",
        "Cost",
        "Do it again",
    ]
    for words in ("61.2 %", "Leak audit: clean.", "No artist lies on two sides.", "909130dcf5b4", "214,492"):
        assert words in page
    assert unescape(page).count(COMMAND) == 2
    assert '<li class="bad">Few groups.' in page


def test_figures_stand_beside_what_hears_no_music() -> None:
    page = card.html(sheet())
    assert row(page, "balanced accuracy")[1:] == ["61.2 [51.3, 71.4]", "50.0", "33.3", "65.0"]
    names = re.findall(r'<span class="name[^"]*">(.*?)</span>', page)
    assert names == ["this run", "tempo alone", "majority"]  # the best above
    assert "42.0 [30.0, 55.0]" in page
    assert "better than tempo alone by 19.2 points [5.0, 30.1]" in page
    assert "never for them" in page  # per slice


def test_genres_and_confusion_are_those_of_the_predictions() -> None:
    s = sheet()
    page = card.html(s)
    truth, said = s.songs["truth"], s.songs["decision"]
    precision, recall, f1, n = precision_recall_fscore_support(truth, said, labels=GENRES)
    table = confusion_matrix(truth, said, labels=GENRES)
    confusion = page[page.index('<div class="confusion">') :]
    for k, genre in enumerate(GENRES):
        own = row(page[: page.index('<div class="confusion">')], genre)
        assert own[1].startswith(f"{100 * recall[k]:.1f} [")
        assert own[2:] == [f"{100 * precision[k]:.1f}", f"{100 * f1[k]:.1f}", str(n[k]), str(n[k])]
        assert row(confusion[: confusion.index("</table>")], genre)[1:] == [str(c or "") for c in table[k]]
        assert f"--share:{table[k, k] / n[k]:.3f}" in confusion
    assert row(page, "pair")[0] == "pair"
    assert "dub / funk" in page and "80.0 [70.0, 90.0]" in page and "25.0 / 10.0" in page


def test_mistakes_are_counted_and_the_surest_shown() -> None:
    s = sheet()
    page = card.html(s)
    n = int((s.songs["truth"] != s.songs["decision"]).sum())
    assert f"{n} of 60 songs wrong, the 3 surest" in page
    assert page.count('<div class="mistake">') == 3
    assert "<audio" not in page and "URL.createObjectURL" not in page
    right, cuts = made()
    right = right.assign(truth=right["decision"])
    perfect = card.html(sheet(songs=right, cuts=cuts))
    assert "Not one of the 60 test songs was named wrongly." in perfect


def test_a_genre_with_few_groups_is_named_unreliable() -> None:
    songs, cuts = made()
    dub = songs["truth"] == "dub"
    songs.loc[dub, "split_group"] = [f"artist {i % 4}" for i in range(int(dub.sum()))]
    page = card.html(sheet(songs=songs, cuts=cuts))
    assert "Unreliable, since fewer than 5 groups: dub." in page


def test_songs_of_several_genres_have_no_confusion_but_average_precision() -> None:
    songs, cuts = made()
    songs["truth"] = songs["truth"].replace({"dub": "dub|funk"})
    songs = songs.assign(**{f"t/{g}": 0.4 for g in GENRES})
    figures = {"test/song/map": 0.7, "test/song/map_lo": 0.6, "test/song/map_hi": 0.8, "val/song/map": 0.71}
    page = card.html(sheet(songs=songs, cuts=cuts, figures=figures, measure="map", pairs=(), history=()))
    assert '<div class="confusion">' not in page and "average precision" in page
    assert row(page, "mean average precision")[1] == "70.0 [60.0, 80.0]"
    assert "Training</h2>" not in page


def test_songs_of_none_of_the_genres_have_a_section() -> None:
    songs, cuts = made(strangers=9)
    songs.loc[songs.index[-3:], "answer"] = NO_TAG
    own = {f"test/open_set/texture/auroc{end}": v for end, v in (("", 0.8), ("_lo", 0.7), ("_hi", 0.9))}
    figures = sheet().figures | own | {"test/foreign/silence": 1.0}
    page = card.html(sheet(songs=songs, cuts=cuts, figures=figures))
    assert "60 songs of known genres, 9 of none of them; of these 67 % got a tag all the same." in page
    assert "80.0 [70.0, 90.0]" in page and "silence 100 %" in page
    assert "60 test songs." in page  # figures are of the known ones alone
    assert "None of these" not in card.html(sheet())


def test_folds_have_a_table_and_no_threshold_of_their_own() -> None:
    songs, cuts = made()
    folds = ((1, "e06903e3", "66.7", "63.6 [50.0, 70.0]", "39.9", 19, 5), (2, "06f26967", "33.3", "66.7", "–", 16, 5))
    page = card.html(sheet(folds=folds, history=(), kept=None, seen=(), score="", songs=songs, cuts=cuts))
    assert row(page, "1") == ["1", "e06903e3", "66.7", "63.6 [50.0, 70.0]", "39.9", "19", "5"]
    assert "each fold has its own temperature" in page


def test_learned_filters_are_drawn_where_there_are_any() -> None:
    hz, width = np.geomspace(50, 9000, 5), np.full(5, 60.0)
    page = card.html(sheet(filters=(hz, width, hz / 2, width)))
    drawn = page[page.index('id="filters"') :]
    assert drawn.count('<circle class="dot a"') == drawn.count('<circle class="ring q"') == 5


def test_a_temperature_gives_a_second_curve() -> None:
    assert "calibrated, ECE" not in card.html(sheet()).replace("uncalibrated, ECE", "")
    page = card.html(sheet(temperature=2.0))
    assert page.count("calibrated, ECE") == 2 and "not calibrated" not in page


def test_every_name_is_text() -> None:
    songs, cuts = made()
    swap = {"dub": EVIL, "p/dub": f"p/{EVIL}"}
    songs, cuts = (
        f.rename(columns=swap).replace({"dub": EVIL, "song 1": EVIL, "artist 0": EVIL}) for f in (songs, cuts)
    )
    pair = sheet().pairs[0] | {"a": EVIL, "b": EVIL * 2}  # type: ignore[operator]
    page = card.html(
        sheet(
            songs=songs,
            cuts=cuts,
            title=EVIL,
            facts=((EVIL, EVIL),),
            checks=(("good", EVIL),),
            steps=((EVIL, EVIL),),
            protocol=(EVIL,),
            pairs=(pair,),
            seen=(replace(sheet().seen[0], title=EVIL, unit=EVIL),),
            rivals={"tempo": EVIL},
            verdict=EVIL,
            repeat=((EVIL, EVIL),),
            provenance=((EVIL, EVIL),),
            notes=(EVIL,),
        )
    )
    assert "alert(1)" in page
    assert page.count("<script") == page.count("</script>") == 1  # the frame's own, which copies


def test_it_asks_for_nothing_and_makes_sense_without_its_script() -> None:
    page = card.html(sheet())
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|@import|url\(", page)
    assert not [a for a in re.findall(r'(?:src|href)="([^"]*)"', page) if not a.startswith(("data:", "#"))]
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert "this run" in body and '<svg class="chart"' in body
    assert not re.findall(r' on[a-z]+="', body)


@pytest.mark.parametrize("unit", ["dB", "standard deviations"])
def test_what_the_net_saw_is_an_image_with_its_scale(unit: str) -> None:
    seen = (card.Seen("dub: song 0", np.array([[-200.0, -80.0], [-40.0, 0.0]]), unit),)
    page = card.html(sheet(seen=seen))
    low = f"from {MINUS}80 to 0 dB" if unit == "dB" else f"to 0 {unit}"
    assert low in page and page.count('<img class="picture"') == 1
