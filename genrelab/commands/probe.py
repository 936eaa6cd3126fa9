"""`probe RUN --cues all`: what a finished run's decisions hang on, by taking one cue after another away."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths
from genrelab.audio.cues import CUES
from genrelab.report.console import BAR, say, show
from genrelab.types import Beats, Track, UserError, digest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from genrelab.compose import Config, Prepared
    from genrelab.evaluate.probe import Fall, Reading
    from genrelab.model import SongClassifier
    from genrelab.track import Record


@dataclass(frozen=True)
class Song:
    """A test song, and the model that never saw it."""

    index: int  # among the run's songs
    group: str
    fold: int  # which of the models
    model: SongClassifier
    thresholds: np.ndarray | None  # of the model's rule, where a song may have several genres
    beats: Beats | None


@dataclass(frozen=True)
class Heard:
    """What was said of one song, as it is and changed."""

    before: np.ndarray  # (K,) probabilities
    embedding: np.ndarray  # (D,)
    after: dict[str, np.ndarray]  # cue -> (V, K)
    seconds: dict[str, float]  # that a cue took


def run(
    run: Annotated[str, typer.Argument(help="The run: an id, a name, last or best.")],
    cues: Annotated[str, typer.Option(help=f"all, or some of {', '.join(CUES)}, with commas between.")] = "all",
    songs: Annotated[int | None, typer.Option(min=1, help="At most as many test songs, every genre alike.")] = None,
) -> int:
    """Take one cue after another away from a run's test songs, and say what each costs it."""
    from genrelab import revisit
    from genrelab.store import each

    names, store = chosen(cues), paths.store_dir()
    record, models = revisit.whole(store, run)
    config = revisit.config_of(record, store)
    prepared = revisit.as_trained(record, config, BAR)
    sounds = _sounds(prepared, config["sample_rate"]) if "remaster" in names else {}
    if "remaster" in names and not sounds:
        names.remove("remaster")
        say("remaster is left out: it takes two studios, named in the column studio for every song")
        if not names:
            raise UserError("--cues remaster: nothing is left to try; new_chain needs no studios")
    asked = _limited(_songs(models, prepared, config), prepared, songs)
    say(f"probe of {record.name} ({record.id[:8]}): {len(asked)} test songs, {len(names)} cues")
    heard: list[Heard] = []
    work = each(range(len(asked)), lambda i: _hear(asked[i], prepared, config["sample_rate"], names, sounds))
    for n, (_, said) in enumerate(work, 1):
        heard.append(said)
        BAR("probing songs", n, len(asked))
    marks = {"cues": ",".join(names), "songs": len(asked)}
    with revisit.below(record, config, "probe", marks) as child:
        _report(child, record, prepared, config, asked, heard)
    return 0


def chosen(cues: str) -> list[str]:
    """The cues that are asked for, each once. Raises UserError for one that there is not."""
    if cues == "all":
        return list(CUES)
    names = list(dict.fromkeys(filter(None, (n.strip() for n in cues.split(",")))))
    if not names:
        raise UserError(f"--cues {cues!r} names none: expected all, or some of {', '.join(CUES)}")
    for name in names:
        if name not in CUES:
            near = difflib.get_close_matches(name, CUES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"--cues {name}: there is no such cue; there are all, {', '.join(CUES)}{hint}")
    return names


def _songs(models: list[Record], prepared: Prepared, config: Config) -> list[Song]:
    """Every test song of one of the genres, of a k-fold run by the fold that tested it."""
    from pathlib import Path

    from genrelab import compose, revisit
    from genrelab.data.grids import grids

    place = {t.id: i for i, t in enumerate(prepared.tracks) if prepared.labels.known[i]}
    found = []
    for fold, record in enumerate(models):
        sides = revisit.sides(record)
        if (sides["side"] == "mixed").any():
            raise UserError(
                f"{record.name} ({record.id[:8]}) was split by slice: no song of it is unseen, so there is none to "
                "probe it with; train with split=song or split=artist"
            )
        restored = compose.restore(record.folder)
        parts = (fold, restored.model, restored.rule.thresholds, None)
        own = sides[sides["side"] == "test"]
        found += [Song(place[i], g, *parts) for i, g in zip(own.index, own["group"], strict=True) if i in place]
    found.sort(key=lambda s: s.index)
    if not prepared.slicer.needs_beats:
        return found
    keys = [prepared.pictures.keys[s.index] for s in found]
    lengths_s = [float(prepared.pictures.duration_s[s.index]) for s in found]
    options: Any = {"sample_rate": config["sample_rate"], "store": Path(config["store"]), "progress": BAR}
    tracks = [prepared.tracks[s.index] for s in found]
    known = grids(tracks, keys, lengths_s, compose.instantiate(config["data"]).beats, **options)
    return [replace(s, beats=b) for s, b in zip(found, known, strict=True)]


