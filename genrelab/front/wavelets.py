"""PyWavelets' continuous wavelets as a filter bank needs them: their spectra, centres and lengths."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_DOUBLED = 4  # times that PyWavelets' bounds may be doubled
DECAYED = 1e-10  # the part of the energy in the outer half, below which a wavelet has ended
TAPERED = 1e-2  # the same for one that never ends (shan, fbsp)
DENSE = 1e-10  # the spectrum at half the sampling rate, of its peak
N_FINE = 512  # lengths of psi in a transform: linear interpolation between its rows errs by 1e-7


@dataclass(frozen=True)
class Wavelet:
    """The analytic form of a mother wavelet psi, scaled so that a full-scale sine at its centre has power 1.

    Frequencies are in cycles per unit of psi's own time, so that a bin at f Hz stretches psi by centre / f seconds.
    Real wavelets have their positive frequencies only; complex ones keep what little they have of negative ones.
    """

    centre: float  # the frequency of the loudest sine
    frequency: NDArray[np.floating[Any]]  # (n,) rising, even
    value: NDArray[np.complex128]  # (n,) the spectrum there
    energy: NDArray[np.floating[Any]]  # (m,) part of the energy outside +-length
    length: NDArray[np.floating[Any]]  # (m,) rising

    def response(self, frequency: NDArray[np.floating[Any]]) -> NDArray[np.complex128]:
        """The spectrum at any frequencies; 2 at the centre (a sine has half its amplitude at either sign)."""
        return np.interp(frequency, self.frequency, self.value, left=0, right=0)

    def band(self, tolerance: float) -> tuple[float, float]:
        """The lowest and the highest frequency whose response is above `tolerance` of the peak."""
        loud = self.frequency[np.abs(self.value) > tolerance * np.abs(self.value).max()]
        return float(loud[0]), float(loud[-1])

    def half_length(self, tolerance: float) -> float:
        """The time from the middle beyond which a part of less than tolerance**2 of the energy lies."""
        return float(self.length[int(np.argmax(self.energy < tolerance**2))])


def wavelet_of(name: str) -> Wavelet:
    """A wavelet by PyWavelets' name, from its samples. Raises ValueError for a name that it does not know.

    shan and fbsp never end: here they are PyWavelets' between its bounds (further where the band is narrow), faded out
    by a raised cosine over the outer half.
    """
    psi, step = _samples(name)
    n, middle = N_FINE * 2 ** math.ceil(math.log2(len(psi))), len(psi) // 2
    frequency = np.fft.fftfreq(n, step)
    spectrum = np.fft.fft(psi, n) * np.exp(2j * math.pi * frequency * middle * step)
    if np.isrealobj(psi):
        spectrum[frequency < 0] = 0
    elif np.abs(spectrum[frequency < 0]).max() > np.abs(spectrum[frequency > 0]).max():
        spectrum = spectrum[-np.arange(n)].conj()  # e^-ix and its conjugate hear alike
    power = np.abs(np.fft.fftshift(np.fft.ifft(spectrum))) ** 2
    both_sides = power[n // 2 :] + power[n // 2 : 0 : -1]
    both_sides[0] /= 2
    outside = np.append(np.cumsum(both_sides[::-1])[-2::-1], 0) / both_sides.sum()
    frequency, spectrum = np.fft.fftshift(frequency), np.fft.fftshift(spectrum)
    top = (np.abs(spectrum) - 0.999 * np.abs(spectrum).max()).clip(0)
    centre = float((frequency * top).sum() / top.sum())  # the middle of the top: shan's is flat
    peak = np.hypot(*np.abs(np.interp([centre, -centre], frequency, spectrum)))
    return Wavelet(centre, frequency, spectrum * (2 / peak), outside, step * np.arange(n // 2))


def _samples(name: str) -> tuple[NDArray[Any], float]:
    """psi (n,), n odd, real or complex, around its middle, and the time between samples; long and dense enough."""
    psi = _psi(name)
    bound = psi.upper_bound
    lengths = [bound * 2.0**n for n in range(N_DOUBLED + 1)]
    for part, length in itertools.product((DECAYED, TAPERED), lengths):
        for n_a_unit in (16, 32, 64, 128, 256):
            psi.lower_bound, psi.upper_bound = -length, length
            value, time = psi.wavefun(length=round(2 * length * n_a_unit) + 1)
            value = value * (0.5 + 0.5 * np.cos(math.pi * (2 * np.abs(time) / length - 1).clip(0)))
            spectrum = np.abs(np.fft.fft(value))
            if spectrum[len(value) // 2] < DENSE * spectrum.max():
                break
        power = np.abs(value) ** 2
        if power[np.abs(time) > length / 2].sum() < part * power.sum():
            return value, 1 / n_a_unit
    raise ValueError(f"front.wavelet={name}: it lasts longer than {lengths[-1]:g} of its units; take another bandwidth")


def _psi(name: str) -> Any:
    """PyWavelets' object for a name. Raises ValueError, naming what there is."""
    import pywt

    try:
        with warnings.catch_warnings(action="error", category=FutureWarning):  # a family without its parameters
            psi = pywt.ContinuousWavelet(name)
            sound = np.isfinite(psi.wavefun(length=9)[0]).all()
    except (ValueError, TypeError, FutureWarning, ZeroDivisionError):
        sound = False
    if not sound:
        with_parameters = {"cmor": "cmorB-C", "shan": "shanB-C", "fbsp": "fbspM-B-C"}
        names = ", ".join(with_parameters.get(n, n) for n in pywt.wavelist(kind="continuous"))
        raise ValueError(f"front.wavelet={name}: expected a continuous wavelet of PyWavelets: {names}")
    return psi
