"""What a run says beyond its figures: how far its probabilities can be believed, what it does with songs of none of the
genres, which genres it cannot tell apart. Each finding has figures, remarks and tables, and draws its picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.evaluate.answers import Answers
from genrelab.report import artifacts, style

if TYPE_CHECKING:
    import pandas as pd

    from genrelab.compose import Config, Prepared
    from genrelab.data.split import Split
    from genrelab.fit import Fitted

PAIRS = "pairs.csv"


@dataclass(frozen=True)
class Finding:
    """`figures` go to the tracker, `notes` under the run's table, `tables` after it."""

    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tables: tuple[Any, ...] = ()


def of_run(
    config: Config, prepared: Prepared, split: Split, fitted: Fitted, songs: pd.DataFrame, folder: Path, name: str
) -> list[Finding]:
    """All findings of one trained model."""
    options = {"n_boot": config["trainer"]["n_boot"], "seed": config["seed"]}
    test = fitted.answers["test"]
    groups = np.array([split.groups[i] for i in test.index])
    found = [calibration(test, fitted, groups, options, folder, name)]
    strangers = not test.known.all()
    if strangers:
        found.append(open_set(test, fitted, groups, config, options, folder, name))
    found.append(trivial(config, prepared, [split], songs))
    return found + of_songs(songs, prepared, options, folder)


def of_songs(songs: pd.DataFrame, prepared: Prepared, options: Mapping[str, int], folder: Path) -> list[Finding]:
    """The findings that need no model, only what was said of the test songs."""
    if artifacts.several(songs):
        return [together(songs, options)]
    found = [separability(songs, options, folder), ceiling(songs, options)]
    if prepared.tree is not None:
        found.append(hierarchy(songs, prepared, options))
    return found


def trivial(config: Config, prepared: Prepared, splits: Sequence[Split], songs: pd.DataFrame) -> Finding:
    """What tempo, production and MFCC statistics alone tell of the genre, and whether the run is better than they are.

    Nothing where a song may have several genres or lies on every side: they hear whole songs and name one genre.
    """
    from genrelab import baselines
    from genrelab.report.console import BAR

    if artifacts.several(songs) or splits[0].kind == "slice" or not config.get("baselines", True):
        return Finding()
    truth, genres = prepared.labels.truth, prepared.genres
    options: Any = {"sample_rate": config["sample_rate"], "store": Path(config["store"]), "progress": BAR}
    found: baselines.Said = {}
    for split in splits:
        key = (prepared.digest, split.digest, *genres)
        said = baselines.said(prepared.tracks, truth, split.sides, len(genres), key=key, **options)
        found = {name: found.get(name, {}) | by_song for name, by_song in said.items()}
    if len(splits) > 1:  # as a k-fold run's majority is: of all songs, since every fold has its own
        commonest = int(np.bincount(truth[prepared.labels.known]).argmax())
        found["majority"] = dict.fromkeys(found["majority"], commonest)
    figures, notes = baselines.figures(
        artifacts.decided(songs, "test"), found, config["trainer"]["n_boot"], config["seed"]
    )
    return Finding(figures, tuple(notes))


def calibration(
    test: Answers, fitted: Fitted, groups: np.ndarray, options: Mapping[str, int], folder: Path, name: str
) -> Finding:
    """Whether a probability of .8 is right in 8 of 10, and what the run gains by saying nothing where it is unsure."""
    from genrelab.evaluate import calibration as c
    from genrelab.report.reliability import reliability_picture

    rule, known = fitted.rule, test.known
    own, held = test.of_known, groups[known]
    raw, fine = own.probabilities(), rule.probabilities(own)
    first = fine.argmax(1)
    confidence = fine.max(1)
    if own.several:
        right = own.target[np.arange(len(first)), first] > 0
        before, after = ((p.ravel(), own.target.ravel() > 0) for p in (raw, fine))
    else:
        right = first == own.truth
        before, after = (raw.max(1), right), (confidence, right)
    n_val = len(fitted.answers["val"].truth)
    figures = {"test/song/ece": c.ece(*before), "calibration/songs": float(n_val)}
    if rule.temperature is None:
        note = f"uncalibrated: {n_val} validation songs, a temperature needs {c.MIN_SONGS}"
    else:
        figures |= {"test/song/ece_calibrated": c.ece(*after), "calibration/temperature": rule.temperature}
        was, now = (100 * figures[f"test/song/ece{k}"] for k in ("", "_calibrated"))
        note = f"calibration: temperature {rule.temperature:.2f} from {n_val} validation songs, ECE {was:.1f} % before"
        note += f" and {now:.1f} % after"
    lo, hi = c.aurc_interval(confidence, right, held, **options)
    figures |= {"test/song/aurc": c.aurc(confidence, right), "test/song/aurc_lo": lo, "test/song/aurc_hi": hi}
    figures["test/song/kept"] = float(rule.accepts(own).mean())
    kept = f"no tag below {rule.score} {rule.threshold:.3g}: {100 * figures['test/song/kept']:.1f} % of the test songs"
    after_too = after if rule.temperature is not None else None
    drawing = reliability_picture(before, after_too, (confidence, right), f"{name}: {len(right)} test songs")
    style.save(drawing, folder / "calibration.png")
    return Finding(figures, (note, f"{kept} of known genres get one"))


