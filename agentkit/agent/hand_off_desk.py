"""The conversations that people answer in the bot's place: taking one, answering, giving it back.

Everything a person does is durable before anybody hears it, and needs no model: it can be done in any process that has
the database. Whoever lost a conversation to a colleague is refused.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agentkit.agent.hours import DeskSettings
from agentkit.agent.intake import accept_text
from agentkit.agent.replies import Replies
from agentkit.agent.turn import Settle
from agentkit.errors import Busy, RecordNotFound, TurnConflict
from agentkit.events import (
    DialogueMoved,
    Event,
    HandOffEnded,
    PersonAnswered,
    Replied,
    TurnFinished,
    TurnStarted,
)
from agentkit.messages import Message, ToolCall, ToolResult, assistant, text_of, tool_result
from agentkit.store.hand_off_records import EndOfHandOff, HandOffOutcome, HandOffRecord
from agentkit.store.protocol import Claim, JournalRow, OpenTurn, Store, TurnRecord, UserStore

_LEASE_SECONDS: Final = 30.0  # for one answer: it is written at once
_WAIT_FOR_THE_BOT: Final = 10.0  # seconds for a turn that it is ending
_LOOK_AGAIN: Final = 0.1
_LONGEST_ANSWER: Final = 20_000  # characters
_TURNS_SEARCHED: Final = 40  # for where the dialogue stands


@dataclass(frozen=True)
class Line:
    """One line of a conversation as a person reads it: who said it, and what."""

    speaker: str
    text: str


class HandOffQueue:
    """What can be read of the queue and its conversations.

    Args:
        store: Where the queue is kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def queue(self, *, tenant: str | None = None) -> list[HandOffRecord]:
        """What waits or is being answered: the more urgent first, then the older; of one tenant, or of all."""
        return [each for each in self._store.queue() if tenant in (None, each.tenant)]

    def find(self, piece: str) -> HandOffRecord:
        """The hand-off in the queue whose id begins or ends like this, or that is the customer's of this name.

        Raises:
            RecordNotFound: There is none, or more than one.
        """
        queue = self.queue()
        found = (
            [each for each in queue if each.id.startswith(piece) or each.id.endswith(piece)] if piece else []
        )
        found = [each for each in queue if each.user == piece] or found
        if len(found) == 1:
            return found[0]
        problem = (
            "more than one hand-off is called like this"
            if found
            else "nothing in the queue is called like this"
        )
        raise RecordNotFound(f"{piece!r}: {problem}.", hint="`agentkit desk list BOT` shows the queue.")

    def again(self, record: HandOffRecord) -> HandOffRecord:
        """The hand-off as it is now.

        Raises:
            RecordNotFound: The customer's data were erased.
        """
        for each in self._of(record).hand_offs(record.conversation_id):
            if each.id == record.id:
                return each
        raise RecordNotFound(f"There is no hand-off {record.id!r} any more.")

    def transcript(self, record: HandOffRecord) -> list[Line]:
        """The whole conversation, what the customer said since included."""
        store = self._of(record)
        lines = [
            line
            for message in store.transcript(record.conversation_id)
            if (line := _line(message, record.user)) is not None
        ]
        for turn in store.turns(record.conversation_id, last=1):
            if turn.status == "open":
                with contextlib.suppress(TurnConflict):  # it was committed just now
                    lines.append(Line(record.user, text_of(store.open_turn(turn.id).message)))
        waiting = [each.message for each in store.waiting(record.conversation_id)]
        lines += [Line(record.user, text_of(message)) for message in waiting if message is not None]
        return [line for line in lines if line.text]

    def where_the_dialogue_stands(self, record: HandOffRecord) -> list[Event]:
        """The last state of the dialogue, to be kept with each turn: the bot goes on from the latest."""
        store = self._of(record)
        for turn in store.turns(record.conversation_id, last=_TURNS_SEARCHED)[::-1]:
            moved = [event for event in store.events(turn.id) if isinstance(event, DialogueMoved)]
            if moved:
                return [moved[-1]]
        return []

    def _of(self, record: HandOffRecord) -> UserStore:
        return self._store.for_user(record.tenant, record.user)


