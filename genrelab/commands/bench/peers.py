"""What other libraries make of a wave, as near to genrelab's front-end of that name as they come.

A maker takes our front-end and its config and returns a function of a wave (samples,) float32: power (F, frames), which
is then brought to our scale by our own code (`scaled` of the front-end) on both sides, or a finished picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Hear = Callable[[np.ndarray], Any]
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """Another library's way to a picture."""

    name: str
    package: str  # that must be there to import
    says: str  # what it computes, where that is not our picture
    make: Callable[[Any, Config], Hear]
    finished: bool = False  # its picture is not a power


def _gain(front: Any) -> float:
    """Power of a full-scale sine is 1 with us, (sum of the window / 2)^2 with everybody else."""
    return float(4 / front.window.sum() ** 2)


def _pooled(power: Any, front: Any) -> Any:
    """(n_fft / 2 + 1, frames) -> (n_bins, frames)."""
    return power[: front.rows].reshape(front.n_bins, -1, power.shape[-1]).mean(1)


def torchaudio_stft(front: Any, config: Config) -> Hear:
    import torch
    import torchaudio

    hear = torchaudio.transforms.Spectrogram(config["n_fft"], hop_length=front.hop, power=2)
    gain = _gain(front)
    return lambda wave: _pooled(gain * hear(torch.from_numpy(wave)), front)


def librosa_stft(front: Any, config: Config) -> Hear:
    import librosa

    gain, how = _gain(front), {"n_fft": config["n_fft"], "hop_length": front.hop, "pad_mode": "reflect"}
    return lambda wave: _pooled(gain * np.abs(librosa.stft(wave, **how)) ** 2, front)


def nnaudio_stft(front: Any, config: Config) -> Hear:
    import torch
    from nnAudio.features import STFT

    how = {"sr": config["sample_rate"], "output_format": "Magnitude", "verbose": False}
    hear, gain = STFT(config["n_fft"], hop_length=front.hop, **how), _gain(front)
    return lambda wave: _pooled(gain * hear(torch.from_numpy(wave))[0].square(), front)


def nnaudio_logfreq(front: Any, config: Config) -> Hear:
    import torch
    from nnAudio.features import STFT

    hear = STFT(
        config["n_fft"],
        freq_bins=front.n_bins,
        hop_length=front.hop,
        freq_scale="log",
        fmin=float(front.bin_hz[0]),
        fmax=float(front.bin_hz[-1]),
        sr=config["sample_rate"],
        output_format="Magnitude",
        verbose=False,
    )
    gain = float(4 / torch.hann_window(config["n_fft"]).sum() ** 2)
    return lambda wave: gain * hear(torch.from_numpy(wave))[0].square()


def _mel(config: Config) -> dict[str, Any]:
    return {"n_mels": config["n_bins"], "n_fft": config["n_fft"]}


def torchaudio_mel(front: Any, config: Config) -> Hear:
    import torch
    import torchaudio

    edges = {"f_min": config["f_min"], "f_max": config["f_max"], "norm": "slaney", "mel_scale": "slaney"}
    hear = torchaudio.transforms.MelSpectrogram(config["sample_rate"], hop_length=front.hop, **_mel(config), **edges)
    gain = _gain(front)
    return lambda wave: gain * hear(torch.from_numpy(wave))


def librosa_mel(front: Any, config: Config) -> Hear:
    import librosa

    edges = {"fmin": config["f_min"], "fmax": config["f_max"], "pad_mode": "reflect"}
    how = {"sr": config["sample_rate"], "hop_length": front.hop, **_mel(config), **edges}
    gain = _gain(front)
    return lambda wave: gain * librosa.feature.melspectrogram(y=wave, **how)


def nnaudio_mel(front: Any, config: Config) -> Hear:
    import torch
    from nnAudio.features import MelSpectrogram

    edges = {"fmin": config["f_min"], "fmax": config["f_max"], "verbose": False}
    hear = MelSpectrogram(sr=config["sample_rate"], hop_length=front.hop, **_mel(config), **edges)
    gain = _gain(front)
    return lambda wave: gain * hear(torch.from_numpy(wave))[0]


def _octaves(config: Config) -> dict[str, Any]:
    return {"n_bins": config["n_bins"], "bins_per_octave": config["bins_per_octave"], "fmin": config["f_min"]}


def _own_hop(front: Any) -> int:
    return front.hop


def _near_hop(front: Any) -> int:
    """The multiple of 64 samples nearest to our hop, for what halves the rate octave by octave, six times."""
    return 64 * max(1, round(front.hop / 64))


