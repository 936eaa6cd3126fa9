"""Predictions as files: every row is a song as the rule decided it, every figure is the evaluation's own."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genrelab.evaluate import bootstrap, metrics, multilabel
from genrelab.evaluate.answers import Answers
from genrelab.evaluate.calibration import apply
from genrelab.evaluate.intervals import Predictions, difference
from genrelab.evaluate.rejection import SCORES
from genrelab.report import artifacts
from genrelab.task.rule import Rule
from genrelab.types import NO_TAG, Track

GENRES = ("jazz", "rap", "ska")
K, N = 3, 36
OPTIONS = {"n_boot": 60, "seed": 0}


class Run:
    """Answers of a run on validation and test songs, and the frames made of them; strangers are in the test alone."""

    def __init__(self, *, several=False, strangers=0, seed=0, sharp=2.0):
        rng = np.random.default_rng(seed)
        n = N + strangers
        truth = np.where(np.arange(n) < N, np.arange(n) % K, K)
        target = np.vstack([np.eye(K), np.zeros(K)])[truth]
        if several:
            target[np.arange(n), (truth + 1) % K] = np.arange(n) % 2 * 1.0
        n_slices = 1 + np.arange(n) % 4
        song = rng.normal(size=(n, K)) + sharp * target
        cuts = np.repeat(song, n_slices, 0) + rng.normal(size=(n_slices.sum(), K))
        embedding = np.hstack([target, rng.normal(size=(n, 2))])
        said = Answers(np.arange(n), truth, target, n_slices, song, cuts, embedding, embedding, song, several)
        on_val = np.arange(n) < N // 2
        self.sides = {"val": said.of(on_val), "test": said.of(~on_val)}
        self.rule = Rule.fitted(said.of(on_val), said.of(on_val), score="energy", keep=0.9, neighbours=2)
        names = [tuple(g for g, there in zip(GENRES, row, strict=True) if there) for row in target]
        self.tracks = [
            Track(f"s{i}", Path(f"/songs/{i}.wav"), own or ("polka",), artist=f"artist {i // 3}", studio="one")
            for i, own in enumerate(names)
        ]
        self.groups = [f"group:artist {i // 3}" for i in range(n)]
        self.songs = artifacts.predictions(self.sides, self.rule, self.tracks, self.groups, GENRES)
        spans = {side: [[(2.0 * j, 2.0 * j + 3) for j in range(m)] for m in a.n_slices]
                 for side, a in self.sides.items()}  # fmt: skip
        self.cuts = artifacts.slices(self.sides, self.tracks, spans, GENRES)

    @property
    def test(self):
        return self.sides["test"].of_known


def test_a_row_a_song_says_what_was_true_and_what_was_decided():
    run = Run()
    assert run.songs["id"].tolist() == [f"s{i}" for i in range(N)]
    assert run.songs["split"].tolist() == ["val"] * 18 + ["test"] * 18
    assert run.songs["truth"].tolist() == [GENRES[i % K] for i in range(N)]
    assert run.songs["split_group"].tolist() == run.groups
    assert run.songs["artist"].tolist() == [f"artist {i // 3}" for i in range(N)]
    assert run.songs["studio"].eq("one").all()
    assert run.songs["album"].isna().all()
    assert run.songs["n_slices"].tolist() == [1 + i % 4 for i in range(N)]
    for side, said in run.sides.items():
        own = run.songs[run.songs["split"] == side]
        np.testing.assert_allclose(artifacts.chances(own), said.probabilities())  # not calibrated
        first = [GENRES[k] for k in said.song.argmax(1)]
        assert own["decision"].tolist() == first
        accepted = run.rule.accepts(said)
        assert own["answer"].tolist() == [g if a else NO_TAG for g, a in zip(first, accepted, strict=True)]
        for name, values in run.rule.knownness(said).items():
            np.testing.assert_array_equal(own[f"known/{name}"], values)
    assert (run.songs["answer"] == NO_TAG).any()
    assert [c for c in run.songs if c.startswith("known/")] == [f"known/{s}" for s in SCORES]
    assert not artifacts.several(run.songs)
    assert artifacts.genres_of(run.songs) == list(GENRES)


def test_a_row_a_slice_has_its_songs_truth_and_its_own_times():
    run = Run(strangers=4)
    ids = [f"s{i}" for i in range(N + 4) for _ in range(1 + i % 4)]
    assert run.cuts["id"].tolist() == ids
    truth = dict(zip(run.songs["id"], run.songs["truth"], strict=True))
    assert run.cuts["truth"].tolist() == [truth[i] for i in ids]
    assert run.cuts["start_s"].tolist() == [2.0 * j for i in range(N + 4) for j in range(1 + i % 4)]
    np.testing.assert_array_equal(run.cuts["end_s"] - run.cuts["start_s"], 3.0)
    said = np.vstack([s.slice_probabilities() for s in run.sides.values()])
    np.testing.assert_allclose(artifacts.chances(run.cuts), said)


def test_strangers_are_rows_that_no_figure_counts():
    run = Run(strangers=6)
    strange = run.songs[run.songs["truth"] == NO_TAG]
    assert strange["id"].tolist() == [f"s{i}" for i in range(N, N + 6)]
    assert strange["split"].eq("test").all()
    assert strange["labels"].eq("polka").all()
    assert strange["decision"].isin(GENRES).all()
    assert len(artifacts.side_of(run.songs, "test")) == 18
    known = run.songs[run.songs["truth"] != NO_TAG], run.cuts[run.cuts["truth"] != NO_TAG]
    assert artifacts.pooled(*known, "test") == artifacts.pooled(run.songs, run.cuts, "test")
    assert artifacts.test_intervals(*known, **OPTIONS) == artifacts.test_intervals(run.songs, run.cuts, **OPTIONS)


def test_several_genres_are_joined_in_truth_and_decision():
    run = Run(several=True)
    assert artifacts.several(run.songs)
    assert run.songs.loc[1, "truth"] == "rap|ska"
    assert run.songs.loc[2, "truth"] == "ska"
    own = artifacts.side_of(run.songs, "test")
    np.testing.assert_array_equal(artifacts.present(own), run.test.target > 0)
    np.testing.assert_array_equal(artifacts.present(run.cuts[run.cuts["split"] == "test"]),
                                  np.repeat(run.test.target > 0, run.test.n_slices, 0))  # fmt: skip
    chosen = artifacts.chances(own) > run.rule.thresholds
    for said, row in zip(own["decision"], chosen, strict=True):
        assert {*said.split("|")} - {""} == {g for g, there in zip(GENRES, row, strict=True) if there}
    np.testing.assert_array_equal(artifacts.thresholds(own), np.tile(run.rule.thresholds, (18, 1)))
    assert own["decision"].str.contains("|", regex=False).any()


@pytest.mark.parametrize("several", [False, True])
def test_pooled_figures_are_those_of_the_answers(several):
    run = Run(several=several, strangers=0 if several else 5)
    for side in ("val", "test"):
        expected = run.sides[side].figures(side, run.rule.thresholds)
        assert artifacts.pooled(run.songs, run.cuts, side) == pytest.approx(expected)


def test_two_folds_are_pooled_each_with_its_own_thresholds():
    one, two = Run(several=True), Run(several=True, seed=1)
    two.songs["id"] = two.cuts["id"] = "x"
    two.songs["id"] += two.songs.index.astype(str)
    two.cuts["id"] = np.repeat(two.songs["id"].to_numpy(), two.songs["n_slices"])
    songs, cuts = pd.concat([one.songs, two.songs]), pd.concat([one.cuts, two.cuts])
    found = artifacts.pooled(songs, cuts, "test")
    target, p = (
        np.vstack([r.test.target > 0 for r in (one, two)]),
        np.vstack([r.test.probabilities() for r in (one, two)]),
    )
    cut = np.repeat([one.rule.thresholds, two.rule.thresholds], 18, axis=0)
    for metric, value in multilabel.scores(target, p, cut).items():
        assert found[f"test/song/{metric}"] == pytest.approx(value)
    n = np.concatenate([r.test.n_slices for r in (one, two)])
    q = np.vstack([r.test.slice_probabilities() for r in (one, two)])
    slices = multilabel.scores(np.repeat(target, n, 0), q, np.repeat(cut, n, 0))
    assert found["test/slice/macro_f1"] == pytest.approx(slices["macro_f1"])


def test_intervals_are_the_bootstraps_over_groups_of_songs_and_of_their_slices():
    run = Run(strangers=3)
    said, groups = run.test, np.array(run.groups[18:36])
    figures, reliable, counts = artifacts.test_intervals(run.songs, run.cuts, **OPTIONS)
    song = bootstrap(said.truth, said.song.argmax(1), groups, K, **OPTIONS)
    held = np.repeat(groups, said.n_slices)
    cuts = bootstrap(np.repeat(said.truth, said.n_slices), said.slice.argmax(1), held, K, **OPTIONS)
    expected = {}
    for level, found in (("song", song), ("slice", cuts)):
        for metric, i in found.items():
            expected |= {f"test/{level}/{metric}_lo": i.lo, f"test/{level}/{metric}_hi": i.hi}
    assert figures == expected
    assert counts == dict.fromkeys(GENRES, 6)
    assert reliable
    few = run.songs[run.songs["split_group"].isin({*groups[:12]})]
    assert artifacts.test_intervals(few, run.cuts[run.cuts["id"].isin(few["id"])], **OPTIONS)[1:] == (
        False,
        dict.fromkeys(GENRES, 4),
    )


def test_intervals_of_several_genres_hold_their_figures():
    run = Run(several=True)
    figures, _, counts = artifacts.test_intervals(run.songs, run.cuts, **OPTIONS)
    pooled = artifacts.pooled(run.songs, run.cuts, "test")
    assert len(figures) == 2 * len(pooled) == 16
    for key, value in pooled.items():
        assert figures[f"{key}_lo"] <= value <= figures[f"{key}_hi"]
    cut = np.tile(run.rule.thresholds, (18, 1))
    own = multilabel.bootstrap(run.test.target > 0, run.test.probabilities(), cut, run.groups[18:], **OPTIONS)
    assert (figures["test/song/map_lo"], figures["test/song/map_hi"]) == own["map"]
    groups = np.array(run.groups[18:])
    assert counts == {g: len({*groups[run.test.target[:, k] > 0]}) for k, g in enumerate(GENRES)}


@pytest.mark.parametrize("several", [False, True])
def test_one_measure_is_the_same_as_among_all(several):
    run = Run(several=several)
    pooled, (bounds, _, _) = (
        artifacts.pooled(run.songs, run.cuts, "test"), artifacts.test_intervals(run.songs, run.cuts, **OPTIONS)
    )  # fmt: skip
    for measure in multilabel.METRICS if several else metrics.METRICS:
        key = f"test/song/{measure}"
        found = artifacts.measured(run.songs, measure, **OPTIONS)
        assert found == pytest.approx((pooled[key], bounds[f"{key}_lo"], bounds[f"{key}_hi"]))


def test_a_difference_is_the_evaluations_whatever_the_order_of_the_rows():
    one, two = Run(strangers=3), Run(strangers=3, seed=1, sharp=0.5)
    mixed = two.songs.sample(frac=1, random_state=0)
    ids = one.songs["id"][18:36].tolist()

    def said(run):
        return Predictions(ids, run.test.truth, run.test.song.argmax(1), np.array(run.groups[18:36]), K)

    found = artifacts.difference(one.songs, mixed, "balanced_accuracy", **OPTIONS)
    assert found == difference(said(one), said(two), "balanced_accuracy", **OPTIONS)
    assert found.points > 0
    assert (found.paired, found.n) == (True, 18)


def test_a_difference_of_several_genres_is_paired_by_song():
    one, two = Run(several=True), Run(several=True, seed=1, sharp=0.3)
    mixed = two.songs.sample(frac=1, random_state=0)
    found = artifacts.difference(one.songs, mixed, "map", **OPTIONS)
    half = np.full(K, 0.5)
    points = [multilabel.scores(r.test.target > 0, r.test.probabilities(), half)["map"] for r in (one, two)]
    assert found.points == pytest.approx(points[0] - points[1])
    assert found.lo <= found.points <= found.hi
    same = artifacts.difference(mixed, two.songs, "map", **OPTIONS)
    assert (same.points, same.lo, same.hi) == pytest.approx((0, 0, 0))
    assert artifacts.difference(one.songs, two.songs[two.songs["id"] != "s20"], "map", **OPTIONS) is None


def test_runs_of_other_genres_or_another_task_have_no_difference():
    one = Run()
    assert artifacts.difference(one.songs, Run(several=True).songs, "macro_f1", **OPTIONS) is None
    other = one.songs.rename(columns={"p/ska": "p/dub"})
    assert artifacts.difference(one.songs, other, "accuracy", **OPTIONS) is None


def test_files_come_back_as_they_were(tmp_path):
    run = Run(several=True)
    artifacts.save(tmp_path / "new", run.songs, run.cuts)
    songs, cuts = artifacts.load(tmp_path / "new")
    pd.testing.assert_frame_equal(songs, run.songs)
    pd.testing.assert_frame_equal(cuts, run.cuts)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["predictions.parquet", "slices.parquet"]


@pytest.mark.parametrize("several", [False, True])
def test_what_is_said_of_the_beginning_of_songs(several, tmp_path):
    run = Run(several=several, strangers=0 if several else 2)
    lengths = (1, 2, 4, 8)
    n = len(run.sides["test"].truth)
    shorter = np.random.default_rng(5).normal(size=(n, len(lengths), K))
    artifacts.save_heard(tmp_path, run.songs, run.cuts, shorter, lengths, run.rule)
    heard = pd.read_parquet(tmp_path / artifacts.HEARD)
    assert heard["n_slices"].tolist() == [1] * n + [2] * n + [4] * n  # no song has more than 4 slices
    test = run.songs[run.songs["split"] == "test"]
    for m, length in enumerate((1, 2, 4)):
        own = heard[heard["n_slices"] == length]
        assert own["id"].tolist() == test["id"].tolist()
        assert own["truth"].tolist() == test["truth"].tolist()
        np.testing.assert_allclose(artifacts.chances(own), apply(shorter[:, m], 1.0, several))
        # a slice takes 3 s, the next begins 2 s later
        np.testing.assert_array_equal(own["heard_s"], 2.0 * (np.minimum(test["n_slices"], length) - 1) + 3)
    assert artifacts.several(heard) == several
    measure = "map" if several else "accuracy"
    value, lo, hi = artifacts.measured(heard[heard["n_slices"] == 2], measure, **OPTIONS)
    p = apply(shorter[:, 1], 1.0, several)[: len(run.test.truth)]
    if several:
        assert value == multilabel.scores(run.test.target > 0, p, np.full(K, 0.5))["map"]
    else:
        assert value == np.mean(p.argmax(1) == run.test.truth)
    assert lo <= value <= hi


def test_folds_are_heard_together_up_to_the_longest_song(tmp_path):
    folds = []
    for n, lengths in enumerate([(1, 2), (1, 2, 4)]):
        rows = [{"id": f"{n}", "n_slices": k, "heard_s": float(min(k, 2 * n + 2)), "p:a": k / 8} for k in lengths]
        (tmp_path / str(n)).mkdir()
        pd.DataFrame(rows).to_parquet(tmp_path / str(n) / artifacts.HEARD)
        folds.append(tmp_path / str(n))
    artifacts.pool_heard(folds, tmp_path)
    heard = pd.read_parquet(tmp_path / artifacts.HEARD).sort_values(["n_slices", "id"])
    assert heard["n_slices"].tolist() == [1, 1, 2, 2, 4, 4]
    assert heard["id"].tolist() == 3 * ["0", "1"]
    assert heard["p:a"].tolist() == [1 / 8, 1 / 8, 2 / 8, 2 / 8, 2 / 8, 4 / 8]  # the shorter song as it was heard whole
    assert heard["heard_s"].tolist()[-2:] == [2.0, 4.0]