def _limited(songs: list[Song], prepared: Prepared, limit: int | None) -> list[Song]:
    """At most so many songs, every genre alike, spread over its groups."""
    from genrelab.data.strangers import limited

    by_group = sorted(songs, key=lambda s: s.group)
    kept = {t.id for t in limited([prepared.tracks[s.index] for s in by_group], limit)}
    return [s for s in songs if prepared.tracks[s.index].id in kept]


def _sounds(prepared: Prepared, sample_rate: int) -> dict[str, np.ndarray]:
    """What each studio of the data does to the spectrum, dB in bands; nothing where the studios are not known."""
    import numpy as np

    from genrelab.audio import production
    from genrelab.store import each

    tracks = [t for t, known in zip(prepared.tracks, prepared.labels.known, strict=True) if known]
    if not all(t.studio for t in tracks) or len({t.studio for t in tracks}) < 2:
        return {}
    levels = []
    for n, (_, level) in enumerate(each(range(len(tracks)), lambda i: _levels(tracks[i], sample_rate)), 1):
        levels.append(level)
        BAR("measuring studios", n, len(tracks))
    played_by = [t.artist or f"genre {t.genre}" for t in tracks]
    return production.fitted(np.stack(levels), [str(t.studio) for t in tracks], played_by)


def _levels(track: Track, sample_rate: int) -> np.ndarray:
    from genrelab.audio import production

    return production.levels(_wave(track, sample_rate), sample_rate)


def _wave(track: Track, sample_rate: int) -> np.ndarray:
    from genrelab.audio import decode, guarded

    try:
        return guarded.load(track.path, sample_rate, track.start_s, track.duration_s)
    except decode.AudioError as error:
        raise UserError(f"{track.path}: {error}; the run has heard it, so bring it back") from error


def _versions(
    wave: np.ndarray, song: Song, track: Track, sample_rate: int, cue: str, sounds: Mapping[str, np.ndarray]
) -> Iterator[tuple[np.ndarray, Beats | None]]:
    """The waves of a song under a cue, and their beats."""
    import numpy as np

    from genrelab.audio import production

    for n, version in enumerate(CUES[cue].versions):
        rng = np.random.default_rng(int(digest(track.id, cue, n), 16))
        yield version.wave(wave, sample_rate, rng), version.beats(song.beats, len(wave) / sample_rate)
    if CUES[cue].moves:
        own = str(track.studio)
        others = [s for s in sounds if s != own]
        rng = np.random.default_rng(int(digest(track.id, cue), 16))
        for studio in rng.permutation(others)[: CUES[cue].moves]:
            yield production.equalised(wave, sample_rate, sounds[studio] - sounds[own]), song.beats


def _hear(song: Song, prepared: Prepared, sample_rate: int, cues: list[str], sounds: Mapping[str, np.ndarray]) -> Heard:
    """Decodes a song once, and asks the model about it as it is and under each cue."""
    import numpy as np
    import torch

    from genrelab.evaluate.calibration import apply

    track: Track = prepared.tracks[song.index]
    model, several = song.model, song.model.several
    wave = _wave(track, sample_rate)

    def told(scores: Tensor) -> np.ndarray:
        return apply(scores.float().numpy(), 1.0, several)[0]

    def asked(changed: np.ndarray, beats: Beats | None) -> Any:
        x, places, _ = model.slices(torch.from_numpy(changed), sample_rate, beats)
        return model(x, torch.tensor([len(x)]), places)

    after, seconds = {}, {}
    with torch.no_grad():
        own = asked(wave, song.beats)
        for cue in cues:
            started, said = time.perf_counter(), []
            for changed, beats in _versions(wave, song, track, sample_rate, cue, sounds):
                said.append(told(asked(changed, beats).song))
            rng = np.random.default_rng(int(digest(track.id, cue), 16))
            for _ in range(CUES[cue].orders):
                order = torch.from_numpy(rng.permutation(len(own.embedding)))
                said.append(told(model.judge(own.embedding[order], torch.tensor([len(order)])).song))
            after[cue], seconds[cue] = np.stack(said), time.perf_counter() - started
        return Heard(told(own.song), own.embedding.mean(0).numpy(), after, seconds)


