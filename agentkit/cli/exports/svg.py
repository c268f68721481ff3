"""A demo as one animated SVG: CSS only, so that it moves where a page shows it as an image. It loops.

Light or dark follows the viewer's system; who prefers no motion sees the last screen.
"""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import Final

from rich.style import Style

from agentkit.cli.exports.screen import WIDTH, ScreenLine, screen_lines
from agentkit.cli.exports.screenplay import Screenplay

_ROWS: Final = 26
_CHARACTER, _ROW = 8.0, 19.0  # pixels
_MARGIN, _BAR = 18.0, 34.0
_CLASSES: Final = {"cyan": "u", "green": "g", "red": "r", "yellow": "y"}
_STYLE: Final = """
svg{--b:#fbfbfa;--f:#24292f;--d:#6e7781;--u:#0969da;--g:#1a7f37;--r:#cf222e;--y:#9a6700;--e:#d8dee4;--t:#f0f1f2}
@media (prefers-color-scheme:dark){
svg{--b:#0d1117;--f:#e6edf3;--d:#8b949e;--u:#58a6ff;--g:#3fb950;--r:#f85149;
--y:#d29922;--e:#30363d;--t:#161b22}}
text{font:13.3px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;
fill:var(--f);white-space:pre}
.d{fill:var(--d)}.u{fill:var(--u)}.g{fill:var(--g)}.r{fill:var(--r)}.y{fill:var(--y)}.b{font-weight:700}
@media (prefers-reduced-motion:reduce){*{animation:none!important}}
"""


def svg(play: Screenplay, *, steps: bool = True) -> str:
    """The text of an `.svg` file; see `screen_lines` for the arguments."""
    lines = screen_lines(play, steps=steps)
    width = WIDTH * _CHARACTER + 2 * _MARGIN
    rows = min(_ROWS, len(lines))
    height = _BAR + rows * _ROW + 2 * _MARGIN
    animation = [_appearing(number, line, play.seconds) for number, line in enumerate(lines)]
    text = "\n".join(_text(number, line) for number, line in enumerate(lines))
    title = escape(f"{play.bot}: {play.title}")
    dots = "".join(f'<circle cx="{20 + 18 * n}" cy="{_BAR / 2:g}" r="5" fill="var(--e)"/>' for n in range(3))
    last = -max(0, len(lines) - rows) * _ROW
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">
<title>{title}</title>
<desc>{escape(play.description)}</desc>
<style>{_STYLE}{"".join(animation)}{_scrolling(lines, rows, play.seconds)}</style>
<rect width="{width:g}" height="{height:g}" rx="8" fill="var(--b)" stroke="var(--e)"/>
<path d="M0 8a8 8 0 0 1 8-8h{width - 16:g}a8 8 0 0 1 8 8v{_BAR - 8:g}H0z" fill="var(--t)"/>{dots}
<text x="{width / 2:g}" y="{_BAR / 2 + 5:g}" text-anchor="middle" class="d">{title}</text>
<svg x="{_MARGIN:g}" y="{_BAR + _MARGIN / 2:g}" width="{width - 2 * _MARGIN:g}" height="{rows * _ROW + 8:g}">
<g id="s" transform="translate(0 {last:g})">
{text}
</g></svg></svg>
"""


def _share(at: float, seconds: float) -> str:
    return f"{100 * at / seconds:.3f}%"


def _appearing(number: int, line: ScreenLine, seconds: float) -> str:
    """The key frames of one line: hidden, then there; a typed one uncovers character by character."""
    if line.at <= 0:
        return ""
    start, end = _share(line.at, seconds), _share(line.at + line.typing, seconds)
    if not line.typing:
        frames = f"0%{{opacity:0}}{start}{{opacity:1}}"
        return f"@keyframes l{number}{{{frames}}}#l{number}{{animation:l{number} {seconds:g}s step-end infinite}}"
    length = len(line.text.plain)
    covered = 100 * (1 - line.typed_from / length)
    steps = max(1, length - line.typed_from)
    frames = (
        f"0%{{opacity:0;clip-path:inset(0 {covered:.2f}% 0 0);animation-timing-function:step-end}}"
        f"{start}{{opacity:1;clip-path:inset(0 {covered:.2f}% 0 0);animation-timing-function:steps({steps})}}"
        f"{end}{{opacity:1;clip-path:inset(0 0 0 0)}}100%{{opacity:1;clip-path:inset(0 0 0 0)}}"
    )
    return f"@keyframes l{number}{{{frames}}}#l{number}{{animation:l{number} {seconds:g}s infinite}}"


def _scrolling(lines: list[ScreenLine], rows: int, seconds: float) -> str:
    """The key frames of the whole text: one row up whenever a line would leave the screen."""
    if len(lines) <= rows:
        return ""
    frames = ["0%{transform:translateY(0)}"]
    at: dict[str, float] = {}
    for number in range(rows, len(lines)):
        at[_share(lines[number].at, seconds)] = -(number - rows + 1) * _ROW
    frames += [f"{share}{{transform:translateY({offset:g}px)}}" for share, offset in at.items()]
    return f"@keyframes s{{{''.join(frames)}}}#s{{animation:s {seconds:g}s step-end infinite}}"


def _text(number: int, line: ScreenLine) -> str:
    pieces = []
    base = str(line.text.style)
    spans = line.text.spans or ()
    plain = line.text.plain
    cuts = sorted({0, len(plain), *(s.start for s in spans), *(s.end for s in spans)})
    for start, end in pairwise(cuts):
        style = base + "".join(f" {s.style}" for s in spans if s.start <= start and end <= s.end)
        names = _classes(style)
        tag = f'<tspan class="{names}">' if names else "<tspan>"
        pieces.append(f"{tag}{escape(plain[start:end])}</tspan>")
    y = (number + 1) * _ROW - 4
    return f'<text id="l{number}" y="{y:g}" xml:space="preserve">{"".join(pieces)}</text>'


def _classes(style: str) -> str:
    parsed = Style.parse(style.strip() or "none")
    names = [_CLASSES[parsed.color.name]] if parsed.color and parsed.color.name in _CLASSES else []
    return " ".join(names + ["d"] * bool(parsed.dim) + ["b"] * bool(parsed.bold))
