"""`bench`: turns, ratios and peers; a tiny run through the program. How long anything takes is not asked here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genrelab.commands.bench import beats, fronts, peers, timing
from genrelab.types import Beats
from tests.conftest import Said

Call = Callable[..., Said]
TINY = ("--seconds", "1", "--clips", "1", "--repeats", "1", "--threads", "1")


class Clock:
    """Takes part in rounds: writes down its turn and takes a known time."""

    def __init__(self, name: str, seconds: list[float], turns: list[str]) -> None:
        self.name, self.left, self.turns = name, iter(seconds), turns

    def seconds(self) -> float:
        self.turns.append(self.name)
        value = next(self.left, None)
        if value is None:
            raise KeyboardInterrupt
        return value


def test_every_round_times_each_once_in_a_changing_order() -> None:
    turns: list[str] = []
    timed = [Clock(name, [1.0] * 20, turns) for name in "abc"]
    taken: list[list[float]] = [[], [], []]
    shown: list[tuple[int, int]] = []
    timing.rounds(timed, 20, 0, lambda *n: shown.append(n), taken)
    found = ["".join(turns[i : i + 3]) for i in range(0, 60, 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in found)
    assert len(set(found)) > 3
    assert [len(t) for t in taken] == [20, 20, 20]
    assert shown == [(n, 60) for n in range(1, 61)]


def test_an_interrupt_keeps_what_was_measured() -> None:
    turns: list[str] = []
    taken: list[list[float]] = [[], []]
    with pytest.raises(KeyboardInterrupt):
        timing.rounds([Clock("a", [1.0, 2.0], turns), Clock("b", [4.0] * 9, turns)], 9, 0, lambda *_: None, taken)
    assert taken[0] == [1.0, 2.0]
    assert len(taken[1]) in (2, 3)


def test_a_ratio_is_of_pairs_so_that_a_drift_of_the_machine_cancels() -> None:
    drift = [1.0, 3.0, 10.0, 2.0, 5.0]
    assert timing.ratio([2 * d for d in drift], drift) == timing.Ratio(2.0, 2.0, 2.0)
    assert timing.ratio([1.0, 6.0, 4.0, 9.0], [1.0, 2.0, 2.0]) == timing.Ratio(2.0, 1.0, 3.0)
    assert timing.ratio([], [1.0]) is None


@pytest.fixture(scope="module")
def holder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], timing.Worker]:
    """Workers of a module of their own: its candidates hold 96 MB while they work, or fall."""
    folder = tmp_path_factory.mktemp("candidates")
    (folder / "held.py").write_text(
        "import os\n"
        "def one(how):\n"
        "    print('a library talks')\n"
        "    if how == 'falls': raise RuntimeError('no such table\\nmore')\n"
        "    if how == 'dies': os._exit(3)\n"
        "    def work():\n"
        "        held = bytearray(96 * 2**20)\n"
        "        held[::4096] = bytes([1]) * len(held[::4096])\n"
        "    return (lambda: None), work, lambda: {'threads': os.environ['NUMBA_NUM_THREADS']}\n"
    )

    def made(how: str) -> timing.Worker:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(folder))
            return timing.Worker("held:one", {"how": how}, 3)

    return made


def test_a_worker_has_its_own_threads_and_peak(holder: Callable[[str], timing.Worker]) -> None:
    worker = holder("works")
    try:
        worker.ready()
        ready = worker.prepared()
        assert ready.said == {"threads": "3"}
        assert 90 < ready.peak_mb < 110
        assert worker.seconds() > 0
    finally:
        worker.close()


@pytest.mark.parametrize(("how", "said"), [("falls", "RuntimeError: no such table"), ("dies", "ended with 3")])
def test_a_worker_that_falls_says_why_in_a_line(holder: Callable[[str], timing.Worker], how: str, said: str) -> None:
    worker = holder(how)
    try:
        with pytest.raises(timing.Fallen, match=said) as caught:
            worker.ready()
        assert "\n" not in str(caught.value)
    finally:
        worker.close()


def test_a_tiny_run_writes_every_figure_and_names_what_lacks(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fronts, "_installed", lambda peer: peer.package == "torchaudio")
    path = tmp_path / "figures.json"
    said = call("bench", "fronts", *TINY, "--front", "mel", "--json", path)
    assert said.code == 0, said.err
    assert "pip install 'genrelab[bench]'" in said.out
    told = json.loads(path.read_text())
    rows = {r["by"]: r for r in told["rows"]}
    assert list(rows) == ["genrelab", "torchaudio", "librosa", "nnAudio"]
    assert rows["genrelab"]["times_longer_than_ours"] is None
    peer = rows["torchaudio"]
    assert (peer["bins"], peer["frames"]) == (128, 51)
    assert peer["x_realtime"] == pytest.approx(1 / peer["seconds"][0])
    assert peer["times_longer_than_ours"]["median"] == pytest.approx(
        peer["seconds"][0] / rows["genrelab"]["seconds"][0]
    )
    assert peer["alike"] > 0.9999
    assert rows["librosa"]["seconds"] == [] and "not installed" in rows["librosa"]["missing"]
    assert told["versions"]["torchaudio"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("bench", "nope"), "there are all, beats, fronts, full, growth"),
        (("bench", "all", "--only", "nope"), "there is no row 'nope'"),
        (("bench", "all", "--against", "nowhere.json"), "No such file"),
        (("bench", "fronts", "--front", "nope"), "there is no front-end 'nope'"),
        (("bench", "fronts", "--threads", "two"), "expected whole numbers from 1"),
        (("bench", "fronts", "front=mel"), "choose with --front mel"),
        (("bench", "fronts", "--front", "mel", "front.nbins=3"), "front.nbins"),
        (("bench", "fronts", "--front", "mel", "--songs", "nowhere.wav"), "--songs nowhere.wav: missing"),
        (("bench", "fronts", "--nope"), "No such option"),
        (("bench", "beats", "data=manifest"), "data.path=FILE.csv"),
    ],
)
def test_wrong_words_end_in_a_line(call: Call, words: tuple[str, ...], line: str) -> None:
    said = call(*words)
    assert said.code == 2
    assert line in said.err and len(said.err.strip().splitlines()) == 1


def test_without_a_word_it_lists_what_there_is(call: Call) -> None:
    said = call("bench")
    assert said.code == 0
    assert all(name in said.out for name in ("fronts", "beats")) and "timing" not in said.out


def test_the_made_clip_is_the_same_every_time_and_another_by_seed() -> None:
    first = fronts.music(1.5, 22050, 0)
    assert first.shape == (33075,) and first.dtype == np.float32 and 0.1 < np.abs(first).max() <= 1
    assert np.array_equal(first, fronts.music(1.5, 22050, 0))
    assert not np.array_equal(first, fronts.music(1.5, 22050, 1))


def test_pictures_are_compared_at_the_nearest_frames() -> None:
    time_s = np.linspace(0, 1, 401)
    picture = np.stack([np.sin(3 * time_s), np.cos(5 * time_s)])
    assert fronts.alike(picture, 3 * picture[:, ::4] + 1) == pytest.approx(1, abs=1e-3)
    assert fronts.alike(picture, -picture) == pytest.approx(-1)
    assert fronts.alike(picture, picture[:1]) is None


def test_power_of_a_frame_is_the_mean_around_its_centre() -> None:
    rows = np.zeros((2, 100), np.complex128)
    rows[0, 10 - 5 : 10 + 5] = 2j  # frame 1 of hop 10 hears samples 5 to 14
    rows[1] = 1
    power = peers.frame_power(rows, 10)
    assert power.shape == (2, 11)
    assert power[0].tolist() == [0, 4, *[0] * 9]
    assert power[1].tolist() == [0.5, *[1] * 9, 0.5]


def test_a_wavelet_that_a_peer_lacks_is_refused_by_name() -> None:
    assert peers.morlet("cmor2.0-3.0") == pytest.approx(3)
    with pytest.raises(ValueError, match=r"front\.wavelet=mexh"):
        peers.morlet("mexh")


def test_an_estimate_of_half_the_tempo_that_knows_no_bars_scores_as_it_should() -> None:
    truth = Beats(np.arange(0, 20, 0.5), np.arange(40) % 4 + 1, "annotated", 1.0)
    found = Beats(np.arange(0, 20, 1.0), None, "made", 0.3)
    song = beats.scored(truth, found, "a", "rock", "x", 20.0, 0.1)
    assert (song.beat_f, song.downbeat_f) == (pytest.approx(2 / 3), 0)
    assert (song.tempo_1, song.tempo_2) == (0, 1)
    right = beats.scored(truth, truth, "a", "rock", "x", 20.0, 0.1)
    assert (right.beat_f, right.downbeat_f, right.tempo_1) == (1, 1, 1)


def test_a_window_counts_from_its_begin() -> None:
    grid = beats.within(Beats(np.arange(10.0), np.arange(10) % 4 + 1, "annotated", 1.0), 3.5, 2.5)
    assert grid.times_s.tolist() == [0.5, 1.5, 2.5]
    assert grid.beat_in_bar is not None and grid.beat_in_bar.tolist() == [1, 2, 3]


def test_an_interval_over_groups_is_that_of_the_groups_means() -> None:
    values = np.repeat(np.random.default_rng(0).random(50), 20)
    groups = [str(i // 20) for i in range(1000)]
    lo, hi = beats.interval(values, groups, 0)
    error = values[::20].std(ddof=1) / math.sqrt(50)  # what 50 answers tell, not 1,000
    assert hi - lo == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert lo < values.mean() < hi
    assert all(math.isnan(x) for x in beats.interval([1.0, 0.0], ["a", "a"], 0))


def test_a_summary_tells_genres_apart_and_leaves_out_what_is_not_known() -> None:
    def song(genre: str, f: float, down: float | None) -> beats.Song:
        return beats.Song(f"{genre}{f}", genre, f"{f}", "made", f / 2, f, down, 1.0, 1.0, 30.0, 0.5)

    found = beats.summary([song("rock", 0.2, None), song("rock", 0.4, 0.5), song("jazz", 0.9, None)])
    assert found["all"]["beat_f"] == pytest.approx(0.5) and found["all"]["confidence_r"] == pytest.approx(1)
    assert found["rock"]["beat_f"] == pytest.approx(0.3) and found["rock"]["downbeat_f"] == 0.5
    assert "downbeat_f" not in found["jazz"] and found["jazz"]["x_realtime"] == pytest.approx(60)


def test_an_installed_peer_is_told_from_one_that_is_not() -> None:
    def nothing(*_: object) -> peers.Hear:
        raise AssertionError

    assert fronts._installed(peers.Peer("a", "torchaudio", "", nothing))
    assert not fronts._installed(peers.Peer("a", "no_such_package_here", "", nothing))
