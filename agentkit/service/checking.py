"""What can be found wrong with flows without running them: dead ends, values that may be unset, circles.

Rules without which a bot does not start are in `agentkit.service.rules`; what is found here works most of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from agentkit.service.book import FlowBook, LoadedFlow
from agentkit.service.flow import Call, Collect, Confirm, Goto, HandOffStep, If
from agentkit.service.program import END, Node
from agentkit.service.rules import GIVEN, IN_PATTERNS, used_names
from agentkit.yaml_files import Location

Kind: TypeAlias = Literal["unreachable", "dead_end", "loop", "unset", "unused", "policy"]
"""`dead_end`: nothing more can happen although the flow is not through. `policy`: a rule that cannot be evaluated."""

_SPEAKS: Final = "says nothing, asks nothing and calls nothing"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a flow.

    Args:
        kind: What it is.
        flow: The flow.
        path, line: Where.
        message: What is wrong, and what may happen.
        hint: What to do about it.
    """

    kind: Kind
    flow: str
    path: Path
    line: int
    message: str
    hint: str = ""


def check_flows(book: FlowBook) -> list[Finding]:
    """Everything that can be found wrong with the flows of a bot, in the order of the files."""
    return [found for loaded in book.flows.values() for found in _check(loaded, book)]


def _check(loaded: LoadedFlow, book: FlowBook) -> Iterator[Finding]:
    nodes = loaded.nodes
    reached = _reached(nodes, 0)
    for position, node in enumerate(nodes):
        if position not in reached:
            hint = "remove it, or lead to it with a `goto`"
            yield _finding(loaded, "unreachable", node.at, "no way leads to this step", hint)
    yield from _loops(loaded, reached)
    yield from _unset(loaded, book, reached)
    collected = {node.step.collect for node in nodes if isinstance(node.step, Collect)}
    for name, slot in loaded.flow.slots.items():
        if name not in collected and slot.default is None:
            at: Location = ("slots", name)
            hint = f"add `collect: {name}`, or remove the slot"
            yield _finding(loaded, "unused", at, f"no step collects `{name}`: it is never asked for", hint)
    if not loaded.flow.is_pattern and not any(_tells(nodes[position]) for position in reached):
        at = ("steps",)
        yield _finding(
            loaded, "dead_end", at, f"the flow {_SPEAKS}", "the user would hear nothing: add `say`"
        )


def _tells(node: Node) -> bool:
    return not isinstance(node.step, (str, If, Goto))


def _reached(nodes: tuple[Node, ...], start: int) -> set[int]:
    found: set[int] = set()
    open_ = [start]
    while open_:
        position = open_.pop()
        if position != END and position not in found:
            found.add(position)
            open_ += nodes[position].ways.values()
    return found


def _loops(loaded: LoadedFlow, reached: set[int]) -> Iterator[Finding]:
    """Circles: those that nothing leads out of, and those that nothing inside can change the way of."""
    nodes = loaded.nodes
    told: set[int] = set()
    for position in sorted(reached):
        ahead = _reached(nodes, position)
        leaves = any(END in nodes[each].ways.values() for each in ahead) or any(
            isinstance(nodes[each].step, HandOffStep) for each in ahead
        )
        if not leaves and not told & ahead:
            told |= ahead
            message = "a loop without exit: from here the flow never ends"
            hint = "let an `if` lead out of it; at run time it ends in an apology and a person"
            yield _finding(loaded, "loop", nodes[position].at, message, hint)
    for circle in _circles(nodes, reached):
        if circle & told or any(_changes(nodes[each]) for each in circle):
            continue
        first = min(circle)
        message = "a loop in which nothing changes: once it goes round, it goes round for ever"
        hint = "ask something in it (`collect` with `again: true`), or call a tool whose result decides"
        yield _finding(loaded, "loop", nodes[first].at, message, hint)


def _changes(node: Node) -> bool:
    """Whether a step waits for the user or may change what an `if` reads."""
    match node.step:
        case Collect():
            return node.step.again
        case Call() | Confirm() | HandOffStep():
            return True
        case _:
            return False


def _circles(nodes: tuple[Node, ...], reached: set[int]) -> list[frozenset[int]]:
    """Sets of steps that lead to one another."""
    ahead = {position: _reached(nodes, position) for position in reached}
    after = {
        position: {each for way in nodes[position].ways.values() if way != END for each in ahead[way]}
        for position in reached
    }
    circles = {
        frozenset(other for other in after[position] if position in after[other])
        for position in reached
        if position in after[position]
    }
    return sorted(circles, key=min)


