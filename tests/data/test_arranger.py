"""data=arranger: the plan is balanced and nested; what the programs play lies where the beats say."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from genrelab.data.arranger import rendering
from genrelab.data.arranger.charts import KEYS, PROGRESSIONS, Clip, _chord, clips
from genrelab.data.arranger.rendering import find_fonts, render
from genrelab.data.arranger.styles import STYLES
from genrelab.data.manifest import read_beats
from genrelab.data.sources.arranger import Arranger
from genrelab.paths import conf_dir
from genrelab.types import UserError
from tests.conftest import Said
from tests.data.debs import no_programs

FONTS = ("TimGM6mb", "MuseScore_General_Lite")
RATE = 22050


def _font() -> Path | None:
    for name in FONTS:
        try:
            return find_fonts([name])[name]
        except UserError:
            continue
    return None


FONT = _font()
NEEDS_PROGRAMS = pytest.mark.skipif(
    not (all(map(shutil.which, rendering.PROGRAMS)) and FONT), reason=f"a program lacks; {rendering.INSTALL}"
)


def source(**changes: Any) -> Arranger:
    """The yaml's corpus, with changes."""
    conf = yaml.safe_load((conf_dir() / "data" / "arranger.yaml").read_text())
    assert conf.pop("_target_") == "genrelab.data.sources.arranger.Arranger"
    return Arranger(**conf | {"sample_rate": RATE} | changes)


