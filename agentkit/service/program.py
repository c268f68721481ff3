"""The steps of a flow as a numbered list of nodes with their successors: what runs, is checked and is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agentkit.service.flow import Call, Confirm, Goto, If, Step
from agentkit.yaml_files import Location

END: Final = -1
"""The position behind the last step."""


@dataclass(frozen=True)
class Node:
    """One step.

    Args:
        step: What it says.
        at: Where it stands in the file.
        ways: Positions that may follow: `next`, and `then`, `else`, `failed`, `denied` where the step has them.
        covers: Of a confirmation: the calls that it is asked for, if their tools have an effect.
        covered_by: Of a call: the confirmations that stand before it in the same list of steps, nearest first.
    """

    step: Step
    at: Location
    ways: Mapping[str, int]
    covers: tuple[int, ...] = ()
    covered_by: tuple[int, ...] = ()


@dataclass
class _Numbering:
    positions: dict[Location, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)


def compiled(steps: Sequence[Step]) -> tuple[Node, ...]:
    """The steps in the order of the file, each with its successors; the first one is where the flow begins.

    An unknown `goto` leads to the end; `agentkit.service.loading` refuses it before.
    """
    numbering = _Numbering()
    for at, step in walk(steps):
        position = len(numbering.positions)
        numbering.positions[at] = position
        if not isinstance(step, str) and step.id is not None:
            numbering.labels.setdefault(step.id, position)
    nodes: dict[int, Node] = {}
    _list(steps, ("steps",), END, numbering, nodes)
    return tuple(nodes[position] for position in range(len(nodes)))


def walk(steps: Sequence[Step], at: Location = ("steps",)) -> Iterator[tuple[Location, Step]]:
    """Every step with its place in the file, in the order of the file."""
    for number, step in enumerate(steps):
        here: Location = (*at, number)
        yield here, step
        for name, inner in inner_steps(step):
            yield from walk(inner, (*here, name))


def inner_steps(step: Step) -> list[tuple[str, tuple[Step, ...]]]:
    """The lists of steps inside a step, by the name that they have in the file."""
    found: list[tuple[str, Any]] = []
    match step:
        case If():
            found = [("then", step.then), ("else", step.otherwise)]
        case Call():
            found = [("failed", step.failed)]
        case Confirm():
            found = [("denied", step.denied)]
        case _:
            pass
    return [(name, inner) for name, inner in found if inner is not None]


def _list(
    steps: Sequence[Step], at: Location, after: int, numbering: _Numbering, nodes: dict[int, Node]
) -> None:
    positions = [numbering.positions[(*at, number)] for number in range(len(steps))]
    asked: list[int] = []
    for number, step in enumerate(steps):
        here: Location = (*at, number)
        follows = positions[number + 1] if number + 1 < len(steps) else after
        ways = {"next": follows}
        for name, inner in inner_steps(step):
            first: Location = (*here, name, 0)
            ways[name] = numbering.positions[first] if inner else follows
            _list(inner, (*here, name), follows, numbering, nodes)
        if isinstance(step, If):
            del ways["next"]
        elif isinstance(step, Goto):
            ways = {"next": numbering.labels.get(step.goto, END)}
        elif isinstance(step, str):
            ways = {"next": END}
        covers: tuple[int, ...] = ()
        if isinstance(step, Confirm):
            asked.insert(0, positions[number])
            covers = tuple(_until_next_confirm(steps, positions, number))
        covered = tuple(asked) if isinstance(step, Call) else ()
        nodes[positions[number]] = Node(step, here, ways, covers, covered)


def _until_next_confirm(steps: Sequence[Step], positions: Sequence[int], number: int) -> Iterator[int]:
    for step, position in zip(steps[number + 1 :], positions[number + 1 :], strict=True):
        if isinstance(step, Confirm):
            return
        if isinstance(step, Call):
            yield position
