"""`probe`: cues taken away from a finished run's test songs, what it says and what it leaves in the tracker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genrelab.audio import production
from genrelab.audio.cues import CUES
from genrelab.types import Beats
from tests.conftest import GENRES, RATE, TINY, Said, Songs, Trained, runs_of, wave, write_manifest

Call = Callable[..., Said]
QUICK = "gain,reverse,shuffle"  # the transforms have tests of their own


def probed(call: Call, store: Path, run: str, *words: object) -> tuple[Said, Any, pd.DataFrame]:
    """What it printed, the new run in the tracker and its csv."""
    before = {r.info.run_id for r in runs_of(store)}
    said = call("probe", run, *words, f"store={store}")
    assert said.code == 0, said.err
    (child,) = [r for r in runs_of(store) if r.info.run_id not in before]
    folder = Path(child.info.artifact_uri.removeprefix("file://"))
    assert (folder / "pictures" / "probe.png").stat().st_size > 5000
    return said, child, pd.read_csv(folder / "probe.csv")


def one_line(said: Said, *parts: str) -> None:
    assert said.code == 2, said
    assert len(said.err.splitlines()) == 1, said.err
    for part in parts:
        assert part in said.err, said.err


def test_a_probe_is_a_child_of_its_run_with_a_figure_a_cue(call: Call, trained: Trained) -> None:
    said, child, table = probed(call, trained.store, trained.id, "--cues", QUICK)
    assert child.data.tags["mlflow.parentRunId"] == trained.id
    assert child.data.tags["kind"] == "probe"
    assert child.info.status == "FINISHED"
    predictions = pd.read_parquet(trained.folder / "predictions.parquet")
    own = predictions[predictions["split"] == "test"]
    assert child.data.metrics["songs/test"] == len(own)
    whole = table[table["genre"] == "all"].set_index("cue")
    assert list(whole.index) == QUICK.split(",")
    recall = (own["decision"] == own["truth"]).groupby(own["truth"]).mean()
    assert whole["before"].tolist() == pytest.approx([recall.mean()] * 3)  # the run's own test figure
    assert set(table["genre"]) == {"all", *GENRES}
    for cue, row in whole.iterrows():
        metrics = [child.data.metrics[f"probe/{cue}/{k}"] for k in ("fall", "fall_lo", "fall_hi", "stays", "shift")]
        assert metrics == pytest.approx(row[["fall", "lo", "hi", "stays", "shift"]].tolist())
        genres = table[(table["cue"] == cue) & (table["genre"] != "all")]
        assert row["fall"] == pytest.approx(genres["fall"].mean())
        assert any(line.startswith(str(cue)) for line in said.out.splitlines())
    assert "the order of the slices is a cue" in said.out
    assert any(line.startswith("genre ") for line in said.out.splitlines())  # read off the embeddings
    assert child.data.metrics["probe/read/genre_chance"] == pytest.approx(1 / 3)
    assert call("probe", "last", "--cues", "gain", f"store={trained.store}").code == 0  # the last is no probe


def test_the_same_probe_says_the_same(call: Call, trained: Trained) -> None:
    _, _, one = probed(call, trained.store, "last", "--cues", "shuffle,gain")
    _, _, two = probed(call, trained.store, "last", "--cues", "gain,shuffle")
    two = two.sort_values(["cue", "genre"], ignore_index=True)
    pd.testing.assert_frame_equal(
        one.sort_values(["cue", "genre"], ignore_index=True).drop(columns=["lo", "hi"]), two.drop(columns=["lo", "hi"])
    )


def test_every_cue_can_be_taken_away(call: Call, trained: Trained) -> None:
    said, child, table = probed(call, trained.store, "last", "--cues", "all", "--songs", "6")
    assert set(table["cue"]) == set(CUES) - {"remaster"}  # whose studios the manifest does not know
    assert "remaster is left out" in said.err
    assert child.data.metrics["songs/test"] == 6
    assert np.isfinite(table["fall"]).all()
    failed = call("probe", "last", "--cues", "remaster", f"store={trained.store}")
    assert failed.code == 2
    assert "new_chain needs no studios" in failed.err


def test_fewer_songs_are_still_of_many_artists(call: Call, trained: Trained) -> None:
    """Two artists a genre with two songs each are tested, in the manifest's order."""
    said, _, _ = probed(call, trained.store, "last", "--cues", "gain", "--songs", "6")
    assert "cannot be said" not in said.out  # one artist a genre would leave no interval


