"""Broken manifests: each works and means what the plain one means, or one line says what is wrong and in which row."""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from genrelab.data.manifest import read_manifest
from genrelab.data.split import Grouped, KFold
from genrelab.types import Track, UserError
from tests.conftest import TINY, Said, Songs, runs_of
from tests.faults.whole import only_whole

Call = Callable[..., Said]
Tries = Callable[[int, int], int]
Count = Callable[..., None]
SHORT = (*TINY, "trainer.max_epochs=1", "agg=vote", "net=linear")
HEADER = ["path", "genre", "artist", "start_s", "comment"]
COMMENTS = ("", 'say "hi"', "a, b; c\td", "Zoë", "two\nlines", "three\r\nor\rfour", "'", "x" * 2000, "=1+1", "NULL")
ENCODINGS = ("utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16")
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}


@dataclass
class Made:
    """A manifest as somebody's program has written it; rows are counted from 1, the header."""

    random: random.Random
    folder: Path
    songs: list[Track]  # what is meant
    separator: str = ","
    ends: str = "\n"
    quoting: int = csv.QUOTE_MINIMAL
    encoding: str = "utf-8"
    rows: list[list[str]] = field(default_factory=list)
    raw: dict[int, Callable[[str], str]] = field(default_factory=dict)  # what becomes of a row's text, by index

    def write(self, path: Path) -> None:
        path.write_bytes("".join(self.texts()).encode(self.encoding))

    def texts(self) -> list[str]:
        """A row each, with its end."""
        found = []
        for i, row in enumerate(self.rows):
            text = io.StringIO(newline="")
            if row:
                csv.writer(text, delimiter=self.separator, lineterminator="\r\n", quoting=self.quoting).writerow(row)
            found.append(self.raw.get(i, str)(text.getvalue().removesuffix("\r\n")) + self.ends)
        return found

    def any(self) -> int:
        """The index of some song's row."""
        return self.random.choice([i for i, row in enumerate(self.rows) if i and any(row)])

    def unreadable(self) -> int | None:
        """The first row that is no UTF-8."""
        if self.encoding == "utf-16":
            return 1
        if self.encoding.startswith("utf-8"):
            return None
        return next((i for i, text in enumerate(self.texts(), 1) if not text.isascii()), None)


def spelled(random: random.Random, path: str, folder: Path) -> str:
    """The same file in other words."""
    ways = (path, f"./{path}", f"no/../{path}", str(folder / path), f"../{folder.name}/{path}", f"music/../{path}")
    return random.choice(ways)


def made(random: random.Random, folder: Path, songs: list[Track]) -> Made:
    """A manifest of the songs in some form, with empty rows, comments and paths of every kind, and nothing wrong."""
    m = Made(random, folder, songs, random.choice([*SEPARATORS]), random.choice(["\n", "\r\n", "\r"]))
    m.quoting, m.encoding = (
        random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        random.choice(ENCODINGS[:2] * 3 + ENCODINGS),
    )
    m.rows = [[*HEADER]]
    for song in songs:
        path = spelled(random, song.path.relative_to(folder).as_posix(), folder)
        start = {0.0: random.choice(["", "0", "0.0"])}.get(song.start_s, f"{song.start_s:g}")
        start = start.replace(".", ",") if m.separator == ";" and random.random() < 0.5 else start
        pad = " " * random.randrange(2)
        m.rows.append([path, song.genres[0] + pad, f"{song.artist}{pad}", start, random.choice(COMMENTS)])
        m.rows += [random.choice([[], [""] * 5])] * (random.random() < 0.2)
    return m


def nothing(m: Made) -> list[str] | None:
    return None


def doubled(m: Made) -> None:
    i = m.any()
    m.rows.insert(m.random.randint(i + 1, len(m.rows)), [*m.rows[i]])


def more_columns(m: Made) -> None:
    for row in m.rows:
        row.extend(["mood"] if row is m.rows[0] else [m.random.choice(["sad", "", "100 %"])] * any(row))


def blank_ends(m: Made) -> None:
    m.rows = [[*row, "", ""] if row else row for row in m.rows] + [[], [""] * 7, []]


