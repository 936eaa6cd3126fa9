"""A song as every front-end sees it, as a page: one HTML file that plays and needs no network."""

from __future__ import annotations

import base64
import json
import math
import re
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from genrelab.report import look

if TYPE_CHECKING:
    from numpy.typing import NDArray

WAVE_COLUMNS = 3000
N_STOPS = 9  # of the colour scale that a caption shows

STYLE = """
:root { color-scheme: light dark; --paper:#fcfbf9; --ink:#22282f; --quiet:#66707a; --line:#e3e1dc; --wave:#5d6b7a;
  --slice:#d47f14; --press:#efece6; --gutter:56px; }
@media (prefers-color-scheme: dark) { :root { --paper:#14171b; --ink:#e8eaed; --quiet:#98a2ad; --line:#2b3036;
  --wave:#8796a5; --slice:#e99a38; --press:#262b31; } }
* { box-sizing:border-box; }
html { -webkit-text-size-adjust:100%; }
body { margin:0; background:var(--paper); color:var(--ink); font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;
  font-variant-numeric:tabular-nums; }
header, footer, .bar > div, .score { max-width:1500px; margin:0 auto; padding-left:clamp(14px,3vw,44px);
  padding-right:clamp(14px,3vw,44px); }
header { padding-top:clamp(24px,5vw,56px); padding-bottom:18px; }
h1 { font:400 clamp(26px,4.2vw,44px)/1.15 "Iowan Old Style","Palatino Linotype",Palatino,Georgia,serif;
  margin:0 0 18px; letter-spacing:-.01em; overflow-wrap:anywhere; text-wrap:balance; }
dl { display:flex; flex-wrap:wrap; gap:10px 40px; margin:0; }
dt { font-size:12px; color:var(--quiet); }
dd { margin:0; overflow-wrap:anywhere; }
.bar { position:sticky; top:0; z-index:5; background:var(--paper); border-bottom:1px solid var(--line); }
.bar > div { display:flex; flex-wrap:wrap; align-items:center; gap:6px 18px; padding-top:9px; padding-bottom:9px; }
.bar span { white-space:nowrap; }
button { font:inherit; color:inherit; background:none; border:1px solid var(--line); border-radius:7px; min-height:34px;
  padding:2px 12px; cursor:pointer; }
button:hover { background:var(--press); }
button:focus-visible, .score:focus-visible { outline:2px solid var(--slice); outline-offset:2px; }
button:disabled { opacity:.4; cursor:default; }
#play { min-width:92px; background:var(--ink); color:var(--paper); border-color:var(--ink); }
.group { display:flex; gap:6px; }
.group button { font-size:13px; }
[aria-pressed]::before { content:""; display:inline-block; width:2px; height:12px; margin-right:8px;
  vertical-align:-1px;
  background:var(--mark); }
[data-lines=bars] { --mark:var(--ink); } [data-lines=beats] { --mark:var(--quiet); } [data-lines=slices] {
  --mark:var(--slice); }
[aria-pressed=false] { color:var(--quiet); text-decoration:line-through; }
#readout { margin-left:auto; color:var(--quiet); font-size:13.5px; min-height:1.5em; }
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
.wave { height:58px; } .lane { height:9px; margin-top:5px; }
.picture { height:clamp(130px,17vw,190px); overflow:hidden; background:#000004; }
.time::before, .time::after { content:""; position:absolute; z-index:1; top:0; bottom:0; pointer-events:none; }
.time::before { left:calc(var(--at,-1) * 100%); border-left:1px dotted var(--ink); display:var(--pointed,none); }
.time::after { left:calc(var(--now,0) * 100%); margin-left:-.75px; width:1.5px; background:var(--ink); }
.picture::before { border-color:#fff; }
.picture::after { background:#fff; box-shadow:0 0 0 .5px rgba(0,0,0,.65); }
.lines { pointer-events:none; fill:none; stroke:#fff; }
.lines .bars { stroke-opacity:.85; stroke-width:1.1; } .lines .beats { stroke-opacity:.34; stroke-width:.8; }
.lines .slices { stroke:#6fe0f0; stroke-opacity:.95; stroke-dasharray:3 4; stroke-width:1.1; }
.wave .lines { stroke:var(--ink); } .wave .slices { display:none; } .wave .lines .bars { stroke-opacity:.9; }
.no-bars .bars, .no-beats .beats, .no-slices .slices { display:none; }
figure { margin:0; }
figcaption { position:sticky; left:0; width:100cqw; display:flex; flex-wrap:wrap; align-items:baseline; gap:0 14px;
  padding:19px 0 6px; font-size:13px; color:var(--quiet); }
h2 { font-size:15.5px; line-height:1.3; font-weight:650; margin:0; color:var(--ink); }
figcaption p { margin:0; flex:1 1 0; min-width:min(100%,300px); } figcaption em { font-style:normal;
  color:var(--slice); }
.scale { white-space:nowrap; font-size:11.5px; }
.scale b { display:inline-block; width:84px; height:8px; border-radius:1px; margin:0 6px; }
.ticks { height:26px; font-size:11.5px; color:var(--quiet); cursor:default; }
.ticks::before, .ticks::after { display:none; }
.ticks i { position:absolute; top:7px; font-style:normal; transform:translateX(-50%); white-space:nowrap; }
.ticks i::before { content:""; position:absolute; left:50%; top:-7px; height:5px; border-left:1px solid var(--quiet); }
.ticks i:first-child[data-edge] { transform:none; } .ticks i:first-child[data-edge]::before { left:0; }
footer { padding-top:22px; padding-bottom:44px; font-size:13px; color:var(--quiet); }
kbd { font:inherit; border:1px solid var(--line); border-radius:4px; padding:0 5px; }
@media (max-width:640px) { :root { --gutter:40px; } .axis i { right:7px; } .axis i::after { right:-7px; }
  dl { gap:8px 26px; } #readout { margin:0; width:100%; font-size:12.5px; } .bar > div { gap:6px 10px; }
  .group button { padding:2px 9px; } .wave { height:46px; } footer .keys { display:none; } }
@media print { .bar, footer { display:none; } .time::after { display:none; } }
"""