def test_of_k_folds_each_song_by_the_one_that_tested_it(
    call: Call, songs: Songs, folded: tuple[Path, Any, list[Any]]
) -> None:
    store, run, _ = folded
    for _ in range(2):  # the first probe is no fold of the second
        _, child, table = probed(call, store, run.info.run_id, "--cues", "gain")
        assert child.data.metrics["songs/test"] == songs.n
        before = table[table["genre"] == "all"]["before"].tolist()
        assert before == pytest.approx([run.data.metrics["test/song/balanced_accuracy"]])


@pytest.fixture(scope="module")
def studios(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run on songs of two studios."""
    from genrelab.cli import main

    folder = tmp_path_factory.mktemp("studios")
    rows = [
        [str(p), p.parent.name, f"{p.parent.name} {p.stem[0]}", f"studio {p.stem[-1]}"]
        for g in GENRES
        for p in sorted((songs.folder / g).glob("*.wav"))
    ]
    table = write_manifest(folder / "table.csv", rows, ("path", "genre", "artist", "studio"))
    assert main(["data=manifest", f"data.path={table}", *TINY, "split=artist", f"store={folder / 'store'}"]) == 0
    return folder / "store"


def test_where_studios_are_known_songs_are_moved_to_others_and_studios_read(call: Call, studios: Path) -> None:
    said, child, table = probed(call, studios, "last", "--cues", "remaster,gain")
    assert set(table["cue"]) == {"remaster", "gain"}
    assert "the studio is a cue" in said.out
    assert "remastering costs" in said.out
    assert child.data.metrics["probe/read/studio_chance"] == 0.5
    assert {"probe/read/studio", "probe/read/artist"} <= set(child.data.metrics)


def test_a_split_by_slice_has_no_song_to_probe_with(call: Call, songs: Songs, tmp_path: Path) -> None:
    assert call(*songs.words, *TINY, "split=slice", "trainer.max_epochs=1", f"store={tmp_path}").code == 0
    failed = call("probe", "last", f"store={tmp_path}")
    assert failed.code == 2
    assert "split by slice" in failed.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["nope"], "nope"),
        (["last", "--cues", "remastr"], "did you mean remaster?"),
        (["last", "--cues", " , "], "names none"),
        (["last", "--songs", "0"], "--songs"),
    ],
)
def test_wrong_words_end_in_one_line(call: Call, trained: Trained, words: list[str], part: str) -> None:
    one_line(call("probe", *words, f"store={trained.store}"), part)


def test_versions_are_as_long_as_their_wave() -> None:
    own = wave("low", 0, 0, 3.0).astype(np.float32)
    for name, cue in CUES.items():
        for version in cue.versions:
            made = version.wave(own, RATE, np.random.default_rng(0))
            assert made.shape == own.shape, name
            assert np.isfinite(made).all()
            assert not np.allclose(made, own), name


def test_beats_follow_what_is_done_to_the_wave() -> None:
    grid = Beats(np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0]), np.array([3, 1, 2, 3, 1, 2]), "annotated", 1.0)
    faster, slower = (v.beats(grid, 4.0) for v in CUES["tempo"].versions)
    np.testing.assert_allclose(faster.times_s, grid.times_s / 1.06)
    np.testing.assert_allclose(slower.times_s, grid.times_s / 0.94)
    assert len(slower.times_s) == len(CUES["tempo"].versions[1].beats(grid, 3.0).times_s) + 1  # one left the song
    back = CUES["reverse"].versions[0].beats(grid, 4.0)
    np.testing.assert_allclose(back.times_s, [1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
    assert back.beat_in_bar.tolist() == [2, 1, 2, 3, 1, 2]
    assert CUES["gain"].versions[0].beats(None, 4.0) is None


def test_studios_are_told_from_the_music_of_their_artists() -> None:
    """Levels made of an artist's own and a studio's, nine of ten songs of an artist in one studio of two."""
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(40), 10)
    home = np.where(artist < 20, 0, 1)
    studio = np.where(np.arange(400) % 10 == 0, 1 - home, home)
    made = np.array([[0, 0, 0], [6, -3, 0]])  # dB
    levels = rng.normal(0, 8, (40, 3))[artist] + made[studio] + rng.normal(0, 1, (400, 3))
    found = production.fitted(levels, [f"s{s}" for s in studio], [f"a{a}" for a in artist])
    np.testing.assert_allclose(found["s1"] - found["s0"], made[1] - made[0], atol=0.6)


def test_an_equaliser_changes_the_levels_by_its_gains() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32)
    gain = np.linspace(-9, 9, len(production.centres(RATE)))
    changed = production.equalised(noise, RATE, gain)
    np.testing.assert_allclose(production.levels(changed, RATE) - production.levels(noise, RATE), gain, atol=0.8)
    np.testing.assert_allclose(production.equalised(noise, RATE, 0 * gain), noise, atol=1e-6)
