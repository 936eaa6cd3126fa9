"""The leak ladder: figures on their rungs, falls between neighbours, and whether several configurations keep order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from genrelab.report import artifacts, ladder
from tests.report.reading import WIDTHS, lies_well, printed, words

KEY = "test/song/balanced_accuracy"


def songs(right, n=60, seed=0, first=0):
    """Predictions of n test songs of two genres, a share of which is right."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    p = np.where((rng.permutation(n) < right * n) == (truth == 0), 0.8, 0.2)
    return pd.DataFrame({
        "id": [f"s{first + i}" for i in range(n)], "split": "test", "split_group": [f"g{i}" for i in range(n)],
        "truth": np.array(["jazz", "rap"])[truth], "p/jazz": p, "p/rap": 1 - p,
    })  # fmt: skip


def row(folder, given, value, **more):
    folder = Path(folder) / "-".join(given).replace("/", "")
    artifacts.save(folder, songs(value, **more), songs(value))
    return {
        "name": "mel", "run_id": "a" * 32, "folder": str(folder), "status": "FINISHED", "reason": "",
        "figures": {KEY: value, f"{KEY}_lo": value - 0.06, f"{KEY}_hi": value + 0.05},
        "overrides": given, "measure": "balanced_accuracy",
    }  # fmt: skip


@pytest.fixture
def rows(tmp_path):
    """Given out of order, as a sweep's words may name them."""
    found = [("studio", 0.55, {"first": 40}), ("slice", 0.95, {}), ("artist", 0.7, {}), ("song", 0.9, {"first": 9})]
    return [row(tmp_path, [f"split={r}", "data.seed=1"], v, seed=i, **more) for i, (r, v, more) in enumerate(found)]


@WIDTHS
def test_every_rung_has_its_figure_and_its_fall_to_the_next(rows, width):
    (table, *notes), _ = ladder.ladder(rows, 50, 0)
    text = printed(table, width)
    assert text[0].startswith("balanced accuracy per song by what no two sides share")
    starts = [
        next(i for i, line in enumerate(text) if line.startswith(r)) for r in ("slice", "song", "artist", "studio")
    ]
    assert starts == sorted(starts)
    loaded = {r["overrides"][0][6:]: artifacts.load(Path(r["folder"]))[0] for r in rows}
    for a, b, value in (("slice", "song", 0.95), ("song", "artist", 0.9), ("artist", "studio", 0.7)):
        d = artifacts.difference(loaded[a], loaded[b], "balanced_accuracy", 50, 0)
        shown = " ".join([
            a, f"{100 * value:.1f} [{100 * value - 6:.1f}, {100 * value + 5:.1f}]",
            f"{100 * d.points:.1f} [{100 * d.lo:.1f}, {100 * d.hi:.1f}]", "60 and 60",
        ])  # fmt: skip
        assert words(text, a) == shown
        assert d.points > 0
    assert words(text, "studio") == "studio 55.0 [49.0, 60.0] – –"
    assert notes == [
        "slice: every song lies on both sides, so that figure is a leak and no measure of genre",
        "no run stands on the rungs album, group",
    ]


def test_rungs_on_the_same_songs_are_paired_and_few_groups_are_unreliable(tmp_path):
    one = row(tmp_path, ["split.by=song"], 0.9, seed=1)
    two = row(tmp_path, ["split.by=artist"], 0.9, seed=1)
    few = row(tmp_path, ["split.by=studio"], 0.9, seed=1, n=6)
    text = printed(ladder.ladder([one, two, few], 50, 0)[0][0], 120)
    assert words(text, "song") == "song 90.0 [84.0, 95.0] 0.0 [0.0, 0.0] 60, paired"
    assert words(text, "artist").endswith("60 and 6, unreliable")


def test_without_the_slice_rung_there_is_no_word_of_a_leak(rows):
    (_, *notes), _ = ladder.ladder([r for r in rows if r["overrides"][0] != "split=slice"], 50, 0)
    assert not any("leak" in note for note in notes)


@pytest.fixture
def crossed(tmp_path):
    """mel best on slices and worst by artist; stft and cqt keep their order; the studio rung of cqt is not there."""
    figures = {
        "song": {"mel": 0.9, "stft": 0.8, "cqt": 0.7},
        "artist": {"mel": 0.5, "stft": 0.8, "cqt": 0.6},
        "studio": {"mel": 0.5, "stft": 0.7},
    }
    return [
        row(tmp_path, [f"split={r}", f"front={f}", "agg=gru"], value)
        for r, by_front in figures.items()
        for f, value in by_front.items()
    ]


def test_front_ends_that_change_places_are_said_with_kendalls_tau(crossed):
    (table, *notes), _ = ladder.ladder(crossed, 50, 0)
    tau = kendalltau([0.9, 0.8, 0.7], [0.5, 0.8, 0.6])
    assert notes[0] == (
        f"song to artist: mel > stft > cqt becomes stft > cqt > mel, Kendall's tau {tau.statistic:+.2f} of 3 "
        f"(p {tau.pvalue:.2f})"
    )
    assert tau.statistic == pytest.approx(-1 / 3)
    assert notes[1] == "artist to studio: stft > mel stays, Kendall's tau +1.00 of 2 (p 1.00)"
    text = printed(table, 120)
    assert words(text, "cqt artist") == "cqt artist 60.0 [54.0, 65.0] – –"
    assert words(text, "mel song").startswith("mel song 90.0 [84.0, 95.0] ")


def test_front_ends_that_are_all_alike_have_no_order(tmp_path):
    rows = [row(tmp_path, [f"split={r}", f"front={f}"], 0.5) for r in ("song", "artist") for f in ("mel", "stft")]
    (_, note, *_), _ = ladder.ladder(rows, 20, 0)
    assert note == "song to artist: all are alike on one of them, there is no order"


def test_configurations_are_named_by_the_words_that_tell_them_apart(tmp_path):
    given = [["split=song", "front=mel", "seed=1", "agg=gru"], ["split=song", "front=stft", "seed=2", "agg=gru"]]
    found, lost = ladder.of_variants([row(tmp_path, g, 0.5) for g in given])
    assert list(found) == ["front=mel seed=1", "front=stft seed=2"]
    assert lost == []


def test_a_split_that_is_no_rung_is_named(tmp_path):
    rows = [row(tmp_path, [f"split={r}"], 0.5) for r in ("song", "official")]
    (_, note, *_), _ = ladder.ladder(rows, 20, 0)
    assert note == "not shown, since its split is no rung: mel"


def test_stairs_have_a_tread_at_each_figure_and_its_interval_on_it(rows):
    _, figure = ladder.ladder(rows, 20, 0)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["slice", "song", "artist", "studio"]
    stairs, *bars = axes.get_lines()
    np.testing.assert_allclose(stairs.get_ydata(), np.repeat([0.95, 0.9, 0.7, 0.55], 2))
    np.testing.assert_allclose(stairs.get_xdata(), [-0.5, 0.5, 0.5, 1.5, 1.5, 2.5, 2.5, 3.5])
    np.testing.assert_allclose([b.get_ydata() for b in bars], [[v - 0.06, v + 0.05] for v in (0.95, 0.9, 0.7, 0.55)])
    assert axes.get_legend() is None
    lies_well(figure)


def test_a_flight_for_each_front_end(crossed):
    _, figure = ladder.ladder(crossed, 20, 0)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["mel", "stft", "cqt"]
    bars = [line for line in axes.get_lines() if line.get_label().startswith("_")]
    assert len({tuple(b.get_xdata()) for b in bars}) == len(bars) == 8  # none lies on another
    lies_well(figure)
