"""Conversations that a person takes over, in an in-memory store; the protocol describes every method."""

from __future__ import annotations

import time

from agentkit.errors import Busy, LeaseLost, RecordNotFound, TurnConflict
from agentkit.messages import User
from agentkit.store.hand_off_records import HandOffRecord
from agentkit.store.records import Claim
from agentkit.testing.in_memory_queue import end, shown
from agentkit.testing.in_memory_rows import (
    ConversationData,
    HandOffData,
    MessageData,
    TurnData,
    storable_text,
)
from agentkit.testing.in_memory_turns import InMemoryInbox


class InMemoryHandOffs(InMemoryInbox):
    """Implements `hand_off_protocol.HandOffs`."""

    def hand_off(self, conversation_id: str) -> HandOffRecord | None:
        """The hand-off of a conversation that is not over, if there is one."""
        return next((each for each in self.hand_offs(conversation_id) if each.is_active), None)

    def hand_offs(self, conversation_id: str) -> list[HandOffRecord]:
        """All hand-offs of a conversation, oldest first."""
        with self._use():
            conversation = self._conversation(conversation_id)
            return [shown(conversation, data) for data in conversation.hand_offs]

    def take_hand_off(
        self, hand_off_id: str, *, by: str, seconds: float, from_others: bool = False
    ) -> HandOffRecord:
        """Take a conversation over."""
        storable_text(by, "the name of a person")
        with self._use():
            conversation, data = self._hand_off(hand_off_id)
            record = shown(conversation, data)
            if record.status == "taken" and record.person != by and not (record.is_idle or from_others):
                raise Busy(f"{record.person} has hand-off {hand_off_id}.", hint="Take another one.")
            data.until, data.seconds = time.monotonic() + seconds, seconds
            changed = {"status": "taken", "person": by, "fence": record.fence + 1}
            taken_at = {"taken_at": record.taken_at or self._data.clock()}
            data.record = data.record.model_copy(update={**changed, **taken_at})
            return shown(conversation, data)

    def claim_for_person(
        self,
        hand_off_id: str,
        fence: int,
        seconds: float,
        *,
        with_waiting: bool = True,
        client_msg_id: str | None = None,
    ) -> Claim | None:
        """Take the lease of a conversation that a person has, with the turn that they are about to end."""
        name = None if client_msg_id is None else storable_text(client_msg_id, "client_msg_id")
        with self._use():
            conversation, data = self._hand_off(hand_off_id)
            if data.record.fence != fence or data.record.status != "taken":
                raise LeaseLost(f"Hand-off {hand_off_id} is with {data.record.person or 'nobody'} now.")
            if conversation.is_held:
                raise Busy("The last turn is being ended.", hint="Try again in a moment.")
            known = next((each for each in conversation.inbox if name and each.client_msg_id == name), None)
            if known is not None and known.turn is not None and not known.turn.is_open:
                return None
            if conversation.open_turn is None:
                taken = with_waiting and self._begin_next(conversation, all_of_them=True)
                turn = taken or self._begin(conversation, User(parts=()))
                if name is not None:
                    self._name(conversation, turn, name)
            return self._leased(conversation, seconds)

    def acknowledge_hand_off(self, conversation_id: str) -> bool:
        """Note that the customer was told who answers; True the first time for each person, and for nobody yet."""
        with self._use():
            for data in self._conversation(conversation_id).hand_offs:
                if data.record.is_active and data.acknowledged != data.record.person:
                    data.acknowledged = data.record.person
                    return True
            return False

    def withdraw_hand_off(self, conversation_id: str) -> HandOffRecord | None:
        """The customer goes on with the bot: what they said meanwhile waits for it."""
        with self._use():
            conversation = self._conversation(conversation_id)
            active = next((each for each in conversation.hand_offs if each.record.is_active), None)
            if active is None:
                return None
            end(self._data, active, "withdrawn", "")
            return shown(conversation, active)

    def _hand_off(self, hand_off_id: str) -> tuple[ConversationData, HandOffData]:
        for conversation in self._data.conversations.values():
            for data in conversation.hand_offs:
                if data.record.id == hand_off_id and conversation.owner == self._owner:
                    if not data.record.is_active:
                        raise TurnConflict(f"Hand-off {hand_off_id} is over ({data.record.status}).")
                    return conversation, data
        raise RecordNotFound(f"User {self.user!r} has no hand-off {hand_off_id!r}.")

    def _name(self, conversation: ConversationData, turn: TurnData, name: str) -> None:
        message = MessageData(
            self._data.ids(),
            len(conversation.inbox),
            name,
            "enqueue",
            turn.message,
            self._data.clock(),
            turn,
        )
        conversation.inbox.append(message)
        self._data.messages[message.id] = (conversation, message)
