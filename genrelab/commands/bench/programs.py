"""The program as a user starts it: the rows of `bench all` about whole runs, start-up and memory."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from genrelab import paths
from genrelab.commands.bench.lines import Line, Session, alone
from genrelab.commands.bench.sound import FILE_RATE, Work, clips
from genrelab.commands.bench.timing import Candidate, compete
from genrelab.types import digest

N_CLIPS, N_ENCODED, N_EPOCHS, GENRES = 200, 24, 20, ("a", "b", "c", "d", "e", "f")
ORIGINAL = paths.PACKAGE.parent / "experiments" / "cost" / "original.py"
HEAVY = "import torch, torchaudio, pytorch_lightning, mlflow, pandas"
IMPORTS = "import torch, torchaudio, pytorch_lightning, mlflow, hydra, genrelab.fit"
FIRST_STEP = """
import os, sys, time
from genrelab import fit
fit.Bar.on_train_batch_end = lambda *_: (print(time.time(), flush=True), os._exit(0))
from genrelab.cli import main
main(sys.argv[1:])
"""


def genrelab(*words: str) -> float:
    """Seconds of `python -m genrelab WORDS`. Raises RuntimeError where it fails."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "genrelab", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise RuntimeError(f"genrelab {' '.join(words)} ended with {done.returncode}: {' '.join(last)}")
    return time.perf_counter() - start


def python(code: str, *words: str) -> tuple[float, str]:
    """Seconds of `python -c CODE WORDS`, and what it printed last."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return time.perf_counter() - start, (done.stdout.strip().splitlines() or [""])[-1]


def songs(folder: Path) -> Path:
    """200 MP3s of 30 s in six folders: a few made clips, each with a tag of its own, so that no two files are alike."""
    import soundfile

    home = folder / "songs"
    if home.is_dir():
        return home
    part = folder / "songs.part"
    waves = [soundfile.read(file, dtype="float32")[0] for file in clips(folder, 4, ".wav")]
    seconds = np.arange(len(waves[0])) / FILE_RATE
    encoded = []
    for n in range(N_ENCODED):
        own = np.roll(waves[n % len(waves)], 4001 * n, axis=0)
        tone = 0.05 * np.sin(2 * np.pi * (110 * 2 ** (n % len(GENRES) / 3)) * seconds)
        made = io.BytesIO()
        soundfile.write(made, np.clip(own + tone[:, None], -1, 1), FILE_RATE, format="MP3")
        encoded.append(made.getvalue())
    for n in range(N_CLIPS):
        genre = GENRES[n % len(GENRES)]
        (part / genre).mkdir(parents=True, exist_ok=True)
        (part / genre / f"{n}.mp3").write_bytes(_titled(n) + encoded[n % N_ENCODED])
    part.rename(home)
    return home


def _titled(n: int) -> bytes:
    """An ID3 tag with a title."""
    frame = b"TIT2" + (5).to_bytes(4, "big") + bytes(2) + b"\x00" + f"{n:04d}".encode()
    return b"ID3\x03\x00\x00" + bytes([0, 0, 0, len(frame)]) + frame


def experiment(session: Session) -> list[Line]:
    """A whole experiment from nothing beside the original recipe, then the next one with the same front-end."""
    store = session.folder / "experiment"
    words = [*_of(session, store), f"trainer.max_epochs={N_EPOCHS}"]
    words += ["trainer.patience=null", "agg=vote", "baselines=false"]
    cold_s = genrelab(*words)
    what = f"whole experiment, cold: {N_CLIPS} clips, {N_EPOCHS} epochs"
    warm_s = genrelab(*words, "agg=mean")
    share = 100 * _data_s(store) / warm_s
    told = [alone("next run with the same front-end: its data stage", [share], "%", 2.0, note=f"of {warm_s:.0f} s")]
    peer = "the original recipe"
    if not ORIGINAL.is_file() or not shutil.which("sox"):
        lacks = "wants a checkout of genrelab" if not ORIGINAL.is_file() else "not installed: apt-get install sox"
        return [Line(what, peer, None, None, None, "×", 25.0, False, lacks), *told]
    short = [] if session.whole else ["--epochs-timed", "1", "--songs-timed", "20"]
    asked = [
        sys.executable,
        str(ORIGINAL),
        str(songs(session.folder)),
        str(session.folder / "original"),
        "--epochs",
        str(N_EPOCHS),
    ]
    done = subprocess.run([*asked, *short], capture_output=True, text=True, check=True)
    original = json.loads(done.stdout.strip().splitlines()[-1])
    value = original["total_s"] / cold_s
    how = "run whole" if session.whole else "one epoch and 20 songs of the original timed, the rest extrapolated"
    note = f"genrelab {cold_s:.0f} s, the original {original['total_s']:,.0f} s ({how})"
    return [Line(what, peer, value, value, value, "×", 25.0, False, note), *told]


def _of(session: Session, store: Path) -> list[str]:
    return ["data=folder", f"data.path={songs(session.folder)}", f"store={store}"]


def _data_s(store: Path) -> float:
    """The data stage of the store's newest run."""
    newest = max(store.glob("logs/runs/*/result.json"), key=lambda p: p.stat().st_mtime)
    return float(json.loads(newest.read_text())["figures"]["cost/data_s"])


