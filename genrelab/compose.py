"""From a configuration to the objects that it names: what every command that works with a run shares."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from genrelab import environment, paths, swept, trust, words
from genrelab.types import Beats, Labels, Track, Unusable, UserError

if TYPE_CHECKING:
    import torch

    from genrelab.data.split import Split
    from genrelab.front.base import Front
    from genrelab.model import SongClassifier
    from genrelab.slice.base import Slicer
    from genrelab.store import Pictures, Progress, Share
    from genrelab.task.rule import Rule

Config = dict[str, Any]  # resolved, plain
SINCE = {"train_studio": None}  # settings that runs of earlier versions have not, as they were trained
RULE = "rule.npz"  # how a run decides, among its artifacts
# what does not change a run's result, or is in data_digest
IDENTITY_LESS = frozenset(
    ["store", "cache_gb", "resume", "tracker", "limit_songs", "report", "trials", "jobs", "baselines", "card"]
)


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
    augment: Any = MISSING
    optim: Any = MISSING
    trainer: Any = MISSING
    tracker: Any = MISSING
    seed: int = MISSING
    split_seed: int = MISSING
    sample_rate: int = MISSING
    store: str = MISSING
    cache_gb: float | None = MISSING
    limit_songs: int | None = None
    limit_train: int | None = None
    train_studio: str | None = None
    baselines: bool = MISSING
    card: str | None = MISSING
    report: Any = None
    prepare: Any = MISSING
    trials: int = MISSING
    jobs: int | None = None
    resume: str | None = None


def register() -> None:
    """Makes the schema and the resolvers known to Hydra."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store("schema", Root)
    OmegaConf.register_new_resolver("first", lambda *of: next((v for v in of if v is not None), None), replace=True)
    OmegaConf.register_new_resolver("frames", lambda length_s, hop_s: round(length_s / hop_s), replace=True)
    OmegaConf.register_new_resolver("at_once", environment.at_once, replace=True)
    for name, values in swept.OF_DATA.items():
        OmegaConf.register_new_resolver(name, _of_data(values), replace=True)


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
    for key in ("path", "unknown", "tree"):
        if config["data"].get(key):
            config["data"][key] = str(Path(config["data"][key]).expanduser().absolute())
    config["choices"] = {k: v for k, v in choices.items() if not k.startswith("hydra") and v is not None}
    config["overrides"] = words.of_run(overrides)
    return config


def instantiate(config: Any, **more: Any) -> Any:
    """What a part's yaml names. Raises UserError where its values do not fit."""
    import hydra.utils
    from hydra.errors import InstantiationException

    if isinstance(config, dict | list):  # resolved by now, or of a stored run
        config = trust.literal(config)
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
    if run := config["net"].get("run"):  # its data are that run's
        from genrelab import track

        try:
            return track.find(paths.store_dir(config["store"]), str(run), passed_over={"net": "frozen"}).experiment
        except UserError:  # who trains on it will hear of it
            pass
    try:
        return instantiate(config["data"]).name
    except UserError:  # no path given, for one: who trains on it will hear of it
        return str(config["data"]["_target_"]).rpartition(".")[2].lower()


def _of_data(values: Callable[[Any, Callable[[Any], Any]], str]) -> Callable[..., str]:
    """A resolver that OmegaConf gives the whole config."""

    def resolver(*, _root_: Any) -> str:
        return values(_root_, instantiate)

    return resolver


def identity(config: Config) -> Config:
    """The part of a config that decides a run's result."""
    kept = {k: v for k, v in config.items() if k not in IDENTITY_LESS}
    machine = ("accelerator", "devices", "strategy", "num_nodes", "threads", "memory_format", "keep_memory")
    kept["trainer"] = {k: v for k, v in config["trainer"].items() if k not in machine}
    kept["data"] = {k: v for k, v in config["data"].items() if k not in ("path", "n_jobs")}
    return kept


