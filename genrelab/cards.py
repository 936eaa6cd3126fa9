"""A run's `card.html`: gathered from what the run made and said, written beside its other artifacts."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrelab import environment
from genrelab.types import NO_TAG, UserError
from genrelab.words import PATH_KEYS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from genrelab.compose import Config, Prepared
    from genrelab.data.split import Split
    from genrelab.fit import Fitted
    from genrelab.model import SongClassifier
    from genrelab.report.mistakes import Mistake
    from genrelab.report.protocol import Facts

CHOICES = ("full", "silent", None)
N_WORST = 6
LEVEL = 0.8  # of the MP3s: 0 the best, 1 the smallest
PATHS = tuple(f"{key}=" for key in PATH_KEYS)
SHOWN = ("python", "genrelab", "torch", "pytorch-lightning", "mlflow", "numpy", "librosa")  # versions


@dataclass(frozen=True)
class Told:
    """What is known of a run when its card is written."""

    run: Any
    config: Config
    prepared: Prepared
    splits: Sequence[Split]
    songs: pd.DataFrame
    cuts: pd.DataFrame
    figures: Mapping[str, float]  # all that MLflow has, of baselines and cost too
    groups: Mapping[str, int]  # genre -> test groups


def check(config: Config) -> None:
    """Raises UserError for a card that there is not."""
    if config.get("card") not in CHOICES:
        raise UserError(
            f"card={config['card']}: expected full, silent (no excerpts of the songs on the page) or null (no page)"
        )


def of_run(told: Told, fitted: Fitted, examples: tuple[np.ndarray, Sequence[str]]) -> None:
    """Writes the card of one trained model. examples: slices (n, F, T) and their titles.

    A fold has no excerpts: those of its k-fold run are on that one's card.
    """
    if told.config.get("card") is None:
        return
    from genrelab import compose
    from genrelab.front.base import Learned
    from genrelab.panels import upwards
    from genrelab.report.card import Seen
    from genrelab.report.mistakes import worst

    front, filters = fitted.model.front, ()
    if isinstance(front, Learned):
        fresh = compose.build(told.config, told.prepared.genres, fitted.model.several).front
        filters = (*front.filters(), *fresh.filters())  # type: ignore[operator]
    found, n_wrong = worst(told.songs, told.cuts, fitted.rule.temperature, N_WORST)
    if told.config["card"] == "full" and told.splits[0].fold is None:
        found = excerpts(found, told, lambda _: fitted.model)
    seen = [Seen(title, upwards(front, picture), front.unit) for picture, title in zip(*examples, strict=True)]
    below = "the first bin" if front.bin_hz is None else "low frequencies"
    parts = {"seen": tuple(seen), "below": below, "filters": filters, "history": fitted.history, "kept": fitted.kept}
    rule = {"temperature": fitted.rule.temperature, "score": fitted.rule.score, "threshold": fitted.rule.threshold}
    _write(told, found, n_wrong, parts | rule)


def of_folds(told: Told, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the card of a k-fold run: all songs, each as the fold that never saw it says. rows: of the folds."""
    if told.config.get("card") is None:
        return
    from genrelab import compose
    from genrelab.report import artifacts
    from genrelab.report.mistakes import worst
    from genrelab.report.table import NONE, interval, percent

    found, n_wrong = worst(told.songs, told.cuts, None, N_WORST)
    if told.config["card"] == "full":
        models = {k: compose.restore(Path(rows[k]["folder"])).model for k in {m.fold or 0 for m in found}}
        found = excerpts(found, told, lambda m: models[m.fold or 0])
    measure, table = told.run.tags["measure"], []
    for k, row in enumerate(rows):
        own = artifacts.side_of(told.songs[told.songs["fold"] == k], "test")
        f, key = row["figures"], f"test/song/{measure}"
        tested = f"{percent(f[key])} {interval(f, key)}".removesuffix(f" {NONE}")
        figures = [percent(f.get(f"val/song/{measure}")), tested, percent(f.get(f"test/slice/{measure}"))]
        table.append((k + 1, row["run_id"][:8] or row["name"], *figures, len(own), own["split_group"].nunique()))
    none = {"temperature": None, "score": "", "threshold": 0.0, "seen": (), "filters": (), "history": (), "kept": None}
    _write(told, found, n_wrong, none | {"below": "", "folds": tuple(table)})


