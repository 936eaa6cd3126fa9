"""From a song's plan to its samples."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy import fft

from genrelab.audio import studio
from genrelab.data.synth import arrange, drums, instruments
from genrelab.data.synth.dials import SLICE_S, hush
from genrelab.data.synth.plan import SongSpec

LEVEL_DB = 1.8  # one standard deviation of a layer's loudness
BRIGHT_OCT = 0.4  # and of a filter's place
BLOCK = 128  # samples; the pace of a bus's gain


def render(song: SongSpec) -> np.ndarray:
    """The finished song, (song.n_samples,) float32, below the studio's ceiling."""
    if not song.halves:
        return _mastered(song, mix(song))
    # each half is mastered for itself, so that no sample knows which of them comes first
    played = {layers: _mastered(song.passage, _played(_with(layers, song.passage))) for layers in song.halves}
    wave = np.concatenate([played[layers] for layers in song.halves])
    return wave * hush(round(song.song_s / SLICE_S), song.sample_rate)


def _mastered(song: SongSpec, wave: np.ndarray) -> np.ndarray:
    rng = song.rng("master")
    return studio.master(wave, song.chain, float(rng.normal(0, 1.5)), int(rng.integers(1 << 16)), song.sample_rate)


def _with(layers: str, song: SongSpec) -> arrange.Score:
    """The song's score with these players, and no others, in every bar."""
    piece = arrange.score(song)
    return replace(piece, bars=tuple(replace(bar, layers=layers) for bar in piece.bars))


def mix(song: SongSpec) -> np.ndarray:
    """The song before any studio, (song.n_samples,) float32, at about -20 dB RMS a layer.

    A blend is the sum of both parents, all of their players in every bar; their energies are as their weights.
    """
    if song.partner is None:
        return _played(arrange.score(song))
    piece = _with("DBHL", song)
    wave, other = _played(piece), _played(replace(piece, song=song.partner))
    energy, others = float(np.sum(np.square(wave))), float(np.sum(np.square(other)))
    return wave + np.float32(np.sqrt((1 - song.weight) / song.weight * energy / max(others, 1e-9))) * other


def _played(piece: arrange.Score) -> np.ndarray:
    """A score as the genres that its song follows play it, (samples,) float32."""
    song = piece.song
    style, rng = song.style, song.rng("mix")
    beat, kicks_s = _drums(piece)
    buses = {
        "bass": _notes(piece, "bass"),
        "harmony": _notes(piece, "harmony"),
        "lead": _notes(piece, "lead"),
    }
    depth = _within(song.of("pump").pump, rng.random())
    if depth and len(kicks_s):
        duck = _duck(kicks_s, depth, song)
        for name in ("bass", "harmony"):
            buses[name] *= duck
    dry = beat
    for bus in buses.values():
        dry = dry + bus
    send = 0.25 * beat + buses["harmony"] + buses["lead"]
    space = song.of("space")
    wet = _within(space.space, 1 / (1 + np.exp(-1.7 * style.space)))
    room_s = 0.2 * round(_within(space.room_s, rng.random()) / 0.2)
    size = fft.next_fast_len(song.n_samples + int(room_s * song.sample_rate), real=True)
    echo = fft.irfft(fft.rfft(send, size) * _room(room_s, size, song.sample_rate), size)[: song.n_samples]
    return dry + np.float32(wet) * echo


def _within(span: tuple[float, float], u: float) -> float:
    return span[0] + (span[1] - span[0]) * float(u)


def _drums(piece: arrange.Score) -> tuple[np.ndarray, np.ndarray]:
    """The drums' bus (samples,), and the kicks' times in seconds."""
    song = piece.song
    element = song.of("drums").drums
    pattern, kit = song.part("drums").split("/")
    bus, kicks_s, style = np.zeros(song.n_samples, np.float32), [], song.style
    hits = arrange.hits(piece, pattern)
    if hits:
        drive = _within(element.drive, 1 / (1 + np.exp(-1.7 * style.drive)))
        tune, tone = np.exp2(0.12 * style.tune), np.exp2(0.25 * style.bright)
        at = int(song.rng("noise").integers(50000))
        sounds = drums.strike(kit, song.sample_rate, drive=drive, tune=float(tune), tone=float(tone), at=at)
        for drum, at_s, velocity in hits:
            _place(bus, sounds[drum], at_s, velocity, song.sample_rate)
        kicks_s = sorted(at_s for drum, at_s, _ in hits if drum == "kick")
        bus *= _gain(bus, element.level_db + LEVEL_DB * style.drums)
    return bus, np.array(kicks_s)


