"""The raw waveform: strided convolutions from samples to frames, all of them learned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genrelab.front.base import Learned, hop_samples
from genrelab.norm import FirstBatchNorm

COMPRESSION = 10.0  # log(1 + 10 |x|) of unit variance, after Dieleman & Schrauwen (2014)
POINTS = 8192  # of the transform that filters are measured by


class Raw(Learned):
    """One-dimensional convolutions (Dieleman & Schrauwen 2014; Lee et al. 2017), the first with many samples a filter.

    The first layer's outputs are rectified and compressed by a logarithm, as every spectrogram is; the later ones are
    rectified. The strides multiply to the hop, so that the frames are those of the spectrograms.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_s: float,
        channels: Sequence[int],
        kernels: Sequence[int],
        strides: Sequence[int],
    ) -> None:
        super().__init__()
        self.hop, self.sample_rate = hop_samples(hop_s, sample_rate), sample_rate
        if not len(channels) == len(kernels) == len(strides) > 0:
            raise ValueError("front.channels, front.kernels and front.strides: expected one of each for every layer")
        if math.prod(strides) != self.hop:
            raise ValueError(
                f"front.strides={list(strides)}: their product is {math.prod(strides)}, expected the hop,"
                f" {self.hop} samples at {sample_rate} Hz"
            )
        self.hop_s = self.hop / sample_rate
        layers: list[nn.Module] = []
        heard, step, c_in = 1, 1, 1
        for k, (c_out, kernel, stride) in enumerate(zip(channels, kernels, strides, strict=True)):
            layers += [nn.Conv1d(c_in, c_out, kernel, stride, bias=False), FirstBatchNorm(c_out)]
            if k + 1 < len(channels):
                layers.append(nn.ReLU() if k else Compressed())
            heard, step, c_in = heard + (kernel - 1) * step, step * stride, c_out
        self.layers = nn.Sequential(*layers)
        self.left = (heard - 1) // 2
        self.right = heard - 1 - self.left
        self.context_s = (self.left / sample_rate, self.right / sample_rate)
        self.n_bins, self.bin_hz = c_in, None
        self.scale, self.unit = (-4.0, 4.0), "standard deviations"

    def inner(self, wave: Tensor) -> Tensor:
        return self.layers(wave[:, None])

    @torch.no_grad()
    def filters(self) -> tuple[Tensor, Tensor]:
        """The peak of each first-layer filter's magnitude response, and how far it stays above half power around it."""
        weight = self.layers[0].weight[:, 0]  # type: ignore[union-attr, index]
        power = torch.fft.rfft(weight.float(), max(POINTS, weight.shape[1])).abs().square()
        step_hz = self.sample_rate / (2 * (power.shape[1] - 1))
        peak = power.argmax(1)
        centre_hz, width_hz = peak * step_hz, []
        for row, top in zip(power, peak.tolist(), strict=True):
            below = (row < row[top] / 2).nonzero()[:, 0]
            first = int(below[below < top][-1]) if (below < top).any() else -1
            last = int(below[below > top][0]) if (below > top).any() else len(row)
            width_hz.append((last - first - 1) * step_hz)
        return centre_hz, torch.tensor(width_hz)


class Compressed(nn.Module):
    """Rectified both ways, then a logarithm."""

    def forward(self, x: Tensor) -> Tensor:
        return (COMPRESSION * x.abs()).log1p()
