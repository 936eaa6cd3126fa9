"""What a finished run says of a song it never saw, and which run is asked: `tag` and the served model answer alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrelab.types import Beats, Decision, UserError

if TYPE_CHECKING:
    import numpy as np

    from genrelab.compose import Restored
    from genrelab.evaluate.answers import Answers
    from genrelab.track import Record


def chosen_run(store: Path, word: str | None) -> Record:
    """The run that is asked: the one named, else the store's last; of a k-fold run the fold that is best on validation.

    Raises UserError where there is none, or where no run is named and the store holds runs on several data sets.
    """
    from genrelab import track

    if word is None:
        newest: dict[str, Any] = {}
        for r in track.records(store):
            if r.kind in track.WHOLE and r.status == "FINISHED":
                newest.setdefault(r.experiment, r)
        if len(newest) > 1:
            choices = ", ".join(f"--run {r.id[:8]} ({r.name} on {data})" for data, r in newest.items())
            raise UserError(f"the store has runs on {len(newest)} data sets; say which to ask: {choices}")
    return max(track.models(store, track.find(store, word or "last")), key=lambda r: r.chosen_by or 0.0)


@dataclass(frozen=True)
class Listened:
    """A song that a run was asked about, and what it said."""

    path: str
    wave: np.ndarray | None = None  # (samples,) float32 mono at the run's sample rate; None where it cannot be decoded
    decision: Decision | None = None
    said: Answers | None = None  # None for silence
    beats: Beats | None = None  # where the run's slices follow them
    error: str | None = None  # why it cannot be asked

    @property
    def answer(self) -> dict[str, Any]:
        """In plain values: path, label, no_tag (why there is none, or None), genres (ranked: genre, probability),
        n_slices, error (or None)."""
        n_slices = 0 if self.said is None else int(self.said.n_slices[0])
        return answer(self.path, self.decision, n_slices, self.error)


def ask(path: Path, asked: Restored, longest_s: float | None = None) -> dict[str, Any]:
    """What the run says of one file, or why it cannot be asked, as `Listened.answer`; no more than `longest_s` of it is
    decoded."""
    return listen(path, asked, longest_s).answer


def listen(path: Path, asked: Restored, longest_s: float | None = None) -> Listened:
    """As `ask`, with all that led to the answer."""
    from genrelab.audio import decode, guarded

    sample_rate = asked.config["sample_rate"]
    try:
        wave = guarded.load(path, sample_rate, duration_s=longest_s)
    except decode.AudioError as error:
        return Listened(str(path), error=": ".join(filter(None, (error.reason, error.detail))))
    if longest_s is not None and len(wave) >= round(longest_s * sample_rate):
        return Listened(str(path), error=f"too long: {longest_s / 60:g} minutes or more")
    return judged(wave, asked, str(path))


def judged(wave: np.ndarray, asked: Restored, path: str = "") -> Listened:
    """As `listen`, of a wave: (samples,) float32 mono at the run's sample rate."""
    from genrelab.audio import decode
    from genrelab.audio.beats import estimate
    from genrelab.foreign import answered

    model, sample_rate = asked.model, asked.config["sample_rate"]
    if decode.is_silent(wave):
        return Listened(path, wave, Decision((), no_tag="silent"))
    seconds = len(wave) / sample_rate
    if seconds + 1e-6 < model.slicer.min_s:
        return Listened(path, wave, error=f"shorter than a slice: {seconds:.2f} s of {model.slicer.min_s:g} s")
    beats = estimate(wave, sample_rate) if model.slicer.needs_beats else None
    said = answered(model, wave, sample_rate, beats)
    (decision,) = asked.rule.decide(said, model.genres)
    return Listened(path, wave, decision, said, beats)


def answer(path: str, decision: Decision | None = None, n_slices: int = 0, error: str | None = None) -> dict[str, Any]:
    """An answer in plain values, as JSON has them."""
    said = decision or Decision(())
    return {
        "path": path,
        "label": said.label if decision else None,
        "no_tag": said.no_tag,
        "genres": [{"genre": g, "probability": round(p, 4)} for g, p in said.genres],
        "n_slices": n_slices,
        "error": error,
    }
