"""What a scenario file says: a scripted conversation that is at once a demo and a test.

Every model is closed, so a misspelt key is an error with its line; `docs/scenarios.md` is the guide for authors.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, TypeAlias

from pydantic import Discriminator, Field, JsonValue, Tag, field_validator, model_validator

from agentkit.events import ReplySource
from agentkit.messages import CallStatus, Value
from agentkit.scenarios.patterns import ExpectedValue, compiled

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?) ?(s|seconds?|min|minutes?|h|hours?|d|days?|w|weeks?)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Meaning(Value):
    """A reply, or a part of it, that says about this.

    Args:
        meaning: The meaning in other words.
        similarity: Smallest cosine similarity that counts, by the bot's encoder; the best of the whole reply and its
            sentences is taken.
    """

    meaning: str = Field(min_length=1)
    similarity: float = Field(default=0.6, ge=-1, le=1)


class Containing(Value):
    """A reply that has a part matching a regular expression (letter case counts unless it begins with `(?i)`).

    Args:
        pattern: The expression, in Python's syntax.
    """

    pattern: str = Field(min_length=1)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        return compiled(pattern)


def _kind_of_said(data: Any) -> str:
    if isinstance(data, str):
        return "a text"
    with_pattern = isinstance(data, Containing) or (isinstance(data, dict) and "pattern" in data)
    return "a pattern" if with_pattern else "a meaning"


Said: TypeAlias = Annotated[
    Annotated[str, Tag("a text")]
    | Annotated[Containing, Tag("a pattern")]
    | Annotated[Meaning, Tag("a meaning")],
    Discriminator(_kind_of_said),
]
"""A piece of the reply: text that it contains (letter case counts), a pattern, or a meaning."""


class ExpectedCall(Value):
    """A call that must have been made, with at least these arguments.

    Args:
        name: The tool.
        arguments: Values or patterns by name.
        status: How the call ended.
    """

    name: str
    arguments: dict[str, ExpectedValue] = Field(default_factory=dict)
    status: CallStatus = "ok"


CalledTool: TypeAlias = Annotated[
    Annotated[str, Tag("a name")] | Annotated[ExpectedCall, Tag("a call")],
    Discriminator(lambda data: "a name" if isinstance(data, str) else "a call"),
]
"""A name alone: called with any arguments, and it succeeded."""


class DatabaseCheck(Value):
    """What a database holds after the turn, read with one query; the connection is read-only.

    Args:
        sql: One SELECT.
        rows: The rows that it gives, in their order.
        file: A database of the bot's tools, relative to the bot folder; None: the bot's own, with conversations.
    """

    sql: str = Field(min_length=1)
    rows: tuple[tuple[JsonValue, ...], ...]
    file: str | None = None


class ExpectedEvent(Value):
    """Any event of `agentkit.events`, for what has no word of its own here.

    Args:
        type: For example `argument_asked`.
        having: Fields of it, as values or patterns.
    """

    type: str
    having: dict[str, ExpectedValue] = Field(default_factory=dict)


class Expectation(Value):
    """What must hold after a user line; what is left out is not checked.

    Args:
        intent: The recognised intent; null for out of scope.
        flow_started: Flows that started, in any order.
        flow_ended: Flows that ended.
        slot_set: Slots that got a value, and the value or a pattern.
        tool_called: Calls that were made and how they ended, in any order; a name alone: with any arguments.
        not_called: Tools that were not called.
        policy_refused: Policies that stopped a call.
        said: What the reply says.
        not_said: What it does not say.
        source: Where the words of the reply come from.
        cited: Documents that the reply cites.
        declined: Whether the bot said that it does not know.
        handed_off: Whether a person was asked to take over; a text: that the reason contains it.
        confirmation: Whether the bot asked the user to confirm.
        recalled: Pieces of text that recalled memories contain.
        generated: Whether the generator was needed at all.
        events: Other events that happened.
        database: What databases hold afterwards.
    """

    intent: str | None = None
    flow_started: tuple[str, ...] = ()
    flow_ended: tuple[str, ...] = ()
    slot_set: dict[str, ExpectedValue] = Field(default_factory=dict)
    tool_called: tuple[CalledTool, ...] = ()
    not_called: tuple[str, ...] = ()
    policy_refused: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()
    not_said: tuple[Said, ...] = ()
    source: ReplySource | None = None
    cited: tuple[str, ...] = ()
    declined: bool | None = None
    handed_off: bool | str | None = None
    confirmation: bool | None = None
    recalled: tuple[str, ...] = ()
    generated: bool | None = None
    events: tuple[ExpectedEvent, ...] = ()
    database: tuple[DatabaseCheck, ...] = ()


class Line(Value):
    """One user line.

    Args:
        user: What the user says.
        bot: The whole reply, word for word; `agentkit test --update` writes it anew. None: not compared.
        wait: Time that passes before the line (`90s`, `2 hours`, `3 days`): the scenario's clock moves, a demo pauses.
        conversation: `new` starts another conversation of the same user before the line; another word names one, so
            that lines can go back and forth between several.
        person: Somebody else who says this line, signed in on their own.
        approve: The bot waits for a person to agree to a call of this tool, and they do, before the line's
            expectations are checked.
        reject: The same, and they do not.
        expect: What must hold afterwards.
    """

    user: str = Field(min_length=1)
    bot: str | None = None
    wait: str | None = None
    conversation: str | None = Field(default=None, min_length=1)
    person: str | None = Field(default=None, min_length=1)
    approve: str | None = None
    reject: str | None = None
    expect: Expectation = Expectation()

    @field_validator("wait")
    @classmethod
    def _is_a_duration(cls, wait: str | None) -> str | None:
        if wait is not None:
            duration(wait)
        return wait

    @model_validator(mode="after")
    def _is_decided_once(self) -> Line:
        if self.approve is not None and self.reject is not None:
            raise ValueError(
                "has both `approve` and `reject`; a person does one of them, and the line says which"
            )
        return self

    @property
    def waits(self) -> timedelta:
        """How much time passes before the line."""
        return duration(self.wait) if self.wait else timedelta(0)


def duration(text: str) -> timedelta:
    """`90s`, `2 hours`, `3 days` as a time span.

    Raises:
        ValueError: It is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"should be a time such as 90s, 15 minutes, 2 hours or 3 days, found {text!r}")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2][0]])