@dataclass(frozen=True)
class Prepared:
    """The songs of a run, heard and cut."""

    name: str  # of the data set
    tracks: list[Track]
    unusable: list[Unusable]
    labels: Labels
    pictures: Pictures
    spans: Sequence[torch.Tensor]  # (S, 2) of each song
    front: Front
    slicer: Slicer
    n_off_beat: int  # songs that had to be cut in fixed windows although the slicer follows beats
    tree: Any  # nested genres, or None
    digest: str
    seconds: float  # that it took

    @property
    def genres(self) -> list[str]:
        return list(self.labels.genres)


def prepare(config: Config, progress: Progress) -> Prepared:
    """Tracks of the source, their labels, pictures and slices."""
    from genrelab.data.grids import grids
    from genrelab.data.manifest import data_digest, none_lost
    from genrelab.evaluate.hierarchy import Tree
    from genrelab.slice.base import Spans

    began = time.perf_counter()
    root = Path(config["store"])
    front, slicer, task = (instantiate(config[k]) for k in ("front", "slice", "task"))
    source = instantiate(config["data"])
    tree, found = source.tree(), songs(source, config, progress)
    genres = task.genres(found)
    if len(genres) < 2:
        raise UserError(f"data={source.name} has one genre ({genres[0]}): to tell genres apart takes at least 2")
    tracks, pictures, unusable = heard(found, front, slicer, config, progress)
    none_lost(genres, tracks, unusable)
    labels = task.placed(tracks, genres)
    if tree is not None:
        try:
            tree = Tree.of(tree, genres)
        except ValueError as error:
            raise UserError(f"data.tree={config['data']['tree']}: {error}") from error
    lengths_s = [float(d) for d in pictures.duration_s]
    beats: list[Beats | None] = [None] * len(tracks)
    if slicer.needs_beats:
        options = {"sample_rate": config["sample_rate"], "store": root, "progress": progress}
        beats = grids(tracks, pictures.keys, lengths_s, source.beats, **options)
    spans = Spans(slicer.spans(d, b) for d, b in zip(lengths_s, beats, strict=True))
    n_off = sum(not slicer.follows(b, d) for b, d in zip(beats, lengths_s, strict=True)) if slicer.needs_beats else 0
    told = data_digest(tracks, pictures.keys)
    seconds = time.perf_counter() - began
    return Prepared(source.name, tracks, unusable, labels, pictures, spans, front, slicer, n_off, tree, told, seconds)


def songs(source: Any, config: Config, progress: Progress) -> list[Track]:
    """All tracks of a source, those of no genre too."""
    from genrelab.data.strangers import limited

    return [*limited(source.tracks(Path(config["store"]), progress), config["limit_songs"]), *source.strangers()]


def heard(
    tracks: list[Track], front: Front, slicer: Slicer, config: Config, progress: Progress, share: Share | None = None
) -> tuple[list[Track], Pictures, list[Unusable]]:
    """As `store.pictures`, with what a config says; front-ends draw on a graphics processor where it has one."""
    from genrelab import store

    if not front.learned and accelerated(config):
        front.to("cuda")
    options = {
        "sample_rate": config["sample_rate"],
        "store": Path(config["store"]),
        "budget_gb": config.get("cache_gb"),
    }
    found = store.pictures(
        tracks, front, config["front"], min_s=slicer.min_s, progress=progress, share=share, **options
    )
    front.cpu()  # where a model is built; the trainer moves it
    return found


