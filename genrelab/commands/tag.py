"""`tag SONG ...`: ranks the genres of a user's own songs by the way from sound to decision that trained the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths
from genrelab.report.console import BAR, say, show
from genrelab.types import Decision, UserError

if TYPE_CHECKING:
    from genrelab.compose import Restored
    from genrelab.track import Record


def run(
    songs: Annotated[list[str], typer.Argument(help="Audio files, or folders of them.")],
    run: Annotated[str | None, typer.Option(help="The run to ask: an id, a name, last or best.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object a song.")] = False,
) -> int:
    """Rank the genres of songs by a finished run. A song that cannot be read is named, and the exit code is 1."""
    from genrelab import compose

    files = _files(songs)
    record = chosen_run(paths.store_dir(), run)
    asked = compose.restore(record.folder)
    word = "calibrated" if asked.rule.temperature is not None else "uncalibrated: it had too few validation songs"
    say(f"by {record.name} ({record.id[:8]}), trained on {record.experiment}; probabilities are {word}")
    said = []
    for n, file in enumerate(files, 1):
        said.append(_ask(file, asked) | {"run": record.id})
        BAR("listening", n, len(files))
    if as_json:
        print(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        show(_table(said))
    return 1 if any(s["error"] for s in said) else 0


def chosen_run(store: Path, word: str | None) -> Record:
    """The run that is asked: the one named, else the store's last; of a k-fold run the fold that is best on validation.

    Raises UserError where there is none, or where no run is named and the store holds runs on several data sets.
    """
    from genrelab import track

    if word is None:
        newest: dict[str, Any] = {}
        for r in track.records(store):
            if r.kind in track.WHOLE and r.status == "FINISHED":
                newest.setdefault(r.experiment, r)
        if len(newest) > 1:
            choices = ", ".join(f"--run {r.id[:8]} ({r.name} on {data})" for data, r in newest.items())
            raise UserError(f"the store has runs on {len(newest)} data sets; say which to ask: {choices}")
    return max(track.models(store, track.find(store, word or "last")), key=lambda r: r.chosen_by or 0.0)


def _files(songs: list[str]) -> list[Path]:
    """The files given, and the audio files below the folders given. Raises UserError for a name that is not there."""
    from genrelab.data.sources.audio import audio_files

    found: list[Path] = []
    for name in songs:
        path = Path(name).expanduser()
        if path.is_dir():
            inside = audio_files(path)
            if not inside:
                raise UserError(f"{name}: no audio file in this folder")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"{name}: there is no such file; give the path of a song")
    return found


def _ask(path: Path, asked: Restored) -> dict[str, Any]:
    """What the run says of one file, or why it cannot be asked."""
    from genrelab.audio import decode
    from genrelab.foreign import answered

    model, sample_rate = asked.model, asked.config["sample_rate"]
    answer: dict[str, Any] = {
        "path": str(path),
        "label": None,
        "no_tag": None,
        "genres": [],
        "n_slices": 0,
        "error": None,
    }
    try:
        wave = decode.load(path, sample_rate)
    except decode.AudioError as error:
        return answer | {"error": ": ".join(filter(None, (error.reason, error.detail)))}
    if decode.is_silent(wave):
        decision = Decision((), no_tag="silent")
        return answer | {"label": decision.label, "no_tag": decision.no_tag}
    seconds = len(wave) / sample_rate
    if seconds + 1e-6 < model.slicer.min_s:
        return answer | {"error": f"shorter than a slice: {seconds:.2f} s of {model.slicer.min_s:g} s"}
    said = answered(model, wave, sample_rate)
    (decision,) = asked.rule.decide(said, model.genres)
    ranked = [{"genre": g, "probability": round(p, 4)} for g, p in decision.genres]
    n_slices = int(said.n_slices[0])
    return answer | {"label": decision.label, "no_tag": decision.no_tag, "genres": ranked, "n_slices": n_slices}


def _table(said: list[dict[str, Any]]) -> Any:
    """A row a song: its three likeliest genres, or `no tag`, or why it cannot be asked."""
    from rich import box
    from rich.table import Table

    from genrelab.report.table import texts

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("song", overflow="fold")
    table.add_column("genre", overflow="fold")
    table.add_column("then", overflow="fold")
    for s in said:
        n_said = 0 if s["no_tag"] else len((s["label"] or "").split("|"))
        ranked = [f"{g['genre']} {100 * g['probability']:.0f} %" for g in s["genres"][: max(3, n_said + 2)]]
        first = s["error"] or (f"no tag ({s['no_tag']})" if s["no_tag"] else ", ".join(ranked[:n_said]))
        table.add_row(*texts(Path(s["path"]).name, first, ", ".join(ranked[n_said:])))
    return table