class Stub(Value):
    """What a tool does in this scenario instead of its own work. The first stub whose `when` fits is taken.

    Args:
        when: Arguments that a call must have, as values or patterns; empty: every call.
        returns: What the tool returns.
        fails: The tool says that the call cannot succeed, with this reason.
        breaks: The tool ends in an unexpected error, as when a service is down.
        slow: The tool does not answer before its time is up.
        takes: Time that the call takes before it returns, such as `2s`; really waited for.
        times: Holds for so many calls; then the next stub that fits, or the tool itself.
    """

    when: dict[str, ExpectedValue] = Field(default_factory=dict)
    returns: JsonValue = None
    fails: str | None = None
    breaks: str | None = None
    slow: bool = False
    takes: str | None = None
    times: int | None = Field(default=None, ge=1)

    @field_validator("takes")
    @classmethod
    def _is_a_duration(cls, takes: str | None) -> str | None:
        if takes is not None and duration(takes) > timedelta(seconds=60):
            raise ValueError("is really waited for, so at most 60 s; `slow: true` stands for longer")
        return takes

    @model_validator(mode="after")
    def _does_one_thing(self) -> Stub:
        given = {"returns", "fails", "breaks", "slow"} & self.model_fields_set
        if len(given) != 1:
            raise ValueError("needs exactly one of `returns`, `fails`, `breaks` and `slow`")
        return self


class ScriptedReply(Value):
    """What the generator does next, where a scenario has to be exact: the generator is not loaded then.

    Args:
        says: It writes this text.
        calls: It calls these tools: arguments by tool name.
        chooses: Probabilities of the alternatives that it is asked about.
        after: Text that the last message before must contain.
    """

    says: str | None = None
    calls: tuple[dict[str, dict[str, JsonValue]], ...] | None = None
    chooses: dict[str, Annotated[float, Field(ge=0, le=1)]] | None = None
    after: str = ""

    @model_validator(mode="after")
    def _does_one_thing(self) -> ScriptedReply:
        if sum(each is not None for each in (self.says, self.calls, self.chooses)) != 1:
            raise ValueError("needs exactly one of `says`, `calls` and `chooses`")
        return self


class Scenario(Value):
    """A scripted conversation.

    Args:
        name: What it is called.
        description: What it shows.
        theme: The group that reports count it in: `corrections`, `policy refusals`.
        user: Who is signed in.
        profile: What the application knows about the user.
        today: The date that the clock shows, at noon UTC.
        clock: Date and time instead, `2026-11-23T09:30`, in UTC. With neither: the real one.
        setup: Python file of the bot folder whose `reset()` makes the data instead of the one in `agent.yaml`.
        stubs: What tools do instead of their own work.
        generator: What the generator writes, step by step; None: the real one.
        turns: The user lines.
    """

    name: str = Field(min_length=1)
    description: str = ""
    theme: str = ""
    user: str = "demo"
    profile: dict[str, JsonValue] = Field(default_factory=dict)
    today: date | None = None
    clock: datetime | None = None
    setup: str | None = None
    stubs: dict[str, tuple[Stub, ...]] = Field(default_factory=dict)
    generator: tuple[ScriptedReply, ...] | None = None
    turns: tuple[Line, ...]

    @field_validator("turns")
    @classmethod
    def _says_something(cls, turns: tuple[Line, ...]) -> tuple[Line, ...]:
        if not turns:
            raise ValueError("a scenario needs at least one user line")
        return turns

    @model_validator(mode="after")
    def _shows_one_time(self) -> Scenario:
        if self.today is not None and self.clock is not None:
            raise ValueError("has both `today` and `clock`; one of them is enough")
        return self

    def starts(self) -> datetime | None:
        """What the clock shows first, aware UTC; None: the real time."""
        if self.clock is not None:
            return self.clock if self.clock.tzinfo else self.clock.replace(tzinfo=UTC)
        return datetime.combine(self.today, time(12), UTC) if self.today is not None else None
