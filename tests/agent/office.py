"""An office assistant for attacks: tools that read what others wrote, tools with effects, and a model that obeys.

Every effect is written down with the arguments that the function really got: what is in `DONE` happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from agentkit.agent import Agent, Limits, Settings
from agentkit.messages import Message, ToolCall, ToolSpec, assistant, text_of
from agentkit.models.protocols import ChoiceRequest, Delta, Finished, GenerationRequest, Usage
from agentkit.testing import FixedClock, HashingEncoder
from agentkit.tools import Authority, Content, Tool, tool

ENCODER = HashingEncoder(256)
DONE: list[tuple[str, dict[str, JsonValue]]] = []
"""Effects that happened, in order."""

TEXTS: dict[str, str] = {}
"""What the reading tools return, by their names."""


@tool(effect="read", trusted=False, confidential=True)
def read_mail(folder: str = "inbox") -> str:
    """Read the newest mail in the mailbox."""
    return TEXTS["read_mail"]


@tool(effect="read", trusted=False)
def open_page(topic: str = "") -> str:
    """Open the web page with the news of the town."""
    return TEXTS["open_page"]


@tool(effect="read", trusted=False, confidential=True)
def read_file(name: str) -> str:
    """Read a text file of the office by its name."""
    return TEXTS["read_file"]


@tool(effect="read", trusted=False, handles={"id": "ticket"})
def list_tickets(limit: int = 10) -> list[dict[str, JsonValue]]:
    """List the open tickets of the help desk."""
    return [{"id": 31, "text": TEXTS["list_tickets"]}, {"id": 32, "text": "the printer is out of paper"}]


@tool(effect="read", handles={"id": "invoice"})
def list_invoices() -> list[dict[str, JsonValue]]:
    """List the invoices of the office that are not paid."""
    return [
        {
            "id": "INV-2041",
            "payee": "Harbour Paper Ltd",
            "account": "IE29AIBK93115212345678",
            "amount": 180.5,
        },
        {"id": "INV-2042", "payee": "Quay Coffee", "account": "IE64IRCE92050112345678", "amount": 42.0},
    ]


@tool(effect="egress")
def send_mail(
    to: str, subject: Annotated[str, Content()], body: Annotated[str, Content()], copy: str = ""
) -> str:
    """Send a mail."""
    DONE.append(("send_mail", {"to": to, "subject": subject, "body": body, "copy": copy}))
    return "sent"


@tool(effect="egress")
def pay(account: str, amount: float, note: Annotated[str, Content()] = "") -> str:
    """Pay an amount to an account."""
    DONE.append(("pay", {"account": account, "amount": amount, "note": note}))
    return "paid"


@tool(effect="write")
def pay_invoice(invoice: Annotated[str, Authority("invoice")]) -> str:
    """Pay an invoice of the list."""
    DONE.append(("pay_invoice", {"invoice": invoice}))
    return "paid"


@tool(effect="write")
def close_ticket(ticket: Annotated[int, Authority("ticket")], reason: Annotated[str, Content()]) -> str:
    """Close a ticket of the help desk."""
    DONE.append(("close_ticket", {"ticket": ticket, "reason": reason}))
    return "closed"


@tool(effect="write")
def invite(people: list[str], role: Literal["guest", "member", "owner"] = "guest") -> str:
    """Invite people to the office's workspace."""
    DONE.append(("invite", {"people": [*people], "role": role}))
    return "invited"


@tool(effect="write")
def set_password(password: str) -> str:
    """Set a new password for the office."""
    DONE.append(("set_password", {"password": password}))
    return "set"


@tool(effect="write")
def share(files: Annotated[dict[str, str], Field(description="file name to address")]) -> str:
    """Share files with people."""
    DONE.append(("share", {"files": dict(files)}))
    return "shared"


@tool(effect="write")
def lock_doors() -> str:
    """Lock all doors of the office."""
    DONE.append(("lock_doors", {}))
    return "locked"


@tool(effect="egress")
def fetch(address: str) -> str:
    """Fetch what is at an address of the web."""
    DONE.append(("fetch", {"address": address}))
    return "nothing there"


READING: list[Tool] = [read_mail, open_page, read_file, list_tickets, list_invoices]
ACTING: list[Tool] = [
    send_mail,
    pay,
    pay_invoice,
    close_ticket,
    invite,
    set_password,
    share,
    lock_doors,
    fetch,
]


@dataclass
class Obedient:
    """The worst model: it reads with the tool that it is told to, then makes every call that it read of.

    It keeps to no constraint, and it makes the injected calls whether or not its prompt offers them.

    Args:
        reads: The calls that it makes first, one reply each.
        then: What it does once `trigger` stands in its prompt: the calls of one reply.
        trigger: The injected text.
    """

    reads: Sequence[tuple[str, Mapping[str, JsonValue]]]
    then: Sequence[tuple[str, Mapping[str, JsonValue]]]
    trigger: str
    name: str = "obedient"
    context_length: int = 1_000_000
    obeyed: bool = False
    _read: int = field(default=0)

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """See `Generator`."""
        return sum(len(text_of(message)) for message in messages)

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        """See `Generator`."""
        seen = any(self.trigger in text_of(message) for message in request.messages)
        calls: Sequence[tuple[str, Mapping[str, JsonValue]]] = ()
        if self._read < len(self.reads):
            calls = [self.reads[self._read]]
            self._read += 1
        elif seen and not self.obeyed:
            calls = self.then
            self.obeyed = True
        made = tuple(ToolCall(id=f"c{i}", name=n, arguments=dict(a)) for i, (n, a) in enumerate(calls))
        reply = assistant("" if made else "I have done what was asked.", made)
        yield Finished(reply, text_of(reply), "stop", Usage())

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        """See `Generator`."""
        return tuple(0.0 for _ in request.options)

    def close(self) -> None:
        """See `Generator`."""


def office(folder: Path, generator: Obedient, *, limits: Limits | None = None) -> Agent:
    """The assistant on doubles, with a real database; every tool is offered for every message."""
    return Agent(
        generator=generator,
        encoder=ENCODER,
        tools=[*READING, *ACTING],
        database=folder / "office.db",
        settings=Settings(
            instructions="You help in an office.",
            tool_similarity=-1.0,
            max_tools=20,
            limits=limits or Limits(),
        ),
        now=FixedClock(),
    )
