"""Comparisons: what is paired with what, what is said of it, and how it looks."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genrelab.comparison import told as told_by
from genrelab.evaluate.paired import Compared
from genrelab.report import compare_page, verdicts
from genrelab.report import compare_pictures as pictures
from genrelab.report.agreement import agreement
from genrelab.report.compare import Versus, outcome
from genrelab.report.pairs import Entry, arms_of, pairs_of, unpaired
from genrelab.types import UserError
from tests.report.reading import LONG, WIDTHS, lies_well, printed

GENRES = ("jazz", "rap", "soul")
N, PER_GROUP = 90, 3


def entry(folder, name, *, right=0.6, val=0.5, words=(), seed=0, split="one", salt=0, several=False, n=N, **more):
    """A run on n songs of three genres and of n / 3 artists, a share of which is right; every split has songs of its
    own."""
    rng = np.random.default_rng((seed, salt, round(100 * right), sum(map(ord, name))))
    group = np.arange(n) // PER_GROUP
    truth = group % len(GENRES)
    said = np.where(rng.random(n) < right, truth, (truth + rng.integers(1, 3, n)) % 3)
    chances = np.full((n, 3), 0.1) + 0.7 * np.eye(3)[said] + rng.uniform(0, 0.05, (n, 3))
    frame = pd.DataFrame(
        {
            "id": [f"{split}-{i:03d}" for i in range(n)],
            "split": "test",
            "split_group": [f"{split} artist {g}" for g in group],
            "truth": [f"{GENRES[t]}|soul" if several and t < 2 else GENRES[t] for t in truth],
        }
    )
    frame = frame.join(pd.DataFrame(chances, columns=[f"p/{g}" for g in GENRES]))
    if several:
        frame = frame.join(pd.DataFrame(np.full((n, 3), 0.5), columns=[f"t/{g}" for g in GENRES]))
    at = folder / f"{name}-{seed}-{split}-{salt}"
    at.mkdir(parents=True)
    frame.sample(frac=1, random_state=seed).to_parquet(at / "predictions.parquet", index=False)
    measure = more.get("measure", "balanced_accuracy")
    figures = {f"val/song/{measure}": val, f"test/song/{measure}": right}
    figures |= {f"test/song/{measure}_lo": right - 0.1, f"test/song/{measure}_hi": right + 0.1}
    facts = {"split": split, "data": "d", "arm": name, "measure": measure} | more
    return Entry(name=f"{name}-s{seed}", id=f"{name}{seed}{split}", folder=at, seed=seed, words=tuple(words),
                 figures=figures, **facts)  # fmt: skip


def grid(folder, seeds=(0, 1), splits=None):
    """front=mel,stft agg=vote,gru over seeds: mel is much better, gru as good as vote; vote is best on validation."""
    made = []
    for front, right in (("mel", 0.85), ("stft", 0.55)):
        for agg, val in (("vote", 0.1), ("gru", 0.0)):
            for s in seeds:
                words = (f"front={front}", f"agg={agg}", f"seed={s}", "debug=fast")
                split = "one" if splits is None else splits[s]
                made.append(
                    entry(
                        folder, f"{front}-{agg}-artist", right=right, val=right + val, words=words, seed=s, split=split
                    )
                )
    return made


def told(found, over="", a="mel", b="stft"):
    return Versus(a, b, over, (), found)


FOUND = Compared(
    points=0.041, se=0.015, df=40, lo=0.012, hi=0.070, p=0.004, p_holm=0.02, p_songs=0.004, exact=True, songs_lo=0.012,
    songs_hi=0.070, detectable=0.042, n_songs=90, n_groups=30, n_groups_min=10, n_strata=3, n_differing=12, n_pairs=1,
    seed_sd=math.nan,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "mel beats stft by 4.1 points [1.2, 7.0]"),
        ({"points": -0.041, "lo": -0.07, "hi": -0.012}, "stft beats mel by 4.1 points [1.2, 7.0]"),
        ({"n_groups_min": 4}, "mel beats stft by 4.1 points [1.2, 7.0]; unreliable: few groups"),
        ({"p_holm": 0.1},
         "mel may be better than stft: 4.1 points [1.2, 7.0], but p is .004, .100 among 8 comparisons"),
        ({"points": -0.003, "lo": -0.021, "hi": 0.016, "p": 0.7, "p_holm": 1.0, "detectable": 0.027},
         "these songs cannot tell mel and stft apart: -0.3 points [-2.1, 1.6]; a difference below 2.7 points could not "
         "have been seen"),
        ({"points": -0.003, "lo": -0.021, "hi": 0.016, "p": 0.7, "p_holm": 1.0, "detectable": 0.027, "seed_sd": 0.01},
         "these songs and seeds cannot tell mel and stft apart: -0.3 points [-2.1, 1.6]; a difference below 2.7 points "
         "could not have been seen"),
        ({"points": 0.0, "lo": 0.0, "hi": 0.0, "se": 0.0, "p": 1.0, "p_holm": 1.0},
         "mel and stft are right as often in every group of songs"),
        ({"lo": math.nan, "hi": math.nan, "se": math.nan},
         "whether mel and stft differ cannot be said, since no genre has two groups: 4.1"),
    ],
)  # fmt: skip
def test_a_sentence_says_no_more_than_was_found(change, said):
    assert verdicts.sentence(told(replace(FOUND, **change)), 8) == said


def test_a_part_over_all_else_says_what_over():
    assert verdicts.sentence(told(FOUND, "agg")) == "mel beats stft by 4.1 points [1.2, 7.0], averaged over agg"


@pytest.mark.parametrize(("p", "said"), [(0.0, "< .001"), (0.021, ".021"), (1.0, "1.000"), (math.nan, "–")])
def test_probabilities(p, said):
    assert verdicts.probability(p) == said


def test_runs_equal_but_for_the_seed_are_an_arm_and_its_name_is_what_is_its_own(tmp_path):
    arms = arms_of(grid(tmp_path))
    assert [a.name for a in arms] == ["mel-vote", "mel-gru", "stft-vote", "stft-gru"]  # by validation
    assert [[r.seed for r in a.runs] for a in arms] == [[0, 1]] * 4
    pairs = pairs_of(arms[0], arms[2])
    assert [(a.name, b.name) for a, b in pairs] == [(f"mel-vote-artist-s{s}", f"stft-vote-artist-s{s}") for s in (0, 1)]


def test_names_that_are_the_same_are_told_apart_by_words_then_by_ids(tmp_path):
    made = [entry(tmp_path, "mel-gru", arm=str(i), salt=i, words=("front=mel", f"optim.lr={lr}"))
            for i, lr in enumerate((0.1, 0.2))]  # fmt: skip
    assert sorted(a.name for a in arms_of(made)) == ["mel-gru optim.lr=0.1", "mel-gru optim.lr=0.2"]
    same = [replace(e, words=(), id=f"abcdefg{i}h") for i, e in enumerate(made)]
    assert sorted(a.name for a in arms_of(same)) == ["mel-gru (abcdefg0)", "mel-gru (abcdefg1)"]


def test_runs_of_one_arm_stand_for_themselves(tmp_path):
    arms = arms_of([entry(tmp_path, "mel-gru", seed=s, salt=s) for s in (0, 1)])
    assert sorted(a.name for a in arms) == ["s0", "s1"]


def test_a_grid_is_compared_with_its_best_and_part_by_part(tmp_path):
    found = outcome(grid(tmp_path), n_boot=300, factors=True)
    assert [v.name for v in found.versus] == [
        "mel-vote less mel-gru", "mel-vote less stft-vote", "mel-vote less stft-gru", "mel less stft, over agg",
        "vote less gru, over front",
    ]  # fmt: skip
    (fronts,) = [v.found for v in found.versus if v.over == "agg"]
    assert fronts.told_apart
    assert fronts.n_pairs == 4
    assert fronts.points == pytest.approx(np.mean([v.found.points for v in _pairwise(found)]), abs=1e-9)
    assert verdicts.sentences(found)[-2].startswith("mel beats stft by ")
    assert verdicts.verdict(found).startswith("mel-vote is best on validation; on the test songs it beats stft-")
    assert all(v.found.seeds for v in found.versus)
    every = outcome(grid(tmp_path / "again"), n_boot=300, factors=True, all_pairs=True)
    assert len([v for v in every.versus if not v.over]) == 6


def _pairwise(found):
    """mel less stft under each aggregator, compared by itself."""
    arms = {a.name: a for a in found.arms}
    for agg in ("vote", "gru"):
        both = [r for name in (f"mel-{agg}", f"stft-{agg}") for r in arms[name].runs]
        yield outcome(both, n_boot=50).versus[0]


def test_each_seed_pairs_within_its_own_split(tmp_path):
    made = grid(tmp_path, splits=("one", "two"))
    found = outcome(made, n_boot=300, factors=True)
    first = found.versus[0]
    assert [a.split for a, _ in first.pairs] == ["one", "two"]
    assert all(a.split == b.split for v in found.versus for a, b in v.pairs)
    assert first.found.n_songs == 2 * N
    assert verdicts.counted(found) == "8 runs, 4 arms with 2 seeds each, 180 test songs in 60 groups of 2 splits"


def test_a_run_that_is_lacking_leaves_its_seed_out_of_its_pairs(tmp_path):
    made = [e for e in grid(tmp_path, splits=("one", "two")) if (e.arm, e.seed) != ("stft-gru-artist", 1)]
    found = outcome(made, n_boot=100)
    assert {v.b: len(v.pairs) for v in found.versus} == {"mel-gru": 2, "stft-vote": 2, "stft-gru": 1}


def test_what_is_not_on_the_same_songs_is_not_paired(tmp_path):
    made = [entry(tmp_path, "mel", split="one", seed=0), entry(tmp_path, "stft", split="two", seed=1)]
    said = unpaired(arms_of(made))
    assert "mel-s0 (mel0one) and stft-s1" in said or "stft-s1" in said
    assert "not tested on the same split (split digests one and two)" in said
    with pytest.raises(UserError, match="not tested on the same split"):
        outcome(made, n_boot=50, strict=True)
    found = outcome(made, n_boot=50)
    assert found.versus == ()
    assert "they share no test song" in found.nothing


def test_the_same_songs_of_another_split_are_refused_with_what_to_do(tmp_path):
    one = entry(tmp_path, "mel", seed=0)
    other = replace(entry(tmp_path, "stft", seed=1), split="two")
    assert unpaired(arms_of([one, other])).endswith(
        "give both the same seed, or split_seed=0 with any seeds, and train again"
    )
    same_seed = replace(other, seed=0)
    assert unpaired(arms_of([one, same_seed])).endswith("train both with the same split, data and limits")
    other_data = replace(other, split="one", data="e")
    assert "songs of one name that are not the same" in unpaired(arms_of([one, other_data]))
    assert "ordered by" in unpaired(arms_of([one, replace(other, measure="map")]))


def test_splits_of_a_sweep_are_set_beside_one_another_unpaired(tmp_path):
    made = [entry(tmp_path, f"{f}-{s}", split=s, right=r, val=r, words=(f"front={f}", f"split={s}"))
            for s in ("artist", "song") for f, r in (("mel", 0.9), ("stft", 0.5))]  # fmt: skip
    found = outcome(made, n_boot=100, factors=True)
    assert [v.name for v in found.versus] == [
        "mel-artist less stft-artist", "mel-song less stft-song",
    ]  # fmt: skip
    (line,) = found.across
    assert line.startswith("across splits: mel-artist - mel-song: ")
    assert line.endswith("unpaired, 90 and 90 songs")
    assert verdicts.lines(found)[-1] == line


def test_where_nothing_is_paired_the_reason_stands_before_what_is_across(tmp_path):
    made = [entry(tmp_path, s, split=s, right=0.8, words=(f"split={s}",)) for s in ("artist", "studio")]
    found = outcome(made, n_boot=50, factors=True)
    reason, line = told_by(found, tmp_path, "t", [], "again")[0].splitlines()
    assert reason.startswith("not compared: ")
    assert "not tested on the same split" in reason
    assert line.startswith("across splits: artist - studio: ")
    assert not list(tmp_path.glob("*.html"))


def test_a_run_that_was_repeated_counts_once(tmp_path):
    made = [entry(tmp_path, "mel"), entry(tmp_path, "mel", salt=1, right=0.7), entry(tmp_path, "stft")]
    found = outcome(made, n_boot=50)
    assert found.arms[0].runs[0] is made[1] or found.arms[1].runs[0] is made[1]
    assert "1 run is left out, repeated by a later one" in found.notes


def test_runs_of_another_task_are_left_out_where_nobody_named_them(tmp_path):
    made = [entry(tmp_path, "mel"), entry(tmp_path, "stft"), entry(tmp_path, "raw", measure="map", several=True)]
    found = outcome(made, n_boot=50)
    assert {a.name for a in found.arms} == {"mel", "stft"}
    assert "1 runs of another task" in found.notes[0]


def test_songs_of_several_genres_are_compared_too(tmp_path):
    made = [entry(tmp_path, n, right=r, val=r, measure="map", several=True) for n, r in (("mel", 0.9), ("raw", 0.4))]
    found = outcome(made, n_boot=100)
    assert found.versus[0].found.points > 0.1
    assert found.versus[0].found.p < 0.05
    both = agreement(found.versus[0].pairs)
    assert both.n == N
    assert set(both.genres) == set(GENRES)


def test_agreement_counts_songs(tmp_path):
    one, two = entry(tmp_path, "mel", right=0.8), entry(tmp_path, "stft", right=0.5)
    found = agreement([(one, two)])
    said = [e.songs[[f"p/{g}" for g in GENRES]].to_numpy().argmax(1) for e in (one, two)]
    truth = one.songs["truth"].map({g: k for k, g in enumerate(GENRES)}).to_numpy()
    a, b = (s == truth for s in said)
    assert (found.both, found.only_a, found.only_b, found.neither) == (
        (a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()
    )  # fmt: skip
    assert found.same == (said[0] == said[1]).sum()
    for k, genre in enumerate(GENRES):
        own = truth == k
        assert found.genres[genre] == pytest.approx(a[own].mean() - b[own].mean())
    apart = [(abs(s.right_a - s.right_b), abs(s.chance_a - s.chance_b)) for s in found.songs.itertuples()]
    assert apart == sorted(apart, reverse=True)
    assert len(found.songs) == N


def test_the_csv_has_a_row_a_comparison_with_all_figures(tmp_path):
    found = outcome(grid(tmp_path), n_boot=100, factors=True)
    agreements = [agreement(v.pairs) for v in found.versus]
    path = verdicts.save_csv(found, agreements, tmp_path / "new" / "c.csv")
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert [(r["a"], r["b"], r["over"]) for r in rows] == [(v.a, v.b, v.over) for v in found.versus]
    for row, v, one in zip(rows, found.versus, agreements, strict=True):
        assert float(row["points"]) == pytest.approx(v.found.points)
        assert float(row["p_holm"]) == pytest.approx(v.found.p_holm)
        assert int(row["both"]) == one.both
        assert float(row["genre/jazz"]) == pytest.approx(one.genres["jazz"])
        assert row["sentence"] == verdicts.sentence(v, len(rows))


def test_figures_have_names_that_mlflow_takes(tmp_path):
    found = outcome(grid(tmp_path), n_boot=100, factors=True)
    figures = verdicts.figures(found)
    assert figures["compare/mel-vote less stft-vote/difference"] == pytest.approx(found.versus[1].found.points)
    assert {k.rpartition("/")[2] for k in figures} == {
        "difference", "difference_lo", "difference_hi", "p", "p_holm", "detectable",
    }  # fmt: skip
    assert all(re.fullmatch(r"[\w ./-]+", key) for key in figures)
    odd = replace(found, versus=(replace(found.versus[0], a="ünï [x]=1, 2", b="b"),))
    assert all(re.fullmatch(r"[\w ./-]+", key) for key in verdicts.figures(odd))


@WIDTHS
def test_the_table_has_a_row_a_comparison(tmp_path, width):
    found = outcome(grid(tmp_path), n_boot=100, factors=True)
    agreements = [agreement(v.pairs) for v in found.versus]
    seeds, table, said = verdicts.shown(found, agreements)
    _, _, reached = seeds.cells()
    assert [row[:2] for row in reached] == [[arm.name, "2"] for arm in found.arms]
    level = found.levels[found.arms[0].name]
    assert reached[0][3] == f"{100 * level.at:.1f} [{100 * level.lo:.1f}, {100 * level.hi:.1f}]"
    lines = [" ".join(line.split()) for line in printed(table, width)]
    for v, one in zip(found.versus, agreements, strict=True):
        c = v.found
        (line,) = [row for row in lines if f"{100 * c.points:+.1f} [{100 * c.lo:.1f}, {100 * c.hi:.1f}]" in row]
        assert line.startswith(v.name if width == 120 else v.a.split("-")[0])  # names are folded
        assert line.endswith(f"{100 * one.only_a / one.n:.1f} / {100 * one.only_b / one.n:.1f}")
    text = " ".join(lines)
    assert "8 runs, 4 arms with 2 seeds each, 90 test songs in 30 groups" in text
    assert "intervals with 10 groups a genre hold the truth in about 95 % of simulations" in text
    assert "seeds: a run's figure varies by" in text
    assert said.splitlines()[0] == verdicts.verdict(found)


def test_one_seed_each_is_said_to_be_about_these_models(tmp_path):
    found = outcome(grid(tmp_path, seeds=(0,)), n_boot=100)
    assert any(line.startswith("one seed each: this is about these trained models") for line in verdicts.lines(found))


def page_of(found):
    facts, command = [("data", "<b>synth</b>")], "python -m genrelab compare --sweep last"
    return compare_page.html(found, [agreement(v.pairs) for v in found.versus], "a <title>", facts, command)


def test_the_page_holds_it_all_and_loads_nothing(tmp_path):
    found = outcome(grid(tmp_path), n_boot=100, factors=True)
    page = page_of(found)
    for name in ("differences", "levels", "genres", "agreement", "songs", "method", "again"):
        assert f'id="{name}"' in page
    assert "a &lt;title&gt;" in page
    assert "<b>synth" not in page
    assert "Content-Security-Policy" in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    for v in found.versus:
        assert page.count(v.name) >= 3
    assert "these models alone" in page
    assert "these models alone" not in page_of(outcome(grid(tmp_path / "b", seeds=(0,)), n_boot=50))


def test_a_page_of_names_that_are_markup_shows_them_as_text(tmp_path):
    made = [entry(tmp_path, f"x<i>{k}</i>", right=0.5 + k / 5, val=k, split="s<script>1") for k in range(2)]
    page = page_of(outcome(made, n_boot=50))
    assert "<script>1" not in page
    assert "x<i>" not in page


def test_a_page_is_saved_with_its_csv_and_pictures(tmp_path):
    found = outcome(grid(tmp_path), n_boot=50)
    agreements = [agreement(v.pairs) for v in found.versus]
    at = compare_page.save(found, agreements, tmp_path / "out", "t", [], "again")
    there = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert there == {"comparison.html", "comparison.csv", "pictures/differences.png", "pictures/genres.png"}
    assert at.name == "comparison.html"


def test_pictures_lie_well(tmp_path):
    found = outcome(grid(tmp_path), n_boot=50, factors=True, all_pairs=True)
    lies_well(pictures.differences_picture(found))
    agreements = [agreement(v.pairs) for v in found.versus]
    lies_well(pictures.genres_picture(found, agreements))
    many = replace(found, versus=(replace(found.versus[0], a=LONG[0], b=LONG[3]),) * 30)
    genres = replace(agreements[0], genres={g: i / 20 - 0.4 for i, g in enumerate(LONG)})
    lies_well(pictures.differences_picture(many))
    lies_well(pictures.genres_picture(many, [genres] * 30))


def test_dots_of_the_picture_stand_where_the_differences_are(tmp_path):
    found = outcome(grid(tmp_path), n_boot=50)
    (axes,) = pictures.differences_picture(found).axes
    dots = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [d.get_xdata()[0] for d in dots] == pytest.approx([100 * v.found.points for v in found.versus])
    assert [t.get_text() for t in axes.get_yticklabels()] == [v.name for v in found.versus]
