"""`embed`: a run's embeddings in a file are those that its own answers were made of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from genrelab import compose
from tests.commands.conftest import N_FOLDS
from tests.conftest import GENRES, RATE, TINY, Said, Songs, Trained, client, runs_of, wave, write_manifest

Call = Callable[..., Said]
CHANCES = [f"p/{g}" for g in GENRES]


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def dims(table: pd.DataFrame) -> list[str]:
    return [c for c in table.columns if c.startswith("z")]


def embed(call: Call, store: Path, run: str, out: Path, *words: str) -> pd.DataFrame:
    said = call("embed", run, "--out", out, *words, f"store={store}")
    assert said.code == 0, said.err
    assert [p.name for p in out.parent.glob(f"{out.name}*")] == [out.name]  # nothing half written lies beside it
    table = pd.read_parquet(out)
    line = " ".join(said.out.split())
    assert str(out) in line
    assert f"{len(table)} {'slices' if words else 'songs'} x {len(dims(table))} dimensions" in line
    return table


def said_of(folder: Path, slices: pd.DataFrame) -> pd.DataFrame:
    """The slice probabilities that the model in a run's folder gives to embeddings."""
    head = compose.restore(folder).model.slice_head
    with torch.no_grad():
        p = head(torch.from_numpy(slices[dims(slices)].to_numpy(copy=True))).softmax(1).numpy()
    return slices[["id", "split", "start_s", "end_s", "truth"]].assign(**dict(zip(CHANCES, p.T, strict=True)))


def same_answers(mine: pd.DataFrame, runs_own: pd.DataFrame) -> None:
    """Every slice that the run answered is among mine and has the same probabilities."""
    both = runs_own.merge(mine, on=["id", "split", "start_s", "end_s", "truth"], suffixes=("", "_mine"))
    assert len(both) == len(runs_own)
    np.testing.assert_allclose(both[[f"{c}_mine" for c in CHANCES]], both[CHANCES], atol=1e-4)


def one_line(said: Said, *parts: str) -> None:
    assert said.code == 2, said
    assert len(said.err.splitlines()) == 1, said.err
    assert not said.out
    for part in parts:
        assert part in said.err, said.err


@pytest.fixture
def slices(call: Call, trained: Trained, tmp_path: Path) -> pd.DataFrame:
    return embed(call, trained.store, trained.id, tmp_path / "slices.parquet", "--slices")


def test_a_row_a_song_with_its_side_and_its_truth(call: Call, trained: Trained, tmp_path: Path) -> None:
    table = embed(call, trained.store, "last", tmp_path / "songs.parquet")
    sides = pd.read_csv(trained.folder / "split.csv").set_index("id")
    assert table["id"].is_unique
    assert set(table["id"]) == set(sides.index)
    assert table["split"].tolist() == sides.loc[table["id"], "side"].tolist()
    assert table["split_group"].tolist() == sides.loc[table["id"], "group"].tolist()
    assert (table["truth"] == table["id"].str.split("/").str[0]).all()
    assert (table["labels"] == table["truth"]).all()
    assert (table["artist"] == table["split_group"]).all()
    assert table["album"].isna().all()
    assert (table["n_slices"] == 2).all()
    assert "fold" not in table
    assert len(dims(table)) == compose.restore(trained.folder).model.net.dim
    assert set(table[dims(table)].dtypes) == {np.dtype(np.float32)}


def test_slices_and_the_songs_that_are_their_means(
    call: Call, trained: Trained, slices: pd.DataFrame, tmp_path: Path
) -> None:
    songs = embed(call, trained.store, "best", tmp_path / "songs.parquet")
    assert len(slices) == songs["n_slices"].sum()
    assert slices["start_s"].tolist() == [0.0, pytest.approx(2.56)] * len(songs)
    np.testing.assert_allclose(slices["end_s"] - slices["start_s"], 2.56)
    means = slices.groupby("id", sort=False)[dims(slices)].mean()
    assert means.index.tolist() == songs["id"].tolist()
    np.testing.assert_allclose(songs[dims(songs)], means, atol=1e-6)
    assert slices[dims(slices)].to_numpy().std() > 0.01  # no table of zeros


def test_embeddings_give_the_runs_own_slice_answers(trained: Trained, slices: pd.DataFrame) -> None:
    same_answers(said_of(trained.folder, slices), pd.read_parquet(trained.folder / "slices.parquet"))


