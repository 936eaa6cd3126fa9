"""What holds whatever comes: of manifests with gaps, songs of any length, spans anywhere, answers of any kind.

Properties of single parts stand beside these: tests/data/test_split_properties.py, tests/agg/test_aggs.py,
tests/slice/, tests/evaluate/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genrelab.data.split import KEYS, Grouped, KFold, Split
from genrelab.data.split_given import Official
from genrelab.data.strangers import fewer, with_strangers
from genrelab.evaluate import calibration, open_set
from genrelab.evaluate.label_noise import ceiling
from genrelab.evaluate.weighted import percentile_interval
from genrelab.model import SongClassifier
from genrelab.slice.base import cut
from genrelab.slice.wave import cut_waves
from genrelab.types import Beats, Track, UserError
from tests.parts import names, part

Tries = Callable[[int, int], int]
Count = Callable[..., None]
Row = tuple[str, int | None, int | None, int | None, int | None, int]
GENRES = ("blues", "disco", "metal")
CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@st.composite
def tables(draw: Any) -> list[Row]:
    """Rows of a manifest; of each column all, some or none are known."""
    n = draw(st.integers(1, 40))
    rows = st.lists(st.sampled_from("abc"), min_size=n, max_size=n)
    columns: list[list[Any]] = [["abc"[i % 3] for i in range(n)] if draw(st.booleans()) else draw(rows)]
    for most in (9, 6, 4, 7):
        values: list[Any] = draw(st.lists(st.integers(0, most), min_size=n, max_size=n))
        known = draw(st.sampled_from(["all", "all", "some", "none"]))
        if known != "all":
            there = draw(st.lists(st.booleans(), min_size=n, max_size=n)) if known == "some" else [False] * n
            values = [v if t else None for v, t in zip(values, there, strict=True)]
        columns.append(values)
    columns.append(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)))
    return list(zip(*columns, strict=True))


manifests = tables()


def alone(groups: np.ndarray, strata: np.ndarray | None = None) -> bool:
    """Whether no stratum has two groups; where a group lies in several strata there are none."""
    both = set(zip(groups.tolist(), np.zeros(len(groups)).tolist() if strata is None else strata.tolist(), strict=True))
    if len(both) > len(set(groups)):
        return len(set(groups)) == 1
    return max(Counter(stratum for _, stratum in both).values()) == 1


def holds(at: float, lo: float, hi: float, groups: np.ndarray, strata: np.ndarray | None = None) -> None:
    """An interval holds its point; groups alone say nothing of the spread, and no point has no interval."""
    if np.isnan(at) or alone(groups, strata):
        assert np.isnan(lo) and np.isnan(hi)
    else:
        assert lo <= at <= hi


def examples(check: Any, n: int) -> None:
    """Runs a hypothesis test n times."""
    settings(max_examples=n, deadline=None, suppress_health_check=CHECKS, database=None)(check)()


def tracks_of(table: list[Row]) -> list[Track]:
    """Songs some of whose artists, albums, studios and groups nobody knows."""
    named = [
        [f"{letter}{v}" if v is not None else None for letter, v in zip("xlsg", row[1:5], strict=True)] for row in table
    ]
    return [
        Track(
            f"s{i}", Path(f"/s{i}.wav"), (row[0],), artist=own[0], album=own[1], studio=own[2], group=own[3],
            track=None if row[5] == 2 else f"t{i // 2}", split=str(row[5]),
        )
        for i, (row, own) in enumerate(zip(table, named, strict=True))
    ]  # fmt: skip


def splitters() -> dict[str, Any]:
    made: dict[str, Any] = {"official": Official(4, None)}
    for by in ("auto", "song", *KEYS):
        made |= {f"by {by}": Grouped(by, 4, None), f"kfold {by}": KFold(by, 4)}
    return made


def key_of(split: Split) -> str:
    return {"song": "track"}.get(split.kind, split.kind)


def sides_of_values(tracks: list[Track], sides: tuple[str, ...], key: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for track, side in zip(tracks, sides, strict=True):
        if (value := getattr(track, key, None)) and side != "unused":
            found.setdefault(value, set()).add(side)
    return found


@pytest.mark.parametrize("name", splitters())
def test_no_group_is_on_two_sides_where_some_have_no_name(name: str, tries: Tries, count: Count) -> None:
    """A split says that it cannot, or it keeps every value whole; every fold tests every song once."""

    @given(table=manifests, seed=st.integers(0, 2**31))
    def check(table: list[Row], seed: int) -> None:
        tracks = tracks_of(table)
        try:
            splits = splitters()[name].splits(tracks, seed)
        except UserError:
            count("manifests refused in a line")
            return
        count("manifests split")
        for split in splits:
            assert split.ids == tuple(t.id for t in tracks)
            own = {}
            for group, side in zip(split.groups, split.sides, strict=True):
                own.setdefault(group, set()).add(side)
            if name != "official":
                assert all(len(at) == 1 for at in own.values())
                assert all(len(at) == 1 for at in sides_of_values(tracks, split.sides, key_of(split)).values())
        if name.startswith("kfold"):
            tested = [i for split in splits for i, side in enumerate(split.sides) if side == "test"]
            assert sorted(tested) == list(range(len(tracks)))

    examples(check, tries(15, 100))


def test_a_stranger_is_tested_with_none_of_its_own_in_training(tries: Tries, count: Count) -> None:
    """Songs of no genre, that share artists and albums with known ones or do not."""

    @given(table=manifests, strange=st.lists(st.booleans(), min_size=40, max_size=40), seed=st.integers(0, 99))
    def check(table: list[Row], strange: list[bool], seed: int) -> None:
        tracks = tracks_of(table)
        known = np.array([not s for s in strange[: len(tracks)]])
        own = [t for t, k in zip(tracks, known, strict=True) if k]
        for splitter in (Grouped("artist", 4, None), KFold("artist", 3), Grouped("song", 4, None)):
            try:
                made = with_strangers(splitter.splits(own, seed), tracks, known)
            except UserError:
                continue
            count("splits with strangers")
            for split in made:
                at = {side for side, k in zip(split.sides, known, strict=True) if not k}
                assert at <= {"test", "unused"}
                for sides in sides_of_values(tracks, split.sides, key_of(split)).values():
                    assert len(sides) == 1

    examples(check, tries(20, 150))


def test_fewer_training_songs_are_some_of_the_same(tries: Tries, count: Count) -> None:
    @given(table=manifests, seed=st.integers(0, 99), ns=st.tuples(st.integers(1, 40), st.integers(1, 40)))
    def check(table: list[Row], seed: int, ns: tuple[int, int]) -> None:
        tracks, (n, more) = tracks_of(table), sorted(ns)
        try:
            (split,) = Grouped("auto", 4, None).splits(tracks, seed)
            few, many = (fewer(split, tracks, k) for k in (n, more))
        except UserError:
            return
        count("training sides made smaller")
        kept = [{i for i, s in enumerate(made.sides) if s == "train"} for made in (few, many, split)]
        assert kept[0] <= kept[1] <= kept[2]
        assert len(kept[0]) <= n
        for made in (few, many):
            assert [s for s in made.sides if s in ("val", "test")] == [s for s in split.sides if s in ("val", "test")]

    examples(check, tries(20, 150))


def classifier(front: str, agg: str, several: bool) -> SongClassifier:
    torch.manual_seed(0)
    small = {"mel": {"n_fft": 512, "n_bins": 32}, "stft": {"n_fft": 512, "n_bins": 32}}
    parts = part(f"front/{front}", **small.get(front, {})), part("slice/fixed", length_s=0.64, hop_s=0.64, n_frames=32)
    ways = part("norm/song"), part("net/cnn"), part(f"agg/{agg}")
    return SongClassifier(*parts, *ways, GENRES, several).eval()


@torch.no_grad()
@pytest.mark.parametrize("agg", names("agg"))
def test_a_song_is_decided_alike_in_any_company(agg: str, tries: Tries, count: Count) -> None:
    """Any lengths, any order in the batch: the padding of the longest one and the songs beside it change nothing."""
    models = {several: classifier("stft", agg, several) for several in (False, True)}

    @given(
        lengths=st.lists(st.integers(1, 20), min_size=2, max_size=5),
        order=st.randoms(use_true_random=False),
        seed=st.integers(0, 99),
        several=st.booleans(),
    )
    def check(lengths: list[int], order: Any, seed: int, several: bool) -> None:
        model = models[several]
        random = torch.Generator().manual_seed(seed)
        songs = [8 * torch.randn(n, *model.slice_shape, generator=random) - 50 for n in lengths]
        alone = torch.cat([model(song, torch.tensor([len(song)])).song for song in songs])
        places = list(range(len(songs)))
        order.shuffle(places)
        together = model(torch.cat([songs[i] for i in places]), torch.tensor([len(songs[i]) for i in places])).song
        assert torch.allclose(together, alone[places], rtol=1e-4, atol=1e-5)
        count("batches of songs of any lengths")

    examples(check, tries(3, 60))


@torch.no_grad()
@pytest.mark.parametrize("front", ["raw", "leaf"])
def test_a_song_is_heard_alike_in_any_company(front: str, tries: Tries, count: Count) -> None:
    """The same where the front-end is a part of the model and hears waves."""
    model = classifier(front, "gru", False)

    @given(lengths=st.lists(st.integers(1, 5), min_size=2, max_size=3), seed=st.integers(0, 99))
    def check(lengths: list[int], seed: int) -> None:
        random = torch.Generator().manual_seed(seed)
        songs = [0.1 * torch.randn(n, *model.slice_shape, generator=random) for n in lengths]
        alone = torch.cat([model(song, torch.tensor([len(song)])).song for song in songs])
        together = model(torch.cat(songs), torch.tensor(lengths)).song
        assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)
        count("batches of songs of any lengths")

    examples(check, tries(2, 25))


HOP, LEFT, RIGHT, T = 10, 23, 7, 5
spans = st.lists(st.tuples(st.floats(0, 1), st.floats(0.05, 3)), min_size=1, max_size=6)


@pytest.mark.parametrize("on_the_grid", [True, False])
def test_a_slice_of_a_wave_hears_its_span_and_nothing_else(on_the_grid: bool, tries: Tries, count: Count) -> None:
    """Noise outside of a span and its context is not heard; in the middle of the span, it is."""

    @given(where=spans, n=st.integers(20, 4000), seed=st.integers(0, 99))
    def check(where: list[tuple[float, float]], n: int, seed: int) -> None:
        hop_s, random = 0.1, np.random.default_rng(seed)
        wave = random.integers(-9999, 9999, n).astype(np.int16)
        length = n / HOP * hop_s
        cuts = [
            (at * length, min(length, at * length + T * hop_s if on_the_grid else at * length + own))
            for at, own in where
        ]
        if on_the_grid:
            cuts = [(round(a / hop_s) * hop_s, round(a / hop_s) * hop_s + T * hop_s) for a, _ in cuts]
        sizes = {"hop": HOP, "left": LEFT, "right": RIGHT, "n_frames": T}
        for begin, end in cuts:
            span = torch.tensor([[begin, end]], dtype=torch.float64)
            if end - begin < 1e-3:
                continue
            x, places = cut_waves([wave], [span], hop_s, **sizes)
            step = 0 if places is None else max(1.0, (end - begin) / hop_s / T)
            first = int((begin / hop_s - step - 1) * HOP) - LEFT
            final = int((end / hop_s + step + 2) * HOP) + RIGHT
            other = random.integers(-9999, 9999, n).astype(np.int16)
            kept = slice(max(0, first), max(0, final))
            other[kept] = wave[kept]
            assert torch.equal(cut_waves([other], [span], hop_s, **sizes)[0], x)
            middle = int((begin + end) / 2 / hop_s * HOP)
            if middle < n:
                other[middle] = wave[middle] + 1
                assert not torch.equal(cut_waves([other], [span], hop_s, **sizes)[0], x)
            count("spans cut out of waves")

    examples(check, tries(30, 600))


@pytest.mark.parametrize("slicer", [n for n in names("slice") if n != "bars_or_beats"])
def test_slices_of_any_song_stay_inside_it_and_show_nothing_else(slicer: str, tries: Tries, count: Count) -> None:
    """Any duration, any beats; the pictures of the slices do not depend on what lies beyond the song's end."""
    own = part(f"slice/{slicer}")

    @given(
        duration_s=st.floats(0.01, 60),
        bpm=st.floats(20, 300),
        offset_s=st.floats(-5, 70),
        metre=st.integers(1, 7),
        confidence=st.floats(0, 1),
        wild=st.lists(st.floats(-10, 90), max_size=30),
        kind=st.sampled_from(["none", "steady", "wild", "no bars"]),
    )
    def check(
        duration_s: float, bpm: float, offset_s: float, metre: int, confidence: float, wild: list[float], kind: str
    ) -> None:
        times = np.unique(wild) if kind == "wild" else offset_s + np.arange(0, 80 * bpm / 60) * 60 / bpm
        bars = None if kind == "no bars" else np.arange(len(times)) % metre + 1
        beats = None if kind == "none" else Beats(times, bars, "test", confidence)
        found = own.spans(duration_s, beats)
        assert found.shape == (len(found), 2)
        if not len(found):
            return
        assert bool((found[:, 0] >= 0).all())
        assert bool((found[:, 1] <= duration_s + 1e-6).all())
        assert bool((found[:, 1] > found[:, 0]).all())
        hop_s = 0.02
        n_frames = max(1, round(duration_s / hop_s)) + 1
        picture = torch.randn(4, n_frames, generator=torch.Generator().manual_seed(0))
        shown = cut(picture, found, hop_s, own.n_frames)
        assert shown.shape == (len(found), 4, own.n_frames)
        assert bool(torch.isfinite(shown).all())
        reach = max(1.0, float((found[:, 1] - found[:, 0]).max()) / hop_s / own.n_frames)
        behind = torch.cat([picture, torch.full((4, int(2 * reach) + 2), float("nan"))], 1)
        last = int((found[:, 1] / hop_s).max() + 2 * reach) + 2
        if last < n_frames:
            behind[:, last:] = float("nan")
            assert bool(torch.isfinite(cut(behind, found, hop_s, own.n_frames)).all())
        count("songs cut into slices", 1)

    examples(check, tries(30, 500))


