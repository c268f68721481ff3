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


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ToolContext:
    """Who a call is made for, and what it may use. A tool asks for it with its first parameter.

    ::

        @tool
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


class Authority:
    """Marks an argument whose value decides whom or what an effect touches: a recipient, an id, an amount.

    ::

        order_id: Annotated[str, Field(pattern=r"^\\d{4}$"), Authority()]

    The agent only lets values through that occur in trusted text. The mark is part of the JSON Schema
    (`"x-agentkit-authority": true`); on a field inside an argument it marks the whole argument.
    """

    # A class method, so that `Authority` without parentheses is no silent loss of the mark.
    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core_schema), AUTHORITY_KEY: True}
