"""`audit data=... split=...`: what in a data set and its split makes figures too good, as a page and CSVs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab.report.console import BAR, say, show
from genrelab.types import MEASURE, SIDES, Track, UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from genrelab.data.audit import Findings
    from genrelab.data.split import Split
    from genrelab.report.audit import Alone, Section, Sheet

NAMED = 5  # leaks of a kind that the terminal names
N_FOLDS = 5  # of the classifiers that see one thing alone
ALONE = ("loudness", "bandwidth", "tempo", "duration", "production", "mfcc")
NAMES = {"bandwidth": "bandwidth (codec cut-off)", "production": "production, all measures", "mfcc": "MFCC statistics"}
SPREADS = (
    ("loudness_lufs", "Loudness", "LUFS", False, 1.0),
    ("bandwidth_hz", "Bandwidth", "kHz, where the codec cuts", False, 1e-3),
    ("tempo_bpm", "Tempo", "estimated beats a minute", True, 1.0),
    ("duration_s", "Duration", "seconds", True, 1.0),
)


def run(
    words: Annotated[
        list[str], typer.Argument(help="As training takes them: data=manifest data.path=FILE split=artist.")
    ],
    out: Annotated[str | None, typer.Option(help="The folder. [default: in the store, audits/NAME-SPLIT]")] = None,
) -> int:
    """Look for leaks, duplicates and broken files, and for what tells genres without music. Exit code 1: a leak."""
    from genrelab import compose
    from genrelab.data import audit
    from genrelab.report.audit import verdict, write

    if out is not None and Path(out).expanduser().exists() and not Path(out).expanduser().is_dir():
        raise UserError(f"--out {out}: it is a file; give the name of a folder")
    config = compose.composed(words)
    store = Path(config["store"])
    source = compose.instantiate(config["data"])
    found = compose.songs(source, config, BAR)
    task, slicer = compose.instantiate(config["task"]), compose.instantiate(config["slice"])
    task.genres(found)  # what is wrong with them is said before all is heard
    heard, prints, sounds = _heard(found, store)
    usable = [not h.reason and h.duration_s + 1e-6 >= slicer.min_s for h in heard]
    own = [t for t, u in zip(found, usable, strict=True) if u]
    if not own:
        reasons = sorted({h.reason or "shorter than a slice" for h in heard})
        why = f"{', '.join(reasons)}; first: {found[0].path}"
        raise UserError(f"data={source.name}: none of its {len(found)} songs can be used ({why})")
    labels = task.labels(own)
    splits = compose.splits(config, SimpleNamespace(tracks=own, labels=labels))  # type: ignore[arg-type]
    placed = [audit.placed(s, found) for s in splits]
    table = _measured(found, config, store)
    pairs = _pairs(prints)
    exact = audit.duplicates(sounds, placed)
    near = audit.nearly(found, pairs, sounds, placed)
    measured = {c: table[c].to_numpy(float) for c in table.columns}
    findings = audit.Findings(
        tuple(found),
        tuple(audit.groups(found, placed)),
        tuple(exact),
        tuple(near),
        tuple(audit.two_genres(found, exact, near)),
        tuple(audit.faults(heard, measured, slicer.min_s)),
    )
    alone, chance, notes = _alone(found, usable, table, config)
    name, kind = source.name, config["choices"]["split"]
    sheet = _sheet(f"{name}, split by {kind}", findings, splits, usable, table, alone, chance, notes)
    folder = Path(out).expanduser() if out else store / "audits" / f"{name}-{_digest(splits)}"
    try:
        written = write(sheet, folder)
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: {error.strerror or error}; give another folder by --out"
        ) from error
    show(_table(sheet))
    for line in _named(findings):
        show(line)
    said = verdict(findings.leaks)
    show(f"the split leaks: {said}" if findings.leaks else f"no leak: {said[:1].lower()}{said[1:]}")
    show(f"{written[0]}  (open it in a browser; {len(written) - 1} CSVs beside it)")
    return 1 if findings.leaks else 0


def _heard(tracks: Sequence[Track], store: Path) -> tuple[list[Any], list[np.ndarray], list[str | None]]:
    """What is known of every file, its fingerprint, and a name of its decoded sound."""
    import numpy as np

    from genrelab import measures
    from genrelab.audio import fingerprint, measure
    from genrelab.types import digest

    def work(wave: np.ndarray, sample_rate: int) -> bytes:
        name = f"{sample_rate:06d}{measure.same_sound(wave)}".encode()
        return len(name).to_bytes(2, "big") + name + fingerprint.fingerprint(wave, sample_rate).tobytes()

    version = digest(fingerprint.version(), measure.version())
    heard, said = measures.kept(tracks, "taking fingerprints", version, work, store=store, progress=BAR)
    prints, sounds = [], []
    for value in said:
        n = 2 + int.from_bytes(value[:2], "big") if value else 0
        prints.append(np.frombuffer((value or b"")[n:], np.uint8).reshape(-1, fingerprint.N_BANDS))
        sounds.append(value[2:n].decode() if value else None)
    return heard, prints, sounds


def _pairs(prints: Sequence[np.ndarray]) -> list[Any]:
    from genrelab.audio import fingerprint

    return fingerprint.alike(prints, BAR)


def _measured(tracks: Sequence[Track], config: dict[str, Any], store: Path) -> pd.DataFrame:
    from genrelab import measures

    return measures.measured(tracks, sample_rate=config["sample_rate"], store=store, progress=BAR)


def _digest(splits: Sequence[Split]) -> str:
    from genrelab.types import digest

    return splits[0].digest if len(splits) == 1 else digest([s.digest for s in splits])


def _alone(
    tracks: Sequence[Track], usable: Sequence[bool], table: pd.DataFrame, config: dict[str, Any]
) -> tuple[list[Alone], float, list[str]]:
    """Balanced accuracy by each group of measures alone, grouped cross-validation; chance; and what hinders it."""
    import numpy as np

    from genrelab.audio.measure import GROUPS
    from genrelab.baselines import fitted
    from genrelab.data.folds import grouped_folds
    from genrelab.data.split import auto_key, groups_per_genre, key_values
    from genrelab.evaluate.intervals import bootstrap
    from genrelab.evaluate.metrics import confusion, from_confusion
    from genrelab.report.audit import Alone

    rows = [i for i, t in enumerate(tracks) if usable[i] and t.genres]
    own = [tracks[i] for i in rows]
    labels = [str(t.genre) for t in own]
    genres, truth = np.unique(labels, return_inverse=True)
    key = auto_key(own)[0]
    groups = key_values(own, key)
    counts = groups_per_genre(labels, groups)
    n_folds = min(N_FOLDS, len(set(groups)))
    if len(genres) < 2 or min(counts.values()) < 3:
        why = "a genre has fewer than 3 groups" if len(genres) > 1 else "there is one genre"
        return [], 1 / max(1, len(genres)), [f"Genre from one thing alone: not tested, {why}."]
    folds = grouped_folds(labels, list(groups), n_folds, config["split_seed"])
    found = []
    for n, name in enumerate(ALONE):
        x = table.iloc[rows][list(GROUPS[name])].to_numpy(float)
        decided = np.zeros(len(rows), int)
        for k in range(n_folds):
            side = np.where(folds == k, "test", np.where(folds == (k + 1) % n_folds, "val", "train"))
            decided[folds == k] = fitted(x, truth, side, len(genres), curved=name != "mfcc")
        point = float(from_confusion(confusion(truth, decided, len(genres)))[MEASURE])
        options = {"n_boot": config["trainer"]["n_boot"], "seed": config["seed"]}
        interval = bootstrap(truth, decided, np.array(groups), len(genres), **options)[MEASURE]
        found.append(Alone(NAMES.get(name, name), point, interval.lo, interval.hi))
        BAR("telling genres by one thing alone", n + 1, len(ALONE))
    by = {"song": "recording", "track": "recording"}.get(key, key)
    return found, 1 / len(genres), [f"Genre from one thing alone: {n_folds} folds, no {by} in training and test."]


def _sheet(
    title: str,
    found: Findings,
    splits: Sequence[Split],
    usable: Sequence[bool],
    table: pd.DataFrame,
    alone: Sequence[Alone],
    chance: float,
    notes: Sequence[str],
) -> Sheet:
    import numpy as np

    from genrelab.audio import fingerprint
    from genrelab.report.audit import Sheet, Spread

    genres = sorted({str(t.genre) for t in found.tracks if t.genre})
    genre = np.array([t.genre or "" for t in found.tracks], object)
    of_genre = {g: genre == g for g in genres}
    spreads = []
    for column, what, unit, log, scale in SPREADS:
        values = table[column].to_numpy(float) * scale
        spreads.append(
            Spread(what, unit, tuple((g, values[m & np.isfinite(values)]) for g, m in of_genre.items()), log)
        )
    hours = float(np.nansum(table["duration_s"])) / 3600
    length = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
    sides = [s for s in splits[0].sides if s != "unused"]
    placed = "every song on every side" if "mixed" in sides else ", ".join(f"{s} {sides.count(s)}" for s in SIDES)
    facts = (
        ("songs", f"{len(found.tracks):,}, {length}"),
        ("usable", f"{sum(usable):,}"),
        ("genres", f"{len(genres)}"),
        ("split", f"{splits[0].kind}: {f'{len(splits)} folds' if len(splits) > 1 else placed}"),
        ("digest", _digest(splits)),
    )
    foot = (fingerprint.MEASURED, *notes, "All measures are of the mean over the channels.")
    return Sheet(title, found.leaks, facts, _sections(found), tuple(spreads), tuple(alone), chance, foot)


def _sections(found: Findings) -> tuple[Section, ...]:
    """The tables of the page and of the CSVs."""
    from genrelab.data.audit import LEAKING
    from genrelab.report.audit import Section

    def ids(songs: Sequence[int]) -> str:
        return " ".join(found.tracks[i].id for i in songs)

    def genres(songs: Sequence[int]) -> str:
        return ", ".join(dict.fromkeys("|".join(found.tracks[i].genres) for i in songs))

    def row(key: str, value: str, songs: Sequence[int], sides: Sequence[str]) -> tuple[object, ...]:
        return key, value, " ".join(sides), len(songs), genres(songs), ids(songs)

    columns = ("key", "value", "sides", "n", "genres", "songs")
    leaking = [row(s.key, s.value, s.songs, s.sides) for s in found.shared if s.key in LEAKING]
    studios = [row(s.key, s.value, s.songs, s.sides) for s in found.shared if s.key not in LEAKING]
    exact = [(" ".join(e.sides), len(e.songs), genres(e.songs), ids(e.songs)) for e in found.exact]
    near = []
    for n in found.near:
        a, b = (found.tracks[i] for i in n.songs)
        known = "same" if n.same_recording else "another"
        near.append((" ".join(n.sides), n.likeness, a.id, n.at_s[0], b.id, n.at_s[1], n.tempo, known, genres(n.songs)))
    again = [(how, genres(songs), ids(songs)) for how, songs in found.two_genres]
    faults = [(found.tracks[f.song].id, genres([f.song]), f.what, f.detail) for f in found.faults]
    return (
        Section(
            "Groups on two sides",
            "groups",
            "Songs of one artist, album, recording or group, some of which train and some of which test.",
            columns,
            tuple(leaking),
            "None.",
            bad=True,
        ),
        Section(
            "Exact duplicates",
            "exact",
            "Songs whose decoded samples are equal, whatever their files are called or tagged.",
            ("sides", "n", "genres", "songs"),
            tuple(exact),
            "None.",
            bad=any(e.crosses for e in found.exact),
        ),
        Section(
            "Near duplicates",
            "near",
            "Songs of which at least 8 s are the same recording or a loop of it, through another codec, mastering or "
            "tempo. Recording: what the manifest's column track says.",
            ("sides", "likeness", "song", "from s", "other song", "its s", "tempo", "recording", "genres"),
            tuple(near),
            "None.",
            bad=any(n.crosses for n in found.near),
        ),
        Section(
            "One recording under two genres",
            "two_genres",
            "At most one of the labels is right, or the recording has both.",
            ("known by", "genres", "songs"),
            tuple(again),
            "None.",
        ),
        Section(
            "Files to look at",
            "faults",
            "Missing, corrupt, silent, short and clipped songs.",
            ("song", "genre", "what", "detail"),
            tuple(faults),
            "None.",
        ),
        Section(
            "Studios on two sides",
            "studios",
            "No leak of songs, but what a model may learn instead of genre; split=studio takes it away.",
            columns,
            tuple(studios),
            "None, or the songs name no studio.",
        ),
    )


def _table(sheet: Sheet) -> Any:
    """What was found, a line a section, and what each measure alone tells of genre."""
    from rich import box
    from rich.table import Table

    from genrelab.report import audit
    from genrelab.report.table import texts

    table = Table(box=box.SIMPLE_HEAD, title=sheet.title, title_justify="left")
    table.add_column("what", overflow="fold")
    table.add_column("found", justify="right")
    for what, value in sheet.facts[:2]:
        table.add_row(*texts(what, value))
    for title, words in audit.table(sheet):
        table.add_row(*texts(title.lower(), " ".join(words)))
    for a in sheet.alone:
        said = f"{100 * a.point:.0f} % [{100 * a.lo:.0f}, {100 * a.hi:.0f}], chance {100 * sheet.chance:.0f}"
        table.add_row(*texts(f"genre from {a.name} alone", said))
    return table


def _named(found: Findings) -> list[str]:
    """The first leaks of each kind by name."""
    lines = []
    for kind, n in found.leaks.items():
        if kind == "near duplicates":
            pairs = [f"{found.tracks[p.songs[0]].id} ~ {found.tracks[p.songs[1]].id}" for p in found.near if p.crosses]
        elif kind == "exact duplicates":
            pairs = [" = ".join(found.tracks[i].id for i in e.songs) for e in found.exact if e.crosses]
        else:
            pairs = [
                s.value if kind == "song" else f"{s.value} ({', '.join(found.tracks[i].id for i in s.songs[:3])})"
                for s in found.shared
                if s.key == kind
            ]
        more = f" and {n - NAMED} more" if n > NAMED else ""
        lines.append(f"{kind} on two sides: {'; '.join(pairs[:NAMED])}{more}")
    if any(not n.same_recording and not n.crosses for n in found.near):
        say("near duplicates of other recordings lie on one side: another split or seed may part them")
    return lines
