"""`tag SONG ...`: ranks the genres of a user's own songs by the way from sound to decision that trained the run."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genrelab import paths
from genrelab.answering import chosen_run, listen
from genrelab.report.console import BAR, say, show
from genrelab.types import NO_TAG, UserError, writable

if TYPE_CHECKING:
    from genrelab.answering import Listened
    from genrelab.report.folder import Row
    from genrelab.tagged import Asked

N_NAMED = 5  # songs that a remark names
WORTH = 0.01  # the least probability of what comes next, to be said


@dataclass(frozen=True)
class File:
    """A song to ask about."""

    path: Path
    below: Path  # where it lies below the folder that was given, or its name


def run(
    songs: Annotated[list[str], typer.Argument(help="Audio files, or folders of them.")],
    run: Annotated[str | None, typer.Option(help="The run to ask: an id, a name, last or best.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object a song.")] = False,
    csv_file: Annotated[str | None, typer.Option("--csv", help="Write a CSV, FILE.csv: a row a song.")] = None,
    page: Annotated[
        str | None, typer.Option(help="Write a page, OUT.html; of several songs a folder with a page each.")
    ] = None,
    write_tags: Annotated[
        bool, typer.Option("--write-tags", help="Write the genre as a tag: into copies (--to), or --in-place.")
    ] = False,
    to: Annotated[str | None, typer.Option(help="The folder of the tagged copies; nothing is written over.")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Write tags into the files themselves.")] = False,
) -> int:
    """Rank the genres of songs by a finished run. A song that cannot be read is named, and the exit code is 1."""
    from genrelab import tagged

    files = _files(songs)
    targets = _targets(files, songs, write_tags, to, in_place)
    pages = _Pages(page, files, songs) if page else None
    record = chosen_run(paths.store_dir(), run)
    asked = tagged.asked(record)
    word = "calibrated" if asked.run.rule.temperature is not None else "uncalibrated: it had too few validation songs"
    say(f"by {record.name} ({record.id[:8]}), trained on {record.experiment}; probabilities are {word}")
    said = []
    with _table_file(csv_file, asked.run.model.genres, write_tags) as write:
        for n, file in enumerate(files, 1):
            song = listen(file.path, asked.run)
            answer = song.answer | {"run": record.id}
            if write_tags:
                answer |= _tag(file, answer, targets)
            if pages:
                pages.add(song, answer, asked)
            write(answer)
            said.append(answer)
            BAR("listening", n, len(files))
    if as_json:
        print(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        show(_table(said))
    if csv_file:
        say(f"{csv_file}: {len(said)} rows")
    if pages:
        say(pages.finished(asked))
    if write_tags:
        _say_tagged(said, to)
    return 1 if any(s["error"] or s.get("tag_error") for s in said) else 0


def _files(songs: Sequence[str]) -> list[File]:
    """The files given, and the audio files below the folders given, each once.

    Raises UserError for a name that is not there.
    """
    from genrelab.data.sources.audio import audio_files

    found: dict[Path, File] = {}
    for name in songs:
        path = Path(name).expanduser()
        if not writable(name):
            raise UserError(f"{name!a}: its name is not UTF-8, which no table can hold; rename it")
        if path.is_dir():
            inside = audio_files(path)
            if not inside:
                raise UserError(f"{name}: no audio file in this folder")
            for file in inside:
                found.setdefault(file, File(file, file.relative_to(path)))
        elif path.exists():
            found.setdefault(path, File(path, Path(path.name)))
        else:
            raise UserError(f"{name}: there is no such file; give the path of a song")
    return list(found.values())


def _targets(
    files: Sequence[File], songs: Sequence[str], write_tags: bool, to: str | None, in_place: bool
) -> dict[Path, Path]:
    """Where the tagged copy of each file is written; empty where tags go into the files themselves, or nowhere.

    Raises UserError for words that do not go together, and where a copy would lie upon a file.
    """
    if not write_tags:
        if to is not None or in_place:
            raise UserError(f"{'--in-place' if in_place else '--to'} belongs to --write-tags: add that")
        return {}
    if (to is None) == (not in_place):
        raise UserError("--write-tags takes one of --to DIR (into copies there) and --in-place (into the files)")
    if to is None:
        return {}
    folder = Path(to).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--to {to}: this is a file; give a folder for the copies")
    for name in songs:
        given = Path(name).expanduser()
        if given.is_dir() and folder.resolve().is_relative_to(given.resolve()):
            raise UserError(f"--to {to} lies in {name}, whose songs are tagged: give a folder elsewhere")
    targets = {file.path: folder / file.below for file in files}
    by_target: dict[Path, Path] = {}
    for path, target in targets.items():
        if (other := by_target.setdefault(target, path)) != path:
            raise UserError(f"{other} and {path} would both be copied to {target}: tag them one after the other")
    there = [target for target in targets.values() if target.exists()]
    if there:
        raise UserError(f"--to {to}: {len(there)} of the copies are there already ({there[0]}): give another folder")
    return targets


@contextmanager
def _table_file(name: str | None, genres: Sequence[str], tags: bool) -> Iterator[Any]:
    """What writes an answer as a row of the CSV, at once: what was heard stays, whatever comes after."""
    if name is None:
        yield lambda _: None
        return
    path = Path(name).expanduser()
    if path.is_dir():
        raise UserError(f"--csv {name}: this is a folder; give FILE.csv")
    columns = ["path", "answer", "reason", *(f"p/{g}" for g in genres), "n_slices", "error"]
    columns += ["tagged", "tag_error"] if tags else []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise UserError(f"--csv {name}: cannot write there ({error.strerror}); give another name") from error
    with file:
        table = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        table.writeheader()

        def write(answer: dict[str, Any]) -> None:
            chances = {f"p/{g['genre']}": g["probability"] for g in answer["genres"]}
            table.writerow(answer | {"answer": answer["label"], "reason": answer["no_tag"]} | chances)
            file.flush()

        yield write


class _Pages:
    """The page of a song; of several songs, or of a folder, a page each and an index in a folder."""

    def __init__(self, out: str, files: Sequence[File], songs: Sequence[str]) -> None:
        path = Path(out).expanduser()
        named = path.suffix.lower() in (".html", ".htm")
        self.alone = len(files) == 1 and not Path(songs[0]).expanduser().is_dir()
        if self.alone and path.is_dir():
            path = path / f"{files[0].path.stem}.html"
        elif self.alone and not named:
            raise UserError(f"--page {out}: expected a page's name, as in --page {path.name}.html")
        elif not self.alone and named:
            path = path.with_suffix("")
        if not self.alone and path.exists() and not path.is_dir():
            raise UserError(f"--page {out}: {path} is a file; give the name of a folder for the pages")
        self.path, self.songs, self.title = (
            path,
            songs,
            " and ".join(Path(s).expanduser().absolute().name for s in songs[:2]),
        )
        self.title += f" and {len(songs) - 2} more" if len(songs) > 2 else ""
        self.rows: list[Row] = []
        self.names: set[str] = set()
        try:
            (path.parent if self.alone else path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"--page {out}: cannot write there ({error.strerror}); give another name") from error

    def add(self, song: Listened, answer: dict[str, Any], asked: Asked) -> None:
        """Writes the page of a song that was heard."""
        from genrelab.report.folder import Row
        from genrelab.report.tag import html, percent
        from genrelab.tagged import tagged

        page = None
        if song.decision is not None:
            page = self.path if self.alone else self.path / self._name(Path(song.path).stem)
            _write(page, html(tagged(song, asked)))
        if not self.alone:
            ranked, n_said = (song.decision.genres, song.decision.n_said) if song.decision else ((), 0)
            n_said = 0 if answer["no_tag"] else n_said
            p = ranked[0][1] if n_said else None
            named = [f"{g}, {percent(q)}" for g, q in ranked[n_said:][:2] if q >= WORTH]
            why = answer["error"] or answer["no_tag"] or ""
            label = "not heard" if answer["error"] else answer["label"]
            name = Path(song.path).name
            self.rows.append(Row(name, label, why, p, "; ".join(named), page.name if page else None))

    def _name(self, stem: str) -> str:
        """A file's name that no other song has."""
        from genrelab.data.manifest import slug

        name = base = slug(stem)
        n = 1
        while name in self.names or name == "index":
            n += 1
            name = f"{base}-{n}"
        self.names.add(name)
        return f"{name}.html"

    def finished(self, asked: Asked) -> str:
        """Writes the index; says where the pages are."""
        from genrelab.report.folder import index

        if self.alone:
            if not self.path.is_file():
                return f"no page: {self.path.name} would be of a song that cannot be read"
            return f"{self.path}  ({self.path.stat().st_size / 1e6:.1f} MB: open it in a browser)"
        record = asked.record
        facts = [("run", f"{record.name} ({record.id[:8]})"), ("trained on", record.experiment)]
        again = f"tag {shlex.join(self.songs)} --run {record.id[:8]} --write-tags --to tagged"
        calibrated = asked.run.rule.temperature is not None
        text = index(self.title, self.rows, facts, calibrated, [again] if any(r.p for r in self.rows) else [])
        _write(self.path / "index.html", text)
        return f"{self.path / 'index.html'}  ({len(self.names)} pages: open it in a browser)"


