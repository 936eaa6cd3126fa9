"""Continuous wavelet transform: filters of one shape on a log-frequency axis, each at its own rate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genrelab.front.base import hop_samples
from genrelab.front.fixed import Fixed
from genrelab.front.wavelets import Wavelet, wavelet_of

QUALITIES = {"draft": 1e-2, "good": 1e-4, "exact": 1e-5}  # the part of full scale that may be lost
LENGTH_TOLERANCE = 1e-4  # what a frame hears from outside its context, at most
RATES = [n << octave for octave in range(16) for n in (4, 5, 6, 7)]  # samples a hop: lengths that transform fast
REACH = 3  # samples of the neighbouring frames that correct a frame's mean
MARGIN, MARGIN_PART = 2, 32  # frames that the shortest blocks overlap at either end, and its part of a block
BLOCK_FRAMES = MARGIN * MARGIN_PART  # frames of the shortest block; the next ones are 4, 16, ... times as long
PIECE_SAMPLES = 1 << 18  # samples of the wave transformed at a time: their spectra stay in the processor's cache


class Cwt(Fixed):
    """Mean power of a wavelet transform around each frame; the wavelets are PyWavelets'.

    A bin is the wave filtered by the analytic form of psi, stretched so that its loudest frequency is the bin's
    (frequencies above half the sample rate are not there), its squared magnitude averaged over hop_s around the frame.
    What lies before and after the wave is silence.

    Blocks of the wave are transformed once; each bin's part of the spectrum goes back to time at a rate just above its
    bandwidth, with half a hop's phase, so that whole samples fall into a frame. Their mean is corrected so that no beat
    of two partials errs by more than the quality's part of full scale. Low bins have long wavelets and long blocks.

    quality: the relative L2 error of the frames' magnitude against the filter bank at the full rate is below 1e-3
    (draft), 2e-4 (good), 1e-4 (exact; cmor 3e-5); for wavelets that are cut at half the sample rate below 1e-3 with
    each. A quiet frame beside a loud one may read as much as 20, 40 or 50 dB below that one.
    """

    def __init__(
        self,
        sample_rate: int,
        wavelet: str,
        n_bins: int,
        f_min: float,
        f_max: float,
        hop_s: float,
        quality: str,
        amplitude: str,
        floor_db: float,
    ) -> None:
        super().__init__(amplitude, floor_db)
        if not 0 < f_min < f_max <= sample_rate / 2:
            raise ValueError(f"front.f_min={f_min:g}, front.f_max={f_max:g}: not within 0 .. {sample_rate / 2:g} Hz")
        if n_bins < 2:
            raise ValueError(f"front.n_bins={n_bins}: expected at least 2")
        if quality not in QUALITIES:
            raise ValueError(f"front.quality={quality}: expected one of {', '.join(QUALITIES)}")
        self.n_bins = n_bins
        self.hop = hop_samples(hop_s, sample_rate)
        self.hop_s = self.hop / sample_rate  # the nearest whole number of samples
        bin_hz = np.geomspace(f_min, f_max, n_bins)
        self.bin_hz = torch.from_numpy(bin_hz).float()
        psi = wavelet_of(wavelet)
        half_s = psi.half_length(LENGTH_TOLERANCE) * psi.centre / bin_hz
        self.context_s = (float(half_s[0]) + self.hop_s / 2,) * 2
        bank = Bank(psi, QUALITIES[quality], self.hop, sample_rate)
        margin = np.ceil(half_s / self.hop_s + 0.5)  # frames
        size = np.ceil(np.log(np.maximum(margin * MARGIN_PART / BLOCK_FRAMES, 1)) / math.log(4)).astype(int)
        low = bin_hz[size > 0]
        self.slower = Slower(bank, low[-1]) if len(low) else None
        sizes = sorted(set(size[size > 0].tolist()), reverse=True)
        rate = self.slower.rate if self.slower is not None else self.hop
        self.low = nn.ModuleList(Level(bank, bin_hz[size == n], BLOCK_FRAMES * 4**n, rate) for n in sizes)
        high = bin_hz[size == 0]
        self.high = Level(bank, high, BLOCK_FRAMES, self.hop) if len(high) else None

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, n_bins); ValueError for fewer samples than a hop."""
        self.check(wave, self.hop)
        frames = 1 + wave.shape[1] // self.hop
        bins = []
        if self.slower is not None:
            slow = self.slower(wave)
            bins += [level(slow, frames, MARGIN) for level in self.low]
        if self.high is not None:
            bins.append(self.high(wave, frames, 0))
        return torch.cat(bins, -1).clamp_min(0)  # beside a loud frame the correction may leave a little less than none


