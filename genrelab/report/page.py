"""A song as every front-end sees it, as a page: one HTML file that plays and needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genrelab.report import html as frame
from genrelab.report import look, player

if TYPE_CHECKING:
    from numpy.typing import NDArray

STYLE = (
    player.STYLE
    + """
:root { --slice:#d47f14; }
@media (prefers-color-scheme: dark) { :root { --slice:#e99a38; } }
body { max-width:1500px; }
.lane { height:9px; margin-top:5px; }
[aria-pressed]::before { content:""; display:inline-block; width:2px; height:12px; margin-right:8px;
  vertical-align:-1px; background:var(--line-colour); }
[data-lines=bars] { --line-colour:var(--ink); } [data-lines=beats] { --line-colour:var(--quiet); }
[data-lines=slices] { --line-colour:var(--slice); }
[aria-pressed=false] { color:var(--quiet); text-decoration:line-through; }
.lines { pointer-events:none; fill:none; stroke:#fff; }
.lines .bars { stroke-opacity:.85; stroke-width:1.1; } .lines .beats { stroke-opacity:.34; stroke-width:.8; }
.lines .slices { stroke:#6fe0f0; stroke-opacity:.95; stroke-dasharray:3 4; stroke-width:1.1; }
.wave .lines { stroke:var(--ink); } .wave .slices { display:none; } .wave .lines .bars { stroke-opacity:.9; }
.no-bars .bars, .no-beats .beats, .no-slices .slices { display:none; }
"""
)
SCRIPT = (
    player.SCRIPT
    + """
for (const button of all("[data-lines]")) button.addEventListener("click", () => {
  const hidden = sheet.classList.toggle("no-" + button.dataset.lines);
  button.setAttribute("aria-pressed", String(!hidden));
});
"""
)


def html(sheet: look.Sheet, audio: bytes, mime: str) -> str:
    """The page of a sheet; audio: the encoded excerpt, mime: its kind. Whatever a name holds is text on the page."""
    lines = dict(zip(("bars", "beats", "slices"), look.grid_lines(sheet), strict=True))
    shown = [name for name, seconds in lines.items() if len(seconds)]
    uses = "".join(f'<use class="{name}" href="#{name}"/>' for name in reversed(shown))
    overlay = f'<svg class="lines" viewBox="{_box(sheet)}" preserveAspectRatio="none" aria-hidden="true">{uses}</svg>'
    rows = [player.row(f'<div class="time wave">{player.wave(sheet.wave, sheet.duration_s)}{overlay}</div>')]
    if len(sheet.spans):
        rows.append(player.row(f'<div class="time lane slices">{_lane(sheet)}</div>'))
    rows += [player.picture(panel, n, sheet.duration_s, overlay) for n, panel in enumerate(sheet.panels)]
    toggles = "".join(f'<button type="button" data-lines="{n}" aria-pressed="true">{n}</button>' for n in shown)
    tools = f'<span class="group" role="group" aria-label="Lines">{toggles}</span>'
    paths = "".join(_path(name, lines[name] - sheet.start_s) for name in shown)
    parts = [
        player.bar(sheet.end_s, tools),
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>{paths}</defs></svg>',
        player.sheet(rows, [(audio, mime)], "Pictures on one time axis"),
        player.HINT,
        player.data(sheet.start_s, sheet.duration_s, sheet.panels),
    ]
    return frame.page(sheet.title, "\n".join(parts), facts=sheet.facts, style=STYLE, script=SCRIPT)


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


def _box(sheet: look.Sheet) -> str:
    return f"0 0 {sheet.duration_s:.4f} 1"
