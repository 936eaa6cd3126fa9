"""How a run decides: a temperature, thresholds and what it knows of its training songs, all fixed by validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrelab.evaluate import multilabel
from genrelab.evaluate.answers import Answers
from genrelab.evaluate.calibration import fit_temperature
from genrelab.evaluate.rejection import Known, scores, threshold
from genrelab.types import Decision

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDING = 1e-4  # of a score, more than what another batch or machine moves it by


@dataclass(frozen=True)
class Rule:
    """A song whose knownness by `score` lies below `threshold` gets no tag; else the likeliest genre, or all genres
    above their thresholds where a song may have several."""

    score: str
    keep: float  # the share of the validation songs that gets a tag
    temperature: float | None  # None: too few validation songs, probabilities are uncalibrated
    threshold: float  # of the score; higher is more surely known
    thresholds: NDArray | None  # (K,) of the probabilities, where a song may have several genres
    known: Known

    @classmethod
    def fitted(cls, train: Answers, val: Answers, *, score: str, keep: float, neighbours: int) -> Rule:
        """The threshold lets `keep` of the validation songs through. Those of none of the genres do not count."""
        train, val = train.of_known, val.of_known
        known = Known.fit(train.embedding, train.texture, train.truth, neighbours)
        temperature = fit_temperature(val.song, val.target, val.several)
        limit = threshold(scores(val.evidence(temperature or 1.0), known)[score], keep)
        limit -= ROUNDING * abs(limit)  # a song on the edge is kept when it is asked about again, alone
        own = multilabel.thresholds(val.target > 0, val.probabilities()) if val.several else None
        return cls(score, keep, temperature, limit, own, known)

    def probabilities(self, said: Answers) -> NDArray:
        """(n, K), calibrated where the run could be."""
        return said.probabilities(self.temperature or 1.0)

    def knownness(self, said: Answers) -> dict[str, NDArray]:
        """Every score of (n,) songs; higher is more surely known."""
        return scores(said.evidence(self.temperature or 1.0), self.known)

    def accepts(self, said: Answers) -> NDArray:
        """(n,) bool: songs that get a tag."""
        return self.knownness(said)[self.score] >= self.threshold

    def decide(self, said: Answers, genres: Sequence[str]) -> list[Decision]:
        """A decision a song: all genres with their probabilities, what is said of the song first."""
        chosen = said.probabilities() > self.thresholds if self.thresholds is not None else None
        decisions = []
        for i, (p, accepted) in enumerate(zip(self.probabilities(said), self.accepts(said), strict=True)):
            first = np.zeros(len(genres)) if chosen is None else chosen[i].astype(float)
            order = sorted(range(len(genres)), key=lambda k: (-first[k], -p[k]))
            reason = None if accepted else "unlike the songs that the run knows"
            n_said = 1 if chosen is None else int(chosen[i].sum())
            if not n_said and accepted:
                reason = "no genre reaches its threshold"
            decisions.append(Decision(tuple((genres[k], float(p[k])) for k in order), reason, n_said))
        return decisions

    def save(self, path: Path) -> None:
        """An npz of plain arrays."""
        values: dict[str, NDArray] = {
            "score": np.array(self.score),
            "keep": np.array(self.keep),
            "temperature": np.array(np.nan if self.temperature is None else self.temperature),
            "threshold": np.array(self.threshold),
            "thresholds": np.zeros(0) if self.thresholds is None else self.thresholds,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".tmp.npz")
        values |= {f"known/{k}": v for k, v in self.known.state().items()}
        np.savez(partial, **values)  # type: ignore[arg-type]
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Rule:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            state = {k.removeprefix("known/"): stored[k] for k in stored.files if k.startswith("known/")}
            temperature, own = float(stored["temperature"]), stored["thresholds"]
            return cls(
                str(stored["score"]),
                float(stored["keep"]),
                None if np.isnan(temperature) else temperature,
                float(stored["threshold"]),
                own if len(own) else None,
                Known.from_state(state),
            )
