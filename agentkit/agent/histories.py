"""What was said lately in the conversations of this process, so that a turn does not read again what it just wrote.

A committed turn never changes, and is erased only with its conversation: what is known of it stays true. What other
processes, people and forks added is read, and only that.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, TypeAlias

from agentkit.agent.turn import Turn
from agentkit.messages import Message, Part, User, split_turns
from agentkit.store.protocol import UserStore

_MOST: Final = 256  # conversations that are kept, those that were active last

_Said: TypeAlias = tuple[Message, ...]
"""What one turn added to the transcript."""


class Histories:
    """The last turns of conversations; the threads of an agent share it, one has a conversation at a time."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, tuple[_Said, ...]]] = (
            OrderedDict()
        )  # by conversation: the number of the next turn, and the turns just before it
        self._summaries: OrderedDict[str, dict[int, Part | None]] = OrderedDict()

    def before(self, store: UserStore, conversation: str, number: int, count: int) -> _Said:
        """What was said in the `count` turns before the one with this number; all of them are committed."""
        following, known = self._known.get(conversation, (0, ()))
        missing = number - following
        if not (0 <= missing < count and len(known) >= count - missing):
            missing, known = count, ()
        if missing:
            read = store.transcript(conversation, last_turns=missing)
            known = (*known, *(tuple(each) for each in split_turns(read)))
        known = known[len(known) - count :]
        self._keep(conversation, number, known)
        return tuple(message for said in known for message in said)

    def summaries(self, conversation: str) -> dict[int, Part | None]:
        """Where turns of a conversation keep what those before their windows said, in short."""
        kept = self._summaries.pop(conversation, {})
        self._summaries[conversation] = kept
        if len(self._summaries) > _MOST:
            self._summaries.popitem(last=False)
        return kept

    def note(self, turn: Turn, number: int, message: User) -> None:
        """Add a turn that was committed just now, as the store will show it.

        Args:
            turn: The turn.
            number: Its number.
            message: What it answers.
        """
        following, known = self._known.get(turn.conversation_id, (0, ()))
        # What a crashed process wrote, and how calls ended that the commit closed, is better read.
        if turn.reply is None or turn.recorded or following != number:
            return
        reply = (turn.reply,) if turn.reply.parts else ()
        self._keep(turn.conversation_id, number + 1, (*known, (message, *turn.acted(), *reply)))

    def _keep(self, conversation: str, following: int, known: tuple[_Said, ...]) -> None:
        self._known.pop(conversation, None)
        self._known[conversation] = (following, known)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
