"""What a store promises about conversations that a person takes over: part of `protocol`.

A hand-off enters the queue with `commit_turn`, in the transaction that ends its turn. While it keeps the bot silent,
`claim` finds nothing to do in its conversation, so the customer's messages stay in the inbox. A person takes it, and
every write of theirs names its fence: whoever lost it to somebody else is refused. What a person says is a turn: begun
by `claim_for_person` with the messages that wait, and ended by `commit_turn` under its lease, like every other turn.
"""

from __future__ import annotations

from typing import Protocol

from agentkit.store.hand_off_records import HandOffRecord
from agentkit.store.records import Claim


class HandOffs(Protocol):
    """The conversations of one user that went to people."""

    def hand_off(self, conversation_id: str) -> HandOffRecord | None:
        """The hand-off of a conversation that is not over, if there is one."""
        ...

    def hand_offs(self, conversation_id: str) -> list[HandOffRecord]:
        """All hand-offs of a conversation, oldest first."""
        ...

    def take_hand_off(
        self, hand_off_id: str, *, by: str, seconds: float, from_others: bool = False
    ) -> HandOffRecord:
        """Take a conversation over: durable on return, and its fence grows.

        Args:
            hand_off_id: The hand-off.
            by: Who takes it. Who has it already may take it again, after a crash say.
            seconds: If so long nothing is done, others may take it.
            from_others: Take it even from a person who has it.

        Raises:
            Busy: Another person has it.
            RecordNotFound: No such hand-off of this user.
            TurnConflict: It is over.
        """
        ...

    def claim_for_person(
        self,
        hand_off_id: str,
        fence: int,
        seconds: float,
        *,
        with_waiting: bool = True,
        client_msg_id: str | None = None,
    ) -> Claim | None:
        """Take the lease of a conversation that a person has, with the turn that they are about to end.

        Args:
            hand_off_id: The hand-off.
            fence: The fence of the person's take.
            seconds: How long the lease is.
            with_waiting: Begin the turn with what the customer said since; else with a message of no parts.
            client_msg_id: What the sender calls the turn; under the same name it is not begun again.

        Returns:
            The lease, and the turn: one that a crash left open, or a new one. None: the turn of that name is over.

        Raises:
            Busy: Somebody holds the lease of the conversation: the bot ends a turn.
            LeaseLost: Another person took it.
            TurnConflict: It is over.
        """
        ...

    def acknowledge_hand_off(self, conversation_id: str) -> bool:
        """Note that the customer was told who answers; True the first time for each person, and for nobody yet."""
        ...

    def withdraw_hand_off(self, conversation_id: str) -> HandOffRecord | None:
        """The customer goes on with the bot: what they said meanwhile waits for it. None: there is none to withdraw."""
        ...