def accelerated(config: Config) -> bool:
    """Whether front-ends draw on a graphics processor."""
    import torch

    return config["trainer"]["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def splits(config: Config, prepared: Prepared) -> list[Split]:
    """The sides of the songs, a split or one a fold; songs of none of the genres lie in the test."""
    from genrelab.data.strangers import fewer, of_studio, with_strangers

    tracks, known = prepared.tracks, prepared.labels.known
    own = [t for t, k in zip(tracks, known, strict=True) if k]
    made = instantiate(config["split"]).splits(own, config["split_seed"])
    if config["train_studio"] is not None:
        made = [of_studio(split, own, config["train_studio"]) for split in made]
    if config["limit_train"] is not None:
        made = [fewer(split, own, config["limit_train"]) for split in made]
    return made if known.all() else with_strangers(made, tracks, known)


def build(
    config: Config, genres: Sequence[str], several: bool, front: Front | None = None, slicer: Slicer | None = None
) -> SongClassifier:
    """The model of a config, with its initial weights drawn from the config's seed.

    A front-end that learns is always a new one: what a fold has learned must not be where the next one begins.
    """
    import torch

    from genrelab.model import SongClassifier

    slicer = slicer or instantiate(config["slice"])
    with torch.random.fork_rng():
        torch.manual_seed(config["seed"])
        if front is None or front.learned:
            front = instantiate(config["front"])
        try:
            net, agg, norm = (instantiate(config[k]) for k in ("net", "agg", "norm"))
            return SongClassifier(front, slicer, norm, net, agg, genres, several)
        except (TypeError, ValueError) as error:
            raise UserError(str(error)) from error


@dataclass(frozen=True)
class Restored:
    """A finished run."""

    model: SongClassifier  # with its best weights
    rule: Rule
    config: Config


def restore(folder: Path) -> Restored:
    """A finished run from its artifacts.

    Raises UserError where the folder holds no run.
    """
    from genrelab.task.rule import Rule

    config, best = load_config(folder), folder / "checkpoints" / "best.ckpt"
    if not best.is_file():
        raise UserError(f"the run in {folder} has no checkpoints/best.ckpt: it was cut off, resume it first")
    if not (folder / RULE).is_file():
        raise UserError(f"the run in {folder} has no {RULE}: it was trained by an older genrelab, train it again")
    stored = checkpoint(best)
    genres = stored["genrelab"]["genres"]
    model = build(config | {"net": bare(config["net"])}, genres, instantiate(config["task"]).several)
    model.load_state_dict(_weights(stored))
    try:
        rule = Rule.load(folder / RULE)
    except (KeyError, ValueError) as error:
        raise UserError(f"the run's {folder / RULE} is of another genrelab or damaged: train it again") from error
    return Restored(model.eval(), rule, config)


def bare(net: Config) -> Config:
    """A net's config without where its first weights came from: a run's own are in its checkpoint."""
    made = net | {k: v for k, v in {"weights": None, "pretrained": False}.items() if k in net}
    return made | {"net": bare(net["net"])} if isinstance(net.get("net"), Mapping) else made


def weights_of(folder: Path) -> dict[str, Any]:
    """The model's best weights, from a run's artifacts."""
    return _weights(checkpoint(folder / "checkpoints" / "best.ckpt"))


def _weights(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The model's, of a checkpoint."""
    return {k.removeprefix("model."): v for k, v in stored["state_dict"].items() if k.startswith("model.")}


def checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint of ours holds: tensors and plain values, never anything that is carried out.

    Raises UserError where it holds more, or is damaged.
    """
    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and the reader below it raise whatever is at hand
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged, or holds more than weights, and is not opened ({why[:80]})") from error
    if not isinstance(stored, dict) or not {"genrelab", "state_dict"} <= set(stored):
        raise UserError(f"{path} is no checkpoint of genrelab")
    return stored


@functools.cache
def load_config(folder: Path) -> Config:
    """The config.yaml of a run's artifacts, plain; raises UserError where it could do more than name parts of ours."""
    path = folder / "config.yaml"
    if not path.is_file():
        raise UserError(f"the run's {path} is missing: its store was moved or cleaned")
    trust.folder(folder)
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise UserError(f"the run's {path} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(config, dict) or not all(isinstance(k, str) for k in config):
        raise UserError(f"the run's {path} is no config of genrelab")
    trust.config(config)
    return SINCE | config
