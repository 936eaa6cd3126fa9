"""Split -> batches: whole batches read from the store by index, without worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from genrelab.data.split import Split
from genrelab.front.base import FULL_SCALE, Front, Learned
from genrelab.slice.base import Slicer, cut, on_grid
from genrelab.slice.wave import cut_waves
from genrelab.store import Pictures
from genrelab.types import Labels

Batch = dict[str, Any]  # what `SongSlices.read` says of N slices; n_slices, index, truth (B,), target (B, K)


class SongSlices(Dataset[Batch]):
    """The songs of one side of a split, each with its slices on that side.

    In training a song gives `slicer.max_per_song` neighbouring slices, chosen and shifted anew each epoch by (seed,
    epoch, song) alone: a resumed run sees what an undisturbed one would have seen. Elsewhere it gives all of them.
    """

    def __init__(
        self,
        pictures: Pictures,
        spans: Sequence[Tensor],
        labels: Labels,
        split: Split,
        side: str,
        slicer: Slicer,
        front: Front,
        seed: int,
    ) -> None:
        self.pictures, self.spans, self.labels = pictures, spans, labels
        self.slicer, self.front, self.seed, self.epoch = slicer, front, seed, 0
        self.training, self.side, self.split = side == "train", side, split
        self.songs = np.array([i for i in range(len(spans)) if len(self.own(i))], dtype=np.int64)
        # a shifted slice would reach into its neighbour, which may lie on the other side
        self.jitter = slicer.jitter and self.training and split.kind != "slice"

    def whole(self) -> SongSlices:
        """The same songs with all of their slices, as validation takes them."""
        other = copy(self)
        other.training, other.jitter = False, False
        return other

    def __len__(self) -> int:
        return len(self.songs)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        songs = [int(self.songs[p]) for p in positions]
        spans = [self.pick(i) for i in songs]
        return self.read(songs, spans) | self.about(songs, [len(s) for s in spans])

    def about(self, songs: Sequence[int], n_slices: Sequence[int]) -> Batch:
        """What is known of the songs beside their slices."""
        return {
            "n_slices": torch.tensor(n_slices),
            "index": torch.tensor(songs),
            "truth": torch.from_numpy(self.labels.truth[songs]),
            "target": torch.from_numpy(self.labels.target[songs]),
        }

    def own(self, i: int) -> np.ndarray:
        """Which of song i's slices lie on this side: rising indices."""
        return self.split.slices(i, len(self.spans[i]), self.side)

    def random(self, i: int) -> np.random.Generator:
        """What decides about song i in this epoch."""
        return np.random.default_rng((self.seed, self.epoch, i))

    def window(self, i: int, random: np.random.Generator) -> np.ndarray:
        """Which of its slices song i gives now: rising indices."""
        own = self.own(i)
        if not self.training:
            return own
        most = self.slicer.max_per_song or len(own)
        begin = random.integers(max(1, len(own) - most + 1))
        return own[begin : begin + most]

    def pick(self, i: int) -> Tensor:
        """The spans (S, 2) that song i gives now."""
        random = self.random(i)
        spans = self.spans[i][self.window(i, random)]
        if self.jitter:
            hop = float(spans[1, 0] - spans[0, 0]) if len(spans) > 1 else float(spans[0, 1] - spans[0, 0])
            frames = self.pictures.n_frames[i]
            if isinstance(self.front, Learned):  # samples are stored
                frames = 1 + frames // self.front.hop
            hop_s = self.front.hop_s
            room = min(hop, float((frames - 1) * hop_s - spans[-1, 1]))
            spans = spans + hop_s * int(random.integers(max(1, int(room / hop_s + 1e-6) + 1)))
        return spans

    def read(self, songs: Sequence[int], spans: Sequence[Tensor]) -> Batch:
        """`x`: slices (N, F, T), float32; of a learned front-end waves (N, samples) and `places` (see cut_waves)."""
        n_frames, hop_s = self.slicer.n_frames, self.front.hop_s
        if isinstance(self.front, Learned):
            waves = [self.pictures.stored(i)[:, 0] for i in songs]
            hop, left, right = self.front.hop, self.front.left, self.front.right
            x, places = cut_waves(waves, spans, hop_s, hop=hop, left=left, right=right, n_frames=n_frames)
            return {"x": x / FULL_SCALE, "places": places}
        starts = on_grid(torch.cat(list(spans)), hop_s, n_frames)
        if starts is None:
            cuts = [cut(self.pictures[i], s, hop_s, n_frames) for i, s in zip(songs, spans, strict=True)]
            return {"x": torch.cat(cuts)}
        first = np.repeat(self.pictures.first[songs], [len(s) for s in spans]) + starts.numpy()
        rows = self.pictures.rows[first[:, None] + np.arange(n_frames)]  # (N, T, F)
        return {"x": torch.from_numpy(rows).transpose(1, 2).float()}


class Songs(Sampler[int]):
    """The order of an epoch of at least `at_least` songs, in rounds over them all.

    Balanced: every genre gives the same number of songs, a small one its songs more than once.
    """

    def __init__(self, data: SongSlices, balance: bool, at_least: int) -> None:
        self.data, self.balance, self.at_least = data, balance, at_least

    def __len__(self) -> int:
        return max(len(self.data), self.at_least)

    def set_epoch(self, epoch: int) -> None:
        self.data.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        random = np.random.default_rng((self.data.seed, self.data.epoch))
        truth = self.data.labels.truth[self.data.songs]
        pools = [np.flatnonzero(truth == k) for k in np.unique(truth)] if self.balance else [np.arange(len(truth))]
        quota = np.full(len(pools), len(self) // len(pools))
        quota[random.permutation(len(pools))[: len(self) - quota.sum()]] += 1
        order: list[int] = []
        for own, n in zip(pools, quota, strict=True):
            rounds = [random.permutation(own) for _ in range(-(-n // len(own)))]
            order.extend(np.concatenate([own[:0], *rounds])[:n].tolist())
        return iter(random.permutation(order).tolist())


def _whole(batch: Any) -> Any:
    return batch


def loader(data: SongSlices, batch_songs: int, balance: bool, at_least: int) -> DataLoader[Any]:
    """Batches of songs; shuffled (and balanced) where the side is train, in the manifest's order elsewhere."""
    sampler = Songs(data, balance, at_least) if data.training else None
    return DataLoader(data, batch_size=batch_songs, sampler=sampler, collate_fn=_whole, num_workers=0)