class HandOffDesk(HandOffQueue):
    """The queue of people; reached as `agent.hand_offs`.

    Args:
        store: Where the queue is kept.
        replies: The words of the bot, for when a conversation comes back to it.
        settings: Who answers, and when; None: the bot has no desk, its hand-offs are only listed.
        now: The clock, aware UTC.
    """

    def __init__(
        self,
        store: Store,
        replies: Replies,
        settings: DeskSettings | None,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(store)
        self._replies = replies
        self._settings = settings or DeskSettings()
        self._now = now

    def take(self, record: HandOffRecord, *, by: str, from_others: bool = False) -> HandOffRecord:
        """Take a conversation over; from now on the bot is silent in it.

        Args:
            record: The hand-off.
            by: Who takes it; the customer sees the name.
            from_others: Take it even from a colleague who has it.

        Raises:
            Busy: A colleague has it.
            InputRejected: `by` is no name.
            TurnConflict: It is over.
        """
        return self._of(record).take_hand_off(
            record.id,
            by=accept_text(by, 80),
            seconds=self._settings.relieve_after * 60,
            from_others=from_others,
        )

    def answer(
        self,
        record: HandOffRecord,
        text: str,
        *,
        client_msg_id: str | None = None,
        settle: Settle | None = None,
    ) -> TurnRecord | None:
        """Say something to the customer; it answers everything that they said since.

        Args:
            record: The hand-off as `take` returned it.
            text: What is said.
            client_msg_id: What the sender calls it: said again under the same name, it is said once.
            settle: Asked about calls of a desk that crashed.

        Returns:
            The turn; None where it was said before.

        Raises:
            Busy: The bot is still ending a turn.
            InputRejected: There is nothing to say, or too much.
            LeaseLost: A colleague has the conversation now; nothing was said.
            TurnConflict: The hand-off is over.
        """
        said = accept_text(text, _LONGEST_ANSWER)
        claim = self.claim(record, client_msg_id=client_msg_id, settle=settle)
        if claim is None:
            return None
        return self._end(record, claim, said, person=record.person)

    def give_back(
        self, record: HandOffRecord, *, note: str = "", say: str | None = None, settle: Settle | None = None
    ) -> None:
        """Give the conversation back to the bot, which answers what was not answered and goes on.

        Args:
            record: The hand-off as `take` returned it.
            note: For colleagues who get the customer later; the customer does not see it.
            say: What the customer hears; None: that the person handed them back.
            settle: Asked about calls of a desk that crashed.

        Raises:
            As for `answer`.
        """
        words = self._replies.given_back(record.person) if say is None else say
        self._finish(record, "given_back", words, note, settle)

    def close(
        self, record: HandOffRecord, *, note: str = "", say: str = "", settle: Settle | None = None
    ) -> None:
        """End the hand-off: it is done, or the customer is gone; see `give_back`."""
        self._finish(record, "closed", say, note, settle)

    def withdraw(self, user: str, conversation: str, *, tenant: str = "default") -> HandOffRecord | None:
        """For the customer: do not wait any longer, the bot goes on. None: nothing waits."""
        return self._store.for_user(tenant, user).withdraw_hand_off(conversation)

    def claim(
        self,
        record: HandOffRecord,
        *,
        client_msg_id: str | None = None,
        with_waiting: bool = True,
        settle: Settle | None = None,
    ) -> Claim | None:
        """The lease of a conversation that a person has, and the turn that they write; see `claim_for_person`.

        A turn in which a process died is ended first: what it had called keeps its result, or is said to be unknown.
        """
        deadline = time.monotonic() + _WAIT_FOR_THE_BOT
        store = self._of(record)
        while True:
            try:
                claim = store.claim_for_person(
                    record.id,
                    record.fence,
                    _LEASE_SECONDS,
                    with_waiting=with_waiting,
                    client_msg_id=client_msg_id,
                )
            except Busy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_AGAIN)
                continue
            left = claim is not None and (
                claim.turn.steps or not (with_waiting or not claim.turn.message.parts)
            )
            if claim is None or not left:
                return claim
            _end_left(store.under(claim.lease), claim.turn, settle)

    def _finish(
        self, record: HandOffRecord, outcome: HandOffOutcome, say: str, note: str, settle: Settle | None
    ) -> None:
        claim = self.claim(record, with_waiting=False, settle=settle)
        assert claim is not None  # only a named turn can be over
        self._end(record, claim, say, end=EndOfHandOff(outcome=outcome, note=note))

    def _end(
        self,
        record: HandOffRecord,
        claim: Claim,
        text: str,
        *,
        person: str = "",
        end: EndOfHandOff | None = None,
    ) -> TurnRecord:
        """Commit a turn in which somebody said something."""
        turn, store = claim.turn, self._of(record).under(claim.lease)
        events: list[Event] = [
            TurnStarted(
                conversation_id=record.conversation_id, turn_id=turn.turn.id, text=text_of(turn.message)
            )
        ]
        if person:
            events.append(PersonAnswered(hand_off_id=record.id, person=person))
        if end is not None:
            events.append(
                HandOffEnded(hand_off_id=record.id, person=record.person, outcome=end.outcome, note=end.note)
            )
        events += self.where_the_dialogue_stands(record)
        events.append(Replied(text=text, source="person" if person else "hand_off", by=person))
        events.append(TurnFinished(turn_id=turn.turn.id))
        store.commit_turn(
            turn.turn.id,
            reply=assistant(text, by=person),
            events=events,
            memories=(),
            status="done",
            hand_off=end,
        )
        return turn.turn


def _end_left(store: UserStore, left: OpenTurn, settle: Settle | None) -> None:
    """End a turn in which a process died; nothing is said in it."""
    rows = {row.call.id: row for row in left.journal}
    results = [_result_of(call, rows.get(call.id), settle) for call in left.unanswered]
    store.commit_turn(
        left.turn.id,
        reply=assistant(),
        events=[
            TurnStarted(
                conversation_id=left.turn.conversation_id,
                turn_id=left.turn.id,
                text=text_of(left.message),
                resumed=True,
            ),
            TurnFinished(turn_id=left.turn.id),
        ],
        memories=(),
        status="interrupted",
        results=results,
    )


def _result_of(call: ToolCall, row: JournalRow | None, settle: Settle | None) -> ToolResult:
    if row is None or row.status != "started":
        return tool_result(call, "It was interrupted before it ran.", status="interrupted")
    match settle(row) if settle is not None else None:
        case True:
            return tool_result(call, "A person says that this was done.", trust="system")
        case False:
            words = "a person says that this was not done"
            return tool_result(call, words, status="failed", trust="system")
        case _:
            words = "It was interrupted; it is not known whether it took effect."
            return tool_result(call, words, status="unknown")


def _line(message: Message, user: str) -> Line | None:
    text = text_of(message)
    match message.role:
        case "user":
            return Line(user, text)
        case "assistant":
            calls = [f"{call.name}({_arguments(call)})" for call in message.calls]
            who = message.by or "bot"
            return Line(f"{who} calls", ", ".join(calls)) if calls else Line(who, text)
        case "tool":
            return Line(message.name, f"{message.status}: {text}")
        case _:
            return None


def _arguments(call: ToolCall) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
