"""The stacked regime, `net=frozen net.run=RUN`: aggregators on the embeddings of an earlier run's slice net.

Data, split, task, slices and pictures are that run's, so that a song which its net has learned is never tested. The
embedding and the texture of every slice are computed once and kept in the store: cache/embeddings/RUN-DIGEST.npy,
float32, a row a slice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from genrelab import track
from genrelab.compose import Config, Prepared, bare, load_config, weights_of
from genrelab.data.module import Batch, SongSlices
from genrelab.data.split import Split
from genrelab.model import SongClassifier
from genrelab.store import Progress
from genrelab.texture import texture
from genrelab.types import UserError, digest

GROUPS = ("data", "split", "slice", "front", "norm", "task")
SCALARS = ("sample_rate", "limit_songs", "limit_train", "train_studio", "split_seed")
BATCH = 16  # songs at a time


def is_stacked(config: Config) -> bool:
    return "run" in config["net"]


def source(config: Config, fold: int | None = None) -> track.Record:
    """The run whose net is taken; of a k-fold run the child of a fold. Raises UserError where it cannot be used."""
    store, word = Path(config["store"]), config["net"]["run"]
    if word is None:
        raise UserError("net=frozen takes the slice net of an earlier run: give net.run=RUN (an id, a name, last)")
    record = track.find(store, str(word), passed_over={"net": "frozen"})  # the children of this sweep, for some
    if record.kind == "fold":
        raise UserError(f"net.run={word} is a fold of a k-fold run: give that one, net.run={record.parent}")
    if record.kind not in track.WHOLE or record.status != "FINISHED":
        raise UserError(f"net.run={word}: {record.name} is {record.kind}, {record.status}; expected a finished run")
    if fold is not None:
        children = [c for c in track.children(store, record.id) if c.tags.get("fold") == str(fold)]
        done = [c for c in children if c.status == "FINISHED"]
        if not done:
            raise UserError(f"net.run={word}: {record.name} has no finished fold {fold}")
        record = done[-1]
    if record.kind in track.MODELS and not (record.folder / "checkpoints" / "best.ckpt").is_file():
        raise UserError(f"net.run={word}: the weights of {record.name} are gone from {record.folder}")
    return record


def inherited(config: Config) -> Config:
    """The config with the earlier run's data, split, task, slices, pictures and net.

    Raises UserError where the words ask for another one than that run had.
    """
    if not is_stacked(config):
        return config
    if (chosen := config["choices"].get("augment", "none")) != "none":
        raise UserError(
            f"augment={chosen}: net=frozen learns from embeddings that are computed once, and has no sound or picture "
            "to change: leave it out"
        )
    if config["net"]["net"] is not None:
        return config
    record = source(config)
    old = load_config(record.folder)
    if is_stacked(old):
        raise UserError(
            f"net.run={config['net']['run']}: {record.name} is stacked on {old['net']['run']}: give that one"
        )
    named = {w.lstrip("+").partition("=")[0].partition(".")[0] for w in config["overrides"]}
    for group in GROUPS:
        same = config["choices"].get(group) == old["choices"].get(group) and config[group] == old[group]
        if group in named and not same:
            words = [w for w in config["overrides"] if w.lstrip("+").partition("=")[0].partition(".")[0] == group]
            raise UserError(
                f"{' '.join(words)}: the run {record.name} had another {group} ({group}={old['choices'][group]}), "
                "and net=frozen takes that run's: leave it out"
            )
    for key in SCALARS:
        if config[key] != old[key] and key in named:
            raise UserError(f"{key}={config[key]}: the run {record.name} had {key}={old[key]}: leave it out")
    choices = config["choices"] | {g: old["choices"][g] for g in GROUPS}
    taken = {key: old[key] for key in (*GROUPS, *SCALARS)}
    net = config["net"] | {"run": record.id, "net": bare(old["net"])}
    return config | taken | {"choices": choices, "net": net}


def adopt(model: SongClassifier, record: track.Record) -> None:
    """Gives a model with a frozen net the earlier run's weights; all but the aggregator stays as it is from here on."""
    weights = weights_of(record.folder)
    own = {k.replace("net.", "net.inner.", 1) if k.startswith("net.") else k: v for k, v in weights.items()}
    model.load_state_dict({k: v for k, v in own.items() if not k.startswith("agg.")}, strict=False)
    for part in (model.front, model.norm, model.net, model.slice_head):
        part.requires_grad_(False)


def embedded(
    model: SongClassifier, prepared: Prepared, progress: Progress, of: Collection[int] | None = None
) -> np.ndarray:
    """Embeddings and textures (all slices, D + figures) of all songs, or of some, one after another, computed now."""
    ids = tuple(t.id for t in prepared.tracks)
    sides = tuple("test" if of is None or i in of else "unused" for i in range(len(ids)))
    asked = Split("song", ids, sides, ids, 0, ())
    parts = (prepared.pictures, prepared.spans, prepared.labels, asked, "test", prepared.slicer, prepared.front)
    songs, made = SongSlices(*parts, 0), []
    for begin in range(0, len(songs), BATCH):
        batch = songs.__getitems__(range(begin, min(begin + BATCH, len(songs))))
        with torch.no_grad():
            seen = model.seen(batch["x"], batch["n_slices"], batch.get("places"))
            made.append(torch.cat([model.net(seen), texture(seen)], 1).numpy())
        progress("embedding slices", min(begin + BATCH, len(songs)), len(songs))
    return np.concatenate(made)


def embeddings(
    model: SongClassifier,
    prepared: Prepared,
    record: track.Record,
    store: Path,
    progress: Progress,
    say: Callable[[str], None],
) -> np.ndarray:
    """What `embedded` gives, from the store, or computed now and kept there."""
    what = digest(prepared.digest, [s.tolist() for s in prepared.spans])
    path = store / "cache" / "embeddings" / f"{record.id}-{what}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    of = f"embeddings of {record.name} ({record.id[:8]})"
    with FileLock(f"{path}.lock"):
        if path.is_file():
            say(f"net=frozen: {of} found in the store")
        else:
            partial = path.with_suffix(".tmp.npy")
            rows = embedded(model.eval(), prepared, progress)
            model.train()  # Lightning trains a model as it is given: in eval it would learn without dropout
            np.save(partial, rows)
            partial.replace(path)
            say(f"net=frozen: {len(rows)} {of} computed, for this and every later run on them")
    return np.load(path, mmap_mode="r")


class EmbeddedSongs(SongSlices):
    """The songs of one side, whose slices are embeddings already: `z` (N, D) and `texture` take the place of `x`."""

    def __init__(self, rows: np.ndarray, dim: int, *parts: Any) -> None:
        super().__init__(*parts)
        self.dim = dim
        self.embedded, self.jitter = rows, False  # embeddings lie on the slicer's own grid

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        rows, n_slices = self.which(positions)
        z, textures = torch.from_numpy(self.embedded[rows]).tensor_split([self.dim], 1)
        return {"z": z, "texture": textures} | self.about(self.songs[positions], n_slices)
