"""What a k-fold run shows of its folds; nested choice: validation songs choose, test songs only tell."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from genrelab.report import artifacts, folds
from tests.report.reading import WIDTHS, lies_well, printed, words

KEY = "test/song/balanced_accuracy"


def predictions(val, test, n=20):
    """A k-fold run's songs: of each fold a share of the validation and of the test songs is right."""
    frames = []
    for fold, shares in enumerate(zip(val, test, strict=True)):
        for side, share in zip(("val", "test"), shares, strict=True):
            truth = np.arange(n) % 2
            p = np.where((np.arange(n) < round(share * n)) == (truth == 0), 0.8, 0.2)
            home = fold if side == "test" else fold + 1
            frames.append(pd.DataFrame({
                "id": [f"{home % len(val)}-{i}" for i in range(n)], "split": side,
                "split_group": [f"{home}-{i // 2}" for i in range(n)], "truth": np.array(["jazz", "rap"])[truth],
                "p/jazz": p, "p/rap": 1 - p, folds.FOLD: fold,
            }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def fold_rows(values):
    return [
        {"figures": {KEY: v, f"{KEY}_lo": v - 0.1, f"{KEY}_hi": v + 0.1, "val/song/balanced_accuracy": v + 0.02,
                     "test/slice/balanced_accuracy": v - 0.2}, "measure": "balanced_accuracy"}
        for v in values
    ]  # fmt: skip


def test_the_mean_over_folds_has_students_interval():
    values = [0.61, 0.7, 0.55, 0.66]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert folds.over_folds(values) == pytest.approx((np.mean(values), expected.low, expected.high))
    assert np.isnan(folds.over_folds([0.5])[1:]).all()
    found = folds.figures(fold_rows(values), "balanced_accuracy")
    assert found["folds/song/balanced_accuracy_lo"] == pytest.approx(expected.low)
    assert found["folds/slice/balanced_accuracy"] == pytest.approx(np.mean(values) - 0.2)


@WIDTHS
def test_a_row_a_fold_their_mean_and_all_songs_pooled(width):
    values = [0.6, 0.7, 0.65]
    pooled = {KEY: 0.64, f"{KEY}_lo": 0.6, f"{KEY}_hi": 0.69, "val/song/balanced_accuracy": 0.66}
    table = folds.folds_table(fold_rows(values), predictions(values, values), pooled, "balanced_accuracy")
    text = printed(table, width)
    assert words(text, "fold 2") == "fold 2 72.0 70.0 [60.0, 80.0] 50.0 – 20 10"
    _, lo, hi = folds.over_folds(values)
    slice_mean = f"45.0 [{100 * lo - 20:.1f}, {100 * hi - 20:.1f}]"
    assert words(text, "mean of folds") == f"mean of folds 67.0 65.0 [{100 * lo:.1f}, {100 * hi:.1f}] {slice_mean} – –"
    assert words(text, "all songs pooled") == "all songs pooled 66.0 64.0 [60.0, 69.0] – – 60 30"


def test_folds_are_drawn_from_the_first_down_beside_the_pooled_figure():
    pooled = {KEY: 0.64, f"{KEY}_lo": 0.6, f"{KEY}_hi": 0.69}
    figure = folds.folds_picture(fold_rows([0.6, 0.7]), pooled, "balanced_accuracy", "mel-gru-kfold-s0: 60 songs")
    (axes,) = figure.axes
    bars, dots = axes.get_lines()[0:4:2], axes.get_lines()[1:4:2]
    np.testing.assert_allclose([b.get_xdata() for b in bars], [[0.5, 0.7], [0.6, 0.8]])
    assert [(d.get_xdata()[0], d.get_ydata()[0]) for d in dots] == [(0.6, 0), (0.7, 1)]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_lines()[4].get_xdata()[0] == 0.64
    lies_well(figure)


def run(folder, name, songs):
    artifacts.save(Path(folder) / name, songs, songs)
    return {"name": name, "folder": str(Path(folder) / name), "measure": "balanced_accuracy", "figures": {}}


def test_each_fold_takes_what_is_best_on_its_own_validation_songs(tmp_path):
    """vote wins fold 1 by validation although gru tests better there; gru wins folds 2 and 3."""
    vote = run(tmp_path, "vote", predictions([0.9, 0.6, 0.5], [0.6, 1.0, 1.0]))
    gru = run(tmp_path, "gru", predictions([0.8, 0.8, 0.7], [0.9, 0.7, 0.8]))
    chosen = pd.concat([
        artifacts.load(Path(r["folder"]))[0].query("fold in @own") for r, own in ((vote, [0]), (gru, [1, 2]))
    ])  # fmt: skip
    at, lo, hi = artifacts.measured(chosen, "balanced_accuracy", 100, 0)
    assert at == pytest.approx((0.6 + 0.7 + 0.8) / 3)
    said = folds.nested([vote, gru], 100, 0)
    assert said.startswith(f"nested: {100 * at:.1f} [{100 * lo:.1f}, {100 * hi:.1f}], balanced accuracy per song ")
    assert said.endswith("(2 x gru, 1 x vote)")


def test_equals_are_decided_by_the_order_of_the_words(tmp_path):
    same = predictions([0.8, 0.8], [0.7, 0.7])
    assert folds.nested([run(tmp_path, n, same) for n in ("b", "a")], 20, 0).endswith("(2 x b)")


def test_there_is_nothing_nested_in_one_run_other_folds_or_none(tmp_path):
    one = run(tmp_path, "one", predictions([0.8, 0.8], [0.7, 0.7]))
    three = run(tmp_path, "three", predictions([0.8, 0.8, 0.8], [0.7, 0.7, 0.7]))
    flat = run(tmp_path, "flat", predictions([0.8, 0.8], [0.7, 0.7]).drop(columns=folds.FOLD))
    assert [folds.nested(rows, 20, 0) for rows in ([one], [one, three], [one, flat], [flat, flat])] == [None] * 4


def test_what_is_on_a_models_own_scale_is_a_mean_of_folds():
    rows = [{"figures": {"test/open_set/energy/auroc": v, "test/open_set/energy/auroc_lo": 0.1, "test/song/kept": 0.9,
                         "test/song/balanced_accuracy": v}} for v in (0.6, 0.7, 0.8)]  # fmt: skip
    found = folds.of_models(rows)
    assert set(found) == {
        f"test/{k}{end}" for k in ("open_set/energy/auroc", "song/kept") for end in ("", "_lo", "_hi")
    }
    assert found["test/open_set/energy/auroc"] == pytest.approx(0.7)
    assert found["test/open_set/energy/auroc_lo"] == pytest.approx(0.7 - 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert found["test/song/kept_lo"] == pytest.approx(0.9)
    del rows[1]["figures"]["test/song/kept"]
    assert not [k for k in folds.of_models(rows) if "kept" in k]
