"""A clip's chart becomes MIDI by `mma`, and sound by `fluidsynth`."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from genrelab.data.arranger.charts import Clip
from genrelab.types import UserError

PROGRAMS = ("mma", "fluidsynth")
FONT_DIRS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")
PACKAGES = {"TimGM6mb": "timgm6mb-soundfont", "MuseScore_General_Lite": "musescore-general-soundfont-small"}
INSTALL = f"on Debian: apt-get install {' '.join((*PROGRAMS, *PACKAGES.values()))}"
PEAK = 0.9  # of every clip: a font is louder than another
SPARE_S = 120  # for one program on one clip


def need_programs() -> None:
    """Raises UserError where a program lacks."""
    lacking = [program for program in PROGRAMS if not shutil.which(program)]
    if lacking:
        raise UserError(
            f"data=arranger needs the programs {' and '.join(PROGRAMS)}; not found: {', '.join(lacking)}; {INSTALL}"
        )


def find_fonts(given: Sequence[str]) -> dict[str, Path]:
    """Name -> file of soundfonts given as paths, or as names of files in the folders where they are installed.

    Raises UserError for one that is not there, and for two of one name.
    """
    found: dict[str, Path] = {}
    for word in given:
        places = [Path(word).expanduser()]
        if places[0].name == word:
            names = [word] if places[0].suffix in (".sf2", ".sf3") else [f"{word}.sf2", f"{word}.sf3"]
            places = [Path(folder) / name for folder in FONT_DIRS for name in names] + places
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            package = PACKAGES.get(Path(word).stem)
            hint = f"apt-get install {package}" if package else f"give a file, or a name out of {', '.join(FONT_DIRS)}"
            raise UserError(f"data.soundfonts: {word} is not there: {hint}")
        if path.stem in found:
            raise UserError(f"data.soundfonts: two fonts are named {path.stem}: rename one or leave it out")
        found[path.stem] = path.absolute()
    return found


def render(clip: Clip, font: Path, folder: Path, sample_rate: int) -> None:
    """Write `midi/ID.mid`, `beats/ID.csv` and, last, `clips/ID.ogg` below the folder; a file with its name is whole.

    Raises UserError where a program fails.
    """
    with tempfile.TemporaryDirectory(prefix="work-", dir=folder) as work:
        here = Path(work)
        (here / "clip.mma").write_text(clip.chart)
        # always one name and one folder: mma writes its input's name into the MIDI; and no settings of the user's own
        _run(["mma", "clip.mma", "-f", "clip.mid"], here, clip)
        rate = ["-r", str(sample_rate)]
        _run(["fluidsynth", "-ni", "-q", "-F", "clip.wav", "-T", "wav", *rate, str(font), "clip.mid"], here, clip)
        start, n = round(clip.start_s * sample_rate), round(clip.length_s * sample_rate)
        wave, _ = soundfile.read(here / "clip.wav", start=start, frames=n, dtype="float32", always_2d=True)
        mono = wave.mean(axis=1)
        peak = float(np.abs(mono).max(initial=0))
        if len(mono) < n or peak == 0:
            what = "is silent" if peak == 0 else f"lasts {len(mono) / sample_rate:.1f} s"
            raise UserError(f"clip {clip.id} ({clip.group}, {font.name}) {what}: leave {clip.style} out of data.styles")
        _write(here / "clip.ogg", mono * (PEAK / peak), sample_rate)
        with (here / "clip.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("time", "beat_in_bar"))
            writer.writerows((f"{time_s:.4f}", place) for time_s, place in clip.beats)
        for kind, suffix in (("midi", ".mid"), ("beats", ".csv"), ("clips", ".ogg")):
            (here / f"clip{suffix}").replace(folder / kind / f"{clip.id}{suffix}")


def _write(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """A second at a time: libsndfile's Vorbis overflows its stack on long pieces."""
    with soundfile.SoundFile(path, "w", sample_rate, 1, format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(wave), sample_rate):
            file.write(wave[start : start + sample_rate])


def _run(command: list[str], here: Path, clip: Clip) -> None:
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=here,
            env={**os.environ, "HOME": str(here)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SPARE_S,
        )
        said, failed = (done.stderr + done.stdout).strip().splitlines(), done.returncode != 0
    except subprocess.TimeoutExpired:
        said, failed = [f"not finished after {SPARE_S} s"], True
    if not failed and not (here / command[-1]).is_file():
        said, failed = [*said, "wrote nothing"], True
    if failed:
        last = said[-1].strip() if said else "no message"
        raise UserError(f"{command[0]} failed on clip {clip.id} ({clip.group}): {last}; {INSTALL}")
