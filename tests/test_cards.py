"""Every run has its card: its figures are MLflow's, its excerpts the songs', its commands those that were typed."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import soundfile

from genrelab import cards
from genrelab.report.card import FILE
from genrelab.types import UserError
from genrelab.words import quoted
from tests.conftest import GENRES, RATE, TINY, Said, Songs, Trained, client, runs_of, wave, write_manifest

Call = Callable[..., Said]
EVIL = "<script>alert(1)<!-- &amp;"  # a file may be called so
LOUD = (*TINY, "card=full")


def card_of(folder: Path) -> str:
    return (folder / FILE).read_text(encoding="utf-8")


def folder_of(run: Any) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def plain(page: str) -> str:
    """The page's words."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", page[page.index("<body>") :])).split())


def commands(page: str) -> list[str]:
    return [unescape(c) for c in re.findall(r"<pre>(.*?)</pre>", page, re.S)]


@pytest.fixture(scope="module")
def page(trained: Trained) -> str:
    return card_of(trained.folder)


def test_its_figures_are_those_of_the_run(trained: Trained, page: str) -> None:
    run = client(trained.store).get_run(trained.id)
    f, said = run.data.metrics, plain(page)
    key = "test/song/balanced_accuracy"
    at, lo, hi = (f"{100 * f[k]:.1f}" for k in (key, f"{key}_lo", f"{key}_hi"))
    assert f"{at} % balanced accuracy per song [{lo}, {hi}], on 12 test songs by artists that it never heard" in said
    assert f"{int(f['cost/parameters']):,}" in said
    for tag in ("data_digest", "split_digest", "config_hash", "git_commit"):
        assert run.data.tags[tag] in said, tag
    assert "24 songs train, 12 validate, 12 test" in said
    assert "Leak audit: clean" in said
    assert "Of 2 epochs the weights are those of epoch" in said


def test_it_is_an_artifact_that_mlflow_has(trained: Trained) -> None:
    assert FILE in {a.path for a in client(trained.store).list_artifacts(trained.id)}
    assert not list(trained.folder.glob("card.*tmp"))


def test_its_commands_are_what_was_typed(trained: Trained, page: str) -> None:
    found = [shlex.split(c) for c in commands(page)]
    assert ["python", "-m", "genrelab", *quoted(trained.words)] in [c[:3] + quoted(c[3:]) for c in found]
    assert ["python", "-m", "genrelab", "rerun", trained.id] in found
    assert ["python", "-m", "genrelab", "compare", trained.id, "OTHER"] in found


def test_the_excerpts_are_the_songs_and_the_evidence_is_a_part_of_them(call: Call, tmp_path: Path) -> None:
    """With songs whose names are markup, one of which cannot be heard any more by then."""
    rows = []
    for genre in GENRES:
        for artist in range(4):
            path = tmp_path / f"{genre} {artist} {EVIL}.wav"
            soundfile.write(path, wave(genre, artist, 0), RATE)
            rows.append([path.name, GENRES[(GENRES.index(genre) + artist) % 3], f"{EVIL} {genre} {artist}"])
    table = write_manifest(tmp_path / "a b.csv", rows)  # labels that nobody can hear: mistakes are certain
    said = call("data=manifest", f"data.path={table}", *LOUD, f"store={tmp_path / 'store'}")
    assert said.code == 0, said.err
    (run,) = runs_of(tmp_path / "store")
    page = card_of(folder_of(run))
    assert "alert(1)" in page
    assert page.count("<script") == page.count("</script>") == 1
    assert page.count("<audio ") == 2 * page.count('<div class="mistake">') >= 2
    sounds = [base64.b64decode(s) for s in re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', page)]
    for excerpt, heard in zip(sounds[::2], sounds[1::2], strict=True):
        whole, part = (soundfile.read(io.BytesIO(s)) for s in (excerpt, heard))
        assert whole[1] == part[1] == RATE
        assert len(whole[0]) / RATE == pytest.approx(5.12, abs=0.2)  # two slices
        assert 0 < (part[0] ** 2).mean() < (whole[0] ** 2).mean()
    assert len(page) < 2_000_000
    assert "'data.path" not in page and f"data.path={table}" in [w for c in commands(page) for w in shlex.split(c)]


def test_a_song_that_cannot_be_heard_any_more_is_said(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from genrelab import compose
    from genrelab.audio import decode, guarded
    from genrelab.report import artifacts
    from genrelab.report.console import BAR
    from genrelab.report.mistakes import worst

    def gone(*_: object) -> None:
        raise decode.AudioError("missing", "no such file")

    restored = compose.restore(trained.folder)
    songs, cuts = artifacts.load(trained.folder)
    songs["truth"] = songs["truth"].map(dict(zip(GENRES, (*GENRES[1:], GENRES[0]), strict=True)))
    found, _ = worst(songs, cuts, None, 2)
    told = cards.Told(None, restored.config, compose.prepare(restored.config, BAR), [], songs, cuts, {}, {})
    monkeypatch.setattr(guarded, "load", gone)
    made = cards.excerpts(found, told, lambda _: restored.model)
    assert [m.clip for m in made] == [None, None]
    assert made[0].why_silent == "Its file cannot be heard now: missing."


def test_silent_and_none(call: Call, songs: Songs, page: str, tmp_path: Path) -> None:
    assert "<audio" not in page and "data:audio" not in page
    said = call(*songs.words, *TINY, "card=null", "tracker=off", f"store={tmp_path}")
    assert said.code == 0, said.err
    (folder,) = (tmp_path / "logs" / "untracked").iterdir()
    assert (folder / "predictions.parquet").is_file() and not (folder / FILE).exists()


def test_a_card_that_there_is_not_is_refused_before_any_work(call: Call, songs: Songs, tmp_path: Path) -> None:
    said = call(*songs.words, *TINY, "card=loud", f"store={tmp_path}")
    assert said.code == 2
    assert "card=loud: expected full, silent" in said.err
    assert "run " not in said.err
    with pytest.raises(UserError, match="card=loud"):
        cards.check({"card": "loud"})
    cards.check({})  # a run of an older genrelab, resumed


def test_untracked_runs_have_one_without_what_needs_an_id(call: Call, songs: Songs, tmp_path: Path) -> None:
    said = call(*songs.words, *TINY, "tracker=off", f"store={tmp_path}")
    assert said.code == 0, said.err
    (folder,) = (tmp_path / "logs" / "untracked").iterdir()
    page = card_of(folder)
    assert not [c for c in commands(page) if re.search("rerun|compare|probe|--run", c)]
    assert "mel-gru-artist-s0 on tones" in page


def test_a_k_fold_run_has_its_folds_and_every_song(call: Call, songs: Songs, tmp_path: Path) -> None:
    words = ["split=kfold", "split.n_folds=3", "trainer.max_epochs=1"]
    said = call(*songs.words, *LOUD, *words, f"store={tmp_path}")
    assert said.code == 0, said.err
    parent, *children = sorted(runs_of(tmp_path), key=lambda r: r.data.tags["kind"] != "kfold")
    page = card_of(folder_of(parent))
    for text in ("on 48 test songs", "3 folds by artist", "By fold", *(c.info.run_id[:8] for c in children)):
        assert text in plain(page)
    n_wrong = int(re.search(r"(\d+) of 48 songs wrong", plain(page))[1])  # type: ignore[index]
    assert page.count("<audio ") == 2 * min(cards.N_WORST, n_wrong)
    for child in children:
        own = card_of(folder_of(child))
        assert "<audio" not in own and "fold" in child.info.run_name and child.info.run_name in own


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=open_set", "task.unknown=[noise]"], ["None of these", "16 of none of them"]),
        (["front=raw", "agg=vote"], ["What the front-end learned", "the first bin below"]),
        (["split=slice"], ["The split leaks: do not believe it.", "every test song was also trained on"]),
        (["debug=fast"], ["a quick check that it runs, not a result", "Train in earnest."]),
    ],
)
def test_each_kind_of_run_says_what_it_is(
    call: Call, songs: Songs, tmp_path: Path, words: list[str], said: list[str]
) -> None:
    done = call(*songs.words, *TINY, *words, f"store={tmp_path}")
    assert done.code == 0, done.err
    (run,) = runs_of(tmp_path)
    page = card_of(folder_of(run))
    for text in said:
        assert text in plain(page)


