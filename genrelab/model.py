"""SongClassifier = agg(net(norm(slice(front(wave))))): a plain module, usable without Lightning and Hydra."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genrelab.agg.base import Agg
from genrelab.front.base import FULL_SCALE, Front, Learned, samples
from genrelab.net.base import Net
from genrelab.norm import Norm
from genrelab.slice.base import Slicer, cut, resample
from genrelab.slice.wave import cut_waves
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

    @property
    def slice_shape(self) -> tuple[int, ...]:
        """The shape of a slice on the frame grid as the model takes it: (F, T), or (samples,)."""
        front, n_frames = self.front, self.slicer.n_frames
        if isinstance(front, Learned):
            return (front.left + (n_frames - 1) * front.hop + 1 + front.right,)
        return (front.n_bins, n_frames)

    def picture(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """What `slices` gives -> pictures (N, F, T): of a learned front-end drawn here, else there already."""
        if not isinstance(self.front, Learned):
            return x
        with torch.autocast(x.device.type, enabled=False):  # eight bits are too few for samples
            drawn = self.front.inner(x)
        if places is None:
            return drawn
        return resample(drawn, places[:, :2], self.slicer.n_frames, places[:, 2])

    def forward(self, x: Tensor, n_slices: Tensor, places: Tensor | None = None) -> Scores:
        """Packed slices of B songs as `slices` gives them, n_slices (B,) of each in turn -> Scores."""
        n_songs, n_most = len(n_slices), int(n_slices.max())
        owner = torch.repeat_interleave(torch.arange(n_songs, device=x.device), n_slices)
        z = self.net(self.norm(self.picture(x, places), owner))
        scores = self.slice_head(z)
        mask = torch.arange(n_most, device=x.device) < n_slices[:, None]  # (B, S)
        song = self.agg(_padded(z, mask), mask, _padded(scores, mask))
        return Scores(song, scores, owner, z)

    @torch.no_grad()
    def slices(
        self, wave: Tensor, sample_rate: int, beats: Beats | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """A wave (samples,) -> its slices, rounded as the store's are, and their spans (S, 2) in seconds.

        Slices are (S, F, T) and None; of a learned front-end waves and places, as cut_waves gives them.
        """
        spans = self.slicer.spans(len(wave) / sample_rate, beats)
        front, n_frames = self.front, self.slicer.n_frames
        if not isinstance(front, Learned):
            return cut(front(wave[None])[0].half().float(), spans, front.hop_s, n_frames), None, spans
        sizes = {"hop": front.hop, "left": front.left, "right": front.right, "n_frames": n_frames}
        x, places = cut_waves([samples(wave.numpy())], [spans], front.hop_s, **sizes)
        return x / FULL_SCALE, places, spans


def _padded(x: Tensor, mask: Tensor) -> Tensor:
    """Packed (N, D) -> (B, S, D) with zeros where there is no slice."""
    out = x.new_zeros(*mask.shape, x.shape[-1])
    out[mask] = x
    return out