def blocks_of(wave: Tensor, hop: int, n_frames: int, margin: int, frames: int, lead: int) -> Iterator[Tensor]:
    """A wave (B, samples) in pieces (B, blocks, n_frames * hop): their frames less the margins follow one another.

    frames: the frames that are asked for; lead: those of the wave before the first; what is not there is silence.
    """
    step = n_frames - 2 * margin
    at_once = max(1, PIECE_SAMPLES // (wave.shape[0] * n_frames * hop))
    for start in range(0, frames, at_once * step):
        n_blocks = min(at_once, -(-(frames - start) // step))
        first = (start - margin + lead) * hop
        last = first + ((n_blocks - 1) * step + n_frames) * hop
        before, after = max(-first, 0), max(last - max(wave.shape[1], first), 0)
        piece = nn.functional.pad(wave[:, max(first, 0) : last], (before, after))
        yield piece.unfold(1, n_frames * hop, step * hop)


class Bank:
    """What all bins share: the wavelet, what may be lost, samples of a hop and samples of a second."""

    def __init__(self, psi: Wavelet, tolerance: float, hop: int, sample_rate: int) -> None:
        self.psi, self.tolerance, self.hop, self.sample_rate = psi, tolerance, hop, sample_rate
        low, high = psi.band(tolerance)
        self.band = low / psi.centre, high / psi.centre  # parts of a bin's centre
        frequency = np.linspace(low, high, 401)
        loud = np.abs(psi.response(frequency)) / 2
        self.beat = (frequency - low) / psi.centre  # between two full-scale partials; parts of a bin's centre
        self.beat_loud = np.array([(loud[: len(loud) - n] * loud[n:]).max() for n in range(len(loud))])  # at most

    def frame_mean(self, beat: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the mean over a hop leaves of a beat (cycles a sample); an even hop's ends count half."""
        angle = math.pi * beat
        return np.sin(angle * self.hop) / self.hop / (np.sin(angle) if self.hop % 2 else np.tan(angle))

    def rate(self, hz: float) -> tuple[int, NDArray[np.float64]]:
        """Samples a hop that are enough for the bin at hz, and their weights in a frame's mean (rate + 2 REACH,).

        The mean over the frame's own samples, run through a short filter that is fitted to give each beat, weighed by
        how loud it can be, what the full rate gives it.
        """
        low, high = (edge * hz / self.sample_rate for edge in self.band)
        width = min(high, 0.5) - max(low, -0.5)  # cycles a sample
        beat = np.linspace(1e-6, 1, 1024) * width
        loud = np.interp(beat, self.beat * hz / self.sample_rate, self.beat_loud)
        wanted = self.frame_mean(beat)
        for n in [*(n for n in RATES if width * self.hop <= n < self.hop), self.hop]:
            turn = beat * self.hop / n  # cycles of the beat from one of our samples to the next
            sampled = np.sin(math.pi * turn * n) / n / np.sin(math.pi * turn)
            shapes = 2 * np.cos(2 * math.pi * turn[:, None] * np.arange(1, REACH + 1)) - 2
            fit = np.linalg.lstsq((loud * sampled)[:, None] * shapes, loud * (wanted - sampled), rcond=1e-6)[0]
            if np.abs(loud * (sampled * (1 + shapes @ fit) - wanted)).max() < self.tolerance:
                break
        taps = np.concatenate([fit[::-1], [1 - 2 * fit.sum()], fit])
        return n, np.convolve(np.full(n, 1 / n), taps)


class Slower(nn.Module):
    """The wave at a lower rate for the low bins: a few samples a hop, in the same blocks as the high ones."""

    keep: Tensor  # (rows,)

    def __init__(self, bank: Bank, highest_hz: float) -> None:
        super().__init__()
        self.hop = bank.hop
        hop_s, edge = bank.hop / bank.sample_rate, highest_hz * bank.band[1]
        self.rate = next((n for n in RATES if n / hop_s >= 8 * edge and n < bank.hop), bank.hop)  # samples a hop
        row_hz = torch.arange(BLOCK_FRAMES * self.rate // 2 + 1, dtype=torch.float64) / (BLOCK_FRAMES * hop_s)
        fall = ((row_hz - edge) / (row_hz[-1] - edge)).clamp(0, 1)  # from the highest edge to half the new rate
        fall = fall**4 * (35 - 84 * fall + 70 * fall**2 - 20 * fall**3)  # smooth, so that it is short in time
        self.register_buffer("keep", ((1 - fall) * self.rate / bank.hop).float(), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, (1 + samples // hop + 2 MARGIN) * rate): MARGIN hops more at either end."""
        if self.rate == self.hop:
            return nn.functional.pad(wave, (MARGIN * self.hop, MARGIN * self.hop))
        frames = 1 + wave.shape[1] // self.hop + 2 * MARGIN
        pieces = []
        for blocks in blocks_of(wave, self.hop, BLOCK_FRAMES, MARGIN, frames, -MARGIN):
            spectrum = torch.fft.rfft(blocks)[..., : self.keep.numel()] * self.keep
            slow = torch.fft.irfft(spectrum, BLOCK_FRAMES * self.rate)
            pieces.append(slow[..., MARGIN * self.rate : -MARGIN * self.rate].flatten(1))
        return torch.cat(pieces, 1)[:, : frames * self.rate]


class Level(nn.Module):
    """Bins whose wavelets fit one length of block: n_frames with a margin at either end; hop: samples of its wave."""

    def __init__(self, bank: Bank, bin_hz: NDArray[np.float64], n_frames: int, hop: int) -> None:
        super().__init__()
        self.hop, self.n_frames, self.margin = hop, n_frames, n_frames // MARGIN_PART
        rated = [(hz, *bank.rate(hz)) for hz in bin_hz]
        groups = [list(group) for _, group in itertools.groupby(rated, key=lambda bin_: bin_[1])]
        made = [Group(bank, [b[0] for b in g], *g[-1][1:], n_frames, hop) for g in groups]
        self.groups = nn.ModuleList(made)
        firsts = [(min(g.first), max(g.first) + g.n_samples) for g in made]
        self.n_negative = max(0, *(-first for first, _ in firsts))
        self.n_beyond = max(0, *(last - (n_frames * hop // 2 + 1) for _, last in firsts))

    def forward(self, wave: Tensor, frames: int, lead: int) -> Tensor:
        """(B, samples) -> (B, frames, bins of the level); frame 0 is centred on sample lead * hop."""
        pieces = blocks_of(wave, self.hop, self.n_frames, self.margin, frames, lead)
        return torch.cat([self.bins(blocks) for blocks in pieces], 1)[:, :frames]

    def bins(self, blocks: Tensor) -> Tensor:
        """(B, blocks, samples) -> (B, frames of all blocks, bins)."""
        spectrum = torch.fft.rfft(blocks)
        if self.n_negative:
            spectrum = torch.cat([spectrum[..., 1 : self.n_negative + 1].flip(-1).conj(), spectrum], -1)
        if self.n_beyond:
            spectrum = nn.functional.pad(spectrum, (0, self.n_beyond))
        bins = torch.cat([group(spectrum, self.n_negative, self.margin) for group in self.groups], 2)
        return bins.transpose(2, 3).flatten(1, 2)


class Group(nn.Module):
    """Bins that share a rate: their parts of a spectrum go back to time together."""

    response: Tensor  # (bins, n_samples)
    weights: Tensor  # (2 rate, 3): of real and imaginary samples, in the mean of the frame before, of theirs, after

    def __init__(
        self, bank: Bank, bin_hz: list[float], rate: int, weights: NDArray[np.float64], n_frames: int, hop: int
    ) -> None:
        super().__init__()
        self.rate, self.n_samples = rate, n_frames * rate
        n_block, row_hz = n_frames * hop, bank.sample_rate / (n_frames * bank.hop)
        half = n_frames * bank.hop / 2  # the row at half the sample rate
        responses, self.first = [], []
        for hz in bin_hz:
            low, high = (edge * hz / row_hz for edge in bank.band)
            first = round((low + min(high, half)) / 2 - self.n_samples / 2)  # the band lies in the middle
            first = max(min(first, n_block // 2 + 1 - self.n_samples), min(math.floor(low), 0), -(n_block // 2))
            row = np.arange(first, first + self.n_samples)
            response = bank.psi.response(row * row_hz * bank.psi.centre / hz) * (np.abs(row) <= half)
            later = (1 / rate - 1) / 2  # hops from a frame's centre to its first sample
            responses.append(response * np.exp(2j * math.pi * later * row / n_frames) / n_block)
            self.first.append(first)
        spread = np.zeros((rate, 3))
        spread[:, 1] = weights[REACH:-REACH]
        spread[:REACH, 0], spread[-REACH:, 2] = weights[-REACH:], weights[:REACH]
        bank_response = torch.from_numpy(np.stack(responses)).to(torch.complex64)
        self.register_buffer("response", bank_response, persistent=False)
        self.register_buffer("weights", torch.from_numpy(spread.repeat(2, 0)).float(), persistent=False)

    def forward(self, spectrum: Tensor, n_negative: int, margin: int) -> Tensor:
        """(B, blocks, rows) -> (B, blocks, bins, frames less the margins)."""
        parts = [spectrum[..., n_negative + f : n_negative + f + self.n_samples] for f in self.first]
        samples = torch.fft.ifft(torch.stack(parts, 2) * self.response, norm="forward")
        squares = torch.view_as_real(samples).square().unflatten(-2, (-1, self.rate)).flatten(-2)
        before, own, after = (squares @ self.weights.to(squares.dtype)).unbind(-1)
        n = own.shape[-1] - margin
        return own[..., margin:n] + before[..., margin + 1 : n + 1] + after[..., margin - 1 : n - 1]
