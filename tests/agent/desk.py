"""A small agent on doubles: a scripted generator, an encoder without weights, a real database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agentkit.agent import Agent, Limits, Settings
from agentkit.events import Event
from agentkit.intents import Binding, IntentExample, IntentModel, train
from agentkit.knowledge import KnowledgeIndex
from agentkit.models.protocols import Generator
from agentkit.store import SqliteStore
from agentkit.testing import FixedClock, HashingEncoder, ScriptedGenerator, ScriptStep
from agentkit.tools import Tool
from tests.agent.shop_tools import cancel_order, change_address, create_ticket, list_orders, track_parcel

ENCODER = HashingEncoder(256)
TOOLS: list[Tool] = [track_parcel, list_orders, cancel_order, change_address, create_ticket]
BINDINGS: Mapping[str, Binding] = {
    "track": Binding(description="Where an order is.", tools=("track_parcel", "list_orders")),
    "cancel": Binding(description="Cancel an order.", tools=("cancel_order",)),
    "move": Binding(description="Another address.", tools=("change_address",)),
    "ticket": Binding(description="Something is broken.", tools=("create_ticket",)),
    "thanks": Binding(description="Thanks.", answer="You are welcome, {{ profile.get('name', 'friend') }}."),
    "person": Binding(description="A person.", hand_off=True),
    "rules": Binding(description="Rules of the shop.", knowledge=True),
}
EXAMPLES: Mapping[str | None, Sequence[str]] = {
    "track": [
        "where is my order 1042",
        "track my parcel please",
        "where is my parcel",
        "parcel tracking status",
    ],
    "cancel": ["cancel my order 1042", "please cancel the order", "I want to cancel an order", "cancel it"],
    "move": ["change the address of my order", "send it to another street", "new delivery address for 1042"],
    "ticket": ["the table is broken", "my lamp arrived damaged", "it has a scratch, it is damaged"],
    "thanks": ["thank you", "thanks a lot", "many thanks to you"],
    "person": ["I want to talk to a human", "let me speak to a person", "get me a human agent"],
    "rules": ["what are the rules for returns", "how long does the warranty last", "rules of the warranty"],
    None: ["what is the weather like", "tell me a joke", "who won the football match", "write a poem"],
}


def intents() -> IntentModel:
    examples = [IntentExample(text, intent) for intent, texts in EXAMPLES.items() for text in texts]
    return train(examples, ENCODER.encode([example.text for example in examples]), ENCODER.id)


def desk(
    folder: Path,
    steps: Sequence[ScriptStep] = (),
    *,
    generator: Generator | None = None,
    tools: Sequence[Tool] = TOOLS,
    bound: bool = True,
    limits: Limits | None = None,
    reply_folder: Path | None = None,
    approve: tuple[str, ...] = (),
    documents: Path | None = None,
) -> Agent:
    """An agent whose generator plays `steps`; without `bound` it has no intents, without `documents` no knowledge."""
    settings = Settings(
        instructions="You are a shop.", contact="call 020", limits=limits or Limits(), approve=approve
    )
    return Agent(
        generator=generator or ScriptedGenerator(steps),
        encoder=ENCODER,
        tools=tools,
        database=folder / "agent.db",
        intents=intents() if bound else None,
        bindings=BINDINGS if bound else None,
        settings=settings,
        reply_folder=reply_folder,
        knowledge=knowledge(documents) if documents else None,
        now=FixedClock(),
    )


def knowledge(documents: Path) -> KnowledgeIndex:
    """The documents of a folder, in a database of their own."""
    index = KnowledgeIndex(SqliteStore.open(documents.parent / "knowledge.db").knowledge("shop"), ENCODER)
    index.sync([documents])
    return index


def tell(events: Sequence[Event]) -> str:
    """The events as a transcript that a reviewer can read: one line each, without times and ids."""
    hidden = {
        "milliseconds",
        "conversation_id",
        "turn_id",
        "hand_off_id",
        "ranking",
        "prompt_tokens",
        "generated_tokens",
    }
    lines = []
    for event in events:
        values = event.model_dump(exclude=hidden | {"type"}, exclude_defaults=True, mode="json")
        lines.append(" ".join([event.type, *(f"{name}={_plain(value)}" for name, value in values.items())]))
    return "\n".join(lines)


def _plain(value: object) -> str:
    match value:
        case float():
            return "…"
        case {"id": _, "name": name, **rest}:
            return f"{name}({rest.get('arguments', {})})"
        case {"call_id": _, "name": name, "parts": [{"text": text, "trust": trust}]}:
            return f"{name} -> {text!r} [{trust}]"
        case {"document": document, "heading": heading}:
            return f"{document}#{heading}"
        case [*values]:
            return "[" + ", ".join(_plain(each) for each in values) + "]"
        case _:
            return repr(value)
