"""Front-ends that are not learned: power first, then its amplitude on one of four scales."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genrelab.front.base import Front

AMPLITUDES = ("power", "db", "log", "pcen")
LOG_FACTOR = 10_000.0  # log10(1 + 10,000 x): Dieleman & Schrauwen (2014), section 3
LN_10 = math.log(10)
PCEN_GAIN, PCEN_BIAS, PCEN_POWER, PCEN_TIME_S, PCEN_EPS = 0.98, 2.0, 0.5, 0.4, 1e-6  # Wang et al. (2017), section 3
PCEN_FULL_SCALE = 2.0**31  # the magnitude of a full-scale sine: PCEN expects samples of integers
PCEN_MEMORY_S = 12 * PCEN_TIME_S  # what is older weighs less than 1e-5 in the smoother


class Fixed(Front):
    """A front-end with a power, brought to the scale that a net sees.

    amplitude: `power` (a full-scale sine at a bin's centre is 1), `db` (10 log10, not below floor_db), `log`
    (log10(1 + 10,000 power)), `pcen` (per-channel energy normalisation of the magnitude, Wang et al. 2017).
    In half precision, as pictures are stored, a `power` below 3e-8 (-75 dB) is 0; the others keep their range.
    """

    hop: int  # samples from frame to frame
    power_context_s: tuple[float, float]  # how much wave the power of a frame needs left and right of its centre

    def __init__(self, amplitude: str, floor_db: float) -> None:
        super().__init__()
        if amplitude not in AMPLITUDES:
            raise ValueError(f"front.amplitude={amplitude}: expected one of {', '.join(AMPLITUDES)}")
        if not floor_db < 0:
            raise ValueError(f"front.floor_db={floor_db:g}: expected less than 0, a full-scale sine")
        self.amplitude, self.floor_db = amplitude, floor_db
        self.unit = {"db": "dB", "log": "log10(1 + 10,000 power)"}.get(amplitude, amplitude)
        self.scale = {"db": (floor_db, 0.0), "power": (0.0, 1.0), "log": (0.0, 4.0), "pcen": (0.0, 8.0)}[amplitude]

    @property
    def context_s(self) -> tuple[float, float]:  # type: ignore[override]
        """What the power needs, and with pcen the past that its smoother remembers. Set to what the power needs."""
        left, right = self.power_context_s
        return (left + PCEN_MEMORY_S * (self.amplitude == "pcen"), right)

    @context_s.setter
    def context_s(self, of_power: tuple[float, float]) -> None:
        self.power_context_s = of_power

    def power(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, frames, F): power, where a full-scale sine at a bin's centre is about 1."""
        raise NotImplementedError

    def forward(self, wave: Tensor) -> Tensor:
        """(B, samples) -> (B, F, 1 + samples // hop) in `unit`; ValueError for a wave that is too short."""
        return self.scaled(self.power(wave)).transpose(1, 2)

    def scaled(self, power: Tensor) -> Tensor:
        """(B, frames, F) of power -> the same shape in `unit`."""
        if self.amplitude == "db":
            return 10 * power.clamp_min(10 ** (self.floor_db / 10)).log10()
        if self.amplitude == "log":
            return (LOG_FACTOR * power).log1p() / LN_10
        return power if self.amplitude == "power" else pcen(power, self.hop_s)


def pcen(power: Tensor, hop_s: float) -> Tensor:
    """Per-channel energy normalisation (Wang et al. 2017, equations 1 and 2) of (B, frames, F).

    The smoother begins at frame 0's value, so that a song's start is no onset.
    """
    from torchaudio.functional import lfilter

    magnitude = PCEN_FULL_SCALE * power.clamp_min(torch.finfo(power.dtype).tiny).sqrt()  # a root of 0 has no gradient
    frames = PCEN_TIME_S / hop_s
    b = ((1 + 4 * frames**2) ** 0.5 - 1) / (2 * frames**2)  # the pole that librosa takes for a time constant
    a_coeffs, b_coeffs = magnitude.new_tensor([1.0, b - 1.0]), magnitude.new_tensor([b, 0.0])
    heard = lfilter(magnitude.transpose(1, 2), a_coeffs, b_coeffs, clamp=False).transpose(1, 2)
    age = torch.arange(1, power.shape[1] + 1, device=power.device, dtype=power.dtype)[:, None]
    smooth = heard + magnitude[:, :1] * (1 - b) ** age
    gained = magnitude * (PCEN_EPS + smooth) ** -PCEN_GAIN
    return (gained + PCEN_BIAS) ** PCEN_POWER - PCEN_BIAS**PCEN_POWER
