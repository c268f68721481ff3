"""What the bot can do. A function becomes a tool with `@tool`; its first parameter may ask for the context.

The docstring and the types are what the model reads. Try a tool without a model:
`agentkit tools call repair_status ticket=B107 --bot .`
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from agentkit import Authority, ToolContext, ToolFailed, tool

# Replace this by a look into your own system.
REPAIRS: dict[str, dict[str, str | None]] = {
    "B104": {"bicycle": "red city bike", "state": "ready", "price": "€45.00"},
    "B107": {"bicycle": "blue touring bike", "state": "in work", "price": "€89.00"},
    "B112": {"bicycle": "cargo bike", "state": "waiting for parts", "price": None},
}
CALLBACKS = Path(__file__).with_name("callbacks.jsonl")

# `Authority` marks a value that decides whom or what a call touches: it must have been said, not invented.
Ticket = Annotated[str, Field(pattern=r"^B\d{3}$", description="repair ticket such as B107"), Authority()]
Phone = Annotated[str, Field(pattern=r"^\+?\d[\d ]{6,15}\d$", description="phone number"), Authority()]


@tool(effect="read")
def repair_status(ticket: Ticket) -> dict[str, str | None]:
    """Whether a bicycle is ready, and what the repair costs."""
    repair = REPAIRS.get(ticket)
    if repair is None:
        # Said to the customer, and the model does not try again. `ToolRetry` would ask it to.
        raise ToolFailed(f"there is no repair with the ticket {ticket}")
    return {"ticket": ticket, **repair}


@tool(effect="write", idempotent=True)
def request_callback(
    context: ToolContext, phone: Phone, about: Literal["repair", "new bicycle", "invoice", "other"] = "other"
) -> dict[str, str]:
    """Have somebody of the workshop call the customer back."""
    request = {"id": context.call_id, "user": context.user_id, "phone": phone, "about": about}
    line = json.dumps(request)
    written = CALLBACKS.read_text(encoding="utf-8").splitlines() if CALLBACKS.exists() else []
    # The same call has the same id after a crash: that is what makes this tool idempotent.
    if line not in written:
        with CALLBACKS.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    return {"phone": phone, "about": about, "when": "within one working day"}
