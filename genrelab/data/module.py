"""Split -> batches: whole batches read from the store by index, without worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler

from genrelab.audio import pcm
from genrelab.data.split import Split
from genrelab.front.base import Front, Learned
from genrelab.slice.base import Slicer, Spans, cut, on_grid
from genrelab.slice.wave import cut_waves
from genrelab.store import Pictures
from genrelab.types import Labels

SALT = 0x51CE  # which slices a song gives is not drawn from the numbers that order the songs
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
        self.pictures, self.labels = pictures, labels
        self.spans = spans if isinstance(spans, Spans) else Spans(spans)
        self.slicer, self.front, self.seed, self.epoch = slicer, front, seed, 0
        self.training, self.side, self.split = side == "train", side, split
        own = {i: self.own(i) for i, of in enumerate(split.sides) if of in (side, "mixed")}
        own = {i: rows + self.spans.first[i] for i, rows in own.items() if len(rows)}
        self.songs = np.array([*own], dtype=np.int64)  # rising
        self.rows = np.concatenate([np.zeros(0, np.int64), *own.values()])  # of spans.values, packed
        self.count = np.array([len(rows) for rows in own.values()], dtype=np.int64)  # of each song
        self.begin = np.cumsum(self.count) - self.count  # of each song in `rows`
        # a shifted slice would reach into its neighbour, which may lie on the other side
        self.jitter = slicer.jitter and self.training and split.kind != "slice"
        self._drawn: tuple[int, np.ndarray] | None = None

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
        songs = self.songs[positions]
        rows, n_slices = self.which(positions)
        shift = np.repeat(self.shifts(songs, rows, n_slices), n_slices)
        grid = None if isinstance(self.front, Learned) else self.spans.grid(self.front.hop_s, self.slicer.n_frames)
        if grid is None:
            spans = self.spans.values[rows] + self.front.hop_s * torch.from_numpy(shift)[:, None]
            read = self.read(songs.tolist(), spans.split(n_slices.tolist()))
        else:
            read = self._indexed(songs, n_slices, grid[rows] + shift)
        return read | self.about(songs, n_slices)

    def about(self, songs: Sequence[int] | np.ndarray, n_slices: Sequence[int] | np.ndarray) -> Batch:
        """What is known of the songs beside their slices."""
        return {
            "n_slices": torch.as_tensor(n_slices),
            "index": torch.as_tensor(songs),
            "truth": torch.from_numpy(self.labels.truth[songs]),
            "target": torch.from_numpy(self.labels.target[songs]),
        }

    def own(self, i: int) -> np.ndarray:
        """Which of song i's slices lie on this side: rising indices."""
        return self.split.slices(i, len(self.spans[i]), self.side)

    def chance(self, songs: np.ndarray) -> np.ndarray:
        """(B, 2) in [0, 1): what decides about each song in this epoch."""
        if self._drawn is None or self._drawn[0] != self.epoch:
            self._drawn = self.epoch, np.random.default_rng((self.seed, self.epoch, SALT)).random((len(self.spans), 2))
        return self._drawn[1][songs]

    def which(self, positions: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slices that the songs at these positions give now, packed (N,), and how many each gives (B,)."""
        begin, n_slices = self.begin[positions], self.count[positions]
        if self.training and self.slicer.max_per_song:
            spare = np.maximum(n_slices - self.slicer.max_per_song, 0)
            begin = begin + (self.chance(self.songs[positions])[:, 0] * (spare + 1)).astype(np.int64)
            n_slices = n_slices - spare
        inside = np.arange(n_slices.sum()) - np.repeat(np.cumsum(n_slices) - n_slices, n_slices)
        return self.rows[np.repeat(begin, n_slices) + inside], n_slices

    def shifts(self, songs: np.ndarray, rows: np.ndarray, n_slices: np.ndarray) -> np.ndarray:
        """By how many frames (B,) each song's slices are moved now: less than a hop, and not beyond its end."""
        if not self.jitter:
            return np.zeros(len(songs), np.int64)
        last = np.cumsum(n_slices) - 1
        first = last - n_slices + 1
        second = np.minimum(first + 1, last)
        begin_s, end_s = self.spans.values.numpy().T
        hop = np.where(n_slices > 1, begin_s[rows[second]], end_s[rows[first]]) - begin_s[rows[first]]
        frames, hop_s = self.pictures.n_frames[songs], self.front.hop_s
        if isinstance(self.front, Learned):  # samples are stored
            frames = 1 + frames // self.front.hop
        room = np.minimum(hop, (frames - 1) * hop_s - end_s[rows[last]])
        return (self.chance(songs)[:, 1] * np.maximum(1, (room / hop_s + 1e-6).astype(np.int64) + 1)).astype(np.int64)

    def pick(self, i: int) -> Tensor:
        """The spans (S, 2) that song i gives now."""
        rows, n_slices = self.which([int(np.searchsorted(self.songs, i))])
        return self.spans.values[rows] + self.front.hop_s * int(self.shifts(np.array([i]), rows, n_slices)[0])

    def read(self, songs: Sequence[int], spans: Sequence[Tensor]) -> Batch:
        """`x`: slices (N, F, T) as they are stored, or float32 where they are no exact cuts; of a learned front-end
        waves (N, samples) and `places` (see cut_waves)."""
        n_frames, hop_s = self.slicer.n_frames, self.front.hop_s
        if isinstance(self.front, Learned):
            waves = [self.pictures.stored(i)[:, 0] for i in songs]
            hop, left, right = self.front.hop, self.front.left, self.front.right
            x, places = cut_waves(waves, spans, hop_s, hop=hop, left=left, right=right, n_frames=n_frames)
            return {"x": x / pcm.FULL_SCALE, "places": places}
        starts = on_grid(torch.cat(list(spans)), hop_s, n_frames)
        if starts is None:
            cuts = [cut(self.pictures[i], s, hop_s, n_frames) for i, s in zip(songs, spans, strict=True)]
            return {"x": torch.cat(cuts)}
        return self._indexed(np.asarray(songs), np.array([len(s) for s in spans]), starts.numpy())

    def _indexed(self, songs: np.ndarray, n_slices: np.ndarray, starts: np.ndarray) -> Batch:
        """Exact cuts from their first frames (N,): each lies in one piece in the file."""
        first = np.repeat(self.pictures.first[songs], n_slices) + starts
        cuts = self.pictures.windows(self.slicer.n_frames)[first]  # (N, T, F)
        return {"x": torch.from_numpy(cuts).transpose(1, 2)}


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


class Part(Dataset[Batch]):
    """One process's part of each batch, where several train together: every n-th of its songs.

    Where a batch has no song for it, another's, to be passed over: `mine` says whether the songs are its own.
    """

    def __init__(self, data: SongSlices, rank: int, n: int) -> None:
        self.data, self.rank, self.n = data, rank, n

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        own = positions[self.rank :: self.n]
        return self.data.__getitems__(own or positions[:1]) | {"mine": bool(own)}


def _whole(batch: Any) -> Any:
    return batch


def loader(
    data: SongSlices, batch_songs: int, balance: bool, at_least: int, part: tuple[int, int] = (0, 1)
) -> DataLoader[Any]:
    """Batches of songs; shuffled (and balanced) where the side is train, in the manifest's order elsewhere.

    part: which process this is, of how many that have a part of each batch.
    """
    sampler: Sampler[int] = Songs(data, balance, at_least) if data.training else SequentialSampler(data)
    given = data if part[1] == 1 else Part(data, *part)
    pinned = torch.cuda.is_available()  # a device reads it while the next one is cut
    return DataLoader(
        given, batch_size=batch_songs, sampler=sampler, collate_fn=_whole, num_workers=0, pin_memory=pinned
    )