def test_songs_of_several_genres_and_a_frozen_net(call: Call, songs: Songs, tmp_path: Path) -> None:
    rows = []
    for line in songs.manifest.read_text().splitlines()[1:]:
        path, genre, artist = line.split(",")
        rows.append([str(songs.folder / path), f"{genre}|{'odd' if path.endswith('1.wav') else 'even'}", artist])
    table = write_manifest(tmp_path / "several.csv", rows, ("path", "genres", "artist"))
    store = f"store={tmp_path / 'store'}"
    assert call("task=multi", "data=manifest", f"data.path={table}", *TINY, store).code == 0
    (run,) = runs_of(tmp_path / "store")
    page = plain(card_of(folder_of(run)))
    assert "mean average precision per song" in page and "average precision" in page and "Confusion" not in page
    frozen = call("net=frozen", f"net.run={run.info.run_id}", "agg=vote", *LOUD, store)
    assert frozen.code == 0, frozen.err
    stacked = runs_of(tmp_path / "store")[-1]
    said = plain(card_of(folder_of(stacked)))
    assert f"The net is that of the run {run.info.run_id}, frozen" in said and "Nothing had to be learned" in said


def test_the_card_is_no_part_of_a_runs_identity(trained: Trained) -> None:
    from genrelab import compose
    from genrelab.runs import config_hash

    config = compose.load_config(trained.folder)
    assert config["card"] == "silent"
    assert config_hash(config, "32-true") == config_hash(config | {"card": "full"}, "32-true")


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["data.path=/a b/c.csv"], "'data.path=/a b/c.csv'"),
        (["data.path=/music"], "data.path=/music"),
        (["data.path=/it's"], None),
        (["data.path=/a,b"], None),
        (["task.unknown=[rap]"], "'task.unknown=[rap]'"),
        (["net.weights=/x$HOME"], None),
    ],
)
def test_a_command_is_read_by_a_shell_as_it_was_meant(typed: list[str], shown: str | None) -> None:
    meant = quoted(typed)
    line = cards.words({"overrides": meant})
    assert quoted(shlex.split(line)[3:]) == meant  # what Hydra is given again
    if shown:
        assert line == f"python -m genrelab {shown}"


def test_a_run_of_a_sweep_is_repeated_alone_and_seeds_are_a_sweep() -> None:
    config = {"overrides": ["sweep=fronts", "front=stft", "seed=4"]}
    assert cards.words(config) == "python -m genrelab sweep=fronts front=stft seed=4 hydra.mode=RUN"
    assert cards.words(config, but="sweep") == "python -m genrelab front=stft seed=4"
    assert cards.words({"overrides": ["seed=4"]}, "seed=1,2", sweep=True) == "python -m genrelab -m seed=1,2"


def test_tags_hold_the_words_too(trained: Trained) -> None:
    tags = client(trained.store).get_run(trained.id).data.tags
    assert cards.words({"overrides": json.loads(tags["overrides"])}) in commands(card_of(trained.folder))
