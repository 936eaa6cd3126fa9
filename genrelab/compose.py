"""From a configuration to the objects that it names: what every command that works with a run shares."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING, OmegaConf

from genrelab import paths, words
from genrelab.types import Beats, Track, Unusable, UserError, digest

if TYPE_CHECKING:
    import torch

    from genrelab.data.split import Split
    from genrelab.front.base import Front
    from genrelab.model import SongClassifier
    from genrelab.slice.base import Slicer
    from genrelab.store import Pictures, Progress

Config = dict[str, Any]  # resolved, plain
TRUSTED = ("genrelab.", "torch.optim.")  # what the config of a stored run may name
IDENTITY_LESS = (
    "store",
    "resume",
    "tracker",
    "limit_songs",
)  # what does not change a run's result, or is in data_digest


@dataclass
class Root:
    """The root scalars of conf/config.yaml and their types; the parts stay yaml."""

    data: Any = MISSING
    split: Any = MISSING
    slice: Any = MISSING
    front: Any = MISSING
    norm: Any = MISSING
    net: Any = MISSING
    agg: Any = MISSING
    task: Any = MISSING
    optim: Any = MISSING
    trainer: Any = MISSING
    tracker: Any = MISSING
    seed: int = MISSING
    sample_rate: int = MISSING
    store: str = MISSING
    limit_songs: int | None = None
    resume: str | None = None


def register() -> None:
    """Makes the schema and the resolvers known to Hydra."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store("schema", Root)
    OmegaConf.register_new_resolver(
        "first", lambda *values: next((v for v in values if v is not None), None), replace=True
    )


def composed(argv: Sequence[str]) -> Config:
    """The config that training with these words would run by. Raises UserError for words that do not compose."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    register()
    given = words.quoted(argv)
    words.readable(given)
    try:
        with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
            made = compose("config", list(given), return_hydra_config=True)
        runtime = made.hydra
        own = OmegaConf.masked_copy(made, [str(k) for k in made if k != "hydra"])
        config = plain(own, runtime.runtime.choices, runtime.overrides.task)
    except (HydraException, OmegaConfBaseException) as error:
        raise words.complaint(error, argv) from error
    words.fitting(config["overrides"], config)
    return config


def plain(made: Any, choices: Mapping[str, str], overrides: Sequence[str]) -> Config:
    """Hydra's config resolved, its paths absolute, with the choices and the words that led to it."""
    config: Config = OmegaConf.to_container(made, resolve=True)  # type: ignore[assignment]
    config["store"] = str(paths.store_dir(config["store"]))
    if config["data"].get("path"):
        config["data"]["path"] = str(Path(config["data"]["path"]).expanduser().absolute())
    config["choices"] = {k: v for k, v in choices.items() if not k.startswith("hydra") and v is not None}
    config["overrides"] = [w for w in overrides if not w.startswith("store=")]
    return config


def instantiate(config: Any, **more: Any) -> Any:
    """What a part's yaml names. Raises UserError where its values do not fit."""
    import hydra.utils
    from hydra.errors import InstantiationException

    try:
        made = hydra.utils.instantiate(config, **more, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError | ValueError | TypeError):
            raise UserError(str(cause)) from error
        if cause is None:
            raise UserError(str(error).splitlines()[0]) from error
        raise
    return made


def data_name(config: Any) -> str:
    """What a config's runs are filed under: the name of its data set, or of its source where that cannot be told."""
    try:
        return instantiate(config["data"]).name
    except UserError:  # no path given, for one: who trains on it will hear of it
        return str(config["data"]["_target_"]).rpartition(".")[2].lower()


def trusted(config: Any) -> None:
    """Raises UserError where a stored config names something to call that is not genrelab's own."""
    if isinstance(config, Mapping):
        target = config.get("_target_")
        if target is not None and not str(target).startswith(TRUSTED):
            raise UserError(f"the run's config names '{target}', which is not a part of genrelab: it is not opened")
        for value in config.values():
            trusted(value)
    elif isinstance(config, list):
        for value in config:
            trusted(value)


def identity(config: Config) -> Config:
    """The part of a config that decides a run's result."""
    kept = {k: v for k, v in config.items() if k not in IDENTITY_LESS}
    machine = ("accelerator", "devices", "threads")
    kept["trainer"] = {k: v for k, v in config["trainer"].items() if k not in machine}
    kept["data"] = {k: v for k, v in config["data"].items() if k not in ("path", "n_jobs")}
    return kept


@dataclass(frozen=True)
class Prepared:
    """The songs of a run, heard and cut."""

    name: str  # of the data set
    tracks: list[Track]
    unusable: list[Unusable]
    genres: list[str]
    truth: Any  # (n,) int64
    pictures: Pictures
    spans: list[torch.Tensor]  # (S, 2) of each song
    front: Front
    slicer: Slicer
    n_off_beat: int  # songs that had to be cut in fixed windows although the slicer follows beats
    digest: str