SCRIPT = """
const { start, duration, palette, panels } = JSON.parse(document.getElementById("data").textContent);
const colours = palette.match(/.{6}/g);
const $ = (css) => document.querySelector(css), all = (css) => [...document.querySelectorAll(css)];
const audio = $("audio"), sheet = $(".sheet"), score = $(".score"), play = $("#play"), readout = $("#readout");
const NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const clock = (s, digits = 1) => {
  const unit = 10 ** digits, n = Math.round(s * unit), rest = ((n / unit) % 60).toFixed(digits);
  return Math.floor(n / unit / 60) + ":" + rest.padStart(digits ? 3 + digits : 2, "0");
};

// a Blob can be sought in everywhere, a data URI cannot
const [kind, coded] = audio.src.slice(5).split(";base64,");
audio.src = URL.createObjectURL(new Blob([Uint8Array.from(atob(coded), (c) => c.charCodeAt(0))], { type: kind }));

const gutter = () => $(".axis").offsetWidth;
const width = () => $(".picture").clientWidth;
function show() {
  const now = clamp(audio.currentTime, 0, duration);
  sheet.style.setProperty("--now", now / duration);
  $("#now").textContent = clock(start + now);
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
for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => {
  play.textContent = audio.paused ? "Play" : "Pause"; follow();
});
audio.addEventListener("seeked", show);
play.addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) seek(audio.currentTime + step);
  else if (event.key !== " " || event.target.closest("button")) return;
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

for (const button of all("[data-lines]")) button.addEventListener("click", () => {
  const hidden = sheet.classList.toggle("no-" + button.dataset.lines);
  button.setAttribute("aria-pressed", String(!hidden));
});

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

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; media-src data: blob:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<title>@@TITLE@@</title>
<style>@@STYLE@@</style>
</head>
<body>
<header><h1>@@TITLE@@</h1><dl>@@FACTS@@</dl></header>
<div class="bar"><div>
<button id="play" type="button">Play</button><span><span id="now">0:00.0</span> / @@END@@</span>
<span class="group" role="group" aria-label="Lines">@@TOGGLES@@</span>
<span class="group" role="group" aria-label="Zoom"><button id="out" type="button" aria-label="Zoom out">−</button>\
<button id="in" type="button" aria-label="Zoom in">+</button></span>
<span id="readout" aria-live="off"></span>
</div></div>
<audio preload="auto" src="@@AUDIO@@"></audio>
<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>@@PATHS@@</defs></svg>
<main class="score" tabindex="0" aria-label="Pictures on one time axis"><div class="view"><div class="sheet">
@@ROWS@@
</div></div></main>
<footer>Click to seek. <span class="keys"><kbd>space</kbd> plays and pauses,
<kbd>←</kbd> <kbd>→</kbd> go a second.</span>
<noscript>The player needs JavaScript.</noscript></footer>
<script type="application/json" id="data">@@DATA@@</script>
<script>@@SCRIPT@@</script>
</body>
</html>
"""


