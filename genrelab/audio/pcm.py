"""Sound as it is kept: 16-bit samples with room above full scale."""

from __future__ import annotations

import os

import numpy as np

from genrelab.audio import decode

FULL_SCALE = 2**14  # of stored samples: a mix or a decoder may exceed 1, here up to 2


def samples(wave: np.ndarray) -> np.ndarray:
    """A wave (n,) of full scale 1 -> int16, clipped at 2; a step is 84 dB below full scale."""
    return np.clip(np.rint(wave * FULL_SCALE), -(2**15), 2**15 - 1).astype(np.int16)


def wave(kept: np.ndarray) -> np.ndarray:
    """What `samples` kept, as float32 of full scale 1."""
    return kept.astype(np.float32) / FULL_SCALE


def hear(
    path: str | os.PathLike[str], sample_rate: int, start_s: float, duration_s: float | None
) -> tuple[np.ndarray, str]:
    """A file's samples (n,) int16 at `sample_rate` and the digest of its bytes. Raises AudioError as `inspect` does."""
    sound = decode.inspect(path, sample_rate, start_s, duration_s)
    return samples(sound), decode.file_digest(path)
