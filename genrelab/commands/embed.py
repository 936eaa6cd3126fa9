"""`embed RUN --out FILE.parquet`: the embeddings of a run's songs, for other tools."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths
from genrelab.report.console import BAR, say, show
from genrelab.types import NO_TAG, SIDES, UserError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from genrelab.compose import Prepared
    from genrelab.data.split import Split
    from genrelab.track import Record


def run(
    run: Annotated[str, typer.Argument(help="The run: an id, a name, last or best.")],
    out: Annotated[Path, typer.Option(help="The file to write, FILE.parquet.")],
    slices: Annotated[bool, typer.Option("--slices", help="A row a slice instead of a row a song.")] = False,
) -> int:
    """Write the embeddings of all songs of a finished run; of a k-fold run each by the fold that tested the song."""
    from genrelab import revisit

    out, store = out.expanduser(), paths.store_dir()
    _is_file_name(out)
    record, models = revisit.whole(store, run)
    config = revisit.config_of(record, store)
    _is_writable(out)
    prepared = revisit.as_trained(record, config, BAR)
    made = [_rows(model, prepared, slices, tested=record.kind == "kfold") for model in models]
    table = _written(made, out)
    lost = {t.id for t in prepared.tracks} - set(table["id"])
    if lost:
        say(f"left out, since no fold tested them: {len(lost)} of {len(prepared.tracks)} songs")
    n_dims = sum(c.startswith("z") for c in table.columns)
    show(f"{out}: {len(table)} {'slices' if slices else 'songs'} x {n_dims} dimensions, of {record.name}")
    return 0


def _is_file_name(out: Path) -> None:
    if out.is_dir():
        raise UserError(f"--out {out}: this is a folder; give FILE.parquet")
    if out.suffix != ".parquet":
        raise UserError(f"--out {out}: expected a name that ends in .parquet")


def _is_writable(out: Path) -> None:
    """Makes the folder of a file. Raises UserError where nothing can be written there, before hours of work."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise UserError(f"--out {out}: cannot write there ({error.strerror}); give another folder") from error


def _rows(record: Record, prepared: Prepared, slices: bool, *, tested: bool) -> pd.DataFrame:
    """One model's rows: all songs, or those that it tested, which then have the number of its fold."""
    from genrelab import compose
    from genrelab.stacked import embedded

    split = _split(record, prepared)
    songs = [i for i, side in enumerate(split.sides) if side == "test" or not tested]
    model = compose.restore(record.folder).model
    z = embedded(model, prepared, BAR, set(songs))[:, : model.net.dim]
    table = _table(z, songs, prepared, split, slices, several=model.several)
    if tested:
        table.insert(2, "fold", split.fold)
    return table


def _split(record: Record, prepared: Prepared) -> Split:
    """The sides that a run's songs had, in the order of the songs now."""
    from genrelab import revisit
    from genrelab.data.split import Split

    ids = [t.id for t in prepared.tracks]
    table = revisit.sides(record).loc[ids]
    kind, *numbers = table.iloc[0][["kind", "seed", "n_folds", "fold"]]
    seed, n_folds, fold = (int(n) if n else None for n in numbers)
    return Split(kind, tuple(ids), tuple(table["side"]), tuple(table["group"]), seed or 0, (), n_folds, fold)


def _table(
    z: np.ndarray, songs: Sequence[int], prepared: Prepared, split: Split, slices: bool, *, several: bool
) -> pd.DataFrame:
    """Embeddings (all slices of `songs`, D) -> a row a slice, or a row a song with their mean."""
    import numpy as np
    import pandas as pd

    from genrelab.data.split import KEYS

    tracks, labels = [prepared.tracks[i] for i in songs], prepared.labels
    n_slices = np.array([len(prepared.spans[i]) for i in songs])
    if several:
        truth = ["|".join(g for g, t in zip(labels.genres, labels.target[i], strict=True) if t > 0) for i in songs]
    else:
        truth = [[*labels.genres, NO_TAG][labels.truth[i]] for i in songs]
    columns: dict[str, Any] = {"id": [t.id for t in tracks], "split": [split.sides[i] for i in songs]}
    columns |= {"split_group": [split.groups[i] for i in songs]}
    columns |= {key: [getattr(t, key) for t in tracks] for key in KEYS}
    about = pd.DataFrame(columns | {"truth": truth, "labels": ["|".join(t.genres) for t in tracks]})
    if slices:
        about = about.loc[np.repeat(np.arange(len(songs)), n_slices)].reset_index(drop=True)
        about["split"] = np.concatenate([_sides(split, i, n) for i, n in zip(songs, n_slices, strict=True)])
        times = np.concatenate([np.asarray(prepared.spans[i]) for i in songs])
        about["start_s"], about["end_s"] = times[:, 0], times[:, 1]
    else:
        about["n_slices"] = n_slices
        z = np.add.reduceat(z, np.cumsum(n_slices) - n_slices) / n_slices[:, None]
    values = pd.DataFrame(z.astype(np.float32), columns=[f"z{d}" for d in range(z.shape[1])])
    return pd.concat([about, values], axis=1)


def _sides(split: Split, i: int, n: int) -> np.ndarray:
    """(n,) the side of each slice of a song: its own, but for a split by slice."""
    import numpy as np

    made = np.full(n, split.sides[i], dtype=object)
    for side in SIDES:
        made[split.slices(i, n, side)] = side
    return made


def _written(parts: Sequence[pd.DataFrame], out: Path) -> pd.DataFrame:
    """All parts in one file, whole or not at all."""
    import pandas as pd

    table = pd.concat(parts, ignore_index=True)
    partial = out.with_name(f"{out.name}.tmp")
    try:
        table.to_parquet(partial, index=False)
        partial.replace(out)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return table
