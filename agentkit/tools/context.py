"""What a tool is told about the call it serves, and the marker for arguments that carry authority."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import GetJsonSchemaHandler, JsonValue

AUTHORITY_KEY: Final = "x-agentkit-authority"
"""Key that `Authority` leaves in the JSON Schema of an argument."""

KIND_KEY: Final = "x-agentkit-handle"
"""Key beside it: the kind of handle that may stand for the argument."""

CONTENT_KEY: Final = "x-agentkit-content"
"""Key that `Content` leaves in the JSON Schema of an argument."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _nobody_listens(text: str) -> None:
    """Where a call is made without an agent, progress goes nowhere."""


@dataclass(frozen=True)
class ToolContext:
    """Who a call is made for, and what it may use. A tool asks for it with its first parameter.

    ::

        @tool(effect="read")
        def list_orders(context: ToolContext, limit: int = 5) -> list[Order]: ...

    Args:
        user_id: The signed-in user whom the agent serves. Never take an identity from an argument.
        tenant: The organisation whose data this is; empty where there is only one.
        conversation_id: The conversation.
        turn_id: The turn.
        call_id: This call. The same after a crash, so it serves as the idempotency key of an effect.
        now: The clock: returns the present as an aware datetime. Use it instead of `datetime.now`.
        services: What the agent lends to tools by name, for example `memory` (see `agentkit.tools.services`).
        profile: What the application knows about the user, as JSON.
        progress: Takes what `report` is told.
        cancelled: Set when nobody waits for this call any more (timeout, Ctrl-C): long work should look at it
            and stop. It belongs to this one call.
    """

    user_id: str
    tenant: str = ""
    conversation_id: str = ""
    turn_id: str = ""
    call_id: str = ""
    now: Callable[[], datetime] = _utc_now
    services: Mapping[str, object] = field(default_factory=dict)
    profile: Mapping[str, JsonValue] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[str], None] = _nobody_listens

    @property
    def idempotency_key(self) -> str:
        """The same for a call whenever it is repeated, after a crash or an error, and for no other call."""
        return f"{self.conversation_id}/{self.call_id}"

    def report(self, text: str) -> None:
        """Tell whoever watches how far the call has come, or what was found so far; it becomes an event."""
        self.progress(text)


class Authority:
    """Marks an argument whose value decides whom or what an effect touches: a recipient, an id, an amount.

    ::

        order_id: Annotated[str, Field(pattern=r"^\\d{4}$"), Authority("order")]

    The agent only lets values through that occur in trusted text, or that a tool issued as handles of this kind. The
    mark is part of the JSON Schema (`"x-agentkit-authority": true`); on a field inside an argument it marks the whole
    argument. `Authority` without parentheses marks, too.

    Args:
        kind: Kind of the handles that may stand for the value, as tools issue them (`@tool(handles={"id": "order"})`).
    """

    def __init__(self, kind: str = "") -> None:
        self._keys = {AUTHORITY_KEY: True, **({KIND_KEY: kind} if kind else {})}
        # pydantic asks the marker, which is this object or, without parentheses, the class.
        self.__get_pydantic_json_schema__ = self._annotate  # type: ignore[method-assign]

    def _annotate(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core_schema), **self._keys}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core_schema), AUTHORITY_KEY: True}


class Content:
    """Marks an argument that is only said, not acted on: the text of a ticket, a mail, a note.

    Every argument of a tool with an effect that is neither content nor a choice among fixed values counts as
    `Authority`. Content may be in the model's own words, but names, numbers, links and addresses in it must have been
    said by somebody.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core_schema), CONTENT_KEY: True}
