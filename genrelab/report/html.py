"""The frame of every page: one HTML file that needs no network, light and dark, for a desk, a phone and paper.

What is passed as text is escaped here; what is passed as `Html` is put in as it is.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from html import escape

MINUS = "\N{MINUS SIGN}"
MISSING = "–"  # stands where there is no figure
FIGURE = re.compile(rf"[{MINUS}+-]?\d[\d.,]*( ?%)?( \[.*\])?")  # 4.1, 83 %, 0.8 [0.7, 0.9]


class Html(str):
    """Markup that is safe already."""

    __slots__ = ()


STYLE = """
:root { color-scheme: light dark; --paper:#fcfbf9; --raised:#f4f2ed; --ink:#22282f; --quiet:#66707a; --line:#e3e1dc;
  --fill:#1f5f99; --soft:#dfe8f1; --mark:#d47f14; --good:#27734a; --bad:#b3372a; }
@media (prefers-color-scheme: dark) { :root { --paper:#14171b; --raised:#1c2025; --ink:#e8eaed; --quiet:#98a2ad;
  --line:#2b3036; --fill:#6ea8dc; --soft:#22303d; --mark:#e99a38; --good:#6fc493; --bad:#ef8073; } }
* { box-sizing:border-box; }
html { -webkit-text-size-adjust:100%; scroll-behavior:smooth; }
body { margin:0 auto; max-width:1060px; padding:clamp(24px,5vw,60px) clamp(16px,4vw,44px) 60px; background:var(--paper);
  color:var(--ink); font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif; font-variant-numeric:tabular-nums; }
h1, .lead { font-family:"Iowan Old Style","Palatino Linotype",Palatino,Georgia,serif; font-weight:400;
  overflow-wrap:anywhere; text-wrap:balance; }
h1 { font-size:clamp(26px,4.2vw,42px); line-height:1.15; letter-spacing:-.01em; margin:0 0 18px; }
.lead { font-size:clamp(18px,2.4vw,22px); line-height:1.35; margin:0 0 22px; padding:2px 0 2px 16px; max-width:none;
  border-left:4px solid var(--fill); }
.lead.good { border-color:var(--good); } .lead.bad { border-color:var(--bad); }
.lead b { font-weight:600; color:var(--fill); } .lead.good b { color:var(--good); } .lead.bad b { color:var(--bad); }
dl { display:flex; flex-wrap:wrap; gap:10px 40px; margin:0; }
dt { font-size:12px; color:var(--quiet); } dd { margin:0; overflow-wrap:anywhere; }
section { margin-top:46px; }
h2 { font-size:17px; line-height:1.3; font-weight:650; margin:0; display:flex; flex-wrap:wrap; gap:2px 10px;
  align-items:baseline; }
h2 span { font-weight:400; color:var(--quiet); font-size:14px; } h2 span.bad { color:var(--bad); font-weight:600; }
h3 { font-size:14px; font-weight:600; margin:22px 0 4px; }
p { margin:4px 0 0; max-width:72ch; } .about, .none { color:var(--quiet); font-size:14px; }
.bad-text { color:var(--bad); } .good-text { color:var(--good); }
.table { overflow-x:auto; margin-top:12px; border-top:1px solid var(--line); scrollbar-width:thin; }
table { border-collapse:collapse; width:100%; font-size:13.5px; }
th { text-align:left; font-weight:400; color:var(--quiet); font-size:12px; white-space:nowrap; }
th, td { padding:6px 18px 6px 0; border-bottom:1px solid var(--line); vertical-align:top; }
td { overflow-wrap:break-word; hyphens:manual; } td.number, th.number { text-align:right; white-space:nowrap; }
td.cross { color:var(--bad); white-space:nowrap; }
tr.ours td { font-weight:600; }
summary { cursor:pointer; color:var(--quiet); font-size:14px; padding:8px 0; width:max-content; max-width:100%; }
summary:hover { color:var(--ink); }
:focus-visible { outline:2px solid var(--mark); outline-offset:2px; }
details .table { margin-top:0; }
.columns { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr)); gap:34px 48px;
  margin-top:18px; }
figure { margin:16px 0 0; min-width:0; } .columns figure { margin:0; }
figcaption { font-weight:600; font-size:14px; margin-bottom:6px; } figcaption span { font-weight:400;
  color:var(--quiet); }
.drawing { display:block; width:100%; height:auto; overflow:visible; }
.drawing * { stroke-linejoin:round; stroke-linecap:butt; }
img.picture { display:block; max-width:100%; height:auto; }
audio { width:100%; max-width:420px; height:36px; display:block; margin:6px 0; }
button { font:inherit; color:inherit; background:none; border:1px solid var(--line); border-radius:7px; min-height:34px;
  padding:2px 12px; cursor:pointer; } button:hover { background:var(--raised); }
.command { display:flex; gap:10px; align-items:flex-start; margin-top:10px; }
.command pre { flex:1; min-width:0; margin:0; padding:9px 14px; background:var(--raised); border-radius:7px;
  font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace; white-space:pre-wrap; overflow-wrap:anywhere; }
footer { margin-top:52px; padding-top:16px; border-top:1px solid var(--line); color:var(--quiet); font-size:13px; }
footer p { margin-top:6px; }
@media (max-width:640px) { dl { gap:8px 26px; } section { margin-top:36px; } th, td { padding-right:12px; } }
@media print { :root { --paper:#fff; --raised:#f4f4f4; --ink:#111; --quiet:#555; --line:#ccc; --fill:#1f5f99;
  --soft:#dfe8f1; --mark:#b5670b; --good:#27734a; --bad:#b3372a; } body { padding:0; max-width:none; font-size:11pt; }
  section, figure, tr { break-inside:avoid; } audio, button { display:none; } .table { overflow:visible; } }
"""

COPY = """
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => {
  getSelection().selectAllChildren(button.previousElementSibling);  // it can be copied by hand where we may not
  if (document.execCommand("copy")) button.textContent = "Copied";  // allowed within MLflow's frame; clipboard is not
});
"""


def page(
    title: str,
    body: str,
    *,
    lead: str = "",
    kind: str = "",
    facts: Iterable[tuple[str, str]] = (),
    notes: Iterable[str] = (),
    style: str = "",
    script: str = "",
) -> str:
    """A whole page.

    body: markup; lead: the sentence under the title, `kind` its colour: "good", "bad" or none; facts: (what, value)
    under it; notes: sentences at the foot; style and script: what this page has beside the frame's.
    """
    code = COPY * ("data-copy" in body) + script
    policy = "default-src 'none'; img-src data:; media-src data: blob:; style-src 'unsafe-inline'"
    policy += "; script-src 'unsafe-inline'" if code else ""
    told = f'<p class="lead {escape(kind)}">{text(lead)}</p>' if lead else ""
    known = facts_list(facts)
    foot = "".join(f"<p>{text(n)}</p>" for n in notes)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<header><h1>{escape(title)}</h1>
{told}{known}</header>
<main>
{body}
</main>
{f"<footer>{foot}</footer>" if foot else ""}
{f"<script>{code}</script>" if code else ""}
</body>
</html>
"""


def text(value: object) -> str:
    """Escaped, unless it is `Html`."""
    return value if isinstance(value, Html) else escape(str(value))


def section(title: str, body: str, *, about: str = "", count: str = "", bad: bool = False, name: str = "") -> str:
    """A part of a page under its heading; count: what stands beside the heading, red where `bad`."""
    beside = f' <span class="{"bad" if bad else "count"}">{text(count)}</span>' if count else ""
    told = f'<p class="about">{text(about)}</p>' if about else ""
    at = f' id="{escape(name)}"' if name else ""
    return f"<section{at}><h2>{text(title)}{beside}</h2>{told}{body}</section>"


def facts_list(facts: Iterable[tuple[str, str]]) -> str:
    made = "".join(f"<div><dt>{text(what)}</dt><dd>{text(value)}</dd></div>" for what, value in facts)
    return f"<dl>{made}</dl>" if made else ""


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, ours: Iterable[int] = (), first: int | None = None
) -> str:
    """Rows under their columns; numbers are set right. ours: rows that stand out; first: how many are seen at once."""
    if not rows:
        return ""
    right = [all(_numeric(row[k]) for row in rows) for k in range(len(columns))]
    marks = [' class="number"' if r else "" for r in right]
    top = "".join(f"<th{m}>{text(c)}</th>" for c, m in zip(columns, marks, strict=True))
    told, out = set(ours), []
    for n, row in enumerate(rows):
        cells = "".join(f"<td{m}>{text(said(value))}</td>" for value, m in zip(row, marks, strict=True))
        mark = ' class="ours"' if n in told else ""
        out.append(f"<tr{mark}>{cells}</tr>")
    shown = len(out) if first is None else first
    made = _table(top, out[:shown])
    if out[shown:]:
        made += f"<details><summary>{len(out) - shown:,} more</summary>{_table(top, out[shown:])}</details>"
    return made


