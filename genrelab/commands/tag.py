"""`tag SONG ...`: ranks the genres of a user's own songs by the way from sound to decision that trained the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from genrelab import paths
from genrelab.answering import ask, chosen_run
from genrelab.report.console import BAR, say, show
from genrelab.types import UserError


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
        said.append(ask(file, asked) | {"run": record.id})
        BAR("listening", n, len(files))
    if as_json:
        print(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        show(_table(said))
    return 1 if any(s["error"] for s in said) else 0


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
