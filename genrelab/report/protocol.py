"""What a run did and how far it can be trusted, in plain sentences for its page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genrelab.evaluate.intervals import FEW_GROUPS as FEW
from genrelab.report.html import MINUS
from genrelab.report.table import NAMES
from genrelab.types import MEASURE

MANY = 24  # genres that are named
HELD_OUT = {  # what a split holds apart -> of the test songs
    "group": "of groups that it never met",
    "artist": "by artists that it never heard",
    "album": "from albums that it never heard",
    "studio": "from studios that it never heard",
    "track": "of recordings that it never heard",
    "song": "that it never heard",
    "slice": "whose other slices it was trained on",
    "official": "of the data set's own test side",
    "file": "of the test side that was given",
}
NORMS = {
    "train": "by the mean and deviation of the training songs",
    "song": "by those of the song",
    "slice": "by those of the slice",
    "none": "not at all",
}
AVERAGED = {
    MEASURE: "Balanced accuracy is the share of right songs in each genre, and then the mean over the {k} genres: a "
    "genre counts alike however many songs it has.",
    "map": "Mean average precision ranks all songs by each genre's probability, and is the mean over the {k} genres: a "
    "genre counts alike however many songs it has.",
}


@dataclass(frozen=True)
class Facts:
    """What the sentences are made of."""

    config: Mapping[str, Any]
    data: str  # the name of the data set
    genres: Sequence[str]
    front: str  # what its pictures are, a sentence
    songs: Mapping[str, int]  # side -> songs, of known genres in the test
    n_slices: int  # of the test songs
    n_strangers: int  # test songs of none of the genres
    n_unusable: int
    n_off_beat: int  # songs cut in fixed windows where beats were wanted
    by: str  # what the split holds apart: artist, album ...
    n_folds: int  # 0: a single split
    groups: Mapping[str, int]  # genre -> test groups
    crossed: Mapping[str, int]  # key -> how many of its values lie on two sides
    audit: str  # clean, leaks, unaudited
    slices_s: tuple[float, float]  # the shortest and the longest slice
    epochs: int
    kept: int | None  # the epoch of the weights
    temperature: float | None
    ece: tuple[float, float | None]  # before and after the temperature
    score: str
    threshold: float
    verdict: str  # on the best trivial baseline, "" where there are none

    @property
    def several(self) -> bool:
        return str(self.config["task"]["_target_"]).endswith(".Multi")

    @property
    def measure(self) -> str:
        return "map" if self.several else MEASURE

    def choice(self, group: str) -> str:
        return str(self.config["choices"].get(group, "none"))


def held_out(f: Facts) -> str:
    return HELD_OUT.get(f.by, "that it never heard")


def protocol(f: Facts) -> list[str]:
    """Which songs, what is held apart, which way they go, what decides, what is averaged."""
    return [line for line in (_songs(f), _split(f), _way(f), _training(f), _decides(f), _averaged(f)) if line]


def _songs(f: Facts) -> str:
    named = ", ".join(f.genres[:MANY]) + (f" and {len(f.genres) - MANY} more" if len(f.genres) > MANY else "")
    n = f.songs["test"] if f.n_folds or f.by == "slice" else sum(f.songs.values())
    line = f"{n:,} songs of {f.data} in {len(f.genres)} genres: {named}."
    if f.n_strangers:
        line += f" {f.n_strangers:,} songs of none of them are in the test alone."
    if f.n_unusable:
        line += f" {f.n_unusable:,} tracks could not be used and were left out."
    if f.config.get("limit_songs"):
        line += f" Only a part of the data was used (limit_songs={f.config['limit_songs']})."
    return line


def _split(f: Facts) -> str:
    if f.n_folds:
        apart = "song" if f.by == "song" else f"song of its {f.by}"
        return (
            f"{f.n_folds} folds by {f.by}: every song is tested once, by a model that no {apart} has trained; in each "
            "fold another part validates. All songs are then pooled into one figure."
        )
    counts = f"{f.songs['train']:,} songs train, {f.songs['val']:,} validate, {f.songs['test']:,} test"
    if f.by == "slice":
        return (
            f"Every song lies on every side, with other slices of it ({counts}): that shows the leak and nothing else."
        )
    if f.by in ("official", "file"):
        return f"The sides were given ({f.by}): {counts}."
    return f"No {f.by} lies on two sides: {counts}."


def _way(f: Facts) -> str:
    low, high = f.slices_s
    cut = f"{low:.3g} s" if high - low < 0.005 else f"{low:.3g} to {high:.3g} s"
    line = (
        f"Each song is brought to {f.config['sample_rate']:,} Hz mono and drawn by {f.choice('front')} ({f.front}). "
        f"The picture is cut in slices of {cut} (slice={f.choice('slice')}), normalised "
        f"{NORMS.get(f.choice('norm'), 'by ' + f.choice('norm'))}; {f.choice('net')} turns each into numbers, and "
        f"{f.choice('agg')} makes one decision of a song's slices."
    )
    if f.choice("net") == "frozen":
        line += f" The net is that of the run {f.config['net']['run']}, frozen; only what joins the slices was trained."
    if f.n_off_beat:
        line += f" {f.n_off_beat:,} songs were cut in fixed windows, since their beats were not sure."
    if f.choice("augment") != "none":
        line += f" Training songs were changed on the way (augment={f.choice('augment')}), the others never."
    return line


def _training(f: Facts) -> str:
    options = f.config["trainer"]
    best = "lowest" if options["mode"] == "min" else "highest"
    if f.n_folds:
        kept = f"In each fold the weights are those of the epoch with the {best} {options['monitor']}"
    elif not f.epochs or f.kept is None:
        kept = "Nothing had to be learned"
    else:
        kept = f"Of {f.epochs} epochs the weights are those of epoch {f.kept + 1}, with the {best} {options['monitor']}"
    return f"{kept}. Validation songs chose this, the temperature and the thresholds; test songs chose nothing."


def _decides(f: Facts) -> str:
    if f.several:
        said = "A song is given every genre whose probability is above that genre's own threshold"
    else:
        said = "The genre with the highest probability is the answer"
    keep = f"{100 * f.config['task']['keep']:.0f} % of the validation songs pass"
    limit = f" {f.threshold:.3g}".replace("-", MINUS) if f.score else " a threshold of each fold"
    score = f.score or str(f.config["task"]["score"])
    return (
        f'{said}; it becomes "no tag" where the score {score} lies below{limit}, which {keep}. The figures '
        f"{'take no account of that' if f.several else 'count the likeliest genre all the same'}."
    )


def _averaged(f: Facts) -> str:
    unit = {"slice": "song", "official": "group", "file": "group"}.get(f.by, f.by)
    return (
        AVERAGED[f.measure].format(k=len(f.genres))
        + f" Per song means one vote a song. Per slice counts each of {f.n_slices:,} slices as if it were a song; it "
        f"does not say how many songs are right. Intervals are 95 %, from {f.config['trainer']['n_boot']:,} resamples "
        f"of whole {unit}s, whose songs are not independent."
    )


def checks(f: Facts) -> list[tuple[str, str]]:
    """(good, warn or bad; a sentence), what matters most first."""
    found = [_leak(f), _apart(f), _groups(f), _better(f), _sure(f)]
    if f.choice("debug") != "none":
        found.insert(0, ("bad", f"debug={f.choice('debug')}: a quick check that it runs, not a result."))
    n_seeds = "One training with one seed" if not f.n_folds else "One training a fold, with one seed"
    found.append(
        ("warn", f"{n_seeds} ({f.config['seed']}): the interval holds the luck of the songs, not of the seed.")
    )
    if f.choice("data") == "synth":
        found.append(("warn", "Procedural songs: this says something of the machinery, not of real recordings."))
    return [c for c in found if c]  # type: ignore[misc]


def _leak(f: Facts) -> tuple[str, str]:
    if f.audit == "leaks":
        what = ", ".join(f"{n} {key}s" for key, n in f.crossed.items() if n) or "the same sound"
        return "bad", f"Leak audit: leaks. On two sides of the split: {what}."
    if f.audit == "clean":
        return "good", "Leak audit: clean. No group and no identical sound is on two sides; near duplicates: see audit."
    return (
        "warn",
        "Leak audit: not possible. The songs have no artist, album or group, so nobody knows what they share.",
    )


def _apart(f: Facts) -> tuple[str, str] | None:
    if f.by == "slice":
        return "bad", "Split by slice: every test song was also trained on."
    crossed = ", ".join(f"{n} {key}s" for key, n in f.crossed.items() if n)
    if f.by == "song" and f.audit != "unaudited":
        return "warn", f"Split by song: artists may be on two sides{f' ({crossed})' if crossed else ''}."
    if f.audit == "leaks" or f.by == "song":
        return None
    if crossed:
        return "warn", f"Split by {f.by}, yet on two sides: {crossed}. A model may know them again."
    return "good", f"Split by {f.by}: tested on songs {held_out(f)}."


def _groups(f: Facts) -> tuple[str, str]:
    fewest = min(f.groups, key=lambda g: f.groups[g])
    n, of = f.groups[fewest], {"official": "group", "file": "group", "slice": "song"}.get(f.by, f.by)
    if n >= FEW:
        return "good", f"At least {n} {of}s of every genre in the test."
    few = ", ".join(f"{g} {k}" for g, k in f.groups.items() if k < FEW)
    return "bad", f"Unreliable: fewer than {FEW} {of}s of a genre to test on ({few}). Intervals are too narrow then."


def _better(f: Facts) -> tuple[str, str]:
    if not f.verdict:
        why = "songs of several genres" if f.several else "baselines=false, or a split by slice"
        return "warn", f"Not compared with tempo, production or MFCC statistics ({why})."
    kind = {"better": "good", "worse ": "bad"}.get(f.verdict[:6], "warn")
    return kind, f"{f.verdict[:1].upper()}{f.verdict[1:]}."


def _sure(f: Facts) -> tuple[str, str]:
    before, after = f.ece
    if f.n_folds:
        return (
            "good" if before < 0.1 else "warn",
            f"Its probabilities are off by {100 * before:.1f} points on average (ECE).",
        )
    if f.temperature is None or after is None:
        return "warn", "Its probabilities are not calibrated: too few validation songs."
    said = f"Probabilities are calibrated: off by {100 * after:.1f} points on average (ECE), {100 * before:.1f} before."
    return ("good" if after < 0.1 else "warn"), said


def lead(f: Facts, value: float, lo: float, hi: float) -> tuple[str, str, str]:
    """The figure, the rest of the sentence, and how it is to be taken: good, bad or nothing."""
    bounds = f" [{100 * lo:.1f}, {100 * hi:.1f}]" if math.isfinite(lo) else ""
    n = f.songs["test"]
    few = min(f.groups.values()) < FEW
    rest = f" {NAMES[f.measure]} per song{bounds}, on {n:,} test songs {held_out(f)}"
    rest += f"; {f.verdict}." if f.verdict else "."
    if f.audit == "leaks" or f.by == "slice":
        rest += " The split leaks: do not believe it."
        return f"{100 * value:.1f} %", rest, "bad"
    if few:
        return f"{100 * value:.1f} %", rest + ("" if "unreliable" in f.verdict else " Unreliable: few groups."), ""
    kind = "good" if f.verdict.startswith("better") and f.choice("debug") == "none" else ""
    return f"{100 * value:.1f} %", rest, "bad" if f.verdict.startswith("worse") else kind
