"""A scenario: a scripted conversation that is at once a demo and a test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field, JsonValue, field_validator

from agentkit.agent import Agent
from agentkit.errors import BotFileError
from agentkit.events import (
    Declined,
    Event,
    IntentRecognised,
    MemoriesRecalled,
    Replied,
    ReplySource,
    ToolCallFinished,
    ToolCallStarted,
)
from agentkit.messages import Value
from agentkit.yaml_files import load_yaml


class ExpectedCall(Value):
    """A call that must have been made, with at least these arguments."""

    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class Expectation(Value):
    """What must hold after a user line; what is left out is not checked.

    Args:
        intent: The recognised intent; null for out of scope.
        tools: Calls that were made, in any order.
        not_called: Tools that were not called.
        declined: Whether the bot said that it does not know.
        recalled: Pieces of text that recalled memories contain.
        reply_contains: Pieces of text that the reply contains (letter case counts).
        reply_lacks: Pieces of text that it does not contain.
        source: Where the words of the reply come from.
    """

    intent: str | None = None
    tools: tuple[ExpectedCall, ...] = ()
    not_called: tuple[str, ...] = ()
    declined: bool | None = None
    recalled: tuple[str, ...] = ()
    reply_contains: tuple[str, ...] = ()
    reply_lacks: tuple[str, ...] = ()
    source: ReplySource | None = None


class Line(Value):
    """One user line.

    Args:
        user: What the user says.
        conversation: `new` starts another conversation of the same user before the line.
        expect: What must hold afterwards.
    """

    user: str
    conversation: Literal["new"] | None = None
    expect: Expectation = Expectation()


class Scenario(Value):
    """A scripted conversation.

    Args:
        name: What it is called.
        description: What it shows.
        user: Who is signed in.
        today: The date that the clock shows; None: the real one.
        profile: What the application knows about the user.
        turns: The user lines.
    """

    name: str
    description: str = ""
    user: str = "demo"
    today: date | None = None
    profile: dict[str, JsonValue] = Field(default_factory=dict)
    turns: tuple[Line, ...]

    @field_validator("turns")
    @classmethod
    def _says_something(cls, turns: tuple[Line, ...]) -> tuple[Line, ...]:
        if not turns:
            raise ValueError("a scenario needs at least one user line")
        return turns


def scenario_path(folder: Path, name: str) -> Path:
    """The file of a scenario, named by path or by its name in `scenarios/`.

    Raises:
        BotFileError: There is no such scenario; names those there are.
    """
    for path in (folder / "scenarios" / f"{name}.yaml", folder / "scenarios" / name, Path(name)):
        if path.is_file():
            return path
    names = ", ".join(sorted(p.stem for p in (folder / "scenarios").glob("*.yaml"))) or "none"
    raise BotFileError(
        f"there is no scenario {name!r}; the scenarios are: {names}",
        path=folder / "scenarios",
        hint="Name one of them.",
    )


def load_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        BotFileError: The file is missing or wrong; names file, line and field.
    """
    return load_yaml(path, Scenario)


@dataclass(frozen=True)
class UserLine:
    """The script says the next line."""

    text: str
    new_conversation: bool


@dataclass(frozen=True)
class Checked:
    """An expectation was compared with what happened."""

    what: str
    holds: bool


Played: TypeAlias = UserLine | Event | Checked


@dataclass
class Outcome:
    """What happened in one turn, as far as expectations ask for it."""

    events: list[Event] = field(default_factory=list)

    def checks(self, expect: Expectation) -> list[Checked]:
        """Every expectation that is set, compared."""
        asked = expect.model_fields_set
        found: list[Checked] = []
        if "intent" in asked:
            intents = [e.intent for e in self.events if isinstance(e, IntentRecognised)]
            found.append(Checked(f"intent is {expect.intent}", intents == [expect.intent]))
        calls = [e.call for e in self.events if isinstance(e, ToolCallStarted)]
        ok = {e.result.call_id for e in self.events if isinstance(e, ToolCallFinished) and e.status == "ok"}
        for wanted in expect.tools:
            made = any(
                c.name == wanted.name and c.id in ok and wanted.arguments.items() <= c.arguments.items()
                for c in calls
            )
            shown = ", ".join(f"{k}={v!r}" for k, v in wanted.arguments.items())
            found.append(Checked(f"called {wanted.name}({shown})", made))
        found += [Checked(f"did not call {n}", all(c.name != n for c in calls)) for n in expect.not_called]
        if expect.declined is not None:
            declined = any(isinstance(e, Declined) for e in self.events)
            found.append(
                Checked("declined" if expect.declined else "not declined", declined == expect.declined)
            )
        recalled = [m.text for e in self.events if isinstance(e, MemoriesRecalled) for m in e.memories]
        found += [Checked(f"recalled “{t}”", any(t in text for text in recalled)) for t in expect.recalled]
        return found + self._reply_checks(expect)

    def _reply_checks(self, expect: Expectation) -> list[Checked]:
        replied = [e for e in self.events if isinstance(e, Replied)]
        text = replied[-1].text if replied else ""
        found = [Checked(f"reply contains “{t}”", t in text) for t in expect.reply_contains]
        found += [Checked(f"reply lacks “{t}”", t not in text) for t in expect.reply_lacks]
        if expect.source is not None:
            found.append(
                Checked(f"reply is {expect.source}", bool(replied) and replied[-1].source == expect.source)
            )
        return found


def play(scenario: Scenario, agent: Agent) -> Iterator[Played]:
    """Play a scenario: each user line, the events of its turn, then the checks of its expectations."""
    conversation = agent.new_conversation(user=scenario.user, title=scenario.name)
    for line in scenario.turns:
        if line.conversation == "new":
            conversation = agent.new_conversation(user=scenario.user, title=scenario.name)
        yield UserLine(line.user, line.conversation == "new")
        outcome = Outcome()
        for event in agent.stream(
            line.user, user=scenario.user, conversation=conversation, profile=scenario.profile
        ):
            outcome.events.append(event)
            yield event
        yield from outcome.checks(line.expect)


def failures(played: Sequence[Played]) -> list[Checked]:
    """The expectations that did not hold."""
    return [each for each in played if isinstance(each, Checked) and not each.holds]
