"""What a comparison says: sentences, a table for the terminal, a CSV, and figures for the tracker."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genrelab.evaluate.coverage import OVER_SEEDS
from genrelab.evaluate.intervals import FEW_GROUPS
from genrelab.evaluate.paired import ALPHA
from genrelab.report.agreement import Agreement
from genrelab.report.table import NAMES, NONE, bounded, numbers_table, percent, texts

if TYPE_CHECKING:
    from rich.console import RenderableType

    from genrelab.evaluate.paired import Compared
    from genrelab.report.compare import Outcome, Versus


MOST_HEADS = 4  # sets of arms that have a sentence


def points(value: float, sign: str = "") -> str:
    """0.041 -> "4.1"; NaN -> "–"."""
    return NONE if math.isnan(value) else f"{round(100 * value, 1) + 0.0:{sign}.1f}"


def interval(c: Compared, sign: int = 1) -> str:
    """ "4.1 points [1.2, 7.0]" of the difference, or of its negative."""
    lo, hi = (c.lo, c.hi) if sign > 0 else (-c.hi, -c.lo)
    return f"{points(sign * c.points)} points [{points(lo)}, {points(hi)}]"


def probability(p: float) -> str:
    if math.isnan(p):
        return NONE
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0")


def sentence(v: Versus, n: int = 1) -> str:
    """What one of n comparisons says."""
    c = v.found
    over = f", averaged over {v.over}" if v.over else ""
    better, other = (v.a, v.b) if c.points >= 0 else (v.b, v.a)
    size = interval(c, 1 if c.points >= 0 else -1)
    if math.isnan(c.lo):
        return f"whether {v.a} and {v.b} differ{over} cannot be said, since no genre has two groups: {points(c.points)}"
    if alike(v):
        said = f"{v.a} and {v.b} are right as often in every group of songs{over}"
    elif c.told_apart:
        said = f"{better} beats {other} by {size}{over}"
    elif seen(v):
        among = f", {probability(c.p_holm)} among {n} comparisons" if n > 1 else ""
        said = f"{better} may be better than {other}{over}: {size}, but p is {probability(c.p)}{among}"
    else:
        what = "these songs and seeds" if c.seeds else "these songs"
        said = f"{what} cannot tell {v.a} and {v.b} apart{over}: {interval(c)}"
        said += f"; a difference below {points(c.detectable)} points could not have been seen"
    return said if c.reliable else f"{said}; unreliable: few groups"


def verdict(outcome: Outcome) -> str:
    """One sentence for everything; one for each set of arms that are paired, where there are several."""
    if len(outcome.versus) == 1:
        return sentence(outcome.versus[0])
    said = [_of_best(best, outcome) for best in outcome.heads[:MOST_HEADS]]
    return ". ".join(said)


def _of_best(best: str, outcome: Outcome) -> str:
    own = [v for v in outcome.versus if v.a == best and not v.over]
    beats = [v.b for v in own if v.found.told_apart and v.found.points > 0]
    beaten = [v.b for v in own if v.found.told_apart and v.found.points < 0]
    same = [v.b for v in own if alike(v)]
    rest = [v for v in own if not v.found.told_apart and not alike(v)]
    said = [f"on the test songs it beats {_all(beats)}"] if beats else []
    said += [f"{_all(beaten)} {'beats' if len(beaten) == 1 else 'beat'} it"] if beaten else []
    said += [f"it is right as often as {_all(same)} in every group of songs"] if same else []
    if rest:
        least = dict.fromkeys(points(f([v.found.detectable for v in rest])) for f in (min, max))
        below = f"below {' to '.join(least)} points nothing could have been seen"
        said.append(f"these songs cannot tell it from {_all([v.b for v in rest])} ({below})")
    return f"{best} is best on validation; {'; '.join(said)}"


def sentences(outcome: Outcome) -> list[str]:
    """What the verdict does not say already: differences that are seen, and choices of a part over all else."""
    n = len(outcome.versus)
    return [] if n == 1 else [sentence(v, n) for v in outcome.versus if v.over or seen(v)]


def alike(v: Versus) -> bool:
    return v.found.se == 0 and v.found.points == 0


def seen(v: Versus) -> bool:
    c = v.found
    return c.told_apart or c.lo > 0 or c.hi < 0 or c.p <= ALPHA


def _all(names: Sequence[str], most: int = 5) -> str:
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def table(outcome: Outcome, agreements: Sequence[Agreement]) -> RenderableType:
    """A row a comparison."""
    n = len(outcome.versus)
    rows = []
    for v, agreed in zip(outcome.versus, agreements, strict=True):
        c = v.found
        told = f"{points(c.points, '+')} [{points(c.lo)}, {points(c.hi)}]"
        holm = [probability(c.p_holm)] if n > 1 else []
        share = f"{percent(agreed.only_a / agreed.n)} / {percent(agreed.only_b / agreed.n)}"
        rows.append([v.name, told, probability(c.p), *holm, points(c.detectable), share])
    headings = ["", "points [95 %]", "p", *([f"p among {n}"] if n > 1 else []), "could be seen", "right alone, %"]
    return numbers_table(f"differences in {NAMES[outcome.measure]} per song, on the same test songs", headings, rows)


def over_seeds(outcome: Outcome) -> RenderableType:
    """A row an arm: what its runs reached together."""
    rows = []
    for arm in outcome.arms:
        if level := outcome.levels.get(arm.name):
            tested = bounded(level.at, level.lo, level.hi)
            rows.append([arm.name, str(len(arm.runs)), percent(arm.mean("val")), tested])
    return numbers_table(f"{NAMES[outcome.measure]} per song, mean of the seeds", ["", "seeds", "val", "test"], rows)


def shown(outcome: Outcome, agreements: Sequence[Agreement]) -> list[RenderableType]:
    """For the terminal: the table with what stands under it, and sentences."""
    from rich.console import Group

    return [
        *([over_seeds(outcome)] if any(len(arm.runs) > 1 for arm in outcome.arms) else []),
        Group(table(outcome, agreements), *texts(*lines(outcome))),
        "\n".join([verdict(outcome), *sentences(outcome)]),
    ]


def lines(outcome: Outcome) -> list[str]:
    """What stands under the table: how much is compared, and how far it can be trusted."""
    said = [counted(outcome)]
    found = [v.found for v in outcome.versus]
    luck = [c.seed_sd for c in found if c.seeds]
    if luck:
        said.append(
            f"seeds: a run's figure varies by {points(max(luck))} points (standard deviation) from seed to seed; that "
            "is in the intervals and in p"
        )
    else:
        said.append(
            "one seed each: this is about these trained models; whether the parts differ takes several seeds "
            "(seed=0,1,2), best on one split (split_seed=0)"
        )
    few = min(found, key=lambda c: c.n_groups_min)
    said.append(trust(few))
    if not few.reliable:
        said.append(f"unreliable: a genre has fewer than {FEW_GROUPS} groups in the test set")
    return [*said, *outcome.notes, *outcome.across]


def counted(outcome: Outcome) -> str:
    """E.g. "12 runs, 6 arms with 2 seeds, 30 test songs"."""
    runs = [r for arm in outcome.arms for r in arm.runs]
    seeds = sorted({len(arm.runs) for arm in outcome.arms})
    each = f" with {seeds[0]} seeds each" if len(seeds) == 1 and seeds[0] > 1 else ""
    if len(seeds) > 1:
        each = f" with {seeds[0]} to {seeds[-1]} seeds"
    arms = f", {len(outcome.arms)} arms{each}" if each else ""
    songs = {song for r in runs for song in r.songs["id"]}
    groups = {group for r in {r.key: r for r in runs}.values() for group in r.songs["split_group"]}
    splits = len({r.key for r in runs})
    on = f" of {splits} splits" if splits > 1 else ""
    return f"{len(runs)} runs{arms}, {len(songs)} test songs in {len(groups)} groups{on}"


def trust(c: Compared) -> str:
    """How often such intervals hold the truth."""
    where = f"{c.n_groups} groups" if c.n_strata == 1 else f"{c.n_groups_min} groups a genre"
    if c.coverage is None:
        return "a genre has one group, which adds nothing to the intervals: they are too narrow"
    said = f"intervals with {where} hold the truth in about {100 * c.coverage:.0f} % of simulations"
    low, high = (f"{100 * share:.0f}" for share in OVER_SEEDS)
    return f"{said}; over several seeds in {low} to {high} %, the fewer the worse" if c.seeds else said


FIGURES = (
    *("points", "lo", "hi", "se", "df", "p", "p_holm", "p_songs", "songs_lo", "songs_hi", "detectable", "seed_sd"),
    *("n_songs", "n_groups", "n_groups_min", "n_differing", "n_pairs", "reliable", "told_apart", "coverage"),
)
COUNTS = ("both", "only_a", "only_b", "neither", "same")


def save_csv(outcome: Outcome, agreements: Sequence[Agreement], path: Path) -> Path:
    """A row a comparison: names, the figures of `Compared` (0..1), how many songs both, one or neither have right, of
    how many both say the same, the difference in each genre, and the sentence."""
    genres = list(dict.fromkeys(g for one in agreements for g in one.genres))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["a", "b", "over", "measure", *FIGURES, *COUNTS, *(f"genre/{g}" for g in genres), "sentence"])
        for v, one in zip(outcome.versus, agreements, strict=True):
            figures: list[Any] = [getattr(v.found, c) for c in FIGURES]
            figures += [getattr(one, c) for c in COUNTS] + [one.genres.get(g, "") for g in genres]
            out.writerow([v.a, v.b, v.over, outcome.measure, *figures, sentence(v, len(outcome.versus))])
    return path


def figures(outcome: Outcome) -> dict[str, float]:
    """`compare/A less B/difference`, `_lo`, `_hi`, `p`, `p_holm` and `detectable`, under names that MLflow takes."""
    found: dict[str, float] = {}
    for v in outcome.versus:
        at = "compare/" + re.sub(r"[^\w .-]+", "_", v.name)
        c = v.found
        found |= {f"{at}/difference": c.points, f"{at}/difference_lo": c.lo, f"{at}/difference_hi": c.hi}
        found |= {f"{at}/p": c.p, f"{at}/p_holm": c.p_holm, f"{at}/detectable": c.detectable}
    return {k: v for k, v in found.items() if not math.isnan(v)}