def html(sheet: look.Sheet, audio: bytes, mime: str) -> str:
    """The page of a sheet; audio: the encoded excerpt, mime: its kind. Whatever a name holds is text on the page."""
    lines = dict(zip(("bars", "beats", "slices"), look.grid_lines(sheet), strict=True))
    shown = [name for name, seconds in lines.items() if len(seconds)]
    uses = "".join(f'<use class="{name}" href="#{name}"/>' for name in reversed(shown))
    overlay = f'<svg class="lines" viewBox="{_box(sheet)}" preserveAspectRatio="none" aria-hidden="true">{uses}</svg>'
    rows = [_row('<div class="time wave">' + _wave(sheet) + overlay + "</div>")]
    if len(sheet.spans):
        rows.append(_row(f'<div class="time lane slices">{_lane(sheet)}</div>'))
    rows += [_figure(sheet, panel, n, overlay) for n, panel in enumerate(sheet.panels)]
    rows.append(_row('<div class="time ticks"></div>'))
    toggles = "".join(f'<button type="button" data-lines="{n}" aria-pressed="true">{n}</button>' for n in shown)
    return _filled(
        PAGE,
        TITLE=escape(sheet.title),
        STYLE=STYLE,
        FACTS="".join(f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for what, value in sheet.facts),
        END=clock(sheet.end_s),
        TOGGLES=toggles,
        AUDIO=_uri(audio, mime),
        PATHS="".join(_path(name, lines[name] - sheet.start_s) for name in shown),
        ROWS="\n".join(rows),
        DATA=_json(sheet),
        SCRIPT=SCRIPT,
    )


