"""Pictures on one time axis that can be heard: a player with a playhead, shared by the pages that need one.

The frame is `report.html`; `bar`, `sheet` and `data` go into its body in this order, STYLE and SCRIPT beside its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from genrelab.report import look
from genrelab.report.html import Html, json_in_script, uri

if TYPE_CHECKING:
    from numpy.typing import NDArray

WAVE_COLUMNS = 3000
N_STOPS = 9  # of the colour scale that a caption shows

STYLE = """
:root { --wave:#5d6b7a; --gutter:56px; }
@media (prefers-color-scheme: dark) { :root { --wave:#8796a5; } }
.bar { position:sticky; top:0; z-index:5; background:var(--paper); border-bottom:1px solid var(--line); margin-top:12px;
  display:flex; flex-wrap:wrap; align-items:center; gap:6px 18px; padding:9px 0; }
.bar span { white-space:nowrap; }
.bar button:disabled { opacity:.4; cursor:default; }
#play { min-width:92px; background:var(--ink); color:var(--paper); border-color:var(--ink); }
.group { display:flex; flex-wrap:wrap; align-items:center; gap:6px; }
.group button { font-size:13px; }
#readout { flex:1 1 280px; text-align:right; color:var(--quiet); font-size:13.5px; min-height:1.5em; }
.score { overflow-x:auto; overflow-y:hidden; padding-top:14px; scrollbar-width:thin; }
.view { container-type:inline-size; width:100%; }
.sheet { position:relative; width:calc(var(--gutter) + (100cqw - var(--gutter)) * var(--zoom,1)); }
.row { display:flex; }
.axis { position:sticky; left:0; z-index:2; flex:none; width:var(--gutter); background:var(--paper); font-size:11.5px;
  color:var(--quiet); }
.axis i { position:absolute; right:9px; transform:translateY(50%); font-style:normal; line-height:1;
  white-space:nowrap; }
.axis i::after { content:""; position:absolute; right:-9px; top:50%; width:5px; border-top:1px solid var(--quiet); }
.time { position:relative; flex:1; min-width:0; cursor:crosshair; }
.time svg, .time img { display:block; position:absolute; top:0; height:100%; }
.time svg { left:0; width:100%; }
.wave { height:58px; }
.picture { height:clamp(130px,17vw,190px); overflow:hidden; background:#000004; }
.time::before, .time::after { content:""; position:absolute; z-index:1; top:0; bottom:0; pointer-events:none; }
.time::before { left:calc(var(--at,-1) * 100%); border-left:1px dotted var(--ink); display:var(--pointed,none); }
.time::after { left:calc(var(--now,0) * 100%); margin-left:-.75px; width:1.5px; background:var(--ink); }
.picture::before { border-color:#fff; }
.picture::after { background:#fff; box-shadow:0 0 0 .5px rgba(0,0,0,.65); }
.score figure { margin:0; }
.score figcaption { position:sticky; left:0; width:100cqw; display:flex; flex-wrap:wrap; align-items:baseline;
  gap:0 14px; margin:0; padding:19px 0 6px; font-size:13px; font-weight:400; color:var(--quiet); }
.score h2, .score h3 { display:block; font-size:15.5px; line-height:1.3; font-weight:650; margin:0; color:var(--ink); }
.score figcaption p { margin:0; flex:1 1 0; min-width:min(100%,300px); max-width:none; }
.score figcaption em { font-style:normal; color:var(--mark); }
.score figcaption .scale { font-size:11.5px; white-space:nowrap; }
.scale b { display:inline-block; width:84px; height:8px; border-radius:1px; margin:0 6px; }
.ticks { height:26px; font-size:11.5px; color:var(--quiet); cursor:default; }
.ticks::before, .ticks::after { display:none; }
.ticks i { position:absolute; top:7px; font-style:normal; transform:translateX(-50%); white-space:nowrap; }
.ticks i::before { content:""; position:absolute; left:50%; top:-7px; height:5px; border-left:1px solid var(--quiet); }
.ticks i:first-child[data-edge] { transform:none; } .ticks i:first-child[data-edge]::before { left:0; }
kbd { font:inherit; border:1px solid var(--line); border-radius:4px; padding:0 5px; }
@media (max-width:640px) { :root { --gutter:40px; } .axis i { right:7px; } .axis i::after { right:-7px; }
  #readout { flex-basis:100%; text-align:left; font-size:12.5px; } .bar { gap:6px 10px; }
  .group button { padding:2px 9px; } .wave { height:46px; } .keys { display:none; } }
@media print { .bar, .hint { display:none; } .time::after { display:none; } .picture { print-color-adjust:exact;
  -webkit-print-color-adjust:exact; } .score { overflow:visible; } }
"""

SCRIPT = """
const { start, duration, palette, panels } = JSON.parse(document.getElementById("data").textContent);
const colours = palette.match(/.{6}/g);
const $ = (css) => document.querySelector(css), all = (css) => [...document.querySelectorAll(css)];
const sounds = all(".score ~ audio"), sheet = $(".sheet"), score = $(".score"), play = $("#play");
const readout = $("#readout");
let audio = sounds[0];
const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const clock = (s, digits = 1) => {
  const unit = 10 ** digits, n = Math.round(s * unit), rest = ((n / unit) % 60).toFixed(digits);
  return Math.floor(n / unit / 60) + ":" + rest.padStart(digits ? 3 + digits : 2, "0");
};

for (const sound of all("audio")) {  // a Blob can be sought in everywhere, a data URI cannot
  const [kind, coded] = sound.src.slice(5).split(";base64,");
  sound.src = URL.createObjectURL(new Blob([Uint8Array.from(atob(coded), (c) => c.charCodeAt(0))], { type: kind }));
}

const gutter = () => $(".axis").offsetWidth;
const width = () => $(".time").clientWidth;
function show() {
  const now = clamp(audio.currentTime, 0, duration);
  sheet.style.setProperty("--now", now / duration);
  $("#now").textContent = clock(start + now);
  sheet.dispatchEvent(new CustomEvent("now", { detail: start + now }));
  const x = (now / duration) * width() - score.scrollLeft, room = score.clientWidth - gutter();
  if (!audio.paused && (x < 0 || x > room * 0.9)) score.scrollLeft += x - room * 0.1;
}
function follow() { show(); if (!audio.paused) requestAnimationFrame(follow); }
function seek(second) { audio.currentTime = clamp(second, 0, duration); show(); }
function toggle() {
  if (!audio.paused) return audio.pause();
  if (audio.currentTime >= duration - 0.01) seek(0);
  audio.play().catch((error) => { readout.textContent = "This browser does not play it: " + error.message; });
}
for (const sound of sounds) {
  for (const event of ["play", "pause", "ended"]) sound.addEventListener(event, () => {
    play.textContent = audio.paused ? "Play" : "Pause"; follow();
  });
  sound.addEventListener("seeked", show);
}
function listen(sound) {  // goes on at the same place
  if (sound === audio) return;
  const playing = !audio.paused, at = audio.currentTime;
  audio.pause(); audio = sound; audio.currentTime = at;
  if (playing) toggle(); else show();
}
play.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.target.closest("audio") ? 0 : { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) seek(audio.currentTime + step);
  else if (event.key !== " " || event.target.closest("button, summary, audio")) return;
  else toggle();
  event.preventDefault();
});

// what lies under the pointer; a value is told by its colour, since every value has its own
const seen = new Map();
function pixel(panel, column, bin) {
  if (!seen.has(panel)) {
    const image = $("#" + panel.id + " img"), canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const brush = canvas.getContext("2d", { willReadFrequently: true });
    brush.drawImage(image, 0, 0); seen.set(panel, brush);
  }
  const row = (panel.bins - 1 - bin) * panel.enlarged + Math.floor(panel.enlarged / 2);
  const rgb = [...seen.get(panel).getImageData(column, row, 1, 1).data.slice(0, 3)];
  return colours.indexOf(rgb.map((c) => c.toString(16).padStart(2, "0")).join(""));
}
function note(hz) {
  const n = Math.round(12 * Math.log2(hz / 440)) + 69;
  return NOTES[((n % 12) + 12) % 12] + (Math.floor(n / 12) - 1);
}
function point(event) {
  const time = event.target.closest(".time:not(.ticks)");
  sheet.style.setProperty("--pointed", time ? "block" : "none");
  if (!time) { readout.textContent = ""; return null; }
  const box = time.getBoundingClientRect(), part = clamp((event.clientX - box.left) / box.width, 0, 1);
  sheet.style.setProperty("--at", part);
  const second = part * duration, said = [(start + second).toFixed(2) + " s"];
  const panel = panels.find((p) => p.id === time.parentElement.id);
  if (panel) {
    const bin = clamp(Math.floor((1 - (event.clientY - box.top) / box.height) * panel.bins), 0, panel.bins - 1);
    const column = clamp(Math.floor(second / panel.hop + 0.5 / panel.pooled), 0, panel.columns - 1);
    if (panel.hz) said.push(panel.hz[bin].toFixed(panel.hz[bin] < 100 ? 1 : 0) + " Hz" +
      (panel.hz[bin] > 16 ? " (" + note(panel.hz[bin]) + ")" : ""));
    said.push(panel.names.length ? panel.names[bin] : "bin " + bin);
    const level = pixel(panel, column, bin);
    if (level >= 0) {
      const value = panel.low + (level / 255) * (panel.high - panel.low), edge = { 0: "≤ ", 255: "≥ " }[level] || "";
      said.push(edge + Number(value.toPrecision(3)).toString().replace("-", "−") + " " + panel.unit);
    }
  }
  readout.textContent = said.join("  ·  ");
  return second;
}
sheet.addEventListener("pointermove", point);
sheet.addEventListener("pointerleave", () => sheet.style.setProperty("--pointed", "none"));
sheet.addEventListener("click", (event) => { const second = point(event); if (second !== null) seek(second); });

let zoom = 1;
function ticks() {
  const per = width() / duration, end = start + duration;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((s) => s * per >= 58) || 1200;
  const digits = step < 1 ? 1 : 0, marks = [];
  for (let n = Math.ceil(start / step - 1e-6); n * step <= end + 1e-6; n++) {
    const mark = document.createElement("i"), second = n * step;
    mark.textContent = end <= 90 ? second.toFixed(digits) + " s" : clock(second, digits);
    mark.style.left = ((second - start) / duration) * 100 + "%";
    if ((end - second) * per > 12) marks.push(mark);
    if ((second - start) * per < 12) mark.dataset.edge = "";
  }
  for (const axis of all(".ticks")) axis.replaceChildren(...marks.map((mark) => mark.cloneNode(true)));
}
function enlarge(factor) {
  const room = score.clientWidth - gutter(), middle = (score.scrollLeft + room / 2) / width();
  zoom = clamp(zoom * factor, 1, Math.max(1, 2 ** Math.ceil(Math.log2(duration))));
  sheet.style.setProperty("--zoom", zoom);
  ticks(); score.scrollLeft = middle * width() - room / 2;
  $("#out").disabled = zoom === 1;
}
$("#in").addEventListener("click", () => enlarge(2));
$("#out").addEventListener("click", () => enlarge(0.5));
addEventListener("resize", ticks);
enlarge(1); show();
"""


def bar(end_s: float, tools: str = "") -> str:
    """What stays above the pictures: play, where it is, zoom, `tools` (markup), what lies under the pointer."""
    zoom = "".join(
        f'<button id="{name}" type="button" aria-label="Zoom {name}">{sign}</button>'
        for name, sign in (("out", "−"), ("in", "+"))
    )
    return (
        '<div class="bar"><button id="play" type="button">Play</button>'
        f'<span><span id="now">0:00.0</span> / {clock(end_s)}</span>'
        f'<span class="group" role="group" aria-label="Zoom">{zoom}</span>{tools}'
        '<span id="readout" aria-live="off"></span></div>'
    )


def sheet(rows: Iterable[str], sounds: Sequence[tuple[bytes, str]], label: str) -> str:
    """Rows above one another on one time axis, and what is heard: sounds as long as the axis, at first the first."""
    below = row('<div class="time ticks"></div>')
    heard = "".join(f'<audio preload="auto" src="{uri(*sound)}"></audio>' for sound in sounds)
    lines = "\n".join([*rows, below])
    return (
        f'<div class="score" tabindex="0" role="region" aria-label="{escape(label)}"><div class="view">'
        f'<div class="sheet">\n{lines}\n</div></div></div>{heard}'
    )


HINT = Html(
    '<p class="hint about">Click to seek. <span class="keys"><kbd>space</kbd> plays and pauses, <kbd>←</kbd> '
    "<kbd>→</kbd> go a second.</span> <noscript>The player needs JavaScript.</noscript></p>"
)


def data(start_s: float, duration_s: float, panels: Sequence[look.Panel], more: Mapping[str, Any] | None = None) -> str:
    """What the script knows; `more`: of a page that has a script of its own."""
    colours = bytes(look.palette().ravel()).hex()
    known = {"start": start_s, "duration": duration_s, "palette": colours} | dict(more or {})
    known["panels"] = [_about(n, p) for n, p in enumerate(panels)]
    return f'<script type="application/json" id="data">{json_in_script(known)}</script>'


def _about(n: int, p: look.Panel) -> dict[str, Any]:
    low, high = look.limits(p.values, p.unit)
    return {
        "id": f"panel{n}",
        "bins": len(p.values),
        "columns": look.levels(p).shape[1],
        "hop": _column_s(p),
        "pooled": look.pooled(p.values)[1],
        "enlarged": look.enlarged(p),
        "hz": None if p.bin_hz is None else [round(float(hz), 2) for hz in p.bin_hz],
        "names": list(p.bin_names),
        "low": low,
        "high": high,
        "unit": p.unit,
    }


def row(content: str, name: str = "", axis: str = "") -> str:
    """A row of a sheet: markup with class `time`, and what stands left of it."""
    at = f' id="{name}"' if name else ""
    return f'<div class="row"{at}><div class="axis">{axis}</div>{content}</div>'


def picture(panel: look.Panel, n: int, duration_s: float, over: str = "", told: str = "") -> str:
    """What a front-end drew, under its caption. over: markup that lies on it; told: more of the caption."""
    n_bins = len(panel.values)
    ticks, labels, _ = look.bin_ticks(panel)
    axis = "".join(
        f'<i style="bottom:{100 * (at + 0.5) / n_bins:.2f}%">{escape(label)}</i>'
        for at, label in zip(ticks, labels, strict=True)
    )
    image = np.repeat(look.levels(panel)[::-1], look.enlarged(panel), axis=0)
    low, high = look.limits(panel.values, panel.unit)
    stops = ",".join("#" + bytes(look.palette()[i]).hex() for i in np.linspace(0, 255, N_STOPS).astype(int))
    note = f" <em>{escape(panel.note)}</em>" if panel.note else ""
    name = escape(panel.name)
    shown = (
        f'<div class="time picture"><img alt="{name}, low frequencies below" style="{place(panel, duration_s)}" '
        f'src="{uri(look.png(image, look.palette()), "image/png")}">{over}</div>'
    )
    return (
        f'<figure><figcaption><h2>{name}</h2><p>{escape(panel.sentence)}{note}{told}</p><span class="scale">'
        f'{_number(low, high - low)}<b style="background:linear-gradient(90deg,{stops})"></b>'
        f"{_number(high, high - low)} {escape(panel.unit)}</span></figcaption>"
        f"{row(shown, f'panel{n}', axis)}</figure>"
    )


def place(panel: look.Panel, duration_s: float) -> str:
    """Where the image of a picture lies on the time axis, as a style."""
    begin_s, _ = look.extent_s(panel, 0.0)
    width_s = look.levels(panel).shape[1] * _column_s(panel)
    return f"left:{100 * begin_s / duration_s:.5f}%;width:{100 * width_s / duration_s:.5f}%"


def wave(samples: NDArray, duration_s: float) -> str:
    """(samples,) as a drawing."""
    low, high = look.envelope(samples, WAVE_COLUMNS)
    step = duration_s / len(low)
    upper = " ".join(f"{(i + 0.5) * step:.3f},{1 - y:.2f}" for i, y in enumerate(high))
    lower = " ".join(f"{(i + 0.5) * step:.3f},{1 - low[i]:.2f}" for i in range(len(low) - 1, -1, -1))
    return (
        f'<svg viewBox="0 0 {duration_s:.4f} 2" preserveAspectRatio="none" role="img" aria-label="wave">'
        f'<polygon fill="var(--wave)" points="{upper} {lower}"/></svg>'
    )


def clock(seconds: float) -> str:
    """184.25 -> "3:04.3"."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _column_s(panel: look.Panel) -> float:
    return panel.hop_s * look.pooled(panel.values)[1]


def _number(value: float, span: float) -> str:
    """As many digits as a hundredth of the span has."""
    digits = max(0, 1 - math.floor(math.log10(span)))
    return f"{value:.{digits}f}".replace("-", "−")
