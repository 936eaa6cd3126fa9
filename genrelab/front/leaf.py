"""LEAF: band-pass filters, a low-pass and a compression that are all learned, 7 numbers a band.

Zeghidour, Teboul, de Chaumont Quitry & Tagliasacchi, "LEAF: a learnable frontend for audio classification" (2021).
"""

from __future__ import annotations

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn

from genrelab.front.base import Learned, hop_samples

REACH = 5.0  # standard deviations after which a Gaussian, now 4e-6, is taken to have ended
TAIL = 1e-3  # what a filter may pass at half the rate that its band is kept at
POOL_START, POOL_LIMITS = 0.4, (0.15, 0.5)  # standard deviation over half the window
POOL_STEPS = 0.6  # standard deviations of the shortest low-pass from sample to sample of a band, at least
ALPHA, DELTA, ROOT = 0.96, 2.0, 2.0  # sPCEN at its start
WAVES = 8  # filtered at a time: their bands stay in the processor's cache
BLOCK_FRAMES = 256  # the same, of a long song
HALF_POWER = 1 / math.sqrt(2)  # of a Gaussian response: width at half power over width at half amplitude


class Leaf(Learned):
    """Gabor filters, squared modulus, Gaussian low-pass at the frame rate, per-channel energy normalisation.

    A real Gabor filter's spectrum is a Gaussian, so a band is cut out of the wave's Fourier transform, weighed and
    transformed back at a rate just above its own bandwidth (a divisor of the hop; strides that follow the bandwidth are
    Schlüter & Gutenbrunner's idea, "EfficientLEAF", 2022). Against filtering every sample in double precision a band's
    energies are off by 1e-5 at the start, and by 1e-3 after widths and low-passes have gone their own ways.

    The parameters are offsets from the paper's start, zero at first: weight decay pulls towards that start. Centres
    move in units of the band's width at the start, widths and time constants by their logarithm.

    What differs from the paper: filters reach +-5 standard deviations instead of ending at 25 ms; the low-pass has
    unit gain (the paper's has 200, so its floor of 1e-6 is 5e-9 here); the smoother of PCEN is a truncated exponential
    over history_s, so that a frame hears a finite past.
    """

    start_hz: Tensor
    start_width_hz: Tensor

    def __init__(
        self,
        sample_rate: int,
        hop_s: float,
        n_bins: int,
        f_min: float,
        f_max: float,
        window_s: float,
        pool_s: float,
        smooth_s: float,
        history_s: float,
        floor: float,
    ) -> None:
        super().__init__()
        if not 0 <= f_min < f_max <= sample_rate / 2:
            raise ValueError(f"front.f_min={f_min:g}, front.f_max={f_max:g}: not within 0 .. {sample_rate / 2:g} Hz")
        self.n_bins, self.sample_rate, self.floor = n_bins, sample_rate, floor
        self.hop = hop_samples(hop_s, sample_rate)
        self.hop_s = self.hop / sample_rate  # the nearest whole number of samples
        given = {"window_s": window_s, "pool_s": pool_s, "smooth_s": smooth_s, "floor": floor}
        for key, value in given.items():
            if value <= 0:
                raise ValueError(f"front.{key}={value:g}: expected more than 0")
        self.pool_s, self.smooth_s, self.history = pool_s, smooth_s, round(history_s / self.hop_s)
        if self.history < 1:
            raise ValueError(f"front.history_s={history_s:g}: expected at least one frame, {self.hop_s:g} s")
        longest = max(1.0, POOL_LIMITS[0] * pool_s / 2 / POOL_STEPS * sample_rate)
        self.strides = [s for s in range(1, self.hop + 1) if self.hop % s == 0 and s <= longest]
        self.narrowest_hz = width_of(window_s / 2 / REACH)
        self.widest_hz = self.broadest(1)
        hz, width_hz = mel_filters(n_bins, f_min, f_max)
        self.register_buffer("start_hz", hz, persistent=False)
        self.register_buffer("start_width_hz", width_hz.clamp(self.narrowest_hz, self.widest_hz), persistent=False)
        self.shift, self.log_width, self.log_pool = (nn.Parameter(torch.zeros(n_bins)) for _ in range(3))
        self.log_rate, self.gain, self.log_delta, self.log_root = (nn.Parameter(torch.zeros(n_bins)) for _ in range(4))
        self.pool_reach = math.ceil(REACH * POOL_LIMITS[1] * pool_s / 2 * sample_rate)
        self.right = math.ceil(window_s / 2 * sample_rate) + self.pool_reach
        self.margin = -(-self.right // self.hop)  # frames; whole ones keep every band's samples on the frames' grid
        self.left = (self.margin + self.history) * self.hop
        self.context_s = (self.left / sample_rate, self.right / sample_rate)
        self.bin_hz = None  # the centres move and may cross: see `filters`
        self.scale, self.unit = (0.0, 2.0), "sPCEN"

    def centre_hz(self) -> Tensor:
        """(F,) within 0 .. half the sample rate."""
        return (self.start_hz + self.shift * self.start_width_hz).clamp(0, self.sample_rate / 2)

    def width_hz(self) -> Tensor:
        """(F,) widths of the amplitude response at one half: as narrow as the window allows, as wide as the rate."""
        return (self.start_width_hz * self.log_width.exp()).clamp(self.narrowest_hz, self.widest_hz)

    def broadest(self, stride: int) -> float:
        """The widest filter, in Hz at half amplitude, whose tails fit the rate that a stride leaves."""
        return self.sample_rate / stride * math.sqrt(math.log(2) / -math.log(TAIL))

    @torch.no_grad()
    def filters(self) -> tuple[Tensor, Tensor]:
        return self.centre_hz(), self.width_hz() * HALF_POWER

    def inner(self, wave: Tensor) -> Tensor:
        n_frames = (wave.shape[1] - self.left - self.right - 1) // self.hop + 1
        return self.compressed(self.energies(wave, n_frames + self.history))

    def energies(self, wave: Tensor, n_frames: int) -> Tensor:
        """(N, samples) -> (N, F, n_frames): mean squared modulus; frame 0 is centred on frame `margin` of the wave."""
        blocks = []
        for first in range(0, n_frames, BLOCK_FRAMES):
            n = min(BLOCK_FRAMES, n_frames - first)
            start = first * self.hop
            blocks.append(self._block(wave[:, start : start + (self.margin + n - 1) * self.hop + 1 + self.right], n))
        return torch.cat(blocks, 2)

    def _block(self, wave: Tensor, n_frames: int) -> Tensor:
        length = self.hop * next_fast_len(-(-wave.shape[1] // self.hop))
        bands, banks = zip(*[(b, self._bank(b, stride, length)) for stride, b in self._groups()], strict=True)
        order = torch.cat(bands).argsort()
        pieces = []
        for some in wave.split(WAVES):
            spectrum = torch.fft.fft(some, length)
            energy = torch.cat([_energy(spectrum, *bank) for bank in banks], 1)
            pieces.append(energy[:, :, self.margin : self.margin + n_frames])
        return torch.cat(pieces)[:, order]

    def _bank(self, bands: Tensor, stride: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """What `_energy` takes for some bands (b,): rows of the spectrum, response there and low-pass."""
        hz, width_hz = self.centre_hz()[bands, None], self.width_hz()[bands, None]
        n_kept, hops = length // stride, self.hop // stride
        middle = (hz.detach() * length / self.sample_rate).round().long()
        rows = middle + torch.arange(n_kept, device=hz.device) - n_kept // 2
        away = (rows * (self.sample_rate / length) - hz) / width_hz
        response = (-4 * math.log(2) * away * away).exp() / stride
        n = -(-self.pool_reach // self.hop)
        steps = torch.arange(-n * hops, n * hops, device=hz.device) * (stride / self.sample_rate)
        pool_s = (POOL_START * self.log_pool[bands, None].exp()).clamp(*POOL_LIMITS) * self.pool_s / 2
        weight = (-0.5 * (steps / pool_s).square()).exp()
        weight = (weight / weight.sum(1, keepdim=True)).unflatten(1, (2 * n, hops)).transpose(1, 2)
        return rows % length, response.repeat_interleave(2, 1), weight.repeat_interleave(2, 1)

    def _groups(self) -> list[tuple[int, Tensor]]:
        """Each stride in use with the bands that it leaves room for, and no larger one does."""
        width_hz = self.width_hz().detach()
        limits = torch.tensor([self.broadest(s) for s in self.strides[::-1]], device=width_hz.device)
        group = len(self.strides) - torch.searchsorted(limits, width_hz).clamp_max(len(limits) - 1) - 1
        return [(self.strides[int(g)], (group == g).nonzero()[:, 0]) for g in group.unique()]

    def compressed(self, energy: Tensor) -> Tensor:
        """(N, F, history + frames) -> (N, F, frames): sPCEN, section 3.3.

        (E / (floor + smoothed E) ** alpha + delta) ** (1 / root) - delta ** (1 / root), its four numbers a band's own.
        """
        frames = torch.arange(self.history, -1, -1, device=energy.device)
        weight = (-frames * (self.hop_s / self.smooth_s) * self.log_rate.exp()[:, None]).exp()
        weight = weight / weight.sum(1, keepdim=True)
        smooth = nn.functional.conv1d(energy, weight[:, None], groups=self.n_bins)
        alpha = (ALPHA + self.gain).clamp(0, 1)[:, None]
        delta, power = (DELTA * self.log_delta.exp())[:, None], 1 / (ROOT * self.log_root.exp()).clamp_min(1)[:, None]
        gained = energy[..., self.history :] * (self.floor + smooth) ** -alpha
        return (gained + delta) ** power - delta**power


def _energy(spectrum: Tensor, rows: Tensor, response: Tensor, weight: Tensor) -> Tensor:
    """Pooled squared modulus of some bands, (N, b, frames), from the wave's spectrum (N, length).

    rows (b, kept); response (b, 2 kept) and weight (b, 2 samples of a hop, hops around a frame): the real and the
    imaginary parts lie side by side.
    """
    weighed = torch.view_as_real(spectrum[:, rows]).flatten(2) * response
    # the band comes out shifted in frequency, which its modulus does not see
    band = torch.view_as_real(torch.fft.ifft(torch.view_as_complex(weighed.unflatten(2, (-1, 2))))).flatten(2)
    sums = (band * band).unflatten(2, (-1, weight.shape[1])) @ weight  # (N, b, frames, hops around a frame)
    n = weight.shape[2]
    return torch.stack([sums[..., i].roll(n // 2 - i, 2) for i in range(n)]).sum(0)


def mel_filters(n_bins: int, f_min: float, f_max: float) -> tuple[Tensor, Tensor]:
    """Centres and widths at half amplitude, (n,) Hz, of the Gaussians that stand for square roots of mel triangles.

    Triangles are evenly spaced on the mel scale 2595 log10(1 + f / 700); the root of one is a half where the triangle
    is a quarter, at points three quarters of its base apart.
    """
    low, high = (2595 * math.log10(1 + f / 700) for f in (f_min, f_max))
    edges = 700 * (10 ** (torch.linspace(low, high, n_bins + 2, dtype=torch.float64) / 2595) - 1)
    return edges[1:-1].float(), (0.75 * (edges[2:] - edges[:-2])).float()


def width_of(deviation_s: float) -> float:
    """The width in Hz at half amplitude of a Gabor filter whose envelope has this standard deviation in seconds."""
    return math.sqrt(2 * math.log(2)) / (math.pi * deviation_s)
