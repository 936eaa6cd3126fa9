"""Trivial baselines: what is told by chance, tempo, production or MFCC statistics; trained and chosen honestly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from genrelab import baselines, measures
from genrelab.audio import measure
from genrelab.evaluate.intervals import Difference, Predictions, bootstrap, difference
from genrelab.types import Track
from tests.conftest import TINY, Said, Songs, runs_of

N, K = 240, 3
TRACKS = [Track(f"s{i}", Path(f"/s{i}.wav"), ("abc"[i % K],)) for i in range(N)]
TRUTH = np.arange(N) % K
SIDES = np.array(["train", "val", "test", "train"])[np.arange(N) // K % 4]


def table(**told: np.ndarray) -> pd.DataFrame:
    """Measures that say nothing, but for those that are given."""
    noise = np.random.default_rng(0).standard_normal((N, len(measure.COLUMNS)))
    return pd.DataFrame(noise, columns=list(measure.COLUMNS)).assign(**told)


def said(monkeypatch: pytest.MonkeyPatch, store: Path, frame: pd.DataFrame, **more: Any) -> baselines.Said:
    def measured(tracks: list[Track], **_: object) -> pd.DataFrame:
        return frame.iloc[[int(t.id[1:]) for t in tracks]].reset_index(drop=True)

    monkeypatch.setattr(measures, "measured", measured)
    given: dict[str, Any] = {"truth": TRUTH, "sides": SIDES, "n_genres": K, "key": ("a",)} | more
    return baselines.said(TRACKS, sample_rate=22050, store=store, progress=lambda *_: None, **given)


def right(by_song: dict[str, int]) -> float:
    return float(np.mean([TRUTH[int(song[1:])] == k for song, k in by_song.items()]))


@pytest.mark.parametrize(
    ("name", "column"),
    [("tempo", "tempo_bpm"), ("production", "crest_db"), ("production", "noise_floor_db"), ("mfcc", "mfcc_std_07")],
)
def test_what_lies_in_one_measure_is_told_by_its_baseline_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, column: str
) -> None:
    found = said(monkeypatch, tmp_path, table(**{column: 100 + 40.0 * TRUTH}))
    assert list(found) == ["majority", "tempo", "production", "mfcc"]
    assert right(found.pop(name)) > 0.9
    assert all(right(by_song) < 0.5 for by_song in found.values())


def test_only_test_songs_are_answered_and_only_known_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    truth = np.where(np.arange(N) % 8 == 2, K, TRUTH)
    wanted = {f"s{i}" for i in range(N) if SIDES[i] == "test" and truth[i] < K}
    found = said(monkeypatch, tmp_path, table(), truth=truth)
    assert all(set(by_song) == wanted for by_song in found.values())


def test_test_songs_teach_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Their genres shuffled, the answers stay."""
    frame = table(crest_db=TRUTH + 0.5 * np.random.default_rng(1).standard_normal(N))
    other = np.where(SIDES == "test", (TRUTH + 1) % K, TRUTH)
    plain = said(monkeypatch, tmp_path / "a", frame)
    assert said(monkeypatch, tmp_path / "b", frame, truth=other) == plain


def test_mfcc_statistics_are_a_logistic_regression_whose_c_validation_chose() -> None:
    x = np.random.default_rng(5).standard_normal((N, 40)) + 1.5 * np.eye(K, 40)[TRUTH]
    train, val, test = (s == SIDES for s in ("train", "val", "test"))
    scaler = StandardScaler().fit(x[train])
    reached, answers = [], []
    for c in baselines.CS:
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=2000).fit(
            scaler.transform(x[train]), TRUTH[train]
        )
        reached.append(sk.balanced_accuracy_score(TRUTH[val], model.predict(scaler.transform(x[val]))))
        answers.append(model.predict(scaler.transform(x[test])))
    best = answers[int(np.argmax(reached))]
    assert sum(np.array_equal(best, a) for a in answers) == 1  # so that it matters which
    np.testing.assert_array_equal(baselines.fitted(x, TRUTH, SIDES, K, curved=False), best)


def test_a_genre_between_two_others_is_told_from_tempo() -> None:
    """The middle of three has no line of its own on one axis without a square."""
    tempo = np.array([90.0, 120.0, 150.0])[TRUTH] + np.random.default_rng(0).normal(0, 5, N)
    truth = np.array([0, 1, 0])[TRUTH]
    found = baselines.fitted(tempo[:, None], truth, SIDES, 2, curved=True)
    assert (found == truth[SIDES == "test"]).mean() > 0.95


def test_what_could_not_be_measured_is_no_obstacle() -> None:
    x = np.stack([100 + 40.0 * TRUTH, np.full(N, np.nan), np.ones(N)], 1)
    x[::7, 0] = np.nan
    x[3, 0] = -np.inf
    found = baselines.fitted(x, TRUTH, SIDES, K, curved=True)
    seen = np.isfinite(x[SIDES == "test", 0])
    assert (found == TRUTH[SIDES == "test"])[seen].all()


def test_no_validation_takes_the_simplest_and_one_genre_in_training_is_always_said() -> None:
    x = np.random.default_rng(0).standard_normal((N, 4))
    sides = np.where(SIDES == "val", "train", SIDES)
    train = sides == "train"
    scaler = StandardScaler().fit(x[train])
    model = LogisticRegression(C=min(baselines.CS), class_weight="balanced").fit(
        scaler.transform(x[train]), TRUTH[train]
    )
    expected = model.predict(scaler.transform(x[sides == "test"]))
    np.testing.assert_array_equal(baselines.fitted(x, TRUTH, sides, K, curved=False), expected)
    alone = np.where((SIDES == "train") & (TRUTH != 2), "unused", SIDES)
    assert set(baselines.fitted(x, TRUTH, alone, K, curved=False)) == {2}


