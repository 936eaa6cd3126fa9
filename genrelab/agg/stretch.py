"""Every song brought to the same number of steps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from genrelab.agg.base import Agg, head

SAME = 1e-3  # of the embeddings' size: what two turns of a loop may differ by
EDGE = 0.5  # of what slices differ by: what the song's edges may change of its first and last one


class Stretch(Agg):
    """The sequence of slices, expanded or compressed to `n_steps` steps, and two dense layers over them all.

    Expanding repeats slices in part, compressing averages them: step k is the mean of the song from k / n_steps to
    (k + 1) / n_steps of its length. A song that is a loop is the same song however often it is played, so a sequence
    that repeats itself is brought back to one turn first.
    """

    def __init__(self, dim: int, n_genres: int, several: bool, n_steps: int, hidden: int, dropout: float) -> None:
        super().__init__(dim, n_genres, several)
        if n_steps < 1:
            raise ValueError(f"agg.n_steps={n_steps}: expected at least 1")
        self.n_steps = n_steps
        self.head = head(n_steps * dim, hidden, n_genres, dropout)

    def steps(self, z: Tensor, mask: Tensor) -> Tensor:
        """Embeddings (B, S, D) and mask (B, S) -> (B, n_steps, D)."""
        turns = [_turn(song[:n]) for song, n in zip(z.float(), mask.sum(1).tolist(), strict=True)]
        z, lengths = pad_sequence(turns, batch_first=True), torch.tensor([len(turn) for turn in turns])
        edges = torch.arange(self.n_steps + 1) / self.n_steps * lengths[:, None]  # (B, steps + 1), in slices
        place = torch.arange(z.shape[1])
        high = torch.minimum(edges[:, 1:, None], place + 1.0)
        low = torch.maximum(edges[:, :-1, None], place.float())
        weight = (high - low).clamp_min(0)  # (B, steps, S): how much of a step each slice takes
        return (weight / weight.sum(2, keepdim=True)).to(z) @ z

    def forward(self, z: Tensor, mask: Tensor, slice_scores: Tensor) -> Tensor:  # noqa: ARG002
        with torch.autocast(z.device.type, enabled=False):
            return self.head(self.steps(z, mask).flatten(1))


def _turn(song: Tensor) -> Tensor:
    """A song's slices (S, D); of a song that repeats itself to its end, those of one turn as if it were played once.

    Turns are told by slices with the same sound on both sides, which are equal. The first and the last slice of the
    song lie at its edges: they need only be like their fellows, and are the first and the last of the turn.
    """
    n, z = len(song), song.detach()
    spread = (z - z.mean(0)).norm(dim=1).mean()
    for turn in (k for k in range(1, n // 2 + 1) if n % k == 0):
        away = z[turn:] - z[:-turn]
        equal = away.abs().amax(1) <= SAME * z.abs().max()
        alike = away[[0, -1]].norm(dim=1) <= EDGE * spread
        if equal.all() or (len(equal) > 2 and equal[1:-1].all() and alike.all()):
            return torch.cat([song[: turn - 1], song[-1:]])
    return song
