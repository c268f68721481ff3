"""What leaves the window of a conversation is summarised in the prompt, and can still be recalled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from agentkit.agent import Agent, Limits, Settings
from agentkit.events import MemoriesRecalled
from agentkit.messages import Message, ToolCall, User, assistant, text_of, tool_result, unanswered_calls, user
from agentkit.models.protocols import Delta, GenerationRequest, JsonSchema
from agentkit.store.protocol import UserStore
from agentkit.store.sqlite_store import SqliteStore
from agentkit.testing import Calls, FixedClock, RandomGenerator, Says, ScriptedGenerator
from agentkit.tools import tool
from tests.agent.desk import ENCODER

CALL = "where is my parcel, number {}"


@tool(effect="read")
def track_parcel(number: str) -> str:
    """Track a parcel: where is my parcel."""
    return f"Parcel {number} arrives on 27 November."


class Recording(RandomGenerator):
    """Keeps what it was asked."""

    asked: list[GenerationRequest]

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        self.asked.append(request)
        return super().generate(request)


def agent_with(folder: Path, generator: RandomGenerator | ScriptedGenerator, settings: Settings) -> Agent:
    return Agent(
        generator=generator,
        encoder=ENCODER,
        tools=[track_parcel],
        database=folder / "agent.db",
        settings=settings,
        now=FixedClock(),
    )


def spoken(store: UserStore, conversation: str, number: int) -> None:
    """A committed turn with a call."""
    turn = store.begin_turn(conversation, user(f"Where is my parcel, number {number}? I am in a hurry."))
    call = ToolCall(id=f"call-{number}", name="track_parcel", arguments={"number": str(number)})
    store.record_step(turn.id, 0, assistant(calls=[call]))
    store.record_step(turn.id, 1, tool_result(call, f"Parcel {number} is in Cork. " + "x" * 300))
    reply = assistant(f"We will bring parcel {number} on Friday.")
    store.commit_turn(turn.id, reply=reply, events=(), memories=(), status="done")


def prompts_of(folder: Path, before: int, turns: int, settings: Settings) -> list[tuple[Message, ...]]:
    """The prompts of some turns in a conversation that has had others before."""
    with SqliteStore.open(folder / "agent.db", clock=FixedClock()) as store:
        ada = store.for_user("default", "ada")
        conversation = ada.new_conversation()
        for number in range(before):
            spoken(ada, conversation, 1000 + number)
    generator = Recording(seed=1)
    generator.asked = []
    with agent_with(folder, generator, settings) as agent:
        for number in range(turns):
            agent.ask(CALL.format(2000 + number), user="ada", conversation=conversation)
    return [tuple(request.messages) for request in generator.asked]


def test_the_prompt_begins_with_a_summary_of_what_left_it(tmp_path: Path) -> None:
    first = prompts_of(tmp_path, before=20, turns=1, settings=Settings(history_turns=6))[0]
    opening = first[1]
    assert isinstance(opening, User)
    assert len(opening.parts) == 2
    summary = opening.parts[0].text
    assert summary.startswith("Earlier in this conversation:\n")
    said = " ".join(text_of(message) for message in first)
    for number in range(1000, 1020):
        assert str(number) in said
        assert f"We will bring parcel {number} on Friday." in said
    assert opening.parts[0].trust == "tool"  # results of tools are among its sources
    assert unanswered_calls(first) == ()


def test_the_beginning_of_the_prompt_stays_while_the_window_does(tmp_path: Path) -> None:
    prompts = prompts_of(tmp_path, before=12, turns=9, settings=Settings(history_turns=6))
    openings = [prompt[:2] for prompt in prompts]
    assert 1 < len(set(map(str, openings))) <= 4


def test_a_short_conversation_has_no_summary(tmp_path: Path) -> None:
    [first, *_] = prompts_of(tmp_path, before=5, turns=1, settings=Settings(history_turns=6))
    assert "Earlier in this conversation" not in str(first)


def test_summaries_are_kept_and_made_once(tmp_path: Path) -> None:
    roomy = Settings(history_turns=6, limits=Limits(prompt_tokens=50_000))
    prompts_of(tmp_path, before=20, turns=1, settings=roomy)
    with SqliteStore.open(tmp_path / "agent.db") as store:
        ada = store.for_user("default", "ada")
        [conversation] = ada.conversations()
        found = [ada.summary(conversation.id, through) for through in range(30)]
        kept = {each.through for each in found if each is not None}
        assert len(kept) == 1
        assert ada.erase().erased.summaries == 1


def test_results_of_tools_are_shortened_before_turns_leave(tmp_path: Path) -> None:
    settings = Settings(history_turns=12)
    whole = prompts_of(tmp_path / "a", before=4, turns=1, settings=settings)[0]
    generator = Recording(seed=1)
    room = generator.count_tokens(whole, [track_parcel.spec]) - 200
    narrow = settings.model_copy(
        update={"limits": settings.limits.model_copy(update={"prompt_tokens": room})}
    )
    short = prompts_of(tmp_path / "b", before=4, turns=1, settings=narrow)[0]
    assert len(short) == len(whole)
    assert "characters left out]" in str(short)
    assert "Earlier in this conversation" not in str(short)


def test_what_left_the_window_can_be_recalled_in_the_same_conversation(tmp_path: Path) -> None:
    generator = Recording(seed=1)
    generator.asked = []
    with agent_with(tmp_path, generator, Settings(history_turns=3)) as agent:
        conversation = agent.new_conversation(user="ada")
        texts = [
            "My sofa is the grey velvet one",
            *(f"tell me about the number {n} please" for n in range(9)),
        ]
        for text in texts:
            agent.ask(text, user="ada", conversation=conversation)
        events = list(agent.stream("the grey velvet sofa", user="ada", conversation=conversation))
    recalled = [
        each.text for event in events if isinstance(event, MemoriesRecalled) for each in event.memories
    ]
    assert any("grey velvet" in text for text in recalled)


def scripted(folder: Path, written: str) -> str:
    """The summary that a conversation of twelve turns has where the generator writes `written`."""
    settings = Settings(history_turns=3, compaction="generated")
    with SqliteStore.open(folder / "agent.db", clock=FixedClock()) as store:
        ada = store.for_user("default", "ada")
        conversation = ada.new_conversation()
        for number in range(11):
            spoken(ada, conversation, 1000 + number)
    generator = ScriptedGenerator(
        [Says(written), Calls([("track_parcel", {"number": "2000"})]), Says("It arrives on 27 November.")]
    )
    with agent_with(folder, generator, settings) as agent:
        agent.ask(CALL.format(2000), user="ada", conversation=conversation)
    with SqliteStore.open(folder / "agent.db") as store:
        kept = store.for_user("default", "ada").summary(conversation, 100)
        assert kept is not None
        return kept.text


def test_a_generated_summary_is_followed_by_what_it_lacks(tmp_path: Path) -> None:
    lines = scripted(tmp_path, '{"summary": "The user asked where parcel 1000 is, in a hurry."}').splitlines()
    assert lines[0] == "The user asked where parcel 1000 is, in a hurry."
    assert "bot: We will bring parcel 1000 on Friday." in lines


def test_a_summary_that_invents_something_is_not_used(tmp_path: Path) -> None:
    text = scripted(tmp_path, '{"summary": "The user wants 99 EUR for the broken parcel 7777."}')
    assert "7777" not in text
    assert text.splitlines()[0].startswith("user: ")


def test_the_generator_is_held_to_one_short_text(tmp_path: Path) -> None:
    prompts = Recording(seed=2)
    prompts.asked = []
    with SqliteStore.open(tmp_path / "agent.db", clock=FixedClock()) as store:
        ada = store.for_user("default", "ada")
        conversation = ada.new_conversation()
        for number in range(11):
            spoken(ada, conversation, 1000 + number)
    with agent_with(tmp_path, prompts, Settings(history_turns=3, compaction="generated")) as agent:
        agent.ask(CALL.format(2000), user="ada", conversation=conversation)
    constraints: Sequence[object] = [request.constraint for request in prompts.asked]
    [schema] = [each for each in constraints if isinstance(each, JsonSchema)]
    assert schema.schema["additionalProperties"] is False