def prepare(config: Config, progress: Progress) -> Prepared:
    """Tracks of the source, their pictures and their slices."""
    import numpy as np

    from genrelab import store
    from genrelab.data.grids import grids
    from genrelab.data.manifest import manifest_rows

    root = Path(config["store"])
    front, slicer = instantiate(config["front"]), instantiate(config["slice"])
    source = instantiate(config["data"])
    found = limited(source.tracks(root, progress), config["limit_songs"])
    tracks, pictures, unusable = store.pictures(
        found,
        front,
        config["front"],
        sample_rate=config["sample_rate"],
        min_s=slicer.min_s,
        store=root,
        progress=progress,
    )
    genres = sorted({t.genres[0] for t in found})
    lost = [g for g in genres if g not in {t.genres[0] for t in tracks}]
    if lost:
        reasons = sorted({u.reason for u in unusable if u.track.genres[0] in lost})
        raise UserError(
            f"no usable song is left of {', '.join(lost)} ({', '.join(reasons)}): give more songs or leave it out"
        )
    if len(genres) < 2:
        raise UserError(f"data={source.name} has one genre ({genres[0]}): to tell genres apart takes at least 2")
    truth = np.array([genres.index(t.genres[0]) for t in tracks], dtype=np.int64)
    lengths_s = [float(d) for d in pictures.duration_s]
    beats: list[Beats | None] = [None] * len(tracks)
    if slicer.needs_beats:
        options = {"sample_rate": config["sample_rate"], "store": root, "progress": progress}
        beats = grids(tracks, pictures.keys, lengths_s, source.beats, **options)
    spans = [slicer.spans(d, b) for d, b in zip(lengths_s, beats, strict=True)]
    n_off = sum(not slicer.follows(b, d) for b, d in zip(beats, lengths_s, strict=True)) if slicer.needs_beats else 0
    rows = manifest_rows(tracks)
    said = sorted(
        ({k: v for k, v in row.items() if k not in ("path", "beats")} | {"key": key}).items()
        for row, key in zip(rows, pictures.keys, strict=True)
    )
    return Prepared(source.name, tracks, unusable, genres, truth, pictures, spans, front, slicer, n_off, digest(said))


def limited(tracks: list[Track], limit: int | None) -> list[Track]:
    """At most `limit` tracks, every genre alike, spread evenly over its rows so that its groups stay."""
    if limit is None or len(tracks) <= limit:
        return tracks
    by_genre: dict[str, list[int]] = {}
    for i, track in enumerate(tracks):
        by_genre.setdefault(track.genres[0], []).append(i)
    each = max(1, limit // len(by_genre))
    kept = {own[j * len(own) // min(each, len(own))] for own in by_genre.values() for j in range(min(each, len(own)))}
    return [t for i, t in enumerate(tracks) if i in kept]


def splits(config: Config, prepared: Prepared) -> list[Split]:
    return instantiate(config["split"]).splits(prepared.tracks, config["seed"])


def build(
    config: Config, genres: Sequence[str], front: Front | None = None, slicer: Slicer | None = None
) -> SongClassifier:
    """The model of a config, with its initial weights drawn from the config's seed."""
    import torch

    from genrelab.model import SongClassifier

    front = front or instantiate(config["front"])
    slicer = slicer or instantiate(config["slice"])
    with torch.random.fork_rng():
        torch.manual_seed(config["seed"])
        try:
            net, agg, norm = (instantiate(config[k]) for k in ("net", "agg", "norm"))
            return SongClassifier(front, slicer, norm, net, agg, genres)
        except (TypeError, ValueError) as error:
            raise UserError(str(error)) from error


def restore(folder: Path) -> tuple[SongClassifier, Any, Config]:
    """A finished run's model with its best weights, its task and its config, from the run's artifacts.

    Raises UserError where the folder holds no run.
    """
    import torch

    config, best = load_config(folder), folder / "checkpoints" / "best.ckpt"
    if not best.is_file():
        raise UserError(f"the run in {folder} has no checkpoints/best.ckpt: it was cut off, resume it first")
    checkpoint = torch.load(best, map_location="cpu", weights_only=True)
    model = build(config, checkpoint["genrelab"]["genres"])
    weights = {k.removeprefix("model."): v for k, v in checkpoint["state_dict"].items() if k.startswith("model.")}
    model.load_state_dict(weights)
    return model.eval(), instantiate(config["task"]), config


@functools.cache
def load_config(folder: Path) -> Config:
    """The config.yaml of a run's artifacts, plain and checked."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"the run's {path} is missing: its store was moved or cleaned")
    config = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert isinstance(config, dict)
    trusted(config)
    return config  # type: ignore[return-value]
