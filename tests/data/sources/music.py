"""Tagged music files, as rippers and shops write them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import mutagen.flac
import mutagen.id3
import mutagen.mp4
import mutagen.oggvorbis
import numpy as np
import pytest
import soundfile

from genrelab.audio import mp4

needs_ffmpeg = pytest.mark.skipif(
    shutil.which("ffmpeg") is None, reason="M4A is made by ffmpeg: apt-get install ffmpeg"
)
needs_torchcodec = pytest.mark.skipif(mp4.decoder() is None, reason=mp4.NEEDS)
SUFFIXES = ("mp3", "flac", "ogg", "m4a")
RATE = 22050
FRAMES = {"genre": "TCON", "albumartist": "TPE2", "artist": "TPE1", "album": "TALB", "title": "TIT2", "bpm": "TBPM"}
ATOMS = {"genre": "©gen", "albumartist": "aART", "artist": "©ART", "album": "©alb", "title": "©nam"}


def encode(path: Path, wave: np.ndarray, rate: int = RATE, *options: str) -> Path:
    """(samples,) or (samples, channels) in the format of the file's suffix, without tags."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".m4a":
        soundfile.write(path, wave, rate)
        return path
    plain = path.with_suffix(".plain.wav")
    soundfile.write(plain, wave, rate)
    words = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-i",
        str(plain),
        "-map_metadata",
        "-1",
        "-b:a",
        "192k",
        *options,
        str(path),
    ]
    subprocess.run(words, check=True)
    plain.unlink()
    return path


def tag(path: Path, **said: str | list[str]) -> Path:
    """Writes genre, artist, albumartist, album, title, bpm into the file, as its format has them."""
    texts = {name: [value] if isinstance(value, str) else value for name, value in said.items()}
    if path.suffix == ".mp3":
        frames = mutagen.id3.ID3()
        for name, values in texts.items():
            frames.add(getattr(mutagen.id3, FRAMES[name])(encoding=3, text=values))
        frames.save(path)
    elif path.suffix == ".m4a":
        atoms = mutagen.mp4.MP4(path)
        for name, values in texts.items():
            if name == "bpm":
                atoms["tmpo"] = [int(values[0])]
            else:
                atoms[ATOMS[name]] = values
        atoms.save()
    else:
        file = (mutagen.flac.FLAC if path.suffix == ".flac" else mutagen.oggvorbis.OggVorbis)(path)
        file.update(texts)
        file.save()
    return path


def song(path: Path, wave: np.ndarray | None = None, **said: str | list[str]) -> Path:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE // 5)
    return tag(encode(path, noise if wave is None else wave), **said)
