"""The gate: every call passes it before it runs. A pure function; its rules come in this order."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from agentkit.agent.candidates import TrustedText
from agentkit.errors import ToolRetry
from agentkit.messages import ToolCall
from agentkit.tools import Tool, validate_arguments

_WORD: Final = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")


@dataclass(frozen=True)
class Allow:
    """The call may run."""

    tool: Tool


@dataclass(frozen=True)
class Refuse:
    """The call may not run.

    Args:
        rule: Which rule stopped it.
        reason: For the model and the trace: what to do instead.
        argument: The argument that nobody trusted has named, when the rule is `provenance`.
    """

    rule: Literal["unknown_tool", "schema", "provenance", "repeated"]
    reason: str
    argument: str | None = None


Verdict: TypeAlias = Allow | Refuse


def gate(
    call: ToolCall,
    offered: Sequence[Tool],
    *,
    trusted: TrustedText,
    known: dict[str, JsonValue],
    earlier_calls: Sequence[ToolCall],
    repeated_calls: int,
) -> Verdict:
    """Decide whether a call may run: it exists, fits its schema, is no repetition, says nothing invented.

    Args:
        call: What the generator wrote.
        offered: The tools of this step.
        trusted: Texts that authority arguments may come from.
        known: Arguments that the user settled in an earlier turn.
        earlier_calls: Calls of this turn that ran already.
        repeated_calls: How often one call with the same arguments may run.
    """
    tool = next((tool for tool in offered if tool.name == call.name), None)
    if tool is None:
        names = ", ".join(tool.name for tool in offered)
        return Refuse("unknown_tool", f"there is no tool {call.name!r}; the tools are: {names}")
    try:
        validate_arguments(tool, call.arguments)
    except ToolRetry as problem:
        return Refuse("schema", str(problem))
    same = sum(1 for other in earlier_calls if signature(other) == signature(call))
    if same >= repeated_calls:
        return Refuse("repeated", f"{call.name} was already called with these arguments; use its result")
    for name, value in call.arguments.items():
        if known.get(name) != value and (words := _unknown_words(tool, name, value, trusted)):
            said = ", ".join(words)
            return Refuse("provenance", f"{name}: nobody has said {said}; ask the user for it", name)
    return Allow(tool)


def signature(call: ToolCall) -> str:
    """The same for two calls exactly when name and arguments are equal."""
    return f"{call.name} {json.dumps(call.arguments, sort_keys=True)}"


def _unknown_words(tool: Tool, name: str, value: JsonValue, trusted: TrustedText) -> tuple[str, ...]:
    """Words of an argument that trusted text lacks.

    Authority arguments: every word must be there. Content of a tool with an effect: everything with a digit
    or a capital must be, since an invented number or name in a ticket misleads the person who reads it.
    """
    schema = tool.spec.parameters["properties"][name]
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or "enum" in schema:
        return ()
    is_authority = name in tool.authority
    if not is_authority and tool.effect == "read":
        return ()
    spoken = {word.casefold() for word in _WORD.findall(trusted.everything())}
    words = _WORD.findall(str(value))
    if not is_authority:
        words = [w for i, w in enumerate(words) if any(c.isdigit() for c in w) or (i > 0 and w[0].isupper())]
    return tuple(word for word in words if word.casefold() not in spoken)
