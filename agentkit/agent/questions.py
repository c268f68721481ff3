"""How the turn before ended: the question that the next message may answer, and where its flows stand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from agentkit.agent.turn import Turn
from agentkit.events import ArgumentAsked, DialogueMoved, Event, IntentAsked

_MOST: Final = 1024  # conversations that are kept
_LOOK_BACK: Final = (
    8  # turns among which the last word of the flows is looked for: interrupted ones have none
)


@dataclass(frozen=True)
class Before:
    """How the turn before ended.

    Args:
        question: The question that it ended with, if it did.
        dialogue: The stored state of the flows.
    """

    question: ArgumentAsked | IntentAsked | None = None
    dialogue: Mapping[str, JsonValue] | None = None


class Questions:
    """Remembers how the last turns of this process ended, so that no whole trace is read for it."""

    def __init__(self) -> None:
        self._ended: OrderedDict[str, tuple[int, Before]] = OrderedDict()

    def before(self, turn: Turn, seq: int) -> Before:
        """How the turn before the one with this number ended."""
        if seq == 0:
            return Before()
        number, ended = self._ended.get(turn.conversation_id, (-1, Before()))
        if number == seq - 1:
            return ended
        most = _LOOK_BACK if turn.wiring.flows is not None else 1
        earlier = turn.store.turns(turn.conversation_id, last=most + 1)[:-1]
        traces = [turn.store.events(earlier[-1].id)]
        for each in reversed(earlier[:-1]):
            if _dialogue_in(traces[-1]) is not None:
                break
            traces.append(turn.store.events(each.id))
        return Before(_question_in(traces[0]), _dialogue_in(traces[-1]))

    def note(self, turn: Turn, seq: int, before: Before) -> None:
        """Remember how a turn ended."""
        moved = _dialogue_in(turn.events)
        ended = Before(_question_in(turn.events), before.dialogue if moved is None else moved)
        self._ended[turn.conversation_id] = (seq, ended)
        self._ended.move_to_end(turn.conversation_id)
        if len(self._ended) > _MOST:
            self._ended.popitem(last=False)


def _question_in(events: Sequence[Event]) -> ArgumentAsked | IntentAsked | None:
    asked = [event for event in events if isinstance(event, (ArgumentAsked, IntentAsked))]
    return asked[-1] if asked else None


def _dialogue_in(events: Sequence[Event]) -> Mapping[str, JsonValue] | None:
    moved = [event for event in events if isinstance(event, DialogueMoved)]
    return moved[-1].state if moved else None