def _cqt_gain(config: Config) -> np.ndarray:
    """(n_bins, 1): librosa and nnAudio scale a bin's power by its window's length, we do not."""
    ratio = 2 ** (2 / config["bins_per_octave"])
    hz = config["f_min"] * 2 ** (np.arange(config["n_bins"]) / config["bins_per_octave"])
    length = (ratio + 1) / (ratio - 1) * config["sample_rate"] / hz
    return (4 / length)[:, None].astype(np.float32)


def librosa_cqt(hop: Callable[[Any], int]) -> Callable[[Any, Config], Hear]:
    def make(front: Any, config: Config) -> Hear:
        import librosa

        how = {"sr": config["sample_rate"], "hop_length": hop(front), **_octaves(config)}
        gain = _cqt_gain(config)
        return lambda wave: gain * np.abs(librosa.cqt(wave, **how)) ** 2

    return make


def nnaudio_cqt(kind: str, hop: Callable[[Any], int]) -> Callable[[Any, Config], Hear]:
    def make(front: Any, config: Config) -> Hear:
        import nnAudio.features
        import torch

        make_one, how = getattr(nnAudio.features, kind), _octaves(config)
        hear = make_one(sr=config["sample_rate"], hop_length=hop(front), verbose=False, **how)
        gain = torch.from_numpy(_cqt_gain(config))
        return lambda wave: gain * hear(torch.from_numpy(wave))[0].square()

    return make


def librosa_chroma_cqt(front: Any, config: Config) -> Hear:
    import librosa

    how = {"sr": config["sample_rate"], "hop_length": _near_hop(front), "norm": None, "fmin": config["f_min"]}
    how |= {
        "n_chroma": config["n_bins"],
        "n_octaves": config["n_octaves"],
        "bins_per_octave": max(36, config["n_bins"]),
    }
    return lambda wave: librosa.feature.chroma_cqt(y=wave, **how) ** 2


def librosa_chroma_stft(front: Any, config: Config) -> Hear:
    import librosa

    how = {"sr": config["sample_rate"], "hop_length": front.hop, "n_fft": 4096, "norm": None, "pad_mode": "reflect"}
    gain = float(4 / librosa.filters.get_window("hann", 4096).sum() ** 2)
    return lambda wave: gain * librosa.feature.chroma_stft(y=wave, n_chroma=config["n_bins"], tuning=0.0, **how)


def torchaudio_mfcc(front: Any, config: Config) -> Hear:
    import torch
    import torchaudio

    edges = {"f_min": config["f_min"], "f_max": config["f_max"], "norm": "slaney", "mel_scale": "slaney"}
    mel = {"n_fft": config["n_fft"], "n_mels": config["n_mels"], "hop_length": front.hop, **edges}
    hear = torchaudio.transforms.MFCC(config["sample_rate"], n_mfcc=config["n_bins"], melkwargs=mel)
    return lambda wave: hear(torch.from_numpy(wave))


def librosa_mfcc(front: Any, config: Config) -> Hear:
    import librosa

    how = {"sr": config["sample_rate"], "n_mfcc": config["n_bins"], "n_fft": config["n_fft"], "hop_length": front.hop}
    how |= {"n_mels": config["n_mels"], "fmin": config["f_min"], "fmax": config["f_max"], "pad_mode": "reflect"}
    return lambda wave: librosa.feature.mfcc(y=wave, **how)


def nnaudio_mfcc(front: Any, config: Config) -> Hear:
    import torch
    from nnAudio.features import MFCC

    how = {"n_fft": config["n_fft"], "n_mels": config["n_mels"], "hop_length": front.hop}
    how |= {"fmin": config["f_min"], "fmax": config["f_max"]}
    hear = MFCC(sr=config["sample_rate"], n_mfcc=config["n_bins"], verbose=False, **how)
    return lambda wave: hear(torch.from_numpy(wave))[0]


