"""The values of a store about calls that wait for a person and about files that tools make; the others: `records`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import Field, JsonValue

from agentkit.errors import AwaitsApproval
from agentkit.events import ApprovalReason
from agentkit.messages import ToolCall, ToolEffect, Value

ApprovalStatus: TypeAlias = Literal["waiting", "approved", "changed", "rejected", "used"]
"""How far a request for approval came."""


class NewApproval(Value):
    """A call that a person has to agree to.

    Args:
        turn_id: The open turn that waits.
        call: The call with ids in place of handles: what the person is shown.
        effect: What its tool does to the world.
        reasons: Why a person has to agree.
        profile: What the application knew about the user when the call was written; the turn goes on with it.
    """

    turn_id: str
    call: ToolCall
    effect: ToolEffect
    reasons: tuple[ApprovalReason, ...]
    profile: dict[str, JsonValue] = Field(default_factory=dict)


class ApprovalRecord(Value):
    """A request for approval and what became of it.

    Args:
        id: Names it.
        tenant, user, conversation_id, turn_id: Whose it is.
        call: The call that the person is shown.
        hash: Over the tool and these arguments; an answer names it, so that nobody agrees to something else.
        effect: What the tool does to the world.
        reasons: Why a person has to agree.
        profile: What the application knew about the user.
        status: `waiting`; `approved`, `changed` or `rejected` once it is answered; `used` when the call has started.
        settled: The arguments that the call runs with; None until it may run.
        answered_by: Who answered.
        answer: What they said.
    """

    id: str
    tenant: str
    user: str
    conversation_id: str
    turn_id: str
    call: ToolCall
    hash: str
    effect: ToolEffect
    reasons: tuple[ApprovalReason, ...]
    profile: dict[str, JsonValue]
    status: ApprovalStatus
    settled: dict[str, JsonValue] | None
    answered_by: str
    answer: str
    created_at: datetime


def arguments_hash(tool: str, arguments: Mapping[str, JsonValue]) -> str:
    """SHA-256 over a tool's name and arguments; the order of names does not matter."""
    text = json.dumps([tool, dict(arguments)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def awaits_approval(conversation_id: str, approvals: Sequence[str], outcome: str) -> AwaitsApproval:
    """The error for a conversation whose open turn waits for a person.

    Args:
        conversation_id: The conversation.
        approvals: What is waited for.
        outcome: For the message: what became of what was wanted.
    """
    return AwaitsApproval(
        f"Conversation {conversation_id} waits for a person to decide. {outcome}",
        hint=f"Decide with Agent.approvals or `agentkit approvals`: {', '.join(approvals)}.",
        approvals=tuple(approvals),
    )


class FileRecord(Value):
    """A file that a tool made, named by the SHA-256 of its content."""

    hash: str
    name: str
    media_type: str
    created_at: datetime
    content: bytes
