"""From files to pictures and beats: the rows of `bench all` about sound, and what their processes do."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from genrelab.commands.bench import fronts
from genrelab.commands.bench.lines import Line, Session, beside
from genrelab.commands.bench.peers import PEERS
from genrelab.commands.bench.timing import Candidate, compete

RATE, FILE_RATE = 22050, 44100  # Hz, of pictures and of compressed songs
CLIP_S = 30.0
N_SLICED = 8  # songs in a new store
SLICE = 128  # frames and bins
SOX_HZ = 50  # columns a second of its spectrogram
NOT_INSTALLED = "not installed: pip install 'genrelab[bench]' ({})"
Work = tuple[Callable[[], object], Callable[[], object], Callable[[], dict[str, Any]]]


def clips(folder: Path, n: int, suffix: str) -> list[str]:
    """Made songs of 30 s, stereo, 44.1 kHz, compressed; the same every time."""
    import soundfile

    made = []
    for seed in range(n):
        path = folder / f"clip{seed}{suffix}"
        if not path.is_file():
            left = fronts.music(CLIP_S, FILE_RATE, seed)
            stereo = np.stack([left, np.roll(left, 400)], 1)
            soundfile.write(path, stereo, FILE_RATE)
        made.append(str(path))
    return made


def decode(session: Session) -> list[Line]:
    """Compressed song to 22.05 kHz mono beside librosa; side by side beside one at a time."""
    found = []
    for suffix, goal in ((".mp3", 1.5), (".ogg", 2.0)):
        files = clips(session.folder, 2, suffix)
        ours, peer = (
            Candidate(by, f"{__name__}:decoder", {"files": files, "by": by}) for by in ("genrelab", "librosa")
        )
        compete([ours, peer], session.repeats, session.progress(f"decoding {suffix}"))
        found.append(
            beside(f"compressed song to 22.05 kHz mono ({suffix[1:]})", ours, peer, goal, _speed(ours, 2 * CLIP_S))
        )
    files = clips(session.folder, 8, ".mp3")
    args = {"files": files, "words": []}
    two, one = (
        Candidate(name, f"{__name__}:hearing", args | {"at_once": n})
        for name, n in (("as the store does", 0), ("one at a time", 1))
    )
    compete([two, one], session.repeats, session.progress("hearing side by side"))
    return [*found, beside(f"songs heard side by side on {os.cpu_count()} cores", two, one, 1.8)]


def pictures(session: Session, front: str, goals: dict[str, float], what: str) -> list[Line]:
    """A front-end beside its peers."""
    from genrelab import compose

    path = session.folder / "clip.npz"
    if not path.is_file():
        np.savez(path, fronts.music(CLIP_S, RATE, 0))
    config = compose.composed([f"front={front}"])["front"]
    own = {"config": config, "front": front, "clips": str(path)}
    made = [Candidate("genrelab", fronts.MAKE, own | {"which": None, "out": str(session.folder / f"{front}.npy")})]
    for i, peer in enumerate(PEERS[front]):
        if peer.name in goals:
            out = str(session.folder / f"{front}-{peer.name}.npy")
            missing = "" if find_spec(peer.package) else NOT_INSTALLED.format(peer.package)
            made.append(Candidate(peer.name, fronts.MAKE, own | {"which": i, "out": out}, missing=missing))
    compete(made, session.repeats, session.progress(front))
    return [beside(what, made[0], peer, goals[peer.name], _speed(made[0], CLIP_S)) for peer in made[1:]]


def mel(session: Session) -> list[Line]:
    return pictures(session, "mel", {"torchaudio": 2, "librosa": 2, "nnAudio": 15}, "mel, 128 bins")


def cwt(session: Session) -> list[Line]:
    return pictures(session, "cwt", {"pywt": 50, "fcwt": 15}, "CWT, 128 scales")


def slices(session: Session) -> list[Line]:
    """MP3 to stored slices on one core, beside librosa and the original's way by sox and PNG."""
    files = clips(session.folder, N_SLICED, ".mp3")
    goals = {"librosa": 1.7, "sox and PNG": 7.5}
    made = [Candidate(by, f"{__name__}:slicer", {"files": files, "by": by}) for by in ("genrelab", *goals)]
    if not shutil.which("sox"):
        made[2].missing = "not installed: apt-get install sox libsox-fmt-mp3"
    compete(made, session.repeats, session.progress("MP3 to slices"))
    what = "MP3 to stored mel slices, one core"
    return [beside(what, made[0], peer, goals[peer.name], _speed(made[0], N_SLICED * CLIP_S)) for peer in made[1:]]


