"""A kiosk with a few tools and flows, and somebody who talks to its dialogue machine in commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, JsonValue

from agentkit.commands import Command
from agentkit.errors import ToolFailed
from agentkit.events import Event
from agentkit.service.book import FlowBook
from agentkit.service.dialogue import Dialogue
from agentkit.service.loading import load_flows
from agentkit.service.moves import AskKnowledge, CallTool, Chat, Move, Outcome
from agentkit.service.state import DialogueState, loaded_state
from agentkit.tools import Authority, Content, Tool, tool

FLOWS: Final = Path(__file__).parent / "flows"
ORDERS: Final[Mapping[str, str]] = {
    "1042": "open",
    "1043": "open",
    "1044": "shipped",
    "1045": "cancelled",
}

OrderId = Annotated[str, Field(pattern=r"^\d{4}$"), Authority()]


@tool(effect="read")
def look_up_order(order_id: OrderId) -> dict[str, str]:
    """What an order is."""
    if order_id not in ORDERS:
        raise ToolFailed(f"there is no order {order_id}")
    return {"state": ORDERS[order_id], "total": f"€{int(order_id) - 1000}"}


@tool(effect="write", idempotent=True)
def cancel_order(order_id: OrderId) -> dict[str, str]:
    """Cancel an order."""
    return {"refund": f"€{int(order_id) - 1000}"}


@tool(effect="egress")
def send_gift(
    email: Annotated[str, Authority()],
    amount: Annotated[float, Authority()],
    wrapped: bool,
    text: Annotated[str, Content()] = "",
) -> str:
    """Send a gift."""
    if "nobody" in email:
        raise ToolFailed("the address does not exist")
    return f"sent {amount:g} to {email}"


@tool(effect="read")
def free_seats() -> dict[str, list[str]]:
    """Which seats are free."""
    return {"seats": ["A1", "B2"]}


TOOLS: Final[Sequence[Tool]] = (look_up_order, cancel_order, send_gift, free_seats)


def kiosk(folder: Path = FLOWS, **settings: str) -> FlowBook:
    """The kiosk's flows."""
    return load_flows(folder, TOOLS, intents=["cancel", "gift", "track"], **settings)


class Talk:
    """A conversation in commands; the tools answer by themselves unless an outcome was put for them.

    Args:
        book: The flows.
        profile: What is known of the user.
    """

    def __init__(self, book: FlowBook, profile: Mapping[str, JsonValue] | None = None) -> None:
        self.book = book
        self.state = DialogueState()
        self.outcomes: dict[str, list[Outcome]] = {}
        self.calls: list[CallTool] = []
        self.events: list[Event] = []
        self.move: Move | None = None
        self.lines: list[str] = []
        self._profile = profile or {}
        self._last = ""
        self._turn = 0

    def say(self, *commands: Command) -> str:
        """One message; what the bot says, its texts in lines."""
        self._turn += 1
        before = self.state.model_dump_json()
        dialogue = Dialogue(
            self.book,
            self.state,
            profile=self._profile,
            today=date(2026, 11, 27),
            seed=str(self._turn),
            last=self._last,
        )
        move = dialogue.take(commands)
        while True:
            match move:
                case CallTool():
                    self.calls.append(move)
                    move = dialogue.take_outcome(self._outcome(move))
                case AskKnowledge(text=text):
                    move = dialogue.take_said(f"(knowledge: {text})")
                case Chat(intent=intent):
                    move = dialogue.take_said(f"(chat: {intent})")
                case _:
                    break
        assert self.state.model_dump_json() == before, "the machine changed the state that it was given"
        self.move = move
        self.state = loaded_state(dialogue.state.dumped())
        assert self.state == dialogue.state, "the state does not survive being stored"
        self._last = "\n".join(said.text for said in dialogue.said)
        new = dialogue.new_events()
        self.events += new
        self._note(commands, new)
        return self._last

    def _outcome(self, call: CallTool) -> Outcome:
        waiting = self.outcomes.get(call.tool)
        if waiting:
            return waiting.pop(0)
        made = next(each for each in TOOLS if each.name == call.tool)
        try:
            found: JsonValue = made.function(**call.arguments)
        except ToolFailed as problem:
            return Outcome("cannot", text=str(problem))
        return Outcome("ok", value=found)

    def _note(self, commands: Sequence[Command], events: Sequence[Event]) -> None:
        said = ", ".join(
            f"{each.type}({', '.join(f'{v}' for k, v in each if k not in ('type', 'said') and v)})"
            for each in commands
        )
        self.lines.append(f"> {said or 'nothing'}")
        for event in events:
            values = ", ".join(
                f"{k}={v!r}" for k, v in event if k not in ("type", "milliseconds") and v not in (None, False)
            )
            self.lines.append(f"  [{event.type} {values}]")
        self.lines += [f"  {line}" for line in self._last.splitlines()]
        assert self.move is not None
        self.lines.append(f"  = {type(self.move).__name__}")