def other_label(m: Made) -> list[str]:
    i = m.any()
    m.rows.append([m.rows[i][0], "polka", *m.rows[i][2:]])
    return [f"rows {i + 1} and {len(m.rows)} have the same id", "another genres"]


def empty(m: Made) -> list[str]:
    i, column = m.any(), m.random.randrange(2)
    m.rows[i][column] = m.random.choice(["", " "])
    return [f"row {i + 1}: {HEADER[column]} is empty"]


def no_number(m: Made) -> list[str]:
    i = m.any()
    m.rows[i][3] = m.random.choice(["soon", "-1", "1:30", "nan", "1.000,5", "inf", "0x10", "1 s", "9e9" * 9999])
    return [f"row {i + 1}: start_s is '{m.rows[i][3][:70]}", "expected seconds"]


def wide(m: Made) -> list[str]:
    i = m.any()
    m.rows[i].append("more")
    return [f"row {i + 1}: 6 cells under 5 columns", SEPARATORS[m.separator]]


def lacking(m: Made) -> list[str]:
    column = m.random.randrange(2)
    theirs = m.random.choice(["file", HEADER[column].title(), ""])
    m.rows[0][column] = theirs
    m.rows[0] += [f"column {i}" for i in range(m.random.choice([0, 5000]))]
    return [f"has no {HEADER[column]} column", f"data.columns.{HEADER[column]}={theirs.replace('file', '')}"]


def twice(m: Made) -> list[str]:
    m.rows[0][m.random.choice([2, 3])] = "comment"
    return ["has the column comment twice"]


def open_quote(m: Made) -> list[str]:
    i = m.any()
    m.rows[i], m.encoding = ["music/x.wav", "rock", "", "", ""], "utf-8"
    m.raw[i] = lambda text: '"' + text.replace('"', "")
    return [f"row {i + 1}: not CSV"]


def odd_quote(m: Made) -> list[str]:
    i = m.any()
    m.raw[i] = lambda text: '"a" b.wav' + m.separator + text
    return [f"row {i + 1}: not CSV", "twice"]


def nul(m: Made) -> list[str]:
    i = m.any()
    m.raw[i] = lambda text: text + "\0"
    return [f"row {i + 1}: not CSV (a NUL byte)"]


def no_rows(m: Made) -> list[str]:
    m.rows = [m.rows[0], [], [""] * 5][: m.random.randint(1, 3)]
    return ["no rows"]


def no_header(m: Made) -> list[str]:
    m.rows, m.encoding = m.random.choice([[], [[]], [[""] * 5]]), m.random.choice(["utf-8", "utf-8-sig"])
    return ["is empty"]


FINE = (nothing, doubled, more_columns, blank_ends)
WRONG = (other_label, empty, no_number, wide, lacking, twice, open_quote, odd_quote, nul, no_rows, no_header)


def one_line(said: Said, *words: object) -> None:
    """The program ended for the user's words, and said it in a line that holds these."""
    assert said.code == 2, said
    assert said.err.startswith("genrelab: ") and said.err.count("\n") == 1 and said.err.endswith("\n"), said.err[-2000:]
    assert said.err[:-1].isprintable() and len(said.err) < 700, said.err[:2000]
    assert not said.out
    assert all(str(word) in said.err for word in words), (words, said.err)


def meant(songs: Songs, folder: Path) -> list[Track]:
    """Some songs, below `folder` by a link, one of them from its second half second on."""
    (folder / "music").symlink_to(songs.folder)
    rows = read_manifest(songs.manifest)[::4]
    paths = [folder / "music" / t.path.relative_to(songs.folder) for t in rows]
    tracks = [replace(t, path=p, id=f"music/{t.id}") for t, p in zip(rows, paths, strict=True)]
    tracks[3] = replace(tracks[3], start_s=0.5, id=f"{tracks[3].id}@0.5s")
    return tracks


