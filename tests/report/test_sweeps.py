"""Tables and pictures of named sweeps: every run stands where its words say, with its own figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from genrelab.evaluate.rejection import SCORES
from genrelab.report import artifacts, sweeps
from genrelab.report.table import sentence
from tests.report.reading import LONG, WIDTHS, lies_well, printed, words

KEY = "test/song/balanced_accuracy"


def row(words, value=0.7, val=0.72, folder="", **more):
    figures = {KEY: value, f"{KEY}_lo": value - 0.06, f"{KEY}_hi": value + 0.05, "val/song/balanced_accuracy": val}
    return {
        "name": "mel-" + words[0].partition("=")[2],
        "run_id": "a" * 32,
        "folder": str(folder),
        "status": "FINISHED",
        "reason": "",
        "figures": figures | more,
        "overrides": words,
        "measure": "balanced_accuracy",
    }


def songs(right, n=48, seed=0):
    """Predictions of n test songs of two genres, a share of which is right."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    p = np.where((rng.random(n) < right) == (truth == 0), 0.8, 0.2)
    return pd.DataFrame({
        "id": [f"s{i}" for i in range(n)], "split": "test", "split_group": [f"g{i}" for i in range(n)],
        "truth": np.array(["jazz", "rap"])[truth], "p/jazz": p, "p/rap": 1 - p,
    })  # fmt: skip


def test_a_key_has_the_value_that_was_given_last():
    one = row(["agg=gru", "front.n_bins=64", "agg=vote", "tracker.name=a=b"])
    assert [sweeps.value(one, k) for k in ("agg", "front.n_bins", "tracker.name", "front")] == ["vote", "64", "a=b", ""]


def test_dots_are_ordered_by_validation_and_not_by_test():
    rows = [row(["agg=gru"], 0.6, 0.8), row(["agg=vote"], 0.9, 0.5), row(["agg=mean"], 0.7, 0.7), row(["front=mel"])]
    tables, figure = sweeps.dots(rows, 10, 0, by="agg")
    (axes,) = figure.axes
    assert tables == []
    assert [t.get_text() for t in axes.get_yticklabels()] == ["vote", "mean", "mel-mel", "gru"]  # the best above
    drawn = [line.get_xdata() for line in axes.get_lines()[:12]]
    for (bar, dot, mark), (test, val) in zip(
        zip(drawn[::3], drawn[1::3], drawn[2::3], strict=True), [(0.9, 0.5), (0.7, 0.7), (0.7, 0.72), (0.6, 0.8)],
        strict=True,
    ):  # fmt: skip
        np.testing.assert_allclose(bar, [test - 0.06, test + 0.05])
        assert (dot[0], mark[0]) == (test, val)
    assert axes.get_xlabel() == "balanced accuracy per song"


def test_dots_of_eleven_choices_with_long_names_lie_well():
    rows = [row([f"agg={name}"], 0.5 + i / 30, 0.5 + i / 31) for i, name in enumerate(LONG[:11])]
    lies_well(sweeps.dots(rows, 10, 0, by="agg")[1])
    lies_well(sweeps.dots(rows[:1], 10, 0, by="agg")[1])


@pytest.fixture
def seen(tmp_path):
    """Runs of two front-ends with growing training sides; raw with 240 songs is not there."""
    rows = []
    for front, shift in (("mel", 0.2), ("raw", 0.0)):
        for i, n in enumerate((60, 120, 240)):
            if (front, n) == ("raw", 240):
                continue
            folder = tmp_path / f"{front}{n}"
            artifacts.save(folder, songs(0.5 + shift + i / 10, seed=n), songs(0.5))
            rows.append(row([f"front={front}", f"limit_train={n}"], 0.5 + shift + i / 10, folder=folder))
    return rows


OF_SEEN = {"x": "limit_train", "by": "front", "x_label": "songs in training"}


@WIDTHS
def test_lines_have_a_table_and_a_paired_difference_at_each_place_that_both_have(seen, width):
    (table, *said), _ = sweeps.lines(seen, 50, 0, **OF_SEEN)
    lines = printed(table, width)
    assert lines[0] == "balanced accuracy per song, % [95 % interval], by songs in training"
    assert words(lines, "front") == "front 60 120 240"
    assert words(lines, "mel") == "mel 70.0 [64.0, 75.0] 80.0 [74.0, 85.0] 90.0 [84.0, 95.0]"
    assert words(lines, "raw") == "raw 50.0 [44.0, 55.0] 60.0 [54.0, 65.0] –"
    loaded = {tuple(r["overrides"]): artifacts.load(Path(r["folder"]))[0] for r in seen}
    expected = [
        sentence("mel", f"raw at {n}", artifacts.difference(
            loaded["front=mel", f"limit_train={n}"], loaded["front=raw", f"limit_train={n}"], "balanced_accuracy", 50, 0
        ))
        for n in (60, 120)
    ]  # fmt: skip
    assert said == expected


