"""The recipe that the discussion began with, stated anew from its description, as a program of its own.

    python experiments/cost/original.py FOLDER WORK [--epochs 20] [--epochs-timed 1] [--songs-timed 20]

FOLDER holds a folder a genre, with MP3s. Each song becomes a mono MP3 (sox remix), a grey spectrogram of 50 columns a
second (sox spectrogram), and PNGs of 128x128 cut from it; the PNGs are read, shuffled and split by slice, and the
network of 34 M parameters learns them: RMSprop, batches of 128, stock PyTorch in full precision, validated after every
epoch. Prints JSON: the seconds of each stage. What is not run whole is extrapolated from what was, and says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import cross_entropy

SIZE, BATCH = 128, 128


def draw(song: Path, work: Path) -> Path:
    """Mono MP3, then a grey spectrogram."""
    mono, picture = work / f"{song.stem}.mp3", work / f"{song.stem}.png"
    subprocess.run(["sox", song, mono, "remix", "1,2"], check=True, capture_output=True)
    drawing = ["spectrogram", "-Y", "200", "-X", "50", "-m", "-r", "-o", str(picture)]
    subprocess.run(["sox", str(mono), "-n", *drawing], check=True, capture_output=True)
    return picture


def cut(picture: Path) -> int:
    """PNGs of 128x128 beside it; how many."""
    with Image.open(picture) as whole:
        n = whole.width // SIZE
        for i in range(n):
            whole.crop((i * SIZE, 1, (i + 1) * SIZE, 1 + SIZE)).save(picture.with_name(f"{picture.stem}_{i}.png"))
    return n


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), np.float32) / 255


def network(n_genres: int) -> nn.Module:
    layers: list[nn.Module] = []
    c_in = 1
    for c_out in (64, 128, 256, 512):
        conv = nn.Conv2d(c_in, c_out, 2)
        nn.init.xavier_uniform_(conv.weight)
        layers += [nn.ZeroPad2d((0, 1, 0, 1)), conv, nn.ELU(), nn.MaxPool2d(2)]
        c_in = c_out
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(512 * 64, 1024), nn.ELU(), nn.Dropout(0.5), nn.Linear(1024, n_genres)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--epochs-timed", type=int, default=None, help="run so many and extrapolate")
    parser.add_argument("--songs-timed", type=int, default=None, help="draw so many with sox and extrapolate")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    songs = sorted(asked.folder.glob("*/*.mp3"))
    genres = sorted({song.parent.name for song in songs})
    drawn = songs[:: max(1, len(songs) // asked.songs_timed)] if asked.songs_timed else songs

    start = time.perf_counter()
    slices: list[tuple[Path, int]] = []
    for song in drawn:
        picture = draw(song, asked.work)
        own = [picture.with_name(f"{picture.stem}_{i}.png") for i in range(cut(picture))]
        slices += [(path, genres.index(song.parent.name)) for path in own]
    drawing_s = (time.perf_counter() - start) * len(songs) / len(drawn)
    slices = (slices * (len(songs) // len(drawn) + 1))[: round(len(slices) * len(songs) / len(drawn))]

    start = time.perf_counter()
    x = torch.from_numpy(np.stack([read(path) for path, _ in slices]))[:, None]
    y = torch.tensor([k for _, k in slices])
    reading_s = time.perf_counter() - start

    order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))  # by slice, as it was done
    n_val = round(0.3 * len(x))
    val, train = order[:n_val], order[n_val:]
    torch.manual_seed(0)
    net = network(len(genres))
    optimizer = torch.optim.RMSprop(net.parameters(), 1e-4)
    epochs = min(asked.epochs, asked.epochs_timed or asked.epochs)
    start = time.perf_counter()
    for _ in range(epochs):
        net.train()
        for batch in train[torch.randperm(len(train))].split(BATCH):
            optimizer.zero_grad()
            cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            right = sum(int((net(x[batch]).argmax(1) == y[batch]).sum()) for batch in val.split(BATCH))
    training_s = (time.perf_counter() - start) * asked.epochs / epochs
    told = {"drawing_s": drawing_s, "reading_s": reading_s, "training_s": training_s, "slices": len(x)}
    told |= {"total_s": drawing_s + reading_s + training_s, "val_accuracy": right / max(1, n_val)}
    told |= {"epochs_timed": epochs, "songs_timed": len(drawn)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
