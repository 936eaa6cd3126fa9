"""The page of a song that a run was asked about: gathered from what it said, its evidence and its training songs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrelab.types import NO_TAG

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genrelab.answering import Listened
    from genrelab.compose import Restored
    from genrelab.report.tag import Heard, Neighbour, Speaks, Tagged
    from genrelab.track import Record
    from genrelab.types import Track

LEVEL = 0.6  # of the MP3s: 0 the best, 1 the smallest; 64 kbit/s at 22.05 kHz
N_NEAREST = 6  # training songs
EXCERPT_S = 10.0  # of a training song
N_EVIDENCE, LEAST = 2, 0.05  # genres whose evidence is shown, and how likely each but the first has to be


@dataclass(frozen=True)
class Asked:
    """A run that is asked, and what it remembers."""

    record: Record
    run: Restored
    songs: list[Track]  # its training songs, in the order of its rule; empty where it did not keep them
    likeness: NDArray | None  # of its validation songs, how like what it knows each is


def asked(record: Record) -> Asked:
    """A finished run with what it remembers."""
    from genrelab import compose
    from genrelab.data import known

    run = compose.restore(record.folder)
    songs = known.load(record.folder)
    return Asked(record, run, songs if len(songs) == len(run.rule.known.directions) else [], _likeness(record, run))


def _likeness(record: Record, run: Restored) -> NDArray | None:
    import pandas as pd

    path = record.folder / "predictions.parquet"
    if not path.is_file():
        return None
    songs = pd.read_parquet(path)
    column = f"known/{run.rule.score}"
    known = (songs["split"] == "val") & (songs["truth"] != NO_TAG)
    return songs.loc[known, column].to_numpy(float) if column in songs and known.any() else None


def tagged(song: Listened, asked: Asked) -> Tagged:
    """All that the page of a song says. The song was decoded, and has a decision."""
    from genrelab.data.sources.tags import read_tags
    from genrelab.report.tag import Tagged

    if song.decision is None or song.wave is None:
        raise ValueError(f"{song.path} was not heard: {song.error}")
    path, decision, model = Path(song.path), song.decision, asked.run.model
    tags = read_tags(path)
    parts: dict[str, Any] = {}
    if song.said is not None:
        near = _neighbours(song.said.embedding[0], asked)
        met = asked.run.rule.known.met(song.said.embedding[0], song.said.texture[0])
        parts = _heard(song, asked) | {"neighbours": near, "met": met is not None}
    return Tagged(
        song.path,
        tags.title or path.stem,
        tags.artist,
        asked.record.id[:8],
        _facts(song, asked, tags.genres),
        decision.genres,
        decision.n_said,
        decision.no_tag,
        model.several,
        asked.run.rule.temperature is not None,
        tuple(model.genres),
        **parts,
    )


def _facts(song: Listened, asked: Asked, genres: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """What the head of the page says: (what, value)."""
    from genrelab.report.player import clock

    record, n = asked.record, 0 if song.wave is None else len(song.wave)
    n_songs = len(asked.run.rule.known.directions)
    facts = [("length", clock(n / asked.run.config["sample_rate"])), ("file", Path(song.path).name)]
    facts += [("its tag says", ", ".join(genres))] if genres else []
    facts += [
        ("run", f"{record.name} ({record.id[:8]})"),
        ("trained on", f"{n_songs:,} songs of {record.experiment}"),
    ]
    if song.said is not None and asked.likeness is not None:
        facts.append(("like what it knows", _ranked(song, asked, asked.likeness)))
    return tuple(facts)


def _ranked(song: Listened, asked: Asked, of_val: NDArray) -> str:
    """How like what the run knows a song is, among its validation songs."""
    rule = asked.run.rule
    if song.said is None:
        return ""
    below = 100 * float((of_val < rule.knownness(song.said)[rule.score][0]).mean())
    share = "all" if below >= 99.5 else f"{below:.0f} %"
    said = f"more than {share} of its validation songs" if below >= 0.5 else "less than all of its validation songs"
    return f"{said}; the lowest {100 * (1 - rule.keep):.0f} % get no tag"


def _heard(song: Listened, asked: Asked) -> dict[str, Heard | tuple[Speaks, ...]]:
    """The song, slice by slice, and what spoke for its likeliest genres."""
    from genrelab.audio.encode import encoded
    from genrelab.evidence import evidence
    from genrelab.panels import panel, upwards
    from genrelab.report.tag import Heard, Speaks

    model, rate = asked.run.model, asked.run.config["sample_rate"]
    wave, decision, said = song.wave, song.decision, song.said
    if wave is None or decision is None or said is None:
        return {}
    likely = [g for n, (g, p) in enumerate(decision.genres) if n == 0 or p >= LEAST or n < decision.n_said]
    found = [evidence(model, wave, rate, g, song.beats) for g in likely[: max(N_EVIDENCE, decision.n_said)]]
    front = model.front
    name = asked.run.config["choices"]["front"]
    note = f"trained by {asked.record.name}" if front.learned else ""
    heard = Heard(
        wave,
        rate,
        encoded(wave, rate, LEVEL),
        panel(name, front, found[0].picture, note),
        found[0].spans,
        said.slice_probabilities(),
    )
    speaks = [
        Speaks(e.genre, e.against, upwards(front, e.weight), encoded(e.heard, rate, LEVEL))
        for e in found
        if e.weight.any()
    ]
    return {"heard": heard, "evidence": tuple(speaks)}


def _neighbours(embedding: NDArray, asked: Asked) -> tuple[Neighbour, ...]:
    """The nearest training songs, each recording once."""
    from genrelab.report.tag import Neighbour

    if not asked.songs:
        return ()
    made: dict[str, Neighbour] = {}
    order, away = asked.run.rule.known.nearest(embedding)
    for n, distance in zip(order, away, strict=True):
        track = asked.songs[n]
        recording = track.track or str(track.path)
        if recording in made:
            continue
        name, sound, why = _excerpt(track, asked.run.config["sample_rate"])
        made[recording] = Neighbour(track.id, name, track.artist, track.genres, float(distance), sound, why)
        if len(made) == N_NEAREST:
            break
    return tuple(made.values())


def _excerpt(track: Track, sample_rate: int) -> tuple[str, tuple[bytes, str] | None, str]:
    """The name of a training song, its middle as a sound, and why there is none where there is none."""
    from genrelab.audio import decode, guarded
    from genrelab.audio.encode import encoded
    from genrelab.data.sources.tags import read_tags

    try:
        wave = guarded.load(track.path, sample_rate, track.start_s, track.duration_s)
    except decode.AudioError as error:
        gone = "its file is no longer there" if error.reason == "missing" else f"its file is {error.reason}"
        return Path(track.id).name, None, gone
    sound = encoded(_middle(wave, round(EXCERPT_S * sample_rate)), sample_rate, LEVEL)
    return read_tags(track.path).title or Path(track.id).name, sound, ""


def _middle(wave: np.ndarray, n: int) -> np.ndarray:
    first = max(0, (len(wave) - n) // 2)
    return wave[first : first + n]