def excerpts(found: Sequence[Mistake], told: Told, model_of: Callable[[Mistake], SongClassifier]) -> list[Mistake]:
    """Mistakes with what was heard of them and where in it the evidence lay, or why these cannot be had."""
    from genrelab.audio import decode, guarded
    from genrelab.audio.encode import encoded
    from genrelab.evidence import evidence
    from genrelab.panels import pitches
    from genrelab.report.mistakes import Clip

    rate, tracks = told.config["sample_rate"], {t.id: t for t in told.prepared.tracks}
    made: list[tuple[Mistake, Any]] = []
    with ThreadPoolExecutor(2) as pool:  # encoding lets go of the interpreter, and takes as long as what is encoded
        for m in found:
            track, front, (begin, end) = tracks[m.id], model_of(m).front, m.window_s
            try:
                wave = guarded.load(track.path, rate, track.start_s + begin, end - begin)
                sound = pool.submit(encoded, wave, rate, LEVEL)
                why = evidence(model_of(m), wave, rate, m.said)
            except decode.AudioError as error:
                made.append((replace(m, why_silent=f"Its file cannot be heard now: {error.reason}."), None))
                continue
            except ValueError as error:  # beats that are estimated anew may leave no whole slice
                made.append((replace(m, why_silent=f"No excerpt: {error}."), None))
                continue
            hz = None if front.bin_hz is None else front.bin_hz.detach().cpu().numpy()
            drawn = why.picture, why.weight, hz, pitches(front), front.unit, why.against
            made.append((m, (sound, pool.submit(encoded, why.heard, rate, LEVEL), drawn)))
        return [
            m if parts is None else replace(m, clip=Clip(parts[0].result(), parts[1].result(), *parts[2]))
            for m, parts in made
        ]


def _write(told: Told, found: Sequence[Mistake], n_wrong: int, parts: Mapping[str, Any]) -> None:
    from genrelab.baselines import WORDS
    from genrelab.report import card, protocol
    from genrelab.report.html import text

    run, config, f = told.run, told.config, _facts(told, parts)
    key = f"test/song/{f.measure}"
    bounds = (told.figures.get(f"{key}{end}", float("nan")) for end in ("_lo", "_hi"))
    figure, rest, kind = protocol.lead(f, told.figures[key], *bounds)
    sheet = card.Sheet(
        title=f"{run.name} on {told.prepared.name}",
        lead=f"<b>{text(figure)}</b>{text(rest)}",
        kind=kind,
        facts=_summary(told, f),
        checks=tuple(protocol.checks(f)),
        steps=_steps(run.id, config, f),
        protocol=tuple(protocol.protocol(f)),
        measure=f.measure,
        figures=told.figures,
        rivals=WORDS,
        verdict=f.verdict,
        songs=told.songs,
        cuts=told.cuts,
        pairs=_pairs(run.folder),
        found=tuple(found),
        n_wrong=n_wrong,
        folds=parts.get("folds", ()),
        n_boot=config["trainer"]["n_boot"],
        seed=config["seed"],
        repeat=_repeat(run.id, config),
        provenance=_provenance(run),
        notes=("Made by genrelab. What the card is made of lies beside it: predictions.parquet, slices.parquet.",),
        **{k: v for k, v in parts.items() if k != "folds"},
    )
    at = run.folder / card.FILE
    partial = at.with_suffix(".tmp")
    partial.write_text(card.html(sheet), encoding="utf-8")
    partial.replace(at)


def _facts(told: Told, parts: Mapping[str, Any]) -> Facts:
    from genrelab.data.split import crossings
    from genrelab.evaluate.calibration import ece
    from genrelab.front.resolution import sentence
    from genrelab.report import artifacts
    from genrelab.report.mistakes import believed, rightly
    from genrelab.report.protocol import Facts

    split, prepared = told.splits[0], told.prepared
    n_folds = len(told.splits) if len(told.splits) > 1 else 0
    test = artifacts.side_of(told.songs, "test")
    counts = {side: split.sides.count(side) for side in ("train", "val")}
    if split.kind == "slice":
        counts = dict.fromkeys(counts, len(test))
    raw = believed(test, None)
    off = told.figures.get("test/song/ece", ece(raw.max(1), rightly(test, raw)))
    lengths = told.cuts["end_s"] - told.cuts["start_s"]
    return Facts(
        config=told.config,
        data=prepared.name,
        genres=prepared.genres,
        front=sentence(prepared.front),
        songs=counts | {"test": len(test)},
        n_slices=len(artifacts.side_of(told.cuts, "test")),
        n_strangers=int(((told.songs["split"] == "test") & (told.songs["truth"] == NO_TAG)).sum()),
        n_unusable=len(prepared.unusable),
        n_off_beat=prepared.n_off_beat if prepared.slicer.needs_beats else 0,
        by=split.kind,
        n_folds=n_folds,
        groups=told.groups,
        crossed=crossings(prepared.tracks, split),
        audit=told.run.tags["leak_audit"],
        slices_s=(float(lengths.min()), float(lengths.max())),
        epochs=len(parts["history"]),
        kept=parts["kept"],
        temperature=parts["temperature"],
        ece=(off, told.figures.get("test/song/ece_calibrated")),
        score=parts["score"],
        threshold=parts["threshold"],
        verdict=_verdict(told),
    )


