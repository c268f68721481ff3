"""What was written and called, what was checked about it, and what a person decided."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from agentkit.events.base import EventValue
from agentkit.messages import CallStatus, ToolCall, ToolEffect, ToolResult, Value


class ToolsOffered(EventValue):
    """The few tools that entered the prompt and the constraint of this step."""

    type: Literal["tools_offered"] = "tools_offered"
    names: tuple[str, ...]


class GenerationFinished(EventValue):
    """One generation step.

    Args:
        text: What the generator wrote, raw.
        calls: The calls parsed from it; they run only if `finish` is `stop`.
        finish: Why it ended.
        prompt_tokens: Length of the prompt.
        cached_tokens: How many of those were not computed again.
        generated_tokens: Tokens written.
        forced_tokens: How many of the written ones the constraint forced.
        forward_passes: Forward passes for all of it, prompt included.
    """

    type: Literal["generation_finished"] = "generation_finished"
    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    forced_tokens: int = 0
    forward_passes: int = 0


class GroundingChecked(EventValue):
    """A generated reply was compared with its evidence; `unsupported` are the words that it must not say."""

    type: Literal["grounding_checked"] = "grounding_checked"
    supported: bool
    unsupported: tuple[str, ...] = ()


class ToolCallStarted(EventValue):
    """The gate let a call through; for a tool with an effect its journal row is durable."""

    type: Literal["tool_call_started"] = "tool_call_started"
    call: ToolCall
    effect: ToolEffect


class ToolCallFinished(EventValue):
    """A call has its result; `replayed` when it was read from the journal after a crash."""

    type: Literal["tool_call_finished"] = "tool_call_finished"
    result: ToolResult
    status: CallStatus
    replayed: bool = False


class ToolProgress(EventValue):
    """What a running tool told of itself: how far it is, or what it found so far."""

    type: Literal["tool_progress"] = "tool_progress"
    call_id: str
    name: str
    text: str


class ArgumentAsked(EventValue):
    """A tool needs a value that nobody has given: the reply asks the user for it, and the next turn goes on.

    Args:
        tool: The tool.
        argument: The argument that is missing.
        intent: The intent that led to the tool.
        known: Arguments that are settled already.
    """

    type: Literal["argument_asked"] = "argument_asked"
    tool: str
    argument: str
    intent: str | None = None
    known: dict[str, JsonValue] = Field(default_factory=dict)


class ArgumentOrigin(Value):
    """Where the value of an argument comes from: `user`, `tool:NAME`, `handle order#7`, `choice`, `settled` in an
    earlier question, `content` in the model's own words, or the text of unknown origin that says it."""

    argument: str
    origin: str


class ApprovalReason(Value):
    """Why a person has to agree to a call.

    Args:
        rule: The rule of the gate.
        text: What it found, for the person who decides.
        argument: The argument that it is about, if it is about one.
    """

    rule: Literal["provenance", "plan", "confidentiality", "approve"]
    text: str
    argument: str | None = None


class CallChecked(EventValue):
    """The gate looked at a call and let it through, or stopped it until a person agrees.

    Args:
        call: The call with ids in place of handles.
        effect: What its tool does to the world.
        origins: Where its arguments come from.
        reasons: Why a person has to agree; empty: nobody has to.
    """

    type: Literal["call_checked"] = "call_checked"
    call: ToolCall
    effect: ToolEffect
    origins: tuple[ArgumentOrigin, ...] = ()
    reasons: tuple[ApprovalReason, ...] = ()


class ApprovalRequested(EventValue):
    """A call waits for a person; the request is durable. `call` holds the exact arguments."""

    type: Literal["approval_requested"] = "approval_requested"
    approval_id: str
    call: ToolCall
    effect: ToolEffect
    reasons: tuple[ApprovalReason, ...]


class ApprovalAnswered(EventValue):
    """A person decided about a call.

    Args:
        approval_id: The request.
        decision: What was decided.
        by: Who decided.
        reason: What they said about it.
        arguments: What the call runs with, if it runs.
    """

    type: Literal["approval_answered"] = "approval_answered"
    approval_id: str
    decision: Literal["approved", "rejected", "changed"]
    by: str
    reason: str = ""
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class CallRefused(EventValue):
    """The gate stopped a call before it ran."""

    type: Literal["call_refused"] = "call_refused"
    call: ToolCall
    rule: Literal[
        "unknown_tool", "schema", "permission", "budget", "repeated", "provenance", "rejected", "limit"
    ]
    reason: str