@st.composite
def sure(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences, some of them equal, who was right, and groups."""
    n = draw(st.integers(2, 40))
    confidence = np.array(draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))) / 20
    right = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return confidence, right, np.array(draw(st.lists(st.sampled_from("abcdefg"), min_size=n, max_size=n)))


def test_reliability_is_scikit_learns(tries: Tries, count: Count) -> None:
    from sklearn.calibration import calibration_curve

    @given(case=sure(), n_bins=st.integers(1, 20))
    def check(case: tuple[np.ndarray, np.ndarray, np.ndarray], n_bins: int) -> None:
        confidence, right, _ = case
        # scikit-learn's bins hold their lower edge, ours their upper one: both are the same of the opposite
        was, said = calibration_curve(~right, 1 - confidence, n_bins=n_bins, strategy="uniform")
        edges = np.linspace(0, 1, n_bins + 1)
        if np.abs(confidence[:, None] - edges[None]).min() < 1e-9:
            return  # on an edge the two differ by rounding
        mean, share, n = calibration.reliability(confidence, right, n_bins)
        there = n > 0
        np.testing.assert_allclose(1 - said[::-1], mean[there], atol=1e-12)
        np.testing.assert_allclose(1 - was[::-1], share[there], atol=1e-12)
        expected = (np.abs(said - was) * n[there][::-1]).sum() / len(right)
        assert calibration.ece(confidence, right, n_bins) == pytest.approx(expected, abs=1e-12)
        count("answers held against scikit-learn")

    examples(check, tries(100, 2000))


def test_the_area_under_risk_and_coverage_is_the_mean_over_all_orders_of_equals(tries: Tries, count: Count) -> None:
    """By drawing the orders, where the product takes an integral."""

    @given(case=sure(), seed=st.integers(0, 99))
    def check(case: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int) -> None:
        confidence, right, groups = case
        random, drawn = np.random.default_rng(seed), []
        for _ in range(200):
            order = np.lexsort((random.random(len(right)), -confidence))
            drawn.append((np.cumsum(~right[order]) / np.arange(1, len(right) + 1)).mean())
        at = calibration.aurc(confidence, right)
        assert at == pytest.approx(np.mean(drawn), abs=5 * np.std(drawn) / np.sqrt(200) + 1e-9)
        lo, hi = calibration.aurc_interval(confidence, right, groups, 50, seed)
        holds(at, lo, hi, groups)
        count("intervals that hold their point")

    examples(check, tries(20, 300))


def test_other_intervals_hold_their_points(tries: Tries, count: Count) -> None:
    """Open set, label noise, any percentiles; those of accuracies stand in tests/evaluate."""

    @given(case=sure(), seed=st.integers(0, 99), k=st.integers(2, 4), data=st.data())
    def check(case: tuple[np.ndarray, np.ndarray, np.ndarray], seed: int, k: int, data: Any) -> None:
        score, right, groups = case
        random, n = np.random.default_rng(seed), len(score)
        truth, decided = random.integers(0, k + 1, n), random.integers(0, k + 1, n)
        found = open_set.figures(score, right, truth < k, truth, decided, groups, 30, seed)
        for at, lo, hi in found.values():
            assert lo <= at <= hi or (np.isnan(lo) and (np.isnan(at) or alone(groups, np.minimum(truth, k))))
        p = random.dirichlet(np.ones(k), n)
        written = np.minimum(truth, k - 1)
        noise = ceiling(written, p, groups, 30, seed)
        holds(noise.ceiling, noise.lo, noise.hi, groups, written)
        figures = data.draw(st.lists(st.floats(-9, 9) | st.just(float("nan")), min_size=1, max_size=20))
        point = data.draw(st.floats(-20, 20))
        lo, hi = percentile_interval(figures, point)
        assert np.isnan(lo) or lo <= point <= hi
        count("intervals that hold their point", 6)

    examples(check, tries(30, 500))
