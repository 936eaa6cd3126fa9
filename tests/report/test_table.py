"""Tables are read as a log holds them: the right numbers, whole, at 80 and at 120 columns."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from genrelab.evaluate import Difference
from genrelab.report.table import numbers_table, quantity, run_table, sentence, sweep_table, unusable_table
from genrelab.types import Track, Unusable
from tests.report.reading import WIDTHS, line_of, printed, words

COST = {
    "cost/parameters": 1_234_567,
    "cost/mflop_per_slice": 12.345,
    "cost/front_x_realtime": 843.2,
    "cost/train_s": 61.24,
    "cost/slices_per_s": float("nan"),
    "cost/peak_rss_mb": 1843.5,
}


def figures(song, slice_=0.5):
    out = {"val/song/balanced_accuracy": song + 0.02, "cost/train_s": 1234.4}
    for unit, value in (("song", song), ("slice", slice_)):
        for i, name in enumerate(("accuracy", "balanced_accuracy", "macro_f1")):
            key = f"test/{unit}/{name}"
            out |= {key: value + i / 100, f"{key}_lo": value - 0.05, f"{key}_hi": value + 0.0654}
    return out


@WIDTHS
def test_a_run_in_percent_with_its_cost_and_notes(width):
    baseline = {"accuracy": 0.1, "balanced_accuracy": 0.1}
    note = "unreliable: jazz has 3 artists [see the card]"
    lines = printed(run_table("mel-gru [s0]", figures(0.7), baseline, COST, [note]), width)
    assert lines[0] == "mel-gru [s0]"
    assert " ".join(line_of(lines, "accuracy").split()) == "accuracy 70.0 [65.0, 76.5] 50.0 [45.0, 56.5] 10.0"
    assert " ".join(line_of(lines, "balanced").split()) == "balanced accuracy 71.0 [65.0, 76.5] 51.0 [45.0, 56.5] 10.0"
    assert " ".join(line_of(lines, "macro-F1").split()) == "macro-F1 72.0 [65.0, 76.5] 52.0 [45.0, 56.5] –"
    assert " ".join(lines[-3].split()) == "1,234,567 12.3 843 61.2 – 1,844"
    assert lines[-1] == note


@WIDTHS
def test_a_run_at_its_widest_loses_no_digit(width):
    full = {f"test/{unit}/{name}{end}": 1.0 for unit in ("song", "slice") for end in ("", "_lo", "_hi")
            for name in ("accuracy", "balanced_accuracy", "macro_f1")}  # fmt: skip
    lines = printed(run_table("a", full, {"macro_f1": 1.0}, {}), width)
    assert " ".join(line_of(lines, "macro").split()) == "macro-F1 100.0 [100.0, 100.0] 100.0 [100.0, 100.0] 100.0"


def test_a_run_without_figures_shows_dashes():
    nan = float("nan")
    some = {"test/song/accuracy": 0.5, "test/song/accuracy_lo": nan, "test/song/accuracy_hi": nan}
    lines = printed(run_table("a", some, {"macro_f1": 0.2}, {}), 80)
    assert line_of(lines, "accuracy").split() == ["accuracy", "50.0", "–", "–", "–", "–"]
    assert len(lines) == 4  # a figure that the task does not have is no row


def test_a_run_of_several_genres_has_its_own_figures():
    several = {f"test/{unit}/{m}": v for unit in ("song", "slice")
               for m, v in (("map", 0.7), ("roc_auc", 0.8), ("lrap", 0.9), ("macro_f1", 0.6))}  # fmt: skip
    lines = printed(run_table("a", several | {"test/song/map_lo": 0.65, "test/song/map_hi": 0.75}, {}, {}), 120)
    assert words(lines, "mean average precision") == "mean average precision 70.0 [65.0, 75.0] 70.0 – –"
    assert words(lines, "macro ROC-AUC") == "macro ROC-AUC 80.0 – 80.0 – –"
    assert words(lines, "LRAP") == "LRAP 90.0 – 90.0 – –"
    assert words(lines, "macro-F1") == "macro-F1 60.0 – 60.0 – –"


def rows():
    return [
        {"name": "stft-vote", "run_id": "a1b2c3d4e5", "status": "FINISHED", "reason": None, "figures": figures(0.6)},
        {"name": "raw-gru", "run_id": "ffff000011", "status": "FAILED", "figures": {}, "reason": "no [memory]\n" * 9},
        {"name": "cwt-mean", "run_id": "c1b2c3d4e5", "status": "FINISHED", "reason": None, "figures": {}},
        {
            "name": "mel-gru-" + 4 * "long-" + "s0",
            "run_id": "b1b2c3d4e5",
            "status": "FINISHED",
            "figures": figures(0.7),
        },
    ]


@WIDTHS
def test_a_sweep_is_ordered_by_validation_the_failed_last(width):
    lines = printed(sweep_table(rows()), width)
    places = [next(i for i, line in enumerate(lines) if run in line) for run in ("b1b2", "a1b2", "c1b2", "ffff")]
    assert places == sorted(places)
    best = " ".join(lines[places[0]].split())
    assert " b1b2c3d4 72.0 71.0 [65.0, 76.5] 51.0 [45.0, 56.5] 1,234" in best
    assert lines[places[2]].split()[:6] == ["cwt-mean", "c1b2c3d4", "–", "–", "–", "–"]
    assert lines[places[3]].startswith("raw-gru ")
    assert "FAILED: no [memory] no [memory]" in lines[places[3]]
    assert sum(line.count("[memory]") for line in lines) == 9  # a log keeps the reason whole
    assert ("finished" in " ".join(lines)) == (width == 120)


@WIDTHS
def test_a_terminal_keeps_the_reason_to_one_line(width):
    failed = [{"name": "raw-gru", "run_id": "ffff000011", "status": "FAILED", "reason": "too long " * 40}]
    (line,) = printed(sweep_table(failed), width, terminal=True)
    assert line.startswith("raw-gru  ffff0000  FAILED: too long")
    assert line.endswith("…")


def test_a_sweep_shows_the_measure_of_its_task():
    ranked = {"val/song/map": 0.5, "test/song/map": 0.61, "test/song/map_lo": 0.5, "test/song/map_hi": 0.7}
    one = {"name": "mel", "run_id": "a1b2c3d4", "status": "FINISHED", "figures": ranked, "measure": "map"}
    lines = printed(sweep_table([one]), 120)
    assert lines[0] == "mean average precision, % [95 % interval], ordered by validation"
    assert words(lines, "mel") == "mel a1b2c3d4 50.0 61.0 [50.0, 70.0] – – finished"


def test_a_reason_is_red():
    console = Console(width=80, force_terminal=True, color_system="standard", file=StringIO())
    with console.capture() as shown:
        console.print(sweep_table(rows()))
    assert "\x1b[31mFAILED: no [memory]" in shown.get()


@pytest.mark.parametrize(
    ("d", "said"),
    [
        (("m", 0.041, 0.012, 0.0704, True, 240, 240, 9), "+4.1 points [1.2, 7.0], paired on 240 songs"),
        (("m", -0.041, -0.07, -0.012, False, 240, 200, 9), "-4.1 points [-7.0, -1.2], unpaired, 240 and 200 songs"),
        (("m", 0.0, 0.0, 0.0, True, 9, 9, 5), "+0.0 points [0.0, 0.0], paired on 9 songs"),
        (("m", 0.1, float("nan"), float("nan"), True, 9, 9, 1), "+10.0 points [–, –], paired on 9 songs, unreliable"),
    ],
)
def test_a_difference_is_a_sentence(d, said):
    assert sentence("a", "b", Difference(*d)) == f"a - b: {said}"


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0"), (0.01234, "0.0123"), (0.5, "0.500"), (9.876, "9.88"), (12.345, "12.3"), (99.96, "100"), (7.0, "7"),
     (1234567.8, "1,234,568"), (0.00001, "1.0e-05"), (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_quantities(value, said):
    assert quantity(value) == said


@WIDTHS
def test_unusable_tracks_are_listed_up_to_thirty_and_counted(width):
    tracks = [Track(f"{i}", Path(f"/songs/[live]/{i:03d}.wav"), ("jazz",)) for i in range(42)]
    given = [Unusable(t, "silent" if i % 3 else "not audio", "3 s" if i else "") for i, t in enumerate(tracks)]
    lines = printed(unusable_table(given), width)
    assert lines[0] == "42 tracks left out"
    assert line_of(lines, "/songs/[live]/000.wav").split()[1:] == ["not", "audio", "–"]
    assert line_of(lines, "/songs/[live]/029.wav").split()[1:] == ["silent", "3", "s"]
    assert not any("030.wav" in line for line in lines)
    assert lines[-2:] == [
        "... and 12 more, all of them in the run's left_out.csv",
        "by reason: silent 28, not audio 14",
    ]


def test_few_unusable_tracks_are_all_listed():
    long = "/songs/" + "x" * 150 + ".wav"
    lines = printed(unusable_table([Unusable(Track("a", Path(long), ("jazz",)), "empty")]), 80)
    assert lines[0] == "1 track left out"
    assert "".join(line.split("  ")[0].strip() for line in lines[3:-1]).replace(" ", "") == long  # folded, not cut
    assert lines[-1] == "by reason: empty 1"


def test_numbers_fold_names_then_stand_over_their_intervals_then_go_on_below():
    rows = [["a rather long name", *["12.3 [11.1, 13.5]"] * 4], ["b", *["–"] * 4]]
    headings = ["name", "one", "two", "three", "four"]
    wide, folded, over, below = (printed(numbers_table("a title", headings, rows), w) for w in (94, 86, 68, 40))
    assert wide[3].split() == ["a", "rather", "long", "name"] + ["12.3", "[11.1,", "13.5]"] * 4
    assert folded[3].startswith("a rather  ")
    assert folded[3].count("12.3 [11.1, 13.5]") == 4
    assert folded[4].strip() == "long name"
    assert over[1].split() == headings
    assert over[3].split()[-4:] == ["12.3"] * 4
    assert over[4].count("[11.1, 13.5]") == 4
    heads = [line.split() for line in below if line.startswith("name ")]
    assert heads == [["name", "one", "two"], ["name", "three", "four"]]
    assert sum(line.startswith("b ") for line in below) == 2
    for lines in (wide, folded, over, below):
        text = "\n".join(lines)
        assert [text.count(x) for x in ("a title", "12.3", "[11.1, 13.5]", "–")] == [1, 4, 4, 4]
