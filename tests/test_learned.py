"""A learned front-end hears stored waves inside the model; its slices are cuts of the song's picture all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from genrelab import store
from genrelab.audio.pcm import FULL_SCALE, samples
from genrelab.data.module import SongSlices
from genrelab.data.split import Split
from genrelab.model import SongClassifier
from genrelab.slice.base import cut
from genrelab.types import Beats, Labels, Track
from tests.conftest import TINY, Said, Songs, client, runs_of
from tests.front.contract import noise
from tests.parts import SAMPLE_RATE, config, part

Call = Callable[..., Said]
BEATS = Beats(np.arange(0.13, 9.5, 0.437), np.arange(22) % 4 + 1, "annotated", 1.0)


@pytest.fixture(params=["raw", "leaf"])
def front(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(front: str, slicer: str) -> SongClassifier:
    torch.manual_seed(0)
    parts = part(f"front/{front}"), part(f"slice/{slicer}")
    model = SongClassifier(*parts, part("norm/none"), part("net/cnn"), part("agg/mean"), ("a", "b"))
    with torch.no_grad():
        model.train()(noise(2, model.slice_shape[0]), torch.tensor([1, 1]))
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("slicer", ["fixed", "bars"])
def test_slices_are_cuts_of_the_song(front: str, slicer: str) -> None:
    model, wave = made(front, slicer), noise(1, round(9.7 * SAMPLE_RATE), seed=3)[0]
    x, places, spans = model.slices(wave, SAMPLE_RATE, BEATS)
    assert (places is None) == (slicer == "fixed")
    assert len(spans) == {"fixed": 3, "bars": 5}[slicer]
    heard = torch.from_numpy(samples(wave.numpy()).astype(np.float32)) / FULL_SCALE
    whole = model.front(heard[None])[0]
    expected = cut(whole, spans, model.front.hop_s, model.slicer.n_frames)
    assert torch.allclose(model.picture(x, places), expected, atol=2e-4 * float(expected.std()) + 1e-4)


@torch.no_grad()
@pytest.mark.parametrize("slicer", ["fixed", "bars"])
def test_training_reads_what_tag_hears(tmp_path: Path, slicer: str) -> None:
    model, tracks = made("raw", slicer), []
    for k in range(2):
        soundfile.write(tmp_path / f"{k}.wav", noise(1, (8 + k) * SAMPLE_RATE, seed=k)[0].numpy(), SAMPLE_RATE, "FLOAT")
        tracks.append(Track(str(k), tmp_path / f"{k}.wav", ("a",)))
    options = {"sample_rate": SAMPLE_RATE, "min_s": 2.56, "store": tmp_path, "progress": lambda *_: None}
    _, waves, _ = store.pictures(tracks, model.front, config("front/raw"), **options)
    assert waves.rows.dtype == np.int16
    spans = [model.slicer.spans(float(d), BEATS) for d in waves.duration_s]
    split = Split("song", ("0", "1"), ("val", "val"), ("0", "1"), 0, ())
    labels = Labels(("a",), np.zeros(2, np.int64), np.ones((2, 1), np.float32))
    data = SongSlices(waves, spans, labels, split, "val", model.slicer, model.front, 0)
    batch = data.__getitems__([0, 1])
    read = model.picture(batch["x"], batch["places"])
    told = [model.slices(waves[i][0], SAMPLE_RATE, BEATS) for i in range(2)]
    assert torch.allclose(read, torch.cat([model.picture(x, p) for x, p, _ in told]), atol=1e-5)


def test_a_level_above_full_scale_is_kept() -> None:
    wave = np.array([0.0, 0.5, -1.0, 1.4, -1.9, 3.0], np.float32)
    assert np.allclose(samples(wave) / FULL_SCALE, [0, 0.5, -1, 1.4, -1.9, 2], atol=1e-4)


def test_runs_share_the_stored_waves_and_draw_their_filters(tmp_path: Path, songs: Songs, call: Call) -> None:
    where = f"store={tmp_path / 'store'}"
    assert call("front=raw", "front.n_bins=16", "agg=mean", *songs.words, *TINY, where).code == 0
    (shelf,) = (tmp_path / "store" / "cache" / "pictures").iterdir()
    size = (shelf / "samples.i16").stat().st_size
    assert shelf.name.startswith("wave-")
    assert call("front=raw", "front.n_bins=24", "agg=vote", *songs.words, *TINY, where).code == 0
    assert (shelf / "samples.i16").stat().st_size == size
    folders = [Path(r.info.artifact_uri.removeprefix("file://")) for r in runs_of(tmp_path / "store")]
    assert all((f / "pictures" / "filters.png").stat().st_size > 10_000 for f in folders)
    told = call("tag", songs.folder / "low" / "0-0.wav", "--json", where)
    assert told.code == 0, told.err
    assert '"genres"' in told.out


def test_bars_of_annotated_songs_and_fixed_windows_of_the_others(tmp_path: Path, songs: Songs, call: Call) -> None:
    import pandas as pd

    rows = songs.manifest.read_text().splitlines()
    grid = tmp_path / "beats.csv"
    grid.write_text("time,beat_in_bar\n" + "\n".join(f"{0.3 + 0.4 * k:.3f},{1 + k % 3}" for k in range(13)))
    own = [rows[0] + ",beats"]
    for n, row in enumerate(rows[1:]):
        path, rest = row.split(",", 1)
        own.append(f"{songs.folder / path},{rest},{grid if n % 2 else ''}")
    (tmp_path / "songs.csv").write_text("\n".join(own))
    words = ["front=bars", "data=manifest", f"data.path={tmp_path / 'songs.csv'}", "data.beats=annotated", *TINY]
    said = call(*words, f"store={tmp_path / 'store'}")
    assert said.code == 0, said.err
    half = songs.n // 2
    assert f"slice=bars: {half} of {songs.n} songs cut at their beats, {half} in fixed windows" in " ".join(
        said.out.split()
    )
    (run,) = runs_of(tmp_path / "store")
    assert run.info.run_name == "bars-gru-artist-s0"
    assert (run.data.tags["front"], run.data.tags["slice"]) == ("bars", "bars")
    assert client(tmp_path / "store").get_run(run.info.run_id).data.metrics["songs/off_beat"] == half
    cuts = pd.read_parquet(Path(run.info.artifact_uri.removeprefix("file://")) / "slices.parquet")
    lengths = (cuts["end_s"] - cuts["start_s"]).round(3)
    assert set(lengths) == {1.2, 2.56}
    assert set(cuts["start_s"][lengths == 1.2].round(3)) == {0.3, 1.5, 2.7, 3.9}


def test_a_kind_of_beats_that_is_none(songs: Songs, call: Call, tmp_path: Path) -> None:
    said = call(*songs.words, "data.beats=right", f"store={tmp_path}")
    assert said.code == 2
    assert "data.beats=right: expected one of auto, annotated" in said.err


def test_a_learned_front_end_begins_anew_in_every_fold(songs: Songs, tmp_path: Path) -> None:
    """From the seed, whatever was drawn or learned before: two folds share nothing, and a run can be repeated."""
    from genrelab import compose

    config = compose.composed([*songs.words, "front=raw", f"store={tmp_path}"])
    torch.manual_seed(5)
    front = compose.instantiate(config["front"])
    one = compose.build(config, ("a", "b"), False, front)
    with torch.no_grad():
        one.front.filter.weight.add_(1)  # what training does
    torch.manual_seed(6)
    two = compose.build(config, ("a", "b"), False, one.front)
    three = compose.build(config, ("a", "b"), False)
    assert two.front is not one.front
    assert torch.equal(two.front.filter.weight, three.front.filter.weight)
    other = compose.build(config | {"seed": 1}, ("a", "b"), False)
    assert not torch.equal(two.front.filter.weight, other.front.filter.weight)