def _table(top: str, lines: Sequence[str]) -> str:
    return f'<div class="table"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _numeric(value: object) -> bool:
    if isinstance(value, int | float):
        return True
    return not isinstance(value, Html) and bool(FIGURE.fullmatch(str(value)) or value == MISSING)


def said(value: object) -> object:
    """A number to three digits, with a true minus; anything else as it is."""
    return f"{value:.3g}".replace("-", MINUS) if isinstance(value, float) else value


def columns(*parts: str) -> str:
    """Parts side by side where there is room."""
    return f'<div class="columns">{"".join(parts)}</div>'


def figure(drawing: str, caption: str = "", beside: str = "") -> str:
    """A drawing (markup, as `style.svg` gives) under its caption."""
    told = f"<figcaption>{text(caption)} <span>{text(beside)}</span></figcaption>" if caption else ""
    return f"<figure>{told}{drawing}</figure>"


def image(png: bytes, alt: str) -> str:
    return f'<img class="picture" alt="{escape(alt)}" src="{uri(png, "image/png")}">'


def player(data: bytes, mime: str, label: str = "") -> str:
    """The browser's own player."""
    return f'<audio controls preload="none" aria-label="{escape(label)}" src="{uri(data, mime)}"></audio>'


def command(line: str) -> str:
    """A command with a button that copies it."""
    return f'<div class="command"><pre>{escape(line)}</pre><button type="button" data-copy>Copy</button></div>'


def uri(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def json_in_script(value: object) -> str:
    """JSON that cannot end the script element which holds it."""
    return json.dumps(value, separators=(",", ":"), default=str).replace("<", "\\u003c")