def test_lines_are_drawn_through_the_figures_within_their_intervals(seen):
    _, figure = sweeps.lines(seen[::-1], 50, 0, **OF_SEEN)
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert drawn["raw"] == [[60, 0.5], [120, 0.6]]
    np.testing.assert_allclose(drawn["mel"], [[60, 0.7], [120, 0.8], [240, 0.9]])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["60", "120", "240"]
    band = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.5 - 0.06, 0.6 + 0.05])
    lies_well(figure)


def test_one_line_alone_and_three_have_no_difference(seen):
    (_, *said), _ = sweeps.lines(seen[:3], 50, 0, **OF_SEEN)
    assert said == []
    more = row(["front=cqt", "limit_train=60"], folder=seen[0]["folder"])
    (_, *said), _ = sweeps.lines([*seen, more], 50, 0, **OF_SEEN)
    assert said == []


@pytest.fixture
def heard(tmp_path):
    """Songs of 20 s, heard in slices of three lengths: the ends lie close together."""
    rows = []
    for length in (5.12, 1.28, 2.56):
        (tmp_path / f"{length}").mkdir()
        frames, n = [], 1
        while True:
            seconds = min(n, 20 // length) * length
            frames.append(songs(0.5 + seconds / 50, seed=n).assign(n_slices=n, heard_s=seconds))
            if n >= 20 // length:
                break
            n *= 2
        pd.concat(frames).to_parquet(tmp_path / f"{length}" / artifacts.HEARD)
        rows.append(row([f"slice.length_s={length}"], folder=tmp_path / f"{length}"))
    return rows


@WIDTHS
def test_seconds_heard_have_a_row_a_length_with_the_figures_of_what_was_heard(heard, width):
    (table,), _ = sweeps.seconds_heard(heard, 50, 0)
    text = "\n".join(printed(table, width))
    assert text.splitlines()[0] == "balanced accuracy per song, % [95 % interval], by seconds heard"
    order = [text.index(f"\n{length} s") for length in (1.28, 2.56, 5.12)]
    assert order == sorted(order)
    for seconds in ("1.28", "2.56", "5.12", "10.24", "15.36", "17.92", "19.2"):
        assert f"{seconds} s" in text
    for one in heard:
        frame = pd.read_parquet(f"{one['folder']}/{artifacts.HEARD}")
        for _, own in frame.groupby("n_slices"):
            value, lo, hi = (f"{100 * x:.1f}" for x in artifacts.measured(own, "balanced_accuracy", 50, 0))
            assert value in text
            assert f"[{lo}, {hi}]" in text


def test_seconds_heard_are_drawn_at_the_seconds(heard):
    _, figure = sweeps.seconds_heard(heard, 50, 0)
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xdata() for line in axes.get_lines()}
    np.testing.assert_allclose(drawn["slices of 5.12 s"], [5.12, 10.24, 15.36])
    np.testing.assert_allclose(drawn["slices of 1.28 s"], [1.28, 2.56, 5.12, 10.24, 19.2])
    assert list(drawn) == ["slices of 1.28 s", "slices of 2.56 s", "slices of 5.12 s"]
    lies_well(figure)  # 15.36, 17.92 and 19.2 s are too close to be named all


def test_a_song_of_one_slice_has_one_place(tmp_path):
    songs(0.7).assign(n_slices=1, heard_s=2.0).to_parquet(tmp_path / artifacts.HEARD)
    _, figure = sweeps.seconds_heard([row(["slice.length_s=2"], folder=tmp_path)], 20, 0)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["2"]


OF_GRID = {"x": "front.hop_s", "y": "front.n_bins", "x_label": "seconds from frame to frame", "y_label": "bins"}


def resolutions():
    return [
        row([f"front.n_bins={b}", f"front.hop_s={h}"], 0.4 + i / 10 - j / 20)
        for i, b in enumerate((16, 32, 128))
        for j, h in enumerate((0.01, 0.02))
    ][:-1]