def _verdict(told: Told) -> str:
    """Whether the run is better than the best trivial baseline; "" where there are none."""
    from genrelab import baselines
    from genrelab.evaluate.intervals import Difference
    from genrelab.types import MEASURE

    f = told.figures
    if "baseline/gain" not in f:
        return ""
    best = max(
        (n for n in baselines.WORDS if f"baseline/{n}/{MEASURE}" in f), key=lambda n: f[f"baseline/{n}/{MEASURE}"]
    )
    n = int((told.songs["split"] == "test").sum())
    ends = f["baseline/gain"], f["baseline/gain_lo"], f["baseline/gain_hi"]
    fewest = min((g for g in told.groups.values() if g), default=0)
    return baselines.verdict(baselines.WORDS[best], Difference(MEASURE, *ends, True, n, n, fewest))


def _summary(told: Told, f: Facts) -> tuple[tuple[str, str], ...]:
    tags, n = told.run.tags, len(told.prepared.tracks)
    known = [
        ("data", f"{f.data}: {n:,} songs, {len(f.genres)} genres"),
        ("split", f"{f.n_folds} folds by {f.by}" if f.n_folds else f"by {f.by}"),
        ("leak audit", f.audit),
        ("seed", str(tags["seed"])),
        ("run", told.run.id[:8]),
        ("written", time.strftime("%Y-%m-%d %H:%M")),
    ]
    return tuple((what, value) for what, value in known if value)


def _pairs(folder: Path) -> list[dict[str, Any]]:
    import pandas as pd

    from genrelab.findings import PAIRS

    at = folder / PAIRS
    return (
        [dict(row) for _, row in pd.read_csv(at, keep_default_na=False, na_values=[""]).iterrows()]
        if at.is_file()
        else []
    )


def words(config: Config, *more: str, but: str = "", sweep: bool = False) -> str:
    """The command that trains so again, quoted for a shell: with the words `more`, without the key `but`."""
    own = {m.partition("=")[0] for m in more} | {but}
    given = [w for w in config["overrides"] if w.partition("=")[0] not in own]
    if any(w.partition("=")[0] == "sweep" for w in given) and not sweep:
        given.append("hydra.mode=RUN")  # one of the sweep's runs, not the sweep
    return command(*(["-m"] if sweep else []), *given, *more)


def command(*given: str) -> str:
    """A command line that a shell reads as these words. The program quotes paths for Hydra itself."""
    plain = [re.sub(r"^([\w.+]+)='([^'\\,$]*)'$", r"\1=\2", w) if w.startswith(PATHS) else w for w in given]
    return shlex.join(["python", "-m", "genrelab", *plain])


def _steps(run_id: str, config: Config, f: Facts) -> tuple[tuple[str, str], ...]:
    """The few things that would tell most, the first first."""
    from genrelab.evaluate.intervals import FEW_GROUPS as FEW

    found = []
    if f.choice("debug") != "none":
        found.append(("Train in earnest.", words(config, but="debug")))
        config = config | {"overrides": [w for w in config["overrides"] if w.partition("=")[0] != "debug"]}
    if f.by == "slice":
        found.append(("Split so that no song is on two sides.", words(config, but="split")))
    elif f.audit != "clean":
        data = [w for w in config["overrides"] if w.startswith(("data", "split", "limit_songs"))]
        found.append(("See what songs share.", command("audit", *data)))
    if min(f.groups.values()) < FEW and not f.n_folds and f.choice("net") != "frozen":
        found.append(("Test every song, since groups are few.", words(config, "split=kfold")))
    found.append(("Is it the seed? Train with others.", words(config, "seed=1,2,3", sweep=True)))
    if run_id:
        probe = "Is it the music, or tempo, key, studio? Take the cues away."
        found.append((probe, command("probe", run_id[:8], "--cues", "all")))
        found.append(("Is another part better? Compare, paired song by song.", command("compare", run_id[:8], "OTHER")))
    return tuple(found[:4])


def _repeat(run_id: str, config: Config) -> tuple[tuple[str, str], ...]:
    lines = [("The same words", words(config))]
    if run_id:
        lines.insert(0, ("The same run, from its stored config; says what differs", command("rerun", run_id)))
        lines.append(("Beside another run, song by song", command("compare", run_id, "OTHER")))
        lines.append(("A song of your own", command("tag", "SONG.mp3", "--run", run_id)))
    return tuple(lines)


def _provenance(run: Any) -> tuple[tuple[str, str], ...]:
    tags, known = run.tags, environment.load(run.folder) or {}
    rows = [
        ("run", run.id),
        ("data digest", tags.get("data_digest", "")),
        ("split digest", tags.get("split_digest", "")),
        ("config hash", tags.get("config_hash", "")),
        ("commit", tags.get("git_commit", "")),
        ("precision", tags.get("precision", "")),
        ("threads", str(known.get("threads", ""))),
        ("processor", str(known.get("processor", ""))),
        ("system", str(known.get("system", ""))),
    ]
    rows += [(name, known.get("versions", {}).get(name, "")) for name in SHOWN]
    return tuple((what, value) for what, value in rows if value)