def test_embeddings_give_the_runs_own_song_answers(trained: Trained, slices: pd.DataFrame) -> None:
    """Through its aggregator and its rule, too."""
    asked, own = compose.restore(trained.folder), pd.read_parquet(trained.folder / "predictions.parquet")
    z = torch.from_numpy(np.stack([slices.loc[slices["id"] == song, dims(slices)].to_numpy() for song in own["id"]]))
    n_slices = torch.full((len(own),), z.shape[1])
    with torch.no_grad():
        said = asked.model.answers(asked.model.judge(z.flatten(0, 1), n_slices), n_slices)
    np.testing.assert_allclose(said.probabilities(), own[CHANCES], atol=1e-4)
    said = replace(said, texture=np.zeros((len(own), len(asked.rule.known.whiten))))  # of pictures, not of embeddings
    for score, values in asked.rule.knownness(said).items():
        if score == "texture":
            continue
        np.testing.assert_allclose(values, own[f"known/{score}"], rtol=1e-3, err_msg=score)


def test_of_k_folds_each_song_by_the_one_that_tested_it(
    call: Call, songs: Songs, folded: tuple[Path, Any, list[Any]], tmp_path: Path
) -> None:
    store, run, folds = folded
    table = embed(call, store, run.info.run_id, tmp_path / "songs.parquet")
    slices = embed(call, store, run.info.run_name, tmp_path / "slices.parquet", "--slices")
    assert table["id"].is_unique
    assert len(table) == songs.n
    assert set(table["split"]) == {"test"}
    for n, fold in enumerate(folds):
        sides = pd.read_csv(folder_of(fold) / "split.csv")
        assert set(table["id"][table["fold"] == n]) == set(sides["id"][sides["side"] == "test"])
    said = pd.concat([said_of(folder_of(f), slices[slices["fold"] == n]) for n, f in enumerate(folds)])
    pooled = pd.read_parquet(folder_of(run) / "slices.parquet")
    same_answers(said, pooled[pooled["split"] == "test"])


def test_a_fold_alone_is_a_run_with_all_songs(
    call: Call, songs: Songs, folded: tuple[Path, Any, list[Any]], tmp_path: Path
) -> None:
    store, _, folds = folded
    table = embed(call, store, folds[1].info.run_id, tmp_path / "songs.parquet")
    sides = pd.read_csv(folder_of(folds[1]) / "split.csv").set_index("id")["side"]
    assert len(table) == songs.n
    assert table["split"].tolist() == sides[table["id"]].tolist()
    assert set(table["split"]) == {"train", "val", "test"}


