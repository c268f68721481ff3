"""Plays a scenario: each user line, the events of its turn, then what was expected of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from agentkit.events import Event, TurnPaused
from agentkit.scenarios.checks import Checked, check
from agentkit.scenarios.format import Line, Scenario
from agentkit.scenarios.stage import Stage

_NEW: Final = "new"


@dataclass(frozen=True)
class UserLine:
    """The script says the next line.

    Args:
        text: What is said.
        new_conversation: Another conversation begins with it.
        line: The line of the file.
    """

    text: str
    new_conversation: bool
    line: Line


Played: TypeAlias = UserLine | Event | Checked


def play(scenario: Scenario, stage: Stage) -> Iterator[Played]:
    """Play a scenario on a stage that was set for it.

    Raises:
        AgentKitError: The bot could not answer at all.
    """
    conversations = _Conversations(scenario, stage)
    for line in scenario.turns:
        stage.clock.advance(line.waits)
        user = line.person or scenario.user
        conversation, is_new = conversations.of(line, user)
        yield UserLine(line.user, is_new, line)
        happened: list[Event] = []
        for event in _turn(line, user, conversation, scenario, stage):
            happened.append(event)
            yield event
        yield from check(line, happened, stage.surroundings)


def _turn(line: Line, user: str, conversation: str, scenario: Scenario, stage: Stage) -> Iterator[Event]:
    agent = stage.bot.agent
    paused = False
    for event in agent.stream(line.user, user=user, conversation=conversation, profile=scenario.profile):
        paused = isinstance(event, TurnPaused)
        yield event
    wanted = line.approve or line.reject
    if not paused or wanted is None:
        return
    for record in agent.approvals.waiting(user=user, tenant="default"):
        if record.call.name == wanted:
            decide = agent.approvals.approve if line.approve else agent.approvals.reject
            yield from decide(record.id, user=user, shown=record.hash)
            return


class _Conversations:
    """Which conversation a line belongs to: the last one of its person, a new one, or one that has a name."""

    def __init__(self, scenario: Scenario, stage: Stage) -> None:
        self._scenario = scenario
        self._agent = stage.bot.agent
        self._last: dict[str, str] = {}
        self._named: dict[tuple[str, str], str] = {}

    def of(self, line: Line, user: str) -> tuple[str, bool]:
        """Its id, and whether it takes the place of another one."""
        before = self._last.get(user)
        name = line.conversation
        known = self._named.get((user, name)) if name not in (None, _NEW) else None
        if name is None and before is not None:
            return before, False
        found = known or self._agent.new_conversation(user=user, title=self._scenario.name)
        if name is not None and name != _NEW:
            self._named[user, name] = found
        self._last[user] = found
        return found, bool(self._last) and before is not None and known is None


def failures(played: list[Played]) -> list[Checked]:
    """The expectations that did not hold."""
    return [each for each in played if isinstance(each, Checked) and not each.holds]