@pytest.mark.parametrize("change", [*FINE * 2, *WRONG], ids=lambda change: change.__name__)
def test_manifests_of_every_form_and_fault(
    change: Callable[[Made], list[str] | None], call: Call, songs: Songs, tmp_path: Path, tries: Tries, count: Count,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """Separators, line ends, quotes and encodings at random, each with a fault of every kind, as the program has it."""
    tracks, told = meant(songs, tmp_path), Counter[str]()
    for n in range(tries(2, 40)):
        m = made(random.Random(f"{request.node.name} {n}"), tmp_path, tracks)
        words = change(m)
        path, store = tmp_path / f"{n}.csv", tmp_path / f"store {n}"
        m.write(path)
        if m.encoding == "utf-16" or (change is not nul and m.unreadable()):
            what = "a NUL byte" if m.encoding == "utf-16" else "not UTF-8"
            words = [f"row {m.unreadable()}: ", what, "save it as CSV UTF-8"]
        if words is None:
            assert read_manifest(path) == tracks, m
        else:
            verb = m.random.choice([[], [], ["audit"]])
            one_line(call(*verb, "data=manifest", f"data.path={path}", *SHORT, f"store={store}"), path, *words)
            left = [p for p in store.rglob("*") if p.is_file()]  # of training what became of it, whole
            assert all(p.match("logs/runs/*/result.json") and json.loads(p.read_text())["code"] == 2 for p in left)
        told["read" if words is None else "refused"] += 1
        count("manifests tried")
    assert told["refused" if change in WRONG else "read"]


def plain(m: Made) -> None:
    pass


def from_excel(m: Made) -> None:
    m.separator, m.ends, m.quoting, m.encoding = ";", "\r\n", csv.QUOTE_MINIMAL, "utf-8-sig"
    m.rows[4][3] = "0,5"


def from_a_mac(m: Made) -> None:
    m.separator, m.ends, m.quoting = "\t", "\r", csv.QUOTE_ALL


def from_a_database(m: Made) -> None:
    m.rows = [[str(i or "key"), *row, "x\n\ny"] if any(row) else row for i, row in enumerate(m.rows)]
    m.rows[0][-1], m.quoting = "notes", csv.QUOTE_ALL
    doubled(m)


@pytest.mark.parametrize("change", [from_excel, from_a_mac, from_a_database], ids=lambda change: change.__name__)
def test_what_is_read_is_trained_and_audited_as_the_plain_manifest_is(
    change: Callable[[Made], None], call: Call, songs: Songs, tmp_path: Path, tries: Tries, count: Count
) -> None:
    only_whole(tries, change is from_excel)
    (tmp_path / "music").symlink_to(songs.folder)
    rows, found, store = read_manifest(songs.manifest)[::2], [], tmp_path / "store"
    tracks = [replace(t, path=tmp_path / "music" / t.path.relative_to(songs.folder)) for t in rows]
    tracks[3] = replace(tracks[3], start_s=0.5)
    for form in (plain, change):
        m = made(random.Random(0), tmp_path, tracks)
        m.encoding = "utf-8"
        m.rows = [[*row[:3], row[3].replace(",", "."), row[4]] if row else row for row in m.rows]
        form(m)
        m.write(tmp_path / f"{form.__name__}.csv")
        words = ("data=manifest", f"data.path={tmp_path / form.__name__}.csv", *SHORT, f"store={store}")
        said = call(*words)
        assert said.code == 0, said.err
        if tries(0, 1):
            audited = call("audit", *words, "--out", tmp_path / f"audit {form.__name__}")
            assert audited.code == 0, audited
            found.append([line for line in audited.out.splitlines() if "audit" not in line and "split by" not in line])
        count("manifests tried")
    first, second = runs_of(store)
    assert first.data.tags["data_digest"] == second.data.tags["data_digest"]
    figures = [{k: v for k, v in r.data.metrics.items() if k.startswith(("test/", "val/"))} for r in (first, second)]
    assert figures[0] == figures[1] and figures[0]
    assert found[:1] == found[1:]


GENRES = ["high", "low", "noise"]
HELD = "take split=auto"


def test_data_that_no_split_can_part(call: Call, songs: Songs, tmp_path: Path, tries: Tries, count: Count) -> None:
    """One genre, a song a genre, a group that is all of a genre: what is said is so, and what is advised helps."""
    only_whole(tries)
    rows, store, n = read_manifest(songs.manifest)[::2], tmp_path / "store", 0

    def go(some: list[Track], *words: str, verb: tuple[str, ...] = ()) -> Said:
        nonlocal n
        n += 1
        path = tmp_path / f"{n}.csv"
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["path", "genre", "artist", "group"])
            table.writerows([t.path, t.genres[0], t.artist, t.group] for t in some)
        count("manifests tried")
        return call(*verb, "data=manifest", f"data.path={path}", *SHORT, *words, f"store={store}")

    one_line(go([t for t in rows if t.genre == "low"]), "data=1 has one genre (low)", "at least 2")
    assert not (store / "cache").exists()  # no song was heard for that
    firsts = [next(t for t in rows if t.genre == g) for g in GENRES]
    for verb in ((), ("audit",)):
        one_line(go(firsts, verb=verb), "high, low, noise have 1 song each, 3 in all", "add songs")
    one_line(go(rows[:9]), "low has 1 song")
    tied = [replace(t, group="all low" if t.genre == "low" else t.artist) for t in rows]
    for words in (("split=group",), ("split=kfold", "split.by=group")):
        one_line(go(tied, *words), "genre low has 1 group, 17 in all", HELD)
    one_line(go([replace(t, artist=t.genre) for t in rows], "split=artist"), "have 1 artist each, 3 in all", HELD)
    gone = [replace(t, path=Path(f"no/{i}.wav"), genres=(f"g{i}",)) for i, t in enumerate(rows)]
    first = tmp_path / "no" / "0.wav"
    one_line(go(gone), "of g0, g1, g10, g11,", "and 16 more (missing; first:", first)
    one_line(go(gone, verb=("audit",)), "none of its 24 songs can be used (missing; first:", first)
    heads = [*rows[:12], Track("head", Path("path"), ("genre",), artist="artist"), *rows[12:]]  # two tables in one
    one_line(go(heads), "no usable song is left of genre (missing; first:", tmp_path / "path")
    assert not runs_of(store)
    said = go(tied)  # as it was advised
    assert said.code == 0, said.err
    assert "split by artist" in said.err and "(low has 1 group, fewer than 3)" in said.err


