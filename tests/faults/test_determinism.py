"""The same seed on the same machine: the same answers to the bit, in whatever process, folder, language and order."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import TINY, Said, Songs, finished, runs_of
from tests.faults.whole import only_whole

Tries = Callable[[int, int], int]
Count = Callable[..., None]
RUNS = {  # what is run twice; each takes another way through the house
    "pictures and an order": ["front=mel", "agg=gru"],
    "bars and a vote": ["slice=bars", "agg=vote", "front=chroma"],
    "augmented": ["augment=all", "agg=attention"],
    "learned": ["front=raw", "net=samplecnn", "agg=mean", "trainer.max_epochs=1"],
    "several": ["task=multi", "agg=transformer", "net=densenet", "trainer.max_epochs=1"],
    "strangers": ["task=open_set", "task.unknown=[noise]", "agg=stats"],
    "by fold": ["split=kfold", "split.n_folds=3", "agg=tcn", "trainer.max_epochs=1"],
}

ON_TWO = ("pictures and an order", "augmented", "learned")  # with two threads as well


def bits(store: Path) -> dict[str, pd.DataFrame]:
    """All that the runs of a store say of songs and slices."""
    found = {}
    for run in runs_of(store):
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
        for name in ("predictions", "slices"):
            if (folder / f"{name}.parquet").is_file():
                key = f"{run.data.tags['kind']}{run.data.tags.get('fold', '')}/{name}"
                found[key] = pd.read_parquet(folder / f"{name}.parquet")
    return found


def weights(store: Path) -> list[str]:
    """Digests of the best weights, run by run."""
    import torch

    found = []
    for run in runs_of(store):
        best = Path(run.info.artifact_uri.removeprefix("file://")) / "checkpoints" / "best.ckpt"
        if best.is_file():
            state = torch.load(best, weights_only=True)["state_dict"]
            own = hashlib.sha256()
            for key in sorted(state):
                own.update(key.encode() + state[key].contiguous().numpy().tobytes())
            found.append(own.hexdigest())
    return found


def same(one: Path, two: Path) -> None:
    a, b = bits(one), bits(two)
    assert a and a.keys() == b.keys()
    for key, frame in a.items():
        pd.testing.assert_frame_equal(frame, b[key], check_exact=True, obj=key)
    assert weights(one) == weights(two)


def elsewhere(folder: Path, threads: int) -> dict[str, object]:
    """A process whose surroundings are as unlike this one's as may be."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"PYTHONHASHSEED": str(random.randrange(1, 2**31)), "LC_ALL": "C", "TZ": "Asia/Kathmandu", "COLUMNS": "40"}
    own |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "HOME": str(folder)}
    return {"cwd": folder, "env": os.environ | own}


@pytest.mark.parametrize(("name", "threads"), [(n, 1) for n in RUNS] + [(n, 2) for n in ON_TWO])
def test_two_processes_say_the_same_to_the_bit(
    name: str, threads: int, songs: Songs, tmp_path: Path, tries: Tries, count: Count
) -> None:
    """fp32, the number of threads fixed: one process in this one's surroundings, one elsewhere, each with its store."""
    only_whole(tries)
    words = [*songs.words, *TINY, "card=null", f"trainer.threads={threads}", *RUNS[name]]
    there = tmp_path / "elsewhere"
    said = [
        finished(*words, f"store={tmp_path / 'one'}", env=os.environ | {"OMP_NUM_THREADS": str(threads)}),
        finished(*words, f"store={there / 'two'}", **elsewhere(there, threads)),
    ]
    assert [s.code for s in said] == [0, 0], said[0].err + said[1].err
    same(tmp_path / "one", there / "two")
    count("runs that came out the same to the bit")