def _write(page: Path, text: str) -> None:
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--page: {page} cannot be written ({error.strerror})") from error


def _tag(file: File, answer: dict[str, Any], targets: dict[Path, Path]) -> dict[str, Any]:
    """Writes the genres of an answer; where to, and what went wrong. `no tag` leaves the file as it is."""
    from genrelab.audio.tagging import TagError, tag_copy, tag_in_place

    if answer["error"] or answer["no_tag"]:
        return {"tagged": None, "tag_error": None}
    genres = answer["label"].split("|")
    target = targets.get(file.path, file.path)
    try:
        if targets:
            tag_copy(file.path, target, genres, answer["run"])
        else:
            tag_in_place(file.path, genres, answer["run"])
    except TagError as error:
        return {"tagged": None, "tag_error": str(error)}
    return {"tagged": str(target), "tag_error": None}


def _say_tagged(said: Sequence[dict[str, Any]], to: str | None) -> None:
    """How many files have a tag now, and which have none."""
    from genrelab.audio.tagging import BEFORE, RUN

    done = sum(bool(s["tagged"]) for s in said)
    where = f"as copies in {to}" if to else "in the files"
    say(f"{done} of {len(said)} songs tagged {where}; {RUN} says by which run, {BEFORE} what they said before")
    untold = [Path(s["path"]).name for s in said if s["no_tag"]]
    if untold:
        say(f"left as they are, with {NO_TAG}: {_some(untold)}")
    for s in said:
        if s["tag_error"]:
            say(f"{s['path']}: not tagged: {s['tag_error']}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    return ", ".join(names[:N_NAMED]) + more


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
