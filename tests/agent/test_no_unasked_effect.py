"""No path runs a tool with an effect and an argument that nobody trusted has said, unless a person agreed to just that.

Random conversations with a model that makes random calls. What counts as said is worked out here by other means than
the gate's: every value is a word of its own, so a set of words is all that is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agentkit.agent import Agent, Limits, Settings
from agentkit.errors import AwaitsApproval
from agentkit.messages import Message, ToolCall, ToolSpec, assistant, text_of
from agentkit.models.protocols import ChoiceRequest, Delta, Finished, GenerationRequest, Usage
from agentkit.testing import HashingEncoder
from agentkit.tools import Authority, Content, Tool, ToolContext, tool

ENCODER: Final = HashingEncoder(64)
OURS: Final = ["ourA1", "ourB2", "905"]
"""What the trusted tool says."""
THEIRS: Final = ["badX7", "badY8", "666"]
"""What only text of unknown origin says."""
INVENTED: Final = ["newQ3", "777"]
USERS: Final = ["sayM4", "sayN5", "404"]
"""What the user may say."""
ISSUED: Final = {"thing#1": "901", "thing#2": "902"}


@dataclass
class Effects:
    """What happened: tool, call and the arguments that the function really got."""

    done: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


EFFECTS = Effects()


def note(context: ToolContext, name: str, **arguments: Any) -> str:
    EFFECTS.done.append((name, context.call_id, arguments))
    return "done"


@tool(effect="read")
def look(query: str = "") -> str:
    """Look something up in our own books."""
    return f"asked for {query}: {' '.join(OURS)}"


@tool(effect="read", trusted=False)
def browse(query: str = "") -> str:
    """Look something up in the web."""
    return f"{query} {' '.join(THEIRS)}"


@tool(effect="read", handles={"id": "thing"})
def things() -> list[dict[str, str]]:
    """List our things."""
    return [{"id": value} for value in ISSUED.values()]


@tool(effect="write")
def change(context: ToolContext, target: str, level: Literal["low", "high"] = "low") -> str:
    """Change a target."""
    return note(context, "change", target=target, level=level)


@tool(effect="egress")
def send(context: ToolContext, to: list[str], amount: int, text: Annotated[str, Content()] = "") -> str:
    """Send an amount to people."""
    return note(context, "send", to=to, amount=amount)


@tool(effect="write", idempotent=True, sequential=True)
def drop(context: ToolContext, thing: Annotated[str, Authority("thing")], where: dict[str, str]) -> str:
    """Drop a thing."""
    return note(context, "drop", thing=thing, where=where)


TOOLS: Final[list[Tool]] = [look, browse, things, change, send, drop]


@dataclass
class Script:
    """A model that makes the calls of a script, whatever it is asked and whatever it may."""

    replies: list[list[tuple[str, dict[str, JsonValue]]]]
    name: str = "script"
    context_length: int = 1_000_000

    def count_tokens(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        return 1

    def generate(self, request: GenerationRequest) -> Iterator[Delta]:
        calls = self.replies.pop(0) if self.replies else []
        made = tuple(ToolCall(id=f"c{i}", name=name, arguments=a) for i, (name, a) in enumerate(calls))
        reply = assistant("" if made else "done", made)
        yield Finished(reply, text_of(reply), "stop", Usage())

    def choose(self, request: ChoiceRequest) -> tuple[float, ...]:
        return tuple(0.0 for _ in request.options)

    def close(self) -> None:
        pass


WORDS: Final = st.sampled_from(
    [*OURS, *THEIRS, *INVENTED, *USERS, *ISSUED, *ISSUED.values(), "thing#9", "low"]
)
NUMBERS: Final = st.sampled_from([404, 905, 666, 777])
CALLS: Final = st.one_of(
    st.tuples(st.just("look"), st.fixed_dictionaries({"query": WORDS})),
    st.tuples(st.just("browse"), st.fixed_dictionaries({"query": WORDS})),
    st.tuples(st.just("things"), st.just({})),
    st.tuples(
        st.just("change"),
        st.fixed_dictionaries({"target": WORDS}, optional={"level": st.sampled_from(["low", "high"])}),
    ),
    st.tuples(
        st.just("send"),
        st.fixed_dictionaries(
            {"to": st.lists(WORDS, max_size=3), "amount": NUMBERS}, optional={"text": WORDS}
        ),
    ),
    st.tuples(
        st.just("drop"),
        st.fixed_dictionaries({"thing": WORDS, "where": st.dictionaries(WORDS, WORDS, max_size=2)}),
    ),
)
READS: Final = st.sampled_from(
    [
        [("browse", {"query": "x"})],
        [("things", {})],
        [("look", {"query": THEIRS[0]})],
        [("look", {"query": "newQ3"})],
    ]
)
ACTS: Final = st.lists(CALLS, min_size=1, max_size=3)
REPLIES: Final = st.builds(
    lambda reads, acts: reads + acts, st.lists(READS, max_size=2), st.lists(ACTS, max_size=3)
)
TURNS: Final = st.lists(
    st.tuples(st.lists(st.sampled_from(USERS), min_size=1, max_size=3), REPLIES), min_size=1, max_size=3
)
DECISIONS: Final = st.lists(st.sampled_from(["approve", "reject", "change", "leave"]), max_size=8)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(turns=TURNS, decisions=DECISIONS)
def test_what_acts_was_said_or_was_agreed_to(turns: Any, decisions: list[str]) -> None:
    EFFECTS.done.clear()
    said: set[str] = {"", "low"}
    with tempfile.TemporaryDirectory() as folder:
        for words, replies in turns:
            said |= set(words)
            with agent_in(Path(folder), [list(reply) for reply in replies]) as agent:
                try:
                    agent.ask("please " + " ".join(words), user="ada")
                except AwaitsApproval:
                    break
                decide(agent, decisions)
                check(agent, said)


def agent_in(folder: Path, replies: list[list[tuple[str, dict[str, JsonValue]]]]) -> Agent:
    return Agent(
        generator=Script(replies),
        encoder=ENCODER,
        tools=TOOLS,
        database=folder / "a.db",
        settings=Settings(tool_similarity=-1.0, plan_similarity=-1.0, max_tools=10, limits=Limits(steps=8)),
    )


def decide(agent: Agent, decisions: list[str]) -> None:
    while decisions and (waiting := agent.approvals.waiting()):
        record = waiting[0]
        match decisions.pop(0):
            case "approve":
                list(agent.approvals.approve(record.id, user="ada"))
            case "reject":
                list(agent.approvals.reject(record.id, user="ada"))
            case "change":
                changed = {**record.call.arguments, **({"amount": 1} if record.call.name == "send" else {})}
                list(agent.approvals.approve(record.id, user="ada", arguments=changed))
            case _:
                return


def check(agent: Agent, said: set[str]) -> None:
    """Every effect so far: all its words were said by then at the latest, or a person agreed to just these."""
    sources = said | set(OURS) | set(ISSUED.values())
    store = agent.store.for_user("default", "ada")
    rows = [
        row
        for conversation in store.conversations()
        for turn in store.turns(conversation.id)
        for row in store.approvals(turn.id)
    ]
    agreed = {row.call.id: row.settled for row in rows if row.status == "used"}
    for name, call_id, arguments in EFFECTS.done:
        words = {str(word) for key, value in arguments.items() if key != "level" for word in flat(value)}
        if words <= sources:
            continue
        assert call_id in agreed, f"{name}({arguments}) ran though nobody said {words - sources}"
        settled = agreed[call_id] or {}
        assert {k: v for k, v in arguments.items() if k in settled} == {
            k: v for k, v in settled.items() if k in arguments
        }


def flat(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value, *(word for each in value.values() for word in flat(each))]
    return [word for each in value for word in flat(each)] if isinstance(value, list) else [value]