def open_set(
    test: Answers,
    fitted: Fitted,
    groups: np.ndarray,
    config: Config,
    options: Mapping[str, int],
    folder: Path,
    name: str,
) -> Finding:
    """How well each score tells songs of none of the genres; what the run says of noise, silence, a tone, speech."""
    from genrelab import foreign
    from genrelab.evaluate import open_set as o
    from genrelab.evaluate.rejection import threshold
    from genrelab.report.open_set import foreign_table, open_set_picture, open_set_table

    rule, n_genres = fitted.rule, test.song.shape[1]
    scores, on_val = rule.knownness(test), rule.knownness(fitted.answers["val"])
    first = rule.probabilities(test).argmax(1)
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for score, values in scores.items():
        limit = threshold(on_val[score], rule.keep)
        decided = np.where(values >= limit, first, n_genres)
        found[score] = o.figures(values, first == test.truth, test.known, test.truth, decided, groups, **options)
    figures = {
        f"test/open_set/{score}/{metric}{end}": value
        for score, row in found.items()
        for metric, values in row.items()
        for end, value in zip(("", "_lo", "_hi"), values, strict=True)
    }
    figures |= {f"test/open_set/{metric}": values[0] for metric, values in found[rule.score].items()}
    refused = foreign.refused(fitted.model, rule, config["sample_rate"])
    figures |= {f"test/foreign/{kind}": n_refused / n for kind, (n_refused, n) in refused.items()}
    counts = f"{int(test.known.sum())} known songs and {int((~test.known).sum())} of none of the genres"
    drawing = open_set_picture(scores[rule.score], test.known, rule.threshold, found, rule.score, f"{name}: {counts}")
    style.save(drawing, folder / "open_set.png")
    return Finding(figures, (), (open_set_table(found, rule.score, counts), foreign_table(refused)))


def separability(songs: pd.DataFrame, options: Mapping[str, int], folder: Path) -> Finding:
    """Which pairs of genres the run cannot tell apart; all of them, with their intervals, in pairs.csv."""
    import pandas as pd

    from genrelab.evaluate.confusable import pairs
    from genrelab.report.confusable import confusable_picture, confusable_table

    own = artifacts.side_of(songs, "test")
    genres, truth = artifacts.genres_of(own), artifacts.numbers(own)
    found = pairs(truth, artifacts.chances(own), own["split_group"].to_numpy(str), genres, **options)
    if not found:
        return Finding()
    style.save(confusable_picture(found, genres), folder / "pairs.png")
    pd.DataFrame([asdict(p) | {"separable": p.separable} for p in found]).to_csv(folder.parent / PAIRS, index=False)
    figures = {
        "test/pairs/lowest_auroc": found[0].auroc,
        "test/pairs/not_separable": sum(not p.separable for p in found),
    }
    return Finding(figures, (), (confusable_table(found, limit=3),))


def together(songs: pd.DataFrame, options: Mapping[str, int]) -> Finding:
    """Whether the genres of a song that has several are those that it looks most like."""
    from genrelab.evaluate.multilabel import all_on_top

    own = artifacts.side_of(songs, "test")
    truth = artifacts.present(own)
    held = own["split_group"].to_numpy(str)
    more = truth.sum(1) > 1
    if not more.any():
        return Finding()
    at, lo, hi = all_on_top(truth[more], artifacts.chances(own)[more], held[more], **options)
    note = f"songs of several genres: all of them on top in {100 * at:.1f} % [{100 * lo:.1f}, {100 * hi:.1f}]"
    figures = {"test/song/all_on_top": at, "test/song/all_on_top_lo": lo, "test/song/all_on_top_hi": hi}
    return Finding(figures, (f"{note} of {int(more.sum())}",))


def ceiling(songs: pd.DataFrame, options: Mapping[str, int]) -> Finding:
    """How right the best model could look against labels some of which are wrong."""
    from genrelab.evaluate.label_noise import ceiling as estimated

    own = artifacts.side_of(songs, "test")
    found = estimated(artifacts.numbers(own), artifacts.chances(own), own["split_group"].to_numpy(str), **options)
    return Finding(
        {"ceiling/accuracy": found.ceiling, "ceiling/accuracy_lo": found.lo, "ceiling/accuracy_hi": found.hi}
    )


def hierarchy(songs: pd.DataFrame, prepared: Prepared, options: Mapping[str, int]) -> Finding:
    """How far off the wrong answers are, by the tree of the genres."""
    from genrelab.evaluate.hierarchy import figures as measured

    said = artifacts.decided(songs, "test")
    found = measured(prepared.tree, said.truth, said.decided, said.groups, **options)
    figures = {
        f"test/tree/{metric}{end}": value
        for metric, values in found.items()
        for end, value in zip(("", "_lo", "_hi"), values, strict=True)
    }
    words = {"hierarchical_f1": "hierarchical F1", "parent_accuracy": "right branch", "cost_weighted_error": "cost"}
    said_of = ", ".join(
        f"{words[m]} {100 * v:.1f} [{100 * lo:.1f}, {100 * hi:.1f}]" for m, (v, lo, hi) in found.items()
    )
    return Finding(figures, (f"by the tree of the genres, %: {said_of}",))


def gathered(found: list[Finding]) -> tuple[dict[str, float], list[str], list[Any]]:
    """The figures, notes and tables of all."""

    def tables() -> Iterator[Any]:
        for f in found:
            yield from f.tables

    return {k: v for f in found for k, v in f.figures.items()}, [n for f in found for n in f.notes], list(tables())