def beats(session: Session) -> list[Line]:
    """The beats of a song beside librosa's, and how far they are the same."""
    path = session.folder / "beats.npz"
    np.savez(path, *[fronts.music(CLIP_S, RATE, seed) for seed in range(2)])
    ours, peer = (
        Candidate(name, f"{__name__}:beater", {"clips": str(path), "by": name}) for name in ("genrelab", "librosa.beat")
    )
    compete([ours, peer], session.repeats, session.progress("beats"))
    note = ""
    if ours.ready and peer.ready:
        from genrelab.evaluate.beats import f_measure

        same = f_measure(np.array(ours.ready.said["beats"]), np.array(peer.ready.said["beats"]), 0.07)
        note = f"the same beats within 70 ms: F {same:.2f}"
    return [beside("beats for bar windows", ours, peer, 1 / 0.6, note)]


ROWS = {"decode": decode, "mel": mel, "cwt": cwt, "slices": slices, "beats": beats}


def _speed(c: Candidate, seconds: float) -> str:
    from statistics import median

    return f"genrelab {seconds / median(c.taken_s):,.0f} times real time" if c.taken_s else ""


def decoder(files: list[str], by: str) -> Work:
    if by == "librosa":
        import librosa

        def one(file: str) -> object:
            return librosa.load(file, sr=RATE, mono=True)

    else:
        from genrelab.audio.decode import load

        def one(file: str) -> object:
            return load(Path(file), RATE)

    return lambda: one(files[0]), lambda: [one(f) for f in files], dict


def hearing(files: list[str], words: list[str], at_once: int) -> Work:
    """Decodes and draws; at_once: 0 as the store does."""
    from genrelab import compose, store
    from genrelab.types import Track

    config = compose.composed(words)
    front = compose.instantiate(config["front"])
    tracks = [Track(f, Path(f), ("a",)) for f in files]

    def one(i: int) -> object:
        return store._hear(tracks[i], front, RATE, None, None)

    def work() -> object:
        return [one(i) for i in range(len(files))] if at_once else list(store.each(range(len(files)), one))

    return lambda: one(0), work, dict


def slicer(files: list[str], by: str) -> Work:
    """Slices (N, 128, 128) of every file, on disk; on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    way = {"genrelab": _ours, "librosa": _librosa, "sox and PNG": _sox}[by](files)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            way(files, Path(folder))

    def rehearse() -> None:
        with tempfile.TemporaryDirectory() as folder:
            way(files[:1], Path(folder))

    return rehearse, work, dict


def _ours(files: list[str]) -> Callable[[list[str], Path], object]:
    from genrelab import compose, store
    from genrelab.types import Track

    del files
    config = compose.composed([])
    front = compose.instantiate(config["front"])

    def way(own: list[str], folder: Path) -> object:
        tracks = [Track(f, Path(f), ("a",)) for f in own]
        options: Any = {"sample_rate": RATE, "min_s": 2.56, "store": folder, "progress": lambda *_: None}
        return store.pictures(tracks, front, config["front"], **options)

    return way


def _librosa(files: list[str]) -> Callable[[list[str], Path], object]:
    import librosa

    del files

    def way(own: list[str], folder: Path) -> None:
        for i, file in enumerate(own):
            wave, _ = librosa.load(file, sr=RATE, mono=True)
            power = librosa.feature.melspectrogram(y=wave, sr=RATE, n_fft=2048, hop_length=RATE // SOX_HZ, n_mels=SLICE)
            picture = librosa.power_to_db(power)
            n = picture.shape[1] // SLICE
            cut = np.stack(np.split(picture[:, : n * SLICE], n, axis=1)).astype(np.float16)
            np.save(folder / f"{i}.npy", cut)

    return way


def _sox(files: list[str]) -> Callable[[list[str], Path], object]:
    """As the original did: a mono MP3, a grey spectrogram as PNG, PNGs cut from it, read back."""
    from PIL import Image

    del files

    def way(own: list[str], folder: Path) -> None:
        for i, file in enumerate(own):
            mono, picture = folder / f"{i}.mp3", folder / f"{i}.png"
            subprocess.run(["sox", file, str(mono), "remix", "1,2"], check=True, capture_output=True)
            drawing = ["spectrogram", "-Y", "200", "-X", str(SOX_HZ), "-m", "-r", "-o", str(picture)]
            subprocess.run(["sox", str(mono), "-n", *drawing], check=True, capture_output=True)
            with Image.open(picture) as whole:
                for n in range(whole.width // SLICE):
                    whole.crop((n * SLICE, 1, (n + 1) * SLICE, 1 + SLICE)).save(folder / f"{i}-{n}.png")
        for path in sorted(folder.glob("*-*.png")):
            with Image.open(path) as slice_:
                np.asarray(slice_.convert("L"), np.float32)

    return way


def beater(clips: str, by: str) -> Work:
    stored = np.load(clips)
    waves = [stored[name] for name in stored.files]
    if by == "genrelab":
        from genrelab.audio.beats import estimate

        def one(wave: np.ndarray) -> list[float]:
            return [float(t) for t in estimate(wave, RATE).times_s]

    else:
        import librosa

        def one(wave: np.ndarray) -> list[float]:
            return [float(t) for t in librosa.beat.beat_track(y=wave, sr=RATE, units="time")[1]]

    return lambda: one(waves[0]), lambda: [one(w) for w in waves], lambda: {"beats": one(waves[0])}