def frame_power(rows: np.ndarray, hop: int) -> np.ndarray:
    """(F, samples) complex -> (F, 1 + samples // hop): mean power over the hop samples around each frame's centre."""
    n_frames = 1 + rows.shape[1] // hop
    after = n_frames * hop - hop // 2 - rows.shape[1]
    out = np.empty((len(rows), n_frames), np.float32)
    for row, mean in zip(rows, out, strict=True):  # a row at a time stays in the processor's cache
        power = row.real**2 + row.imag**2
        mean[:] = np.pad(power[: n_frames * hop - hop // 2], (hop // 2, max(0, after))).reshape(n_frames, hop).mean(1)
    return out


def morlet(wavelet: str) -> float:
    """Standard deviation in periods of the Morlet wavelet `cmorB-C`. Raises ValueError for another wavelet."""
    bandwidth, dash, centre = wavelet.removeprefix("cmor").partition("-")
    if not (wavelet.startswith("cmor") and dash):
        raise ValueError(f"front.wavelet={wavelet}: this library has Morlet wavelets only, as in cmor1.5-1.0")
    return float(centre) * math.sqrt(float(bandwidth) / 2)


def pywt_cwt(front: Any, config: Config) -> Hear:
    import pywt

    hz = front.bin_hz.double().numpy()
    scales = pywt.central_frequency(config["wavelet"], precision=16) * config["sample_rate"] / hz
    gain = (4 / scales)[:, None]

    def hear(wave: np.ndarray) -> np.ndarray:
        found, _ = pywt.cwt(wave, scales, config["wavelet"], method="fft", precision=16)
        return gain * frame_power(found, front.hop)

    return hear


def ssqueezepy_cwt(front: Any, config: Config) -> Hear:
    import ssqueezepy

    mu = 2 * math.pi * morlet(config["wavelet"])
    hz = front.bin_hz.double().numpy()
    order = np.argsort(-hz)  # it wants its scales rising
    scales = (mu * config["sample_rate"] / (2 * math.pi * hz[order])).astype(np.float32)
    wavelet = ssqueezepy.Wavelet(("morlet", {"mu": mu}))

    def hear(wave: np.ndarray) -> np.ndarray:
        found, _ = ssqueezepy.cwt(wave, wavelet, scales=scales, fs=float(config["sample_rate"]), astensor=False)
        return frame_power(found, front.hop)[np.argsort(order)]

    return hear


def fcwt_cwt(front: Any, config: Config) -> Hear:
    import fcwt
    import torch

    rate, hz = config["sample_rate"], front.bin_hz
    wavelet = fcwt.Morlet(morlet(config["wavelet"]))
    scales = fcwt.Scales(wavelet, fcwt.FCWT_LOGSCALES, rate, float(hz.min()), float(hz.max()), front.n_bins)
    rising = bool(hz[-1] > hz[0])

    def hear(wave: np.ndarray) -> np.ndarray:
        found = np.zeros((front.n_bins, len(wave)), np.complex64)
        transform = fcwt.FCWT(wavelet, torch.get_num_threads(), False, True)  # FFTW's plans as they are; normalised
        transform.cwt(wave, scales, found)
        return frame_power(found, front.hop)[:: -1 if rising else 1].copy()

    return hear


PEERS: dict[str, tuple[Peer, ...]] = {
    "stft": (
        Peer("torchaudio", "torchaudio", "", torchaudio_stft),
        Peer("librosa", "librosa", "", librosa_stft),
        Peer("nnAudio", "nnAudio", "", nnaudio_stft),
    ),
    "mel": (
        Peer("torchaudio", "torchaudio", "", torchaudio_mel),
        Peer("librosa", "librosa", "", librosa_mel),
        Peer("nnAudio", "nnAudio", "", nnaudio_mel),
    ),
    "logfreq": (Peer("nnAudio", "nnAudio", "kernels at log frequencies, no triangles", nnaudio_logfreq),),
    "cqt": (
        Peer("librosa", "librosa", "at the full rate: its octaves want an even hop", librosa_cqt(_own_hop)),
        Peer("librosa octaves", "librosa", "hop of a multiple of 64", librosa_cqt(_near_hop)),
        Peer("nnAudio", "nnAudio", "", nnaudio_cqt("CQT1992v2", _own_hop)),
        Peer("nnAudio octaves", "nnAudio", "hop of a multiple of 64", nnaudio_cqt("CQT2010v2", _near_hop)),
    ),
    "chroma": (
        Peer(
            "librosa cqt", "librosa", "sums magnitudes, finds the tuning, hop of a multiple of 64", librosa_chroma_cqt
        ),
        Peer("librosa stft", "librosa", "from one transform of 4096 samples", librosa_chroma_stft),
    ),
    "mfcc": (
        Peer("torchaudio", "torchaudio", "80 dB below the loudest, not a fixed floor", torchaudio_mfcc, finished=True),
        Peer("librosa", "librosa", "80 dB below the loudest, not a fixed floor", librosa_mfcc, finished=True),
        Peer("nnAudio", "nnAudio", "80 dB below the loudest, not a fixed floor", nnaudio_mfcc, finished=True),
    ),
    "cwt": (
        Peer("pywt", "pywt", "method=fft, precision=16", pywt_cwt),
        Peer("ssqueezepy", "ssqueezepy", "float32", ssqueezepy_cwt),
        Peer("fcwt", "fcwt", "float32", fcwt_cwt),
    ),
}
