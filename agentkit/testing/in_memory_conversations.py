"""The conversations of an in-memory store; the protocol describes every method."""

from __future__ import annotations

from agentkit.errors import TurnConflict
from agentkit.events import Event
from agentkit.messages import Message
from agentkit.store.records import ConversationRecord, JournalRow, OpenTurn, SummaryRecord, TurnRecord
from agentkit.testing.in_memory_rows import (
    ConversationData,
    TurnData,
    UserData,
    loaded,
    said_in,
    storable_text,
)


class InMemoryConversations(UserData):
    """Implements `protocol.Conversations`."""

    def new_conversation(self, title: str = "") -> str:
        """Start a conversation and return its id."""
        with self._use():
            return self._new(storable_text(title, "the title"), None).record.id

    def conversations(self) -> list[ConversationRecord]:
        """The user's conversations, oldest first."""
        with self._use():
            return [each.record for each in self._data.conversations.values() if each.owner == self._owner]

    def latest_conversation(self) -> str | None:
        """The id of the conversation that was started last, if there is one."""
        return next((record.id for record in self.conversations()[::-1]), None)

    def open_turn(self, turn_id: str) -> OpenTurn:
        """An open turn with its recorded steps and its journal."""
        with self._use():
            return loaded(*self._open_turn(turn_id))

    def transcript(self, conversation_id: str, *, last_turns: int | None = None) -> tuple[Message, ...]:
        """What was said, in order: committed turns only."""
        with self._use():
            turns = [turn for turn in self._conversation(conversation_id).turns if not turn.is_open]
            return tuple(message for turn in _last(turns, last_turns) for message in said_in(turn))

    def turns(self, conversation_id: str, *, last: int | None = None) -> list[TurnRecord]:
        """The turns of a conversation, open ones too, in order."""
        with self._use():
            return [turn.record for turn in _last(self._conversation(conversation_id).turns, last)]

    def fork(self, turn_id: str, title: str = "") -> str:
        """Start a conversation that goes on from a turn."""
        with self._use():
            source, last = self._turn(turn_id)
            if last.is_open:
                raise TurnConflict(f"Turn {turn_id} is not finished: nothing can go on from it yet.")
            fork = self._new(storable_text(title, "the title"), turn_id)
            for turn in source.turns[: last.record.seq + 1]:
                ids = {"id": self._data.ids(), "conversation_id": fork.record.id}
                record = turn.record.model_copy(update=ids)
                journal = {
                    call_id: row.model_copy(update={"turn_id": record.id})
                    for call_id, row in turn.journal.items()
                }
                copy = TurnData(record, turn.message, turn.reply, list(turn.steps), journal, turn.events)
                fork.turns.append(copy)
                self._data.turns[record.id] = (fork, copy)
            return fork.record.id

    def events(self, turn_id: str) -> tuple[Event, ...]:
        """The trace of a committed turn, in order."""
        with self._use():
            return self._turn(turn_id)[1].events

    def journal(self, turn_id: str) -> list[JournalRow]:
        """The calls of a turn, in the order they were written."""
        with self._use():
            return list(self._turn(turn_id)[1].journal.values())

    def summary(self, conversation_id: str, through: int) -> SummaryRecord | None:
        """The longest summary that ends at turn `through` or before."""
        with self._use():
            summaries = self._conversation(conversation_id).summaries
            return max(
                (each for each in summaries.values() if each.through <= through),
                key=lambda each: each.through,
                default=None,
            )

    def add_summary(self, conversation_id: str, summary: SummaryRecord) -> None:
        """Keep a summary; one that ends at the same turn stays as it is."""
        storable_text(summary.text, "the summary")
        with self._use():
            self._conversation(conversation_id).summaries.setdefault(summary.through, summary)

    def _new(self, title: str, forked_from: str | None) -> ConversationData:
        record = ConversationRecord(
            id=self._data.ids(),
            seq=len(self.conversations()),
            title=title,
            created_at=self._data.clock(),
            forked_from=forked_from,
        )
        made = ConversationData(self._owner, record)
        self._data.conversations[record.id] = made
        return made


def _last(turns: list[TurnData], last: int | None) -> list[TurnData]:
    if last is not None and last < 0:
        raise ValueError(f"a number of turns cannot be {last}")
    return turns if last is None else turns[max(0, len(turns) - last) :]