def aggregators(session: Session) -> list[Line]:
    """All aggregators on one frozen net beside the run that they are stacked on, its data stage not counted."""
    home = session.folder / "aggregators"
    one_s = genrelab(*_of(session, home), "baselines=false") - _data_s(home)
    all_s = genrelab("-m", "net=frozen", "net.run=last", "agg=glob(*)", "baselines=false", f"store={home}")
    note = f"one run, its songs heard already, {one_s:.0f} s"
    return [alone("all aggregators on a frozen net, in runs", [all_s / one_s], "runs", 2.0, note=note)]


def start(session: Session) -> list[Line]:
    """What a command costs before it does anything."""
    found = []
    heavy = [python(HEAVY)[0] for _ in range(session.repeats)]
    for name, words in (("--help", ["--help"]), ("--cfg job", ["--cfg", "job"])):
        taken = [genrelab(*words) for _ in range(session.repeats)]
        found.append(alone(f"python -m genrelab {name}", taken, "s", 0.4, note=f"all imports: {min(heavy):.1f} s"))
    store = f"store={session.folder / 'start'}"
    genrelab("debug=fast", store)
    beyond, imports = [], []
    for _ in range(session.repeats):
        imports.append(python(IMPORTS)[0])
        began = time.time()
        beyond.append(float(python(FIRST_STEP, "debug=fast", store)[1]) - began - imports[-1])
    note = f"imports alone: {min(imports):.1f} s"
    return [*found, alone("command to first training step beyond its imports", beyond, "s", 1.0, note=note)]


def memory(session: Session) -> list[Line]:
    """What 100,000 songs hold in memory beyond 1,000, and how long an epoch takes to begin."""
    few, many = (
        Candidate(f"{n:,} songs", f"{__name__}:corpus", {"folder": str(session.folder), "n": n})
        for n in (1000, 100_000)
    )
    compete([few, many], session.repeats, session.progress("memory"))
    if not (few.ready and many.ready):
        why = few.missing or many.missing
        return [Line("memory from 1,000 to 100,000 songs", "", None, None, None, "MB", 100.0, True, why)]
    grown = many.ready.said["rss_mb"] - few.ready.said["rss_mb"]
    note = f"opened in {many.ready.said['opened_s']:.1f} s, with 1,000 songs in {few.ready.said['opened_s']:.1f} s"
    times = [1000 * (b - a) for a, b in zip(few.taken_s, many.taken_s, strict=True)]
    return [
        alone("memory from 1,000 to 100,000 songs", [grown], "MB", 100.0, note=note),
        alone("start of an epoch, 100,000 songs less 1,000", times, "ms", None),
    ]


