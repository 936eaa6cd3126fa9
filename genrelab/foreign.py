"""What a model says of sounds that are no music: noise, silence, a tone, speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from genrelab.audio import decode, noises
from genrelab.audio.beats import estimate

if TYPE_CHECKING:
    from genrelab.evaluate.answers import Answers
    from genrelab.model import SongClassifier
    from genrelab.task.rule import Rule
    from genrelab.types import Beats

N_CLIPS = {"white": 34, "pink": 33, "babble": 33, "silence": 10, "tone": 20, "speech": 20}  # a hundred are noise
CLIP_S = 10.0


def answered(model: SongClassifier, wave: np.ndarray, sample_rate: int, beats: Beats | None = None) -> Answers:
    """What the model says of one wave (samples,), as of a song; beats are estimated where they matter and lack."""
    if beats is None and model.slicer.needs_beats:
        beats = estimate(wave, sample_rate)
    x, places, _ = model.slices(torch.from_numpy(wave), sample_rate, beats)
    n_slices = torch.tensor([len(x)])
    with torch.no_grad():
        return model.answers(model.tell(x, n_slices, places), n_slices)


def refused(model: SongClassifier, rule: Rule, sample_rate: int) -> dict[str, tuple[int, int]]:
    """Kind -> how many of how many clips get no tag. What is silent gets none without being asked, as in `tag`."""
    duration_s = max(CLIP_S, model.slicer.min_s)
    found = {}
    for kind, n in N_CLIPS.items():
        waves = [noises.clip(kind, i, duration_s, sample_rate) for i in range(n)]
        heard = [answered(model, w, sample_rate) for w in waves if not decode.is_silent(w)]
        found[kind] = (n - sum(bool(rule.accepts(said)[0]) for said in heard), n)
    return found
