"""A wave as bytes that every browser plays."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz, those that the format has


def encoded(wave: NDArray, sample_rate: int, level: float) -> tuple[bytes, str]:
    """A wave (samples,) or (samples, channels) as a file, and its MIME type.

    MP3 of constant rate where libsndfile writes it and the format has the rate, else FLAC. level: 0 the best to 1 the
    smallest MP3. A wave that goes beyond full scale is brought down to it.
    """
    import numpy as np
    import soundfile

    held = io.BytesIO()
    loudest = max(1.0, float(np.abs(wave).max(initial=0.0)))
    if sample_rate in MP3_RATES and "MP3" in soundfile.available_formats():
        mp3 = {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": level}
        soundfile.write(held, wave / loudest, sample_rate, **mp3)
        return held.getvalue(), "audio/mpeg"
    soundfile.write(held, wave / loudest, sample_rate, format="FLAC")
    return held.getvalue(), "audio/flac"
