"""The gate: every call passes it before it runs. One pure function; its rules come in a fixed order.

1. the tool exists, the arguments fit its schema          else the call is refused
2. this user is permitted                                 else refused
3. the budget of the turn allows it                       else refused
4. provenance: arguments that decide whom or what is touched come from trusted text (as whole tokens), from a
   handle that a tool issued, or are a choice that the tool's author wrote; links and addresses in content, too.
   What nobody has said is refused (the user is asked for it), what only text of unknown origin says is asked for
5. plan: once text of unknown origin was read, only what the user's own words led to acts unasked
6. confidentiality: what a tool keeps does not leave unasked once such text was read
7. the author's own rule (`approve=`)

Rules 4 to 7 end in a question to a person, all reasons together. Nothing here can be talked to: it is code, and a
model's opinion could only add a reason to ask.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pydantic import JsonValue

from agentkit.agent import provenance
from agentkit.agent.candidates import TrustedText
from agentkit.agent.provenance import Source
from agentkit.errors import ToolRetry
from agentkit.events import ApprovalReason, ArgumentOrigin
from agentkit.messages import ToolCall
from agentkit.tools import Tool, resolved, validate_arguments

RefusalRule: TypeAlias = Literal["unknown_tool", "schema", "permission", "budget", "repeated", "provenance"]
"""Which rule stopped a call for good."""

# What the function of an `approve=` rule may raise; the call is then asked for.
_AUTHOR_ERRORS: Final = (
    ArithmeticError, AttributeError, LookupError, NameError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Situation:
    """What was known and read when a call was written.

    Args:
        trusted: Texts and handles that authority arguments may come from.
        known: Arguments that the user settled in an earlier turn.
        untrusted: Texts of unknown origin that were read.
        planned: Tools that the user's own words led to, before any such text was read; None: nobody
            planned.
        is_certain: The author of the bot bound the user's intent to these tools; otherwise they are only near in
            meaning, or a plan is not known.
        confidential: Texts that must not leave unasked.
        permissions: What the user is permitted to do.
        earlier_calls: Calls of this turn that ran already.
        repeated_calls: How often one call with the same arguments may run.
        calls_left: How many more calls the turn may make.
        approve: Names of tools, or effects, that the bot's settings always ask for.
        rules: Why rules of the business want a person to agree, in words for that person.
    """

    trusted: TrustedText
    known: Mapping[str, JsonValue] = field(default_factory=dict)
    untrusted: Sequence[Source] = ()
    planned: AbstractSet[str] | None = None
    is_certain: bool = False
    confidential: Sequence[Source] = ()
    permissions: AbstractSet[str] = frozenset()
    earlier_calls: Sequence[ToolCall] = ()
    repeated_calls: int = 1
    calls_left: int = 1
    approve: AbstractSet[str] = frozenset()
    rules: Sequence[str] = ()


@dataclass(frozen=True)
class Allow:
    """The call may run.

    Args:
        tool: The tool.
        call: The call with ids in place of handles.
        origins: Where its authority arguments come from.
    """

    tool: Tool
    call: ToolCall
    origins: tuple[ArgumentOrigin, ...] = ()


@dataclass(frozen=True)
class Ask:
    """The call may run if a person agrees to it; see `Allow` for the rest.

    Args:
        reasons: Why a person has to agree.
    """

    tool: Tool
    call: ToolCall
    origins: tuple[ArgumentOrigin, ...]
    reasons: tuple[ApprovalReason, ...]


@dataclass(frozen=True)
class Refuse:
    """The call may not run.

    Args:
        rule: Which rule stopped it.
        reason: For the model and the trace: what to do instead.
        argument: The argument that nobody has named, when the rule is `provenance`.
        settled: Arguments of the call that passed, when the rule is `provenance`.
    """

    rule: RefusalRule
    reason: str
    argument: str | None = None
    settled: Mapping[str, JsonValue] = field(default_factory=dict)


Verdict: TypeAlias = Allow | Ask | Refuse


def gate(call: ToolCall, offered: Sequence[Tool], situation: Situation) -> Verdict:
    """Decide whether a call may run, may run if a person agrees, or may not run.

    Args:
        call: What the generator wrote.
        offered: The tools of this step.
        situation: What was known and read.
    """
    # 1. It exists and fits its schema. Handles become ids first: the schema describes ids.
    tool = next((tool for tool in offered if tool.name == call.name), None)
    if tool is None:
        names = ", ".join(tool.name for tool in offered)
        return Refuse("unknown_tool", f"there is no tool {call.name!r}; the tools are: {names}")
    written = call
    call = _with_ids(call, tool, situation.trusted)
    try:
        validate_arguments(tool, call.arguments)
    except ToolRetry as problem:
        return Refuse("schema", str(problem))
    # 2. This user may.
    if tool.permission and tool.permission not in situation.permissions:
        return Refuse("permission", f"this user is not permitted to {tool.permission}")
    # 3. The budget of the turn.
    if situation.calls_left < 1:
        return Refuse("budget", "the calls of this turn are used up")
    same = sum(1 for other in situation.earlier_calls if signature(other) == signature(written))
    if same >= situation.repeated_calls:
        return Refuse("repeated", f"{call.name} was already called with these arguments; use its result")
    # 4. Where the arguments come from.
    reasons: list[ApprovalReason] = []
    origins: list[ArgumentOrigin] = []
    invented: list[tuple[str, str]] = []
    for name, value in call.arguments.items():
        found = provenance.origin_of(tool, name, value, situation)
        origins.append(ArgumentOrigin(argument=name, origin=found.origin))
        if found.invented:
            invented.append((name, found.said))
        elif found.doubtful:
            text = f"{name}: only {found.origin} says {found.said}"
            reasons.append(ApprovalReason(rule="provenance", argument=name, text=text))
    if invented:
        name, said = invented[0]
        bad = {name for name, _ in invented} | {reason.argument for reason in reasons}
        settled = {k: v for k, v in call.arguments.items() if k in tool.guarded and k not in bad}
        return Refuse("provenance", f"{name}: nobody has said {said}; ask the user for it", name, settled)
    # 5. to 7. What was read before, what would leave, and the author's own rule.
    reasons += [
        *_unplanned(tool, origins, situation),
        *_leaking(tool, call, situation),
        *_ruled(tool, call, situation),
    ]
    if reasons:
        return Ask(tool, call, tuple(origins), tuple(reasons))
    return Allow(tool, call, tuple(origins))


def signature(call: ToolCall) -> str:
    """The same for two calls exactly when name and arguments are equal."""
    return f"{call.name} {json.dumps(call.arguments, sort_keys=True)}"


def _with_ids(call: ToolCall, tool: Tool, trusted: TrustedText) -> ToolCall:
    kinds = {name: kind for name in call.arguments if (kind := tool.kind_of(name))}
    if not kinds:
        return call
    of_kind = {name: resolved(call.arguments[name], kind, trusted.issued) for name, kind in kinds.items()}
    return call.model_copy(update={"arguments": call.arguments | of_kind})


def _unplanned(tool: Tool, origins: Sequence[ArgumentOrigin], situation: Situation) -> list[ApprovalReason]:
    """Whether text of unknown origin may have been what led to an effect.

    Unless the plan is certain, a call must also hold something that the user or a trusted tool said: to choose among
    handles, or to write content, is not enough.
    """
    if tool.effect == "read" or not situation.untrusted:
        return []
    is_planned = situation.planned is None or tool.name in situation.planned
    is_tied = any(each.origin.startswith(("user", "tool:", "settled")) for each in origins)
    if is_planned and (is_tied or situation.is_certain):
        return []
    read = provenance.listed(situation.untrusted)
    text = f"the user's words did not lead to {tool.name}, and {read} was read before it was called"
    return [ApprovalReason(rule="plan", text=text)]


def _leaking(tool: Tool, call: ToolCall, situation: Situation) -> list[ApprovalReason]:
    """Whether something confidential would leave after text of unknown origin was read."""
    if tool.effect != "egress" or not situation.untrusted:
        return []
    # Authority arguments have their own rule: an id is not said, it is acted on.
    said = {name: value for name, value in call.arguments.items() if name not in tool.guarded}
    found = provenance.quotation(said, situation.confidential, situation.trusted.current)
    if found is None:
        return []
    argument, source = found
    text = f"{argument}: quotes {source.origin}, which is confidential"
    return [ApprovalReason(rule="confidentiality", argument=argument, text=text)]


def _ruled(tool: Tool, call: ToolCall, situation: Situation) -> list[ApprovalReason]:
    if situation.rules:
        return [ApprovalReason(rule="approve", text=text) for text in situation.rules]
    if tool.name in situation.approve or tool.effect in situation.approve:
        return [ApprovalReason(rule="approve", text=f"the bot's settings ask for every {tool.name}")]
    said = _author_says(tool, dict(call.arguments))
    if said is False:
        return []
    text = said if isinstance(said, str) else f"{tool.name} asks for it"
    return [ApprovalReason(rule="approve", text=text)]


def _author_says(tool: Tool, arguments: dict[str, Any]) -> bool | str:
    if not callable(tool.approve):
        return tool.approve
    try:
        return tool.approve(arguments) or False
    except _AUTHOR_ERRORS as problem:
        return f"its own rule failed ({type(problem).__name__})"
