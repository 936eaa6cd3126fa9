"""CARFAC, a model of the inner ear: a cascade of asymmetric resonators with fast-acting compression."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from genrelab.front import carfac_kernel as kernel
from genrelab.front.base import hop_samples
from genrelab.front.fixed import Fixed

# The design of Lyon, Human and Machine Hearing (2017), chapters 16 to 19, as CARFAC v2 has it (Lyon et al. 2024).
FIRST_POLE = 0.85  # of the Nyquist frequency
ERB_BREAK_HZ, ERB_Q = 165.3, 1000 / (24.7 * 4.37)  # Greenwood's map; Glasberg & Moore (1990)
MIN_ZETA, MAX_ZETA, HIGH_F_COMPRESSION, ERB_SHARE = 0.1, 0.35, 0.5, 0.25  # damping at rest and fully damped
ZERO_RATIO = 2**0.5  # a stage's zero lies half an octave above its pole
VELOCITY_SCALE, VELOCITY_OFFSET, AC_CORNER_HZ = 0.1, 0.04, 20.0  # outer hair cell; coupling to the inner one
DETECT_SHIFT, DETECT_KNEE = 0.175, 0.1  # the inner hair cell's rectifier
RECEPTOR_OUT_S, RECEPTOR_IN_S, RELEASE_OUT_S, RELEASE_IN_S, SMOOTH_S = 0.0005, 0.0002, 0.001, 0.010, 0.000080
AGC_S = tuple(0.002 * 4**k for k in range(kernel.N_STAGES))  # time constants of the gain control's stages
AGC_GAIN = 2.0  # from each slower stage to the next faster one
AGC_SPREAD = 1.0, 1.65  # channels, towards low and high frequencies, of the fastest stage; each slower one has sqrt(2)
AGC_MEMORY = 12  # slowest time constants after which nothing of the past is heard: e^-12 is 104 dB less


class Carfac(Fixed):
    """Neural activity of Lyon's CARFAC, averaged over each hop; low channels first. It has no gradient.

    Power is the square of the mean activity, nothing below rest: the steady tone of full scale gives about 1 in its
    channel. Activity is compressed: a tenth of the amplitude is some dB less, not 20, so `db` has a unit of its own.
    The state begins at rest; the low channels' travel time (tens of ms) is left as the ear has it.
    bin_hz are the poles, where a moderate tone is loudest. agc=False opens the loop of the gain control.
    Memory does not grow with the song but for its frames. Runs on the processor whatever the wave's device.
    """

    def __init__(
        self,
        sample_rate: int,
        hop_s: float,
        erb_per_step: float,
        f_min: float,
        agc: bool,
        amplitude: str,
        floor_db: float,
    ) -> None:
        super().__init__(amplitude, floor_db)
        if amplitude == "db":
            self.unit = "dB of activity"
        first_hz = FIRST_POLE * sample_rate / 2
        if not 0 < f_min < first_hz:
            raise ValueError(f"front.f_min={f_min:g}: expected Hz above 0 and below the first pole, {first_hz:g} Hz")
        if not 0.1 <= erb_per_step <= 2:
            raise ValueError(f"front.erb_per_step={erb_per_step:g}: expected 0.1 to 2 bandwidths")
        self.hop = hop_samples(hop_s, sample_rate)
        self.hop_s = self.hop / sample_rate
        self.context_s = (AGC_MEMORY * AGC_S[-1] + self.hop_s, self.hop_s)
        poles_hz = _poles_hz(first_hz, f_min, erb_per_step)
        self.agc, self.n_bins = agc, len(poles_hz)
        self.bin_hz = torch.from_numpy(poles_hz[::-1].astype(np.float32))
        ihc, at_rest = _hair_cell(sample_rate)
        self._cells = _cells(poles_hz, sample_rate, at_rest)
        self._ihc = tuple(np.float32(v) for v in ihc)
        self._car = tuple(
            np.float32(v) for v in (VELOCITY_SCALE, VELOCITY_OFFSET, math.tau * AC_CORNER_HZ / sample_rate)
        )
        self._agc = _gain_control(sample_rate)

    def activity(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, F): mean activity, 0 at rest; ValueError for less than a hop.

        A frame is the mean of the hop's samples around its centre, of those that there are at either end.
        """
        self.check(wave, max(2, self.hop))
        from concurrent.futures import ThreadPoolExecutor

        songs = wave.detach().to("cpu", torch.float32).contiguous().numpy()
        out = np.zeros((len(songs), 1 + songs.shape[1] // self.hop, self.n_bins), np.float32)
        run = kernel.compiled()

        def one(k: int) -> None:
            shared = (self._cells, self.n_bins, self._car, self._ihc, self._agc, np.float32(AGC_GAIN))
            run(songs[k], *shared, self.agc, self.hop, out[k])

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            list(pool.map(one, range(len(songs))))
        return torch.from_numpy(out).flip(2).to(wave.device)

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, 1 + samples // hop, F): the square of the activity above rest."""
        return self.activity(wave).clamp_min(0).square()


def _poles_hz(first_hz: float, f_min: float, erb_per_step: float) -> np.ndarray:
    """(n,) falling, each a share of the ear's bandwidth below the one before."""
    poles = [first_hz]
    while (following := poles[-1] - erb_per_step * (ERB_BREAK_HZ + poles[-1]) / ERB_Q) > f_min:
        poles.append(following)
    return np.array(poles)


def _cells(poles_hz: np.ndarray, sample_rate: int, at_rest: tuple[float, float, float]) -> np.ndarray:
    """The kernel's coefficients and state at rest (rows, values, lanes); channels that fill up pass their input on."""
    theta = math.tau * poles_hz / sample_rate
    angle = math.pi * (theta / math.pi - HIGH_F_COMPRESSION * (theta / math.pi) ** 3)
    a0, c0 = np.cos(theta), np.sin(theta)
    h = c0 * (ZERO_RATIO**2 - 1)
    r1 = 1 - angle * MAX_ZETA
    min_zeta = MIN_ZETA + ERB_SHARE * ((ERB_BREAK_HZ + poles_hz) / ERB_Q / poles_hz - MIN_ZETA)
    zr = angle * (MAX_ZETA - min_zeta)

    def unity(undamping: float) -> np.ndarray:
        """The stage gain that leaves a constant as it is."""
        r = r1 + zr * undamping
        plain = 1 - 2 * r * a0 + r**2
        return plain / (plain + h * r * c0)

    g0, g_half, g1 = unity(0), unity(0.5), unity(1)
    n, rows = len(poles_hz), -(-len(poles_hz) // kernel.LANES)
    channels = np.zeros((kernel.LANES * rows, kernel.N_VALUES))
    channels[:, [kernel.CAP1, kernel.CAP2, kernel.LPF]] = at_rest
    channels[:, [kernel.G, kernel.GC]] = 1
    named = {"R1": r1, "A0": a0, "C0": c0, "H": h, "ZR": zr, "ZB": zr, "G": g1}
    named |= {"GA": 2 * (g0 + g1 - 2 * g_half), "GB": 4 * g_half - 3 * g0 - g1, "GC": g0}
    for name, values in named.items():
        channels[:n, getattr(kernel, name)] = values
    cells = np.zeros((rows + 2 * kernel.GHOSTS, kernel.N_VALUES, kernel.LANES), np.float32)
    cells[kernel.GHOSTS : -kernel.GHOSTS] = channels.reshape(kernel.LANES, rows, -1).transpose(1, 2, 0)
    cells[kernel.GHOSTS - 1, kernel.P] = 1
    return cells


def _hair_cell(sample_rate: int) -> tuple[tuple[float, ...], tuple[float, float, float]]:
    """Rates of the inner hair cell with two capacitors, and at rest: both voltages and the smoothed release."""

    def conductance(x: float) -> float:
        z = x + DETECT_SHIFT
        return z**3 / (z**3 + z**2 + DETECT_KNEE)

    loudest = conductance(10)
    r1 = RECEPTOR_IN_S / (RECEPTOR_OUT_S * loudest)
    current1 = 1 / (r1 + 1 / conductance(0))
    loudest2 = r1 / (1 / loudest + r1)
    r2 = RELEASE_IN_S / (RELEASE_OUT_S * loudest2)
    current2 = 1 / (r2 + 1 / (r1 * current1))
    gain = 1 / (1 / (2 / loudest2 + r2) - current2)
    out1, in1 = 1 / (loudest * RECEPTOR_OUT_S * sample_rate), 1 / (RECEPTOR_IN_S * sample_rate)
    out2, in2 = 1 / (loudest2 * RELEASE_OUT_S * sample_rate), 1 / (RELEASE_IN_S * sample_rate)
    smooth, rest = 1 - math.exp(-1 / (SMOOTH_S * sample_rate)), gain * current2
    rates = (out1, in1, out2, in2, gain, smooth, rest, DETECT_SHIFT, DETECT_KNEE)
    return rates, (1 - current1 * r1, 1 - current2 * r2, rest)


def _gain_control(sample_rate: int) -> np.ndarray:
    """(stages, 7): rate, weight of the summed activity, five taps over channels, from high to low frequencies.

    Taps match the mean and the variance of the spread: three where the middle one keeps a quarter, else five.
    """
    found = []
    dc_gain = sum(AGC_GAIN**k for k in range(kernel.N_STAGES))
    for k, tau_s in enumerate(AGC_S):
        decimation = kernel.DECIMATION << k
        times = tau_s * sample_rate / decimation
        low, high = (spread * 2 ** (k / 2) for spread in AGC_SPREAD)
        mean, variance = (high - low) / times, (low**2 + high**2) / times
        second = variance + mean**2
        a, b = (second - mean) / 2, (second + mean) / 2
        taps = [0, a, 1 - a - b, b, 0]
        if taps[2] < 0.25:
            a, b = second / 5 - mean / 3, second / 5 + mean / 3
            taps = [a / 2, a / 2, 1 - a - b, b / 2, b / 2]
        if taps[2] < 0.15:
            raise ValueError(f"front=carfac with sample_rate={sample_rate}: expected 8000 Hz or more")
        found.append([1 - math.exp(-1 / times), 1 / (dc_gain * decimation), *taps])
    return np.array(found, np.float32)
