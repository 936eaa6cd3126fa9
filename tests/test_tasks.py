"""Each task from the words to what MLflow keeps: several genres, songs of none, a tree of genres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from genrelab.evaluate import multilabel
from genrelab.evaluate.open_set import METRICS as OPEN
from genrelab.evaluate.rejection import SCORES
from genrelab.foreign import N_CLIPS
from genrelab.types import NO_TAG
from tests.conftest import GENRES, RATE, TINY, Said, Songs, runs_of, wave, write_manifest

Call = Callable[..., Said]


def trained(call: Call, store: Path, *words: object) -> tuple[dict[str, float], pd.DataFrame, Path, str]:
    """The figures, the predictions and the folder of a run, and what it printed."""
    said = call(*words, *TINY, f"store={store}")
    assert said.code == 0, said.err
    (run,) = runs_of(store)
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return run.data.metrics, pd.read_parquet(folder / "predictions.parquet"), folder, said.out


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of songs of no genre."""
    folder = tmp_path_factory.mktemp("strangers")
    for n in range(4):
        soundfile.write(folder / f"{n}.wav", wave("noise", 50 + n, 0), RATE)
    return folder


def check_open(figures: dict[str, float], songs: pd.DataFrame, folder: Path, out: str, n_unknown: int) -> None:
    for score in SCORES:
        for metric in OPEN:
            assert 0 <= figures[f"test/open_set/{score}/{metric}"] <= 1, (score, metric)
    for kind in N_CLIPS:
        assert 0 <= figures[f"test/foreign/{kind}"] <= 1
        assert kind in out
    unknown = songs[songs["truth"] == NO_TAG]
    assert set(unknown["split"]) == {"test"}
    assert len(unknown) == n_unknown
    sides = pd.read_csv(folder / "split.csv", dtype=str).set_index("id")["side"]
    assert set(sides[unknown["id"]]) == {"test"}
    assert (folder / "pictures" / "open_set.png").is_file()
    assert set(songs["answer"]) <= {*GENRES, NO_TAG}
    assert set(songs["decision"]) <= set(GENRES)
    known = songs[(songs["split"] == "test") & (songs["truth"] != NO_TAG)]
    right = (known["decision"] == known["truth"]).groupby(known["truth"]).mean().mean()
    assert figures["test/song/balanced_accuracy"] == pytest.approx(right)  # of the known songs alone


def test_a_genre_that_is_held_out_is_in_the_test_alone(call: Call, songs: Songs, tmp_path: Path) -> None:
    figures, table, folder, out = trained(call, tmp_path, *songs.words, "task=open_set", "task.unknown=[noise]")
    check_open(figures, table, folder, out, n_unknown=songs.n // 3)
    assert set(table.columns) >= {"p/high", "p/low"} and "p/noise" not in table.columns
    ids = table["id"][table["truth"] == NO_TAG]
    assert all("noise" in str(i) for i in ids)


def test_songs_of_no_genre_are_in_the_test_alone(call: Call, songs: Songs, strangers: Path, tmp_path: Path) -> None:
    words = ["task=open_set", f"data.unknown={strangers}", "agg=vote"]
    figures, table, folder, out = trained(call, tmp_path, *songs.words, *words)
    check_open(figures, table, folder, out, n_unknown=4)
    assert {c for c in table.columns if c.startswith("p/")} == {f"p/{g}" for g in GENRES}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["task=open_set"], "task=open_set needs songs of none of the genres"),
        (["task=open_set", "task.unknown=[polka]"], "the data have no genre 'polka'"),
        (["task=open_set", "task.unknown=[high,low]"], "leaves 1 of 3 genres"),
        (["task.score=hunch"], "task.score=hunch: there is no such score"),
        (["data.unknown=/no/such/folder", "task=open_set"], "data.unknown=/no/such/folder does not exist"),
        (["task.keep=1.5"], "task.keep=1.5: expected a share"),
    ],
)
def test_words_that_cannot_be_followed(
    call: Call, songs: Songs, tmp_path: Path, words: list[str], complaint: str
) -> None:
    said = call(*songs.words, *words, *TINY, f"store={tmp_path}")
    assert said.code == 2
    assert complaint in said.err
    assert "Traceback" not in said.err + said.out


def test_songs_of_no_genre_want_their_task(call: Call, songs: Songs, strangers: Path, tmp_path: Path) -> None:
    said = call(*songs.words, f"data.unknown={strangers}", *TINY, f"store={tmp_path}")
    assert said.code == 2
    assert "songs of data.unknown want task=open_set" in said.err


def test_several_genres_a_song(call: Call, songs: Songs, tmp_path: Path) -> None:
    rows = []
    for line in songs.manifest.read_text().splitlines()[1:]:
        path, genre, artist = line.split(",")
        loud = "odd" if path.endswith("1.wav") else "even"
        rows.append([str(songs.folder / path), f"{genre}|{loud}", artist])
    table = write_manifest(tmp_path / "several.csv", rows, ("path", "genres", "artist"))
    words = ["task=multi", "task.gamma_neg=2", "data=manifest", f"data.path={table}"]
    figures, said, _, out = trained(call, tmp_path / "store", *words)
    genres = sorted([*GENRES, "odd", "even"])
    test = said[said["split"] == "test"]
    truth = test["truth"].str.get_dummies()[genres].to_numpy(bool)
    p, cut = test[[f"p/{g}" for g in genres]].to_numpy(), test[[f"t/{g}" for g in genres]].to_numpy()
    for metric, value in multilabel.scores(truth, p, cut).items():
        assert figures[f"test/song/{metric}"] == pytest.approx(value), metric
    assert "mean average precision" in out
    assert "songs of several genres: all of them on top in" in " ".join(out.split())
    assert figures["test/song/all_on_top_lo"] <= figures["test/song/all_on_top"] <= figures["test/song/all_on_top_hi"]
    for decided, own, limits in zip(test["decision"], p, cut, strict=True):
        meant = {g for g, q, limit in zip(genres, own, limits, strict=True) if q > limit}
        assert set(filter(None, decided.split("|"))) == meant


def test_a_tree_of_genres(call: Call, songs: Songs, tmp_path: Path) -> None:
    tree = tmp_path / "tree.yaml"
    tree.write_text("tones: [high, low]\nnoise:\n")
    figures, said, _, out = trained(call, tmp_path / "store", *songs.words, f"data.tree={tree}")
    test = said[said["split"] == "test"]
    tonal = test[["truth", "decision"]].isin(["high", "low"])
    assert figures["test/tree/parent_accuracy"] == pytest.approx((tonal["truth"] == tonal["decision"]).mean())
    assert "by the tree of the genres" in " ".join(out.split())
    tree.write_text("tones: [high, low]\n")
    refused = call(*songs.words, f"data.tree={tree}", *TINY, f"store={tmp_path / 'store'}")
    assert refused.code == 2
    assert "the tree has no noise" in refused.err
