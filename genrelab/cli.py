"""The words: a verb (typer) or, without one, training (Hydra). Nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genrelab import disk, paths
from genrelab.types import UserError

USAGE = """\
python -m genrelab [group=choice ...] [key=value ...]   train, test and log one run
python -m genrelab -m front=stft,mel agg=vote,gru       a sweep: one run for each combination
python -m genrelab -m hydra/launcher=processes ...      its runs side by side; jobs=N at once
python -m genrelab resume=ID                            go on with a run or a sweep that was cut off
python -m genrelab --cfg job [...]                      show the whole configuration, run nothing
python -m genrelab VERB --help                          the verbs below
"""


def verbs() -> dict[str, str]:
    """Verb -> the module that serves it and a line of help."""
    return {
        "audit": "find what in a data set and its split makes figures too good",
        "bench": "time genrelab's parts beside their peers on this machine",
        "compare": "compare runs song by song: differences with intervals, tests, a page",
        "doctor": "say what is wrong with a store, and mend it on --fix",
        "embed": "write the embeddings of a run's songs to a parquet file",
        "eval": "test a finished run on another collection",
        "look": "draw a song as every front-end sees it: a page and pictures",
        "prepare": "fill the store with songs and pictures, and train nothing",
        "probe": "take cues away from a run's test songs, one by one, and say what each costs",
        "promote": "register a run's model in MLflow as the champion, to be served",
        "rerun": "train a run once more and say whether its answers are the same to the bit",
        "sync": "copy finished runs to an MLflow server, once each",
        "tag": "rank the genres of your own songs by a finished run",
        "ui": "open MLflow's pages on the store",
    }


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _done(words)
    except Exception as error:
        stores = [w.partition("=")[2] for w in words if w.startswith("store=")]
        if not (said := disk.complaint(error, paths.store_dir(stores[-1] if stores else None))):
            raise
        print(f"genrelab: {said}", file=sys.stderr)
        return 1


def _done(words: list[str]) -> int:
    """Does what the words say; returns the exit code."""
    if words[:1] in (["--help"], ["-h"]):
        print(help_text())
        return 0
    if words[:1] == ["--version"]:
        from genrelab import __version__

        print(__version__)
        return 0
    if "store=" in words:
        print("genrelab: store= gives no folder: store=DIR, or leave it out for ./.genrelab", file=sys.stderr)
        return 2
    if words[:1] == ["prepare"]:  # its words are Hydra's, as those of training are
        from genrelab.commands import prepare

        return prepare.main(words[1:])
    if words[:1] == ["rank"]:  # how a training starts the processes beside it
        from genrelab import followers

        return followers.follow(Path(words[1]))
    if words and words[0] in verbs():
        return verb(words[0], words[1:])
    if words and "=" not in words[0] and not words[0].startswith(("-", "+", "~")):
        print(
            f"genrelab: '{words[0]}' is no verb; there are {', '.join(verbs())}; training takes group=choice",
            file=sys.stderr,
        )
        return 2
    from genrelab.commands import train

    return train.main(words)


def verb(name: str, words: Sequence[str]) -> int:
    """Runs a verb's typer application."""
    import importlib

    import typer

    usage_error: type[Any] = typer.BadParameter.__mro__[1]  # click's, or that of the copy which newer typers carry

    stores = [w.partition("=")[2] for w in words if w.startswith("store=")]
    if stores:
        os.environ["GENRELAB_STORE"] = stores[-1]
    words = [w for w in words if not w.startswith("store=")]
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    try:
        module = importlib.import_module(f"genrelab.commands.{name}")
        app.command(name, context_settings=getattr(module, "SETTINGS", None))(module.run)
        code = app(list(words), prog_name=f"python -m genrelab {name}", standalone_mode=False)
        return int(code or 0)
    except UserError as error:
        print(f"genrelab: {error}", file=sys.stderr)
        return 2
    except typer.Exit as exit_:
        return exit_.exit_code
    except usage_error as error:
        print(f"genrelab {name}: {error.format_message()}; see python -m genrelab {name} --help", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return 130


def help_text() -> str:
    from genrelab.words import groups

    lines = [USAGE, "verbs"]
    lines += [f"  {name:<10}{line}" for name, line in verbs().items()]
    lines += ["", "groups and their choices"]
    lines += [f"  {group:<16}{', '.join(choices)}" for group, choices in groups().items() if choices]
    lines += [
        "",
        "The store is store=DIR, else $GENRELAB_STORE, else ./.genrelab. Exit codes: 0 done, 1 failed, 2 wrong words.",
    ]
    return "\n".join(lines)
