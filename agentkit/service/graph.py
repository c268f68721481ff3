"""Pictures of flows: Mermaid text, and SVG laid out as the file is written: steps below each other, branches side by
side."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from agentkit.service.book import LoadedFlow, variations
from agentkit.service.flow import Call, Collect, Confirm, Goto, HandOffStep, If, Say, Step
from agentkit.service.program import END, Node, inner_steps
from agentkit.yaml_files import Location

_WIDTH: Final = 230  # pixels of a box
_LINE: Final = 17
_CHARACTERS: Final = 30  # of one line in a box
_MOST_LINES: Final = 5
_GAP: Final = 34
_STRAIGHT: Final = 70  # width of a branch without steps
_COLOURS: Final = {
    "collect": "#dbeafe", "call": "#fde68a", "confirm": "#fecaca", "say": "#e5e7eb", "if": "#ffffff",
    "goto": "#ffffff", "hand_off": "#e9d5ff", "end": "#374151",
}  # fmt: skip
_SHAPES: Final = {
    "collect": ('["', '"]'), "call": ('[["', '"]]'), "confirm": ('{{"', '"}}'), "say": ('("', '")'),
    "if": ('{"', '"}'), "goto": ('["', '"]'), "hand_off": ('(["', '"])'), "end": ('(("', '"))'),
}  # fmt: skip
_TAG: Final = re.compile(r"\{%.*?%\}")
_WAYS: Final = {"then": "yes", "else": "no", "failed": "can't", "denied": "no"}


def kind_of(step: Step) -> str:
    """The verb of a step."""
    match step:
        case Collect():
            return "collect"
        case Call():
            return "call"
        case Confirm():
            return "confirm"
        case Say():
            return "say"
        case If():
            return "if"
        case Goto():
            return "goto"
        case HandOffStep():
            return "hand_off"
        case _:
            return "end"


def caption(step: Step) -> str:
    """What a step does, in a few words."""
    match step:
        case Collect():
            return f"ask for {step.collect}" + (" again" if step.again else "")
        case Call():
            return f"{step.call}" + (f" → {step.save}" if step.save else "")
        case Confirm():
            return variations(step.confirm)[0]
        case Say():
            return _TAG.sub(" ", variations(step.say)[0])
        case If():
            return step.condition
        case Goto():
            return f"go to {step.goto}"
        case HandOffStep():
            return f"to a person: {step.hand_off}"
        case _:
            return str(step)


def mermaid(loaded: LoadedFlow) -> str:
    """The flow as a Mermaid flowchart."""
    lines = ["flowchart TD", f'  start(["{_quoted(loaded.flow.name)}"]) --> n0']
    for position, node in enumerate(loaded.nodes):
        kind = kind_of(node.step)
        left, right = _SHAPES[kind]
        lines.append(f"  n{position}{left}{_quoted(_short(caption(node.step)))}{right}")
        if kind in ("hand_off", "end"):
            continue
        for way, target in node.ways.items():
            label = _label(node, way)
            arrow = f"-- {label} -->" if label else "-->"
            lines.append(f"  n{position} {arrow} {'stop' if target == END else f'n{target}'}")
    lines.append('  stop((("end")))')
    for kind, colour in _COLOURS.items():
        members = [f"n{i}" for i, node in enumerate(loaded.nodes) if kind_of(node.step) == kind]
        if members and kind != "end":
            lines.append(f"  style {','.join(members)} fill:{colour},stroke:#6b7280")
    return "\n".join(lines) + "\n"


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:79] + "…"


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass
class _Box:
    x: float  # of its middle
    y: float  # of its top
    lines: list[str]
    kind: str
    label: str = ""

    @property
    def width(self) -> float:
        return 22 if self.kind == "end" else _WIDTH

    @property
    def height(self) -> float:
        return 22 if self.kind == "end" else len(self.lines) * _LINE + 16

    @property
    def bottom(self) -> float:
        return self.y + self.height


def _branches(step: Step) -> list[tuple[str, tuple[Step, ...]]]:
    return [(name, steps) for name, steps in inner_steps(step) if steps]


@dataclass
class _Picture:
    loaded: LoadedFlow
    boxes: dict[Location, _Box] = field(default_factory=dict)

    def width(self, steps: Sequence[Step]) -> float:
        """How wide a list of steps is."""
        widths = [_WIDTH, *(sum(self._columns(step)) for step in steps)]
        return max(widths) + 24

    def _columns(self, step: Step) -> list[float]:
        inner = _branches(step)
        if not inner:
            return [_WIDTH]
        branches = [self.width(steps) for _, steps in inner]
        return branches if len(inner) > 1 else [_WIDTH / 2 + _STRAIGHT, *branches]

    def place(self, steps: Sequence[Step], at: Location, x: float, y: float) -> float:
        """Put a list of steps around `x`, from `y` downwards; the y behind it."""
        for number, step in enumerate(steps):
            here: Location = (*at, number)
            lines = textwrap.wrap(caption(step), _CHARACTERS) or [""]
            if len(lines) > _MOST_LINES:
                lines = [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1][: _CHARACTERS - 2] + " …"]
            label = "" if isinstance(step, str) else step.id or ""
            box = _Box(x, y, lines, kind_of(step), label)
            self.boxes[here] = box
            y = box.bottom + _GAP
            inner = _branches(step)
            if not inner:
                continue
            columns = self._columns(step)
            goes_on = len(columns) > len(inner)  # straight down, with the one branch to its right
            left = x - (columns[0] / 2 if goes_on else sum(columns) / 2)
            if goes_on:
                left += columns.pop(0)
            bottoms = [y]
            for (name, branch), width in zip(inner, columns, strict=True):
                bottoms.append(self.place(branch, (*here, name), left + width / 2, y + 6))
                left += width
            y = max(bottoms) + (10 if len(bottoms) > 1 else 0)
        return y


def svg(loaded: LoadedFlow) -> str:
    """The flow as an SVG picture."""
    picture = _Picture(loaded)
    steps = loaded.flow.steps
    bottom = picture.place(steps, ("steps",), 0.0, 64.0)
    end = _Box(0.0, bottom, [], "end")
    boxes = list(picture.boxes.values())
    left = min(box.x - box.width / 2 for box in boxes) - 40
    right = max(box.x + box.width / 2 for box in boxes) + 90
    parts: list[str] = []
    lane = right - 70
    for node in loaded.nodes:
        box = picture.boxes[node.at]
        for way, position in node.ways.items():
            if box.kind in ("end", "hand_off"):
                continue
            target = end if position == END else picture.boxes[loaded.nodes[position].at]
            parts.append(_edge(box, target, _label(node, way), lane))
            if box.kind == "goto":
                lane += 8
    parts += [_drawn(box) for box in [*boxes, end]]
    title = escape(loaded.flow.name)
    width, height = right - left, end.bottom + 24
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.0f} 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="13">\n'
        '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L10 5L0 10z" fill="#6b7280"/></marker></defs>\n'
        f'<rect x="{left:.0f}" y="0" width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>\n'
        f'<text x="0" y="30" text-anchor="middle" font-size="17" font-weight="bold">{title}</text>\n'
        f'<path d="M0 38V{62:.0f}" stroke="#6b7280" fill="none" marker-end="url(#a)"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _label(node: Node, way: str) -> str:
    if way == "next" and isinstance(node.step, Confirm):
        return "yes"
    return _WAYS.get(way, "")


def _edge(box: _Box, target: _Box, label: str, lane: float) -> str:
    style = 'stroke="#6b7280" fill="none" marker-end="url(#a)"'
    if box.kind == "goto":  # along the right edge of the picture: it may lead anywhere
        y, to = box.y + box.height / 2, target.y + target.height / 2
        start, stop = box.x + box.width / 2, target.x + target.width / 2
        return (
            f'<path d="M{start:.0f} {y:.0f}H{lane:.0f}V{to:.0f}H{stop:.0f}" stroke-dasharray="5 4" {style}/>'
        )
    x, right = box.x, target.x > box.x
    if box.x == target.x:
        path = f"M{x:.0f} {box.bottom:.0f}V{target.y - 2:.0f}"
    elif target.y - box.bottom < 2 * _GAP and abs(target.x - box.x) > 1:
        middle = box.bottom + 12
        path = f"M{x:.0f} {box.bottom:.0f}V{middle:.0f}H{target.x:.0f}V{target.y - 2:.0f}"
    else:
        middle = target.y - 12
        path = f"M{x:.0f} {box.bottom:.0f}V{middle:.0f}H{target.x:.0f}V{target.y - 2:.0f}"
    text = ""
    if label:
        place = target.x if abs(target.x - box.x) > 1 and target.y - box.bottom < 2 * _GAP else x
        text = f'<text x="{place + 6:.0f}" y="{box.bottom + (24 if right else 30):.0f}" fill="#374151">{label}</text>'
    return f'<path d="{path}" {style}/>{text}'


def _drawn(box: _Box) -> str:
    colour = _COLOURS[box.kind]
    left = box.x - box.width / 2
    if box.kind == "end":
        return f'<circle cx="{box.x:.0f}" cy="{box.y + 11:.0f}" r="9" fill="{colour}"/>'
    round_ = 18 if box.kind in ("say", "hand_off") else 4
    dash = ' stroke-dasharray="4 3"' if box.kind in ("if", "goto") else ""
    rows = "".join(
        f'<text x="{box.x:.0f}" y="{box.y + 21 + number * _LINE:.0f}" text-anchor="middle">{escape(line)}</text>'
        for number, line in enumerate(box.lines)
    )
    label = (
        f'<text x="{left + 4:.0f}" y="{box.y - 4:.0f}" fill="#7c3aed" font-size="11">{escape(box.label)}</text>'
        if box.label
        else ""
    )
    return (
        f'<rect x="{left:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="{round_}" '
        f'fill="{colour}" stroke="#6b7280"{dash}/>{rows}{label}'
    )