def test_they_are_fitted_once_for_a_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = said(monkeypatch, tmp_path, table(crest_db=TRUTH.astype(float)))
    assert said(monkeypatch, tmp_path, table()) == first  # nothing was measured anew
    assert said(monkeypatch, tmp_path, table(), key=("b",)) != first
    assert len(list((tmp_path / "cache" / "baselines").iterdir())) == 2


def test_figures_are_those_of_the_statistics() -> None:
    rng = np.random.default_rng(0)
    ids, truth = [f"s{i}" for i in range(90)], np.arange(90) % K
    groups = np.array([f"g{i // 3 % 15}{i % 3}" for i in range(90)])
    songs = Predictions(ids, truth, np.where(rng.random(90) < 0.9, truth, 0), groups, K)
    other = np.where(rng.random(90) < 0.5, truth, 1)
    found = {"majority": dict.fromkeys(ids, 0), "tempo": dict(zip(ids, map(int, other), strict=True))}
    figures, (line, verdict) = baselines.figures(songs, found, 200, 4)
    assert figures["baseline/majority/balanced_accuracy"] == pytest.approx(1 / K)
    assert figures["baseline/tempo/accuracy"] == pytest.approx(sk.accuracy_score(truth, other))
    assert figures["baseline/tempo/balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, other))
    assert figures["baseline/tempo/macro_f1"] == pytest.approx(sk.f1_score(truth, other, average="macro"))
    own = bootstrap(truth, other, groups, K, n_boot=200, seed=4)["balanced_accuracy"]
    assert (figures["baseline/tempo/balanced_accuracy_lo"], figures["baseline/tempo/balanced_accuracy_hi"]) == (
        own.lo,
        own.hi,
    )
    rival = Predictions(ids, truth, other, groups, K)
    gain = difference(songs, rival, "balanced_accuracy", n_boot=200, seed=4)
    assert gain.paired
    assert [figures[f"baseline/gain{e}"] for e in ("", "_lo", "_hi")] == [gain.points, gain.lo, gain.hi]
    reached = 100 * sk.balanced_accuracy_score(truth, other)
    assert line == (
        f"trivial baselines, balanced accuracy in %: tempo {reached:.1f} [{100 * own.lo:.1f}, {100 * own.hi:.1f}]"
    )
    assert verdict == f"better than tempo by {100 * gain.points:.1f} points [{100 * gain.lo:.1f}, {100 * gain.hi:.1f}]"


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        ((0.123, 0.08, 0.169, 9), "better than MFCC statistics by 12.3 points [8.0, 16.9]"),
        ((0.123, 0.08, 0.169, 4), "better than MFCC statistics by 12.3 points [8.0, 16.9], unreliable"),
        ((0.02, 0.0, 0.05, 9), "not shown to be better than MFCC statistics: +2.0 points [0.0, 5.0]"),
        ((-0.02, -0.05, 0.01, 9), "not shown to be better than MFCC statistics: -2.0 points [-5.0, 1.0]"),
        ((-0.123, -0.169, -0.08, 9), "worse than MFCC statistics by 12.3 points [8.0, 16.9]"),
        ((0.1, np.nan, np.nan, 1), "not shown to be better than MFCC statistics: +10.0 points [nan, nan], unreliable"),
    ],
)
def test_a_run_is_better_only_where_its_whole_interval_is(gain: tuple[float, float, float, int], words: str) -> None:
    points, lo, hi, n_groups = gain
    d = Difference("balanced_accuracy", points, lo, hi, True, 9, 9, n_groups)
    assert baselines.verdict("MFCC statistics", d) == words


def test_a_run_shows_and_logs_what_it_has_to_beat(call: Callable[..., Said], songs: Songs, tmp_path: Path) -> None:
    """High, low and noise: told by their spectra; a k-fold run pools the answers of its folds."""
    words = [*songs.words, *TINY, "trainer.max_epochs=1", "baselines=true", f"store={tmp_path}"]
    said = call(*words)
    assert said.code == 0, said.err
    (run,) = runs_of(tmp_path)
    figures = run.data.metrics
    for name in ("majority", "tempo", "production", "mfcc"):
        for end in ("accuracy", "balanced_accuracy", "macro_f1", "balanced_accuracy_lo", "balanced_accuracy_hi"):
            assert 0 <= figures[f"baseline/{name}/{end}"] <= 1
    assert figures["baseline/majority/balanced_accuracy"] == pytest.approx(1 / 3)
    assert figures["baseline/production/balanced_accuracy"] > 0.9
    shown = " ".join(said.out.split())
    assert "trivial baselines, balanced accuracy in %: tempo" in shown
    assert f"MFCC statistics {100 * figures['baseline/mfcc/balanced_accuracy']:.1f} [" in shown

    said = call(*words, "split=kfold", "split.n_folds=3")
    assert said.code == 0, said.err
    parent = runs_of(tmp_path)[1]
    assert parent.data.tags["kind"] == "kfold"
    assert parent.data.metrics["baseline/majority/balanced_accuracy"] == pytest.approx(1 / 3)
    folds = [r.data.metrics["baseline/mfcc/accuracy"] for r in runs_of(tmp_path)[2:]]
    assert len(folds) == 3
    assert parent.data.metrics["baseline/mfcc/accuracy"] == pytest.approx(np.mean(folds), abs=0.03)


def test_no_baselines_are_made_where_nobody_wants_them(trained: Any) -> None:
    (run,) = runs_of(trained.store)
    assert not [k for k in run.data.metrics if k.startswith("baseline/") and "/majority/" not in k]
    assert "trivial" not in trained.out
    assert not (trained.store / "cache" / "baselines").exists()