def possible(labels: list[str], groups: list[str]) -> bool:
    """Whether whole groups can be dealt to train, val and test so that train and test hold every genre."""
    own = {g: {label for label, at in zip(labels, groups, strict=True) if at == g} for g in set(groups)}
    for dealt in itertools.product(["train", "val", "test"], repeat=len(own)):
        held: dict[str, set[str]] = {}
        for side, genres in zip(dealt, own.values(), strict=True):
            held.setdefault(side, set()).update(genres)
        if held.get("train") == held.get("test") == set(labels) and "val" in held:
            return True
    return False


def test_a_split_is_refused_only_where_there_is_none_and_its_counts_are_right(tries: Tries, count: Count) -> None:
    told = Counter[str]()
    for n in range(tries(40, 1000)):
        r = random.Random(n)
        names, k = "abcd"[: r.randint(1, 4)], r.randint(1, 6)
        labels, groups = zip(*[(r.choice(names), f"x{r.randrange(k)}") for _ in range(r.randint(1, 14))], strict=True)
        has = {g: len({at for label, at in zip(labels, groups, strict=True) if label == g}) for g in set(labels)}
        rows = enumerate(zip(labels, groups, strict=True))
        tracks = [Track(f"{i}", Path(f"/{i}.wav"), (label,), artist=group) for i, (label, group) in rows]
        for splitter in (Grouped("artist", 4, None), KFold("artist", 4)):
            try:
                splitter.splits(tracks, n)
            except UserError as error:
                said = str(error)
                told["refused"] += 1
                if found := re.match(r"(?:genre )?(.+?) (?:has|have) (\d+) artists?( each)?, (\d+) in all: ", said):
                    alike, in_all = found[1].split(", "), len(set(groups))
                    assert (min(has.values()), in_all) == (int(found[2]), int(found[4])), said
                    assert sorted(g for g in has if has[g] == int(found[2])) == alike, said
                    assert int(found[2]) < 2 or in_all < 3, said
                assert HELD in said
                assert isinstance(splitter, KFold) or not possible(list(labels), list(groups)), (said, labels, groups)
            else:
                told["split"] += 1
        count("corpora split or refused")
    assert min(told["split"], told["refused"]) > 0.1 * told.total()