def _unset(loaded: LoadedFlow, book: FlowBook, reached: set[int]) -> Iterator[Finding]:
    """Values that a step reads and that have none on some way to it."""
    always = GIVEN | (IN_PATTERNS if loaded.flow.is_pattern else frozenset())
    settled = _settled_before(loaded, reached)
    for position in sorted(reached):
        node = loaded.nodes[position]
        for name, at in used_names(loaded, book, node):
            if name not in settled[position] and name not in always and not _tests(node, name, at, loaded):
                hint = f"settle it before, or test it: `{name} is defined`"
                message = f"`{name}` may have no value here: then the customer gets an apology and a person"
                yield _finding(loaded, "unset", at, message, hint)
        yield from _sources(loaded, book, node, settled[position] | always)
        yield from _policies(loaded, book, node, settled[position] | always)


def _sources(loaded: LoadedFlow, book: FlowBook, node: Node, known: frozenset[str]) -> Iterator[Finding]:
    """What a slot without a value reads to find one."""
    if not isinstance(node.step, Collect) or node.step.collect in known:
        return
    slot = loaded.flow.slots[node.step.collect]
    for field, expression in (("from", slot.source), ("choices_from", slot.choices_from)):
        at: Location = ("slots", node.step.collect, field)
        if expression is None:
            continue
        for name in sorted(book.expressions.names(expression, loaded.where(at), is_expression=True) - known):
            message = f"`{name}` may have no value where `{node.step.collect}` is collected"
            yield _finding(loaded, "unset", at, message, "settle it before that step")


def _policies(loaded: LoadedFlow, book: FlowBook, node: Node, known: frozenset[str]) -> Iterator[Finding]:
    """Rules before a tool that read what may have no value: a rule guards the tool that checks a value, too."""
    match node.step:
        case Call():
            tool, at = node.step.call, (*node.at, "call")
        case Collect() if (check := loaded.flow.slots[node.step.collect].check) is not None:
            tool, at = check.tool, ("slots", node.step.collect, "validate", "tool")
            known |= {node.step.collect}
        case _:
            return
    for each in book.policies_before(tool):
        names = book.expressions.names(each.policy.holds, each.where, is_expression=True)
        for name in sorted(names - known - {"arguments"}):
            message = f"the rule `{each.name}` reads `{name}`, which may have no value here"
            hint = "collect or call what the rule needs before this step; else it counts as broken"
            yield _finding(loaded, "policy", at, message, hint)


def _tests(node: Node, name: str, at: Location, loaded: LoadedFlow) -> bool:
    """Whether a text or expression asks itself if a name has a value."""
    written = _written(loaded, at)
    return f"{name} is defined" in written or f"{name} is not defined" in written


def _written(loaded: LoadedFlow, at: Location) -> str:
    found: object = loaded.document.data
    for step in at:
        if isinstance(found, Mapping):
            found = found.get(str(step))
        elif isinstance(found, list) and isinstance(step, int):
            found = found[step]
    return str(found)


def _settled_before(loaded: LoadedFlow, reached: set[int]) -> dict[int, frozenset[str]]:
    """For each step the names that have a value on every way to it."""
    flow = loaded.flow
    begins = frozenset(name for name, slot in flow.slots.items() if slot.default is not None)
    settled: dict[int, frozenset[str]] = {0: begins}
    open_ = [0]
    while open_:
        position = open_.pop()
        node = loaded.nodes[position]
        for way, target in node.ways.items():
            if target == END:
                continue
            after = settled[position] | _settles(loaded, node, way)
            known = settled.get(target)
            new = after if known is None else known & after
            if new != known:
                settled[target] = new
                open_.append(target)
    return {position: settled.get(position, frozenset()) for position in reached}


def _settles(loaded: LoadedFlow, node: Node, way: str) -> frozenset[str]:
    match node.step:
        case Collect():
            slot = loaded.flow.slots[node.step.collect]
            saved = {slot.check.save} if slot.check is not None else set()
            return frozenset({node.step.collect} | {each for each in saved if each is not None})
        case Call() if way == "failed":
            return frozenset({"failure"})
        case Call() if node.step.save is not None:
            return frozenset({node.step.save})
        case If():
            names = loaded.flow.slots.keys() | {
                each.step.save for each in loaded.nodes if isinstance(each.step, Call) and each.step.save
            }
            tested = " is defined" if way == "then" else " is not defined"
            return frozenset(name for name in names if f"{name}{tested}" in node.step.condition)
        case _:
            return frozenset()


def _finding(loaded: LoadedFlow, kind: Kind, at: Location, message: str, hint: str) -> Finding:
    error = loaded.document.error(message, at=at)
    return Finding(kind, loaded.flow.name, error.path, error.line or 1, message, hint)