def played(clip: Clip, folder: Path) -> np.ndarray:
    """The clip's samples."""
    assert FONT
    for kind in ("midi", "beats", "clips"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    render(clip, FONT, folder, RATE)
    wave, rate = soundfile.read(folder / "clips" / f"{clip.id}.ogg")
    assert rate == RATE
    return np.asarray(wave)


def clicks(clip: Clip, wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each beat: how loud it is within 100 ms, and how long after it the sound sets in (s)."""
    loud, late = [], []
    for time_s, _ in clip.beats:
        first = max(round((time_s - 0.05) * RATE), 0)
        near = np.abs(wave[first : round((time_s + 0.1) * RATE)])
        loud.append(near.max(initial=0))
        late.append((first + int(np.argmax(near > 0.2 * near.max(initial=0)))) / RATE - time_s)
    return np.array(loud), np.array(late)


def test_a_font_and_a_style_file_tell_nothing_of_each_other_nor_a_font_of_the_style() -> None:
    plan = clips(list(STYLES), 24, 15.0, FONTS, 0)
    by_style = Counter((c.style, c.studio) for c in plan)
    assert set(by_style.values()) == {12} and len(by_style) == 2 * len(STYLES)
    files: dict[tuple[str, str], set[str]] = defaultdict(set)
    for clip in plan:
        files[clip.style, clip.group].add(clip.studio)
    both = sum(len(fonts) == 2 for fonts in files.values()) / len(files)
    assert 0.3 < both < 0.8  # two clips of a file: half of them by one font, by chance
    odd = Counter(c.studio for c in clips(list(STYLES), 5, 15.0, FONTS, 0))
    assert abs(odd[FONTS[0]] - odd[FONTS[1]]) <= len(STYLES)


def test_the_style_files_of_a_style_take_turns() -> None:
    for name, style in STYLES.items():
        n = len(style.files)
        counts = Counter(c.group for c in clips([name], 2 * n, 15.0, FONTS, 3))
        assert counts == dict.fromkeys(style.files, 2), name


def test_a_larger_corpus_begins_with_a_smaller_one_and_a_seed_makes_another() -> None:
    small, large = (clips(["jazz", "rock"], n, 15.0, FONTS, 0) for n in (5, 30))
    assert [c for c in large if int(c.id[-3:]) < 5] == small
    other = clips(["jazz", "rock"], 5, 15.0, FONTS, 1)
    assert not set(small) & set(other)


def test_every_style_has_files_enough_to_split_by_and_shares_none() -> None:
    files = [name for style in STYLES.values() for name in style.files]
    assert len(files) == len(set(files))
    assert min(len(style.files) for style in STYLES.values()) >= 9


def test_chords_in_a_key() -> None:
    assert [_chord("C", d) for d in PROGRESSIONS["two_five"].split()] == ["Dm7", "G7", "CM7", "CM7"]
    assert [_chord("Bb", d) for d in ("0", "9m", "10", "11m7b5")] == ["Bb", "Gm", "Ab", "Am7b5"]
    assert {_chord(key, "0") for key in KEYS} == set(KEYS)


def test_beats_of_a_clip_that_begins_within_a_bar() -> None:
    clip = replace(clips(["waltz"], 1, 4.0, FONTS, 0)[0], tempo_bpm=120, start_s=1.6)
    # bars of 1.5 s: the clip begins 0.1 s after a bar line, 0.4 s before the second beat
    assert [place for _, place in clip.beats] == [2, 3, 1, 2, 3, 1, 2, 3]
    np.testing.assert_allclose([t for t, _ in clip.beats], np.arange(8) * 0.5 + 0.4, atol=1e-9)
    on_the_line = replace(clip, start_s=1.5)
    assert on_the_line.beats[0] == (0.0, 1) and len(on_the_line.beats) == 8
    assert clip.n_bars * 1.5 >= clip.start_s + clip.length_s


@NEEDS_PROGRAMS
@pytest.mark.parametrize(("style", "groove"), [("rock", "metronome:Metronome4"), ("waltz", "metronome3:Metronome3")])
def test_a_click_sounds_on_every_beat(style: str, groove: str, tmp_path: Path) -> None:
    file, _, name = groove.partition(":")
    clip = replace(clips([style], 1, 12.0, FONTS, 0)[0], group=f"stdlib/{file}", grooves=(name,))
    loud, late = clicks(clip, played(clip, tmp_path))
    assert len(loud) >= 12 and loud.min() > 0.5 * loud.max()
    assert np.abs(late).max() < 0.015  # the attack of the sample itself takes some 5 ms
    assert np.ptp(late) < 0.006


@NEEDS_PROGRAMS
def test_bars_are_counted_from_the_first(tmp_path: Path) -> None:
    """Clicks on 1 and 3 for four bars, then on all: the first between them is a second beat, of the fifth bar."""
    clip = replace(
        clips(["rock"], 1, 12.0, FONTS, 0)[0], group="stdlib/metronome", grooves=("Metronome2", "Metronome4")
    )
    loud, _ = clicks(clip, played(clip, tmp_path))
    places = np.array([place for _, place in clip.beats])
    bars = np.array([round((t + clip.start_s) / clip.beat_s) // 4 for t, _ in clip.beats])
    sounds = loud > 0.3 * loud.max()
    np.testing.assert_array_equal(sounds, (places % 2 == 1) | (bars // 4 % 2 == 1))
    assert {0, 1} <= set((bars // 4 % 2).tolist())


@NEEDS_PROGRAMS
def test_the_bass_drum_of_a_march_falls_on_beats(tmp_path: Path) -> None:
    """Of real styles too: more energy sets in on the beats than midway between them."""
    for style, group, groove in (("electronic", "casio/techno", "Techno"), ("march_polka", "stdlib/march", "March")):
        clip = replace(clips([style], 1, 12.0, FONTS, 0)[0], group=group, grooves=(groove,))
        wave = played(clip, tmp_path)
        rise = np.maximum(np.diff(np.square(wave[: len(wave) // 220 * 220]).reshape(-1, 220).mean(axis=1)), 0)
        time_s = np.arange(1, len(rise) + 1) * 220 / RATE

        def energy(shift_s: float, rise: np.ndarray = rise, time_s: np.ndarray = time_s, clip: Clip = clip) -> float:
            return sum(float(rise[np.abs(time_s - t - shift_s) < 0.03].sum()) for t, _ in clip.beats)

        assert energy(0.0) > 1.5 * energy(0.25 * clip.beat_s), style


@NEEDS_PROGRAMS
@pytest.mark.parametrize("name", list(STYLES))
def test_mma_knows_the_grooves_and_their_bars(name: str, tmp_path: Path) -> None:
    """A bar of each: as long as the style's beats make it, at a beat a second."""
    style = STYLES[name]
    played = [f"{group}:{groove}" for group, grooves in style.files.items() for groove in grooves]
    lines = [f"Groove {groove}\n{i + 1} C" for i, groove in enumerate(played)]
    (tmp_path / "c.mma").write_text("\n".join(["Tempo 60", *lines]) + "\n")
    done = subprocess.run(["mma", "c.mma", "-f", "c.mid"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    found = re.search(r"\((\d+) bars, ([\d.]+) min", done.stdout)
    assert found, done.stdout
    want = (len(played), pytest.approx(len(played) * style.beats_per_bar / 60, abs=0.006))
    assert (int(found[1]), float(found[2])) == want


@NEEDS_PROGRAMS
def test_made_again_it_is_the_same_and_a_killed_run_is_gone_on_with(tmp_path: Path) -> None:
    small = {"styles": ["waltz", "rock"], "n_per_style": 2, "length_s": 2, "soundfonts": [str(FONT)]}
    seen: list[tuple[str, int, int]] = []
    one = source(**small, n_jobs=1).manifest(tmp_path / "a", lambda *shown: seen.append(shown)).parent
    assert [done for _, done, _ in seen] == [1, 2, 3, 4]
    part = tmp_path / "b" / "data" / f"{one.name}.part"
    for name in ("clips/rock-001.ogg", "midi/rock-001.mid", "beats/rock-001.csv"):
        (part / name).parent.mkdir(parents=True)
        shutil.copy(one / name, part / name)
    (part / "work-killed").mkdir()
    (part / "work-killed" / "clip.mma").write_text("half")
    seen.clear()
    two = source(**small).manifest(tmp_path / "b", lambda *shown: seen.append(shown)).parent
    assert [done for _, done, _ in seen] == [2, 3, 4]
    names = sorted(p.relative_to(one).as_posix() for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(two).as_posix() for p in two.rglob("*") if p.is_file())
    assert len(names) == 13 and not part.exists()
    for name in names:
        if name.endswith(".ogg"):  # an OGG stream has a number of its own
            a, b = (soundfile.read(folder / name)[0] for folder in (one, two))
            assert len(a) == 2 * RATE and np.abs(a).max() > 0.5
            np.testing.assert_allclose(a, b, atol=1e-3)
        else:
            assert (one / name).read_bytes() == (two / name).read_bytes(), name


@NEEDS_PROGRAMS
def test_the_manifest_tells_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = source(styles=["waltz", "jazz"], n_per_style=2, length_s=2, soundfonts=[str(FONT)])
    tracks = own.tracks(tmp_path)
    assert FONT
    plan = {clip.id: clip for clip in own.clips([FONT.stem])}
    assert len(tracks) == 4
    for track in tracks:
        clip = plan[track.id]
        assert (track.genre, track.group, track.studio) == (clip.style, clip.group, FONT.stem)
        assert track.tempo_bpm == clip.tempo_bpm and track.track == track.id
        assert track.beats and track.path.is_file()
        beats = read_beats(track.beats)
        assert beats.beat_in_bar is not None
        np.testing.assert_allclose(beats.times_s, [t for t, _ in clip.beats], atol=1e-4)
        assert beats.beat_in_bar.tolist() == [p for _, p in clip.beats]
        assert max(beats.beat_in_bar) == (3 if track.genre == "waltz" else 4)
    with (tracks[0].path.parent.parent / "manifest.csv").open(newline="") as file:
        assert {int(row["beats_per_bar"]) for row in csv.DictReader(file)} == {3, 4}
    no_programs(tmp_path, monkeypatch)
    assert own.tracks(tmp_path) == tracks  # what is made needs no program


@NEEDS_PROGRAMS
def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    clip = replace(clips(["rock"], 1, 2.0, FONTS, 0)[0], group="stdlib/nothing")
    with pytest.raises(UserError, match=r"mma failed on clip rock-000 \(stdlib/nothing\): .*") as error:
        played(clip, tmp_path)
    assert "\n" not in str(error.value)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_without_the_programs_one_line_with_what_to_type(
    call: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_programs(tmp_path, monkeypatch)
    said = call("data=arranger", f"store={tmp_path / 'store'}")
    assert said.code == 2
    (line,) = said.err.strip().splitlines()
    assert "not found: mma, fluidsynth" in line and "apt-get install mma fluidsynth timgm6mb-soundfont" in line


def test_fonts_are_files_or_installed_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "FONT_DIRS", (str(tmp_path / "sf2"), str(tmp_path / "sf3")))
    for name in ("sf2/One.sf2", "sf3/Two.v1.sf3", "own/One.sf2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    own = tmp_path / "own" / "One.sf2"
    assert find_fonts(["One", "Two.v1"]) == {"One": tmp_path / "sf2/One.sf2", "Two.v1": tmp_path / "sf3/Two.v1.sf3"}
    assert find_fonts([str(own)]) == {"One": own}
    with pytest.raises(UserError, match="two fonts are named One"):
        find_fonts(["One", str(own)])
    with pytest.raises(UserError, match="TimGM6mb is not there: apt-get install timgm6mb-soundfont"):
        find_fonts(["TimGM6mb"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"styles": ["jaz"]}, "data.styles: jaz is no style; near it: jazz"),
        ({"styles": ["jazz", "jazz"]}, "different styles"),
        ({"n_per_style": 0}, "data.n_per_style=0: expected a whole number, at least 1"),
        ({"length_s": 0.5}, "data.length_s=0.5: expected seconds"),
        ({"sample_rate": 4000}, "from 8000 to 96000"),
        ({"soundfonts": []}, "data.soundfonts"),
        ({"seed": -1}, "data.seed=-1"),
        ({"n_jobs": 0}, "data.n_jobs=0"),
    ],
)
def test_words_that_mean_nothing(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        source(**given)


def test_where_a_font_lies_is_no_other_corpus_but_another_font_is() -> None:
    same = source(soundfonts=["/a/One.sf2"]).digest
    assert source(soundfonts=["One"], n_jobs=1).digest == same
    assert len({same, source(soundfonts=["Two"]).digest, source(soundfonts=["One"], seed=1).digest}) == 3
