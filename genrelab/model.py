"""SongClassifier = agg(net(norm(slice(front(wave))))): a plain module, usable without Lightning and Hydra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from genrelab.agg.base import Agg
from genrelab.audio import pcm
from genrelab.evaluate.answers import Answers
from genrelab.front.base import Front, Learned
from genrelab.net.base import Net
from genrelab.norm import Norm
from genrelab.slice.base import Slicer, cut, resample
from genrelab.slice.wave import cut_waves
from genrelab.texture import texture
from genrelab.types import Beats, Scores

LENGTHS = tuple(2**i for i in range(11))  # how many slices of a song are heard, where it is asked with fewer


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
        several: bool = False,
    ) -> None:
        super().__init__()
        self.front, self.slicer, self.genres, self.several = front, slicer, tuple(genres), several
        self.norm = norm(n_bins=front.n_bins, scale=front.scale)
        self.net = net(n_bins=front.n_bins, n_frames=slicer.n_frames)
        self.slice_head = nn.Linear(self.net.dim, len(self.genres))
        self.agg = agg(dim=self.net.dim, n_genres=len(self.genres), several=several)

    @property
    def slice_shape(self) -> tuple[int, ...]:
        """The shape of a slice on the frame grid as the model takes it: (F, T), or (samples,)."""
        front, n_frames = self.front, self.slicer.n_frames
        if isinstance(front, Learned):
            return (front.left + (n_frames - 1) * front.hop + 1 + front.right,)
        return (front.n_bins, n_frames)

    def picture(self, x: Tensor, places: Tensor | None = None) -> Tensor:
        """What `slices` gives -> pictures (N, F, T), float32: of a learned front-end drawn here, else there already."""
        if not isinstance(self.front, Learned):
            return x.float()
        with torch.autocast(x.device.type, enabled=False):  # eight bits are too few for samples
            drawn = self.front.inner(x)
        if places is None:
            return drawn
        return resample(drawn, places[:, :2], self.slicer.n_frames, places[:, 2])

    def forward(self, x: Tensor, n_slices: Tensor, places: Tensor | None = None) -> Scores:
        """Packed slices of B songs as `slices` gives them, n_slices (B,) of each in turn -> Scores."""
        return self.judge(self.embed(x, n_slices, places), n_slices)

    def tell(self, x: Tensor, n_slices: Tensor, places: Tensor | None = None) -> Scores:
        """As `forward`, with the slices' texture: what it takes to know a stranger."""
        seen = self.seen(x, n_slices, places)
        return replace(self.judge(self.net(seen), n_slices), texture=texture(seen))

    def seen(self, x: Tensor, n_slices: Tensor, places: Tensor | None = None) -> Tensor:
        """The slices as the net has them: normalised pictures (N, F, T)."""
        return self.norm(self.picture(x, places), _owner(n_slices, x.device))

    def embed(self, x: Tensor, n_slices: Tensor, places: Tensor | None = None) -> Tensor:
        """The slices' embeddings, (N, D)."""
        return self.net(self.seen(x, n_slices, places))

    def judge(self, z: Tensor, n_slices: Tensor) -> Scores:
        """Embeddings (N, D) of packed slices -> Scores."""
        scores = self.slice_head(z)
        # on the host, where n_slices are: a device would have to be waited for
        each = n_slices.cpu()
        mask = torch.arange(max(each.tolist())) < each[:, None]  # (B, S)
        place = torch.nonzero(mask.flatten())[:, 0].to(z.device, non_blocking=True)
        mask = mask.to(z.device, non_blocking=True)
        song = self.agg(_padded(z, mask, place), mask, _padded(scores, mask, place))
        return Scores(song, scores, _owner(n_slices, z.device), z)

    def shorter(self, scores: Scores, n_slices: Tensor) -> list[Tensor]:
        """Song scores (B, K) from the first slice of each song, from its first two, four ..., as many as LENGTHS."""
        first = (torch.cumsum(n_slices, 0) - n_slices).to(scores.owner.device)
        place = torch.arange(len(scores.owner), device=first.device) - first[scores.owner]
        made: list[Tensor] = []
        for n in LENGTHS:
            done = bool(made) and n // 2 >= int(n_slices.max())
            made.append(made[-1] if done else self.judge(scores.embedding[place < n], n_slices.clamp(max=n)).song)
        return made

    def answers(self, scores: Scores, n_slices: Tensor, **about: Tensor) -> Answers:
        """Scores as arrays; `about` has index, truth and target of the songs where they are known."""
        return self.arrays(self.kept(scores, n_slices, **about))

    def kept(self, scores: Scores, n_slices: Tensor, **about: Tensor) -> dict[str, Tensor]:
        """What `arrays` makes answers of, where it was computed: nobody waits for a device."""
        n, k = scores.song.shape
        parts = {
            "index": about.get("index", torch.arange(n)),
            "truth": about.get("truth", torch.full((n,), k)),
            "target": about.get("target", torch.zeros(n, k)),
            "n_slices": n_slices,
            "song": scores.song,
            "slice": scores.slice,
            "embedding": scores.per_song(scores.embedding),
            "texture": scores.per_song(scores.embedding[:, :0] if scores.texture is None else scores.texture),
            "logits": scores.song if self.agg.trained else scores.per_song(scores.slice),
        }
        return {name: t.detach() for name, t in parts.items()}

    def arrays(self, parts: dict[str, Tensor]) -> Answers:
        """What was `kept`, as arrays."""
        arrays = {name: t.cpu() for name, t in parts.items()}
        plain = {name: (t.float() if t.is_floating_point() else t).numpy() for name, t in arrays.items()}
        return Answers(**plain, several=self.several)

    @torch.no_grad()
    def slices(
        self, wave: Tensor, sample_rate: int, beats: Beats | None = None, picture: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """A wave (samples,) -> its slices, rounded as the store's are, and their spans (S, 2) in seconds.

        Slices are (S, F, T) and None; of a learned front-end waves and places, as cut_waves gives them. picture: what
        the front-end makes of the wave, (F, frames), where it is at hand.
        """
        spans = self.slicer.spans(len(wave) / sample_rate, beats)
        front, n_frames, kept = self.front, self.slicer.n_frames, pcm.samples(wave.numpy())
        if not isinstance(front, Learned):
            drawn = front(torch.from_numpy(pcm.wave(kept))[None])[0] if picture is None else picture
            return cut(drawn.half().float(), spans, front.hop_s, n_frames), None, spans
        sizes = {"hop": front.hop, "left": front.left, "right": front.right, "n_frames": n_frames}
        x, places = cut_waves([kept], [spans], front.hop_s, **sizes)
        return x / pcm.FULL_SCALE, places, spans


def _owner(n_slices: Tensor, device: torch.device) -> Tensor:
    """(N,) the song of each packed slice."""
    each = n_slices.cpu()
    return torch.repeat_interleave(torch.arange(len(each)), each).to(device, non_blocking=True)


def _padded(x: Tensor, mask: Tensor, place: Tensor) -> Tensor:
    """Packed (N, D), each at its place (N,) of the flat mask (B, S) -> (B, S, D) with zeros where there is no slice."""
    out = x.new_zeros(mask.numel(), x.shape[-1])
    return out.index_copy(0, place, x).unflatten(0, mask.shape)
