"""Filling the store and nothing else: all that a run would draw, hear or measure of its songs before it trains.

In one process, or in shards that any launcher spreads: shard k of n takes every n-th song from the k-th on. Shards
write into the files that runs read; what is there already is not made again, so each can be stopped and repeated.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

from genrelab import compose, sweep
from genrelab.types import Unusable, UserError

if TYPE_CHECKING:
    from genrelab.store import Progress, Share


@dataclass(frozen=True)
class Filled:
    """What one process did."""

    data: str  # the data set's name
    songs: int
    unusable: list[Unusable]
    heard_s: float  # seconds of sound that were decoded or drawn now
    wall_s: float  # that it took

    @property
    def told(self) -> str:
        """A sentence."""
        left_out = f", {len(self.unusable)} left out" if self.unusable else ""
        heard = f"{self.heard_s / 60:,.1f} min of sound heard now" if self.heard_s else "nothing had to be heard"
        return f"{self.data}: {self.songs:,} songs are in the store{left_out}; {heard}, {self.wall_s:,.1f} s"

    def row(self) -> dict[str, Any]:
        """As result.json keeps it."""
        return asdict(self) | {"unusable": len(self.unusable), "told": self.told}


class Begin(Callback):
    """Of a multirun: says where its shards write what they did, whatever launcher starts them."""

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        del kwargs
        from genrelab import paths
        from genrelab.track import Run

        if sweep.hindered(config):  # its launcher will say so
            return
        folder, store = Path(config.hydra.sweep.dir).resolve(), paths.store_dir(config.store)
        os.environ[sweep.FOLDER] = str(folder)
        sweep.BEGUN.update(store=store, parent=Run("", "prepare", folder))  # a run that nobody tracks
        sweep.hand_down(config, {sweep.FOLDER: str(folder)}, store)


def share_of(config: compose.Config) -> Share | None:
    """(shard, shards), None for all songs. Raises UserError where a config names no shard of those that there are."""
    shards, shard = config["prepare"]["shards"], config["prepare"]["shard"]
    if isinstance(shards, bool) or not isinstance(shards, int) or shards < 1:
        raise UserError(f"prepare.shards={shards}: expected a whole number, at least 1")
    if shards == 1 and shard in (None, 0):
        return None
    if isinstance(shard, bool) or not isinstance(shard, int) or not 0 <= shard < shards:
        raise UserError(
            f"prepare.shard={'null' if shard is None else shard}: expected one of 0 to {shards - 1}, "
            f"or all of them by -m 'prepare.shard=range(0,{shards})'"
        )
    return shard, shards


def fill(config: compose.Config, progress: Progress) -> Filled:
    """Decodes, draws, measures and finds the beats of a shard's songs, as a run by this config would want them.

    Raises UserError for a source without songs or words that do not fit.
    """
    from genrelab import measures
    from genrelab.data.grids import grids

    began = time.perf_counter()
    share, root = share_of(config), Path(config["store"])
    front, slicer, task = (compose.instantiate(config[k]) for k in ("front", "slice", "task"))
    source = compose.instantiate(config["data"])
    found = compose.songs(source, config, progress)
    own = found[share[0] :: share[1]] if share else found
    tracks, pictures, unusable = compose.heard(own, front, slicer, config, progress, share)
    options: dict[str, Any] = {"sample_rate": config["sample_rate"], "store": root, "progress": progress}
    if slicer.needs_beats:
        grids(tracks, pictures.keys, [float(d) for d in pictures.duration_s], source.beats, **options)
    if config["baselines"] and not task.several:
        measures.measured([t for t in tracks if t.genres], share=share, **options)
    return Filled(source.name, len(tracks), unusable, pictures.seconds_made, time.perf_counter() - began)


def unasked(config: compose.Config) -> None:
    """Raises UserError where a training is told of shards, which are the business of `prepare`."""
    for key, usual in (("shards", 1), ("shard", None)):
        if (given := config["prepare"][key]) != usual:
            raise UserError(f"prepare.{key}={given}: a run takes all songs; fill the store by `prepare` first")
