"""The question that the bot asked last: the next message may be its answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from agentkit.agent.turn import Turn
from agentkit.events import ArgumentAsked, Event

_MOST: Final = 1024  # conversations that are kept


class Questions:
    """Remembers how the last turns of this process ended, so that no whole trace is read for it."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, tuple[int, ArgumentAsked | None]] = OrderedDict()

    def before(self, turn: Turn, seq: int) -> ArgumentAsked | None:
        """The question that ended the turn before the one with this number, if it ended with one."""
        if seq == 0:
            return None
        number, asked = self._asked.get(turn.conversation_id, (-1, None))
        if number == seq - 1:
            return asked
        previous = turn.store.turns(turn.conversation_id, last=2)[0]
        return _question_in(turn.store.events(previous.id))

    def note(self, turn: Turn, seq: int) -> None:
        """Remember how a turn ended."""
        self._asked[turn.conversation_id] = (seq, _question_in(turn.events))
        self._asked.move_to_end(turn.conversation_id)
        if len(self._asked) > _MOST:
            self._asked.popitem(last=False)


def _question_in(events: Sequence[Event]) -> ArgumentAsked | None:
    asked = [event for event in events if isinstance(event, ArgumentAsked)]
    return asked[-1] if asked else None
