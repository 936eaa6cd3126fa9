"""`rerun`: the same answers to the bit; where something has changed, it says what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import soundfile
import torch

from genrelab import compose, fit, speed
from tests.conftest import RATE, TINY, Said, Songs, finished, make_songs, runs_of, wave

Call = Callable[..., Said]


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def words(said: Said) -> str:
    return " ".join(said.out.split())


def newest(store: Path) -> Any:
    return runs_of(store)[-1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Songs]:
    """A store and songs that these tests may change and put back."""
    from genrelab.cli import main

    songs = make_songs(tmp_path_factory.mktemp("rerun") / "tones")
    store = songs.folder.parent / "store"
    assert main([*songs.words, *TINY, f"store={store}"]) == 0
    return store, songs


def test_a_fresh_process_says_the_same_to_the_bit(made: tuple[Path, Songs], tmp_path: Path) -> None:
    """From another folder, by the beginning of its id."""
    store, _ = made
    first = runs_of(store)[0]
    said = finished("rerun", first.info.run_id[:10], f"store={store}", cwd=tmp_path)
    assert said.code == 0, said.err
    assert "identical to the bit" in said.out
    again = newest(store)
    assert again.info.run_id != first.info.run_id
    assert again.data.tags["rerun_of"] == first.info.run_id
    assert again.data.tags["rerun"] == "identical"
    for key in ("kind", "precision", "threads", "config_hash", "data_digest", "split_digest", "overrides"):
        assert again.data.tags[key] == first.data.tags[key]
    for name in ("predictions", "slices"):
        mine, theirs = (pd.read_parquet(folder_of(r) / f"{name}.parquet") for r in (again, first))
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
    told = json.loads((folder_of(again) / "rerun.json").read_text())
    assert told["identical"] is True
    assert told["differences"] == told["figures"] == []


def test_the_parts_with_chance_in_them_are_repeated_too(call: Call, songs: Songs, tmp_path: Path) -> None:
    """A learned front-end, a net on top with dropout, changed sounds and pictures, in a cold store and a warm one."""
    parts = ("front=raw", "agg=transformer", "augment=all", "trainer.max_epochs=1", "trainer.precision=auto")
    assert call(*songs.words, *TINY, *parts, f"store={tmp_path}").code == 0
    said = call("rerun", "last", f"store={tmp_path}")
    assert said.code == 0, said.out


def test_what_was_measured_is_replayed_and_not_measured_again(
    call: Call, songs: Songs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [w for w in TINY if not w.startswith(("trainer.precision", "trainer.threads"))]

    def measured(precision: str) -> None:
        def choose(
            store: Path, what: str, step: Any, net: Any, dials: dict[str, Any], threads: int, **_: Any
        ) -> speed.Choice:
            chosen = replace(speed.Choice(precision, threads=threads), **dials)
            speed.use(chosen, net)
            return chosen

        monkeypatch.setattr(speed, "choose", choose)

    measured("bf16-mixed")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert call(*songs.words, *given, f"store={tmp_path}").code == 0
    measured("32-true")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    during = []
    real = fit.fit

    def spied(*given: Any, **more: Any) -> Any:
        out = real(*given, **more)
        during.append(torch.get_num_threads())
        return out

    monkeypatch.setattr(fit, "fit", spied)
    said = call("rerun", "last", f"store={tmp_path}")
    assert said.code == 0, said.out
    assert during == [2]
    first, again = runs_of(tmp_path)
    for run in (first, again):
        assert run.data.tags["precision"] == "bf16-mixed"
        assert run.data.tags["threads"] == "2"
    assert first.data.tags["config_hash"] == again.data.tags["config_hash"]


def test_other_weights_are_a_difference_that_is_described(
    call: Call, made: tuple[Path, Songs], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = made
    real = compose.build

    def moved(*given: Any, **more: Any) -> Any:
        model = real(*given, **more)
        with torch.no_grad():
            model.slice_head.weight += 0.5 * torch.randn(
                model.slice_head.weight.shape, generator=torch.Generator().manual_seed(1)
            )
        return model

    monkeypatch.setattr(fit, "build", moved)
    first = runs_of(store)[0].info.run_id
    said = call("rerun", first, f"store={store}")
    assert said.code == 1
    assert "different" in said.out
    assert "the largest difference of a probability is" in words(said)
    assert "on the 12 test songs" in words(said) or "of 12 test songs" in words(said)
    assert "genrelab does not know why" in words(said)
    again = newest(store)
    assert again.data.tags["rerun"] == "differs"
    assert json.loads((folder_of(again) / "rerun.json").read_text())["differences"]


def test_other_versions_are_named_before_and_after(call: Call, made: tuple[Path, Songs]) -> None:
    store, _ = made
    first = runs_of(store)[0]
    path = folder_of(first) / "environment.json"
    before = path.read_text()
    then = json.loads(before)
    then["versions"]["numpy"], then["threads"] = "1.0", 64
    try:
        path.write_text(json.dumps(then))
        said = call("rerun", first.info.run_id, f"store={store}")
        assert said.code == 0
        for text in (" ".join(said.err.split()), words(said)):
            assert "numpy 1.0 then" in text
            assert "threads 64 then, 1 now" in text
        path.unlink()
        said = call("rerun", first.info.run_id, f"store={store}")
        assert said.code == 0
        assert "did not record versions" in said.err
    finally:
        path.write_text(before)


def test_other_songs_are_refused_and_named(call: Call, made: tuple[Path, Songs]) -> None:
    store, songs = made
    first, n = runs_of(store)[0].info.run_id, len(runs_of(store))
    path, rows = songs.folder / "low" / "0-0.wav", songs.manifest.read_text()
    sound = path.read_bytes()
    soundfile.write(path, wave("low", 0, 7), RATE, subtype="PCM_16")
    said = call("rerun", first, f"store={store}")
    assert said.code == 2
    assert "the same names with other sound, labels or columns" in said.err
    path.write_bytes(sound)
    songs.manifest.write_text("\n".join(rows.splitlines()[:-2]))
    said = call("rerun", first, f"store={store}")
    songs.manifest.write_text(rows)
    assert said.code == 2
    assert "2 gone (" in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert len(runs_of(store)) == n
    assert call("rerun", first, f"store={store}").code == 0


def test_another_split_is_refused(call: Call, made: tuple[Path, Songs], monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = made
    first = runs_of(store)[0]
    real = compose.splits
    monkeypatch.setattr(compose, "splits", lambda config, prepared: real(config | {"split_seed": 7}, prepared))
    said = call("rerun", first.info.run_id, f"store={store}")
    assert said.code == 2
    assert f"split=file split.path={folder_of(first) / 'split.csv'}" in said.err


def test_a_kfold_run_is_repeated_fold_by_fold(call: Call, songs: Songs, tmp_path: Path) -> None:
    given = ("trainer.max_epochs=1", "split=kfold", "split.n_folds=3")
    assert call(*songs.words, *TINY, *given, f"store={tmp_path}").code == 0
    said = call("rerun", "last", f"store={tmp_path}")
    assert said.code == 0, said.out
    assert "3 folds" in words(said)
    runs = runs_of(tmp_path)
    assert [r.data.tags["kind"] for r in runs] == ["kfold", "fold", "fold", "fold"] * 2
    assert [r.data.tags["rerun_of"] for r in runs[4:]] == [r.info.run_id for r in runs[:4]]
    assert all(r.data.tags["mlflow.parentRunId"] == runs[4].info.run_id for r in runs[5:])
    said = call("rerun", runs[1].info.run_id, f"store={tmp_path}")
    assert said.code == 2
    assert f"rerun {runs[0].info.run_id}" in said.err


def test_a_child_of_a_stacked_sweep_is_repeated_alone(call: Call, songs: Songs, tmp_path: Path) -> None:
    assert call(*songs.words, *TINY, f"store={tmp_path}").code == 0
    first = runs_of(tmp_path)[0].info.run_id
    stacked = ("-m", "net=frozen", f"net.run={first}", "agg=mean,attention", *TINY)
    assert call(*songs.words, *stacked, f"store={tmp_path}").code == 0
    sweep, child = (
        next(r for r in runs_of(tmp_path) if r.data.tags.get(k) == v)
        for k, v in (("kind", "sweep"), ("agg", "attention"))
    )
    said = call("rerun", sweep.info.run_id, f"store={tmp_path}")
    assert said.code == 2
    assert "is a sweep" in said.err
    for path in (tmp_path / "cache" / "embeddings").glob("*.npy"):
        path.unlink()  # computed anew, they are the same
    said = call("rerun", child.info.run_id, f"store={tmp_path}")
    assert said.code == 0, said.out
    assert "mlflow.parentRunId" not in newest(tmp_path).data.tags


def test_a_run_that_fails_on_the_way_is_ended(
    call: Call, made: tuple[Path, Songs], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = made
    first = runs_of(store)[0].info.run_id
    for error, code, status in ((RuntimeError("no disk"), 1, "FAILED"), (KeyboardInterrupt(), 130, "KILLED")):

        def broken(*_: Any, error: BaseException = error, **__: Any) -> Any:
            raise error

        monkeypatch.setattr(fit, "fit", broken)
        said = call("rerun", first, f"store={store}")
        assert said.code == code
        assert newest(store).info.status == status
    goal = newest(store).info.run_id
    assert said.err.splitlines()[-1].endswith(f"resume={goal}")
    said = call("rerun", goal, f"store={store}")
    assert said.code == 2
    assert "was cut off (KILLED)" in said.err


def test_lost_answers_are_said(call: Call, made: tuple[Path, Songs]) -> None:
    store, _ = made
    first = runs_of(store)[0]
    path = folder_of(first) / "predictions.parquet"
    kept = path.read_bytes()
    path.unlink()
    said = call("rerun", first.info.run_id, f"store={store}")
    path.write_bytes(kept)
    assert said.code == 2
    assert "are gone from" in said.err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "Missing argument 'run'"),
        (["nobody"], "no run 'nobody'"),
        (["last", "seed=1"], "unexpected extra argument"),
    ],
)
def test_wrong_words_end_in_a_line(call: Call, made: tuple[Path, Songs], given: list[str], expected: str) -> None:
    said = call("rerun", *given, f"store={made[0]}")
    assert said.code == 2
    assert expected in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_an_empty_store_is_said(call: Call, tmp_path: Path) -> None:
    said = call("rerun", "last", f"store={tmp_path}")
    assert said.code == 2
    assert "no run in the store" in said.err
    assert not (tmp_path / "mlflow.db").exists()
