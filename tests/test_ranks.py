"""A training over two processes is the training of one: the same weights, figures and answers."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from genrelab import compose, ranks
from genrelab.types import UserError
from tests.conftest import TINY, Said, Songs, finished, program, runs_of
from tests.faults.sameness import folder_of

Call = Callable[..., Said]
# 30 songs in batches of 7, the last with 2: what is drawn at random is off, so that who has a song cannot matter
PLAIN = (*TINY, "trainer.batch_songs=7", "trainer.balance=false", "net.dropout=0", "card=null")
TWO = ("trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", *PLAIN)
GRU = "agg.dropout=0"


def same(store: Path, reference: Path) -> None:
    """The newest run beside that of one process: within float error."""
    mine, theirs = runs_of(store)[0], runs_of(reference)[0]
    assert mine.info.status == "FINISHED"
    weights = [torch.load(folder_of(r) / "checkpoints/best.ckpt", weights_only=True) for r in (mine, theirs)]
    assert weights[0]["epoch"] == weights[1]["epoch"]
    for name, value in weights[1]["state_dict"].items():
        assert torch.allclose(weights[0]["state_dict"][name], value, rtol=1e-4, atol=1e-5), name
    for key, value in theirs.data.metrics.items():
        if key.startswith(("train/", "val/", "test/")):
            assert mine.data.metrics[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key
    for name in ("predictions", "slices"):
        tables = [pd.read_parquet(folder_of(r) / f"{name}.parquet") for r in (mine, theirs)]
        assert len(tables[1])
        pd.testing.assert_frame_equal(*tables, check_exact=False, rtol=1e-3, atol=1e-4)
    assert mine.data.tags["config_hash"] == theirs.data.tags["config_hash"]
    assert not list(folder_of(mine).rglob("rank*")), "what the processes told one another is left"


@pytest.fixture(scope="module")
def by_one(songs: Songs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from genrelab.cli import main

    store = tmp_path_factory.mktemp("one")
    assert main([*songs.words, *PLAIN, GRU, f"store={store}"]) == 0
    return store


def test_two_processes_train_the_model_of_one(call: Call, songs: Songs, by_one: Path, tmp_path: Path) -> None:
    """Batches that do not divide, a last one without a song for the second: each song counts once."""
    said = call(*songs.words, *TWO, GRU, f"store={tmp_path}")
    assert said.code == 0, said.err
    assert "sync_dist" not in said.err
    same(tmp_path, by_one)
    assert not {"LOCAL_RANK", "WORLD_SIZE"} & os.environ.keys()


@pytest.mark.slow
def test_folds_are_trained_one_after_another_by_processes_of_their_own(
    call: Call, songs: Songs, tmp_path: Path
) -> None:
    words = (*songs.words, "split=kfold", "split.n_folds=3", "agg=vote", "trainer.max_epochs=1")
    assert call(*words, *PLAIN, "trainer.max_epochs=1", f"store={tmp_path / 'one'}").code == 0
    assert call(*words, *TWO, "trainer.max_epochs=1", f"store={tmp_path / 'two'}").code == 0
    for kind in ("kfold", "fold"):
        mine, theirs = ([r for r in runs_of(tmp_path / s) if r.data.tags["kind"] == kind] for s in ("two", "one"))
        assert [r.info.status for r in mine] == [r.info.status for r in theirs] == len(theirs) * ["FINISHED"]
        for a, b in zip(mine, theirs, strict=True):
            own, other = (pd.read_parquet(folder_of(r) / "predictions.parquet") for r in (a, b))
            pd.testing.assert_frame_equal(own, other, check_exact=False, rtol=1e-3, atol=1e-4)


def test_torchrun_starts_the_processes(songs: Songs, by_one: Path, tmp_path: Path) -> None:
    two = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "genrelab")
    said = finished(*songs.words, *TWO, GRU, "trainer.devices=auto", f"store={tmp_path}", python=two)
    assert said.code == 0, said.err
    assert said.out.count("on tones, run") == 1, "one of them tells"
    same(tmp_path, by_one)


def test_slurm_starts_the_processes(songs: Songs, by_one: Path, tmp_path: Path) -> None:
    """Its environment as `srun --ntasks=2` sets it; there is no SLURM here."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "genrelab", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    job |= {"SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": str(port)}
    job |= {"SLURM_STEP_NODELIST": "127.0.0.1", "MASTER_ADDR": "127.0.0.1"}
    words = (*songs.words, *TWO, GRU, f"store={tmp_path}")
    started = [
        program(*words, env=os.environ | job | {"SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)}) for k in (0, 1)
    ]
    ended = [(*process.communicate(timeout=180), process.returncode) for process in started]
    assert [code for *_, code in ended] == [0, 0], [err for _, err, _ in ended]
    assert not ended[1][0]
    same(tmp_path, by_one)


def test_where_another_process_dies_the_run_fails_in_a_line(songs: Songs, tmp_path: Path) -> None:
    long = ("trainer.max_epochs=200", "trainer.patience=null", f"store={tmp_path}")
    process = program(*songs.words, *TWO, *long)
    until = time.monotonic() + 100
    while not list(tmp_path.glob("artifacts/*/*/artifacts/checkpoints/last.ckpt")) and time.monotonic() < until:
        time.sleep(0.05)
    ours = [int(p.parent.name) for p in Path("/proc").glob("[0-9]*/cmdline") if _follows(p, tmp_path)]
    assert len(ours) == 1
    os.kill(ours[0], 9)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "another process of the training ended with -9" in err
    assert runs_of(tmp_path)[0].info.status == "FAILED"


def _follows(cmdline: Path, store: Path) -> bool:
    try:
        words = cmdline.read_bytes().split(b"\0")
    except OSError:
        return False
    return b"rank" in words and any(str(store).encode() in w for w in words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trainer.devices=2"], "trainer.devices=2: several processes want trainer=ddp"),
        (["trainer=ddp", "trainer.devices=0"], "trainer.devices=0: expected a whole number"),
        (["trainer=ddp", "trainer.num_nodes=2"], "are started by srun or torchrun"),
        (["trainer=ddp", "trainer.strategy=fsdp"], "trainer.strategy=fsdp: expected auto (one process) or ddp"),
    ],
)
def test_words_about_processes_that_do_not_fit(words: list[str], said: str) -> None:
    with pytest.raises(UserError) as error:
        ranks.check(compose.composed(words)["trainer"])
    assert said in str(error.value)


def test_what_processes_count_for_is_what_one_would_have(songs: Songs) -> None:
    """The mean over songs and slices of parts, each with its shares, is that of the whole."""
    from genrelab.types import Scores

    task = compose.instantiate(compose.composed([])["task"])
    torch.manual_seed(0)
    n_slices = torch.tensor([3, 1, 4, 2, 5])
    owner = torch.repeat_interleave(torch.arange(5), n_slices)
    song, of_slice, target = torch.randn(5, 3), torch.randn(15, 3), torch.eye(3)[[0, 1, 2, 0, 1]]

    def loss(places: list[int], *shares: tuple[float, float]) -> float:
        own = torch.isin(owner, torch.tensor(places))
        again = torch.tensor([places.index(int(i)) for i in owner[own]])
        scores = Scores(song[places], of_slice[own], again, torch.zeros(int(own.sum()), 1))
        return float(task.loss(scores, target[places], True, *shares))

    parts = [[0, 2, 4], [1, 3]]
    shares = [(2 * len(p) / 5, 2 * int(n_slices[p].sum()) / 15) for p in parts]
    assert np.mean([loss(p, s) for p, s in zip(parts, shares, strict=True)]) == pytest.approx(loss([*range(5)]))