def test_pictures_of_one_store_are_those_of_another(
    songs: Songs, tmp_path: Path, call: Callable[..., Said], tries: Tries
) -> None:
    """Cold and warm: a run on pictures that another run has drawn says what it would have said without it."""
    only_whole(tries)
    words = [*songs.words, *TINY, "card=null", "trainer.max_epochs=1"]
    assert call(*words, "agg=vote", f"store={tmp_path / 'warm'}").code == 0  # draws the pictures
    assert call(*words, "agg=mean", f"store={tmp_path / 'warm'}").code == 0
    assert call(*words, "agg=mean", f"store={tmp_path / 'cold'}").code == 0
    warm, cold = runs_of(tmp_path / "warm", "tags.agg = 'mean'"), runs_of(tmp_path / "cold")
    one, two = (
        pd.read_parquet(Path(r[0].info.artifact_uri.removeprefix("file://")) / "slices.parquet") for r in (warm, cold)
    )
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_another_seed_is_another_answer(songs: Songs, tmp_path: Path, call: Callable[..., Said], tries: Tries) -> None:
    """Or the tests above would hold of a program that always says the same."""
    only_whole(tries)
    words = [*songs.words, *TINY, "card=null", "trainer.max_epochs=1", "split_seed=0"]
    for seed in (0, 1):
        assert call(*words, f"seed={seed}", f"store={tmp_path / str(seed)}").code == 0
    assert weights(tmp_path / "0") != weights(tmp_path / "1")
    one, two = (bits(tmp_path / s)["run/predictions"] for s in "01")
    assert list(one["id"]) == list(two["id"])
    assert not one.equals(two)


MAKE = """
import sys, yaml
from pathlib import Path
from genrelab.data.synth.corpus import Synth
from genrelab.paths import conf_dir
conf = yaml.safe_load((conf_dir() / "data" / "synth.yaml").read_text())
conf.pop("_target_")
more = yaml.safe_load(sys.argv[3])
print(Synth(**conf | {"n_songs": 24, "song_s": 4, "sample_rate": 22050, "n_jobs": int(sys.argv[2])} | more)
      .manifest(Path(sys.argv[1])))
"""
DIALS = [
    "{}",
    "{closeness: 0.5, label_noise: 0.2}",
    "{blend: 0.3}",
    "{order_only: true, song_s: 5.12}",
    "{studio_genre_correlation: 0.9}",
]


def test_the_embedded_corpus_is_the_same_in_every_process(tmp_path: Path, tries: Tries, count: Count) -> None:
    """Threads, jobs, hash seed, language, folder and time zone are others; every byte is the same."""
    for n, dials in enumerate(DIALS[: tries(1, len(DIALS))]):
        made = []
        for threads, jobs in ((1, 1), (2, 2)):
            home = tmp_path / f"{n}-{threads}"
            said = finished(str(home / "corpus"), jobs, dials, python=("-c", MAKE), **elsewhere(home, threads))
            assert said.code == 0, said.err
            root = Path(said.out.strip()).parent
            files = sorted(p for p in root.rglob("*") if p.is_file())
            made.append({p.relative_to(root).as_posix(): p.read_bytes() for p in files})
        assert made[0].keys() == made[1].keys()
        assert len([name for name in made[0] if name.endswith((".flac", ".wav"))]) == 24
        assert [k for k in made[0] if made[0][k] != made[1][k]] == []
        count("embedded songs that are the same in every byte", 24)


def test_a_split_is_drawn_alike_in_every_process(tmp_path: Path, count: Count) -> None:
    code = (
        "from pathlib import Path; from genrelab.data.split import Grouped, KFold; from genrelab.types import Track\n"
        "t = [Track(f's{i}', Path('x'), ('abc'[i % 3],), artist=f'a{i // 4}') for i in range(120)]\n"
        "print([s.digest for m in (Grouped('auto', 4, None), KFold('artist', 4)) for s in m.splits(t, 7)])"
    )
    said = [finished(python=("-c", code), **elsewhere(tmp_path / str(i), 1)).out for i in range(2)]
    assert said[0].startswith("['") and len(set(said)) == 1
    count("splits drawn in a process of their own", 2)
