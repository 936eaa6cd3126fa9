"""The raw waveform: filters of free shape from samples to frames, all of them learned."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genrelab.front.base import Learned, hop_samples
from genrelab.norm import FirstBatchNorm

POINTS = 8192  # of the transform that filters are measured by


class Raw(Learned):
    """A strided convolution whose every filter is a bin: energy averaged over pool_s, then a logarithm.

    The waveform front-end of Hoshen, Weiss & Wilson (2015) and Sainath et al. (2015), with squares for rectifiers: the
    energy is averaged before the logarithm, so that a frame does not depend on phase. Random weights at the start.
    """

    def __init__(
        self, sample_rate: int, hop_s: float, n_bins: int, filter_s: float, stride: int, pool_s: float, floor: float
    ) -> None:
        super().__init__()
        self.hop, self.sample_rate, self.floor = hop_samples(hop_s, sample_rate), sample_rate, floor
        if stride < 1 or self.hop % stride:
            raise ValueError(f"front.stride={stride}: expected a divisor of the hop, {self.hop} samples")
        length, self.pool = round(filter_s * sample_rate), round(pool_s * sample_rate / stride)
        if min(length, self.pool, n_bins) < 1:
            raise ValueError(
                f"front.filter_s={filter_s:g}, front.pool_s={pool_s:g}, front.n_bins={n_bins}: expected a sample, a"
                " stride and a bin at the least"
            )
        self.hop_s = self.hop / sample_rate  # the nearest whole number of samples
        self.filter = nn.Conv1d(1, n_bins, length, stride, bias=False)
        self.norm = FirstBatchNorm(n_bins)
        heard = length + (self.pool - 1) * stride
        self.left = (heard - 1) // 2
        self.right = heard - 1 - self.left
        self.context_s = (self.left / sample_rate, self.right / sample_rate)
        self.n_bins, self.bin_hz = n_bins, None
        self.scale, self.unit = (-4.0, 4.0), "standard deviations"

    def inner(self, wave: Tensor) -> Tensor:
        energy = self.filter(wave[:, None]).square()
        pooled = nn.functional.avg_pool1d(energy, self.pool, self.hop // self.filter.stride[0])
        return self.norm((pooled + self.floor).log())

    @torch.no_grad()
    def filters(self) -> tuple[Tensor, Tensor]:
        """The peak of each filter's magnitude response, and how far it stays above half power around it."""
        weight = self.filter.weight[:, 0].float()
        power = torch.fft.rfft(weight, max(POINTS, weight.shape[1])).abs().square()
        step_hz = self.sample_rate / (2 * (power.shape[1] - 1))
        peak = power.argmax(1)
        width_hz = []
        for row, top in zip(power, peak.tolist(), strict=True):
            below = (row < row[top] / 2).nonzero()[:, 0]
            first = int(below[below < top][-1]) if (below < top).any() else -1
            last = int(below[below > top][0]) if (below > top).any() else len(row)
            width_hz.append((last - first - 1) * step_hz)
        return peak * step_hz, torch.tensor(width_hz)