def _notes(piece: arrange.Score, name: str) -> np.ndarray:
    """The bus of a pitched element, (samples,)."""
    song = piece.song
    element = getattr(song.of(name), name)
    sound, rhythm = song.part(name).split("/")
    voice, bright_oct = instruments.VOICES[sound], BRIGHT_OCT * song.style.bright
    cents = 0.15 * song.style.tune  # of a semitone: nobody tunes alike
    bus, made = np.zeros(song.n_samples, np.float32), {}
    for note in getattr(arrange, name)(piece, rhythm):
        same = (note.midis, round(note.dur_s, 4), note.lfo_hz, note.colour)
        if same not in made:  # each different note is rendered once
            midis = [m + cents for m in note.midis]
            sweep = {"bright_oct": bright_oct, "lfo_hz": note.lfo_hz}
            made[same] = instruments.play(voice, midis, note.dur_s, song.sample_rate, colour=note.colour, **sweep)
        _place(bus, made[same], note.at_s, note.velocity, song.sample_rate)
    bus *= _gain(bus, element.level_db + LEVEL_DB * getattr(song.style, name))
    return np.tanh(2 * bus, out=bus) if sound in ("wobble", "acid", "hoover") else bus


def _place(bus: np.ndarray, sound: np.ndarray, at_s: float, gain: float, sample_rate: int) -> None:
    """Add a sound to a bus at a time, in place; what lies outside the song is cut."""
    at = round(at_s * sample_rate)
    first, last = max(0, -at), min(len(sound), len(bus) - at)
    if first < last:
        bus[at + first : at + last] += np.float32(gain) * sound[first:last]


def _gain(bus: np.ndarray, level_db: float) -> np.float32:
    """The gain that brings a bus to `level_db` over -20 dB RMS, measured where it plays."""
    power = np.square(bus[: len(bus) // 1024 * 1024]).reshape(-1, 1024).mean(1) if len(bus) >= 1024 else np.square(bus)
    loud = power[power > 0.03 * power.max()]
    return np.float32(10 ** ((level_db - 20) / 20) / np.sqrt(loud.mean())) if len(loud) else np.float32(0)


def _duck(kicks_s: np.ndarray, depth: float, song: SongSpec) -> np.ndarray:
    """Gain (samples,) that dips at each kick and comes back within a beat."""
    time_s = np.arange(-(-song.n_samples // BLOCK) + 1) * BLOCK / song.sample_rate
    last = np.searchsorted(kicks_s, time_s, side="right") - 1
    since = np.where(last >= 0, time_s - kicks_s[np.maximum(last, 0)], 9.0)
    gain = 1 - depth * np.exp(-since / (0.35 * 60 / song.tempo_bpm))
    return studio.glide(gain.astype(np.float32), BLOCK, song.n_samples)


@lru_cache(maxsize=32)
def _room(decay_s: float, size: int, sample_rate: int) -> np.ndarray:
    """Spectrum of a room's answer, (size // 2 + 1,): noise that decays, the highs faster."""
    n = max(16, int(decay_s * sample_rate))
    t = np.arange(n) / sample_rate
    answer = np.random.default_rng(round(decay_s * 10)).standard_normal(n) * 10 ** (-3 * t / decay_s) * (t > 0.012)
    spectrum = fft.rfft(answer / np.sqrt(np.sum(answer**2) + 1e-12), size)
    return (spectrum / (1 + fft.rfftfreq(size, 1 / sample_rate) / 4000)).astype(np.complex64)