def clock(seconds: float) -> str:
    """184.25 -> "3:04.3"."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _figure(sheet: look.Sheet, panel: look.Panel, n: int, overlay: str) -> str:
    n_bins, columns = look.levels(panel).shape
    ticks, labels, _ = look.bin_ticks(panel)
    axis = "".join(
        f'<i style="bottom:{100 * (at + 0.5) / n_bins:.2f}%">{escape(label)}</i>'
        for at, label in zip(ticks, labels, strict=True)
    )
    image = np.repeat(look.levels(panel)[::-1], look.enlarged(panel), axis=0)
    begin_s, _ = look.extent_s(panel, 0.0)
    place = 100 * begin_s / sheet.duration_s, 100 * columns * _column_s(panel) / sheet.duration_s
    low, high = look.limits(panel.values, panel.unit)
    stops = ",".join("#" + bytes(look.palette()[i]).hex() for i in np.linspace(0, 255, N_STOPS).astype(int))
    note = f" <em>{escape(panel.note)}</em>" if panel.note else ""
    name = escape(panel.name)
    return (
        f'<figure><figcaption><h2>{name}</h2><p>{escape(panel.sentence)}{note}</p><span class="scale">'
        f'{_number(low, high - low)}<b style="background:linear-gradient(90deg,{stops})"></b>'
        f"{_number(high, high - low)} {escape(panel.unit)}"
        f'</span></figcaption><div class="row" id="panel{n}"><div class="axis">{axis}</div><div class="time picture">'
        f'<img alt="{name}, low frequencies below" src="{_uri(look.png(image, look.palette()), "image/png")}" '
        f'style="left:{place[0]:.5f}%;width:{place[1]:.5f}%">{overlay}</div></div></figure>'
    )


def _row(content: str) -> str:
    return f'<div class="row"><div class="axis"></div>{content}</div>'


def _wave(sheet: look.Sheet) -> str:
    low, high = look.envelope(sheet.wave, WAVE_COLUMNS)
    step = sheet.duration_s / len(low)
    upper = " ".join(f"{(i + 0.5) * step:.3f},{1 - y:.2f}" for i, y in enumerate(high))
    lower = " ".join(f"{(i + 0.5) * step:.3f},{1 - low[i]:.2f}" for i in range(len(low) - 1, -1, -1))
    return (
        f'<svg viewBox="0 0 {sheet.duration_s:.4f} 2" preserveAspectRatio="none" role="img" aria-label="wave">'
        f'<polygon fill="var(--wave)" points="{upper} {lower}"/></svg>'
    )


def _lane(sheet: look.Sheet) -> str:
    """The slices as bars; those which overlap below one another."""
    rows, n_rows = look.lanes(sheet.spans)
    gap_s = 0.0016 * sheet.duration_s
    rects = "".join(
        f'<rect x="{begin - sheet.start_s + gap_s / 2:.4f}" y="{(row + 0.1) / n_rows:.4f}" '
        f'width="{max(end - begin - gap_s, gap_s):.4f}" height="{0.8 / n_rows:.4f}" opacity="{0.6 + 0.4 * (i % 2)}"/>'
        for i, ((begin, end), row) in enumerate(zip(sheet.spans, rows, strict=True))
    )
    return (
        f'<svg viewBox="{_box(sheet)}" preserveAspectRatio="none" fill="var(--slice)" aria-hidden="true">{rects}</svg>'
    )


def _path(name: str, seconds: NDArray) -> str:
    d = "".join(f"M{s:.4f} 0V1" for s in seconds)
    return f'<path id="{name}" d="{d}" vector-effect="non-scaling-stroke"/>'


def _json(sheet: look.Sheet) -> str:
    panels = [
        {
            "id": f"panel{n}",
            "bins": len(p.values),
            "columns": look.levels(p).shape[1],
            "hop": _column_s(p),
            "pooled": look.pooled(p.values)[1],
            "enlarged": look.enlarged(p),
            "hz": None if p.bin_hz is None else [round(float(hz), 2) for hz in p.bin_hz],
            "names": list(p.bin_names),
            "low": look.limits(p.values, p.unit)[0],
            "high": look.limits(p.values, p.unit)[1],
            "unit": p.unit,
        }
        for n, p in enumerate(sheet.panels)
    ]
    colours = bytes(look.palette().ravel()).hex()
    data = {"start": sheet.start_s, "duration": sheet.duration_s, "palette": colours, "panels": panels}
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _column_s(panel: look.Panel) -> float:
    return panel.hop_s * look.pooled(panel.values)[1]


def _box(sheet: look.Sheet) -> str:
    return f"0 0 {sheet.duration_s:.4f} 1"


def _number(value: float, span: float) -> str:
    """As many digits as a hundredth of the span has."""
    digits = max(0, 1 - math.floor(math.log10(span)))
    return f"{value:.{digits}f}".replace("-", "−")


def _uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def _filled(template: str, **parts: str) -> str:
    """A template with its @@NAMES@@ filled in once: what a part holds is not looked at."""
    return re.sub(r"@@([A-Z]+)@@", lambda m: parts[m[1]], template)