def test_a_song_that_no_fold_tested_is_left_out_and_counted(
    call: Call, songs: Songs, folded: tuple[Path, Any, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genrelab.commands import embed as verb

    real, untested = verb._split, "noise/3-1"

    def without(*given: Any) -> Any:
        from dataclasses import replace

        split = real(*given)
        sides = ["unused" if i == untested else s for i, s in zip(split.ids, split.sides, strict=True)]
        return replace(split, sides=tuple(sides))

    monkeypatch.setattr(verb, "_split", without)
    store, run, _ = folded
    said = call("embed", run.info.run_id, "--out", tmp_path / "songs.parquet", f"store={store}")
    assert said.code == 0, said.err
    assert f"left out, since no fold tested them: 1 of {songs.n} songs" in said.err
    table = pd.read_parquet(tmp_path / "songs.parquet")
    assert len(table) == songs.n - 1
    assert untested not in set(table["id"])


def test_of_a_split_by_slice_each_slice_has_its_own_side(call: Call, songs: Songs, tmp_path: Path) -> None:
    words = ["split=slice", "slice.hop_s=1.0", "slice.jitter=false", "trainer.max_epochs=1"]
    assert call(*songs.words, *TINY, *words, f"store={tmp_path / 'store'}").code == 0
    (run,) = runs_of(tmp_path / "store")
    slices = embed(call, tmp_path / "store", "last", tmp_path / "slices.parquet", "--slices")
    assert set(slices["split"]) == {"train", "val", "test"}
    same_answers(said_of(folder_of(run), slices), pd.read_parquet(folder_of(run) / "slices.parquet"))
    whole = embed(call, tmp_path / "store", "last", tmp_path / "songs.parquet")
    assert set(whole["split"]) == {"mixed"}


@pytest.fixture(scope="module")
def strange(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store with a run for which noise is none of the genres, and the manifest of it."""
    from genrelab import foreign
    from genrelab.cli import main

    folder = tmp_path_factory.mktemp("strange")
    shutil.copytree(songs.folder, folder / "tones")
    rows = [[str(p), p.parent.name] for p in sorted(folder.glob("tones/*/*.wav"))]
    table = write_manifest(folder / "table.csv", rows, ("path", "genre"))
    words = ["data=manifest", f"data.path={table}", "task=open_set", "task.unknown=[noise]", "agg=mean"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreign, "N_CLIPS", {"white": 1})  # they take longer than all the rest
        assert main([*words, *TINY, "trainer.max_epochs=1", f"store={folder / 'store'}"]) == 0
    return folder / "store", table


def test_a_song_of_none_of_the_genres_keeps_its_own(call: Call, strange: tuple[Path, Path], tmp_path: Path) -> None:
    table = embed(call, strange[0], "last", tmp_path / "songs.parquet")
    alien = table["labels"] == "noise"
    assert alien.sum() == 16
    assert set(table["truth"][alien]) == {"no tag"}
    assert set(table["split"][alien]) == {"test"}
    assert (table["truth"][~alien] == table["labels"][~alien]).all()


@pytest.mark.parametrize("change", ["a song less", "another genre", "another sound"])
def test_other_songs_than_it_was_trained_on_are_refused(
    call: Call, strange: tuple[Path, Path], change: str, tmp_path: Path
) -> None:
    store, table = strange
    text, song = table.read_text(), table.parent / "tones" / "high" / "0-0.wav"
    header, first, *rest = text.splitlines()
    sound = song.read_bytes()
    assert first == f"{song},high"
    if change == "another sound":
        soundfile.write(song, wave("high", 0, 5), RATE, subtype="PCM_16")
    else:
        own = [f"{song},low"] if change == "another genre" else []
        table.write_text("\n".join([header, *own, *rest]))
    try:
        said = call("embed", "last", "--out", tmp_path / "z.parquet", f"store={store}")
    finally:
        table.write_text(text)
        song.write_bytes(sound)
    one_line(said, "data=manifest", "other songs")
    assert not (tmp_path / "z.parquet").exists()
    assert call("embed", "last", "--out", tmp_path / "z.parquet", f"store={store}").code == 0


def test_names_that_are_no_file_to_write(call: Call, trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file").write_text("here")
    names = {
        "folder.parquet": "folder",
        "z.csv": ".parquet",
        "z": ".parquet",
        "file/z.parquet": "cannot write there",
    }
    for name, why in names.items():
        one_line(call("embed", "last", "--out", tmp_path / name, f"store={trained.store}"), name, why)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.parquet"]
    assert call("embed", "last", f"store={trained.store}").code == 2  # no --out at all


def test_a_folder_that_lacks_is_made(call: Call, trained: Trained, tmp_path: Path) -> None:
    assert len(embed(call, trained.store, "last", tmp_path / "a" / "b" / "z.parquet")) == trained.songs.n


def test_a_disk_that_is_full_leaves_the_old_file(
    call: Call, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: pd.DataFrame, path: Path, **__: Any) -> None:
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    out = tmp_path / "z.parquet"
    out.write_text("old")
    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    one_line(call("embed", "last", "--out", out, f"store={trained.store}"), "No space left on device")
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_runs_that_have_no_model(
    call: Call, trained: Trained, folded: tuple[Path, Any, list[Any]], tmp_path: Path
) -> None:
    store, run, _ = folded
    out = ("--out", tmp_path / "new" / "z.parquet")
    one_line(call("embed", "nope", *out, f"store={trained.store}"), "nope")
    one_line(call("embed", "last", *out, f"store={tmp_path / 'none'}"), "no run in the store")
    there = client(store)
    for status, part in (("KILLED", f"resume={run.info.run_id}"), ("FINISHED", "")):
        there.set_terminated(run.info.run_id, status)
        said = call("embed", run.info.run_id, *out, f"store={store}")
        if part:
            one_line(said, "was cut off", part)
            assert not (tmp_path / "new").exists()
    assert said.code == 0, said.err
    fold = runs_of(store, "tags.fold = '0'")[0]
    there.set_terminated(fold.info.run_id, "FAILED")
    said = call("embed", fold.info.run_id, *out, f"store={store}")
    there.set_terminated(fold.info.run_id, "FINISHED")
    one_line(said, "FAILED", "no finished model")
    assert len(runs_of(store, "tags.kind = 'fold'")) == N_FOLDS
