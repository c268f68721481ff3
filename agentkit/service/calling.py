"""Calls of a flow: their arguments, the rules that stand against them, and the yes that they need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from agentkit.service.expressions import expression_of
from agentkit.service.flow import Call, Check
from agentkit.service.program import Node
from agentkit.service.rules import GIVEN
from agentkit.service.state import Frame, PlannedCall
from agentkit.service.working import Working
from agentkit.yaml_files import Location


@dataclass(frozen=True)
class Arguments:
    """Arguments of a call, and those of them that no result of a tool has a part in."""

    values: dict[str, JsonValue]
    settled: dict[str, JsonValue]


@dataclass(frozen=True)
class Ruling:
    """What the policies say of a call.

    Args:
        refusing: Name of the rule that stands against it, and what is said then; None: none does.
        text: What is said.
        reasons: Why a person has to agree first.
    """

    refusing: str | None = None
    text: str = ""
    reasons: tuple[str, ...] = ()


def arguments_of(work: Working, frame: Frame, call: Call | Check, tool: str, at: Location) -> Arguments:
    """The arguments of a call as the values of the flow are now.

    Raises:
        PromptError: One of them cannot be worked out.
    """
    loaded, variables = work.loaded(frame), work.variables(frame)
    given = GIVEN | {name for name, source in frame.sources.items() if source != "tool"}
    values: dict[str, JsonValue] = {}
    settled: dict[str, JsonValue] = {}
    for name in work.book.tools[tool].spec.parameters.get("properties", {}):
        if name in call.arguments:
            written = call.arguments[name]
            where = loaded.where((*at, "with", name))
            value = work.book.expressions.argument(written, where, variables)
            read = _read_by(work, written, where)
        elif name in frame.slots:
            value, read = frame.slots[name], frozenset({name})
        else:
            continue
        if value is None:
            continue
        values[name] = value
        if read <= given:
            settled[name] = value
    return Arguments(values, settled)


def _read_by(work: Working, written: JsonValue, where: str) -> frozenset[str]:
    if not isinstance(written, str) or "{" not in written:
        return frozenset()
    expression = expression_of(written)
    return work.book.expressions.names(expression or written, where, is_expression=expression is not None)


def planned_calls(work: Working, frame: Frame, confirm: Node) -> list[PlannedCall]:
    """The calls with an effect that a confirmation is about: those that follow it and were not made yet.

    Raises:
        PromptError: An argument cannot be worked out.
    """
    loaded = work.loaded(frame)
    done = [each.call for each in frame.done]
    found: list[PlannedCall] = []
    for position in confirm.covers:
        node = loaded.nodes[position]
        assert isinstance(node.step, Call)
        if not work.book.has_effect(node.step.call):
            continue
        arguments = arguments_of(work, frame, node.step, node.step.call, node.at)
        call = PlannedCall(tool=node.step.call, arguments=arguments.values)
        if call not in done:
            found.append(call)
    return found


def ruling(work: Working, frame: Frame, tool: str, arguments: Mapping[str, JsonValue]) -> Ruling:
    """What the policies say of a call now: the first one that refuses it, or all that want a person to agree.

    Raises:
        PromptError: A rule cannot be evaluated; what cannot be known to hold does not hold.
    """
    variables: dict[str, JsonValue] = {**work.variables(frame), "arguments": dict(arguments)}
    reasons: list[str] = []
    for each in work.book.policies_before(tool):
        if work.book.expressions.value(each.policy.holds, each.where, variables) is True:
            continue
        if each.policy.refusal is not None:
            return Ruling(each.name, work.text(each.policy.refusal, each.where, variables))
        reasons.append(each.policy.reason or f"the rule {each.name} asks for it")
    return Ruling(reasons=tuple(reasons))
