"""The beginning of the support bot's prompts stays the same from turn to turn, or every turn computes it anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from agentkit.agent import Agent, Limits, Settings
from agentkit.agent.ranking import ToolPool
from agentkit.bot.config import load_config
from agentkit.intents import Binding, train
from agentkit.intents.examples import load_examples
from agentkit.messages import Message, ToolSpec
from agentkit.models.dialects import Dialect, HermesDialect, PlainDialect, encode
from agentkit.models.dialects.chat_template import transcript_wrapping
from agentkit.models.protocols import Delta, GenerationRequest
from agentkit.testing import ByteTokenizer, FixedClock, HashingEncoder, RandomGenerator
from agentkit.tools import StaticToolset, ToolContext
from tests.examples.shop_under_test import BOT, Shop

CODEC = ByteTokenizer()
ENCODER = HashingEncoder(256)
DIALECTS: list[Dialect] = [
    HermesDialect(),
    PlainDialect(transcript_wrapping(), end_tokens=("<|im_end|>",)),
]
# Messages of the bot's own examples; the tools of both intents leave something to write.
PROBLEMS = (
    "One leg of the chair is broken. Order 1096.",
    "you sent me the wrong lamp",
    "screws are missing from the box",
)
# Without its flows: then a tool whose arguments are open is the generator's to call.
BOUND = {
    "report_problem": Binding(tools=("create_ticket",)),
    "change_address": Binding(tools=("change_delivery_address",)),
}
ADDRESS = "new address for 1168 please, 5 Mill Road, Cork, T12 AB34"


class Recording(RandomGenerator):
    """Keeps what it was asked, one list a turn."""

    turns: list[list[GenerationRequest]]

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        self.turns[-1].append(request)
        return super().generate(request)


def prompt(dialect: Dialect, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[int]:
    return encode(dialect.render(messages, tools), CODEC)


def conversation(folder: Path, shop: Shop, texts: Sequence[str]) -> list[list[GenerationRequest]]:
    """What the support bot's generator is asked in a conversation, turn by turn."""
    file = load_examples(BOT / "intents.yaml")
    config = load_config(BOT)
    vectors = ENCODER.encode([example.text for example in file.examples])
    generator = Recording(seed=2)
    generator.turns = []
    with Agent(
        generator=generator,
        encoder=ENCODER,
        tools=list(shop.tools.values()),
        database=folder / "agent.db",
        intents=train(file.examples, vectors, ENCODER.id),
        bindings={**file.bindings, **BOUND},
        settings=Settings(
            instructions=config.instructions,
            contact=config.contact,
            limits=Limits(tokens=150, prompt_tokens=20_000),
        ),
        now=FixedClock(shop.day),
    ) as agent:
        place = agent.new_conversation(user="ada.okafor")
        for text in texts:
            generator.turns.append([])
            agent.ask(text, user="ada.okafor", conversation=place)
    return generator.turns


def static_part(dialect: Dialect, request: GenerationRequest) -> list[int]:
    """System and tools, without what invites the model to write."""
    nothing = prompt(dialect, [], [])
    whole = prompt(dialect, request.messages[:1], request.tools)
    return whole[: len(whole) - len(nothing)] if nothing else whole


def test_every_prompt_of_an_intent_begins_with_all_of_the_one_before(shop: Shop, tmp_path: Path) -> None:
    turns = conversation(tmp_path, shop, PROBLEMS)
    assert all(turns), "the generator has to be asked in every turn"
    for dialect in DIALECTS:
        check(dialect, turns)


def check(dialect: Dialect, turns: Sequence[Sequence[GenerationRequest]]) -> None:
    static = static_part(dialect, turns[0][0])
    assert len(static) > 200
    before: list[int] = []
    for requests in turns:
        for number, request in enumerate(requests):
            ids = prompt(dialect, request.messages, request.tools)
            assert ids[: len(static)] == static
            assert ids[: len(before)] == before, "what was computed for the last prompt cannot be used again"
            if number == 0:
                before = ids
    assert len(before) > len(static) + 300


def test_the_static_part_of_an_intent_is_the_same_after_another_one(shop: Shop, tmp_path: Path) -> None:
    dialect = DIALECTS[0]
    turns = conversation(tmp_path, shop, (PROBLEMS[0], ADDRESS, PROBLEMS[1]))
    first, other, again = (turn[0] for turn in turns)
    assert [tool.name for tool in first.tools] == [tool.name for tool in again.tools] == ["create_ticket"]
    assert [tool.name for tool in other.tools] == ["change_delivery_address"]
    assert static_part(dialect, first) == static_part(dialect, again) != static_part(dialect, other)
    # Also the history is written the same way, whichever intent reads it.
    assert again.messages[: len(other.messages)] == other.messages


def test_the_tools_of_a_message_without_intents_come_in_one_order(shop: Shop) -> None:
    pool = ToolPool(StaticToolset(list(shop.tools.values())), ENCODER)
    ranking = pool.prepared(ToolContext(user_id="ann"))
    orders = [tool.name for tool in ranking.tools]
    for text in (*PROBLEMS, ADDRESS):
        ranked = ranking.rank(ENCODER.encode([text])[0])
        names = [tool.name for tool in ranking.for_prompt(ranked, 6)]
        assert names == [name for name in orders if name in names]
        assert [tool.name for tool in ranking.for_prompt(ranked, len(orders))] == orders