def _report(
    child: Any, record: Record, prepared: Prepared, config: Config, songs: list[Song], heard: list[Heard]
) -> None:
    """Figures, table, picture and sentences."""
    import numpy as np
    import pandas as pd

    from genrelab.evaluate.probe import Asked, falls
    from genrelab.report import kept, style
    from genrelab.report.probe import probe_picture, probe_table, rows, sentence, verdict

    options = {"n_boot": config["trainer"]["n_boot"], "seed": config["seed"]}
    index = [s.index for s in songs]
    several = songs[0].model.several
    cut = np.array([s.thresholds for s in songs]) if several else None
    asked = Asked(
        prepared.labels.target[index] > 0
        if several
        else np.eye(len(prepared.genres))[prepared.labels.truth[index]] > 0,
        np.array([s.group for s in songs]),
        np.stack([h.before for h in heard]),
        cut,
    )
    after = {cue: np.stack([h.after[cue] for h in heard], 1) for cue in heard[0].after}
    found = falls(asked, after, **options)
    readings = _readings(prepared, songs, np.stack([h.embedding for h in heard]), options)
    child.metrics(_figures(found, readings) | {"songs/test": len(songs)})
    pd.DataFrame(rows(found, prepared.genres)).to_csv(child.folder / "probe.csv", index=False)
    title = f"{record.name}: {len(songs)} test songs"
    style.save(probe_picture(found, prepared.genres, title), child.folder / "pictures" / "probe.png")
    spent = {cue: float(np.mean([h.seconds[cue] for h in heard])) for cue in after}
    measure = "LRAP" if several else "balanced accuracy"
    names: Mapping[str, tuple[str, str]] = {name: (cue.noun, cue.deed) for name, cue in CUES.items()}
    told = [sentence(fall, *names[fall.cue]) for fall in sorted(found, key=lambda f: -f.fall)]
    shown = [probe_table(f"{title}, {measure} %", found, readings, spent), "", *told]
    shown += [line] if (line := verdict(found)) else []
    kept.save(shown, child.folder)
    for part in shown:
        show(part)
    show(f"picture: {child.folder / 'pictures' / 'probe.png'}")


def _readings(prepared: Prepared, songs: list[Song], z: np.ndarray, options: Mapping[str, int]) -> list[Reading]:
    """What can be read off the embeddings of the songs, as far as the manifest knows it."""
    import numpy as np

    from genrelab.evaluate.probe import reading

    tracks = [prepared.tracks[s.index] for s in songs]
    genre = prepared.labels.truth[[s.index for s in songs]]
    fold = np.array([s.fold for s in songs])
    song_of = np.array([t.track or t.id for t in tracks])
    group_of = np.array([s.group for s in songs])
    found = []
    for what, value, held, by in (
        ("genre", [t.genre for t in tracks], group_of, "groups"),
        ("studio", [t.studio for t in tracks], song_of, "songs"),
        ("artist", [t.artist for t in tracks], song_of, "songs"),
    ):
        has = np.array([bool(v) for v in value])
        if not has.any():
            continue
        own = np.array([str(v) for v in value])
        told = reading(what, z[has], own[has], held[has], by, genre[has], fold[has], **options)
        if told is not None:
            found.append(told)
    return found


def _figures(falls: list[Fall], readings: list[Reading]) -> dict[str, float]:
    import math

    figures: dict[str, float] = {}
    for f in falls:
        at = f"probe/{f.cue}"
        figures |= {f"{at}/fall": f.fall, f"{at}/fall_lo": f.lo, f"{at}/fall_hi": f.hi}
        figures |= {f"{at}/stays": f.stays, f"{at}/shift": f.shift}
    for r in readings:
        at = f"probe/read/{r.what}"
        figures |= {at: r.reached, f"{at}_lo": r.lo, f"{at}_hi": r.hi, f"{at}_chance": r.chance}
        figures |= {f"{at}_by_genre": r.by_genre}
    return {k: v for k, v in figures.items() if not math.isnan(v)}