@WIDTHS
def test_a_grid_has_its_figures_in_their_places(width):
    (table,), figure = sweeps.grid(resolutions()[::-1], 10, 0, **OF_GRID)
    lines = printed(table, width)
    assert words(lines, "128") == "128 60.0 [54.0, 65.0] –"
    assert words(lines, "32") == "32 50.0 [44.0, 55.0] 45.0 [39.0, 50.0]"
    assert words(lines, "16") == "16 40.0 [34.0, 45.0] 35.0 [29.0, 40.0]"
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.images[0].get_array().filled(np.nan), [[0.4, 0.35], [0.5, 0.45], [0.6, np.nan]])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.01", "0.02"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["16", "32", "128"]
    written = {t.get_position(): t.get_text() for t in axes.texts}
    assert written[0, 2] == "60.0\n[54.0, 65.0]"
    assert written[1, 2] == "–"
    lies_well(figure)


def test_words_on_a_heat_map_stand_out_from_their_cell():
    rows = [row([f"front.n_bins={b}", "front.hop_s=0.01"], b / 100) for b in range(10, 100, 8)]
    (axes,) = sweeps.grid(rows, 10, 0, **OF_GRID)[1].axes

    def light(rgb):
        """WCAG's relative luminance."""
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for text in axes.texts:
        cell = axes.images[0].to_rgba(rows[int(text.get_position()[1])]["figures"][KEY])[:3]
        one, two = sorted([light(cell), light(to_rgb(text.get_color()))])
        assert (two + 0.05) / (one + 0.05) > 3


def left_out(genres):
    rows = []
    for i, genre in enumerate(genres):
        figures = {}
        for j, score in enumerate(SCORES[:7]):
            value = 0.5 + 0.06 * j - 0.01 * (i % 5)
            figures |= {f"test/open_set/{score}/auroc{end}": value + d for end, d in
                        (("", 0), ("_lo", -0.1), ("_hi", 0.08))}  # fmt: skip
        figures["test/open_set/auroc"] = 0.99  # the run's own score once more: no score of its own
        rows.append(row([f"task.unknown=[{genre}]"], **figures))
    return rows


@WIDTHS
def test_every_genre_left_out_has_its_row_and_every_score_its_column_the_best_first(width):
    (table,), _ = sweeps.open_set(left_out(["rap", "ska"]), 10, 0)
    text = printed(table, width)
    heads = " ".join(" ".join(line.split()) for line in text if "vote share" in line or "max softmax" in line)
    best_first = ["vote share", "mahalanobis", "k nearest", "entropy", "energy", "max logit", "max softmax"]
    assert heads.replace("left ", "").replace("out ", "") == " ".join(best_first)
    mean = " ".join(" ".join(line.split()[1:]) for line in text if line.startswith("mean"))
    assert mean == "85.5 79.5 73.5 67.5 61.5 55.5 49.5"
    rap = " ".join(" ".join(line.split()[1:]) for line in text if line.startswith("rap"))
    assert [x for x in rap.replace(",", "").split() if "[" not in x and "]" not in x] == [
        "86.0", "80.0", "74.0", "68.0", "62.0", "56.0", "50.0"]  # fmt: skip
    assert "\n".join(text).count("[75.0, 93.0]") == 1  # ska's vote share