def accuracy(session: Session) -> list[Line]:
    """What the default net's speed costs in answers: beside the original network on the same songs, seed by seed."""
    what, peer = "per-song balanced accuracy, default net less", "the original network"
    if not session.whole:
        return [Line(what, peer, None, None, None, "points", -5.0, False, "trained by bench full")]
    store = session.folder / "accuracy"
    genrelab("-m", "net=cnn,seed", "seed=0,1", "split_seed=0", "baselines=false", "card=null", f"store={store}")
    genrelab("compare", "--sweep", "last", "--out", str(session.folder / "compared"), f"store={store}")
    with (session.folder / "compared" / "comparison.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    sign = 100 if row["a"].startswith("mel-gru") else -100  # a run's name leaves the default net out
    points, least, most = sign * float(row["points"]), *sorted(sign * float(row[k]) for k in ("lo", "hi"))
    note = f"two seeds, 95 % interval from {least:.1f} to {most:.1f}; the goal is for its lower end"
    return [Line(what, peer, least, least, least, "points", -5.0, False, f"{points:+.1f} points, {note}")]


ROWS = {"accuracy": accuracy, "experiment": experiment, "aggregators": aggregators, "start": start, "memory": memory}


def corpus(folder: str, n: int) -> Work:
    """A run's data of n songs: windows of one file, their pictures holes of a sparse one; the start of an epoch."""
    from genrelab import compose
    from genrelab.commands.bench.timing import resident_mb
    from genrelab.data.module import SongSlices, loader

    store = Path(folder) / f"corpus{n}"
    config = compose.composed(["data=manifest", f"data.path={_sparse(store, n)}", f"store={store}", "split=song"])
    compose.prepare(compose.composed(["debug=fast", f"store={store}", "limit_songs=12"]), lambda *_: None)  # warm
    before, began = resident_mb("RssAnon"), time.perf_counter()
    prepared = compose.prepare(config, lambda *_: None)
    (split,) = compose.splits(config, prepared)
    songs = SongSlices(
        prepared.pictures, prepared.spans, prepared.labels, split, "train", prepared.slicer, prepared.front, 0
    )
    opened_s = time.perf_counter() - began
    batches = loader(songs, 16, balance=True, at_least=480)

    def begin() -> object:
        return next(iter(batches))

    return begin, begin, lambda: {"rss_mb": resident_mb("RssAnon") - before, "opened_s": opened_s}


def _sparse(store: Path, n: int) -> Path:
    """A manifest of n windows of one file, and a store that knows them all; its pictures take no room on the disk."""
    from genrelab import compose
    from genrelab.audio import decode
    from genrelab.store import Files, Heard, Shelf, _stamp, front_digest
    from genrelab.types import Track

    manifest = store / "manifest.csv"
    if manifest.is_file():
        return manifest
    store.mkdir(parents=True, exist_ok=True)
    (store / "song.wav").write_bytes(b"RIFF")
    frames = 512
    tracks = [Track(str(i), store / "song.wav", (GENRES[i % 6],), start_s=10.0 * i, duration_s=10.24) for i in range(n)]
    config = compose.composed([])
    front = compose.instantiate(config["front"])
    what = front_digest(front, config["front"], config["sample_rate"])
    shelf = Shelf(store / "cache" / "pictures" / f"{type(front).__name__.lower()}-{what}", front.n_bins, np.float16)
    keys = [digest(i) for i in range(n)]
    with shelf.data.open("wb") as file:
        file.truncate(n * frames * front.n_bins * 2)
    with shelf.db:
        rows = [(key, frames * i, frames) for i, key in enumerate(keys)]
        shelf.db.executemany("insert into pictures values (?, ?, ?)", rows)
    stamp = _stamp(store / "song.wav")
    Files(store / "cache" / "files.sqlite").add(
        [(t, stamp, Heard(key, 10.24)) for t, key in zip(tracks, keys, strict=True)]
    )
    assert decode.decoder(store / "song.wav")
    lines = ["id,path,genre,start_s,duration_s", *(f"{t.id},song.wav,{t.genre},{t.start_s},10.24" for t in tracks)]
    manifest.write_text("\n".join(lines) + "\n")
    return manifest
