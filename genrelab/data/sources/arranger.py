"""`data=arranger`: accompaniment in ten styles, rendered by `mma` and `fluidsynth`, with the truth about its beats."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from genrelab.data.arranger.charts import Clip, clips
from genrelab.data.arranger.rendering import find_fonts, need_programs, render
from genrelab.data.arranger.styles import STYLES
from genrelab.data.manifest import near, read_manifest
from genrelab.data.sources.base import Source, made_once
from genrelab.types import Track, UserError

VERSION = 1  # raise it when the same parameters no longer give the same charts
COLUMNS = ("path", "genre", "id", "group", "studio", "track", "tempo_bpm", "beats_per_bar", "beats")
CHART = ("key", "progression", "grooves", "seed")  # for the reader

Progress = Callable[[str, int, int], None]  # what, done, of how many


class Arranger(Source):
    """Clips made once for each set of parameters, then found in the store. `group` is the style file that plays,
    `studio` the soundfont, which does not tell the style."""

    @property
    def name(self) -> str:
        return "arranger"

    def __init__(
        self,
        *,
        styles: Sequence[str],
        n_per_style: int,
        length_s: float,
        soundfonts: Sequence[str],
        seed: int,
        sample_rate: int,
        n_jobs: int | None,
        beats: str,
        unknown: str | None,
        tree: str | None,
    ) -> None:
        super().__init__(beats, unknown, tree)
        self.styles, self.soundfonts = [str(s) for s in styles], [str(f) for f in soundfonts]
        self.n_per_style, self.length_s, self.seed = n_per_style, length_s, seed
        self.sample_rate, self.n_jobs = sample_rate, n_jobs
        for style in self.styles:
            if style not in STYLES:
                raise UserError(f"data.styles: {style} is no style; {near(style, list(STYLES))}")
        _expect("styles", self.styles, len(set(self.styles)) == len(self.styles) >= 1, "different styles, at least one")
        _expect("soundfonts", self.soundfonts, len(self.soundfonts) >= 1, "at least one")
        _expect("n_per_style", n_per_style, _whole(n_per_style) and n_per_style >= 1, "a whole number, at least 1")
        _expect("seed", seed, _whole(seed) and seed >= 0, "a whole number, 0 or more")
        fits = isinstance(length_s, (int, float)) and not isinstance(length_s, bool) and 1 <= length_s <= 600
        _expect("length_s", length_s, fits, "seconds, from 1 to 600")
        fits = _whole(sample_rate) and 8000 <= sample_rate <= 96000  # what fluidsynth plays at
        _expect("sample_rate", sample_rate, fits, "Hz, a whole number from 8000 to 96000")
        fits = n_jobs is None or (_whole(n_jobs) and n_jobs >= 1)
        _expect("n_jobs", n_jobs, fits, "null (every core) or at least 1")

    @property
    def digest(self) -> str:
        """12 hex digits of what decides the clips: not where a font lies, nor how many processes there are."""
        own = ("styles", "n_per_style", "length_s", "seed", "sample_rate")
        fonts = [Path(font).name.removesuffix(".sf2").removesuffix(".sf3") for font in self.soundfonts]
        text = json.dumps({"version": VERSION, "fonts": fonts, **{k: getattr(self, k) for k in own}}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def clips(self, fonts: Sequence[str]) -> list[Clip]:
        """What the corpus holds, before a sample is made."""
        return clips(self.styles, self.n_per_style, float(self.length_s), fonts, self.seed)

    def tracks(self, store: Path, progress: Progress | None = None) -> list[Track]:
        """The corpus, made where it is not there yet. Raises UserError where a program or a font lacks."""
        return read_manifest(self.manifest(store, progress))

    def manifest(self, store: Path, progress: Progress | None = None) -> Path:
        """The corpus' manifest.csv; makes the corpus under the store if it is not complete there."""
        return made_once(Path(store) / "data" / f"arranger-{self.digest}", lambda part: self._fill(part, progress))

    def _fill(self, part: Path, progress: Progress | None) -> None:
        need_programs()
        fonts = find_fonts(self.soundfonts)
        for sub in ("midi", "beats", "clips"):
            (part / sub).mkdir(parents=True, exist_ok=True)
        plan = self.clips(list(fonts))
        self._make(plan, fonts, part, progress)
        _write_manifest(part / "manifest.csv", plan)

    def _make(self, plan: list[Clip], fonts: dict[str, Path], folder: Path, progress: Progress | None) -> None:
        """Render the clips that the folder lacks. The work is in the programs: a thread for each is enough."""
        todo = [clip for clip in plan if not (folder / "clips" / f"{clip.id}.ogg").is_file()]
        done = len(plan) - len(todo)
        with ThreadPoolExecutor(self.n_jobs or os.cpu_count() or 1) as pool:
            waiting = [pool.submit(render, clip, fonts[clip.studio], folder, self.sample_rate) for clip in todo]
            try:
                for future in as_completed(waiting):
                    future.result()
                    done += 1
                    if progress:
                        progress("rendering clips", done, len(plan))
            finally:
                pool.shutdown(cancel_futures=True)
        for left in folder.glob("work-*"):  # of a run that was killed
            for file in left.iterdir():
                file.unlink()
            left.rmdir()


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _expect(key: str, given: object, fits: bool, expected: str) -> None:
    if not fits:
        raise UserError(f"data.{key}={given}: expected {expected}")


def _write_manifest(path: Path, plan: list[Clip]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*COLUMNS, *CHART))
        for clip in plan:
            grid = (clip.tempo_bpm, clip.beats_per_bar, f"beats/{clip.id}.csv")
            chart = (clip.key, clip.progression, "|".join(clip.grooves), clip.seed)
            who = (f"clips/{clip.id}.ogg", clip.style, clip.id, clip.group, clip.studio, clip.id)
            writer.writerow((*who, *grid, *chart))