def test_a_heat_map_of_every_score_against_every_genre():
    _, figure = sweeps.open_set(left_out(["rap", "ska"]), 10, 0)
    (axes,) = figure.axes
    np.testing.assert_allclose(axes.images[0].get_array()[0], [0.86, 0.85, 0.855])
    np.testing.assert_allclose(axes.images[0].get_array()[-1], [0.5, 0.49, 0.495])
    assert axes.get_yticklabels()[0].get_text() == "vote share"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["rap", "ska", "mean"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the best above
    assert {t.get_position(): t.get_text() for t in axes.texts}[0, 0] == "86"


@pytest.mark.parametrize("k", [2, 6, 16])
def test_words_of_every_genre_left_out_lie_well(k):
    (table,), figure = sweeps.open_set(left_out(LONG[:k]), 10, 0)
    lies_well(figure)
    for width in (80, 120):
        assert "…" not in "".join(printed(table, width))


def test_a_run_without_a_number_or_at_anothers_place_is_named_and_not_fatal():
    at = {"x": "limit_train", "by": "front", "x_label": "songs"}
    rows = [row(["front=mel", f"limit_train={n}", *more]) for n, *more in ((60,), ("null",), (120,), (120, "seed=1"))]
    (table, *notes), figure = sweeps.lines(rows, 10, 0, **at)
    assert "60" in " ".join(printed(table, 80)) and "null" not in " ".join(printed(table, 80))
    assert notes == [
        "not shown, since its words give it no place: mel-mel",
        "1 runs differ from others in what is not shown here: of such the last is shown",
    ]
    assert len(figure.axes[0].get_lines()) == 1
    tables, figure = sweeps.lines(rows[1:2], 10, 0, **at)  # nowhere to stand at all
    assert tables == [] and [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["mel"]


OF_NAMES = {"x": "agg", "y": "front", "x_label": "aggregator", "y_label": "front-end"}


def crossed(fronts, aggs, value=lambda i, j: 0.8 - i / 50 - j / 20):
    """Every front-end by every aggregator; the first of each is the best on validation."""
    return [
        row([f"front={f}", f"agg={a}"], value(i, j), 0.9 - i / 50 - j / 100)
        for i, f in enumerate(fronts)
        for j, a in enumerate(aggs)
    ]


@WIDTHS
def test_names_cross_in_the_order_of_validation(width):
    rows = crossed(["mel", "cqt", "stft"], ["vote", "gru"], lambda i, j: 0.5 + i / 10 + j / 50)  # tests say the reverse
    (table, *_), figure = sweeps.grid(rows[::-1], 10, 0, **OF_NAMES)
    lines = printed(table, width)
    assert lines[0] == "balanced accuracy per song, % [95 % interval]: front-end (down) by aggregator"
    first = [line.split()[0] for line in lines if line[:1].isalpha()]
    assert first[1:] == ["mel", "cqt", "stft"]
    assert words(lines, "mel") == "mel 50.0 [44.0, 55.0] 52.0 [46.0, 57.0]"
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["vote", "gru"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["stft", "cqt", "mel"]  # from below
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.7, 0.72], [0.6, 0.62], [0.5, 0.52]])
    lies_well(figure)


def test_what_each_way_explains_is_the_analysis_of_variance():
    """Effects -2, 0, 2 points of the front-end and -3, 3 of the aggregator: 8/3 and 9 of 35/3 points squared."""
    rows = crossed("abc", "xy", lambda i, j: 0.7 - 0.02 * i - 0.06 * j)
    _, text = sweeps.grid(rows, 10, 0, **OF_NAMES)[0]
    down, across, said = text.splitlines()
    assert down == "mean by front-end: a 67.0, b 65.0, c 63.0"
    assert across == "mean by aggregator: x 68.0, y 62.0"
    assert "between these figures: front-end 23 %, aggregator 77 %, the rest 0 %, 0.0 points (rms)" in said
    assert said.endswith("(a figure's standard error is 2.8 points)")  # 11 points of interval / 3.92
    rows[0]["figures"] |= {f"{KEY}_lo": 0.7, f"{KEY}_hi": 0.7}
    assert sweeps.grid(rows, 10, 0, **OF_NAMES)[0][-1].endswith("(so few groups do not tell it)")
    apart = sweeps.grid(crossed("ab", "xy", lambda i, j: 0.6 + 0.1 * (i == j)), 10, 0, **OF_NAMES)[0][-1]
    assert "front-end 0 %, aggregator 0 %, the rest 100 %, 5.0 points" in apart


def test_a_grid_that_is_not_full_says_nothing_of_its_variance():
    rows = crossed("abc", "xy")
    assert len(sweeps.grid(rows[:-1], 10, 0, **OF_NAMES)[0]) == 1
    assert len(sweeps.grid(rows[:2], 10, 0, **OF_NAMES)[0]) == 1  # one row
    tables, _ = sweeps.grid([*rows, row(["front=mel"])], 10, 0, **OF_NAMES)
    assert tables[-1] == "not shown, since its words give it no place: mel-mel"


def test_every_front_end_by_every_aggregator_lies_well():
    fronts = ["carfac", "chroma", "cqt", "cwt", "leaf", "logfreq", "mel", "mfcc", "raw", "stft"]
    aggs = ["attention", "confidence", "gru", "logits", "mean", "stats", "stretch", "tcn", "transformer", "vote"]
    lies_well(sweeps.grid(crossed(fronts, aggs, lambda i, j: 0.3 + i / 30 + j / 40), 10, 0, **OF_NAMES)[1])
    lies_well(sweeps.grid(crossed(fronts[:1], aggs[:1]), 10, 0, **OF_NAMES)[1])
