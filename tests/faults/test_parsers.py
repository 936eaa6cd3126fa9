"""What users write, in any bytes and any text: a parser reads it, or says in one line why not. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from genrelab.data.manifest import data_digest, manifest_rows, read_beats, read_manifest
from genrelab.data.sources.ballroom import read_grid
from genrelab.data.sources.base import read_yaml
from genrelab.data.sources.fma import read_tracks
from genrelab.data.sources.jamendo import HEADER, _file, _read
from genrelab.data.sources.library import read_fold
from genrelab.data.sources.mapped import read_map
from genrelab.data.sources.tags import _tempo, genres_of
from genrelab.data.split import Split, crossings
from genrelab.data.split_given import FromFile, Official
from genrelab.evaluate.hierarchy import Tree
from genrelab.types import Track, UserError

Tries = Callable[[int, int], int]
Count = Callable[..., None]

# what trips parsers, glued together at random; between them anything at all
CELLS = ("path", "genre", "genres", "id", "split", "fold", "artist", "start_s", "duration_s", "tempo_bpm", "beats")
ODD = (
    *(
        "\n",
        "\r\n",
        "\r",
        ",",
        ",",
        ",",
        '"',
        '""',
        ";",
        "\t",
        "|",
        ":",
        "\ufeff",
        "\0",
        "\x1b[2J",
        "\u2028",
        "\x85",
        " ",
    ),
    *(
        "a.wav",
        "../b.wav",
        "/c.wav",
        ".",
        "..",
        "/",
        "~",
        "rock",
        "rap:0.5|rock:0.5",
        "rap:1e999",
        "rap:0",
        "a:b",
        "|||",
    ),
    *("0", "-1", "1", "1.5", "nan", "inf", "-inf", "1e999", "1e-999", "9" * 400, "9" * 5000, "٣", "²", "1_000", "0x10"),
    *("train", "val", "TEST", "fold3", "3.0", "unused", "mixed", "slice", "é", "日本", "\u202e", "=1+1", "x" * 200_000),
    *("time", "beat_in_bar", "1.0", "2.0", "3.0", "id,side", "side", "group", "kind", "seed", "n_folds", *CELLS),
)
YAML = (
    *(
        "rock: [punk]\n",
        "- a\n",
        "a: &x [*x]\n",
        "&a [*a]\n",
        "*b",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "? ",
        "!!set {a}",
        "!!map",
    ),
    *("!!python/object:os.system", "2001-99-99", "2001-01-01", "9" * 5000, "[" * 2000, "\t", "|\n", "null", "~", "yes"),
    *("'", '"', "#", "\n", "  ", "---\n", "%YAML 9.9\n", "\0", "\ufeff", ".inf", "0x", "0o9", "1:60", "<<: *a\n", "é"),
)


def texts(parts: tuple[str, ...]) -> SearchStrategy[bytes]:
    """Files of odd pieces, of any text, and of any bytes; some in other encodings."""
    glued = st.lists(st.sampled_from(parts) | st.text(max_size=5), max_size=40).map("".join)
    encoded = st.tuples(glued, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])).map(
        lambda pair: pair[0].encode(pair[1], "replace")
    )
    return encoded | st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")) | st.binary(max_size=200)


def behind(header: str, parts: tuple[str, ...]) -> SearchStrategy[bytes]:
    """The same below a header that is right, so that the rows are reached."""
    return texts(parts).map(lambda rest: header.encode() + rest) | texts(parts)


def whole_split(cells: list[str]) -> bytes:
    """A split file of four rows that are alike."""
    rows = "".join(f"{i},train,{','.join(cells)}\n" for i in range(4))
    return f"id,side,kind,seed,n_folds,fold\n{rows}".encode()


def tracks(n: int = 4) -> list[Track]:
    return [Track(f"{i}", Path(f"/{i}.wav"), ("rock", "rap")[i % 2 : i % 2 + 1], artist=f"a{i}") for i in range(n)]


def manifest(path: Path) -> None:
    read = read_manifest(path)
    assert read and len({t.id for t in read}) == len(read)
    assert all(t.genres and t.path.is_absolute() and t.start_s >= 0 for t in read)
    data_digest(read, [t.id for t in read])
    manifest_rows(read)
    for splitter in (Official(5, None), Official(5, ["1"])):
        try:
            (split,) = splitter.splits(read, 0)
        except UserError as error:
            one_line(error)
        else:
            assert len(split.sides) == len(read)
            crossings(read, split)


def beats(path: Path) -> None:
    grid = read_beats(path)
    assert (grid.times_s[1:] > grid.times_s[:-1]).all()
    if grid.beat_in_bar is not None:
        assert grid.beat_in_bar.dtype.kind == "i" and (grid.beat_in_bar >= 1).all()


def split_file(path: Path) -> None:
    (split,) = FromFile(str(path)).splits(tracks(), 0)
    assert isinstance(split, Split) and len(split.sides) == 4
    for side in ("train", "val", "test"):
        for i in range(4):
            split.slices(i, 7, side)
    assert len(split.digest) == 16


def fma(path: Path) -> None:
    assert all(row.id >= 0 for row in read_tracks(path))


def jamendo(path: Path) -> None:
    for cells in _read(path):
        _file(path.parent, cells[3])


def tree(path: Path) -> None:
    nested = read_yaml(path, "data.tree", "a yaml")
    try:
        Tree.of(nested, ["a", "punk"])
    except ValueError as error:  # which is told as the user's
        assert str(error)


FMA = ",set,set,track,artist,album\n,split,subset,genre_top,id,id\n"
PARSERS: dict[str, tuple[Callable[[Path], Any], SearchStrategy[bytes]]] = {
    "manifest": (manifest, behind("path,genre,id,split,start_s,duration_s,artist\n", ODD)),
    "manifest with weights": (manifest, behind("path,genres,fold,tempo_bpm,beats\na.wav,", ODD)),
    "beats": (beats, behind("time,beat_in_bar\n1,1\n", ODD)),
    "split file": (split_file, behind("id,side,seed,n_folds,fold\n1,val,,,\n2,test,,,\n3,train,,,\n0,train,", ODD)),
    "split file whole": (
        split_file,
        st.lists(st.sampled_from(ODD), min_size=4, max_size=4).map(whole_split),
    ),
    "beat annotations": (read_grid, behind("0.5 1\n1.5 2\n", (*ODD, "2.5 3\n", "3.5 1.4\n", " "))),
    "FMA's table": (fma, behind(f"{FMA}1,training,small,Rock,1,1\n", ODD)),
    "Jamendo's table": (jamendo, behind("\t".join(HEADER) + "\nt\ta\tb\t", (*ODD, "\t", "\tgenre---rock\n"))),
    "fold": (lambda p: read_fold(str(p)), texts(YAML)),
    "map": (read_map, texts(YAML)),
    "tree": (tree, texts(YAML)),
}


def one_line(error: UserError) -> None:
    said = str(error)
    assert said and len(said.splitlines()) == 1 and said.isprintable(), repr(said[:300])


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_are_read_or_refused_in_a_line(name: str, tmp_path: Path, tries: Tries, count: Count) -> None:
    read, files = PARSERS[name]
    path, told = tmp_path / "file", {"read": 0, "refused": 0}

    @settings(
        max_examples=tries(60, 2000),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(files)
    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        count("texts given to parsers")
        try:
            read(path)
            told["read"] += 1
        except UserError as error:
            one_line(error)
            told["refused"] += 1

    attempt()
    assert told["refused"]  # or this test has shown nothing
    assert told["read"] or tries(1, 0)


def test_any_words_of_tags_are_genres_or_none(tries: Tries, count: Count) -> None:
    words = st.lists(
        st.sampled_from(["(17)", "(", ")", "17", "999", "(RX)", ";", "/", "\0", *ODD]) | st.text(max_size=8)
    )

    @settings(max_examples=tries(100, 5000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(words.map("".join), max_size=4))
    def attempt(said: list[str]) -> None:
        found = genres_of(said)
        count("texts given to parsers")
        assert all(g.strip() == g and g for g in found)
        assert len({g.casefold() for g in found}) == len(found)
        for text in said:
            assert (tempo := _tempo(text)) is None or 20 <= tempo <= 400

    attempt()


KEYS = (
    "seed",
    "store",
    "front",
    "front.n_bins",
    "data",
    "data.path",
    "split",
    "split.n_folds",
    "trainer.max_epochs",
    "x.y",
)
VALUES = (
    *(
        "",
        "mel",
        "null",
        "1",
        "-1",
        "1e999",
        "nan",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "a,b",
        "${seed}",
        "${",
        "${oc.env:HOME}",
    ),
    *(
        "glob(*)",
        "range(1,9e9)",
        "choice(1)",
        "x=y",
        "=",
        "\\",
        " ",
        "é",
        "\0",
        "~",
        "$",
        "9" * 5000,
        "[" * 200,
        "\n",
        "!!",
    ),
)


def test_any_words_of_a_configuration_are_composed_or_refused(tries: Tries, count: Count) -> None:
    """What the program makes of its words before it does anything."""
    from genrelab.compose import composed

    value = st.lists(st.sampled_from(VALUES) | st.text(max_size=4), max_size=4).map("".join)
    key = st.tuples(st.sampled_from(["", "+", "~", "++"]), st.sampled_from(KEYS)).map("".join)
    word = st.tuples(key, st.sampled_from(["=", "=", "=", ""]), value).map("".join) | value

    @settings(max_examples=tries(10, 150), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(word, min_size=1, max_size=3))
    def attempt(words: list[str]) -> None:
        count("texts given to parsers")
        try:
            assert "seed" in composed(words)
        except UserError as error:
            one_line(error)

    attempt()
