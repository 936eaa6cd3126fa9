"""SongClassifier = agg(net(norm(slice(front(wave))))): a plain module, usable without Lightning and Hydra."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genrelab.agg.base import Agg
from genrelab.front.base import Front
from genrelab.net.base import Net
from genrelab.norm import Norm
from genrelab.slice.base import Slicer, cut
from genrelab.types import Beats, Scores


class SongClassifier(nn.Module):
    """The way from wave to genre; `net`, `agg` and `norm` are completed here with the sizes of the parts before."""

    def __init__(
        self,
        front: Front,
        slicer: Slicer,
        norm: Callable[..., Norm],
        net: Callable[..., Net],
        agg: Callable[..., Agg],
        genres: Sequence[str],
    ) -> None:
        super().__init__()
        self.front, self.slicer, self.genres = front, slicer, tuple(genres)
        self.norm = norm(n_bins=front.n_bins, scale=front.scale)
        self.net = net(n_bins=front.n_bins, n_frames=slicer.n_frames)
        self.slice_head = nn.Linear(self.net.dim, len(self.genres))
        self.agg = agg(dim=self.net.dim, n_genres=len(self.genres))

    def forward(self, x: Tensor, n_slices: Tensor) -> Scores:
        """Packed slices (N, F, T) of B songs, n_slices (B,) of each in turn -> Scores."""
        n_songs, n_most = len(n_slices), int(n_slices.max())
        owner = torch.repeat_interleave(torch.arange(n_songs, device=x.device), n_slices)
        z = self.net(self.norm(x, owner))
        scores = self.slice_head(z)
        mask = torch.arange(n_most, device=x.device) < n_slices[:, None]  # (B, S)
        song = self.agg(_padded(z, mask), mask, _padded(scores, mask))
        return Scores(song, scores, owner, z)

    @torch.no_grad()
    def slices(self, wave: Tensor, sample_rate: int, beats: Beats | None = None) -> tuple[Tensor, Tensor]:
        """A wave (samples,) -> its slices (S, F, T), rounded as the store's are, and their spans (S, 2) in seconds."""
        spans = self.slicer.spans(len(wave) / sample_rate, beats)
        picture = self.front(wave[None])[0].half().float()
        return cut(picture, spans, self.front.hop_s, self.slicer.n_frames), spans


def _padded(x: Tensor, mask: Tensor) -> Tensor:
    """Packed (N, D) -> (B, S, D) with zeros where there is no slice."""
    out = x.new_zeros(*mask.shape, x.shape[-1])
    out[mask] = x
    return out
